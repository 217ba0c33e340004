/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun workers: who reads, and whether they are alive. kanyun status: what the server did. */

#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/table.h"

static void print_workers(const json_t *data)
{
	static const char *const heads[] = { "WORKER", "HOST", "ALIVE", "LAST SEEN",
		">SILENT FOR (s)", "TOLD UNTIL", ">CLOCK OFFSET (ms)", "ID IS SHARED" };
	CLEANUP(table_free) struct table *table = table_new(heads, ARRAY_SIZE(heads));
	const json_t *worker;
	size_t i;

	json_array_foreach(data, i, worker)
	{
		table_add_json(table, json_object_get(worker, "id"));
		table_add_json(table, json_object_get(worker, "host"));
		table_add_json(table, json_object_get(worker, "alive"));
		table_add_json(table, json_object_get(worker, "last_seen"));
		table_add_json(table, json_object_get(worker, "silent_seconds"));
		table_add_json(table, json_object_get(worker, "told_until"));
		table_add_json(table, json_object_get(worker, "clock_offset_ms"));
		table_add_json(table, json_object_get(worker, "id_is_shared"));
	}
	table_print(table);
}

/* kanyun workers retire ID [--at TIME] */
static int retire(struct client *client)
{
	json_t *args = json_pack("{s:s}", "id", client->arguments[1]), *data;
	struct error err = { 0 };
	const json_t *host;
	size_t i;

	if (client_time(args, "at", "at", client->at ? client->at : "now", &err) < 0) {
		json_decref(args);
		return client_complain(client, "%s", err.text);
	}
	data = client_ask(client, "retire", args);
	if (!data)
		return EXIT_FAILED;
	if (client->is_json)
		return client_print_json(data);
	json_array_foreach(json_object_get(data, "hosts"), i, host)
		printf("host %s is retired: what ran there ended then at the latest\n",
			json_string_value(host));
	json_decref(data);
	return EXIT_DONE;
}

int command_workers(struct client *client)
{
	if (client->argument_count == 2 && strcmp(client->arguments[0], "retire") == 0)
		return retire(client);
	if (client->argument_count)
		return client_complain(client, "workers: expected nothing, or retire ID");
	if (client->at)
		return client_complain(client, "workers: --at belongs to retire");
	return client_show(client, "workers", json_object(), print_workers);
}

/* All that kanyun-api asks, if there are several: what follows is of the one that answered. */
static void print_servers(const json_t *servers)
{
	static const char *const heads[] = { "SERVER", "ANSWERS", "SINCE", "STORE IS FAILING" };
	CLEANUP(table_free) struct table *table = NULL;
	const json_t *server;
	size_t i;

	if (json_array_size(servers) < 2)
		return;
	table = table_new(heads, ARRAY_SIZE(heads));
	json_array_foreach(servers, i, server)
	{
		table_add_json(table, json_object_get(server, "server"));
		table_add_json(table, json_object_get(server, "answers"));
		table_add_json(table, json_object_get(server, "started"));
		table_add_json(table, json_object_get(server, "store_is_failing"));
	}
	table_print(table);
	printf("\n");
}

static void print_status(const json_t *data)
{
	static const char *const heads[] = { "COUNTER", ">VALUE" };
	CLEANUP(table_free) struct table *table = table_new(heads, ARRAY_SIZE(heads));
	const json_t *workers = json_object_get(data, "workers"), *value;
	json_int_t damaged = json_integer_value(json_object_get(data, "damaged_days"));
	const char *name;

	printf("kanyun-server %s since %s, store %s%s, %" JSON_INTEGER_FORMAT
	       " workers alive, %" JSON_INTEGER_FORMAT " dead\n",
		json_string_value(json_object_get(data, "version")),
		json_string_value(json_object_get(data, "started")),
		json_string_value(json_object_get(data, "store")),
		json_is_true(json_object_get(data, "store_is_failing")) ? " (failing)" : "",
		json_integer_value(json_object_get(workers, "alive")),
		json_integer_value(json_object_get(workers, "dead")));
	if (damaged)
		printf("readings of %" JSON_INTEGER_FORMAT
		       " days are lost: their files were damaged\n",
			damaged);
	printf("\n");
	print_servers(json_object_get(data, "servers"));
	json_object_foreach(json_object_get(data, "counters"), name, value)
	{
		table_add(table, name);
		table_add_json(table, value);
	}
	table_print(table);
}

int command_status(struct client *client)
{
	if (client->argument_count)
		return client_complain(client, "status: no arguments are expected");
	return client_show(client, "status", json_object(), print_status);
}
