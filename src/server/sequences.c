/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "server/sequences.h"

#include <stdbool.h>
#include <string.h>

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

enum sequences_outcome sequences_look(
	const struct sequences *sequences, uint64_t number, uint64_t oldest)
{
	uint64_t until = sequences->until + 1 < oldest ? oldest - 1 : sequences->until;

	if (number <= sequences->until)
		return SEQUENCES_KNOWN;
	if (number <= sequences->until + SEQUENCES_WINDOW && is_ahead(sequences, number))
		return SEQUENCES_KNOWN;
	return number - until > SEQUENCES_WINDOW ? SEQUENCES_TOO_FAR : SEQUENCES_NEW;
}

enum sequences_outcome sequences_take(struct sequences *sequences, uint64_t number, uint64_t oldest)
{
	enum sequences_outcome outcome = sequences_look(sequences, number, oldest);

	forget_below(sequences, oldest);
	if (outcome != SEQUENCES_NEW)
		return outcome;
	set_ahead(sequences, number, true);
	while (is_ahead(sequences, sequences->until + 1))
		step(sequences);
	return SEQUENCES_NEW;
}
