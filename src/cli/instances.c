/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun instances: what is metered. */

#include "cli/client.h"
#include "cli/table.h"

static void print_table(const json_t *data)
{
	static const char *const heads[] = { "ID", "NAME", "HOST", "DISPLAY NAME", "PROJECT",
		"FLAVOR", ">VCPUS", "FIRST", "LAST" };
	CLEANUP(table_free) struct table *table = table_new(heads, ARRAY_SIZE(heads));
	const json_t *instance;
	size_t i;

	json_array_foreach(data, i, instance)
	{
		table_add_json(table, json_object_get(instance, "id"));
		table_add_json(table, json_object_get(instance, "name"));
		table_add_json(table, json_object_get(instance, "host"));
		table_add_json(table, json_object_get(instance, "display_name"));
		table_add_json(table, json_object_get(instance, "project_name"));
		table_add_json(table, json_object_get(instance, "flavor_name"));
		table_add_json(table, json_object_get(instance, "vcpus"));
		table_add_time(table, json_object_get(instance, "first"));
		table_add_time(table, json_object_get(instance, "last"));
	}
	table_print(table);
}

int command_instances(struct client *client)
{
	json_t *args;

	if (client->argument_count > 1)
		return client_complain(client, "instances: at most one ID is expected");
	args = json_object();
	if (client->argument_count == 1)
		json_object_set_new(args, "id", json_string(client->arguments[0]));
	if (client->project)
		json_object_set_new(args, "project_id", json_string(client->project));
	return client_show(client, "instances", args, print_table);
}
