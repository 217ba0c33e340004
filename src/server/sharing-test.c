/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Several servers on one store: a worker with a spool goes from one to the other, messages and
 * acknowledgements are lost, servers commit late and die, in every order. Whatever happens, an
 * acknowledgement is the truth, what was sent is stored once, and a gap is told of what is lost and
 * of nothing else.
 *
 * A message's number is its reading's time in seconds after BASE_MS, and what it was read as. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/settings.h"
#include "server/admission.h"
#include "store/gaps.h"

enum {
	SERVERS = 3,
	NUMBERS_MAX = 512,
	PENDING_MAX = 64,
	FRAME_MAX = 512,
	IN_FLIGHT_MAX = 8,
	SEEDS = 50
};

static const int64_t BASE_MS = INT64_C(1700006400000);

/* A message on its way. */
struct letter {
	uint64_t sequence, oldest, previous;
};

struct core {
	struct workers *workers;
	struct counters counters;
	struct admission *admission;
	struct writer_item queue[PENDING_MAX]; /* not committed yet, the oldest first */
	size_t queued;
	struct letter inbox[PENDING_MAX]; /* sent and not arrived, the oldest first */
	size_t waiting;
};

struct world {
	struct clock_manual clock;
	struct config *config;
	struct store *store;
	struct core cores[SERVERS];
	bool is_stored[NUMBERS_MAX]; /* as far as a commit says */

	/* The worker. */
	size_t server;
	uint64_t oldest, next, end; /* kept are [oldest, end); `next` is sent next */
	uint64_t acknowledged;
	bool is_lost[NUMBERS_MAX]; /* dropped from the spool, unacknowledged */
	uint64_t random;
};

static void start_core(struct world *world, struct core *core)
{
	*core = (struct core){ 0 };
	assert_int_equal(workers_new(&world->clock.clock, 60000, &core->workers), 0);
	assert_int_equal(
		admission_new(&(struct admission_options){ &world->clock.clock, world->config,
				      world->store, core->workers, &core->counters },
			&core->admission),
		0);
}

/* What it did not commit, and what did not arrive, is gone. */
static void end_core(struct core *core)
{
	for (size_t i = 0; i < core->queued; i++)
		batch_free(core->queue[i].batch);
	admission_free(core->admission);
	workers_free(core->workers);
}

static int begin(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	clock_manual_init(&world->clock, BASE_MS);
	assert_int_equal(config_new(settings_keys, settings_key_count, &world->config), 0);
	assert_int_equal(memory_store_new(&world->store), 0);
	for (size_t i = 0; i < SERVERS; i++)
		start_core(world, &world->cores[i]);
	world->oldest = world->next = world->end = 1;
	*state = world;
	return 0;
}

static int finish(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < SERVERS; i++)
		end_core(&world->cores[i]);
	store_free(world->store);
	config_free(world->config);
	free(world);
	return 0;
}

static uint64_t dice(struct world *world, uint64_t sides)
{
	world->random ^= world->random << 13;
	world->random ^= world->random >> 7;
	world->random ^= world->random << 17;
	return world->random % sides;
}

/* An acknowledgement of the server that the worker listens to. */
static void acknowledge(struct world *world, const struct core *core, const struct peer *peer)
{
	for (uint64_t n = 1; n <= peer->durable && n < world->end; n++)
		assert_true(world->is_stored[n] || world->is_lost[n]);
	if (core != &world->cores[world->server])
		return;
	world->acknowledged = MAX_OF(world->acknowledged, peer->durable);
	world->oldest = MAX_OF(world->oldest, world->acknowledged + 1);
	world->next = MAX_OF(world->next, world->oldest);
}

static PRINTF_LIKE(2, 3) struct frame frame_of(char text[FRAME_MAX], const char *format, ...)
{
	va_list arguments;
	int size;

	va_start(arguments, format);
	size = vsnprintf(text, FRAME_MAX, format, arguments);
	va_end(arguments);
	assert_true(size > 0 && size < FRAME_MAX);
	return (struct frame){ text, (size_t)size };
}

static int64_t time_of(uint64_t number)
{
	return BASE_MS + (int64_t)number * 1000;
}

