/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The rules of docs/usage.md, one by one, on timelines made by hand. Times are minutes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "query/durations.h"
#include "query/summary.h"

enum { MINUTE = 60000, SERIES_MAX = 8, RUNS_MAX = 4, STATES_MAX = 8, MEMORY_MAX = 1 << 20 };

/* One instance on hosts h1 and h2, both of which told everything from minute 0 to 100. */
struct scene {
	struct timeline_host hosts[2], *host_list[2];
	struct run runs[RUNS_MAX];
	struct state states[RUNS_MAX][STATES_MAX];
	struct off off;
	struct state off_states[STATES_MAX];
	struct gap gap;
	struct timeline timeline;
	struct gathered series[SERIES_MAX];
	struct sample samples[SERIES_MAX][STATES_MAX];
	size_t series_count;
	struct summary summary;
};

static void set_frontier(struct scene *scene, size_t host, int minute)
{
	int64_t until_ms = (int64_t)minute * MINUTE;

	scene->hosts[host].told_ms = scene->hosts[host].frontier_ms = until_ms;
	scene->hosts[host].silent_ms = until_ms;
}

static struct scene *scene_new(void)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	assert_non_null(scene);
	for (size_t i = 0; i < 2; i++) {
		scene->hosts[i] = (struct timeline_host){
			.name = i ? "h2" : "h1", .first_ms = 0, .retired_ms = TIME_OPEN
		};
		scene->host_list[i] = &scene->hosts[i];
		set_frontier(scene, i, 100);
	}
	scene->timeline = (struct timeline){ .now_ms = 1000 * MINUTE,
		.hosts = scene->host_list,
		.host_count = 2,
		.runs = scene->runs,
		.offs = &scene->off };
	return scene;
}

static int set_up(void **state)
{
	*state = scene_new();
	return 0;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;

	summary_deinit(&scene->summary);
	arena_deinit(&scene->timeline.arena);
	free(scene);
	return 0;
}

/* Reads pairs of (minute, state) until a negative minute. */
static size_t read_states(struct state *states, const int *pairs)
{
	size_t count = 0;

	for (; pairs[2 * count] >= 0; count++)
		states[count] = (struct state){ { 0, (int64_t)pairs[2 * count] * MINUTE },
			pairs[2 * count + 1] };
	return count;
}

static size_t read_samples(struct sample *samples, const int *pairs)
{
	size_t count = 0;

	for (; pairs[2 * count] >= 0; count++)
		samples[count] =
			(struct sample){ (int64_t)pairs[2 * count] * MINUTE, pairs[2 * count + 1] };
	return count;
}

/* A run of known start; its states are (minute, state). */
static struct run *add_run(struct scene *scene, const char *epoch, int start, const int *pairs)
{
	size_t place = scene->timeline.run_count++;
	struct run *run = &scene->runs[place];
	struct state *states = scene->states[place];
	size_t count = read_states(states, pairs);

	*run = (struct run){ .epoch = epoch,
		.host = &scene->hosts[epoch[1] == '2'],
		.begin_ms = (int64_t)start * MINUTE,
		.is_begin_known = true,
		.first = states[0].at,
		.last = states[count - 1].at,
		.states = states,
		.state_count = count };
	run->host->is_mine = true;
	return run;
}

static void add_off(struct scene *scene, const int *pairs)
{
	scene->timeline.off_count = 1;
	scene->off = (struct off){ &scene->hosts[0], scene->off_states,
		read_states(scene->off_states, pairs) };
	scene->hosts[0].is_mine = true;
}

static void add_gap(struct scene *scene, int from, int to, const char *reason)
{
	scene->gap = (struct gap){
		.from_ms = (int64_t)from * MINUTE, .to_ms = (int64_t)to * MINUTE, .reason = reason
	};
	scene->hosts[0].gaps = &scene->gap;
	scene->hosts[0].gap_count = 1;
}

static struct gathered *add_series(struct scene *scene, const char *metric, const char *parameter,
	const char *epoch, int start, const int *samples)
{
	size_t place = scene->series_count++;
	struct gathered *series = &scene->series[place];

	*series = (struct gathered){ .metric = metric_by_name(metric),
		.parameter = parameter,
		.epoch_name = epoch,
		.life = "",
		.epoch = { .start_ms = start < 0 ? EPOCH_START_UNKNOWN : (int64_t)start * MINUTE,
			.samples = scene->samples[place],
			.count = read_samples(scene->samples[place], samples) } };
	return series;
}

