/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The worker's queue of messages that no server has acknowledged yet.
 *
 * Messages are numbered within one spool, whose id is random and stays with its folder. A message
 * is pushed into memory; spool_sync brings everything that was pushed to the disk, and only then
 * spool_find gives it to be sent. While the disk fails (or there is none) it is sent from memory,
 * and the disk is tried again from time to time.
 *
 * Bounded: what does not fit is first thinned, then the oldest is dropped. What was lost in any way
 * is a loss, which the owner takes and declares as a gap; until then nothing of it is deleted.
 *
 * One thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"

enum {
	SPOOL_ID_SIZE = 33,
	SPOOL_MEMORY_MAX = 64 * 1024 * 1024, /* bytes of messages that are not on disk */
	SPOOL_MESSAGES_MAX = 256 * 1024,
};

struct spool;
struct shelf_ops;

/* What a message says of itself. */
struct spool_note {
	char type; /* as on the wire: '1', '3', ... */
	bool is_thinnable;
	bool is_gap;               /* its times are those of the gap, not of readings */
	int64_t first_ms, last_ms; /* of its readings; 0 without any */
	int64_t until_ms;          /* as in the envelope; 0: it does not say */
};

struct spool_message {
	uint64_t sequence;
	uint64_t previous; /* the number kept before this one; those between were thinned out */
	struct spool_note note;
	const void *bytes; /* lives until the next call on the spool */
	size_t size;
};

/* Nothing can be delivered any more of the time between these two. */
struct spool_loss {
	int64_t from_ms, to_ms;
	uint64_t count; /* of messages; 0: not known */
};

struct spool_options {
	const struct clock *clock;
	const char *directory; /* NULL: in memory only */
	uint64_t disk_bytes_max;
	size_t memory_bytes_max;
	const struct shelf_ops *shelf; /* NULL: spool/disk.c's; tests have their own */
};

/* What was found in the folder. */
struct spool_findings {
	size_t waiting;       /* messages of an earlier life */
	unsigned int damaged; /* places that are no whole record */
	unsigned int torn;    /* segments whose end is torn */
	unsigned int foreign; /* segments of another spool, which are left alone */
	bool is_head_lost;    /* the file that says what was acknowledged */
	uint64_t lost;        /* messages that should be there and are not */
};

/* A folder that cannot be used now is no failure (spool_trouble says why); -EWOULDBLOCK if another
 * worker uses it, -ENOMEM. */
MUST_CHECK int spool_new(
	const struct spool_options *options, struct spool **ret_spool, struct error *err);

/* Ends it in good order: what is not acknowledged stays on disk. */
struct spool *spool_free(struct spool *spool);
CLEANUP_DEFINE(struct spool, spool_free)

/* Changes when a folder that could not be used at the start has an older spool in it. */
const char *spool_id(const struct spool *spool);

/* Copies the bytes. 0; -EMSGSIZE if it could never fit; -ENOMEM. */
MUST_CHECK int spool_push(struct spool *spool, const struct spool_note *note, const void *bytes,
	size_t size, uint64_t *ret_sequence);

/* Thinning must not take this message any more: it has turned out to hold a last reading. */
void spool_pin(struct spool *spool, uint64_t sequence);

/* Brings what was pushed and what was acknowledged to the disk, if there is something and the disk
 * is not known to fail; then tries again after a pause. */
void spool_sync(struct spool *spool);

/* The oldest message that may be sent and whose number is `sequence` or more; false if there is
 * none. */
bool spool_find(struct spool *spool, uint64_t sequence, struct spool_message *ret_message);

/* Forgets everything up to and including `sequence`; returns how many messages that were. */
size_t spool_acknowledge(struct spool *spool, uint64_t sequence);

/* The number of the oldest message that is kept; of the next one if there is none. */
uint64_t spool_oldest(const struct spool *spool);

/* Nothing below it is kept, and none of the numbers from it to the oldest message's is lost: it
 * follows the number that was kept before that one. */
uint64_t spool_begin(const struct spool *spool);

/* The number of the message that is pushed next; neither it nor one above it was ever given. */
uint64_t spool_next(const struct spool *spool);

size_t spool_count(const struct spool *spool);
size_t spool_count_in_memory(const struct spool *spool);
uint64_t spool_dropped(const struct spool *spool);
uint64_t spool_thinned(const struct spool *spool);

/* Why the disk is not used now; NULL if it is, or if there is to be none. */
const char *spool_trouble(const struct spool *spool);

/* Found when the folder was opened; zeroed before. */
const struct spool_findings *spool_findings(const struct spool *spool);

/* The oldest loss that was not taken yet, after which it is the caller's to declare. */
bool spool_take_loss(struct spool *spool, struct spool_loss *ret_loss);
void spool_add_loss(struct spool *spool, const struct spool_loss *loss);

/* Until when an earlier life had read everything, once it is known; 0 if it is not, there was none,
 * or it was taken before. */
int64_t spool_take_earlier_until(struct spool *spool);
