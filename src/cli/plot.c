/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cli/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"

enum { LABEL_WIDTH = 14, COLUMNS_MIN = 20, ROWS = 12, EIGHTHS = 8 };

/* How a unit is written, the smallest first: the largest that the highest bar reaches is taken. */
static const struct scale {
	const char *unit, *name;
	double size;
} scales[] = {
	{ "bytes", "B", 1 },
	{ "bytes", "KiB", 1024 },
	{ "bytes", "MiB", 1024.0 * 1024 },
	{ "bytes", "GiB", 1024.0 * 1024 * 1024 },
	{ "bytes", "TiB", 1024.0 * 1024 * 1024 * 1024 },
	{ "KiB", "KiB", 1 },
	{ "KiB", "MiB", 1024 },
	{ "KiB", "GiB", 1024.0 * 1024 },
	{ "KiB", "TiB", 1024.0 * 1024 * 1024 },
	{ "ns", "ns", 1 },
	{ "ns", "us", 1e3 },
	{ "ns", "ms", 1e6 },
	{ "ns", "s", 1e9 },
	{ "ns", "h", 3600e9 },
	{ "ms", "ms", 1 },
	{ "ms", "s", 1e3 },
	{ "ms", "h", 3600e3 },
	{ "vCPU ms", "vCPU s", 1e3 },
	{ "vCPU ms", "vCPU h", 3600e3 },
	{ "MiB ms", "MiB s", 1e3 },
	{ "MiB ms", "MiB h", 3600e3 },
	{ "GiB ms", "GiB s", 1e3 },
	{ "GiB ms", "GiB h", 3600e3 },
	{ "m%", "%", 1e3 },
	{ "count", "", 1 },
	{ "count", "k", 1e3 },
	{ "count", "M", 1e6 },
	{ "count", "G", 1e9 },
	{ "code", "", 1 },
};

/* What is drawn with. */
struct pens {
	const char *eighths[EIGHTHS + 1];
	const char *side, *mark, *corner, *axis, *gap;
};

static const struct pens blocks = {
	{ " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" },
	"│",
	"┤",
	"└",
	"─",
	"·",
};
static const struct pens ascii = {
	{ " ", ".", ".", ".", ":", ":", ":", "#", "#" },
	"|",
	"+",
	"+",
	"-",
	".",
};

size_t plot_columns(size_t width)
{
	return width > LABEL_WIDTH + 2 + COLUMNS_MIN ? width - LABEL_WIDTH - 2 : COLUMNS_MIN;
}

static struct scale scale_of(const char *unit, double top)
{
	struct scale found = { unit, unit, 1 };
	bool is_first = true;

	for (size_t i = 0; i < ARRAY_SIZE(scales); i++) {
		if (strcmp(scales[i].unit, unit) != 0 || (!is_first && scales[i].size > top))
			continue;
		found = scales[i];
		is_first = false;
	}
	return found;
}

static void print_label(double value, const struct scale *scale)
{
	char text[64];

	snprintf(
		text, sizeof(text), "%.*f %s", value > 0 ? 1 : 0, value / scale->size, scale->name);
	printf("%*s ", LABEL_WIDTH, text);
}

/* The part of a bar in a row: one that is not zero has an eighth at least. */
static unsigned int eighths_of(double value, double top, unsigned int row)
{
	double height;

	if (!(value > 0)) /* nor a gap */
		return 0;
	height = fmax(round(value / top * ROWS * EIGHTHS), 1) - (double)row * EIGHTHS;
	return height <= 0 ? 0 : (unsigned int)fmin(height, EIGHTHS);
}

static void repeat(const char *pen, size_t times)
{
	for (; times; times--)
		fputs(pen, stdout);
}

static void print_row(const struct plot *plot, const struct pens *pens, double top,
	unsigned int row, size_t bar_width)
{
	struct scale scale = scale_of(plot->unit, top);
	bool is_marked = top > 0 && (row + 1 == ROWS || row + 1 == ROWS / 2);

	if (is_marked)
		print_label(top * (row + 1) / ROWS, &scale);
	else
		printf("%*s ", LABEL_WIDTH, "");
	fputs(is_marked ? pens->mark : pens->side, stdout);
	for (size_t i = 0; i < plot->count; i++)
		repeat(pens->eighths[eighths_of(plot->values[i], top, row)], bar_width);
	putchar('\n');
}

static void print_axis(
	const struct plot *plot, const struct pens *pens, double top, size_t bar_width)
{
	struct scale scale = scale_of(plot->unit, top);
	size_t width = plot->count * bar_width, from = strlen(plot->from);
	bool has_gaps = false;

	print_label(0, &scale);
	fputs(pens->corner, stdout);
	for (size_t i = 0; i < plot->count; i++) {
		has_gaps = has_gaps || isnan(plot->values[i]);
		repeat(isnan(plot->values[i]) ? pens->gap : pens->axis, bar_width);
	}
	printf("\n%*s%s%*s\n", LABEL_WIDTH + 2, "", plot->from,
		(int)(width > from ? width - from : 0), plot->to);
	if (has_gaps)
		printf("%*s%s no readings\n", LABEL_WIDTH + 2, "", pens->gap);
}

void plot_print(const struct plot *plot)
{
	const struct pens *pens = plot->is_utf8 ? &blocks : &ascii;
	size_t bar_width = plot->count ? MAX_OF(plot_columns(plot->width) / plot->count, 1) : 1;
	double top = 0;

	for (size_t i = 0; i < plot->count; i++)
		top = fmax(top, plot->values[i]);
	for (unsigned int row = ROWS; row > 0; row--)
		print_row(plot, pens, top, row - 1, bar_width);
	print_axis(plot, pens, top, bar_width);
}
