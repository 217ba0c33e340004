/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What every command is given: the options of its command line, and kanyun-api to ask. */

#include <jansson.h>
#include <stdbool.h>

#include "base/config.h"
#include "base/error.h"
#include "base/macros.h"
#include "store/store.h"

/* Exit statuses of all commands. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct client {
	const char *program;
	struct config *config;   /* owned */
	const char *config_path; /* "" if only defaults are there */
	struct store *api;       /* owned; the requests of kanyun-api are those of the server */
	bool is_json, is_csv, is_all, is_explained, is_forced, is_once, is_plotted, is_cql;
	/* NULL: not given */
	const char *from, *to, *at, *project, *host, *by, *interval, *sort, *limit, *step;
	char **arguments;
	int argument_count;
};

/* Connects when first asked. 0 or negative. */
MUST_CHECK int client_open(struct client *client, struct error *err);
void client_close(struct client *client);

/* Asks; takes args. Returns the answer's data (owned by the caller), or NULL after it told the
 * person what was wrong. */
json_t *client_ask(struct client *client, const char *method, json_t *args);

/* The same without telling: 0; negative, or the answer's code, with a text. */
MUST_CHECK int client_try(struct client *client, const char *method, json_t *args,
	json_t **ret_data, struct error *err);

/* Says what is wrong with the command line. Returns EXIT_USAGE. */
int client_complain(const struct client *client, const char *format, ...) PRINTF_LIKE(2, 3);

/* Prints JSON for programs, indented. Takes data. Returns EXIT_DONE. */
int client_print_json(json_t *data);

/* Asks, and prints the answer, with `print` unless JSON is wanted. Takes args. Returns the exit
 * status. */
int client_show(
	struct client *client, const char *method, json_t *args, void (*print)(const json_t *data));

typedef int command_fn(struct client *client);
command_fn command_instances, command_usage, command_series, command_workers, command_status,
	command_doctor, command_close, command_closed, command_api_client, command_token,
	command_traffic, command_top, command_dump, command_store;

/* The ids of all instances (of the project, if --project is given) that `is_wanted` wants, NULL:
 * all, as a new array; NULL after it told the person what was wrong. */
json_t *client_ids(struct client *client,
	bool (*is_wanted)(const json_t *instance, const void *context), const void *context);

/* The time of an option as an argument of a method; negative with a text. */
MUST_CHECK int client_time(
	json_t *args, const char *name, const char *option, const char *text, struct error *err);

/* The span of --interval; 5s if it is not given. -EINVAL with a text. */
MUST_CHECK int client_interval(const struct client *client, int64_t *ret_ms, struct error *err);

/* The window of --from and --to as arguments `from` and `to` of a method; negative with a text. */
MUST_CHECK int client_window(
	const struct client *client, const char *fallback_from, json_t *args, struct error *err);
