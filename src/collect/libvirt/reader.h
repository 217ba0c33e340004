/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The libvirt collector's one thread, and what its parts share (collector.c says which they are).
 * Everything but the first block is the thread's own. */

#include <pthread.h>

#include "collect/collector.h"
#include "collect/libvirt/connection.h"
#include "collect/libvirt/domains.h"
#include "collect/libvirt/events.h"
#include "collect/libvirt/lives.h"
#include "collect/libvirt/monitor.h"
#include "collect/traffic/traffic.h"

enum {
	LATE_MS = 1000, /* a reading later than this is of no tick, and of no event */
	SLICE_MS = 50,
};

struct reader {
	struct collector collector;
	struct collector_context context;
	struct connection_events callbacks;
	pthread_t thread;

	pthread_mutex_t mutex;
	pthread_cond_t wake; /* by CLOCK_MONOTONIC */
	bool is_stopping, is_lost, has_tick;
	int64_t tick_ms;
	struct events heard;

	struct events events; /* that are being worked on */
	struct connection *connection;
	int64_t retry_ms, backoff_ms;
	struct domains domains;
	struct lives lives;
	struct monitor *monitor;
	struct traffic *traffic;
	int young_ms;        /* how long until a young run is due, -1: there is none */
	struct batch *batch; /* what waits for reader_flush */
	uint32_t segment;    /* of the wall clock */

	/* Of the rounds. */
	bool has_seen_all; /* ever: what an earlier worker left may be replaced */
	bool is_new;       /* no round since the connection was made: there is more to find out */
	bool is_hindered;  /* libvirt could not be read for a while since the last whole round */
	int64_t whole_ms;  /* the last round that read all domains; 0: none yet */
	int64_t until_ms;  /* what was told to be complete: no reading is of before */

	/* Of the question to the child. */
	bool is_asking;
	int questions;
	unsigned int groups;
	int64_t asked_ms, asked_tick_ms; /* CLOCK_BOOTTIME; the reading's time */
	int64_t vcpu_ms;
};

void reader_note(struct reader *reader, bool is_trouble, const char *subject, const char *text);

/* The batch that is being filled, NULL without memory. */
struct batch *reader_batch(struct reader *reader);

/* Delivers it, if there is one with something in it, after reader_save. */
void reader_flush(struct reader *reader);

/* Writes what must outlive the worker, before what follows from it is told. */
void reader_save(struct reader *reader);

/* Moves what libvirt told into reader->events, and waits so long for it. Whether there is any. */
bool reader_take_events(struct reader *reader, int wait_ms);

/* Waits so long for libvirt to tell something, and says whether it has. */
bool reader_has_heard(struct reader *reader, int wait_ms);

void reader_disconnect(struct reader *reader, const char *why);

static inline int64_t reader_interval_ms(const struct reader *reader)
{
	int64_t seconds = config_integer(reader->context.config, "worker", "interval");

	if (!seconds)
		seconds = config_integer(reader->context.config, "worker", "worker_timeout");
	return seconds * 1000;
}

static inline int64_t reader_patience_ms(const struct reader *reader)
{
	return config_integer(reader->context.config, "worker", "monitor_timeout") * 1000;
}