#define PAIRS(...)                                                                                 \
	(const int[])                                                                              \
	{                                                                                          \
		__VA_ARGS__, -1                                                                    \
	}

static void settle(struct scene *scene)
{
	arena_deinit(&scene->timeline.arena);
	arena_init(&scene->timeline.arena, MEMORY_MAX);
	assert_int_equal(timeline_settle(&scene->timeline), 0);
}

static const struct summary *ask(struct scene *scene, const char *parameter, int from, int to)
{
	const struct summary_question question = { .timeline = &scene->timeline,
		.from_ms = (int64_t)from * MINUTE,
		.to_ms = (int64_t)to * MINUTE,
		.metric = scene->series[0].metric,
		.series = scene->series,
		.count = scene->series_count,
		.parameter = parameter,
		.whole = "total" };

	scene->timeline.from_ms = question.from_ms;
	scene->timeline.to_ms = question.to_ms;
	settle(scene);
	summary_deinit(&scene->summary);
	assert_int_equal(summary_make(&question, &scene->summary), 0);
	return &scene->summary;
}

static void assert_unknown(const struct summary *summary, int minutes, bool is_complete)
{
	assert_int_equal(summary->account.unknown_ms, (int64_t)minutes * MINUTE);
	assert_int_equal(summary->account.is_complete, is_complete);
	assert_int_equal(summary->has_uncertainty, minutes == 0);
}

/* One reason of this kind, from and to these minutes; -1: since ever, for ever. */
static void assert_reason(const struct summary *summary, enum reason_kind kind, int from, int to)
{
	const struct reason *found = NULL;

	for (size_t i = 0; i < summary->account.reason_count; i++)
		if (summary->account.reasons[i].kind == kind) {
			assert_null(found);
			found = &summary->account.reasons[i];
		}
	assert_non_null(found);
	assert_true(found->from_ms == (from < 0 ? TIME_NEVER : (int64_t)from * MINUTE));
	assert_true(found->to_ms == (to < 0 ? TIME_OPEN : (int64_t)to * MINUTE));
}

static void a_measured_window_is_complete_and_certain(void **state)
{
	struct scene *scene = *state;
	const struct summary *summary;

	add_run(scene, "h1/a", 10, PAIRS(20, 1, 30, 1, 40, 1));
	add_series(scene, "cpu", "total", "h1/a", 10, PAIRS(20, 100, 30, 200, 40, 200));
	summary = ask(scene, "total", 20, 40);
	assert_int_equal(summary->value, 100);
	assert_int_equal(summary->uncertainty, 0);
	assert_unknown(summary, 0, true);
	assert_int_equal(summary->account.reason_count, 0);
}

static void an_edge_is_uncertain_by_what_the_line_may_miss(void **state)
{
	struct scene *scene = *state;

	add_run(scene, "h1/a", 10, PAIRS(20, 1, 30, 1, 40, 1));
	add_series(scene, "cpu", "total", "h1/a", 10, PAIRS(20, 100, 30, 200, 40, 200));
	assert_int_equal(ask(scene, "total", 22, 40)->value, 80);
	assert_int_equal(scene->summary.uncertainty, 80);
	assert_int_equal(ask(scene, "total", 22, 28)->value, 60);
	assert_int_equal(scene->summary.uncertainty, 60);
	assert_int_equal(ask(scene, "total", 12, 28)->uncertainty, 80 + 80);
}

static void the_time_before_the_first_run_is_known_from_the_worker_on(void **state)
{
	struct scene *scene = *state;

	scene->hosts[0].first_ms = 5 * MINUTE;
	add_run(scene, "h1/a", 10, PAIRS(20, 1, 30, 1));
	add_series(scene, "cpu", "total", "h1/a", 10, PAIRS(20, 100, 30, 200));
	assert_unknown(ask(scene, "total", 5, 30), 0, true);
	assert_unknown(ask(scene, "total", 1, 30), 4, true);
	assert_reason(&scene->summary, REASON_BEGIN_UNMEASURED, -1, 5);
	scene->runs[0].is_begin_known = false;
	assert_unknown(ask(scene, "total", 1, 30), 9, true);
}

static void a_run_that_goes_on_is_known_as_far_as_its_host_told(void **state)
{
	struct scene *scene = *state;

	set_frontier(scene, 0, 30);
	add_run(scene, "h1/a", 10, PAIRS(20, 1, 30, 1));
	add_series(scene, "cpu", "total", "h1/a", 10, PAIRS(20, 100, 30, 200));
	assert_unknown(ask(scene, "total", 20, 30), 0, true);
	assert_unknown(ask(scene, "total", 20, 45), 15, false);
	assert_reason(&scene->summary, REASON_WORKER_SILENT, 30, -1);
}

