/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What usages.c and usage-parts.c share. */

#include "api/methods.h"
#include "query/summary.h"

enum usage_by { BY_NOTHING, BY_PROJECT, BY_FLAVOR, BY_HOST };

/* A part of the answer: what was used in some windows, or on one host. */
struct usage_part {
	const char *label;      /* "" without a name; lives as long as identity and timeline */
	int64_t from_ms, to_ms; /* one of its windows */
	const char *host;       /* NULL: everywhere */
};

struct usage_parts {
	enum usage_by by;
	struct usage_part *parts;
	size_t count;
	int64_t *edges_ms; /* all their beginnings and ends, ascending; NULL: too many */
	size_t edge_count;
};

/* "project_id" and the like. */
const char *usage_by_name(enum usage_by by);
MUST_CHECK int usage_by_parse(
	const struct request *request, enum usage_by *ret_by, struct error *err);

/* Splits the timeline's window. Free with usage_parts_deinit. 0 or -ENOMEM. */
MUST_CHECK int usage_parts_make(const struct timeline *timeline, const struct identity *identity,
	enum usage_by by, struct usage_parts *ret_parts);
void usage_parts_deinit(struct usage_parts *parts);
CLEANUP_DEFINE_VALUE(struct usage_parts, usage_parts_deinit)

/* The reasons of an account, as JSON. */
json_t *reasons_to_json(const struct account *account);

/* Each epoch, edge sample and subtraction behind a value. */
json_t *explanation_to_json(const struct summary_question *question);
