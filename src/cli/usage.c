/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun usage: how much was used, from when to when. */

#include "cli/usage.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/time-text.h"
#include "base/when.h"
#include "cli/terminal.h"
#include "model/metric.h"

#define USAGE_FROM "-1h"

enum { REASONS_TEXT_MAX = 4096, REASONS_SHOWN = 3 };

/* People are shown what the specification names, unless they ask for all; programs get all. */
static bool is_shown(const struct client *client, const json_t *usage)
{
	const char *name = json_string_value(json_object_get(usage, "metric"));
	const struct metric *metric = name ? metric_by_name(name) : NULL;

	return client->is_all || client->argument_count > 1 || !metric || metric->is_specified;
}

/* A time of an answer, in seconds, as people read it. */
static const char *time_of(const json_t *object, const char *name, char text[TIME_TEXT_SIZE])
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_number(value))
		return NULL;
	return time_text_format((int64_t)llround(json_number_value(value) * 1000), text);
}

/* "tail-unmeasured from ... to ..." */
static void print_reason(struct buffer *to, const json_t *reason)
{
	static const char *const times[] = { "since", "from", "to", "at" };
	static const char *const texts[] = { "host", "cause" };
	char text[TIME_TEXT_SIZE];

	buffer_print(to, "%s", json_string_value(json_object_get(reason, "reason")));
	for (size_t i = 0; i < ARRAY_SIZE(times); i++)
		if (time_of(reason, times[i], text))
			buffer_print(to, " %s %s", times[i], text);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (json_object_get(reason, texts[i]))
			buffer_print(
				to, " (%s)", json_string_value(json_object_get(reason, texts[i])));
}

static void add_coverage(struct table *table, const json_t *usage)
{
	const json_t *coverage = json_object_get(usage, "coverage");
	char text[32] = "-";

	if (json_is_number(coverage))
		snprintf(text, sizeof(text), "%.1f%%", json_number_value(coverage) * 100);
	table_add(table, text);
}

void usage_add_complete(struct table *table, const json_t *usage)
{
	const json_t *complete = json_object_get(usage, "complete"), *reason;
	CLEANUP(buffer_deinit) struct buffer text;
	size_t i;

	buffer_init(&text, REASONS_TEXT_MAX);
	buffer_print(&text, "%s",
		json_is_true(complete)   ? "yes"
		: json_is_null(complete) ? "unknown"
					 : "no");
	json_array_foreach(json_object_get(usage, "reasons"), i, reason)
	{
		if (i == REASONS_SHOWN) {
			buffer_print(&text, ", ...");
			break;
		}
		buffer_print(&text, "%s", i ? ", " : ": ");
		print_reason(&text, reason);
	}
	buffer_write_u8(&text, 0);
	table_add(table, buffer_check(&text) == 0 ? (const char *)text.bytes : "no");
}

/* What --by split it by. */
static void add_label(struct table *table, const json_t *usage)
{
	static const char *const names[] = { "project_id", "flavor", "host" };
	const json_t *label = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(names) && !label; i++)
		label = json_object_get(usage, names[i]);
	table_add(table, label && *json_string_value(label) ? json_string_value(label) : "-");
}

/* A gauge has no usage: people see its average. */
static void add_rows(const struct client *client, struct table *table, const json_t *answer)
{
	const json_t *usage, *value;
	size_t i;

	json_array_foreach(json_object_get(answer, "usages"), i, usage)
	{
		if (!is_shown(client, usage))
			continue;
		value = json_object_get(usage, "value");
		table_add_json(table, json_object_get(answer, "name"));
		if (client->by)
			add_label(table, usage);
		if (client->step)
			table_add_time(table, json_object_get(usage, "from"));
		table_add_json(table, json_object_get(usage, "metric"));
		table_add_json(table, json_object_get(usage, "parameter"));
		table_add_json(table, value ? value : json_object_get(usage, "avg"));
		table_add_json(table, json_object_get(usage, "unit"));
		table_add_json(table, json_object_get(usage, "uncertainty"));
		add_coverage(table, usage);
		usage_add_complete(table, usage);
	}
}

static json_t *args_for(const struct client *client, const char *id, const json_t *window)
{
	json_t *args = json_copy((json_t *)window);

	json_object_set_new(args, "id", json_string(id));
	if (client->argument_count > 1)
		json_object_set_new(args, "metric", json_string(client->arguments[1]));
	if (client->argument_count > 2)
		json_object_set_new(args, "parameter", json_string(client->arguments[2]));
	if (client->by)
		json_object_set_new(args, "by", json_string(client->by));
	if (client->is_explained)
		json_object_set_new(args, "explain", json_true());
	return args;
}

static int ask_each(struct client *client, const json_t *ids, const json_t *window, json_t *answers)
{
	const json_t *id;
	json_t *answer;
	size_t i;

	json_array_foreach(ids, i, id)
	{
		if (json_array_size(ids) > 1)
			terminal_progress(i, json_array_size(ids), "instances");
		answer = client_ask(
			client, "usage", args_for(client, json_string_value(id), window));
		if (!answer)
			return EXIT_FAILED;
		json_array_append_new(answers, answer);
	}
	terminal_progress_end();
	return EXIT_DONE;
}