static void what_does_not_answer_is_named_while_its_host_goes_on(void **state)
{
	struct scene *scene = *state;

	add_run(scene, "h1/a", 10, PAIRS(20, 1, 30, 1, 50, 1));
	add_series(scene, "blk_read", "vda", "h1/a", 10, PAIRS(20, 100, 30, 200));
	assert_unknown(ask(scene, "vda", 20, 50), 20, false);
	assert_reason(&scene->summary, REASON_NOT_ANSWERING, 30, -1);
}

static void a_tail_is_declared_and_final(void **state)
{
	struct scene *scene = *state;

	add_run(scene, "h1/a", 10, PAIRS(20, 1, 30, 1, 34, 5));
	add_off(scene, PAIRS(40, 5, 50, 5, 100, 5));
	add_series(scene, "cpu", "total", "h1/a", 10, PAIRS(20, 100, 30, 200));
	assert_int_equal(ask(scene, "total", 20, 60)->value, 100);
	assert_unknown(&scene->summary, 4, true);
	assert_reason(&scene->summary, REASON_TAIL_UNMEASURED, 30, 34);
	assert_unknown(ask(scene, "total", 34, 60), 0, true);
}

static void a_run_not_seen_to_end_ends_where_something_else_is_seen(void **state)
{
	struct scene *scene = *state;

	add_run(scene, "h1/a", 10, PAIRS(20, 1, 30, 1));
	add_run(scene, "h1/b", 38, PAIRS(40, 1, 100, 1));
	add_series(scene, "cpu", "total", "h1/a", 10, PAIRS(20, 100, 30, 200));
	add_series(scene, "cpu", "total", "h1/b", 38, PAIRS(40, 7, 100, 9));
	assert_int_equal(ask(scene, "total", 20, 100)->value, 109);
	assert_unknown(&scene->summary, 8, true);
	assert_reason(&scene->summary, REASON_TAIL_UNMEASURED, 30, 38);
}

static void a_dead_host_leaves_a_run_open_until_it_is_retired(void **state)
{
	struct scene *scene = *state;

	set_frontier(scene, 0, 30);
	add_run(scene, "h1/a", 10, PAIRS(20, 1, 30, 1));
	add_series(scene, "cpu", "total", "h1/a", 10, PAIRS(20, 100, 30, 200));
	assert_unknown(ask(scene, "total", 20, 60), 30, false);
	scene->hosts[0].told_ms = scene->hosts[0].frontier_ms = TIME_OPEN;
	scene->hosts[0].retired_ms = 45 * MINUTE;
	assert_unknown(ask(scene, "total", 20, 60), 15, true);
	assert_reason(&scene->summary, REASON_TAIL_UNMEASURED, 30, 45);
}

static void a_migration_waits_for_its_destination(void **state)
{
	struct scene *scene = *state;

	add_run(scene, "h1/a", 10, PAIRS(20, 1, 30, 1, 31, 5))->last_reason = REASON_MIGRATED;
	add_series(scene, "cpu", "total", "h1/a", 10, PAIRS(20, 100, 31, 200));
	assert_unknown(ask(scene, "total", 20, 60), 29, false);
	assert_reason(&scene->summary, REASON_MIGRATED_AWAY, 31, -1);
	add_run(scene, "h2/b", 29, PAIRS(30, 1, 100, 1));
	add_series(scene, "cpu", "total", "h2/b", 29, PAIRS(30, 5, 100, 12));
	assert_int_equal(ask(scene, "total", 20, 100)->value, 100 + 12);
	assert_unknown(&scene->summary, 0, true);
	set_frontier(scene, 0, 50); /* it could still come back there */
	assert_unknown(ask(scene, "total", 20, 100), 0, false);
}

static void what_is_off_may_start_again_after_the_frontier(void **state)
{
	struct scene *scene = *state;

	set_frontier(scene, 0, 50);
	add_run(scene, "h1/a", 10, PAIRS(20, 1, 30, 5));
	add_off(scene, PAIRS(40, 5, 50, 5));
	add_series(scene, "cpu", "total", "h1/a", 10, PAIRS(20, 100, 30, 200));
	assert_unknown(ask(scene, "total", 20, 50), 0, true);
	assert_unknown(ask(scene, "total", 20, 60), 10, false);
	assert_reason(&scene->summary, REASON_WORKER_SILENT, 50, -1);
	scene->off_states[1].state = STATE_UNDEFINED;
	assert_unknown(ask(scene, "total", 20, 60), 0, false);
}

