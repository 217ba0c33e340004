/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "server/sequences.h"

#include <stdbool.h>
#include <string.h>

#include "base/macros.h"

static bool is_ahead(const struct sequences *sequences, uint64_t number)
{
	uint64_t bit = number % SEQUENCES_WINDOW;

	return sequences->ahead[bit / 64] >> bit % 64 & 1;
}

static void set_ahead(struct sequences *sequences, uint64_t number, bool value)
{
	uint64_t bit = number % SEQUENCES_WINDOW, mask = UINT64_C(1) << bit % 64;

	if (value)
		sequences->ahead[bit / 64] |= mask;
	else
		sequences->ahead[bit / 64] &= ~mask;
}

/* Moves `until` over the next number, whether it came or not. */
static void step(struct sequences *sequences)
{
	sequences->until++;
	if (!is_ahead(sequences, sequences->until))
		sequences->gone++;
	set_ahead(sequences, sequences->until, false);
}

static void forget_below(struct sequences *sequences, uint64_t oldest)
{
	/* Past the whole window nothing can have come: no need to walk. */
	for (unsigned int i = 0; i < SEQUENCES_WINDOW && sequences->until + 1 < oldest; i++)
		step(sequences);
	if (sequences->until + 1 < oldest) {
		sequences->gone += oldest - 1 - sequences->until;
		sequences->until = oldest - 1;
	}
}

/* Moves to `until`, which lies behind, without counting what did not come. */
static void pass_over(struct sequences *sequences, uint64_t until)
{
	if (until - sequences->until > SEQUENCES_WINDOW) {
		memset(sequences->ahead, 0, sizeof(sequences->ahead));
		sequences->until = until;
	}
	while (sequences->until < until)
		set_ahead(sequences, ++sequences->until, false);
}

static void take_thinned(struct sequences *sequences, const struct sequence_claim *claim)
{
	if (claim->number <= sequences->until)
		return;
	if (claim->previous <= sequences->until) {
		pass_over(sequences, claim->number - 1);
		return;
	}
	for (uint64_t n = claim->previous + 1;
		n < claim->number && n <= sequences->until + SEQUENCES_WINDOW; n++)
		set_ahead(sequences, n, true);
}

enum sequences_outcome sequences_look(
	const struct sequences *sequences, const struct sequence_claim *claim)
{
	uint64_t until = MAX_OF(sequences->until, claim->oldest - 1);

	if (claim->number <= sequences->until)
		return SEQUENCES_KNOWN;
	/* One that came already may bring the word that what is waited for below it is gone, or was
	 * thinned out since. */
	if (claim->number <= sequences->until + SEQUENCES_WINDOW &&
		is_ahead(sequences, claim->number))
		return until > sequences->until || claim->previous + 1 < claim->number
			       ? SEQUENCES_NEW
			       : SEQUENCES_KNOWN;
	if (claim->previous <= until)
		return SEQUENCES_NEW;
	return claim->number - until > SEQUENCES_WINDOW ? SEQUENCES_TOO_FAR : SEQUENCES_NEW;
}

static void step_over_ahead(struct sequences *sequences)
{
	while (is_ahead(sequences, sequences->until + 1))
		step(sequences);
}

void sequences_follow(struct sequences *sequences, uint64_t until)
{
	if (until <= sequences->until)
		return;
	pass_over(sequences, until);
	step_over_ahead(sequences);
}

enum sequences_outcome sequences_take(
	struct sequences *sequences, const struct sequence_claim *claim)
{
	enum sequences_outcome outcome = sequences_look(sequences, claim);

	take_thinned(sequences, claim);
	forget_below(sequences, claim->oldest);
	if (outcome != SEQUENCES_NEW)
		return outcome;
	if (claim->previous <= sequences->until)
		pass_over(sequences, MAX_OF(sequences->until, claim->number - 1));
	set_ahead(sequences, claim->number, true);
	step_over_ahead(sequences);
	return SEQUENCES_NEW;
}
