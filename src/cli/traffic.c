/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun traffic: what each address received and sent, outside and inside of the cloud.
 *
 * An answer is made into rows first: {id, name, address, rates, usages}, the last two by the name
 * of the metric. What has no samples is in neither, and is shown as "-": absent is not zero. */

#include <czmq.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/time-text.h"
#include "cli/client.h"
#include "cli/samples.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/usage.h"

#define TRAFFIC_FROM "-1h"
#define RATE_FROM    "-3m" /* an older rate is none of now */

/* As the table's columns have them; the first ones have rates. */
static const char *const metrics[] = { "vmnetwork_in", "vmnetwork_out", "vmnetwork",
	"vmnetwork_internal_in", "vmnetwork_internal_out" };
enum { RATES = 2, EXTERNAL = 2 };

static int64_t last_ms(const json_t *series)
{
	const json_t *samples = json_object_get(series, "samples");

	return samples_time_ms(samples, json_array_size(samples) - 1);
}

/* An address has a series of each run that it was in: the rate is that of the newest. */
static void add_rates(json_t *rows, const char *metric, const json_t *all)
{
	json_t *newest = json_object(), *each;
	const char *address;
	const json_t *series;
	size_t i;

	json_array_foreach(all, i, series)
	{
		address = json_string_value(json_object_get(series, "parameter"));
		each = json_object_get(newest, address);
		if (!each || last_ms(series) > last_ms(each))
			json_object_set(newest, address, (json_t *)series);
	}
	json_object_foreach(newest, address, each) json_object_set_new(
		json_object_get(json_object_get(rows, address), "rates"), metric,
		json_real(samples_rate(json_object_get(each, "samples")))); /* NAN is none */
	json_decref(newest);
}

static int ask_rates(struct client *client, const char *id, json_t *rows)
{
	for (size_t i = 0; i < RATES; i++) {
		json_t *args = json_pack("{s:s, s:s}", "id", id, "metric", metrics[i]), *data;
		struct error err = { 0 };

		if (client_time(args, "from", "from", RATE_FROM, &err) < 0) {
			json_decref(args);
			return client_complain(client, "%s", err.text);
		}
		data = client_ask(client, "series", args);
		if (!data)
			return EXIT_FAILED;
		add_rates(rows, metrics[i], json_object_get(data, "series"));
		json_decref(data);
	}
	return EXIT_DONE;
}

/* By address, in the order in which they are answered. */
static void add_usages(json_t *rows, const json_t *answer)
{
	const json_t *usage;
	size_t i;

	json_array_foreach(json_object_get(answer, "usages"), i, usage)
	{
		const json_t *address = json_object_get(usage, "parameter");
		json_t *row = json_object_get(rows, json_string_value(address));

		if (!row) {
			row = json_pack("{s:O?, s:O?, s:O?, s:{}, s:{}}", "id",
				json_object_get(answer, "id"), "name",
				json_object_get(answer, "name"), "address", address, "rates",
				"usages");
			json_object_set_new(rows, json_string_value(address), row);
		}
		json_object_set(json_object_get(row, "usages"),
			json_string_value(json_object_get(usage, "metric")), (json_t *)usage);
	}
}

/* The rows of one instance. Rates are of now, so a window that ends at a given time has none. */
static int ask_instance(struct client *client, const char *id, const json_t *window, json_t *all)
{
	json_t *args = json_copy((json_t *)window), *names = json_array(), *rows, *answer, *row;
	const char *address;
	int status = EXIT_DONE;

	for (size_t i = 0; i < ARRAY_SIZE(metrics); i++)
		json_array_append_new(names, json_string(metrics[i]));
	json_object_set_new(args, "id", json_string(id));
	json_object_set_new(args, "metric", names);
	answer = client_ask(client, "usage", args);
	if (!answer)
		return EXIT_FAILED;
	rows = json_object();
	add_usages(rows, answer);
	if (!client->to && json_object_size(rows))
		status = ask_rates(client, id, rows);
	json_object_foreach(rows, address, row) json_array_append(all, row);
	json_decref(rows);
	json_decref(answer);
	return status;
}

static bool has_metric(const json_t *instance, const char *name)
{
	const json_t *metric;
	size_t i;

	json_array_foreach(json_object_get(instance, "metrics"), i,
		metric) if (json_is_string(metric) &&
			    strcmp(json_string_value(metric), name) == 0) return true;
	return false;
}

static bool is_within(const json_t *instance, const json_t *window)
{
	double first = json_number_value(json_object_get(instance, "first")) * 1000,
	       last = json_number_value(json_object_get(instance, "last")) * 1000;
	int64_t from_ms, to_ms;

	return time_text_parse(json_string_value(json_object_get(window, "from")), &from_ms) < 0 ||
	       time_text_parse(json_string_value(json_object_get(window, "to")), &to_ms) < 0 ||
	       (last >= (double)from_ms && first < (double)to_ms);
}

