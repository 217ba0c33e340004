/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What one message carries: readings of instances and what is known about them.
 *
 * A collector fills a batch, the wire carries it, the store appends it. All that it points to lives
 * in its arena. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/macros.h"
#include "model/instance.h"
#include "model/metric.h"

enum {
	BATCH_MEMORY_MAX = 64 * 1024 * 1024,
	EPOCH_TEXT_MAX = 511, /* bytes of an epoch's name or of the name of a device's life */
	PARAMETER_TEXT_MAX = 255,
};

/* The start of an epoch that nobody could know. */
#define EPOCH_START_UNKNOWN INT64_MIN

/* Times outside of this are absurd: 2001-09-09 to 2100. */
#define TIME_MS_MIN INT64_C(1000000000000)
#define TIME_MS_MAX INT64_C(4102444800000)

/* One group of metrics of one device (or of the whole instance), read at one time. */
struct tuple {
	enum metric_group group;
	uint16_t present; /* bit i: values[i] was given. Absent is not zero. */
	const char *parameter;
	const char
		*life; /* which life of the device, inside the epoch; "" where the epoch says it */
	int64_t values[METRIC_COLUMNS_MAX];
};

/* Whether column may be read. */
static inline bool tuple_has(const struct tuple *tuple, unsigned int column)
{
	return tuple->present >> column & 1;
}

static inline void tuple_set(struct tuple *tuple, unsigned int column, int64_t value)
{
	tuple->values[column] = value;
	tuple->present |= (uint16_t)(1u << column);
}

/* What was read of one instance at one time. */
struct reading {
	struct instance_key instance;
	int64_t time_ms;   /* the tick, or the time itself if the reading was of no tick */
	int64_t delay_ms;  /* how much later than the tick it was really read; 0 or more */
	const char *epoch; /* "" from old workers, who know none */
	int64_t start_ms;  /* of the epoch, or EPOCH_START_UNKNOWN */
	uint32_t segment;  /* grows when the worker's wall clock stepped back */
	struct tuple *tuples;
	size_t tuple_count;
};

/* Which message of which spool this was (design: delivery). */
struct envelope {
	const char *worker;
	const char *spool;
	uint64_t sequence;
	uint64_t oldest; /* the oldest number that the worker still keeps */
};

struct batch {
	struct arena arena;
	const char *host;         /* who collected; "" from old workers */
	struct envelope envelope; /* worker is NULL if there was none */
	struct reading *readings;
	size_t reading_count;
	struct instance_info *infos;
	size_t info_count;
	bool is_round_end; /* the collector's last of one round; not sent */
};

MUST_CHECK int batch_new(struct batch **ret_batch);
struct batch *batch_free(struct batch *batch);
CLEANUP_DEFINE(struct batch, batch_free)

/* Appends one zeroed reading or info with the texts "" and the numbers unknown; NULL if there is no
 * memory. Pointers from earlier calls are then no longer valid. */
struct reading *batch_add_reading(struct batch *batch);
struct instance_info *batch_add_info(struct batch *batch);
struct tuple *batch_add_tuple(struct batch *batch, struct reading *reading);

/* A copy of the text in the batch's arena; NULL if there is no memory. */
const char *batch_text(struct batch *batch, const char *text);

/* How many samples (values that were given) it holds. */
size_t batch_sample_count(const struct batch *batch);
