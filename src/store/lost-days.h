/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What the store itself lost reaches every answer that it touches: a gap "damaged" of every host
 * that had told of something by then. */

#include "base/macros.h"
#include "store/store.h"

/* Records the gaps of what is damaged, and withdraws those of what was repaired. To be called
 * before anyone asks; twice is as good as once. `each` (which gets `context`) hears of all that is
 * damaged. Outcomes of the store. */
MUST_CHECK int lost_days_record(struct store *store, int64_t now_ms, store_damage_fn each,
	void *context, struct error *err);

/* The record as another store keeps it: a gap of what this one lost is not withdrawn there, where
 * nothing may be damaged. Borrows all. */
struct store_record lost_days_copy(const struct store_record *record);
