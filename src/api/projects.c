/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "api/projects.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int projects_parse(const struct request *request, struct projects *ret_projects, struct error *err)
{
	const json_t *ids = json_object_get(request->args, "projects"), *id;
	size_t i;

	ret_projects->ids = NULL;
	if (!ids || json_is_null(ids))
		return 0;
	if (!json_is_array(ids) || json_array_size(ids) > PROJECTS_MAX)
		return error_set(err, -EINVAL,
			"argument 'projects' is no list of at most %d project ids", PROJECTS_MAX);
	json_array_foreach(ids, i, id)
	{
		if (!json_is_string(id) || !json_string_length(id))
			return error_set(
				err, -EINVAL, "argument 'projects' has what is no project id");
	}
	ret_projects->ids = ids;
	return 0;
}

bool projects_have(const struct projects *projects, const char *project_id)
{
	const json_t *id;
	size_t i;

	if (!projects->ids)
		return true;
	json_array_foreach(projects->ids, i, id)
	{
		if (strcmp(json_string_value(id), project_id) == 0)
			return true;
	}
	return false;
}

const struct instance_info *projects_latest(
	const struct projects *projects, const struct store_instance *instance)
{
	for (size_t i = instance->info_count; i > 0; i--)
		if (projects_have(projects, instance->infos[i - 1].project_id))
			return &instance->infos[i - 1];
	return NULL;
}

bool projects_know(const struct projects *projects, const struct store_instance *instance)
{
	return !projects->ids || projects_latest(projects, instance);
}

static struct span span_of(const struct identity *identity, size_t info, struct span window)
{
	if (info > 0)
		window.from_ms = MAX_OF(window.from_ms, identity->infos[info].since_ms);
	if (info + 1 < identity->info_count)
		window.to_ms = MIN_OF(window.to_ms, identity->infos[info + 1].since_ms);
	return window;
}

int projects_spans(const struct projects *projects, const struct identity *identity,
	struct span window, struct span **ret_spans, size_t *ret_count)
{
	struct span *spans = calloc(identity->info_count + 1, sizeof(*spans));
	size_t count = 0;

	if (!spans)
		return -ENOMEM;
	if (!projects->ids)
		spans[count++] = window;
	for (size_t i = 0; projects->ids && i < identity->info_count; i++) {
		struct span span = span_of(identity, i, window);

		if (span.from_ms < span.to_ms &&
			projects_have(projects, identity->infos[i].project_id))
			spans[count++] = span;
	}
	*ret_spans = spans;
	*ret_count = spans_unite(spans, count);
	return 0;
}
