/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* What the packer pushes, into a spool in memory, and decoded again. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "wire/message.h"
#include "worker/packer.h"

static const int64_t BASE_MS = INT64_C(1700006400000); /* a full hour */
static const int64_t HOUR_MS = INT64_C(3600000);
static const char UUID[] = "6f4a5a3e-93a5-4f0c-8f0e-3c1d2b4a5968";

/* A clock with segments that the test sets. */
struct segment_clock {
	struct clock_manual manual;
	uint32_t segment;
};

struct fixture {
	struct segment_clock clock;
	struct spool *spool;
	struct packer *packer;
	uint64_t next; /* message to look at */
};

static struct clock_reading read_clock(const struct clock *clock)
{
	const struct segment_clock *segments = (const struct segment_clock *)clock;

	return (struct clock_reading){ segments->manual.wall_ms, segments->manual.monotonic_ms,
		segments->segment };
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct spool_options options = { .clock = &fixture->clock.manual.clock,
		.memory_bytes_max = SPOOL_MEMORY_MAX };

	clock_manual_init(&fixture->clock.manual, BASE_MS);
	fixture->clock.manual.clock.read = read_clock;
	fixture->clock.manual.monotonic_ms = HOUR_MS;
	assert_int_equal(spool_new(&options, &fixture->spool, NULL), 0);
	assert_int_equal(packer_new(options.clock, fixture->spool, "h1", &fixture->packer), 0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	packer_free(fixture->packer);
	spool_free(fixture->spool);
	free(fixture);
	return 0;
}

static struct reading *add_reading(struct fixture *fixture, struct batch *batch, int64_t cpu)
{
	struct reading *reading = batch_add_reading(batch);
	struct tuple *tuple = batch_add_tuple(batch, reading);

	reading->instance.has_uuid = true;
	assert_int_equal(uuid_parse(UUID, &reading->instance.uuid), 0);
	reading->time_ms = fixture->clock.manual.wall_ms;
	reading->segment = fixture->clock.segment;
	reading->epoch = "h1/b/1/2";
	tuple->group = METRIC_GROUP_CPU;
	tuple->parameter = "total";
	tuple_set(tuple, 0, cpu);
	return reading;
}

/* A whole round with this CPU time; 0: without the instance. */
static void pack_round(struct fixture *fixture, int64_t cpu)
{
	struct batch *batch;

	assert_int_equal(batch_new(&batch), 0);
	batch->host = "h1";
	batch->until_ms = fixture->clock.manual.wall_ms;
	if (cpu)
		add_reading(fixture, batch, cpu);
	packer_pack(fixture->packer, batch);
	batch_free(batch);
}

static void advance(struct fixture *fixture, int64_t by_ms)
{
	clock_manual_advance(&fixture->clock.manual, by_ms);
}

static void step_back(struct fixture *fixture, int64_t by_ms)
{
	fixture->clock.manual.wall_ms -= by_ms;
	fixture->clock.segment++;
}

/* The next message; the caller frees its batch. */
static struct batch *next_message(struct fixture *fixture, struct spool_message *ret_message)
{
	const struct message_options options = { .now_ms = BASE_MS + HOUR_MS };
	struct message_report report;
	struct message message;
	struct frame frames[2];

