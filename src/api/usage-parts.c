/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Splitting a window by what held at the time, and into steps. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/usages.h"
#include "base/checked.h"

const char *usage_by_name(enum usage_by by)
{
	static const char *const names[] = { NULL, "project_id", "flavor", "host" };

	return names[by];
}

static int parse_by(const struct request *request, enum usage_by *ret_by, struct error *err)
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

int usage_split_parse(const struct request *request, const struct window *window,
	struct usage_split *ret_split, struct error *err)
{
	const int64_t none = 0;
	int64_t step_s;
	int r = parse_by(request, &ret_split->by, err);

	if (r == 0)
		r = projects_parse(request, &ret_split->projects, err);
	if (r == 0)
		r = request_integer(request, "step", 1, INT32_MAX, &none, &step_s, err);
	if (r < 0)
		return r;
	ret_split->step_ms = step_s * 1000;
	if (step_s && (window->to_ms - window->from_ms - 1) / ret_split->step_ms >= USAGE_STEPS_MAX)
		return error_set(err, -E2BIG, "the window has more than %d steps; ask for less",
			USAGE_STEPS_MAX);
	return 0;
}

/* A list of parts that grows. */
struct splitting {
	struct span window;
	const struct timeline *timeline; /* of BY_HOST */
	const struct identity *identity;
	const struct usage_split *split;
	struct usage_parts *parts;
	size_t room;
	int r; /* the first failure */
};

static void add(struct splitting *splitting, const struct usage_part *part)
{
	struct usage_parts *parts = splitting->parts;

	if (parts->count == splitting->room && splitting->r == 0) {
		size_t room = splitting->room * 2 + 16;
		struct usage_part *larger = NULL;

		splitting->r = parts->count >= USAGE_PARTS_MAX ? -E2BIG : -ENOMEM;
		if (splitting->r == -ENOMEM)
			larger = reallocarray(parts->parts, room, sizeof(*larger));
		if (!larger)
			return;
		splitting->r = 0;
		splitting->room = room;
		parts->parts = larger;
	}
	if (splitting->r == 0)
		parts->parts[parts->count++] = *part;
}

static size_t order_of(const struct usage_parts *parts, const char *label)
{
	size_t next = 0;

	for (size_t i = 0; i < parts->count; i++) {
		if (strcmp(parts->parts[i].label, label) == 0)
			return parts->parts[i].label_order;
		next = MAX_OF(next, parts->parts[i].label_order + 1);
	}
	return next;
}

/* A window that has a label, cut at the steps. */
static void add_window(struct splitting *splitting, const char *label, const char *host,
	int64_t from_ms, int64_t to_ms)
{
	int64_t step_ms = splitting->split->step_ms, begin_ms = splitting->window.from_ms;
	struct usage_part part = { .label = label,
		.label_order = order_of(splitting->parts, label),
		.from_ms = from_ms,
		.host = host };

	while (part.from_ms < to_ms && splitting->r == 0) {
		part.to_ms = to_ms;
		if (step_ms) {
			part.step = (part.from_ms - begin_ms) / step_ms;
			part.to_ms = MIN_OF(to_ms, begin_ms + (part.step + 1) * step_ms);
		}
		add(splitting, &part);
		part.from_ms = part.to_ms;
	}
}

static const char *label_of(const struct instance_info *info, enum usage_by by)
{
	if (by == BY_PROJECT)
		return info->project_id;
	return *info->flavor_name ? info->flavor_name : info->flavor_id;
}

/* Within one span: a window from each info that changed the label to the next one that did; the
 * first label also stands before its time. */