static const char *word_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static void print_sample(const char *what, const json_t *sample)
{
	char text[TIME_TEXT_SIZE];
	int64_t ms;

	if (!json_is_array(sample))
		return;
	ms = llround(json_number_value(json_array_get(sample, 0)) * 1000);
	printf("%s%" JSON_INTEGER_FORMAT " at %s", what,
		json_integer_value(json_array_get(sample, 1)), time_text_format(ms, text));
}

/* "  counter at FROM: 900 (read 600 at ..., 1200 at ...)" */
static void print_edge(const json_t *edge)
{
	char text[TIME_TEXT_SIZE];

	printf("    %s: %" JSON_INTEGER_FORMAT, time_of(edge, "at", text),
		json_integer_value(json_object_get(edge, "counter")));
	print_sample("   read ", json_object_get(edge, "before"));
	print_sample(", then ", json_object_get(edge, "after"));
	putchar('\n');
}

static void print_subtraction(const json_t *part)
{
	const json_t *from = json_object_get(part, "from"), *to = json_object_get(part, "to");
	char text[TIME_TEXT_SIZE];

	printf("  epoch %s", word_of(part, "epoch"));
	if (*word_of(part, "life"))
		printf(", device %s", word_of(part, "life"));
	if (json_integer_value(json_object_get(part, "segment")))
		printf(", segment %" JSON_INTEGER_FORMAT,
			json_integer_value(json_object_get(part, "segment")));
	printf(", %s\n", time_of(part, "start", text) ? text : "start unknown");
	print_edge(from);
	print_edge(to);
	printf("    %" JSON_INTEGER_FORMAT " - %" JSON_INTEGER_FORMAT " = %" JSON_INTEGER_FORMAT
	       "\n",
		json_integer_value(json_object_get(to, "counter")),
		json_integer_value(json_object_get(from, "counter")),
		json_integer_value(json_object_get(part, "usage")));
}

/* Each epoch, edge sample and subtraction behind the numbers of one instance. */
static void print_explanation(const struct client *client, const json_t *answer)
{
	const json_t *usage, *part;
	size_t i, j;

	json_array_foreach(json_object_get(answer, "usages"), i, usage)
	{
		if (!is_shown(client, usage) || !json_object_get(usage, "value"))
			continue;
		printf("\n%s %s %s: %" JSON_INTEGER_FORMAT " %s\n", word_of(answer, "name"),
			word_of(usage, "metric"), word_of(usage, "parameter"),
			json_integer_value(json_object_get(usage, "value")),
			word_of(usage, "unit"));
		json_array_foreach(json_object_get(usage, "explanation"), j, part)
			print_subtraction(part);
	}
}

static void print_table(const struct client *client, const json_t *answers, const json_t *window)
{
	static const char *const heads[] = { "METRIC", "PARAMETER", ">USAGE", "UNIT",
		">UNCERTAINTY", ">COVERAGE", "COMPLETE" };
	const char *all[ARRAY_SIZE(heads) + 3] = { "INSTANCE" };
	struct table *table;
	const json_t *answer;
	size_t i, count = 1;

	if (client->by)
		all[count++] = "BY";
	if (client->step)
		all[count++] = "FROM";
	memcpy(&all[count], heads, sizeof(heads));
	table = table_new(all, count + ARRAY_SIZE(heads));
	printf("from %s to %s\n", json_string_value(json_object_get(window, "from")),
		json_string_value(json_object_get(window, "to")));
	json_array_foreach(answers, i, answer) add_rows(client, table, answer);
	table_print(table);
	table_free(table);
	if (client->is_explained)
		json_array_foreach(answers, i, answer) print_explanation(client, answer);
}

static int show(struct client *client, const json_t *window, json_t *answers)
{
	json_t *ids = client->argument_count ? json_pack("[s]", client->arguments[0])
					     : client_ids(client, NULL, NULL);
	int status = ids ? ask_each(client, ids, window, answers) : EXIT_FAILED;

	json_decref(ids);
	if (status != EXIT_DONE)
		return status;
	if (!client->is_json)
		print_table(client, answers, window);
	else
		client_print_json(
			json_incref(client->argument_count ? json_array_get(answers, 0) : answers));
	return EXIT_DONE;
}

/* The window as arguments of the method, with the step if one is asked for. */
static int make_window(const struct client *client, json_t *window, struct error *err)
{
	int64_t step_ms;
	int r = client_window(client, USAGE_FROM, window, err);

	if (r < 0 || !client->step)
		return r;
	if (when_parse_span(client->step, &step_ms) < 0 || step_ms < 1000)
		return error_set(err, -EINVAL, "--step '%s' is no span from 1s on", client->step);
	return json_object_set_new(window, "step", json_integer(step_ms / 1000)) < 0 ? -ENOMEM : 0;
}

int command_usage(struct client *client)
{
	json_t *window, *answers;
	struct error err = { 0 };
	int status;

	if (client->argument_count > 3)
		return client_complain(client, "usage: expected [ID [METRIC [PARAMETER]]]");
	window = json_object();
	answers = json_array();
	if (make_window(client, window, &err) < 0)
		status = client_complain(client, "%s", err.text);
	else if (client->is_plotted)
		status = usage_plot(client, window);
	else
		status = show(client, window, answers);
	json_decref(answers);
	json_decref(window);
	return status;
}