/* Arrives at a server; `is_heard`: so does an acknowledgement of what is known. */
static void deliver(
	struct world *world, struct core *core, const struct letter *letter, bool is_heard)
{
	char body[FRAME_MAX], envelope[FRAME_MAX];
	int64_t time_ms = time_of(letter->sequence);
	const struct frame frames[] = { { "3", 1 },
		frame_of(body,
			"{\"host\":\"h1\",\"readings\":[{\"uuid\":"
			"\"6f4a5a3e-93a5-4f0c-8f0e-3c1d2b4a5968\",\"time\":%" PRId64
			",\"epoch\":\"h1/b/1/2\",\"data\":[[\"cpu\",\"total\",[%" PRIu64 "]]]}]}",
			time_ms, letter->sequence),
		frame_of(envelope,
			"{\"worker\":\"w1\",\"spool\":\"s1\",\"seq\":%" PRIu64
			",\"oldest\":%" PRIu64 ",\"previous\":%" PRIu64 ",\"times\":[%" PRId64
			",%" PRId64 "],\"until\":%" PRId64 "}",
			letter->sequence, letter->oldest, letter->previous, time_ms, time_ms,
			time_ms) };
	struct writer_item item;
	struct peer *peer;

	switch (admission_take(core->admission, frames, 3, &item, &peer)) {
	case ADMISSION_STORE:
		assert_true(core->queued < PENDING_MAX);
		core->queue[core->queued++] = item;
		break;
	case ADMISSION_ACKNOWLEDGE:
		if (is_heard)
			acknowledge(world, core, peer);
		break;
	case ADMISSION_DONE:
		break;
	}
}

static void note_stored(struct world *world, const struct batch *batch)
{
	for (size_t i = 0; batch && i < batch->reading_count; i++)
		world->is_stored[(batch->readings[i].time_ms - BASE_MS) / 1000] = true;
}

/* Commits the first item of a server's queue. */
static void commit(struct world *world, struct core *core, bool is_heard)
{
	struct writer_item item = core->queue[0];
	const struct batch *batch = item.batch;
	const struct store_commit commit = { .batches = &batch,
		.batch_count = batch != NULL,
		.sources = &item.source,
		.source_count = 1 };
	struct store_tally tally = { 0 };
	struct peer *peer = item.token;

	assert_int_equal(store_append(world->store, &commit, &tally, NULL), 0);
	assert_int_equal(tally.conflicting, 0);
	note_stored(world, batch);
	batch_free(item.batch);
	memmove(core->queue, core->queue + 1, --core->queued * sizeof(*core->queue));
	admission_committed(core->admission, &item, 1);
	if (is_heard)
		acknowledge(world, core, peer);
}

static void arrive(struct world *world, struct core *core, bool is_heard)
{
	struct letter letter = core->inbox[0];

	memmove(core->inbox, core->inbox + 1, --core->waiting * sizeof(*core->inbox));
	deliver(world, core, &letter, is_heard);
}

static void drain(struct world *world, struct core *core, bool is_heard)
{
	while (core->waiting || core->queued) {
		if (core->queued)
			commit(world, core, is_heard);
		if (core->waiting)
			arrive(world, core, is_heard);
	}
}

static uint64_t in_flight(const struct world *world)
{
	return world->next - world->oldest;
}

/* Sends the next message to the worker's server. */
static void send(struct world *world, bool arrives)
{
	struct core *core = &world->cores[world->server];

	if (world->next >= world->end || in_flight(world) >= IN_FLIGHT_MAX ||
		core->waiting == PENDING_MAX)
		return;
	if (arrives)
		core->inbox[core->waiting++] =
			(struct letter){ world->next, world->oldest, world->next - 1 };
	world->next++;
}

/* The spool gets one more message. */
static void read_once(struct world *world)
{
	if (world->end == NUMBERS_MAX)
		return;
	world->end++;
	clock_manual_advance(&world->clock, 1000);
}

static void move(struct world *world, size_t server)
{
	world->server = server;
	world->next = world->oldest;
}

/* The spool is full: its oldest messages go unacknowledged. */
static void drop(struct world *world)
{
	for (uint64_t count = 1 + dice(world, 5); count && world->oldest < world->end; count--)
		world->is_lost[world->oldest++] = true;
	world->next = MAX_OF(world->next, world->oldest);
}

/* `count` messages are read, sent to the worker's server, committed and acknowledged there. */
static void pass(struct world *world, uint64_t count, bool is_heard)
{
	struct core *core = &world->cores[world->server];

	for (; count; count--) {
		read_once(world);
		while (world->next < world->end)
			send(world, true);
		drain(world, core, is_heard);
	}
}