	assert_true(spool_find(fixture->spool, fixture->next, ret_message));
	frames[0] = (struct frame){ &ret_message->note.type, 1 };
	frames[1] = (struct frame){ ret_message->bytes, ret_message->size };
	assert_int_equal(message_decode(frames, 2, &options, &message, &report), 0);
	fixture->next = ret_message->sequence + 1;
	return message.batch;
}

static void assert_no_more(struct fixture *fixture)
{
	struct spool_message message;

	assert_false(spool_find(fixture->spool, fixture->next, &message));
}

static void assert_is_thinnable(struct fixture *fixture, bool is_thinnable)
{
	struct spool_message message;

	batch_free(next_message(fixture, &message));
	assert_int_equal(message.note.is_thinnable, is_thinnable);
}

static void only_what_is_between_may_be_thinned(void **state)
{
	struct fixture *fixture = *state;

	advance(fixture, 10000);
	for (int i = 1; i < 4; i++, advance(fixture, 10000))
		pack_round(fixture, i);
	assert_is_thinnable(fixture, false); /* the first */
	assert_is_thinnable(fixture, true);
	assert_is_thinnable(fixture, true);
	/* The next round is without it, so that one was its last. */
	pack_round(fixture, 0);
	fixture->next = 2;
	assert_is_thinnable(fixture, true);
	assert_is_thinnable(fixture, false);
	assert_is_thinnable(fixture, false);
	advance(fixture, HOUR_MS - 50000);
	pack_round(fixture, 5);
	advance(fixture, 10000);
	pack_round(fixture, 6);
	assert_is_thinnable(fixture, false); /* it is back */
	assert_is_thinnable(fixture, false); /* a full hour */
}

static void a_round_without_instances_says_until_when(void **state)
{
	struct fixture *fixture = *state;
	struct spool_message message;

	pack_round(fixture, 0);
	batch_free(next_message(fixture, &message));
	assert_int_equal(message.note.type, '3');
	assert_int_equal(message.note.until_ms, BASE_MS);
	assert_int_equal(message.note.first_ms, 0);
	assert_no_more(fixture);
}

static void a_segment_begins_with_the_last_values(void **state)
{
	struct fixture *fixture = *state;
	struct spool_message message;
	struct batch *batch;

	pack_round(fixture, 100);
	advance(fixture, 10000);
	pack_round(fixture, 200);
	advance(fixture, 3000);
	step_back(fixture, 2 * HOUR_MS);
	advance(fixture, 7000);
	pack_round(fixture, 300);
	fixture->next = 3;
	batch = next_message(fixture, &message);
	assert_int_equal(batch->reading_count, 1);
	assert_int_equal(batch->readings[0].segment, 1);
	assert_int_equal(batch->readings[0].start_ms, EPOCH_START_UNKNOWN);
	assert_int_equal(batch->readings[0].time_ms, BASE_MS + 10000 - 2 * HOUR_MS);
	assert_int_equal(batch->readings[0].tuples[0].values[0], 200);
	assert_false(message.note.is_thinnable);
	assert_int_equal(message.note.until_ms, 0);
	batch_free(batch);
	batch = next_message(fixture, &message);
	assert_int_equal(batch->readings[0].segment, 1);
	assert_int_equal(batch->readings[0].tuples[0].values[0], 300);
	batch_free(batch);
	assert_no_more(fixture);
	/* The last one before the step. */
	fixture->next = 2;
	assert_is_thinnable(fixture, false);
}

static void what_was_read_before_a_step_and_comes_after_it_is_restamped(void **state)
{
	struct fixture *fixture = *state;
	struct spool_message message;
	struct batch *batch, *late;

	pack_round(fixture, 100);
	advance(fixture, 10000);
	assert_int_equal(batch_new(&late), 0);
	add_reading(fixture, late, 200);
	step_back(fixture, HOUR_MS);
	advance(fixture, 10000);
	pack_round(fixture, 300);
	packer_pack(fixture->packer, late);
	batch_free(late);
	fixture->next = 4;
	batch = next_message(fixture, &message);
	assert_int_equal(batch->readings[0].segment, 1);
	assert_int_equal(batch->readings[0].time_ms, BASE_MS + 10000 - HOUR_MS);
	assert_int_equal(batch->readings[0].tuples[0].values[0], 200);
	batch_free(batch);
}

static void a_loss_becomes_a_gap(void **state)
{
	struct fixture *fixture = *state;
	struct spool_message message;
	struct batch *batch;

	spool_add_loss(fixture->spool, &(struct spool_loss){ BASE_MS - 5000, BASE_MS, 3 });
	packer_declare_losses(fixture->packer);
	batch = next_message(fixture, &message);
	assert_int_equal(message.note.type, '1');
	assert_true(message.note.is_gap);
	assert_int_equal(batch->gap_count, 1);
	assert_string_equal(batch->gaps[0].reason, "dropped");
	assert_int_equal(batch->gaps[0].from_ms, BASE_MS - 5000);
	assert_int_equal(batch->gaps[0].to_ms, BASE_MS);
	assert_false(batch->gaps[0].has_instance);
	assert_string_equal(batch->host, "h1");
	batch_free(batch);
}

static void a_large_round_says_until_when_in_its_last_part(void **state)
{
	enum { INSTANCES = 30000 };
	struct fixture *fixture = *state;
	struct spool_message message;
	struct batch *batch;
	size_t readings = 0, parts = 0;

	assert_int_equal(batch_new(&batch), 0);
	batch->host = "h1";
	batch->until_ms = BASE_MS;
	for (int i = 0; i < INSTANCES; i++) {
		struct reading *reading = add_reading(fixture, batch, i);

		memcpy(reading->instance.uuid.bytes, &i, sizeof(i));
	}
	packer_pack(fixture->packer, batch);
	batch_free(batch);
	while (readings < INSTANCES) {
		batch = next_message(fixture, &message);
		assert_true(message.size <= WIRE_MESSAGE_MAX);
		readings += batch->reading_count;
		assert_int_equal(message.note.until_ms, readings == INSTANCES ? BASE_MS : 0);
		batch_free(batch);
		parts++;
	}
	assert_true(parts > 2);
	assert_no_more(fixture);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_what_is_between_may_be_thinned),
		TEST(a_round_without_instances_says_until_when),
		TEST(a_segment_begins_with_the_last_values),
		TEST(what_was_read_before_a_step_and_comes_after_it_is_restamped),
		TEST(a_loss_becomes_a_gap),
		TEST(a_large_round_says_until_when_in_its_last_part),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
