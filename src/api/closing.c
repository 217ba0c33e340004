/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Closed months. The figures of each instance are kept as they were answered when the month was
 * closed, one record an instance; the month's own record, which closes it, has the SHA-256 of all
 * of them. Nothing changes them afterwards: what later data would change is told beside them.
 *
 *     record "closed/2026-10", key: the instance's id, value: {"id", "name", "usages"}
 *     record "closed",         key: "2026-10",         value: {"month", "closed", "digest", ...}
 */

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "api/methods.h"
#include "base/time-text.h"
#include "query/closing.h"
#include "store/horizon.h"

enum {
	FIGURES_MAX = 128 * 1024, /* of one instance; a question to the server holds it */
	DAY_MS = 24 * 60 * 60 * 1000,
};

struct month {
	const char *text;
	char kind[64];
	int64_t from_ms, to_ms;
};

static int read_month(const struct request *request, struct month *ret_month, struct error *err)
{
	int r = request_text(request, "month", NULL, &ret_month->text, err);

	if (r < 0)
		return r;
	if (time_text_parse_month(ret_month->text, &ret_month->from_ms, &ret_month->to_ms) < 0)
		return error_set(err, -EINVAL,
			"argument 'month' is '%s'; expected one like 2026-10", ret_month->text);
	snprintf(ret_month->kind, sizeof(ret_month->kind), CLOSED_KIND "/%s", ret_month->text);
	return 0;
}

static json_t *parse(const struct store_record *record)
{
	return json_loadb(record->value, record->size, 0, NULL);
}

struct finding {
	const char *key;
	json_t *found;
};

static int take_record(void *context, const struct store_record *record)
{
	struct finding *finding = context;

	if (strcmp(record->key, finding->key) != 0)
		return 0;
	finding->found = parse(record);
	return 1;
}

/* *ret_found is NULL if there is none. */
static int find_record(const struct methods *methods, const char *kind, const char *key,
	json_t **ret_found, struct error *err)
{
	struct finding finding = { key, NULL };
	int r = store_records(methods->store, kind, key, take_record, &finding, err);

	*ret_found = finding.found;
	return r == STORE_STOPPED ? 0 : r;
}

static int put_record(const struct methods *methods, const char *kind, const char *key,
	const json_t *value, struct error *err)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
	const struct store_record record = { kind, key, text, text ? strlen(text) : 0 };
	const struct store_commit commit = {
		.records = &record, .record_count = 1, .now_ms = clock_wall_ms(methods->clock)
	};
	struct store_tally ignored;
	int r = -ENOMEM;

	if (text && record.size > FIGURES_MAX)
		r = error_set(err, -EMSGSIZE, "the figures of '%s' are too long to be kept", key);
	else if (text)
		r = store_append(methods->store, &commit, &ignored, err);
	free(text);
	return r;
}

/* What a month's question is answered now, split by project. */
static int ask_usage(const struct methods *methods, const char *id, const struct month *month,
	json_t **ret_answer, struct error *err)
{
	struct request question = { 0 };
	int r;

	question.args =
		json_pack("{s:s, s:o, s:o, s:s}", "id", id, "from", seconds_to_json(month->from_ms),
			"to", seconds_to_json(month->to_ms), "by", "project");
	r = question.args ? method_usage(methods, &question, ret_answer, err) : -ENOMEM;
	json_decref(question.args);
	return r;
}

/* The figures that are kept of an answer. */
static json_t *figures_of(const json_t *answer, size_t *ret_incomplete)
{
	static const char *const kept[] = { "metric", "parameter", "unit", "project_id", "value",
		"uncertainty", "covered_ms", "complete" };
	json_t *usages = json_array(), *usage, *figure;
	size_t i;

	*ret_incomplete = 0;
	json_array_foreach(json_object_get(answer, "usages"), i, usage)
	{
		figure = json_object();
		for (size_t j = 0; j < ARRAY_SIZE(kept); j++)
			json_object_set(figure, kept[j], json_object_get(usage, kept[j]));
		*ret_incomplete += json_is_false(json_object_get(usage, "complete"));
		json_array_append_new(usages, figure);
	}
	return json_pack("{s:O, s:O, s:o}", "id", json_object_get(answer, "id"), "name",
		json_object_get(answer, "name"), "usages", usages);
}

static int refuse_closed(
	const struct methods *methods, const struct month *month, struct error *err)
{
	json_t *closed;
	int r = find_record(methods, CLOSED_KIND, month->text, &closed, err);

	if (r == 0 && closed)
		r = error_set(err, QUERY_AMBIGUOUS, "%s is closed already", month->text);
	json_decref(closed);
	return r;
}