static void while_nobody_looked_what_was_off_may_have_lived(void **state)
{
	struct scene *scene = *state;

	add_gap(scene, 40, 50, "libvirt");
	add_run(scene, "h1/a", 10, PAIRS(20, 1, 30, 5));
	add_off(scene, PAIRS(40, 5, 50, 5, 100, 5));
	add_series(scene, "cpu", "total", "h1/a", 10, PAIRS(20, 100, 30, 200));
	assert_unknown(ask(scene, "total", 20, 100), 10, true);
	assert_reason(&scene->summary, REASON_GAP, 40, 50);
}

static void a_gap_that_a_run_bridges_costs_nothing(void **state)
{
	struct scene *scene = *state;

	add_gap(scene, 20, 30, "not-running");
	add_run(scene, "h1/a", 10, PAIRS(20, 1, 30, 1));
	add_series(scene, "cpu", "total", "h1/a", 10, PAIRS(20, 100, 30, 200));
	assert_unknown(ask(scene, "total", 20, 30), 0, true);
}

static void a_device_that_was_taken_away_has_a_tail_and_then_none(void **state)
{
	struct scene *scene = *state;

	add_run(scene, "h1/a", 10, PAIRS(20, 1, 30, 1, 40, 1, 100, 1));
	add_series(scene, "blk_read", "vda", "h1/a", 10, PAIRS(20, 1, 30, 2, 40, 3, 100, 4));
	add_series(scene, "blk_read", "vdb", "h1/a", 10, PAIRS(20, 10, 30, 20));
	assert_int_equal(ask(scene, "vdb", 20, 100)->value, 10);
	assert_unknown(&scene->summary, 10, true);
	assert_reason(&scene->summary, REASON_TAIL_UNMEASURED, 30, 40);
	assert_unknown(ask(scene, "vda", 20, 100), 0, true);
	assert_unknown(ask(scene, NULL, 20, 100), 10, true);
	assert_int_equal(scene->summary.value, 13);
}

static void a_device_of_unknown_start_hides_what_it_counted_before(void **state)
{
	struct scene *scene = *state;

	add_run(scene, "h1/a", 10, PAIRS(20, 1, 30, 1, 40, 1));
	add_series(scene, "blk_read", "vda", "h1/a", 10, PAIRS(20, 1, 30, 2, 40, 3));
	add_series(scene, "blk_read", "vdb", "h1/a", -1, PAIRS(40, 10));
	assert_unknown(ask(scene, "vdb", 10, 40), 10, true);
	assert_reason(&scene->summary, REASON_TAIL_UNMEASURED, 30, 40);
}

static void a_run_in_which_nothing_was_read_is_a_tail(void **state)
{
	struct scene *scene = *state;

	add_run(scene, "h1/a", 10, PAIRS(20, 1, 30, 5));
	add_run(scene, "h1/b", 40, PAIRS(50, 1, 100, 1));
	add_series(scene, "blk_read", "vda", "h1/b", 40, PAIRS(50, 1, 100, 2));
	assert_unknown(ask(scene, "vda", 0, 100), 20, true);
	assert_reason(&scene->summary, REASON_TAIL_UNMEASURED, 10, 30);
}

static void a_fall_in_a_named_epoch_is_told(void **state)
{
	struct scene *scene = *state;

	add_run(scene, "h1/a", 10, PAIRS(20, 1, 30, 1, 40, 1));
	add_series(scene, "cpu", "total", "h1/a", 10, PAIRS(20, 100, 30, 20, 40, 30));
	assert_int_equal(ask(scene, "total", 20, 40)->value, 30);
	assert_unknown(&scene->summary, 10, true);
	assert_reason(&scene->summary, REASON_FALL, 20, 30);
}

static void the_future_is_not_complete(void **state)
{
	struct scene *scene = *state;

	scene->timeline.now_ms = 35 * MINUTE;
	add_run(scene, "h1/a", 10, PAIRS(20, 1, 30, 1, 40, 1));
	add_series(scene, "cpu", "total", "h1/a", 10, PAIRS(20, 100, 30, 200, 40, 300));
	assert_false(ask(scene, "total", 20, 40)->account.is_complete);
	assert_reason(&scene->summary, REASON_FUTURE, 35, -1);
}

