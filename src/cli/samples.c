/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cli/samples.h"

#include <math.h>

#include "base/checked.h"

int64_t samples_time_ms(const json_t *samples, size_t index)
{
	return llround(json_number_value(json_array_get(json_array_get(samples, index), 0)) * 1000);
}

int64_t samples_value(const json_t *samples, size_t index)
{
	return json_integer_value(json_array_get(json_array_get(samples, index), 1));
}

double samples_rate(const json_t *samples)
{
	size_t count = json_array_size(samples);
	int64_t ms, added;

	if (count < 2 ||
		!checked_subtract(samples_time_ms(samples, count - 1),
			samples_time_ms(samples, count - 2), &ms) ||
		!checked_subtract(samples_value(samples, count - 1),
			samples_value(samples, count - 2), &added))
		return NAN;
	return ms > 0 && added >= 0 ? (double)added * 1000 / (double)ms : NAN;
}
