/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What reads. A collector lives in a folder of its own, on threads (and child processes) of its
 * own, and hands over batches; it never blocks the worker's loop and never ends the worker. */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/error.h"
#include "base/macros.h"
#include "model/batch.h"

struct collector;

/* Something that a person should know: which VM does not answer, that libvirt is away. The worker
 * logs it when it changes. */
struct collector_notice {
	bool is_trouble;     /* false: the trouble with this subject is over */
	const char *subject; /* "libvirt", or an instance's name */
	const char *text;
};

struct collector_context {
	const struct clock *clock;
	const struct config *config;
	const char *host;
	bool is_once; /* it reads once, and leaves no trace */
	/* Any thread of the collector. Takes the batch, which holds readings, infos or both; the
	 * last one of a round says so (until_ms). Each reading's time and segment are of one
	 * clock_read. */
	void (*deliver)(void *worker, struct batch **batch);
	void (*notice)(void *worker, const struct collector_notice *notice);
	void *worker;
};

struct collector_ops {
	const char *name;

	/* Starts it. What is unavailable now (libvirt down) is no error but a notice. */
	int (*start)(const struct collector_context *context, struct collector **ret_collector,
		struct error *err);

	/* The worker's loop, at each tick: read now, for this tick (0: of no tick). Returns at
	 * once; a tick that comes while one is being read replaces a waiting one. */
	void (*collect)(struct collector *collector, int64_t tick_ms);

	/* Ends threads and children, within a second whatever libvirt does. */
	void (*stop)(struct collector *collector);
};

/* Embedded by every collector as its first member. */
struct collector {
	const struct collector_ops *ops;
};

extern const struct collector_ops libvirt_collector;
extern const struct collector_ops fake_collector;