static bool has_traffic(const json_t *instance, const void *window)
{
	return (has_metric(instance, "vmnetwork") || has_metric(instance, "vmnetwork_increment")) &&
	       is_within(instance, window);
}

/* Those that are named, or all that have traffic and were read in the window. NULL after it told
 * the person what was wrong. */
static json_t *find_ids(struct client *client, const json_t *window)
{
	json_t *ids;

	if (!client->argument_count)
		return client_ids(client, has_traffic, window);
	ids = json_array();
	for (int k = 0; k < client->argument_count; k++)
		json_array_append_new(ids, json_string(client->arguments[k]));
	return ids;
}

static int ask_all(struct client *client, const json_t *window, json_t *rows)
{
	json_t *ids = find_ids(client, window);
	int status = ids ? EXIT_DONE : EXIT_FAILED;

	for (size_t i = 0; i < json_array_size(ids) && status == EXIT_DONE; i++) {
		if (json_array_size(ids) > 1)
			terminal_progress(i, json_array_size(ids), "instances");
		status = ask_instance(
			client, json_string_value(json_array_get(ids, i)), window, rows);
	}
	terminal_progress_end();
	json_decref(ids);
	return status;
}

static void add_rate(struct table *table, const json_t *rate)
{
	char text[64] = "-";

	if (json_is_number(rate))
		snprintf(text, sizeof(text), "%.0f", json_number_value(rate));
	table_add(table, text);
}

/* Of old workers, that only know both directions together, and of ours. */
static void add_external(struct table *table, const json_t *usages)
{
	const json_t *ours = json_object_get(json_object_get(usages, "vmnetwork"), "value"),
		     *old = json_object_get(
			     json_object_get(usages, "vmnetwork_increment"), "value");
	json_t *sum = NULL;
	int64_t bytes;

	if ((ours || old) && checked_add(json_integer_value(ours), json_integer_value(old), &bytes))
		sum = json_integer(bytes);
	table_add_json(table, sum);
	json_decref(sum);
}

static void add_row(struct table *table, const json_t *row)
{
	json_t *usages = json_object_get(row, "usages"), *usage;
	const json_t *told = NULL; /* one that is not complete, if any */
	const char *metric;

	table_add_json(table, json_object_get(row, "name"));
	table_add_json(table, json_object_get(row, "address"));
	for (size_t i = 0; i < RATES; i++)
		add_rate(table, json_object_get(json_object_get(row, "rates"), metrics[i]));
	for (size_t i = 0; i < ARRAY_SIZE(metrics); i++) {
		usage = json_object_get(usages, metrics[i]);
		if (i == EXTERNAL)
			add_external(table, usages);
		else
			table_add_json(table, json_object_get(usage, "value"));
	}
	json_object_foreach(usages, metric,
		usage) if (!told || !json_is_true(json_object_get(usage, "complete"))) told = usage;
	usage_add_complete(table, told);
}

static void print_table(const json_t *rows, const json_t *window)
{
	static const char *const heads[] = { "INSTANCE", "ADDRESS", ">EXT IN/s", ">EXT OUT/s",
		">EXT IN", ">EXT OUT", ">EXT", ">INT IN", ">INT OUT", "COMPLETE" };
	CLEANUP(table_free) struct table *table = table_new(heads, ARRAY_SIZE(heads));
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) add_row(table, row);
	printf("bytes from %s to %s\n", json_string_value(json_object_get(window, "from")),
		json_string_value(json_object_get(window, "to")));
	table_print(table);
}

static int show(struct client *client, bool is_live)
{
	json_t *window = json_object(), *rows = json_array();
	struct error err = { 0 };
	int status;

	if (client_window(client, TRAFFIC_FROM, window, &err) < 0)
		status = client_complain(client, "%s", err.text);
	else
		status = ask_all(client, window, rows);
	if (status == EXIT_DONE && client->is_json) {
		client_print_json(json_incref(rows));
	} else if (status == EXIT_DONE) {
		if (is_live)
			terminal_clear();
		print_table(rows, window);
	}
	json_decref(rows);
	json_decref(window);
	return status;
}

/* On a terminal until Ctrl-C, whose default is enough: there is nothing to put back. */
int command_traffic(struct client *client)
{
	bool is_live = !client->is_json && !client->is_once && !client->to && isatty(STDOUT_FILENO);
	struct error err = { 0 };
	int64_t interval_ms;
	int status;

	if (client->project && client->argument_count)
		return client_complain(client, "traffic: --project is for all instances");
	if (client_interval(client, &interval_ms, &err) < 0)
		return client_complain(client, "%s", err.text);
	zsys_handler_set(NULL);
	status = show(client, is_live);
	while (is_live && status == EXIT_DONE) {
		terminal_wait(interval_ms);
		status = show(client, is_live);
	}
	return status;
}