static void a_run_without_states_is_known_by_its_samples(void **state)
{
	struct scene *scene = *state;

	add_run(scene, "h1/a", 10, PAIRS(20, 1, 100, 1))->state_count = 0;
	add_series(scene, "cpu", "total", "h1/a", 10, PAIRS(20, 100, 100, 200));
	assert_unknown(ask(scene, "total", 20, 100), 0, true);
	assert_unknown(ask(scene, "total", 20, 120), 20, false);
}

static void old_workers_leave_open_whether_it_is_complete(void **state)
{
	struct scene *scene = *state;

	add_series(scene, "cpu", "total", "", -1, PAIRS(20, 100, 100, 200));
	assert_true(ask(scene, "total", 20, 100)->account.is_legacy);
	assert_int_equal(scene->summary.account.unknown_ms, 0);
	assert_int_equal(ask(scene, "total", 10, 110)->account.unknown_ms, 20 * MINUTE);
}

static int64_t time_in(
	struct scene *scene, const char *metric, const char *parameter, int64_t *ret_uncertainty)
{
	static const struct instance_info infos[] = {
		{ .since_ms = 10 * MINUTE, .vcpus = 2, .memory_mib = 512, .disk_gib = 10 },
		{ .since_ms = 25 * MINUTE, .vcpus = 4, .memory_mib = 512, .disk_gib = 10 },
	};
	const struct identity identity = { .infos = infos, .info_count = 2 };
	const struct duration_question question = { .timeline = &scene->timeline,
		.identity = &identity,
		.metric = metric_by_name(metric),
		.parameter = parameter,
		.from_ms = 0,
		.to_ms = 100 * MINUTE };
	struct duration duration;

	settle(scene);
	assert_int_equal(durations_between(&question, &duration), 0);
	*ret_uncertainty = duration.uncertainty / MINUTE;
	return duration.value / MINUTE;
}

static void time_is_metered_by_state_and_by_the_flavor_of_the_time(void **state)
{
	struct scene *scene = *state;
	int64_t uncertainty;

	add_run(scene, "h1/a", 10, PAIRS(20, 1, 30, 3, 31, 3, 40, 5));
	add_off(scene, PAIRS(50, 5, 60, 0));
	assert_int_equal(time_in(scene, "state_time", "running", &uncertainty), 20);
	assert_int_equal(uncertainty, 10);
	assert_int_equal(time_in(scene, "state_time", "paused", &uncertainty), 10);
	assert_int_equal(time_in(scene, "state_time", "shutoff", &uncertainty), 20);
	assert_int_equal(time_in(scene, "state_time", "total", &uncertainty), 50);
	assert_int_equal(uncertainty, 10);
	assert_int_equal(time_in(scene, "vcpus_time", "total", &uncertainty), 15 * 2 + 15 * 4);
	assert_int_equal(uncertainty, 9 * 4);
	assert_int_equal(time_in(scene, "memory_time", "total", &uncertainty), 30 * 512);
	assert_int_equal(time_in(scene, "disk_time", "total", &uncertainty), 50 * 10);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_measured_window_is_complete_and_certain),
		CASE(an_edge_is_uncertain_by_what_the_line_may_miss),
		CASE(the_time_before_the_first_run_is_known_from_the_worker_on),
		CASE(a_run_that_goes_on_is_known_as_far_as_its_host_told),
		CASE(what_does_not_answer_is_named_while_its_host_goes_on),
		CASE(a_tail_is_declared_and_final),
		CASE(a_run_not_seen_to_end_ends_where_something_else_is_seen),
		CASE(a_dead_host_leaves_a_run_open_until_it_is_retired),
		CASE(a_migration_waits_for_its_destination),
		CASE(what_is_off_may_start_again_after_the_frontier),
		CASE(while_nobody_looked_what_was_off_may_have_lived),
		CASE(a_gap_that_a_run_bridges_costs_nothing),
		CASE(a_device_that_was_taken_away_has_a_tail_and_then_none),
		CASE(a_device_of_unknown_start_hides_what_it_counted_before),
		CASE(a_run_in_which_nothing_was_read_is_a_tail),
		CASE(a_fall_in_a_named_epoch_is_told),
		CASE(the_future_is_not_complete),
		CASE(a_run_without_states_is_known_by_its_samples),
		CASE(old_workers_leave_open_whether_it_is_complete),
		CASE(time_is_metered_by_state_and_by_the_flavor_of_the_time),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
