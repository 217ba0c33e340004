/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The side of kanyun-api. Each question takes a line (line.h) from a small stock, so that threads
 * do not wait for each other. */

#include "store/remote/remote.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/remote/codec.h"
#include "store/remote/line.h"

enum { LINES_KEPT = 16, ARENA_MAX = 1024 * 1024 * 1024 };

struct stock {
	struct line *lines[LINES_KEPT];
	size_t count;
};

struct remote_store {
	struct store store;
	const char *program;
	int64_t timeout_ms;
	struct hosts hosts;
	pthread_mutex_t lock;           /* guards all below */
	size_t first;                   /* the host that is asked first */
	struct stock stocks[HOSTS_MAX]; /* one a host */
};

/* NULL: there is none. */
static struct line *take_line(struct remote_store *remote, size_t host)
{
	struct stock *stock = &remote->stocks[host];
	struct line *line;

	pthread_mutex_lock(&remote->lock);
	line = stock->count ? stock->lines[--stock->count] : NULL;
	pthread_mutex_unlock(&remote->lock);
	return line;
}

static void give_line(struct remote_store *remote, size_t host, struct line *line)
{
	struct stock *stock = &remote->stocks[host];

	pthread_mutex_lock(&remote->lock);
	if (stock->count < LINES_KEPT) {
		stock->lines[stock->count++] = line;
		line = NULL;
	}
	pthread_mutex_unlock(&remote->lock);
	line_free(line);
}

static size_t first_host(struct remote_store *remote)
{
	size_t first;

	pthread_mutex_lock(&remote->lock);
	first = remote->first;
	pthread_mutex_unlock(&remote->lock);
	return first;
}

static void set_first_host(struct remote_store *remote, size_t host)
{
	pthread_mutex_lock(&remote->lock);
	remote->first = host % remote->hosts.count;
	pthread_mutex_unlock(&remote->lock);
}

/* One question, one answer of three frames or more. A line that was kept may have ended long ago,
 * which says nothing of who is there now. */
static enum line_outcome exchange(struct remote_store *remote, size_t host, const char *body,
	int64_t timeout_ms, zmsg_t **ret_answer)
{
	enum line_outcome outcome = LINE_UNREACHABLE;
	bool is_new = false;

	while (outcome == LINE_UNREACHABLE && !is_new) {
		struct line *line = take_line(remote, host);

		is_new = !line;
		if (is_new)
			line = line_new(&remote->hosts.items[host]);
		if (!line)
			break;
		outcome = line_ask(line, body, timeout_ms, ret_answer);
		if (outcome == LINE_ANSWERED)
			give_line(remote, host, line);
		else
			line_free(line);
	}
	return outcome;
}

static json_t *parse_answer(zmsg_t *message)
{
	zframe_t *frame;

	zmsg_first(message);
	zmsg_next(message);
	frame = zmsg_next(message);
	return frame ? json_loadb((char *)zframe_data(frame), zframe_size(frame), 0, NULL) : NULL;
}

/* What somebody answered. */
struct heard {
	zmsg_t *message; /* the frames; its cursor stands on the JSON */
	json_t *answer;  /* NULL: nobody did */
};

static void heard_deinit(struct heard *heard)
{
	zmsg_destroy(&heard->message);
	json_decref(heard->answer);
	heard->answer = NULL;
}
CLEANUP_DEFINE_VALUE(struct heard, heard_deinit)

static int ask_host(struct remote_store *remote, size_t host, const char *body,
	struct heard *ret_heard, struct error *err)
{
	char endpoint[HOST_ENDPOINT_SIZE];
	const struct host *asked = &remote->hosts.items[host];
	struct heard heard = { 0 };

	host_endpoint(asked, asked->port, endpoint);
	switch (exchange(remote, host, body, remote->timeout_ms, &heard.message)) {
	case LINE_UNREACHABLE:
		return error_set(err, STORE_UNAVAILABLE, "%s at %s does not answer: no connection",
			remote->program, endpoint);
	case LINE_SILENT:
		set_first_host(remote, host + 1);
		return error_set(
			err, -ETIMEDOUT, "%s at %s does not answer", remote->program, endpoint);
	case LINE_ANSWERED:
		break;
	}
	heard.answer = parse_answer(heard.message);
	if (!json_is_integer(json_object_get(heard.answer, "code"))) {
		heard_deinit(&heard);
		return error_set(err, -EBADMSG, "%s answers what is no answer", endpoint);
	}
	heard_deinit(ret_heard);
	*ret_heard = heard;
	return 0;
}

