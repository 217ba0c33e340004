/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cli/top.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/samples.h"

/* An instance is old after so many of its intervals; where none is known, an interval is this. */
enum { INTERVALS_MAX = 3, INTERVAL_UNKNOWN_MS = 60 * 1000 };

/* By enum top_value: the name for programs, and the metric whose rate or last value it is. */
static const struct {
	const char *name, *metric;
	bool is_gauge;
} values[_TOP_VALUE_COUNT] = {
	[TOP_CPU_PERCENT] = { "cpu_percent", NULL, false },
	[TOP_CORE_PERCENT] = { "core_percent", NULL, false },
	[TOP_MEMORY] = { "memory_kib", "mem_current", true },
	[TOP_MEMORY_MAX] = { "memory_max_kib", "mem_max", true },
	[TOP_MEMORY_FREE] = { "memory_free_kib", "mem_free", true },
	[TOP_NIC_IN] = { "nic_in_per_second", "nic_incoming", false },
	[TOP_NIC_OUT] = { "nic_out_per_second", "nic_outgoing", false },
	[TOP_DISK_READ] = { "disk_read_per_second", "blk_read", false },
	[TOP_DISK_WRITE] = { "disk_write_per_second", "blk_write", false },
	[TOP_EXTERNAL_IN] = { "external_in_per_second", "vmnetwork_in", false },
	[TOP_EXTERNAL_OUT] = { "external_out_per_second", "vmnetwork_out", false },
};

static const struct top_order orders[] = {
	{ "cpu", 'c', 0, TOP_CPU_PERCENT, TOP_CPU_PERCENT },
	{ "core", 0, 0, TOP_CORE_PERCENT, TOP_CORE_PERCENT },
	{ "memory", 'm', 0, TOP_MEMORY, TOP_MEMORY },
	{ "network", 'n', 0, TOP_NIC_IN, TOP_NIC_OUT },
	{ "disk", 'd', 0, TOP_DISK_READ, TOP_DISK_WRITE },
	{ "traffic", 't', 0, TOP_EXTERNAL_IN, TOP_EXTERNAL_OUT },
	{ "name", 0, offsetof(struct top_row, name), 0, 0 },
	{ "project", 0, offsetof(struct top_row, project_id), 0, 0 },
	{ "host", 0, offsetof(struct top_row, host), 0, 0 },
	{ "state", 0, offsetof(struct top_row, state), 0, 0 },
};

static int64_t ms_of(const json_t *seconds)
{
	return llround(json_number_value(seconds) * 1000);
}

static bool is_metric(const json_t *series, const char *metric)
{
	const char *name = json_string_value(json_object_get(series, "metric"));

	return name && strcmp(name, metric) == 0;
}

/* Over all things that are still read: what was read last before since_ms is gone. */
static double sum_of(const json_t *all, const char *metric, bool is_gauge, int64_t since_ms)
{
	const json_t *series, *samples;
	double sum = NAN, value;
	size_t i, count;

	json_array_foreach(all, i, series)
	{
		samples = json_object_get(series, "samples");
		count = json_array_size(samples);
		if (!count || !is_metric(series, metric) ||
			samples_time_ms(samples, count - 1) < since_ms)
			continue;
		value = is_gauge ? (double)samples_value(samples, count - 1)
				 : samples_rate(samples);
		if (isnan(value))
			return NAN;
		sum = isnan(sum) ? value : sum + value;
	}
	return sum;
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static void set_values(struct top_row *row, const json_t *instance, int64_t since_ms)
{
	const json_t *series = json_object_get(instance, "series");
	double ns = sum_of(series, "cpu", false, since_ms);

	row->state = text_of(instance, "state");
	row->values[TOP_CORE_PERCENT] = ns / 1e9 * 100;
	if (row->vcpus > 0)
		row->values[TOP_CPU_PERCENT] = ns / 1e9 * 100 / (double)row->vcpus;
	for (size_t i = 0; i < _TOP_VALUE_COUNT; i++)
		if (values[i].metric)
			row->values[i] =
				sum_of(series, values[i].metric, values[i].is_gauge, since_ms);
}

static void set_row(struct top_row *row, const json_t *instance, int64_t now_ms)
{
	const json_t *interval = json_object_get(instance, "interval"),
		     *vcpus = json_object_get(instance, "vcpus");
	int64_t old_ms =
		INTERVALS_MAX * (json_is_number(interval) ? ms_of(interval) : INTERVAL_UNKNOWN_MS);

	*row = (struct top_row){ .id = text_of(instance, "id"),
		.name = text_of(instance, "name"),
		.display_name = text_of(instance, "display_name"),
		.host = text_of(instance, "host"),
		.project_id = text_of(instance, "project_id"),
		.project_name = text_of(instance, "project_name"),
		.state = "",
		.vcpus = json_is_integer(vcpus) ? json_integer_value(vcpus) : -1,
		.last_ms = ms_of(json_object_get(instance, "last")) };
	row->age_ms = MAX_OF(now_ms - row->last_ms, 0);
	row->is_old = row->age_ms > old_ms;
	for (size_t i = 0; i < _TOP_VALUE_COUNT; i++)
		row->values[i] = NAN;
	if (!row->is_old)
		set_values(row, instance, row->last_ms - old_ms);
}

void top_rows_init(struct top_rows *rows, const json_t *answer)
{
	const json_t *instances = json_object_get(answer, "instances"), *instance;
	int64_t now_ms = ms_of(json_object_get(answer, "now"));
	size_t i;

	*rows = (struct top_rows){ .rows = calloc(
					   json_array_size(instances) + 1, sizeof(*rows->rows)) };
	if (!rows->rows)
		abort();
	json_array_foreach(instances, i, instance)
		set_row(&rows->rows[rows->count++], instance, now_ms);
}

void top_rows_deinit(struct top_rows *rows)
{
	free(rows->rows);
	*rows = (struct top_rows){ 0 };
}

const struct top_order *top_order_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
		if (strcmp(orders[i].name, name) == 0)
			return &orders[i];
	return NULL;
}

