/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "api/http/groups.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/methods.h"
#include "model/instance.h"
#include "model/metric.h"

enum { DIGITS_SIZE = 48, KEY_MAX = 4 * INSTANCE_TEXT_MAX };

struct sum {
	json_t *row;   /* what all of its usages have in common */
	size_t metric; /* its place in the table of metrics */
	__int128 value, uncertainty;
	int64_t covered_ms, window_ms;
	int64_t instances;
	bool has_uncertainty, is_incomplete, is_legacy;
	json_t *reasons; /* of how many instances, by kind */
};

struct groups {
	const char *by, *label; /* the word, and the name in a usage; NULL: the instance's id */
	struct sum *groups;
	size_t count, room, next;
	json_t *places; /* key -> index */
};

static const struct {
	const char *by, *label;
} ways[] = {
	{ "instance", NULL },
	{ "project", "project_id" },
	{ "flavor", "flavor" },
	{ "host", "host" },
};

struct groups *groups_new(const char *by)
{
	struct groups *groups;

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		if (strcmp(ways[i].by, by) != 0)
			continue;
		groups = calloc(1, sizeof(*groups));
		if (!groups)
			return NULL;
		groups->by = ways[i].by;
		groups->label = ways[i].label;
		groups->places = json_object();
		return groups;
	}
	return NULL;
}

struct groups *groups_free(struct groups *groups)
{
	if (!groups)
		return NULL;
	for (size_t i = 0; i < groups->count; i++) {
		json_decref(groups->groups[i].row);
		json_decref(groups->groups[i].reasons);
	}
	json_decref(groups->places);
	free(groups->groups);
	free(groups);
	return NULL;
}