static bool is_unavailable(const json_t *answer)
{
	return json_integer_value(json_object_get(answer, "code")) == ANSWER_UNAVAILABLE;
}

/* One after the other, until one can answer; else what the last one says that is there. */
static int ask_hosts(
	struct remote_store *remote, const char *body, struct heard *heard, struct error *err)
{
	size_t first = first_host(remote);
	int r = STORE_UNAVAILABLE;

	for (size_t i = 0; i < remote->hosts.count; i++) {
		size_t host = (first + i) % remote->hosts.count;

		r = ask_host(remote, host, body, heard, err);
		if (r == 0 && !is_unavailable(heard->answer)) {
			if (host != first)
				set_first_host(remote, host);
			return 0;
		}
		if (r < 0)
			break;
	}
	if (r >= 0 && heard->answer)
		return 0;
	return r == -ETIMEDOUT ? STORE_UNAVAILABLE : r;
}

static char *question_body(const char *method, const json_t *args)
{
	json_t *question = json_pack("{s:s, s:O?}", "method", method, "args", (json_t *)args);
	char *body = question ? json_dumps(question, JSON_COMPACT) : NULL;

	json_decref(question);
	return body;
}

/* *ret_message keeps the frames; its cursor stands on the JSON. */
static int ask(struct remote_store *remote, const char *method, const json_t *args,
	zmsg_t **ret_message, json_t **ret_answer, struct error *err)
{
	CLEANUP(string_free) char *body = question_body(method, args);
	CLEANUP(heard_deinit) struct heard heard = { 0 };
	int r;

	if (!body)
		return -ENOMEM;
	r = ask_hosts(remote, body, &heard, err);
	if (r != 0)
		return r;
	*ret_message = heard.message;
	*ret_answer = heard.answer;
	heard = (struct heard){ 0 };
	return 0;
}

int remote_store_ask(struct store *store, const char *method, const json_t *args,
	json_t **ret_answer, struct error *err)
{
	zmsg_t *message;
	int r = ask((struct remote_store *)store, method, args, &message, ret_answer, err);

	if (r == 0)
		zmsg_destroy(&message);
	return r;
}

void remote_store_ask_each(struct store *store, const char *method, int64_t timeout_ms,
	remote_each_fn each, void *context)
{
	struct remote_store *remote = (struct remote_store *)store;
	CLEANUP(string_free) char *body = question_body(method, NULL);

	for (size_t i = 0; body && i < remote->hosts.count; i++) {
		CLEANUP(heard_deinit) struct heard heard = { 0 };
		const struct host *host = &remote->hosts.items[i];
		char endpoint[HOST_ENDPOINT_SIZE];

		if (exchange(remote, i, body, timeout_ms, &heard.message) == LINE_ANSWERED)
			heard.answer = parse_answer(heard.message);
		host_endpoint(host, host->port, endpoint);
		each(context, endpoint + strlen("tcp://"), heard.answer);
	}
}

/* What a code of the server means to a caller of the store. */
static int outcome_of(const json_t *answer, struct error *err)
{
	const char *text = json_string_value(json_object_get(answer, "message"));
	int64_t code = json_integer_value(json_object_get(answer, "code"));

	if (code == ANSWER_SUCCESS)
		return 0;
	error_set(err, 0, "%s", text ? text : "kanyun-server failed");
	if (code == ANSWER_TOO_LARGE)
		return STORE_TOO_MUCH;
	return code == ANSWER_UNAVAILABLE ? STORE_UNAVAILABLE : -EIO;
}

/* Asks a method whose answer carries bytes, and takes `args` over. */
static int ask_bytes(struct store *store, const char *method, json_t *args, zmsg_t **ret_message,
	struct cursor *ret_cursor, struct error *err)
{
	zmsg_t *message = NULL;
	json_t *answer;
	zframe_t *frame;
	int r;