/* Keeps one instance's figures, unless some may still change and `force` is not given. */
static int close_instance(const struct methods *methods, const struct request *request,
	const struct month *month, const char *id, json_t **ret_data, struct error *err)
{
	bool is_forced = json_is_true(json_object_get(request->args, "force"));
	json_t *answer = NULL, *figures = NULL;
	size_t incomplete = 0;
	bool is_kept;
	int r = ask_usage(methods, id, month, &answer, err);

	if (r == 0)
		figures = figures_of(answer, &incomplete);
	is_kept = incomplete == 0 || is_forced;
	if (r == 0 && is_kept)
		r = put_record(methods, month->kind,
			json_string_value(json_object_get(figures, "id")), figures, err);
	if (r == 0)
		*ret_data = json_pack("{s:O, s:O, s:I, s:I, s:b}", "id",
			json_object_get(figures, "id"), "name", json_object_get(figures, "name"),
			"usages", (json_int_t)json_array_size(json_object_get(figures, "usages")),
			"incomplete", (json_int_t)incomplete, "kept", is_kept);
	json_decref(answer);
	json_decref(figures);
	return r;
}

/* All figures of a month, in the order of their ids. */
struct counting {
	EVP_MD_CTX *digest;
	size_t instances, incomplete;
	json_t *ids;
};

static int count_figures(void *context, const struct store_record *record)
{
	struct counting *counting = context;
	json_t *figures = parse(record), *usage;
	size_t i;

	EVP_DigestUpdate(counting->digest, record->key, strlen(record->key));
	EVP_DigestUpdate(counting->digest, "\n", 1);
	EVP_DigestUpdate(counting->digest, record->value, record->size);
	EVP_DigestUpdate(counting->digest, "\n", 1);
	counting->instances++;
	json_array_foreach(json_object_get(figures, "usages"), i, usage) counting->incomplete +=
		json_is_false(json_object_get(usage, "complete"));
	json_array_append_new(counting->ids, json_string(record->key));
	json_decref(figures);
	return 0;
}

