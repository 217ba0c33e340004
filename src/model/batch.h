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
		*life;  /* which life of the device, inside the epoch; "" where the epoch says it */
	bool has_start; /* the device's counters began at another time than the reading's epoch: */
	int64_t start_ms; /* then, or EPOCH_START_UNKNOWN */
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

/* A time in which nothing was read, or what was read is lost: usage in (from, to) is known only
 * where an epoch bridges it (docs/usage.md). */
struct gap {
	bool has_instance; /* false: all instances of the host */
	struct uuid instance;
	int64_t from_ms, to_ms; /* from_ms <= to_ms; the last and the first reading around it */
	const char *reason;     /* one of the words of docs/usage.md: "dropped", "not-running" */
};

/* When the counters of a tuple were zero, or EPOCH_START_UNKNOWN. */
static inline int64_t tuple_start_ms(const struct reading *reading, const struct tuple *tuple)
{
	return tuple->has_start ? tuple->start_ms : reading->start_ms;
}

/* Which message of which spool this was (docs/protocol.md). */
struct envelope {
	const char *worker;
	const char *spool;
	uint64_t sequence;
	uint64_t oldest;   /* the worker keeps nothing below it */
	uint64_t previous; /* the number kept before this one; those in between were thinned out */
	/* The first and last time of its readings; 0 without any. */
	int64_t first_ms, last_ms;
	/* Everything that this worker read until this time is in this message or in earlier ones;
	 * 0: it does not say. */
	int64_t until_ms;
};

struct batch {
	struct arena arena;
	const char *host;         /* who collected; "" from old workers */
	struct envelope envelope; /* worker is NULL if there was none */
	struct reading *readings;
	size_t reading_count;
	struct instance_info *infos;
	size_t info_count;
	struct gap *gaps;
	size_t gap_count;
	/* Not 0: with this batch, everything until this time has been read (the last batch of a
	 * round). It travels in the envelope. */
	int64_t until_ms;
};

MUST_CHECK int batch_new(struct batch **ret_batch);
struct batch *batch_free(struct batch *batch);
CLEANUP_DEFINE(struct batch, batch_free)

/* Appends one zeroed reading, info or gap with the texts "" and the numbers unknown; NULL if there
 * is no memory. Pointers from earlier calls are then no longer valid. */
struct reading *batch_add_reading(struct batch *batch);
struct instance_info *batch_add_info(struct batch *batch);
struct gap *batch_add_gap(struct batch *batch);
struct tuple *batch_add_tuple(struct batch *batch, struct reading *reading);

/* A copy of the text in the batch's arena; NULL if there is no memory. */
const char *batch_text(struct batch *batch, const char *text);

/* How many samples (values that were given) it holds. */
size_t batch_sample_count(const struct batch *batch);
