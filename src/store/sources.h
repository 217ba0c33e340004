/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The spools that backends keep in memory. The caller locks. */

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "store/store.h"

struct sources {
	struct store_source *items; /* their texts are owned */
	size_t count, room;
};

void sources_deinit(struct sources *sources);

/* Moves what is known of a spool forward, or adds it. 0 or -ENOMEM. */
MUST_CHECK int sources_advance(struct sources *sources, const struct store_source *source);

/* Calls `each` for those of a host and a worker, where these are not NULL. STORE_STOPPED or 0. */
MUST_CHECK int sources_each(const struct sources *sources, const char *host, const char *worker,
	store_source_fn each, void *context);
