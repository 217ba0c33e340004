/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The side of kanyun-server: a request becomes a call of the store, whose callbacks write into the
 * answer's frame of bytes. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/remote/codec.h"
#include "store/remote/remote.h"

enum { SCAN_SAMPLES_MAX = 64 * 1000 * 1000, SCAN_EDGES_MAX = 10000 };

static int write_instance(void *context, const struct store_instance *instance)
{
	codec_write_instance(context, instance);
	return buffer_check(context);
}

static int write_series(void *context, const struct store_series *series)
{
	codec_write_series(context, series);
	return buffer_check(context);
}

static int write_latest(void *context, const struct store_latest *latest)
{
	codec_write_latest(context, latest);
	return buffer_check(context);
}

static int write_source(void *context, const struct store_source *source)
{
	codec_write_source(context, source);
	return buffer_check(context);
}

static int write_record(void *context, const struct store_record *record)
{
	codec_write_record(context, record);
	return buffer_check(context);
}

/* uuid or name; neither is allowed where `is_optional`. */
static int read_key(const struct request *request, bool is_optional, struct instance_key *ret_key,
	bool *ret_given, struct error *err)
{
	const char *uuid, *name;
	int r;

	*ret_key = (struct instance_key){ 0 };
	r = request_text(request, "uuid", "", &uuid, err);
	if (r == 0)
		r = request_text(request, "key_name", "", &name, err);
	if (r < 0)
		return r;
	*ret_given = *uuid || *name;
	if (!*ret_given)
		return is_optional ? 0 : error_set(err, -EINVAL, "argument 'uuid' is missing");
	if (!*uuid) {
		ret_key->name = name;
		return 0;
	}
	ret_key->has_uuid = true;
	if (uuid_parse(uuid, &ret_key->uuid) < 0)
		return error_set(err, -EINVAL, "argument 'uuid' is no UUID");
	return 0;
}

static int answer_instances(struct store *store, const struct request *request,
	struct buffer *payload, struct error *err)
{
	static const int64_t all = 0;
	struct store_filter filter = { 0 };
	struct instance_key key;
	int64_t groups;
	bool has_key;
	int r;

	r = read_key(request, true, &key, &has_key, err);
	if (r == 0)
		r = request_text(request, "name", "", &filter.name, err);
	if (r == 0)
		r = request_integer(request, "groups", 0, UINT32_MAX, &all, &groups, err);
	if (r < 0)
		return r;
	filter.key = has_key ? &key : NULL;
	filter.name = *filter.name ? filter.name : NULL;
	filter.groups = (uint32_t)groups;
	return store_instances(store, &filter, write_instance, payload, err);
}

/* Of each group, as an array; or of one `group`. */
static int read_columns(const struct request *request, struct store_scan *scan, struct error *err)
{
	const json_t *columns = json_object_get(request->args, "columns"), *each;
	int64_t group = 0, one = 0;
	size_t i;
	int r;

	if (json_is_array(columns) && json_array_size(columns) <= _METRIC_GROUP_COUNT) {
		json_array_foreach(columns, i, each) scan->columns[i] =
			(uint32_t)json_integer_value(each);
		return 0;
	}
	r = request_integer(request, "group", 0, _METRIC_GROUP_COUNT - 1, NULL, &group, err);
	if (r == 0)
		r = request_integer(request, "columns", 1, UINT32_MAX, NULL, &one, err);
	if (r == 0)
		scan->columns[group] = (uint32_t)one;
	return r;
}

/* All but its instance. */
static int read_scan(const struct request *request, struct store_scan *scan, struct error *err)
{
	int64_t maximum = 0;
	int r = read_columns(request, scan, err);

	if (r == 0)
		r = request_text(request, "parameter", "", &scan->parameter, err);
	if (r == 0)
		r = request_integer(
			request, "from", INT64_MIN, INT64_MAX, NULL, &scan->from_ms, err);
	if (r == 0)
		r = request_integer(request, "to", INT64_MIN, INT64_MAX, NULL, &scan->to_ms, err);
	if (r == 0)
		r = request_integer(request, "maximum", 0, SCAN_SAMPLES_MAX, NULL, &maximum, err);
	if (r < 0)
		return r;
	scan->thins_states = json_is_true(json_object_get(request->args, "thins_states"));
	scan->maximum = (size_t)maximum;
	if (!*scan->parameter)
		scan->parameter = NULL;
	return 0;
}

/* *ret_edges is the caller's to free. */
static int read_edges(const struct request *request, struct store_scan *scan, int64_t **ret_edges,
	struct error *err)
{
	const json_t *edges = json_object_get(request->args, "edges"), *edge;
	int64_t *times_ms;
	size_t i;

	*ret_edges = NULL;
	if (!edges)
		return 0;
	if (!json_is_array(edges) || json_array_size(edges) > SCAN_EDGES_MAX)
		return error_set(err, -EINVAL, "argument 'edges' is no array, or longer than %d",
			SCAN_EDGES_MAX);
	times_ms = calloc(json_array_size(edges) + 1, sizeof(*times_ms));
	if (!times_ms)
		return -ENOMEM;
	json_array_foreach(edges, i, edge) times_ms[i] = json_integer_value(edge);
	scan->edges_ms = *ret_edges = times_ms;
	scan->edge_count = json_array_size(edges);
	return 0;
}

static int answer_scan(struct store *store, const struct request *request, struct buffer *payload,
	struct error *err)
{
	struct store_scan scan = { 0 };
	int64_t *edges = NULL;
	bool has_key;
	int r = read_key(request, false, &scan.instance, &has_key, err);

