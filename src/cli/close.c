/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun close: keeps a month's figures, instance by instance, then the month. kanyun closed: shows
 * them. */

#include <stdio.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/table.h"

/* What came of the instances so far. */
struct progress {
	size_t done, all, open; /* open: with figures that may still change */
	bool is_shown;
};

static void show_progress(const struct progress *progress, const char *month)
{
	if (progress->is_shown)
		fprintf(stderr, "\r%s: %zu of %zu instances", month, progress->done, progress->all);
	if (progress->is_shown && progress->done == progress->all)
		fputc('\n', stderr);
}

static int close_instance(
	struct client *client, const char *month, const json_t *id, struct progress *progress)
{
	json_t *data = client_ask(client, "close",
		json_pack("{s:s, s:O, s:b}", "month", month, "id", id, "force", client->is_forced));

	if (!data)
		return EXIT_FAILED;
	progress->done++;
	if (!json_is_true(json_object_get(data, "kept"))) {
		progress->open++;
		fprintf(stderr, "%s%s (%s): %" JSON_INTEGER_FORMAT " figures may still change\n",
			progress->is_shown ? "\r" : "",
			json_string_value(json_object_get(data, "name")),
			json_string_value(json_object_get(data, "id")),
			json_integer_value(json_object_get(data, "incomplete")));
	}
	show_progress(progress, month);
	json_decref(data);
	return EXIT_DONE;
}

static int close_instances(struct client *client, const char *month, const json_t *ids)
{
	struct progress progress = { .all = json_array_size(ids),
		.is_shown = isatty(STDERR_FILENO) };
	const json_t *id;
	size_t i;

	json_array_foreach(ids, i, id)
	{
		if (close_instance(client, month, id, &progress) != EXIT_DONE)
			return EXIT_FAILED;
	}
	if (!progress.open)
		return EXIT_DONE;
	fprintf(stderr,
		"%s: %s is not closed: %zu of %zu instances may still change. 'kanyun usage' says "
		"why; 'kanyun workers retire' gives up dead hosts; --force closes all the same.\n",
		client->program, month, progress.open, progress.all);
	return EXIT_FAILED;
}

static void print_month(const json_t *data)
{
	printf("%s closed %s: %" JSON_INTEGER_FORMAT " instances, %" JSON_INTEGER_FORMAT
	       " figures could still change then\nSHA-256 %s\n",
		json_string_value(json_object_get(data, "month")),
		json_string_value(json_object_get(data, "closed")),
		json_integer_value(json_object_get(data, "instances")),
		json_integer_value(json_object_get(data, "incomplete")),
		json_string_value(json_object_get(data, "digest")));
}

int command_close(struct client *client)
{
	json_t *ids;
	int status;

	if (client->argument_count != 1)
		return client_complain(client, "close: expected MONTH, as 2026-10");
	ids = client_ids(client, NULL, NULL);
	status = ids ? close_instances(client, client->arguments[0], ids) : EXIT_FAILED;
	json_decref(ids);
	if (status != EXIT_DONE)
		return status;
	return client_show(
		client, "close", json_pack("{s:s}", "month", client->arguments[0]), print_month);
}

static const json_t *find_figure(const json_t *figures, const json_t *like)
{
	static const char *const names[] = { "metric", "parameter", "project_id" };
	const json_t *figure;
	size_t i, same;

	json_array_foreach(figures, i, figure)
	{
		for (same = 0; same < ARRAY_SIZE(names); same++)
			if (!json_equal((json_t *)json_object_get(figure, names[same]),
				    (json_t *)json_object_get(like, names[same])))
				break;
		if (same == ARRAY_SIZE(names))
			return figure;
	}
	return NULL;
}

/* `without` stands where there is no adjustment. */
static void add_row(struct table *table, const json_t *figure, const json_t *closed,
	const json_t *adjustment, const char *without)
{
	table_add_json(table, json_object_get(figure, "project_id"));
	table_add_json(table, json_object_get(figure, "metric"));
	table_add_json(table, json_object_get(figure, "parameter"));
	table_add_json(table, closed);
	table_add_json(table, json_object_get(figure, "unit"));
	if (adjustment)
		table_add_json(table, json_object_get(adjustment, "adjustment"));
	else
		table_add(table, without);
}

static void print_deletion(const json_t *data)
{
	if (json_is_true(json_object_get(data, "is_data_deleted")))
		printf("readings of this month were deleted (retention): no adjustments are "
		       "known\n");
}

/* Figures as they were closed, and beside them what is to be added; then what was not there. */
static void print_instance(const json_t *data)
{
	static const char *const heads[] = { "PROJECT", "METRIC", "PARAMETER", ">CLOSED", "UNIT",
		">ADJUSTMENT" };
	CLEANUP(table_free) struct table *table = table_new(heads, ARRAY_SIZE(heads));
	const json_t *usages = json_object_get(data, "usages");
	const json_t *adjustments = json_object_get(data, "adjustments"), *figure;
	bool is_deleted = json_is_true(json_object_get(data, "is_data_deleted"));
	size_t i;

	printf("%s (%s)\n", json_string_value(json_object_get(data, "name")),
		json_string_value(json_object_get(data, "id")));
	print_deletion(data);
	json_array_foreach(usages, i, figure)
		add_row(table, figure, json_object_get(figure, "value"),
			find_figure(adjustments, figure), is_deleted ? "-" : "0");
	json_array_foreach(adjustments, i, figure)
	{
		if (!find_figure(usages, figure))
			add_row(table, figure, json_object_get(figure, "closed"), figure, "0");
	}
	table_print(table);
}

static void print_months(const json_t *data)
{
	const json_t *month;
	size_t i;

	json_array_foreach(data, i, month) print_month(month);
	if (json_array_size(data) == 0)
		printf("no month is closed\n");
}

/* The month's digest, computed again: a figure that was changed since makes the command fail. */
static int print_whole_month(const json_t *data)
{
	const json_t *id;
	size_t i;

	print_month(data);
	print_deletion(data);
	json_array_foreach(json_object_get(data, "ids"), i, id)
		printf("%s\n", json_string_value(id));
	if (json_is_true(json_object_get(data, "is_intact")))
		return EXIT_DONE;
	printf("THE FIGURES ARE NOT WHAT WAS CLOSED: their digest is another one\n");
	return EXIT_FAILED;
}

int command_closed(struct client *client)
{
	json_t *args = json_object(), *data;
	int status = EXIT_DONE;

	if (client->argument_count > 2) {
		json_decref(args);
		return client_complain(client, "closed: expected [MONTH [ID]]");
	}
	if (client->argument_count > 0)
		json_object_set_new(args, "month", json_string(client->arguments[0]));
	if (client->argument_count > 1)
		json_object_set_new(args, "id", json_string(client->arguments[1]));
	data = client_ask(client, "closed", args);
	if (!data)
		return EXIT_FAILED;
	if (client->is_json)
		return client_print_json(data);
	if (client->argument_count == 0)
		print_months(data);
	else if (client->argument_count == 1)
		status = print_whole_month(data);
	else
		print_instance(data);
	json_decref(data);
	return status;
}
