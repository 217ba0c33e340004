/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cli/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/time-text.h"
#include "base/when.h"
#include "cli/terminal.h"
#include "store/remote/remote.h"

#define INTERVAL "5s"

enum { INTERVAL_MIN_MS = 1000, INTERVAL_MAX_MS = 24 * 3600 * 1000 };

int client_open(struct client *client, struct error *err)
{
	const struct remote_options options = { "kanyun-api",
		config_text(client->config, "client", "api_host"),
		(uint16_t)config_integer(client->config, "client", "api_port"),
		config_integer(client->config, "client", "timeout") * 1000 };
	int r = remote_store_new(&options, &client->api, err);

	return r == -EINVAL ? error_prefix(err, r, "[client] api_host") : r;
}

void client_close(struct client *client)
{
	store_free(client->api);
	config_free(client->config);
}

int client_try(struct client *client, const char *method, json_t *args, json_t **ret_data,
	struct error *err)
{
	json_t *answer = NULL;
	const char *message;
	int code, r = remote_store_ask(client->api, method, args, &answer, err);

	json_decref(args);
	if (r != 0)
		return r > 0 && !*err->text ? error_set(err, r, "no answer") : r;
	code = (int)json_integer_value(json_object_get(answer, "code"));
	message = json_string_value(json_object_get(answer, "message"));
	if (code == 0)
		*ret_data = json_incref(json_object_get(answer, "data"));
	else
		(void)error_set(err, code, "%s", message ? message : "unknown error");
	json_decref(answer);
	if (code == 0 && !*ret_data)
		return error_set(err, -EBADMSG, "the answer has no data");
	return code;
}

json_t *client_ask(struct client *client, const char *method, json_t *args)
{
	struct error err = { 0 };
	json_t *data = NULL;
	int r = client_try(client, method, args, &data, &err);

	if (r != 0) {
		terminal_progress_end();
		fprintf(stderr, "%s: %s\n", client->program, error_text(&err, r));
	}
	return r == 0 ? data : NULL;
}

int client_complain(const struct client *client, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s: ", client->program);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\nTry '%s --help'.\n", client->program);
	return EXIT_USAGE;
}

int client_show(
	struct client *client, const char *method, json_t *args, void (*print)(const json_t *data))
{
	json_t *data = client_ask(client, method, args);

	if (!data)
		return EXIT_FAILED;
	if (client->is_json)
		return client_print_json(data);
	print(data);
	json_decref(data);
	return EXIT_DONE;
}

int client_print_json(json_t *data)
{
	json_dumpf(data, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
	putchar('\n');
	json_decref(data);
	return EXIT_DONE;
}

json_t *client_ids(struct client *client,
	bool (*is_wanted)(const json_t *instance, const void *context), const void *context)
{
	json_t *args = json_object(), *ids = json_array(), *instances, *instance;
	size_t i;

	if (client->project)
		json_object_set_new(args, "project_id", json_string(client->project));
	instances = client_ask(client, "instances", args);
	json_array_foreach(instances, i, instance)
	{
		if (!is_wanted || is_wanted(instance, context))
			json_array_append(ids, json_object_get(instance, "id"));
	}
	if (!instances) {
		json_decref(ids);
		return NULL;
	}
	json_decref(instances);
	return ids;
}

static int set_time(json_t *args, const char *name, const char *option, const char *text,
	int64_t now_ms, struct error *err)
{
	char exact[TIME_TEXT_SIZE]; /* keeps milliseconds */
	int64_t ms;
	int r = when_parse(text, now_ms, &ms);

	if (r < 0)
		return error_set(err, r,
			"--%s '%s' is no time; expected ISO 8601, seconds since 1970, now, today, "
			"this-month, or an age like -30m, -24h, -7d",
			option, text);
	return json_object_set_new(args, name, json_string(time_text_format(ms, exact))) < 0
		       ? -ENOMEM
		       : 0;
}

int client_time(
	json_t *args, const char *name, const char *option, const char *text, struct error *err)
{
	return set_time(args, name, option, text, clock_wall_ms(clock_system()), err);
}

int client_interval(const struct client *client, int64_t *ret_ms, struct error *err)
{
	const char *text = client->interval ? client->interval : INTERVAL;
	int64_t ms;

	if (when_parse_span(text, &ms) < 0 || ms < INTERVAL_MIN_MS || ms > INTERVAL_MAX_MS)
		return error_set(err, -EINVAL, "--interval '%s' is no span from 1s to 24h", text);
	*ret_ms = ms;
	return 0;
}

int client_window(
	const struct client *client, const char *fallback_from, json_t *args, struct error *err)
{
	int64_t now_ms = clock_wall_ms(clock_system()); /* one for both */
	int r = set_time(
		args, "from", "from", client->from ? client->from : fallback_from, now_ms, err);

	return r == 0 ? set_time(args, "to", "to", client->to ? client->to : "now", now_ms, err)
		      : r;
}