static void split_by_info(struct splitting *splitting, struct span span)
{
	const struct identity *identity = splitting->identity;
	enum usage_by by = splitting->split->by;
	const char *label = identity->info_count ? label_of(&identity->infos[0], by) : "";

	for (size_t i = 1; i < identity->info_count; i++) {
		const char *next = label_of(&identity->infos[i], by);
		int64_t since_ms = MAX_OF(identity->infos[i].since_ms, span.from_ms);

		if (strcmp(next, label) == 0)
			continue;
		since_ms = MIN_OF(since_ms, span.to_ms);
		add_window(splitting, label, NULL, span.from_ms, since_ms);
		span.from_ms = since_ms;
		label = next;
	}
	add_window(splitting, label, NULL, span.from_ms, span.to_ms);
}

static void split_span(struct splitting *splitting, struct span span)
{
	const struct timeline *timeline = splitting->timeline;
	enum usage_by by = splitting->split->by;

	if (by == BY_PROJECT || by == BY_FLAVOR)
		split_by_info(splitting, span);
	else if (by == BY_NOTHING)
		add_window(splitting, "", NULL, span.from_ms, span.to_ms);
	if (by == BY_HOST && splitting->split->has_hostless)
		add_window(splitting, "", "", span.from_ms, span.to_ms);
	for (size_t i = 0; by == BY_HOST && i < timeline->host_count; i++)
		if (timeline->hosts[i]->is_mine)
			add_window(splitting, timeline->hosts[i]->name, timeline->hosts[i]->name,
				span.from_ms, span.to_ms);
}

static int compare_parts(const void *a, const void *b)
{
	const struct usage_part *one = a, *other = b;

	if (one->label_order != other->label_order)
		return one->label_order < other->label_order ? -1 : 1;
	if (one->step != other->step)
		return one->step < other->step ? -1 : 1;
	return (one->from_ms > other->from_ms) - (one->from_ms < other->from_ms);
}

static int note_edges(struct usage_parts *parts)
{
	size_t count = 0;
	int64_t *edges_ms = calloc(2 * parts->count + 1, sizeof(*edges_ms));

	if (!edges_ms)
		return -ENOMEM;
	for (size_t i = 0; i < parts->count; i++) {
		edges_ms[2 * i] = parts->parts[i].from_ms;
		edges_ms[2 * i + 1] = parts->parts[i].to_ms;
	}
	qsort(edges_ms, 2 * parts->count, sizeof(*edges_ms), compare_i64);
	for (size_t i = 0; i < 2 * parts->count; i++)
		if (count == 0 || edges_ms[i] != edges_ms[count - 1])
			edges_ms[count++] = edges_ms[i];
	if (count > GATHER_EDGES_MAX) {
		free(edges_ms);
		return 0;
	}
	parts->edges_ms = edges_ms;
	parts->edge_count = count;
	return 0;
}

int usage_parts_make(struct span window, const struct timeline *timeline,
	const struct identity *identity, const struct usage_split *split,
	struct usage_parts *ret_parts, struct error *err)
{
	struct splitting splitting = { window, timeline, identity, split, ret_parts, 0, 0 };
	struct span *spans;
	size_t count;
	int r;

	*ret_parts = (struct usage_parts){ 0 };
	r = projects_spans(&split->projects, identity, window, &spans, &count);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++)
		split_span(&splitting, spans[i]);
	free(spans);
	if (splitting.r == -E2BIG)
		return error_set(err, -E2BIG, "the answer has more than %d steps; ask for less",
			USAGE_PARTS_MAX);
	if (splitting.r < 0)
		return splitting.r;
	if (ret_parts->count)
		qsort(ret_parts->parts, ret_parts->count, sizeof(*ret_parts->parts), compare_parts);
	return note_edges(ret_parts);
}

void usage_parts_deinit(struct usage_parts *parts)
{
	free(parts->parts);
	free(parts->edges_ms);
	*parts = (struct usage_parts){ 0 };
}

size_t usage_parts_next(const struct usage_parts *parts, size_t first)
{
	const struct usage_part *part = &parts->parts[first];
	size_t next = first + 1;

	while (next < parts->count && parts->parts[next].label_order == part->label_order &&
		parts->parts[next].step == part->step)
		next++;
	return next;
}
