/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The argument `projects`, a list of project ids: then a question is about the time only in which
 * an instance was of one of them, and all other time, and all other instances, do not exist for it.
 */

#include "api/methods.h"
#include "query/timeline.h"

enum { PROJECTS_MAX = 1000 };

struct projects {
	const json_t *ids; /* NULL: everything. Lives as long as the request */
};

MUST_CHECK int projects_parse(
	const struct request *request, struct projects *ret_projects, struct error *err);

bool projects_have(const struct projects *projects, const char *project_id);

/* Was the instance ever of one of them? */
bool projects_know(const struct projects *projects, const struct store_instance *instance);

/* The latest of its infos that is of one of them; NULL if there is none. */
const struct instance_info *projects_latest(
	const struct projects *projects, const struct store_instance *instance);

/* When it was of one of them within a window: spans that are apart and ascend. What was before the
 * first info is that one's. free() them. 0 or -ENOMEM. */
MUST_CHECK int projects_spans(const struct projects *projects, const struct identity *identity,
	struct span window, struct span **ret_spans, size_t *ret_count);
