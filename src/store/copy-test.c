/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Copies from a store in memory into an embedded one, which is watched: what it is told, and when.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/copy.h"
#include "store/gaps.h"
#include "store/lost-days.h"

enum { GUESTS = 3, READINGS = 20, TICK_MS = 60 * 60 * 1000, APPEND_MS = 1000 };

static const int64_t MIDNIGHT_MS = INT64_C(1700006400000);

/* Appending takes time. */
struct watched {
	struct store store;
	struct store *inner;
	struct clock_manual *clock;
	size_t appends, readings, maintained;
	size_t appends_left; /* until it cannot be reached */
	bool is_late;        /* a commit told another time than that at which it was made */
};

static struct watched *of(struct store *store)
{
	return (struct watched *)store;
}

static int watched_append(struct store *store, const struct store_commit *commit,
	struct store_tally *ret_tally, struct error *err)
{
	struct watched *watched = of(store);

	if (watched->appends_left-- == 0)
		return STORE_UNAVAILABLE;
	watched->appends++;
	watched->is_late = watched->is_late || commit->now_ms != watched->clock->wall_ms;
	clock_manual_advance(watched->clock, APPEND_MS);
	for (size_t i = 0; i < commit->batch_count; i++)
		watched->readings += commit->batches[i]->reading_count;
	return store_append(watched->inner, commit, ret_tally, err);
}

static int watched_sources(struct store *store, const char *host, const char *worker,
	store_source_fn each, void *context, struct error *err)
{
	return store_sources(of(store)->inner, host, worker, each, context, err);
}

static int watched_records(struct store *store, const char *kind, const char *prefix,
	store_record_fn each, void *context, struct error *err)
{
	return store_records(of(store)->inner, kind, prefix, each, context, err);
}

static int watched_instances(struct store *store, const struct store_filter *filter,
	store_instance_fn each, void *context, struct error *err)
{
	return store_instances(of(store)->inner, filter, each, context, err);
}

static int watched_scan(struct store *store, const struct store_scan *scan, store_series_fn each,
	void *context, struct error *err)
{
	return store_scan(of(store)->inner, scan, each, context, err);
}

static int watched_maintain(struct store *store, int64_t now_ms, int64_t keep_from_ms,
	bool *ret_more, struct error *err)
{
	of(store)->maintained++;
	return store_maintain(of(store)->inner, now_ms, keep_from_ms, ret_more, err);
}

static int watched_damaged(
	struct store *store, store_damage_fn each, void *context, struct error *err)
{
	return store_damaged(of(store)->inner, each, context, err);
}

static const struct store_ops watched_ops = { .name = "watched",
	.append = watched_append,
	.sources = watched_sources,
	.records = watched_records,
	.instances = watched_instances,
	.scan = watched_scan,
	.maintain = watched_maintain,
	.damaged = watched_damaged };

struct fixture {
	struct store *from;
	struct watched to;
	char directory[64];
	struct clock_manual clock;
	struct copy copy;
};

static int remove_path(const char *path, const struct stat *status, int type, struct FTW *place)
{
	return remove(path);
}

static struct instance_key key_of(size_t guest)
{
	return (struct instance_key){ .has_uuid = true, .uuid.bytes = { (uint8_t)(guest + 1) } };
}

static void put_reading(struct store *store, size_t guest, int64_t time_ms, int64_t value)
{
	CLEANUP(batch_free) struct batch *batch = NULL;
	struct store_commit commit = { .batch_count = 1, .now_ms = time_ms };
	struct store_tally ignored;
	struct reading *reading;
	struct tuple *tuple;

	assert_int_equal(batch_new(&batch), 0);
	reading = batch_add_reading(batch);
	reading->instance = key_of(guest);
	reading->time_ms = time_ms;
	reading->epoch = "h1/b/1/2";
	tuple = batch_add_tuple(batch, reading);
	tuple->group = METRIC_GROUP_CPU;
	tuple->parameter = "total";
	tuple_set(tuple, 0, value);
	commit.batches = (const struct batch *const[]){ batch };
	assert_int_equal(store_append(store, &commit, &ignored, NULL), 0);
}