	if (!args)
		return -ENOMEM;
	r = ask((struct remote_store *)store, method, args, &message, &answer, err);
	json_decref(args);
	if (r != 0)
		return r;
	r = outcome_of(answer, err);
	json_decref(answer);
	frame = zmsg_next(message);
	if (r != 0) {
		zmsg_destroy(&message);
		return r;
	}
	*ret_message = message;
	/* An answer without anything in it has no frame of bytes. */
	*ret_cursor =
		frame ? cursor_over(zframe_data(frame), zframe_size(frame)) : cursor_over(NULL, 0);
	return 0;
}

static int set_key(json_t *args, const struct instance_key *key)
{
	char text[UUID_TEXT_SIZE];

	return json_object_set_new(args, key->has_uuid ? "uuid" : "key_name",
		json_string(instance_key_text(key, text)));
}

/* To whom an answer's parts are handed on; one of the functions is given. */
struct listing {
	store_instance_fn instance;
	store_series_fn series;
	store_latest_fn latest;
	store_source_fn source;
	store_record_fn record;
	void *context;
};

static int take_instance(struct cursor *cursor, struct arena *arena, const struct listing *listing)
{
	struct store_instance instance;
	int r = codec_read_instance(cursor, arena, &instance);

	return r == 0 && listing->instance(listing->context, &instance) ? STORE_STOPPED : r;
}

static int take_series(struct cursor *cursor, struct arena *arena, const struct listing *listing)
{
	struct store_series series;
	int r = codec_read_series(cursor, arena, &series);

	return r == 0 && listing->series(listing->context, &series) ? STORE_STOPPED : r;
}

static int take_latest(struct cursor *cursor, struct arena *arena, const struct listing *listing)
{
	struct store_latest latest;
	int r = codec_read_latest(cursor, arena, &latest);

	return r == 0 && listing->latest(listing->context, &latest) ? STORE_STOPPED : r;
}

static int take_source(struct cursor *cursor, struct arena *arena, const struct listing *listing)
{
	struct store_source source;
	int r = codec_read_source(cursor, arena, &source);

	return r == 0 && listing->source(listing->context, &source) ? STORE_STOPPED : r;
}

static int take_record(struct cursor *cursor, struct arena *arena, const struct listing *listing)
{
	struct store_record record;
	int r = codec_read_record(cursor, arena, &record);

	return r == 0 && listing->record(listing->context, &record) ? STORE_STOPPED : r;
}

static int take_one(struct cursor *cursor, struct arena *arena, const struct listing *listing)
{
	if (listing->instance)
		return take_instance(cursor, arena, listing);
	if (listing->series)
		return take_series(cursor, arena, listing);
	if (listing->latest)
		return take_latest(cursor, arena, listing);
	return listing->source ? take_source(cursor, arena, listing)
			       : take_record(cursor, arena, listing);
}

/* Asks, and hands on what comes, one by one. Takes `args` over. */
static int list(struct store *store, const char *method, json_t *args,
	const struct listing *listing, struct error *err)
{
	CLEANUP(arena_deinit) struct arena arena;
	struct cursor cursor;
	zmsg_t *message;
	int r;

	arena_init(&arena, ARENA_MAX);
	r = ask_bytes(store, method, args, &message, &cursor, err);
	if (r != 0)
		return r;
	while (r == 0 && cursor_left(&cursor)) {
		arena_clear(&arena);
		r = take_one(&cursor, &arena, listing);
	}
	zmsg_destroy(&message);
	return r;
}

static int remote_instances(struct store *store, const struct store_filter *filter,
	store_instance_fn each, void *context, struct error *err)
{
	const struct listing listing = { .instance = each, .context = context };
	json_t *args = json_pack(
		"{s:s?, s:I}", "name", filter->name, "groups", (json_int_t)filter->groups);

	if (args && filter->key)
		set_key(args, filter->key);
	return list(store, "store.instances", args, &listing, err);
}

