/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Plots for a terminal: a bar for each value, and what a bar's height is. */

#include <stdbool.h>
#include <stddef.h>

struct plot {
	const double *values; /* NAN is a gap, and shown as one */
	size_t count;         /* at most plot_columns(width) */
	const char *unit;     /* of model/metric.h */
	const char *from, *to;
	size_t width;
	bool is_utf8; /* else ASCII */
};

/* How many bars a terminal of that width has room for. */
size_t plot_columns(size_t width);

void plot_print(const struct plot *plot);