/* From now on everything works, until all is acknowledged by the worker's server. */
static void settle(struct world *world)
{
	for (unsigned int i = 0; i < 1000 && world->oldest < world->end; i++) {
		struct core *core = &world->cores[world->server];

		drain(world, core, true);
		for (world->next = world->oldest;
			in_flight(world) < IN_FLIGHT_MAX && world->next < world->end;)
			send(world, true);
	}
	assert_int_equal(world->oldest, world->end);
}

struct seen {
	const struct world *world;
	size_t samples, gaps;
	bool is_in_gap[NUMBERS_MAX];
	struct store_source source;
};

static int see_series(void *context, const struct store_series *series)
{
	struct seen *seen = context;

	for (size_t i = 0; i < series->count; i++)
		assert_int_equal(
			series->samples[i].value, (series->samples[i].time_ms - BASE_MS) / 1000);
	seen->samples += series->count;
	return 0;
}

static int see_gap(void *context, const struct store_record *record)
{
	struct seen *seen = context;
	struct gap gap;

	assert_int_equal(gap_of_key(record->key, &gap), 0);
	if (gap_is_open(&gap))
		return 0;
	seen->gaps++;
	for (uint64_t n = 1; n < NUMBERS_MAX; n++)
		if (time_of(n) > gap.from_ms && time_of(n) < gap.to_ms)
			seen->is_in_gap[n] = true;
	return 0;
}

static int see_source(void *context, const struct store_source *source)
{
	struct seen *seen = context;

	assert_int_equal(source->sequence, seen->world->end - 1);
	assert_int_equal(source->until_ms, time_of(seen->world->end - 1));
	assert_string_equal(source->host, "h1");
	return 0;
}

static void see(const struct world *world, struct seen *seen)
{
	const struct store_scan scan = {
		.instance = { .has_uuid = true,
			.uuid = { { 0x6f, 0x4a, 0x5a, 0x3e, 0x93, 0xa5, 0x4f, 0x0c, 0x8f, 0x0e,
				0x3c, 0x1d, 0x2b, 0x4a, 0x59, 0x68 } } },
		.columns = { [METRIC_GROUP_CPU] = 1 },
		.from_ms = BASE_MS,
		.to_ms = time_of(NUMBERS_MAX),
		.maximum = 2 * NUMBERS_MAX
	};

	*seen = (struct seen){ .world = world };
	assert_int_equal(store_scan(world->store, &scan, see_series, seen, NULL), 0);
	assert_int_equal(store_records(world->store, GAP_KIND, "h1", see_gap, seen, NULL), 0);
	assert_int_equal(store_sources(world->store, NULL, "w1", see_source, seen, NULL), 0);
}

static void assert_all_is_there_and_no_gap(const struct world *world)
{
	struct seen seen;

	see(world, &seen);
	assert_int_equal(seen.samples, world->end - 1);
	assert_int_equal(seen.gaps, 0);
	for (size_t i = 0; i < SERVERS; i++)
		assert_int_equal(counters_read(&world->cores[i].counters, COUNTER_GONE), 0);
}

static void what_another_server_took_is_no_gap(void **state)
{
	struct world *world = *state;

	pass(world, 10, true);
	move(world, 1);
	pass(world, 10, true);
	move(world, 0);
	pass(world, 10, true);
	move(world, 1);
	pass(world, 1, true);
	assert_all_is_there_and_no_gap(world);
	assert_int_equal(counters_read(&world->cores[0].counters, COUNTER_KNOWN), 0);
	assert_int_equal(world->acknowledged, 31);
}

static void what_only_the_worker_did_not_hear_is_sent_again_and_known(void **state)
{
	struct world *world = *state;

	pass(world, 3, true);
	pass(world, 4, false);
	move(world, 1);
	settle(world);
	assert_all_is_there_and_no_gap(world);
	assert_int_equal(counters_read(&world->cores[1].counters, COUNTER_KNOWN), 4);
	assert_int_equal(world->acknowledged, 7);
}

/* A has 3 and 4 in hand and lost 2; B takes all of them; then A's come to the disk. */
static void a_late_commit_takes_nothing_back(void **state)
{
	struct world *world = *state;
	struct core *late = &world->cores[0];

	pass(world, 1, true);
	read_once(world);
	send(world, false);
	for (int i = 0; i < 2; i++) {
		read_once(world);
		send(world, true);
		arrive(world, late, true);
	}
	move(world, 1);
	settle(world);
	pass(world, 5, true);
	while (late->queued)
		commit(world, late, true);
	move(world, 0);
	pass(world, 5, true);
	assert_all_is_there_and_no_gap(world);
}