const char *groups_argument(const struct groups *groups)
{
	return groups->label ? groups->by : NULL;
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static json_int_t integer_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

/* A step's own time, or the window. */
static json_t *time_of(const json_t *answer, const json_t *usage, const char *name)
{
	json_t *time = json_object_get(usage, name);

	return time ? time : json_object_get(answer, name);
}

static const char *label_of(const struct groups *groups, const json_t *answer, const json_t *usage)
{
	return groups->label ? text_of(usage, groups->label) : text_of(answer, "id");
}

static size_t place_of_metric(const char *name)
{
	size_t place = 0;

	while (place < metric_count() && strcmp(metric_at(place)->name, name) != 0)
		place++;
	return place;
}

static int new_group(struct groups *groups, const char *label, const json_t *answer,
	const json_t *usage, struct error *err)
{
	struct sum *group;

	if (groups->count == GROUPS_MAX)
		return error_set(
			err, -E2BIG, "the answer has more than %d rows; ask for less", GROUPS_MAX);
	if (groups->count == groups->room) {
		size_t room = groups->room * 2 + 64;

		group = reallocarray(groups->groups, room, sizeof(*group));
		if (!group)
			return -ENOMEM;
		groups->groups = group;
		groups->room = room;
	}
	group = &groups->groups[groups->count++];
	*group = (struct sum){ .metric = place_of_metric(text_of(usage, "metric")),
		.has_uncertainty = true,
		.reasons = json_object() };
	group->row = json_pack("{s:s, s:s, s:s, s:O, s:O, s:O, s:O, s:O}", "by", groups->by,
		"group", label, "name", groups->label ? "" : text_of(answer, "name"), "metric",
		json_object_get(usage, "metric"), "parameter", json_object_get(usage, "parameter"),
		"unit", json_object_get(usage, "unit"), "from", time_of(answer, usage, "from"),
		"to", time_of(answer, usage, "to"));
	return group->row && group->reasons ? 0 : -ENOMEM;
}

/* 0 and *ret_group, which stands until the next one is added. */
static int find_group(struct groups *groups, const json_t *answer, const json_t *usage,
	struct sum **ret_group, struct error *err)
{
	const char *label = label_of(groups, answer, usage);
	const json_t *place;
	char key[KEY_MAX];
	int r = 0;

	/* Neither a metric's name nor a number has a slash. */
	snprintf(key, sizeof(key), "%s/%.17g/%zu/%s/%s", text_of(usage, "metric"),
		json_number_value(time_of(answer, usage, "from")),
		strlen(text_of(usage, "parameter")), text_of(usage, "parameter"), label);
	place = json_object_get(groups->places, key);
	if (!place) {
		r = new_group(groups, label, answer, usage, err);
		if (r == 0 && json_object_set_new(groups->places, key,
				      json_integer((json_int_t)groups->count - 1)) < 0)
			r = -ENOMEM;
		place = json_object_get(groups->places, key);
	}
	if (r == 0)
		*ret_group = &groups->groups[json_integer_value(place)];
	return r;
}

/* Each kind once of one usage, however often it stands there. */
static void count_reasons(struct sum *group, const json_t *reasons)
{
	const json_t *reason;
	size_t i;

	json_array_foreach(reasons, i, reason)
	{
		const char *kind = text_of(reason, "reason");
		size_t j = 0;

		while (strcmp(text_of(json_array_get(reasons, j), "reason"), kind) != 0)
			j++;
		if (j == i)
			json_object_set_new(group->reasons, kind,
				json_integer(integer_of(group->reasons, kind) + 1));
	}
}

static void add_usage(struct sum *group, const json_t *usage)
{
	const json_t *uncertainty = json_object_get(usage, "uncertainty");
	const json_t *complete = json_object_get(usage, "complete");

	group->value += integer_of(usage, "value");
	group->uncertainty += json_integer_value(uncertainty);
	group->has_uncertainty = group->has_uncertainty && json_is_integer(uncertainty);
	group->covered_ms += integer_of(usage, "covered_ms");
	group->window_ms += integer_of(usage, "window_ms");
	group->is_incomplete = group->is_incomplete || json_is_false(complete);
	group->is_legacy = group->is_legacy || json_is_null(complete);
	group->instances++;
	count_reasons(group, json_object_get(usage, "reasons"));
}

int groups_add(struct groups *groups, const json_t *answer, struct error *err)
{
	const json_t *usage;
	struct sum *group;
	int r = 0;
	size_t i;

	json_array_foreach(json_object_get(answer, "usages"), i, usage)
	{
		if (r == 0)
			r = find_group(groups, answer, usage, &group, err);
		if (r == 0)
			add_usage(group, usage);
	}
	return r;
}

static int compare_groups(const void *a, const void *b)
{
	const struct sum *one = a, *other = b;
	int order = strcmp(text_of(one->row, "group"), text_of(other->row, "group"));
	double from, other_from;

	if (order == 0)
		order = (one->metric > other->metric) - (one->metric < other->metric);
	if (order == 0)
		order = strcmp(text_of(one->row, "parameter"), text_of(other->row, "parameter"));
	if (order != 0)
		return order;
	from = json_number_value(json_object_get(one->row, "from"));
	other_from = json_number_value(json_object_get(other->row, "from"));
	return (from > other_from) - (from < other_from);
}

void groups_sort(struct groups *groups)
{
	if (groups->count)
		qsort(groups->groups, groups->count, sizeof(*groups->groups), compare_groups);
}

/* An integer, or its digits where jansson has none so large. Sums are not negative. */
static json_t *sum_to_json(__int128 sum)
{
	char digits[DIGITS_SIZE], *first = digits + sizeof(digits) - 1;

	if (sum <= INT64_MAX)
		return json_integer((json_int_t)sum);
	*first = '\0';
	for (; sum; sum /= 10)
		*--first = (char)('0' + (int)(sum % 10));
	return json_string(first);
}

static json_t *count_to_json(const struct sum *group)
{
	json_t *array = json_array(), *count;
	const char *kind;

	json_object_foreach(group->reasons, kind, count) json_array_append_new(
		array, json_pack("{s:s, s:O}", "reason", kind, "instances", count));
	return array;
}

json_t *groups_next(struct groups *groups)
{
	const struct sum *group;
	json_t *row;

	if (groups->next == groups->count)
		return NULL;
	group = &groups->groups[groups->next++];
	row = json_incref(group->row);
	json_object_set_new(row, "value", sum_to_json(group->value));
	json_object_set_new(row, "uncertainty",
		group->has_uncertainty ? sum_to_json(group->uncertainty) : json_null());
	json_object_set_new(row, "coverage",
		ratio_to_json(group->covered_ms, MAX_OF(group->window_ms, INT64_C(1))));
	json_object_set_new(row, "covered_ms", json_integer(group->covered_ms));
	json_object_set_new(row, "window_ms", json_integer(group->window_ms));
	json_object_set_new(row, "complete",
		group->is_incomplete ? json_false()
		: group->is_legacy   ? json_null()
				     : json_true());
	json_object_set_new(row, "reasons", count_to_json(group));
	json_object_set_new(row, "instances", json_integer(group->instances));
	return row;
}