static void format_digest(EVP_MD_CTX *context, char text[2 * EVP_MAX_MD_SIZE + 1])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int size = 0;

	EVP_DigestFinal_ex(context, digest, &size);
	for (unsigned int i = 0; i < size; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

/* {"month", "digest", "instances", "incomplete", "ids"} of what is kept. */
static int count_month(const struct methods *methods, const struct month *month,
	json_t **ret_counted, struct error *err)
{
	struct counting counting = { .digest = EVP_MD_CTX_new(), .ids = json_array() };
	char text[2 * EVP_MAX_MD_SIZE + 1] = "";
	int r = -ENOMEM;

	if (counting.digest && EVP_DigestInit_ex(counting.digest, EVP_sha256(), NULL))
		r = store_records(methods->store, month->kind, "", count_figures, &counting, err);
	if (r == 0) {
		format_digest(counting.digest, text);
		*ret_counted = json_pack("{s:s, s:s, s:I, s:I, s:O}", "month", month->text,
			"digest", text, "instances", (json_int_t)counting.instances, "incomplete",
			(json_int_t)counting.incomplete, "ids", counting.ids);
	}
	EVP_MD_CTX_free(counting.digest);
	json_decref(counting.ids);
	return r;
}

struct checking {
	const struct month *month;
	const json_t *ids;
	char missing[INSTANCE_TEXT_MAX + 1];
};

/* The ids are those of count_month: in the order of their bytes. */
static bool is_listed(const json_t *ids, const char *id)
{
	size_t from = 0, to = json_array_size(ids);

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int order = strcmp(json_string_value(json_array_get(ids, middle)), id);

		if (order == 0)
			return true;
		if (order < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return false;
}

static bool is_in_month(const struct month *month, const struct store_instance *instance)
{
	return instance->first_ms < month->to_ms && instance->last_ms >= month->from_ms;
}

/* Instances under a name of old workers may belong to a UUID: then that one is listed. */
static int check_instance(void *context, const struct store_instance *instance)
{
	struct checking *checking = context;
	char text[UUID_TEXT_SIZE];
	const char *id = instance_key_text(&instance->key, text);

	if (!instance->key.has_uuid || !is_in_month(checking->month, instance) ||
		is_listed(checking->ids, id))
		return 0;
	snprintf(checking->missing, sizeof(checking->missing), "%s", id);
	return 1;
}

static int close_month(const struct methods *methods, const struct month *month, json_t **ret_data,
	struct error *err)
{
	const struct store_filter everyone = { 0 };
	struct checking checking = { .month = month };
	char closed[TIME_TEXT_SIZE];
	json_t *counted = NULL;
	int r = count_month(methods, month, &counted, err);

	checking.ids = json_object_get(counted, "ids");
	if (r == 0)
		r = store_instances(methods->store, &everyone, check_instance, &checking, err);
	if (r == STORE_STOPPED)
		r = error_set(err, -EINVAL, "%s cannot be closed: the figures of '%s' are not kept",
			month->text, checking.missing);
	if (r == 0) {
		json_object_del(counted, "ids");
		json_object_set_new(counted, "closed",
			json_string(time_text_format(clock_wall_ms(methods->clock), closed)));
		r = put_record(methods, CLOSED_KIND, month->text, counted, err);
	}
	if (r == 0)
		*ret_data = json_incref(counted);
	json_decref(counted);
	return r;
}

/* Has retention deleted any of the month's data, or of the day before it, which its first usage is
 * subtracted from? To be asked after the data: what was deleted meanwhile is known, too. */
static int check_deleted(const struct methods *methods, const struct month *month,
	bool *ret_is_deleted, struct error *err)
{
	int64_t horizon_ms;
	int r = horizon_read(methods->store, &horizon_ms, err);

	*ret_is_deleted = r == 0 && horizon_ms > month->from_ms - DAY_MS;
	return r;
}

static int refuse_deleted(
	const struct methods *methods, const struct month *month, struct error *err)
{
	bool is_deleted;
	int r = check_deleted(methods, month, &is_deleted, err);

	return r == 0 && is_deleted
		       ? error_set(err, -EINVAL,
				 "readings of %s, or of the day before it, were deleted "
				 "(retention_days); it can no longer be closed",
				 month->text)
		       : r;
}

int method_close(const struct methods *methods, const struct request *request, json_t **ret_data,
	struct error *err)
{
	struct month month;
	const char *id;
	int r = read_month(request, &month, err);

	if (r == 0)
		r = request_text(request, "id", "", &id, err);
	if (r == 0 && month.to_ms > clock_wall_ms(methods->clock))
		r = error_set(err, -EINVAL, "%s is not over yet", month.text);
	if (r == 0)
		r = refuse_closed(methods, &month, err);
	if (r == 0)
		r = refuse_deleted(methods, &month, err);
	if (r != 0)
		return r;
	return *id ? close_instance(methods, request, &month, id, ret_data, err)
		   : close_month(methods, &month, ret_data, err);
}

static const json_t *same_figure(const json_t *usages, const json_t *like)
{
	static const char *const names[] = { "metric", "parameter", "project_id" };
	const json_t *usage;
	size_t i, same;

	json_array_foreach(usages, i, usage)
	{
		for (same = 0; same < ARRAY_SIZE(names); same++)
			if (!json_equal((json_t *)json_object_get(usage, names[same]),
				    (json_t *)json_object_get(like, names[same])))
				break;
		if (same == ARRAY_SIZE(names))
			return usage;
	}
	return NULL;
}

static void add_adjustment(json_t *array, const json_t *figure, json_int_t kept, json_int_t now)
{
	if (kept == now)
		return;
	json_array_append_new(array, json_pack("{s:O, s:O, s:O, s:O, s:I, s:I, s:I}", "metric",
					     json_object_get(figure, "metric"), "parameter",
					     json_object_get(figure, "parameter"), "unit",
					     json_object_get(figure, "unit"), "project_id",
					     json_object_get(figure, "project_id"), "closed", kept,
					     "now", now, "adjustment", now - kept));
}

/* What is answered now, less what was kept. */
static json_t *adjustments_of(const json_t *kept, const json_t *now)
{
	json_t *array = json_array();
	const json_t *figure, *other;
	size_t i;

	json_array_foreach(now, i, figure)
	{
		other = same_figure(kept, figure);
		add_adjustment(array, figure, json_integer_value(json_object_get(other, "value")),
			json_integer_value(json_object_get(figure, "value")));
	}
	json_array_foreach(kept, i, figure)
	{
		if (!same_figure(now, figure))
			add_adjustment(array, figure,
				json_integer_value(json_object_get(figure, "value")), 0);
	}
	return array;
}

/* An instance whose data came only after the month was closed had nothing then. */
static int find_figures(const struct methods *methods, const struct month *month,
	const json_t *answer, json_t **ret_kept, struct error *err)
{
	const char *id = json_string_value(json_object_get(answer, "id"));
	json_t *closed = NULL;
	int r = find_record(methods, month->kind, id, ret_kept, err);

	if (r != 0 || *ret_kept)
		return r;
	r = find_record(methods, CLOSED_KIND, month->text, &closed, err);
	if (r == 0 && !closed)
		r = error_set(err, QUERY_NOT_FOUND, "%s has no figures of '%s'", month->text, id);
	if (r == 0)
		*ret_kept = json_pack("{s:s, s:O, s:[]}", "id", id, "name",
			json_object_get(answer, "name"), "usages");
	json_decref(closed);
	return r;
}

/* Adds to the kept figures what is answered now besides; of data that are deleted, nothing. */
static int add_adjustments(const struct methods *methods, const struct month *month,
	const json_t *answer, json_t *kept, struct error *err)
{
	bool is_deleted;
	int r = check_deleted(methods, month, &is_deleted, err);

	if (r != 0)
		return r;
	json_object_set_new(kept, "is_data_deleted", json_boolean(is_deleted));
	json_object_set_new(kept, "adjustments",
		is_deleted ? json_array()
			   : adjustments_of(json_object_get(kept, "usages"),
				     json_object_get(answer, "usages")));
	return 0;
}

static int show_instance(const struct methods *methods, const struct month *month, const char *id,
	json_t **ret_data, struct error *err)
{
	json_t *answer = NULL, *kept = NULL;
	int r = ask_usage(methods, id, month, &answer, err);

	if (r == 0)
		r = find_figures(methods, month, answer, &kept, err);
	if (r == 0)
		r = add_adjustments(methods, month, answer, kept, err);
	if (r == 0)
		*ret_data = json_incref(kept);
	json_decref(answer);
	json_decref(kept);
	return r;
}

/* The ids of instances with samples in a month that may not be among the kept ones. */
struct late {
	const struct month *month;
	const json_t *kept;
	json_t *ids;
};

static int note_late(void *context, const struct store_instance *instance)
{
	struct late *late = context;
	char text[UUID_TEXT_SIZE];
	const char *id = instance_key_text(&instance->key, text);

	if (is_in_month(late->month, instance) && !is_listed(late->kept, id))
		json_array_append_new(late->ids, json_string(id));
	return 0;
}

/* Adds to `ids` those whose data came only after the month was closed. A name of an old worker may
 * belong to a UUID, which is what is listed then. */
static int add_late(
	const struct methods *methods, const struct month *month, json_t *ids, struct error *err)
{
	const struct store_filter everyone = { 0 };
	struct late late = { month, ids, json_array() };
	json_t *added = json_array(), *id;
	int r = store_instances(methods->store, &everyone, note_late, &late, err);
	size_t i;

	json_array_foreach(late.ids, i, id)
	{
		CLEANUP(identity_deinit) struct identity identity = { 0 };

		if (r == 0)
			r = identity_find(methods->store, json_string_value(id), &identity, err);
		if (r == 0 && !is_listed(ids, identity.id) &&
			strcmp(identity.id, json_string_value(id)) == 0)
			json_array_append(added, id);
	}
	json_array_extend(ids, added);
	json_decref(late.ids);
	json_decref(added);
	return r;
}

/* The month's record, whether its figures still are what was closed, and all ids of which there are
 * figures or adjustments. */
static int show_month(const struct methods *methods, const struct month *month, json_t **ret_data,
	struct error *err)
{
	json_t *closed = NULL, *counted = NULL;
	bool is_deleted = false;
	int r = find_record(methods, CLOSED_KIND, month->text, &closed, err);

	if (r == 0 && !closed)
		r = error_set(err, QUERY_NOT_FOUND, "%s is not closed", month->text);
	if (r == 0)
		r = count_month(methods, month, &counted, err);
	if (r == 0)
		r = add_late(methods, month, json_object_get(counted, "ids"), err);
	if (r == 0)
		r = check_deleted(methods, month, &is_deleted, err);
	if (r == 0) {
		json_object_set_new(closed, "is_intact",
			json_boolean(json_equal(json_object_get(closed, "digest"),
				json_object_get(counted, "digest"))));
		json_object_set_new(closed, "is_data_deleted", json_boolean(is_deleted));
		json_object_set(closed, "ids", json_object_get(counted, "ids"));
		*ret_data = json_incref(closed);
	}
	json_decref(closed);
	json_decref(counted);
	return r;
}

static int list_month(void *context, const struct store_record *record)
{
	json_array_append_new(context, parse(record));
	return 0;
}

int method_closed(const struct methods *methods, const struct request *request, json_t **ret_data,
	struct error *err)
{
	struct month month;
	const char *id;
	int r = request_text(request, "id", "", &id, err);

	if (r == 0 && !json_object_get(request->args, "month")) {
		*ret_data = json_array();
		return store_records(methods->store, CLOSED_KIND, "", list_month, *ret_data, err);
	}
	if (r == 0)
		r = read_month(request, &month, err);
	if (r != 0)
		return r;
	return *id ? show_instance(methods, &month, id, ret_data, err)
		   : show_month(methods, &month, ret_data, err);
}