static int remote_scan(struct store *store, const struct store_scan *scan, store_series_fn each,
	void *context, struct error *err)
{
	const struct listing listing = { .series = each, .context = context };
	json_t *args = json_pack("{s:i, s:I, s:s?, s:I, s:I, s:I}", "group", (int)scan->group,
		"columns", (json_int_t)scan->columns, "parameter", scan->parameter, "from",
		(json_int_t)scan->from_ms, "to", (json_int_t)scan->to_ms, "maximum",
		(json_int_t)scan->maximum);
	json_t *edges = scan->edges_ms ? json_array() : NULL;

	for (size_t i = 0; edges && i < scan->edge_count; i++)
		json_array_append_new(edges, json_integer(scan->edges_ms[i]));
	if (args && edges)
		json_object_set_new(args, "edges", edges);

	if (args)
		set_key(args, &scan->instance);
	return list(store, "store.scan", args, &listing, err);
}

static int remote_latest(struct store *store, const struct store_recent *recent,
	store_latest_fn each, void *context, struct error *err)
{
	const struct listing listing = { .latest = each, .context = context };
	json_t *columns = json_array();

	for (unsigned int group = 0; group < _METRIC_GROUP_COUNT; group++)
		json_array_append_new(columns, json_integer(recent->columns[group]));
	return list(store, "store.latest",
		json_pack("{s:I, s:o, s:I, s:I}", "from", (json_int_t)recent->from_ms, "columns",
			columns, "count", (json_int_t)recent->count, "maximum",
			(json_int_t)recent->maximum),
		&listing, err);
}

static int remote_sources(struct store *store, const char *host, const char *worker,
	store_source_fn each, void *context, struct error *err)
{
	const struct listing listing = { .source = each, .context = context };

	return list(store, "store.sources",
		json_pack("{s:s?, s:s?}", "host", host, "worker", worker), &listing, err);
}

static int remote_records(struct store *store, const char *kind, const char *prefix,
	store_record_fn each, void *context, struct error *err)
{
	const struct listing listing = { .record = each, .context = context };

	return list(store, "store.records", json_pack("{s:s, s:s}", "kind", kind, "prefix", prefix),
		&listing, err);
}

/* Only records, whose values are texts, one by one. */
static int remote_append(struct store *store, const struct store_commit *commit,
	struct store_tally *ret_tally, struct error *err)
{
	int r = 0;

	if (commit->batch_count || commit->source_count)
		return error_set(
			err, -EROFS, "a store that is read through the server takes no readings");
	for (size_t i = 0; i < commit->record_count && r == 0; i++) {
		const struct store_record *record = &commit->records[i];
		struct cursor ignored;
		zmsg_t *message;

		r = ask_bytes(store, "store.put",
			json_pack("{s:s, s:s, s:s%}", "kind", record->kind, "key", record->key,
				"value", record->value, record->size),
			&message, &ignored, err);
		if (r == 0)
			zmsg_destroy(&message);
	}
	return r;
}

static void remote_close(struct store *store)
{
	struct remote_store *remote = (struct remote_store *)store;

	for (size_t i = 0; i < remote->hosts.count; i++)
		for (size_t j = 0; j < remote->stocks[i].count; j++)
			line_free(remote->stocks[i].lines[j]);
	pthread_mutex_destroy(&remote->lock);
	free(remote);
}

static const struct store_ops remote_ops = {
	.name = "remote",
	.append = remote_append,
	.sources = remote_sources,
	.records = remote_records,
	.instances = remote_instances,
	.scan = remote_scan,
	.latest = remote_latest,
	.close = remote_close,
};

int remote_store_new(
	const struct remote_options *options, struct store **ret_store, struct error *err)
{
	struct remote_store *remote = calloc(1, sizeof(*remote));
	int r;

	if (!remote)
		return -ENOMEM;
	remote->store.ops = &remote_ops;
	remote->program = options->program;
	remote->timeout_ms = options->timeout_ms;
	pthread_mutex_init(&remote->lock, NULL);
	r = hosts_parse(options->hosts, &remote->hosts, err);
	if (r < 0) {
		remote_close(&remote->store);
		return r;
	}
	for (size_t i = 0; i < remote->hosts.count; i++)
		if (!remote->hosts.items[i].port)
			remote->hosts.items[i].port = options->port;
	*ret_store = &remote->store;
	return 0;
}
