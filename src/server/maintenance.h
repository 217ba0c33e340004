/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The thread that packs what has rested and deletes what is too old. */

#include "base/clock.h"
#include "base/config.h"
#include "base/error.h"
#include "base/macros.h"
#include "store/store.h"

struct maintenance;

MUST_CHECK int maintenance_new(struct store *store, const struct clock *clock,
	const struct config *config, struct maintenance **ret_maintenance, struct error *err);

/* Waits for the piece of work that is being done. */
struct maintenance *maintenance_free(struct maintenance *maintenance);
CLEANUP_DEFINE(struct maintenance, maintenance_free)
