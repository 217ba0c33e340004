/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "model/sample.h"

#include <stdbool.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	const struct sample *left = a, *right = b;

	if (left->time_ms != right->time_ms)
		return left->time_ms < right->time_ms ? -1 : 1;
	return (left->value > right->value) - (left->value < right->value);
}

static bool is_sorted(const struct sample *samples, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (samples[i - 1].time_ms >= samples[i].time_ms)
			return false;
	return true;
}

size_t sample_sort(struct sample *samples, size_t count, size_t *ret_conflicts)
{
	size_t left = 0, conflicts = 0;

	if (ret_conflicts)
		*ret_conflicts = 0;
	if (is_sorted(samples, count))
		return count;
	qsort(samples, count, sizeof(*samples), compare);
	for (size_t i = 0; i < count; i++) {
		/* Equal times stand with the larger value last, which therefore stays. */
		if (left > 0 && samples[left - 1].time_ms == samples[i].time_ms) {
			conflicts += samples[left - 1].value != samples[i].value;
			left--;
		}
		samples[left++] = samples[i];
	}
	if (ret_conflicts)
		*ret_conflicts = conflicts;
	return left;
}