const struct top_order *top_order_by_key(char key)
{
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
		if (key && orders[i].key == key)
			return &orders[i];
	return NULL;
}

/* How rows are sorted now. */
struct sorting {
	const struct top_order *order;
	bool is_reversed;
};

/* The known one of two, or their sum. */
static double value_of(const struct top_order *order, const struct top_row *row)
{
	double first = row->values[order->first], second = row->values[order->second];

	if (order->first == order->second || isnan(second))
		return first;
	return isnan(first) ? second : first + second;
}

static const char *text_at(const struct top_order *order, const struct top_row *row)
{
	return *(const char *const *)((const char *)row + order->text);
}

static int compare_known(bool is_known, bool is_other_known)
{
	return is_other_known - is_known;
}

static int compare(const void *a, const void *b, void *context)
{
	const struct sorting *sorting = context;
	const struct top_order *order = sorting->order;
	const struct top_row *left = a, *right = b;
	int known, result;

	if (order->text) {
		const char *one = text_at(order, left), *other = text_at(order, right);

		known = compare_known(*one, *other);
		result = strcmp(one, other);
	} else {
		double one = value_of(order, left), other = value_of(order, right);

		known = compare_known(!isnan(one), !isnan(other));
		result = (one < other) - (one > other);
	}
	if (known)
		return known;
	if (result)
		return sorting->is_reversed ? -result : result;
	result = strcmp(left->name, right->name);
	return result ? result : strcmp(left->id, right->id);
}

void top_rows_sort(struct top_rows *rows, const struct top_order *order, bool is_reversed)
{
	struct sorting sorting = { order, is_reversed };

	qsort_r(rows->rows, rows->count, sizeof(*rows->rows), compare, &sorting);
}

static json_t *value_to_json(double value, bool is_gauge)
{
	if (isnan(value))
		return json_null();
	return is_gauge ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *row_to_json(const struct top_row *row)
{
	json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:f, s:f, s:b}", "id",
		row->id, "name", row->name, "display_name", row->display_name, "project_id",
		row->project_id, "project_name", row->project_name, "host", row->host, "state",
		*row->state ? json_string(row->state) : json_null(), "vcpus",
		row->vcpus >= 0 ? json_integer(row->vcpus) : json_null(), "last",
		(double)row->last_ms / 1000, "age_seconds", (double)row->age_ms / 1000, "is_old",
		row->is_old);

	for (size_t i = 0; i < _TOP_VALUE_COUNT; i++)
		json_object_set_new(
			object, values[i].name, value_to_json(row->values[i], values[i].is_gauge));
	return object;
}

json_t *top_rows_to_json(const struct top_rows *rows, size_t limit)
{
	json_t *array = json_array();

	for (size_t i = 0; i < rows->count && i < limit; i++)
		json_array_append_new(array, row_to_json(&rows->rows[i]));
	return array;
}

/* RFC 4180. */
static void print_quoted(const char *text)
{
	if (!strpbrk(text, ",\"\r\n")) {
		fputs(text, stdout);
		return;
	}
	putchar('"');
	for (; *text; text++)
		fputs(*text == '"' ? "\"\"" : (char[]){ *text, '\0' }, stdout);
	putchar('"');
}

static void print_cell(const json_t *value)
{
	if (json_is_string(value))
		print_quoted(json_string_value(value));
	else if (json_is_integer(value))
		printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		printf("%.3f", json_real_value(value));
	else if (json_is_boolean(value))
		fputs(json_is_true(value) ? "true" : "false", stdout);
}

static void print_line(const json_t *object, bool is_head)
{
	json_t *value;
	const char *name, *before = "";

	json_object_foreach((json_t *)object, name, value)
	{
		fputs(before, stdout);
		if (is_head)
			fputs(name, stdout);
		else
			print_cell(value);
		before = ",";
	}
	fputs("\r\n", stdout);
}

void top_rows_print_csv(const struct top_rows *rows, size_t limit)
{
	const struct top_row none = { "", "", "", "", "", "", "", -1, 0, 0, false, { 0 } };
	json_t *head = row_to_json(&none), *all = top_rows_to_json(rows, limit), *row;
	size_t i;

	print_line(head, true);
	json_array_foreach(all, i, row) print_line(row, false);
	json_decref(all);
	json_decref(head);
}
