/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun series: the samples themselves. */

#include "cli/client.h"
#include "cli/table.h"

#define SERIES_FROM "-1h"

static void print_table(const json_t *data)
{
	static const char *const heads[] = { "TIME", "PARAMETER", "EPOCH", ">VALUE", "UNIT" };
	CLEANUP(table_free) struct table *table = table_new(heads, ARRAY_SIZE(heads));
	const json_t *series, *sample;
	size_t i, j;

	json_array_foreach(json_object_get(data, "series"), i, series)
	{
		json_array_foreach(json_object_get(series, "samples"), j, sample)
		{
			table_add_time(table, json_array_get(sample, 0));
			table_add_json(table, json_object_get(series, "parameter"));
			table_add_json(table, json_object_get(series, "epoch"));
			table_add_json(table, json_array_get(sample, 1));
			table_add_json(table, json_object_get(data, "unit"));
		}
	}
	table_print(table);
}

int command_series(struct client *client)
{
	json_t *args;
	struct error err = { 0 };

	if (client->argument_count < 2 || client->argument_count > 3)
		return client_complain(client, "series: expected ID METRIC [PARAMETER]");
	args = json_pack("{s:s, s:s}", "id", client->arguments[0], "metric", client->arguments[1]);
	if (client->argument_count == 3)
		json_object_set_new(args, "parameter", json_string(client->arguments[2]));
	if (client_window(client, SERIES_FROM, args, &err) < 0) {
		json_decref(args);
		return client_complain(client, "%s", err.text);
	}
	return client_show(client, "series", args, print_table);
}
