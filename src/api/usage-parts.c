/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Splitting a window by what held at the time. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/usages.h"

const char *usage_by_name(enum usage_by by)
{
	static const char *const names[] = { NULL, "project_id", "flavor", "host" };

	return names[by];
}

int usage_by_parse(const struct request *request, enum usage_by *ret_by, struct error *err)
{
	static const char *const words[] = { "", "project", "flavor", "host" };
	const char *text;
	int r = request_text(request, "by", "", &text, err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i], text) == 0) {
			*ret_by = (enum usage_by)i;
			return 0;
		}
	return r < 0 ? r
		     : error_set(err, -EINVAL,
			       "argument 'by' is '%s'; expected project, flavor or host", text);
}

static const char *label_of(const struct instance_info *info, enum usage_by by)
{
	if (by == BY_PROJECT)
		return info->project_id;
	return *info->flavor_name ? info->flavor_name : info->flavor_id;
}

static void add(struct usage_parts *parts, const char *label, int64_t from_ms, int64_t to_ms,
	const char *host)
{
	if (from_ms < to_ms)
		parts->parts[parts->count++] = (struct usage_part){ label, from_ms, to_ms, host };
}

/* One window from each info that changed the label to the next one that did; the first label also
 * stands before its time. */
static void split_by_info(
	struct usage_parts *parts, const struct timeline *timeline, const struct identity *identity)
{
	int64_t from_ms = timeline->from_ms;
	const char *label = identity->info_count ? label_of(&identity->infos[0], parts->by) : "";

	for (size_t i = 1; i < identity->info_count; i++) {
		const char *next = label_of(&identity->infos[i], parts->by);
		int64_t since_ms = MAX_OF(identity->infos[i].since_ms, timeline->from_ms);

		if (strcmp(next, label) == 0)
			continue;
		since_ms = MIN_OF(since_ms, timeline->to_ms);
		add(parts, label, from_ms, since_ms, NULL);
		from_ms = since_ms;
		label = next;
	}
	add(parts, label, from_ms, timeline->to_ms, NULL);
}

/* Windows follow each other. */
static int note_edges(struct usage_parts *parts, const struct timeline *timeline)
{
	if (parts->count >= GATHER_EDGES_MAX)
		return 0;
	parts->edges_ms = calloc(parts->count + 1, sizeof(*parts->edges_ms));
	if (!parts->edges_ms)
		return -ENOMEM;
	parts->edges_ms[parts->edge_count++] = timeline->from_ms;
	for (size_t i = 0; i < parts->count; i++)
		if (parts->parts[i].to_ms > parts->edges_ms[parts->edge_count - 1])
			parts->edges_ms[parts->edge_count++] = parts->parts[i].to_ms;
	return 0;
}

int usage_parts_make(const struct timeline *timeline, const struct identity *identity,
	enum usage_by by, struct usage_parts *ret_parts)
{
	size_t most = MAX_OF(identity->info_count, timeline->host_count) + 1;

	*ret_parts =
		(struct usage_parts){ .by = by, .parts = calloc(most, sizeof(*ret_parts->parts)) };
	if (!ret_parts->parts)
		return -ENOMEM;
	if (by == BY_PROJECT || by == BY_FLAVOR)
		split_by_info(ret_parts, timeline, identity);
	else if (by == BY_NOTHING)
		add(ret_parts, "", timeline->from_ms, timeline->to_ms, NULL);
	for (size_t i = 0; by == BY_HOST && i < timeline->host_count; i++)
		if (timeline->hosts[i]->is_mine)
			add(ret_parts, timeline->hosts[i]->name, timeline->from_ms, timeline->to_ms,
				timeline->hosts[i]->name);
	return note_edges(ret_parts, timeline);
}

void usage_parts_deinit(struct usage_parts *parts)
{
	free(parts->parts);
	free(parts->edges_ms);
	*parts = (struct usage_parts){ 0 };
}