static void put_info(struct store *store, size_t guest, const char *name)
{
	CLEANUP(batch_free) struct batch *batch = NULL;
	struct store_commit commit = { .batch_count = 1, .now_ms = MIDNIGHT_MS };
	struct store_tally ignored;
	struct instance_info *info;

	assert_int_equal(batch_new(&batch), 0);
	info = batch_add_info(batch);
	info->uuid = key_of(guest).uuid;
	info->since_ms = MIDNIGHT_MS;
	info->display_name = name;
	commit.batches = (const struct batch *const[]){ batch };
	assert_int_equal(store_append(store, &commit, &ignored, NULL), 0);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct sqlite_store_options options = { .data_dir = fixture->directory };

	*state = fixture;
	snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/kanyun-copy-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	clock_manual_init(&fixture->clock, MIDNIGHT_MS + INT64_C(100) * 24 * TICK_MS);
	fixture->to = (struct watched){
		.store = { &watched_ops }, .clock = &fixture->clock, .appends_left = SIZE_MAX
	};
	assert_int_equal(sqlite_store_new(&options, &fixture->to.inner, NULL), 0);
	assert_int_equal(memory_store_new(&fixture->from), 0);
	for (size_t i = 0; i < GUESTS; i++)
		for (int64_t k = 0; k < READINGS; k++)
			put_reading(fixture->from, i, MIDNIGHT_MS + k * TICK_MS, 10 * k);
	fixture->copy = (struct copy){ .from = fixture->from,
		.to = &fixture->to.store,
		.name = "memory",
		.clock = &fixture->clock.clock,
		.tidy_samples = SIZE_MAX };
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	store_free(fixture->from);
	store_free(fixture->to.inner);
	nftw(fixture->directory, remove_path, 8, FTW_DEPTH | FTW_PHYS);
	free(fixture);
	return 0;
}

/* Of how many instances nothing was to be copied. */
static size_t copy_again(struct fixture *fixture)
{
	struct error err = { 0 };
	int r;

	fixture->copy.skipped = fixture->copy.instances = 0;
	fixture->to.readings = fixture->to.appends = 0;
	r = copy_instances(&fixture->copy, &err);
	if (r != 0)
		fail_msg("%s", error_text(&err, r));
	return fixture->copy.skipped;
}

static int add_samples(void *context, const struct store_series *series)
{
	*(size_t *)context += series->count;
	return 0;
}

static size_t samples_there(struct fixture *fixture, size_t guest)
{
	struct store_scan scan = { .instance = key_of(guest),
		.columns = { [METRIC_GROUP_CPU] = 1 },
		.to_ms = INT64_MAX,
		.maximum = 1000 };
	size_t count = 0;

	assert_int_equal(store_scan(fixture->to.inner, &scan, add_samples, &count, NULL), 0);
	return count;
}

static void a_commit_tells_when_it_is_made(void **state)
{
	struct fixture *fixture = *state;

	put_info(fixture->from, 0, "web");
	assert_int_equal(copy_again(fixture), 0);
	assert_true(fixture->to.appends > 2 * GUESTS);
	assert_false(fixture->to.is_late);
}

static void an_instance_is_passed_over_while_there_is_nothing_else_of_it(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(copy_again(fixture), 0);
	assert_int_equal(fixture->to.readings, GUESTS * READINGS);
	assert_int_equal(copy_again(fixture), GUESTS);
	assert_int_equal(fixture->to.appends, 0);
	/* Between its first and last one. */
	put_reading(fixture->from, 1, MIDNIGHT_MS + TICK_MS / 2, 5);
	assert_int_equal(copy_again(fixture), GUESTS - 1);
	assert_int_equal(samples_there(fixture, 1), READINGS + 1);
	/* The same time, another value. */
	put_reading(fixture->from, 2, MIDNIGHT_MS + TICK_MS, 11);
	assert_int_equal(copy_again(fixture), GUESTS - 1);
	/* A month later. */
	put_reading(fixture->from, 2, MIDNIGHT_MS + INT64_C(31) * 24 * TICK_MS, 10000);
	assert_int_equal(copy_again(fixture), GUESTS - 1);
	assert_int_equal(samples_there(fixture, 2), READINGS + 1);
	put_info(fixture->from, 0, "web");
	assert_int_equal(copy_again(fixture), GUESTS - 1);
	assert_int_equal(copy_again(fixture), GUESTS);
}

