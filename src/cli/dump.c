/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun dump --cql: the samples of an instance as CQL, which makes tables of the names of the
 * specification's column families. It is a view to look at: its rows expire after a day. */

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "model/metric.h"

#define DUMP_FROM "-1h"

enum { EXPIRY_SECONDS = 24 * 60 * 60 };

/* In CQL's quotes. */
static void print_text(const char *text)
{
	putchar('\'');
	for (; *text; text++) {
		if (*text == '\'')
			putchar('\'');
		putchar(iscntrl((unsigned char)*text) ? '?' : *text);
	}
	putchar('\'');
}

static const char *keyspace_of(const struct client *client)
{
	return config_text(client->config, "cassandra", "keyspace");
}

static void print_table(const struct client *client, const char *name)
{
	printf("CREATE TABLE IF NOT EXISTS \"%s\".%s (instance text, parameter text, epoch text,"
	       " life text, segment bigint, at timestamp, value bigint,"
	       " PRIMARY KEY ((instance), parameter, at, epoch, life, segment))"
	       " WITH default_time_to_live = %d;\n",
		keyspace_of(client), name, EXPIRY_SECONDS);
}

/* A member of a series; "" if it has none. */
static void print_member(const json_t *series, const char *name)
{
	const char *text = json_string_value(json_object_get(series, name));

	print_text(text ? text : "");
	printf(", ");
}

static void print_samples(
	const struct client *client, const char *id, const char *name, const json_t *series)
{
	json_int_t segment = json_integer_value(json_object_get(series, "segment"));
	const json_t *sample;
	size_t i;

	json_array_foreach(json_object_get(series, "samples"), i, sample)
	{
		double seconds = json_number_value(json_array_get(sample, 0));

		printf("INSERT INTO \"%s\".%s (instance, parameter, epoch, life, segment, at, "
		       "value)"
		       " VALUES (",
			keyspace_of(client), name);
		print_text(id);
		printf(", ");
		print_member(series, "parameter");
		print_member(series, "epoch");
		print_member(series, "life");
		printf("%" PRId64 ", %" PRId64 ", %" PRId64 ");\n", (int64_t)segment,
			(int64_t)llround(seconds * 1000),
			(int64_t)json_integer_value(json_array_get(sample, 1)));
	}
}

static int dump_metric(struct client *client, const char *name, const json_t *window)
{
	const char *id = client->arguments[0];
	json_t *args = json_deep_copy(window), *data;
	const json_t *series;
	size_t i;

	json_object_set_new(args, "id", json_string(id));
	json_object_set_new(args, "metric", json_string(name));
	data = client_ask(client, "series", args);
	if (!data)
		return EXIT_FAILED;
	print_table(client, name);
	json_array_foreach(json_object_get(data, "series"), i, series)
	{
		print_samples(client, id, name, series);
	}
	json_decref(data);
	return EXIT_DONE;
}

int command_dump(struct client *client)
{
	struct error err = { 0 };
	int status = EXIT_DONE;
	json_t *window;

	if (client->argument_count != 1 || !client->is_cql)
		return client_complain(client, "dump: expected --cql and ID");
	window = json_object();
	if (client_window(client, DUMP_FROM, window, &err) < 0)
		status = client_complain(client, "%s", err.text);
	for (size_t i = 0; i < metric_count() && status == EXIT_DONE; i++)
		if (metric_at(i)->is_specified)
			status = dump_metric(client, metric_at(i)->name, window);
	json_decref(window);
	return status;
}
