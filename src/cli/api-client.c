/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* api-client, api_client: every form of the specification.
 *
 *     METRIC                                         the instances that have it (also -l METRIC)
 *     -k ID                                          all readings of an instance
 *     ID METRIC [PARAMETER]                          its readings of a metric
 *     ID METRIC PARAMETER STATISTIC PERIOD FROM [TO] a statistic over periods of minutes */

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/client.h"

/* In the order in which the specification's client prints them. */
static const char *const metric_order[] = { "vmnetwork", "mem_max", "mem_free", "nic_incoming",
	"nic_outgoing", "blk_read", "blk_write", "cpu", "cpu_percent" };

static void print_line(const char *before, const json_t *value)
{
	fputs(before, stdout);
	json_dumpf(value, stdout, JSON_ENCODE_ANY);
}

static int list(struct client *client, const char *metric)
{
	json_t *data = client_ask(client, "list_instance", json_pack("{s:s}", "metric", metric));
	const json_t *id;
	size_t i;

	if (!data)
		return EXIT_FAILED;
	json_array_foreach(data, i, id) puts(json_string_value(id));
	json_decref(data);
	return EXIT_DONE;
}

static int show_all(struct client *client, const char *id)
{
	json_t *data = client_ask(client, "readings", json_pack("{s:s}", "id", id));

	if (!data)
		return EXIT_FAILED;
	for (size_t i = 0; i < ARRAY_SIZE(metric_order); i++) {
		const json_t *metric = json_object_get(data, metric_order[i]);

		if (!metric)
			continue;
		printf("%s: %s, ", metric_order[i], id);
		print_line("", metric);
		putchar('\n');
	}
	json_decref(data);
	return EXIT_DONE;
}

static int show_metric(
	struct client *client, const char *id, const char *metric, const char *parameter)
{
	json_t *args = json_pack("{s:s, s:s}", "id", id, "metric", metric), *data, *value;
	const char *name;

	if (parameter)
		json_object_set_new(args, "metric_param", json_string(parameter));
	data = client_ask(client, "readings", args);
	if (!data)
		return EXIT_FAILED;
	json_object_foreach(data, name, value)
	{
		printf("%s, ", id);
		print_line("", value);
		putchar('\n');
	}
	json_decref(data);
	return EXIT_DONE;
}

static int show_statistic(struct client *client, char **arguments, int count)
{
	int64_t period;
	json_t *data;

	if (text_to_i64(arguments[4], &period) < 0)
		return client_complain(
			client, "the period '%s' is no number of minutes", arguments[4]);
	data = client_ask(client, "query_usage_report",
		json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s}", "id", arguments[0], "metric",
			arguments[1], "metric_param", arguments[2], "statistic", arguments[3],
			"period", (json_int_t)period, "timestamp_from", arguments[5],
			"timestamp_to", count > 6 ? arguments[6] : "0"));
	if (!data)
		return EXIT_FAILED;
	print_line("[ ", data);
	puts(" ]");
	json_decref(data);
	return EXIT_DONE;
}

int command_api_client(struct client *client)
{
	char **arguments = client->arguments;
	int count = client->argument_count;

	if (count == 2 && strcmp(arguments[0], "-k") == 0)
		return show_all(client, arguments[1]);
	if (count == 2 && strcmp(arguments[0], "-l") == 0)
		return list(client, arguments[1]);
	if (count == 1 && arguments[0][0] != '-')
		return list(client, arguments[0]);
	if (count == 2 || count == 3)
		return show_metric(client, arguments[0], arguments[1], arguments[2]);
	if (count == 6 || count == 7)
		return show_statistic(client, arguments, count);
	return client_complain(client,
		"expected METRIC, -l METRIC, -k ID, ID METRIC [PARAMETER], or "
		"ID METRIC PARAMETER STATISTIC PERIOD FROM [TO]");
}
