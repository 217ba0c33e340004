/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The samples of a series in an answer: [[seconds, value], ...] by time. What an answer has instead
 * of a number is 0. */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

int64_t samples_time_ms(const json_t *samples, size_t index);
int64_t samples_value(const json_t *samples, size_t index);

/* What was added in a second, between the last two; NAN without two, or if the counter fell. */
double samples_rate(const json_t *samples);
