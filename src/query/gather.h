/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Reads from the store what an answer is made of: all series of one instance that one question
 * touches, in memory.
 *
 * What is asked for by name of a thing may be several in the store: "total" of a metric that is
 * kept by device is all devices; a NIC's name with vmnetwork is that NIC's addresses; traffic is
 * counters and, from old workers, increments. Increments at or after the first counter sample of
 * the same address are left out here. */

#include "base/arena.h"
#include "base/error.h"
#include "base/macros.h"
#include "model/metric.h"
#include "model/usage.h"
#include "query/identity.h"
#include "store/store.h"

enum {
	GATHER_SAMPLES_MAX = 4 * 1000 * 1000,
	GATHER_SERIES_MAX = 100 * 1000,
	GATHER_EDGES_MAX = 10000,
	GATHER_READ_MAX = 32 * 1000 * 1000, /* read by the store for a question with edges */
};

/* One column in one segment of one epoch. */
struct gathered {
	const struct metric *metric;
	const char *parameter;
	const char *epoch_name, *life;
	uint32_t segment;
	bool is_legacy;
	bool is_fallen; /* its first sample is lower than the last one of the segment before */
	struct usage_epoch epoch; /* its samples are a copy */
};

struct gather {
	struct arena arena;
	struct gathered *series; /* by metric, parameter, and as the store gives them */
	size_t count, room;
	size_t samples;
};

struct gather_question {
	const struct identity *identity;
	enum metric_group group;
	uint32_t columns;
	const char *parameter; /* NULL: all */
	int64_t from_ms, to_ms;
	const int64_t *edges_ms; /* as of struct store_scan; NULL: every sample */
	size_t edge_count;
	size_t maximum; /* samples; 0: GATHER_SAMPLES_MAX, or with edges GATHER_READ_MAX */
};

/* Frees with gather_deinit in every case. 0; STORE_TOO_MUCH with a text; else as the store. */
MUST_CHECK int gather_read(struct store *store, const struct gather_question *question,
	struct gather *ret_gather, struct error *err);
void gather_deinit(struct gather *gather);
CLEANUP_DEFINE_VALUE(struct gather, gather_deinit)
