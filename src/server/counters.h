/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Everything the server counts. Any thread. The names are those of the method `status` and stand in
 * kanyun-server(8). */

#include <stdatomic.h>
#include <stdint.h>

#include "base/histogram.h"
#include "http/questions.h"
#include "wire/message.h"

enum counter {
	COUNTER_RECEIVED, /* messages of any kind */
	COUNTER_BYTES,    /* of their frames */
	COUNTER_HEARTBEATS,
	COUNTER_LEGACY,      /* messages in an old worker's form */
	COUNTER_KNOWN,       /* messages that had come before: dropped unparsed */
	COUNTER_TOO_FAR,     /* messages too far ahead of a hole: they must come again */
	COUNTER_UNAVAILABLE, /* messages dropped unacknowledged: no memory, or the store was away */
	COUNTER_GONE,        /* sequence numbers that never came and never will */
	COUNTER_REFUSED,     /* messages of which nothing was usable */
	COUNTER_STORED,      /* samples */
	COUNTER_DUPLICATE,   /* samples */
	COUNTER_CONFLICTING, /* samples */
	COUNTER_LATE,        /* samples */
	COUNTER_ACKS,        /* acknowledgements sent */
	COUNTER_DISCONNECTED, /* connections of workers that ended; one that sends more than the
				 maximum is cut off unread, too */
	COUNTER_PAUSES,       /* how often reading stopped because the store was behind */
	_COUNTER_REFUSAL,     /* then one for each enum refusal */
	_COUNTER_COUNT = _COUNTER_REFUSAL + _REFUSAL_COUNT,
};

struct counters {
	_Atomic uint64_t values[_COUNTER_COUNT];
	struct histogram committed;    /* commits that succeeded */
	struct histogram acknowledged; /* from the arrival of a message to its acknowledgement */
	struct questions questions;
};

static inline void counters_add(struct counters *counters, unsigned int counter, uint64_t value)
{
	atomic_fetch_add_explicit(&counters->values[counter], value, memory_order_relaxed);
}

static inline uint64_t counters_read(const struct counters *counters, unsigned int counter)
{
	return atomic_load_explicit(&counters->values[counter], memory_order_relaxed);
}

/* "received", "refused_json". Static. */
const char *counter_name(unsigned int counter);
