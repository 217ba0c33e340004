/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The worker's queue of messages that no server has acknowledged yet.
 *
 * Messages are numbered from 1 on within one spool, whose id is random. Bounded: a message that
 * does not fit drops the oldest ones, which are counted. This one lives in memory; who uses it
 * cannot tell it from one on disk. One thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

enum { SPOOL_ID_SIZE = 33, SPOOL_BYTES_MAX = 64 * 1024 * 1024 };

struct spool;

struct spool_message {
	uint64_t sequence;
	char type;         /* as on the wire: '1', '3', ... */
	const void *bytes; /* lives until the next push or acknowledgement */
	size_t size;
};

MUST_CHECK int spool_memory_new(size_t bytes_max, struct spool **ret_spool);
struct spool *spool_free(struct spool *spool);
CLEANUP_DEFINE(struct spool, spool_free)

const char *spool_id(const struct spool *spool);

/* Copies the bytes. 0; -EMSGSIZE if it could never fit; -ENOMEM. */
MUST_CHECK int spool_push(struct spool *spool, char type, const void *bytes, size_t size);

/* The oldest message whose number is `sequence` or more; false if there is none. */
bool spool_find(const struct spool *spool, uint64_t sequence, struct spool_message *ret_message);

/* Forgets everything up to and including `sequence`; returns how many messages that were. */
size_t spool_acknowledge(struct spool *spool, uint64_t sequence);

/* The number of the oldest message that is kept; of the next one if there is none. */
uint64_t spool_oldest(const struct spool *spool);

size_t spool_count(const struct spool *spool);
uint64_t spool_dropped(const struct spool *spool);
