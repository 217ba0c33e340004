/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* instance: one instance, with what held for it when: its projects, hosts, flavors, runs and
 * states. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/instances.h"
#include "api/methods.h"
#include "api/projects.h"
#include "query/durations.h"
#include "query/timeline.h"

/* One question on its way. */
struct telling {
	const struct methods *methods;
	struct projects projects;
	struct identity identity;
	struct timeline timeline;
	struct span *spans; /* of the window, that may be seen */
	size_t span_count;
	json_t *object;
};

static bool overlaps(const struct telling *telling, int64_t from_ms, int64_t to_ms)
{
	return spans_overlap(telling->spans, telling->span_count, (struct span){ from_ms, to_ms });
}

static json_t *open_to_json(int64_t ms)
{
	return ms == TIME_OPEN ? json_null() : seconds_to_json(ms);
}

static int add_instance(void *context, const struct store_instance *instance)
{
	struct telling *telling = context;

	if (instance_key_equal(&instance->key, &telling->identity.keys[0]))
		telling->object =
			instance_to_json(instance, projects_latest(&telling->projects, instance));
	return 0;
}

static void add_history(struct telling *telling)
{
	json_t *history = json_array();

	for (size_t i = 0; i < telling->identity.info_count; i++) {
		const struct instance_info *info = &telling->identity.infos[i];
		json_t *entry;

		if (!projects_have(&telling->projects, info->project_id))
			continue;
		entry = json_pack("{s:o}", "since", seconds_to_json(info->since_ms));
		instance_add_info(entry, info);
		json_object_del(entry, "ports");
		json_array_append_new(history, entry);
	}
	json_object_set_new(telling->object, "history", history);
}

static void add_runs(struct telling *telling)
{
	json_t *runs = json_array();

	for (size_t i = 0; i < telling->timeline.run_count; i++) {
		const struct run *run = &telling->timeline.runs[i];

		if (overlaps(telling, run->begin_ms, run->end_ms))
			json_array_append_new(
				runs, json_pack("{s:s, s:s, s:o, s:b, s:o, s:o}", "host",
					      run->host->name, "epoch", run->epoch, "begin",
					      seconds_to_json(run->begin_ms), "is_begin_known",
					      run->is_begin_known, "end", open_to_json(run->end_ms),
					      "unseen_from", open_to_json(run->tail_from_ms)));
	}
	json_object_set_new(telling->object, "runs", runs);
}

/* Only changes: the same state read again says nothing new. */
static void add_states(struct telling *telling)
{
	json_t *states = json_array();

	for (size_t i = 0; i < telling->timeline.host_count; i++) {
		const struct timeline_host *host = telling->timeline.hosts[i];
		int64_t last = -1;

		for (size_t j = 0; j < host->state_count; j++) {
			const struct state *state = &host->states[j];
			const char *name = state_name(state->state);

			if (state->state == last ||
				!overlaps(telling, state->at.time_ms, state->at.time_ms + 1))
				continue;
			last = state->state;
			json_array_append_new(
				states, json_pack("{s:o, s:s, s:s}", "at",
						seconds_to_json(state->at.time_ms), "host",
						host->name, "state", name ? name : "undefined"));
		}
	}
	json_object_set_new(telling->object, "states", states);
}

static int read_timeline(struct telling *telling, const struct request *request, struct error *err)
{
	const struct methods *methods = telling->methods;
	struct window window;
	int r = method_window(methods, request, "from", "to", MAX_OF(telling->identity.first_ms, 0),
		&window, err);

	if (r == 0 && window.from_ms >= window.to_ms)
		window.from_ms = window.to_ms - 1; /* it begins later: nothing to tell */
	telling->timeline = (struct timeline){ .from_ms = window.from_ms,
		.to_ms = window.to_ms,
		.now_ms = clock_wall_ms(methods->clock) };
	if (r == 0)
		r = timeline_read(methods->store, &telling->identity, &telling->timeline, err);
	if (r == 0)
		r = timeline_settle(&telling->timeline);
	if (r == 0)
		r = projects_spans(&telling->projects, &telling->identity,
			(struct span){ window.from_ms, window.to_ms }, &telling->spans,
			&telling->span_count);
	return r;
}

static void telling_deinit(struct telling *telling)
{
	free(telling->spans);
	timeline_deinit(&telling->timeline);
	identity_deinit(&telling->identity);
}
CLEANUP_DEFINE_VALUE(struct telling, telling_deinit)

int method_instance(const struct methods *methods, const struct request *request, json_t **ret_data,
	struct error *err)
{
	CLEANUP(telling_deinit) struct telling telling = { .methods = methods };
	struct store_filter filter = { .key = &telling.identity.keys[0] };
	int r = projects_parse(request, &telling.projects, err);

	if (r == 0)
		r = method_identity(methods, request, &telling.identity, err);
	if (r == 0)
		r = read_timeline(&telling, request, err);
	if (r == 0)
		r = store_instances(methods->store, &filter, add_instance, &telling, err);
	*ret_data = telling.object;
	if (r != 0 || !telling.object)
		return r ? r : error_set(err, QUERY_NOT_FOUND, "the instance is gone");
	add_history(&telling);
	add_runs(&telling);
	add_states(&telling);
	return 0;
}
