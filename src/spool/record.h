/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The bytes of a spool's files (docs/spool.md): a segment's header, records one after the other,
 * and the head. Pure functions over buffers; what they decode may be torn or damaged anywhere. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/macros.h"
#include "spool/spool.h"

enum {
	SEGMENT_HEADER_SIZE = 40,
	RECORD_HEADER_SIZE = 64,
	RECORD_PIN_OFFSET = 60, /* of the one byte that is changed in place */
	RECORD_PAYLOAD_MAX = 1024 * 1024,
	SEGMENT_BYTES_MAX = 16 * 1024 * 1024, /* more of a file is never looked at */
	HEAD_SLOT_SIZE = 128,
	SPOOL_ID_BYTES = (SPOOL_ID_SIZE - 1) / 2,
};

struct record {
	uint64_t sequence;
	uint64_t previous; /* the number kept before it */
	struct spool_note note;
	uint32_t size; /* of the payload */
};

struct segment_header {
	uint8_t id[SPOOL_ID_BYTES];
	uint32_t ordinal;
};

/* What outlives the segments. */
struct head {
	uint8_t id[SPOOL_ID_BYTES];
	uint64_t generation;    /* of two copies, the one with the larger counts */
	uint64_t floor;         /* every number up to it was acknowledged or dropped */
	uint64_t next;          /* no number from here on was ever on this disk */
	uint64_t life;          /* the first number that its last worker could use */
	int64_t floor_ms;       /* the last time of what was removed; 0: none yet */
	int64_t until_ms;       /* the largest `until` of all messages; 0: none yet */
	struct spool_loss loss; /* not declared yet; count 0: none */
	bool is_clean;          /* its worker ended in good order */
};

void segment_header_encode(struct buffer *to, const struct segment_header *header);
MUST_CHECK bool segment_header_decode(
	const void *bytes, size_t size, struct segment_header *ret_header);

/* Header and payload. */
void record_encode(struct buffer *to, const struct record *record, const void *payload);

/* The record at the beginning of these bytes, its payload with it. RECORD_CUT: it could be one, but
 * its end is missing. */
enum record_outcome { RECORD_DAMAGED = 1, RECORD_CUT = 2 };
MUST_CHECK int record_decode(const void *bytes, size_t size, struct record *ret_record);

/* Goes through a segment, past what is damaged: to the next mark of a record that proves right. */
struct segment_scan {
	const uint8_t *bytes;
	size_t size, at;
	unsigned int damaged; /* places that were passed over and had something sound behind them */
	bool is_torn;         /* what stands at the end is no whole record */
};

struct segment_scan segment_scan_over(const void *bytes, size_t size);

/* false at the end. */
bool segment_scan_next(struct segment_scan *scan, struct record *ret_record, size_t *ret_offset);

void head_encode(struct buffer *to, const struct head *head);
MUST_CHECK bool head_decode(const void *bytes, size_t size, struct head *ret_head);