static void assert_gap_of(const struct world *world, uint64_t first, uint64_t last)
{
	struct seen seen;

	see(world, &seen);
	for (uint64_t n = 1; n < world->end; n++)
		if (seen.is_in_gap[n] != (n >= first && n <= last))
			fail_msg("number %" PRIu64 " is %s gap", n,
				seen.is_in_gap[n] ? "in a" : "in no");
}

/* The gap is open when the worker goes to the other server, which closes it. */
static void what_is_lost_is_a_gap_whoever_hears_of_it(void **state)
{
	struct world *world = *state;

	pass(world, 3, true);
	read_once(world);
	read_once(world);
	world->is_lost[4] = world->is_lost[5] = true;
	world->oldest = world->next = 6;
	move(world, 1);
	pass(world, 1, true); /* 6 may be of the round that 5 was of */
	move(world, 2);
	pass(world, 3, true);
	move(world, 0);
	pass(world, 3, true);
	assert_gap_of(world, 4, 6);
}

static void what_waits_for_a_commit_is_no_gap(void **state)
{
	struct world *world = *state;
	struct core *core = &world->cores[0];

	pass(world, 1, true);
	for (int i = 0; i < 4; i++) {
		read_once(world);
		send(world, true);
		arrive(world, core, true);
	}
	read_once(world);
	world->is_lost[6] = true;
	world->oldest = world->next = 7; /* the spool was that full */
	for (int i = 0; i < 2; i++) {
		read_once(world);
		send(world, true);
		arrive(world, core, true);
	}
	drain(world, core, true);
	assert_gap_of(world, 6, 7);
}

/* 7 arrives before 6, which says that 4 and 5 are gone; then the server dies. */
static void what_is_lost_is_told_by_who_takes_over(void **state)
{
	struct world *world = *state;
	struct core *core = &world->cores[0];

	pass(world, 3, true);
	for (int i = 0; i < 4; i++)
		read_once(world);
	world->is_lost[4] = world->is_lost[5] = true;
	world->oldest = world->next = 6;
	send(world, false);
	send(world, true);
	arrive(world, core, true);
	commit(world, core, true);
	assert_int_equal(world->acknowledged, 3);
	move(world, 1);
	settle(world);
	pass(world, 2, true);
	assert_gap_of(world, 4, 6);
}

/* A store that does not answer. */
static struct {
	unsigned int questions;
	struct clock_manual *clock;
	int64_t takes_ms;
} silent;

static int fail_to_answer(struct store *store, const char *host, const char *worker,
	store_source_fn each, void *context, struct error *err)
{
	silent.questions++;
	clock_manual_advance(silent.clock, silent.takes_ms);
	return STORE_UNAVAILABLE;
}

/* Returns the operations before. */
static const struct store_ops *silence(struct world *world, int64_t takes_ms)
{
	static struct store_ops failing;
	const struct store_ops *working = world->store->ops;

	failing = *working;
	failing.sources = fail_to_answer;
	world->store->ops = &failing;
	silent.questions = 0;
	silent.clock = &world->clock;
	silent.takes_ms = takes_ms;
	return working;
}

static void a_store_that_fails_is_not_asked_with_each_message(void **state)
{
	struct world *world = *state;
	struct core *core = &world->cores[0];
	const struct store_ops *working;

	pass(world, 1, true);
	move(world, 1);
	pass(world, 1, true);
	working = silence(world, 0);
	for (uint64_t i = 0; i < 5; i++)
		deliver(world, core, &(struct letter){ 3 + i, 3, 2 + i }, true);
	assert_int_equal(silent.questions, 1);
	assert_int_equal(core->queued, 0);
	clock_manual_advance(&world->clock, 1000);
	deliver(world, core, &(struct letter){ 3, 3, 2 }, true);
	assert_int_equal(silent.questions, 2);
	world->store->ops = working;
	clock_manual_advance(&world->clock, 1000);
	move(world, 0);
	pass(world, 3, true);
	assert_all_is_there_and_no_gap(world);
}

static void deliver_from(struct world *world, struct core *core, uint64_t sequence)
{
	deliver(world, core, &(struct letter){ sequence, sequence, sequence - 1 }, true);
}

