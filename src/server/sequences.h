/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Which numbers of one worker's spool have come.
 *
 * An acknowledgement is cumulative, and messages may overtake each other or be dropped on the way:
 * so only numbers without a hole below them count. Numbers that the worker no longer keeps (below
 * `oldest`) and that never came are gone for good; they are counted as a gap. Numbers between a
 * message and the one kept before it (`previous`) were thinned out by the worker: they count as
 * come. */

#include <stdint.h>

enum { SEQUENCES_WINDOW = 4096 }; /* how far ahead of a hole numbers are accepted */

struct sequences {
	uint64_t until;                        /* every number up to this one has come or is gone */
	uint64_t gone;                         /* how many of those never came */
	uint64_t ahead[SEQUENCES_WINDOW / 64]; /* bit n % window: n, above `until`, has come */
};

enum sequences_outcome {
	SEQUENCES_NEW,
	SEQUENCES_KNOWN,   /* it came before */
	SEQUENCES_TOO_FAR, /* not taken; it must come again later */
};

/* A message's number, and what its envelope says of others. */
struct sequence_claim {
	uint64_t number;
	uint64_t oldest;   /* the worker keeps nothing below it */
	uint64_t previous; /* less than number; it keeps nothing between the two */
};

/* What would sequences_take say? Changes nothing. */
enum sequences_outcome sequences_look(
	const struct sequences *sequences, const struct sequence_claim *claim);

/* Another server dealt with every number up to `until`. */
void sequences_follow(struct sequences *sequences, uint64_t until);

/* Takes a number, and the worker's word on what it still keeps. */
enum sequences_outcome sequences_take(
	struct sequences *sequences, const struct sequence_claim *claim);
