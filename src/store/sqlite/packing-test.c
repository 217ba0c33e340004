/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Packing goes on where it failed: two days of more instances than one transaction packs, sealed,
 * and then packed piece by piece, of which one fails. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/store.h"

enum { INSTANCES = 70, DAYS = 2, PIECES_MAX = 50 };

/* 2023-11-01 */
static const int64_t MONTH_MS = INT64_C(1698796800000);
static const int64_t A_DAY_MS = INT64_C(86400000);
static const char *const FILES[DAYS] = { "day-20231101.db", "day-20231102.db" };

struct fixture {
	struct store *store;
	char directory[64];
};

#define SPOIL(table) "UPDATE " table " SET rows = zeroblob(9) WHERE instance = 3"

static bool is_disk_full;

static ssize_t write_if_there_is_room(int fd, const void *bytes, size_t size, off_t place)
{
	errno = ENOSPC;
	return is_disk_full ? -1 : pwrite(fd, bytes, size, place);
}

static void watch_writes(void)
{
	sqlite3_vfs *files = sqlite3_vfs_find(NULL);
	sqlite3_syscall_ptr call = (sqlite3_syscall_ptr)write_if_there_is_room;

	assert_int_equal(files->xSetSystemCall(files, "pwrite", call), SQLITE_OK);
	assert_int_equal(files->xSetSystemCall(files, "pwrite64", call), SQLITE_OK);
}

static void open_store(struct fixture *fixture)
{
	const struct sqlite_store_options options = { fixture->directory, 1000 };
	struct error err = { 0 };

	assert_int_equal(sqlite_store_new(&options, &fixture->store, &err), 0);
}

static void append(struct fixture *fixture, int64_t time_ms)
{
	CLEANUP(batch_free) struct batch *batch = NULL;
	struct store_commit commit = { .batch_count = 1, .now_ms = MONTH_MS };
	struct store_tally ignored;
	struct error err = { 0 };

	assert_int_equal(batch_new(&batch), 0);
	for (uint8_t i = 0; i < INSTANCES; i++) {
		struct reading *reading = batch_add_reading(batch);
		struct tuple *tuple;

		assert_non_null(reading);
		reading->instance.has_uuid = true;
		reading->instance.uuid.bytes[0] = i;
		reading->time_ms = time_ms;
		reading->epoch = "e";
		tuple = batch_add_tuple(batch, reading);
		assert_non_null(tuple);
		tuple->group = METRIC_GROUP_CPU;
		tuple->parameter = "total";
		tuple_set(tuple, 0, time_ms);
	}
	commit.batches = (const struct batch *const[]){ batch };
	assert_int_equal(store_append(fixture->store, &commit, &ignored, &err), 0);
}

/* Everything is sealed; no day is over. */
static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct error err = { 0 };
	bool more;

	assert_non_null(fixture);
	snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/kanyun-packing-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	open_store(fixture);
	for (int64_t hour = 1; hour < 24 * DAYS; hour += 6)
		append(fixture, MONTH_MS + hour * 3600 * 1000);
	assert_int_equal(
		store_maintain(fixture->store, MONTH_MS + A_DAY_MS / 2, INT64_MIN, &more, &err), 0);
	*state = fixture;
	return 0;
}

static int remove_path(const char *path, const struct stat *status, int type, struct FTW *place)
{
	return remove(path);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	store_free(fixture->store);
	nftw(fixture->directory, remove_path, 8, FTW_DEPTH | FTW_PHYS);
	free(fixture);
	return 0;
}

/* In the next month: a piece of the work. */
static int pack(struct fixture *fixture, bool *ret_more)
{
	struct error err = { 0 };

	return store_maintain(fixture->store, MONTH_MS + 40 * A_DAY_MS, INT64_MIN, ret_more, &err);
}

/* Returns how many pieces failed because something is damaged; no other may fail. */
static unsigned int pack_all(struct fixture *fixture)
{
	unsigned int damaged = 0;
	bool more = true;

	for (unsigned int i = 0; more && i < PIECES_MAX; i++) {
		int r = pack(fixture, &more);

		if (r == 0)
			continue;
		assert_int_equal(r, -EBADMSG);
		damaged++;
		more = true;
	}
	assert_false(more);
	return damaged;
}