	if (r == 0)
		r = read_scan(request, &scan, err);
	if (r == 0)
		r = read_edges(request, &scan, &edges, err);
	if (r == 0)
		r = store_scan(store, &scan, write_series, payload, err);
	free(edges);
	return r;
}

/* *ret_keys is the caller's to free. */
static int read_instances(const struct request *request, struct instance_key **ret_keys,
	size_t *ret_count, struct error *err)
{
	const json_t *instances = json_object_get(request->args, "instances"), *each;
	struct instance_key *keys;
	size_t i;
	int r = 0;

	*ret_keys = NULL;
	*ret_count = json_array_size(instances);
	if (!json_is_array(instances) || *ret_count > SURVEY_INSTANCES_MAX)
		return error_set(err, -EINVAL,
			"argument 'instances' is no array, or longer than %d",
			SURVEY_INSTANCES_MAX);
	*ret_keys = keys = calloc(*ret_count + 1, sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	json_array_foreach(instances, i, each)
	{
		const char *text = json_string_value(each);

		keys[i].has_uuid = true;
		if (!text || uuid_parse(text, &keys[i].uuid) < 0)
			r = error_set(err, -EINVAL, "argument 'instances' has what is no UUID");
	}
	return r;
}

static int write_numbered(void *context, size_t instance, const struct store_series *series)
{
	buffer_write_varint(context, instance);
	return write_series(context, series);
}

static int answer_survey(struct store *store, const struct request *request, struct buffer *payload,
	struct error *err)
{
	struct store_scan scan = { 0 };
	struct instance_key *keys = NULL;
	int64_t *edges = NULL;
	size_t count = 0;
	int r = read_scan(request, &scan, err);

	if (r == 0)
		r = read_edges(request, &scan, &edges, err);
	if (r == 0)
		r = read_instances(request, &keys, &count, err);
	if (r == 0)
		r = store_survey(store, keys, count, &scan, write_numbered, payload, err);
	free(edges);
	free(keys);
	return r;
}

static int read_recent(
	const struct request *request, struct store_recent *recent, struct error *err)
{
	const json_t *columns = json_object_get(request->args, "columns"), *each;
	int64_t count = 0, maximum = 0;
	size_t i;
	int r = request_integer(request, "from", INT64_MIN, INT64_MAX, NULL, &recent->from_ms, err);

	if (r == 0)
		r = request_integer(request, "count", 1, RECENT_COUNT_MAX, NULL, &count, err);
	if (r == 0)
		r = request_integer(request, "maximum", 0, SCAN_SAMPLES_MAX, NULL, &maximum, err);
	if (r < 0)
		return r;
	if (!json_is_array(columns) || json_array_size(columns) > _METRIC_GROUP_COUNT)
		return error_set(err, -EINVAL,
			"argument 'columns' is no array, or longer than there are groups");
	json_array_foreach(columns, i, each) recent->columns[i] =
		(uint32_t)json_integer_value(each);
	recent->count = (size_t)count;
	recent->maximum = (size_t)maximum;
	return 0;
}

static int answer_latest(struct store *store, const struct request *request, struct buffer *payload,
	struct error *err)
{
	struct store_recent recent = { 0 };
	int r = read_recent(request, &recent, err);

	return r == 0 ? store_latest(store, &recent, write_latest, payload, err) : r;
}

static int answer_sources(struct store *store, const struct request *request,
	struct buffer *payload, struct error *err)
{
	const char *host, *worker;
	int r = request_text(request, "host", "", &host, err);

	if (r == 0)
		r = request_text(request, "worker", "", &worker, err);
	return r == 0 ? store_sources(store, *host ? host : NULL, *worker ? worker : NULL,
				write_source, payload, err)
		      : r;
}

static int answer_records(struct store *store, const struct request *request,
	struct buffer *payload, struct error *err)
{
	const char *kind, *prefix;
	int r = request_text(request, "kind", NULL, &kind, err);

	if (r == 0)
		r = request_text(request, "prefix", "", &prefix, err);
	return r == 0 ? store_records(store, kind, prefix, write_record, payload, err) : r;
}

static int answer_put(struct store *store, const struct request *request, struct buffer *payload,
	struct error *err)
{
	const json_t *value = json_object_get(request->args, "value");
	struct store_record record = { .value = json_string_value(value),
		.size = json_string_length(value) };
	const struct store_commit commit = { .records = &record, .record_count = 1 };
	struct store_tally ignored;
	int r = request_text(request, "kind", NULL, &record.kind, err);

	if (r == 0)
		r = request_text(request, "key", NULL, &record.key, err);
	if (r == 0 && (!record.value || !*record.kind || !*record.key))
		r = error_set(err, -EINVAL, "a record is a kind, a key and a text as its value");
	return r == 0 ? store_append(store, &commit, &ignored, err) : r;
}

static const struct {
	const char *name;
	int (*answer)(struct store *store, const struct request *request, struct buffer *payload,
		struct error *err);
} methods[] = {
	{ "store.instances", answer_instances },
	{ "store.scan", answer_scan },
	{ "store.survey", answer_survey },
	{ "store.latest", answer_latest },
	{ "store.sources", answer_sources },
	{ "store.records", answer_records },
	{ "store.put", answer_put },
};

const char *remote_method(size_t number)
{
	return number < ARRAY_SIZE(methods) ? methods[number].name : NULL;
}

bool remote_is_method(const char *method)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (strcmp(methods[i].name, method) == 0)
			return true;
	return false;
}

int remote_answer(struct store *store, const struct request *request, struct buffer *payload,
	struct error *err)
{
	int r = -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (strcmp(methods[i].name, request->method) == 0)
			r = methods[i].answer(store, request, payload, err);
	if (r == STORE_STOPPED)
		r = buffer_check(payload);
	return r;
}