static void a_store_that_fails_late_has_the_loop_at_most_half_of_the_time(void **state)
{
	struct world *world = *state;
	struct core *core = &world->cores[0];
	const struct store_ops *working;
	int64_t begin_ms, end_ms;

	pass(world, 1, true);
	working = silence(world, 15000);
	begin_ms = clock_monotonic_ms(&world->clock.clock);
	for (uint64_t i = 0; i < 50; i++)
		deliver_from(world, core, 3 + i);
	assert_int_equal(silent.questions, 1);
	clock_manual_advance(&world->clock, 14999);
	deliver_from(world, core, 3);
	assert_int_equal(silent.questions, 1);
	clock_manual_advance(&world->clock, 1);
	deliver_from(world, core, 3);
	assert_int_equal(silent.questions, 2);
	end_ms = clock_monotonic_ms(&world->clock.clock);
	assert_int_equal(end_ms - begin_ms, 3 * 15000);
	world->store->ops = working;
	assert_int_equal(core->queued, 0);
}

/* One of everything that may happen. */
static void happen(struct world *world, bool may_drop)
{
	struct core *core = &world->cores[dice(world, SERVERS)];

	switch (dice(world, 16)) {
	case 0:
	case 1:
		read_once(world);
		break;
	case 2:
		move(world, dice(world, SERVERS));
		break;
	case 3:
		world->next = world->oldest; /* no acknowledgement in time */
		break;
	case 4:
		if (dice(world, 8) == 0) {
			end_core(core);
			start_core(world, core);
		}
		break;
	case 5:
		if (may_drop && dice(world, 16) == 0)
			drop(world);
		break;
	case 6:
	case 7:
	case 8:
	case 9:
		send(world, dice(world, 8) != 0);
		break;
	case 10:
	case 11:
	case 12:
		if (core->waiting && core->queued < PENDING_MAX)
			arrive(world, core, dice(world, 4) != 0);
		break;
	default:
		if (core->queued)
			commit(world, core, dice(world, 4) != 0);
	}
}

static void live(struct world *world, bool may_drop)
{
	read_once(world);
	settle(world); /* before anything was told there is no gap */
	while (world->end < NUMBERS_MAX / 2)
		happen(world, may_drop);
	settle(world);
	pass(world, 3, true); /* what was told last is whole then */
}

static void in_any_order_all_is_stored_once_and_there_is_no_gap(void **state)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world *world = *state;

		world->random = seed * UINT64_C(0x9e3779b97f4a7c15);
		live(world, false);
		assert_all_is_there_and_no_gap(world);
		finish(state);
		begin(state);
	}
}

/* What was lost may have been stored by a server that nobody heard of any more. */
static void in_any_order_what_is_lost_is_in_a_gap(void **state)
{
	size_t lost = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world *world = *state;
		struct seen seen;

		world->random = seed * UINT64_C(0x9e3779b97f4a7c15);
		live(world, true);
		see(world, &seen);
		for (uint64_t n = 1; n < world->end; n++) {
			if (!world->is_stored[n] && !seen.is_in_gap[n])
				fail_msg("seed %" PRIu64 ": number %" PRIu64 " is neither stored "
					 "nor in a gap",
					seed, n);
			lost += !world->is_stored[n];
		}
		finish(state);
		begin(state);
	}
	assert_true(lost > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_another_server_took_is_no_gap, begin, finish),
		cmocka_unit_test_setup_teardown(
			what_only_the_worker_did_not_hear_is_sent_again_and_known, begin, finish),
		cmocka_unit_test_setup_teardown(a_late_commit_takes_nothing_back, begin, finish),
		cmocka_unit_test_setup_teardown(
			what_is_lost_is_a_gap_whoever_hears_of_it, begin, finish),
		cmocka_unit_test_setup_teardown(what_waits_for_a_commit_is_no_gap, begin, finish),
		cmocka_unit_test_setup_teardown(
			what_is_lost_is_told_by_who_takes_over, begin, finish),
		cmocka_unit_test_setup_teardown(
			a_store_that_fails_is_not_asked_with_each_message, begin, finish),
		cmocka_unit_test_setup_teardown(
			a_store_that_fails_late_has_the_loop_at_most_half_of_the_time, begin,
			finish),
		cmocka_unit_test_setup_teardown(
			in_any_order_all_is_stored_once_and_there_is_no_gap, begin, finish),
		cmocka_unit_test_setup_teardown(
			in_any_order_what_is_lost_is_in_a_gap, begin, finish),
	};

	log_init("sharing-test", LOG_LEVEL_ERROR);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
