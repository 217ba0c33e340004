/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The newest samples of all tracks in memory, as the backends answer `latest`. */

#include "base/error.h"
#include "base/macros.h"
#include "store/store.h"
#include "store/tracks.h"

/* Returns 0, STORE_STOPPED, STORE_TOO_MUCH with a text, or -ENOMEM. The caller locks. */
MUST_CHECK int latest_each(const struct tracks *tracks, const struct store_recent *recent,
	store_latest_fn each, void *context, struct error *err);
