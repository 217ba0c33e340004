/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The thread that appends to the store.
 *
 *     loop --submit--> bounded queue --> writer: one commit of what waits --> done list -->
 * loop
 *
 * Commits are made in the order of submission, so that what is said of a source with a batch is
 * true once that batch is durable. While the store fails, the writer keeps what it has and tries
 * again; the queue fills, the loop stops reading its socket, and the workers keep what they have.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/histogram.h"
#include "base/macros.h"
#include "store/store.h"

/* Messages; in a commit fewer where together they have more than STORE_COMMIT_PARTS_MAX. */
enum { WRITER_QUEUE_MAX = 256, WRITER_COMMIT_MAX = 128 };

struct writer;

/* One message that is to become durable, and whom to tell. */
struct writer_item {
	struct batch *batch;        /* owned; NULL if only the source is new */
	struct store_source source; /* worker is NULL: none. The texts outlive the item. */
	void *token;                /* the submitter's */
	uint64_t taken_us;          /* likewise: when it came (stopwatch_us) */
};

struct writer_options {
	struct store *store;
	const struct clock *clock;
	struct histogram *committed; /* gets how long each commit took */
};

MUST_CHECK int writer_new(
	const struct writer_options *options, struct writer **ret_writer, struct error *err);

/* Commits what is queued (unless the store fails), then ends the thread: nothing looks at the texts
 * of items any more. */
void writer_finish(struct writer *writer);

/* Finishes, if that was not done yet. */
struct writer *writer_free(struct writer *writer);
CLEANUP_DEFINE(struct writer, writer_free)

/* All below: the loop's thread. */

bool writer_is_full(struct writer *writer);

/* Takes the item's batch. Not to be called while the writer is full. */
void writer_submit(struct writer *writer, struct writer_item *item);

/* Becomes readable when items were committed. */
int writer_event_fd(const struct writer *writer);

/* Hands over what was committed since the last call, up to `count` items (their batches are freed
 * already), and adds to *tally. Returns how many. */
size_t writer_collect(
	struct writer *writer, struct writer_item *items, size_t count, struct store_tally *tally);

struct writer_counters {
	uint64_t commits;
	uint64_t failures;  /* attempts that failed */
	uint64_t commit_us; /* time spent in commits */
	uint64_t queued;    /* items now */
	bool is_failing;
};
void writer_read_counters(struct writer *writer, struct writer_counters *ret_counters);