/* Of a file that the store has not open. */
static int64_t ask(struct fixture *fixture, const char *file, const char *question)
{
	char path[128];
	sqlite3 *db;
	sqlite3_stmt *statement;
	int64_t answer = -1;

	snprintf(path, sizeof(path), "%s/%s", fixture->directory, file);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, question, -1, &statement, NULL), SQLITE_OK);
	if (sqlite3_step(statement) == SQLITE_ROW)
		answer = sqlite3_column_int64(statement, 0);
	assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
	sqlite3_close(db);
	return answer;
}

static void assert_packed(struct fixture *fixture)
{
	for (size_t i = 0; i < DAYS; i++) {
		assert_int_equal(ask(fixture, FILES[i], "SELECT count(*) FROM thinned"), INSTANCES);
		assert_int_equal(ask(fixture, FILES[i], "SELECT count(*) FROM chunks"), INSTANCES);
		assert_int_equal(ask(fixture, FILES[i], "PRAGMA freelist_count"), 0);
	}
	assert_int_equal(ask(fixture, FILES[0], "SELECT count(*) FROM month"), INSTANCES);
}

/* Packs, and the disk is full for one piece; false: there were fewer pieces. */
static bool pack_with_a_full_disk_for(unsigned int piece, struct fixture *fixture)
{
	bool more = true;

	for (unsigned int i = 0; i < piece && more; i++)
		assert_int_equal(pack(fixture, &more), 0);
	if (!more)
		return false;
	is_disk_full = true;
	assert_int_equal(pack(fixture, &more), STORE_FULL);
	is_disk_full = false;
	assert_int_equal(pack_all(fixture), 0);
	fixture->store = store_free(fixture->store);
	return true;
}

static void what_a_full_disk_had_no_room_for_is_packed_later(void **state)
{
	unsigned int piece = 0;
	bool was_full = true;

	for (; was_full; piece++) {
		void *fixture;

		set_up(&fixture);
		was_full = pack_with_a_full_disk_for(piece, fixture);
		if (was_full)
			assert_packed(fixture);
		tear_down(&fixture);
	}
	/* Each day and the month are more than one. */
	assert_in_range(piece, 2 * (DAYS + 1) + 1, PIECES_MAX);
}

static void what_is_damaged_keeps_nothing_else_from_being_packed(void **state)
{
	struct fixture *fixture = *state;

	fixture->store = store_free(fixture->store);
	assert_int_equal(ask(fixture, FILES[1], SPOIL("chunks")), -1);
	open_store(fixture);
	assert_int_equal(pack_all(fixture), 2); /* of the day, and of the month */
	fixture->store = store_free(fixture->store);
	assert_int_equal(ask(fixture, FILES[0], "SELECT count(*) FROM thinned"), INSTANCES);
	assert_int_equal(ask(fixture, FILES[0], "SELECT count(*) FROM month"), INSTANCES - 1);
	assert_int_equal(
		ask(fixture, FILES[0], "SELECT count(*) FROM month WHERE instance = 3"), 0);
}

static void rows_of_a_month_from_before_a_restart_are_made_again(void **state)
{
	struct fixture *fixture = *state;
	bool more;

	for (unsigned int i = 0; i < 2 * DAYS + 1; i++)
		assert_int_equal(pack(fixture, &more), 0);
	assert_true(more); /* The month is begun, but not done. */
	fixture->store = store_free(fixture->store);
	assert_int_equal(
		ask(fixture, FILES[0], "SELECT count(*) FROM month WHERE instance = 3"), 1);
	assert_int_equal(ask(fixture, FILES[1], SPOIL("thinned")), -1);
	open_store(fixture);
	assert_int_equal(pack_all(fixture), 1);
	fixture->store = store_free(fixture->store);
	assert_int_equal(
		ask(fixture, FILES[0], "SELECT count(*) FROM month WHERE instance = 3"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_full_disk_had_no_room_for_is_packed_later),
		cmocka_unit_test_setup_teardown(
			what_is_damaged_keeps_nothing_else_from_being_packed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			rows_of_a_month_from_before_a_restart_are_made_again, set_up, tear_down),
	};

	watch_writes();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
