/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "model/usage.h"

#include "model/batch.h"

/* floor of the straight line through two samples, at a time between them. The product of two 64-bit
 * numbers needs 128 bits. */
static int64_t between(const struct sample *a, const struct sample *b, int64_t t_ms)
{
	__int128 rise = (__int128)b->value - a->value;
	__int128 run = (__int128)b->time_ms - a->time_ms;

	return (int64_t)(rise * (t_ms - a->time_ms) / run);
}

static int64_t saturating_add(int64_t a, int64_t b)
{
	int64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* Walks along the samples of an epoch: `total` is the increase up to `at`. */
struct walk {
	const struct usage_epoch *epoch;
	int64_t begin_ms; /* nothing is used before it */
	struct sample at;
	size_t next;
	int64_t total;
};

static struct walk walk_begin(const struct usage_epoch *epoch)
{
	struct walk walk = { .epoch = epoch };

	if (epoch->count == 0)
		return walk;
	if (epoch->start_ms == EPOCH_START_UNKNOWN ||
		epoch->samples[0].time_ms <= epoch->start_ms) {
		walk.at = epoch->samples[0];
		walk.next = 1;
		/* Read at its start or (clocks being what they are) before it: all of it is use. */
		if (epoch->start_ms != EPOCH_START_UNKNOWN && walk.at.value > epoch->start_value)
			walk.total = walk.at.value - epoch->start_value;
	} else {
		walk.at = (struct sample){ epoch->start_ms, epoch->start_value };
	}
	walk.begin_ms = walk.at.time_ms;
	return walk;
}

/* The increase until t, where t is not before the last call's. */
static int64_t walk_until(struct walk *walk, int64_t t_ms)
{
	const struct usage_epoch *epoch = walk->epoch;

	if (epoch->count == 0 || t_ms < walk->begin_ms)
		return 0;
	while (walk->next < epoch->count) {
		const struct sample *sample = &epoch->samples[walk->next];
		/* A fall: the counter began anew at the sample before, with 0. */
		struct sample from = { walk->at.time_ms,
			sample->value < walk->at.value ? 0 : walk->at.value };

		if (sample->time_ms > t_ms) {
			return saturating_add(walk->total, between(&from, sample, t_ms));
		}
		walk->total = saturating_add(walk->total, sample->value - from.value);
		walk->at = *sample;
		walk->next++;
	}
	return walk->total;
}

void usage_until_each(
	const struct usage_epoch *epoch, const int64_t *times_ms, size_t count, int64_t *ret_until)
{
	struct walk walk = walk_begin(epoch);

	for (size_t i = 0; i < count; i++)
		ret_until[i] = walk_until(&walk, times_ms[i]);
}

int64_t usage_until(const struct usage_epoch *epoch, int64_t t_ms)
{
	int64_t until;

	usage_until_each(epoch, &t_ms, 1, &until);
	return until;
}

int64_t usage_between(const struct usage_epoch *epoch, int64_t from_ms, int64_t to_ms)
{
	int64_t times_ms[2] = { from_ms, to_ms }, until[2];

	usage_until_each(epoch, times_ms, 2, until);
	return until[1] - until[0];
}
