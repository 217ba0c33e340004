/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Until when readings were deleted: a record, made durable before they are. */

#include "base/macros.h"
#include "store/store.h"

#define HORIZON_KIND "deleted"

/* What was before this time may be deleted; INT64_MIN: nothing was yet. */
MUST_CHECK int horizon_read(struct store *store, int64_t *ret_horizon_ms, struct error *err);

/* Moves it forward; an earlier one changes nothing. */
MUST_CHECK int horizon_advance(
	struct store *store, int64_t horizon_ms, int64_t now_ms, struct error *err);
