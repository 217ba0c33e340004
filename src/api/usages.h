/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What usages.c, usage-parts.c and usage-reasons.c share. */

#include "api/methods.h"
#include "api/projects.h"
#include "query/summary.h"

enum {
	USAGE_STEPS_MAX = 10 * 1000,
	USAGE_PARTS_MAX = 200 * 1000, /* steps of all labels */
};

enum usage_by { BY_NOTHING, BY_PROJECT, BY_FLAVOR, BY_HOST };

/* How a window is to be split. */
struct usage_split {
	enum usage_by by;
	struct projects projects; /* only the time as theirs */
	int64_t step_ms;          /* 0: one step is all */
	bool has_hostless;        /* something is of no known host: an old worker's, by "" */
};

/* A part of the answer: what was used in a window, or on one host. */
struct usage_part {
	const char *label;      /* "" without a name; lives as long as identity and timeline */
	size_t label_order;     /* of its first appearance */
	int64_t step;           /* counts from the window's begin */
	int64_t from_ms, to_ms; /* within the step */
	const char *host;       /* NULL: everywhere */
};

struct usage_parts {
	struct usage_part *parts; /* by label and step, then by time: those of both are one usage */
	size_t count;
	int64_t *edges_ms; /* all their beginnings and ends, ascending; NULL: too many */
	size_t edge_count;
};

/* "project_id" and the like. */
const char *usage_by_name(enum usage_by by);

/* The arguments `by`, `projects` and `step` (seconds). */
MUST_CHECK int usage_split_parse(const struct request *request, const struct window *window,
	struct usage_split *ret_split, struct error *err);

/* Splits the window. The timeline's hosts are needed by BY_HOST only, else it may be NULL. Free
 * with usage_parts_deinit in every case. 0; -E2BIG with a text; -ENOMEM. */
MUST_CHECK int usage_parts_make(struct span window, const struct timeline *timeline,
	const struct identity *identity, const struct usage_split *split,
	struct usage_parts *ret_parts, struct error *err);
void usage_parts_deinit(struct usage_parts *parts);
CLEANUP_DEFINE_VALUE(struct usage_parts, usage_parts_deinit)

/* Behind the parts that are one usage with the one at `first`. */
size_t usage_parts_next(const struct usage_parts *parts, size_t first);

/* The reasons of an account, as JSON. */
json_t *reasons_to_json(const struct account *account);

/* Each epoch, edge sample and subtraction behind a value. */
json_t *explanation_to_json(const struct summary_question *question);
