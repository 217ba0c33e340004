/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "api/http/tables.h"

#include "base/macros.h"

#define PLAIN(name)                                                                                \
	{                                                                                          \
		name, FIELD_PLAIN, NULL, false                                                     \
	}
#define AMOUNT(name)                                                                               \
	{                                                                                          \
		name, FIELD_AMOUNT, NULL, false                                                    \
	}
#define TIME(name)                                                                                 \
	{                                                                                          \
		name, FIELD_TIME, NULL, false                                                      \
	}
#define LIST(name, of)                                                                             \
	{                                                                                          \
		name, FIELD_LIST, of, false                                                        \
	}
#define INNER(kind, name)                                                                          \
	{                                                                                          \
		name, FIELD_##kind, NULL, true                                                     \
	}
#define COLUMN(kind, name)                                                                         \
	{                                                                                          \
		name, FIELD_##kind, NULL, false                                                    \
	}

static const struct field of_usage[] = {
	PLAIN("id"),
	PLAIN("name"),
	PLAIN("project_id"),
	PLAIN("flavor"),
	PLAIN("host"),
	PLAIN("metric"),
	PLAIN("parameter"),
	PLAIN("unit"),
	PLAIN("kind"),
	TIME("from"),
	TIME("to"),
	AMOUNT("value"),
	AMOUNT("uncertainty"),
	PLAIN("coverage"),
	PLAIN("covered_ms"),
	PLAIN("window_ms"),
	PLAIN("complete"),
	LIST("reasons", "reason"),
	AMOUNT("min"),
	AMOUNT("max"),
	PLAIN("avg"),
	AMOUNT("last"),
	PLAIN("samples"),
	/* Within reasons and explanations. */
	INNER(TIME, "at"),
	INNER(TIME, "since"),
	INNER(TIME, "start"),
	INNER(SAMPLE, "before"),
	INNER(SAMPLE, "after"),
	INNER(AMOUNT, "counter"),
	INNER(AMOUNT, "usage"),
};

static const struct field of_groups[] = {
	PLAIN("by"),
	PLAIN("group"),
	PLAIN("name"),
	PLAIN("metric"),
	PLAIN("parameter"),
	PLAIN("unit"),
	TIME("from"),
	TIME("to"),
	AMOUNT("value"),
	AMOUNT("uncertainty"),
	PLAIN("coverage"),
	PLAIN("covered_ms"),
	PLAIN("window_ms"),
	PLAIN("complete"),
	LIST("reasons", "reason"),
	PLAIN("instances"),
};

static const struct field of_series[] = {
	PLAIN("id"),
	PLAIN("metric"),
	PLAIN("unit"),
	PLAIN("kind"),
	PLAIN("parameter"),
	PLAIN("epoch"),
	PLAIN("life"),
	PLAIN("segment"),
	TIME("start"),
	TIME("first"),
	TIME("last"),
};

static const struct field of_samples[] = {
	PLAIN("id"),
	PLAIN("metric"),
	PLAIN("unit"),
	PLAIN("parameter"),
	PLAIN("epoch"),
	PLAIN("life"),
	PLAIN("segment"),
	TIME("start"),
	COLUMN(SAMPLE_TIME, "time"),
	COLUMN(SAMPLE_VALUE, "value"),
	INNER(SAMPLES, "samples"),
};

static const struct field of_instances[] = {
	PLAIN("id"),
	PLAIN("name"),
	PLAIN("display_name"),
	PLAIN("host"),
	PLAIN("project_id"),
	PLAIN("project_name"),
	PLAIN("user_id"),
	PLAIN("user_name"),
	PLAIN("flavor_id"),
	PLAIN("flavor_name"),
	PLAIN("image_id"),
	PLAIN("vcpus"),
	PLAIN("memory_mib"),
	PLAIN("disk_gib"),
	LIST("ports", "addresses"),
	TIME("first"),
	TIME("last"),
	LIST("metrics", NULL),
	/* Of one instance. */
	INNER(TIME, "since"),
	INNER(TIME, "begin"),
	INNER(TIME, "end"),
	INNER(TIME, "unseen_from"),
	INNER(TIME, "at"),
};

static const struct field of_workers[] = {
	PLAIN("id"),
	PLAIN("host"),
	PLAIN("alive"),
	TIME("last_seen"),
	PLAIN("silent_seconds"),
	TIME("told_until"),
	PLAIN("clock_offset_ms"),
	PLAIN("spool"),
	PLAIN("id_is_shared"),
};

static const struct field of_metrics[] = {
	PLAIN("name"),
	PLAIN("kind"),
	PLAIN("unit"),
	PLAIN("group"),
	PLAIN("parameter"),
	PLAIN("is_specified"),
	PLAIN("help"),
};

#define TABLE(list, is_of_samples, fields)                                                         \
	{                                                                                          \
		list, is_of_samples, fields, ARRAY_SIZE(fields)                                    \
	}

const struct table table_usage = TABLE("usages", false, of_usage);
const struct table table_groups = TABLE(NULL, false, of_groups);
const struct table table_series = TABLE("series", false, of_series);
const struct table table_samples = TABLE("series", true, of_samples);
const struct table table_instances = TABLE(NULL, false, of_instances);
const struct table table_workers = TABLE(NULL, false, of_workers);
const struct table table_metrics = TABLE(NULL, false, of_metrics);
