/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The side of kanyun-api. Each question takes a REQ socket from a small stock, so that threads do
 * not wait for each other; a socket whose answer did not come is closed, since REQ may not ask
 * again before it is answered. */

#include "store/remote/remote.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/remote/codec.h"

enum { SOCKETS_KEPT = 16, ARENA_MAX = 1024 * 1024 * 1024 };

struct remote_store {
	struct store store;
	char *endpoint;
	int64_t timeout_ms;
	pthread_mutex_t lock; /* guards the stock */
	zsock_t *stock[SOCKETS_KEPT];
	size_t stock_count;
};

static zsock_t *take_socket(struct remote_store *remote)
{
	zsock_t *socket = NULL;

	pthread_mutex_lock(&remote->lock);
	if (remote->stock_count)
		socket = remote->stock[--remote->stock_count];
	pthread_mutex_unlock(&remote->lock);
	if (socket)
		return socket;
	socket = zsock_new(ZMQ_REQ);
	if (!socket)
		return NULL;
	zsock_set_linger(socket, 0);
	zsock_set_sndtimeo(socket, (int)remote->timeout_ms);
	zsock_set_rcvtimeo(socket, (int)remote->timeout_ms);
	zsock_set_maxmsgsize(socket, ANSWER_SIZE_MAX);
	if (zsock_connect(socket, "%s", remote->endpoint) < 0)
		zsock_destroy(&socket);
	return socket;
}

static void give_socket(struct remote_store *remote, zsock_t *socket)
{
	pthread_mutex_lock(&remote->lock);
	if (remote->stock_count < SOCKETS_KEPT) {
		remote->stock[remote->stock_count++] = socket;
		socket = NULL;
	}
	pthread_mutex_unlock(&remote->lock);
	zsock_destroy(&socket);
}

/* One question, one answer of three frames or more; NULL when none came in time. */
static zmsg_t *exchange(struct remote_store *remote, const char *body)
{
	zsock_t *socket = take_socket(remote);
	zmsg_t *answer = NULL;

	if (!socket)
		return NULL;
	if (zstr_sendx(socket, "kanyun", "", body, NULL) == 0)
		answer = zmsg_recv(socket);
	if (answer)
		give_socket(remote, socket);
	else
		zsock_destroy(&socket);
	return answer;
}

static json_t *parse_answer(zmsg_t *message)
{
	zframe_t *frame;

	zmsg_first(message);
	zmsg_next(message);
	frame = zmsg_next(message);
	return frame ? json_loadb((char *)zframe_data(frame), zframe_size(frame), 0, NULL) : NULL;
}

/* *ret_message keeps the frames; its cursor stands on the JSON. */
static int ask(struct remote_store *remote, const char *method, const json_t *args,
	zmsg_t **ret_message, json_t **ret_answer, struct error *err)
{
	json_t *question = json_pack("{s:s, s:O?}", "method", method, "args", (json_t *)args);
	char *body = question ? json_dumps(question, JSON_COMPACT) : NULL;
	zmsg_t *message;
	json_t *answer;

	json_decref(question);
	if (!body)
		return -ENOMEM;
	message = exchange(remote, body);
	free(body);
	if (!message)
		return error_set(err, STORE_UNAVAILABLE, "kanyun-server at %s does not answer",
			remote->endpoint);
	answer = parse_answer(message);
	if (!json_is_integer(json_object_get(answer, "code"))) {
		json_decref(answer);
		zmsg_destroy(&message);
		return error_set(err, -EBADMSG, "%s answers what is no answer", remote->endpoint);
	}
	*ret_message = message;
	*ret_answer = answer;
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
	store_survey_fn survey;
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

static int take_numbered(struct cursor *cursor, struct arena *arena, const struct listing *listing)
{
	size_t instance = cursor_read_size(cursor, SURVEY_INSTANCES_MAX);
	struct store_series series;
	int r = codec_read_series(cursor, arena, &series);

	return r == 0 && listing->survey(listing->context, instance, &series) ? STORE_STOPPED : r;
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
	if (listing->survey)
		return take_numbered(cursor, arena, listing);
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

static json_t *columns_to_json(const uint32_t columns[_METRIC_GROUP_COUNT])
{
	json_t *array = json_array();

	for (unsigned int group = 0; group < _METRIC_GROUP_COUNT; group++)
		json_array_append_new(array, json_integer(columns[group]));
	return array;
}

/* All but its instance. */
static json_t *scan_to_json(const struct store_scan *scan)
{
	json_t *args = json_pack("{s:o, s:s?, s:I, s:I, s:b, s:I}", "columns",
		columns_to_json(scan->columns), "parameter", scan->parameter, "from",
		(json_int_t)scan->from_ms, "to", (json_int_t)scan->to_ms, "thins_states",
		(int)scan->thins_states, "maximum", (json_int_t)scan->maximum);
	json_t *edges = scan->edges_ms ? json_array() : NULL;

	for (size_t i = 0; edges && i < scan->edge_count; i++)
		json_array_append_new(edges, json_integer(scan->edges_ms[i]));
	if (args && edges)
		json_object_set_new(args, "edges", edges);
	return args;
}

static int remote_scan(struct store *store, const struct store_scan *scan, store_series_fn each,
	void *context, struct error *err)
{
	const struct listing listing = { .series = each, .context = context };
	json_t *args = scan_to_json(scan);

	if (args)
		set_key(args, &scan->instance);
	return list(store, "store.scan", args, &listing, err);
}

/* All of them have UUIDs. */
static int remote_survey(struct store *store, const struct instance_key *instances, size_t count,
	const struct store_scan *scan, store_survey_fn each, void *context, struct error *err)
{
	const struct listing listing = { .survey = each, .context = context };
	json_t *args = scan_to_json(scan), *keys = json_array();
	char text[UUID_TEXT_SIZE];

	for (size_t i = 0; i < count; i++)
		json_array_append_new(keys, json_string(instance_key_text(&instances[i], text)));
	if (args)
		json_object_set(args, "instances", keys);
	json_decref(keys);
	return list(store, "store.survey", args, &listing, err);
}

static int remote_latest(struct store *store, const struct store_recent *recent,
	store_latest_fn each, void *context, struct error *err)
{
	const struct listing listing = { .latest = each, .context = context };

	return list(store, "store.latest",
		json_pack("{s:I, s:o, s:I, s:I}", "from", (json_int_t)recent->from_ms, "columns",
			columns_to_json(recent->columns), "count", (json_int_t)recent->count,
			"maximum", (json_int_t)recent->maximum),
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

	for (size_t i = 0; i < remote->stock_count; i++)
		zsock_destroy(&remote->stock[i]);
	pthread_mutex_destroy(&remote->lock);
	free(remote->endpoint);
	free(remote);
}

static const struct store_ops remote_ops = {
	.name = "remote",
	.append = remote_append,
	.sources = remote_sources,
	.records = remote_records,
	.instances = remote_instances,
	.scan = remote_scan,
	.survey = remote_survey,
	.latest = remote_latest,
	.close = remote_close,
};

int remote_store_new(
	const char *endpoint, int64_t timeout_ms, struct store **ret_store, struct error *err)
{
	struct remote_store *remote = calloc(1, sizeof(*remote));

	if (!remote)
		return -ENOMEM;
	remote->store.ops = &remote_ops;
	remote->timeout_ms = timeout_ms;
	pthread_mutex_init(&remote->lock, NULL);
	remote->endpoint = strdup(endpoint);
	if (!remote->endpoint) {
		remote_close(&remote->store);
		return -ENOMEM;
	}
	*ret_store = &remote->store;
	return 0;
}