static void a_store_is_not_taken_for_another_one_of_its_name(void **state)
{
	struct fixture *fixture = *state;
	struct store *first = fixture->from;

	assert_int_equal(copy_again(fixture), 0);
	assert_int_equal(memory_store_new(&fixture->from), 0);
	fixture->copy.from = fixture->from;
	put_reading(fixture->from, 0, MIDNIGHT_MS + READINGS * TICK_MS, 1000);
	assert_int_equal(copy_again(fixture), 0);
	assert_int_equal(samples_there(fixture, 0), READINGS + 1);
	store_free(first);
}

static void a_copy_that_was_interrupted_goes_on(void **state)
{
	struct fixture *fixture = *state;

	fixture->to.appends_left = 3; /* of one instance: its readings and a note */
	assert_int_equal(copy_instances(&fixture->copy, NULL), STORE_UNAVAILABLE);
	assert_int_equal(samples_there(fixture, 0), READINGS);
	fixture->to.appends_left = SIZE_MAX;
	assert_int_equal(copy_again(fixture), 1);
	assert_int_equal(fixture->to.readings, (GUESTS - 1) * READINGS);
	for (size_t i = 0; i < GUESTS; i++)
		assert_int_equal(samples_there(fixture, i), READINGS);
}

static int count_latest(void *context, const struct store_latest *latest)
{
	*(size_t *)context += latest->count;
	return 0;
}

static void what_was_written_leaves_the_memory(void **state)
{
	struct fixture *fixture = *state;
	struct store_recent recent = {
		.columns = { [METRIC_GROUP_CPU] = 1 }, .count = 1, .maximum = 1000
	};
	size_t count = 0;

	fixture->copy.tidy_samples = READINGS;
	assert_int_equal(copy_again(fixture), 0);
	assert_int_equal(fixture->to.maintained, GUESTS + 1);
	assert_int_equal(store_latest(fixture->to.inner, &recent, count_latest, &count, NULL), 0);
	assert_int_equal(count, 0);
	for (size_t i = 0; i < GUESTS; i++)
		assert_int_equal(samples_there(fixture, i), READINGS);
}

static int count_gap(void *context, const struct store_record *record)
{
	*(size_t *)context += !gap_is_withdrawn(record);
	return 0;
}

static void what_the_first_store_lost_stays_lost_in_the_other(void **state)
{
	struct fixture *fixture = *state;
	const struct gap gap = {
		.from_ms = MIDNIGHT_MS - 1, .to_ms = MIDNIGHT_MS + 24 * TICK_MS, .reason = "damaged"
	};
	char key[GAP_KEY_SIZE];
	const struct store_record record = { GAP_KIND, gap_key("h1", &gap, key), "", 0 };
	struct store_tally ignored;
	size_t count = 0;

	assert_int_equal(store_append(fixture->from,
				 &(struct store_commit){ .records = &record, .record_count = 1 },
				 &ignored, NULL),
		0);
	assert_int_equal(copy_records(&fixture->copy, GAP_KIND, NULL), 0);
	/* As a server does when it starts. */
	assert_int_equal(lost_days_record(&fixture->to.store, MIDNIGHT_MS, NULL, NULL, NULL), 0);
	assert_int_equal(
		store_records(fixture->to.inner, GAP_KIND, "", count_gap, &count, NULL), 0);
	assert_int_equal(count, 1);
	/* There, it was repaired. */
	assert_int_equal(
		store_append(fixture->from,
			&(struct store_commit){ .records = &(struct store_record){ GAP_KIND, key,
							GAP_WITHDRAWN, strlen(GAP_WITHDRAWN) },
				.record_count = 1 },
			&ignored, NULL),
		0);
	assert_int_equal(copy_records(&fixture->copy, GAP_KIND, NULL), 0);
	count = 0;
	assert_int_equal(
		store_records(fixture->to.inner, GAP_KIND, "", count_gap, &count, NULL), 0);
	assert_int_equal(count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_commit_tells_when_it_is_made),
		TEST(an_instance_is_passed_over_while_there_is_nothing_else_of_it),
		TEST(a_store_is_not_taken_for_another_one_of_its_name),
		TEST(a_copy_that_was_interrupted_goes_on),
		TEST(what_was_written_leaves_the_memory),
		TEST(what_the_first_store_lost_stays_lost_in_the_other),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("copy", tests, NULL, NULL);
}
