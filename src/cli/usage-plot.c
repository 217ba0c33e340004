/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun usage --plot: how much of a metric was used in each step of the window. */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/time-text.h"
#include "cli/plot.h"
#include "cli/terminal.h"
#include "cli/usage.h"

enum { STEPS_MAX = 10000 }; /* of the method */

/* The window and its steps; each bar is of `grouped` steps. */
struct steps {
	int64_t from_ms, to_ms, step_ms;
	size_t count, grouped;
	double *values;  /* of the bars; NAN: nothing is known */
	size_t *samples; /* that an average is of */
};

static size_t divide_up(int64_t a, int64_t b)
{
	return (size_t)((a + b - 1) / b);
}

/* The shortest step for which there is room, of those that people think in. */
static int64_t usual_step(int64_t span_ms, size_t columns)
{
	static const int64_t usual[] = { 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600,
		7200, 10800, 21600, 43200, 86400 };
	int64_t least_s = (int64_t)divide_up(span_ms, (int64_t)columns * 1000);

	for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
		if (usual[i] >= least_s)
			return usual[i];
	return (int64_t)divide_up(least_s, 86400) * 86400;
}

/* Those that are asked for, several to a bar where there is no room; or as there is room. */
static int make_steps(const json_t *window, size_t columns, struct steps *steps, struct error *err)
{
	int64_t step_s = json_integer_value(json_object_get(window, "step")), span_ms;

	if (time_text_parse(json_string_value(json_object_get(window, "from")), &steps->from_ms) <
			0 ||
		time_text_parse(json_string_value(json_object_get(window, "to")), &steps->to_ms) <
			0 ||
		steps->from_ms >= steps->to_ms)
		return error_set(err, -EINVAL, "--from is not before --to");
	span_ms = steps->to_ms - steps->from_ms;
	if (!step_s)
		step_s = usual_step(span_ms, columns);
	steps->step_ms = step_s * 1000;
	steps->count = divide_up(span_ms, steps->step_ms);
	if (steps->count > STEPS_MAX)
		return error_set(err, -EINVAL, "the window has more than %d steps", STEPS_MAX);
	steps->grouped = divide_up((int64_t)steps->count, (int64_t)columns);
	steps->values = calloc(steps->count, sizeof(*steps->values));
	steps->samples = calloc(steps->count, sizeof(*steps->samples));
	if (!steps->values || !steps->samples)
		abort();
	for (size_t i = 0; i < steps->count; i++)
		steps->values[i] = NAN;
	return 0;
}

/* A counter's usage is added, a gauge is averaged over its samples. */
static void add_usage(struct steps *steps, const json_t *usage)
{
	const json_t *value = json_object_get(usage, "value"),
		     *coverage = json_object_get(usage, "coverage");
	int64_t from_ms = llround(json_number_value(json_object_get(usage, "from")) * 1000);
	int64_t index = (from_ms - steps->from_ms) / (steps->step_ms * (int64_t)steps->grouped);
	size_t samples = (size_t)json_integer_value(json_object_get(usage, "samples"));
	double *bar;

	if (from_ms < steps->from_ms || index >= (int64_t)steps->count)
		return;
	bar = &steps->values[index];
	if (value) {
		if (json_integer_value(value) || !json_is_number(coverage) ||
			json_number_value(coverage) > 0)
			*bar = (isnan(*bar) ? 0 : *bar) + (double)json_integer_value(value);
		return;
	}
	if (!samples)
		return;
	*bar = ((isnan(*bar) ? 0 : *bar * (double)steps->samples[index]) +
		       json_number_value(json_object_get(usage, "avg")) * (double)samples) /
	       (double)(steps->samples[index] + samples);
	steps->samples[index] += samples;
}

static json_t *args_for(
	const struct client *client, const json_t *window, const struct steps *steps)
{
	json_t *args = json_copy((json_t *)window);

	json_object_set_new(args, "id", json_string(client->arguments[0]));
	json_object_set_new(args, "metric", json_string(client->arguments[1]));
	json_object_set_new(args, "parameter",
		json_string(client->argument_count > 2 ? client->arguments[2] : "total"));
	json_object_set_new(args, "step", json_integer(steps->step_ms / 1000));
	return args;
}

/* "90s", "5m", "2h", "1d" */
static void print_span(int64_t seconds)
{
	static const struct {
		int64_t seconds;
		char letter;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	size_t i = 0;

	while (seconds % units[i].seconds)
		i++;
	printf("%" JSON_INTEGER_FORMAT "%c", (json_int_t)(seconds / units[i].seconds),
		units[i].letter);
}

static void print_title(
	const struct client *client, const json_t *answer, const struct steps *steps, bool is_gauge)
{
	const char *name = json_string_value(json_object_get(answer, "name"));
	char text[1024];

	snprintf(text, sizeof(text), "%s %s %s", name && *name ? name : client->arguments[0],
		client->arguments[1], client->argument_count > 2 ? client->arguments[2] : "total");
	text_make_printable(text);
	printf("%s, %s ", text, is_gauge ? "average of each" : "used in each");
	print_span(steps->step_ms / 1000 * (int64_t)steps->grouped);
	printf("\n\n");
}

static void print_plot(
	const struct client *client, const json_t *answer, struct steps *steps, size_t width)
{
	const json_t *usages = json_object_get(answer, "usages"), *usage = NULL;
	char from[TIME_TEXT_SIZE], to[TIME_TEXT_SIZE];
	struct plot plot = { .values = steps->values,
		.count = divide_up((int64_t)steps->count, (int64_t)steps->grouped),
		.unit = "",
		.from = time_text_format(steps->from_ms, from),
		.to = time_text_format(steps->to_ms, to),
		.width = width,
		.is_utf8 = terminal_is_utf8() };
	size_t i;

	json_array_foreach(usages, i, usage)
	{
		const char *unit = json_string_value(json_object_get(usage, "unit"));

		plot.unit = unit ? unit : "";
		add_usage(steps, usage);
	}
	usage = json_array_get(usages, 0);
	print_title(client, answer, steps, usage && !json_object_get(usage, "value"));
	plot_print(&plot);
}

int usage_plot(struct client *client, const json_t *window)
{
	struct steps steps = { 0 };
	struct error err = { 0 };
	size_t width, height;
	json_t *answer;
	int status = EXIT_FAILED;

	terminal_size(&width, &height);
	if (client->argument_count < 2)
		return client_complain(client, "usage: --plot is of one ID and METRIC");
	if (client->is_json || client->by || client->is_explained)
		return client_complain(client, "usage: --plot has no --json, --by or --explain");
	if (make_steps(window, plot_columns(width), &steps, &err) < 0)
		return client_complain(client, "%s", err.text);
	answer = client_ask(client, "usage", args_for(client, window, &steps));
	if (answer) {
		print_plot(client, answer, &steps, width);
		status = EXIT_DONE;
	}
	json_decref(answer);
	free(steps.values);
	free(steps.samples);
	return status;
}
