/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The spool on a real folder, behind a shelf that can be told to fail. What is in it is compared as
 * text: "1 2<1 5" are the messages 1, 2, and 5, of which 2 bridges what was thinned since 1. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spool/shelf.h"
#include "spool/spool.h"

enum { TEXT_MAX = 1024 * 1024, MIB = 1024 * 1024, TICK_MS = 10 * 1000, HOUR_MS = 3600 * 1000 };

static const int64_t BASE_MS = INT64_C(1700006400000); /* a full hour */
static const char DIRECTORY[] = "/tmp/kanyun-spool-XXXXXX";
static const uint64_t STRIDE = UINT64_C(1) << 32;

struct fixture {
	char directory[64];
	struct clock_manual clock;
	struct spool *spool;
	uint64_t disk_bytes_max;
	size_t memory_bytes_max;
	char *text;
};

/* What the failing shelf does next; 0: what it should. */
static struct {
	int open, append, sync;
} failing;

static int failing_open(const struct shelf_options *options, struct shelf **ret_shelf,
	struct shelf_state *ret_state, struct error *err)
{
	return failing.open ? failing.open : disk_shelf.open(options, ret_shelf, ret_state, err);
}

static int failing_append(struct shelf *shelf, const struct record *record, const void *bytes,
	struct shelf_place *ret_place)
{
	return failing.append ? failing.append : disk_shelf.append(shelf, record, bytes, ret_place);
}

static int failing_sync(struct shelf *shelf, const struct shelf_marks *marks)
{
	return failing.sync ? failing.sync : disk_shelf.sync(shelf, marks);
}

static struct shelf_ops failing_shelf;

static int try_open(struct fixture *fixture, struct spool **ret_spool, struct error *err)
{
	const struct spool_options options = { .clock = &fixture->clock.clock,
		.directory = fixture->directory,
		.disk_bytes_max = fixture->disk_bytes_max,
		.memory_bytes_max = fixture->memory_bytes_max,
		.shelf = &failing_shelf };

	failing_shelf = disk_shelf;
	failing_shelf.open = failing_open;
	failing_shelf.append = failing_append;
	failing_shelf.sync = failing_sync;
	return spool_new(&options, ret_spool, err);
}

static void open_spool(struct fixture *fixture)
{
	struct error err = { 0 };

	assert_int_equal(try_open(fixture, &fixture->spool, &err), 0);
}

static void close_spool(struct fixture *fixture)
{
	fixture->spool = spool_free(fixture->spool);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	memcpy(fixture->directory, DIRECTORY, sizeof(DIRECTORY));
	assert_non_null(mkdtemp(fixture->directory));
	clock_manual_init(&fixture->clock, BASE_MS);
	fixture->disk_bytes_max = 64 * MIB;
	fixture->memory_bytes_max = 8 * MIB;
	fixture->text = malloc(TEXT_MAX);
	memset(&failing, 0, sizeof(failing));
	*state = fixture;
	return 0;
}

static int delete_file(const char *path, const struct stat *info, int type, struct FTW *where)
{
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	close_spool(fixture);
	nftw(fixture->directory, delete_file, 8, FTW_DEPTH | FTW_PHYS);
	free(fixture->text);
	free(fixture);
	return 0;
}

static uint64_t push_note(struct fixture *fixture, const struct spool_note *note, size_t size)
{
	static const char filler[MIB] = { 'x' };
	uint64_t sequence = 0;

	assert_int_equal(spool_push(fixture->spool, note, filler, size, &sequence), 0);
	return sequence;
}

/* A regular round's message at tick `tick`. */
static uint64_t push_tick(struct fixture *fixture, int tick, size_t size)
{
	int64_t time_ms = BASE_MS + (int64_t)tick * TICK_MS;

	return push_note(fixture,
		&(struct spool_note){ .type = '3',
			.is_thinnable = time_ms % HOUR_MS != 0,
			.first_ms = time_ms,
			.last_ms = time_ms,
			.until_ms = time_ms },
		size);
}

static const char *text_of(struct fixture *fixture)
{
	struct spool_message message;
	uint64_t next = 0;
	size_t length = 0;

	fixture->text[0] = '\0';
	while (length < TEXT_MAX - 64 && spool_find(fixture->spool, next, &message)) {
		length += (size_t)snprintf(fixture->text + length, 32, "%s%llu", length ? " " : "",
			(unsigned long long)message.sequence);
		if (message.previous + 1 != message.sequence)
			length += (size_t)snprintf(fixture->text + length, 32, "<%llu",
				(unsigned long long)message.previous);
		next = message.sequence + 1;
	}
	return fixture->text;
}

static void push_synced(struct fixture *fixture, int begin, int end, size_t size)
{
	for (int i = begin; i < end; i++) {
		push_tick(fixture, i, size);
		spool_sync(fixture->spool);
	}
}

/* The worker is killed: the folder is copied aside while the spool is open, and put back. */
static void crash(struct fixture *fixture)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -rf %s.copy && cp -a %s %s.copy", fixture->directory,
		fixture->directory, fixture->directory);
	assert_int_equal(system(command), 0);
	close_spool(fixture);
	snprintf(command, sizeof(command), "rm -rf %s && mv %s.copy %s", fixture->directory,
		fixture->directory, fixture->directory);
	assert_int_equal(system(command), 0);
}

static size_t file_count(struct fixture *fixture, const char *pattern)
{
	char command[256], line[32];
	FILE *pipe;

	snprintf(command, sizeof(command), "ls %s/%s 2>/dev/null | wc -l", fixture->directory,
		pattern);
	pipe = popen(command, "r");
	assert_non_null(fgets(line, sizeof(line), pipe));
	pclose(pipe);
	return strtoul(line, NULL, 10);
}

/* The n-th segment's path. */
static const char *segment_path(struct fixture *fixture, size_t n)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%08zx.segment", fixture->directory, n);
	return path;
}

static void nothing_is_sent_before_it_is_on_disk(void **state)
{
	struct fixture *fixture = *state;

	open_spool(fixture);
	assert_string_equal(text_of(fixture), "");
	push_tick(fixture, 1, 10);
	push_tick(fixture, 2, 0);
	assert_string_equal(text_of(fixture), "");
	assert_int_equal(spool_count(fixture->spool), 2);
	spool_sync(fixture->spool);
	assert_string_equal(text_of(fixture), "1 2");
	assert_int_equal(spool_count_in_memory(fixture->spool), 0);
}

static void what_was_pushed_is_what_is_found(void **state)
{
	struct fixture *fixture = *state;
	struct spool_message message;
	const struct spool_note note = { '1', false, true, BASE_MS, BASE_MS + 5, BASE_MS + 7 };
	uint64_t sequence;

	open_spool(fixture);
	assert_int_equal(spool_push(fixture->spool, &note, "hello", 5, &sequence), 0);
	assert_int_equal(
		spool_push(fixture->spool, &note, "x", (size_t)MIB + 1, &sequence), -EMSGSIZE);
	spool_sync(fixture->spool);
	for (int life = 0; life < 2; life++) {
		assert_true(spool_find(fixture->spool, 0, &message));
		assert_int_equal(message.sequence, 1);
		assert_int_equal(message.previous, 0);
		assert_int_equal(message.size, 5);
		assert_memory_equal(message.bytes, "hello", 5);
		assert_int_equal(message.note.type, '1');
		assert_true(message.note.is_gap);
		assert_int_equal(message.note.first_ms, BASE_MS);
		assert_int_equal(message.note.last_ms, BASE_MS + 5);
		assert_int_equal(message.note.until_ms, BASE_MS + 7);
		close_spool(fixture);
		open_spool(fixture);
	}
}

static void numbers_go_on_after_a_clean_end(void **state)
{
	struct fixture *fixture = *state;
	char id[SPOOL_ID_SIZE];

	open_spool(fixture);
	memcpy(id, spool_id(fixture->spool), SPOOL_ID_SIZE);
	push_synced(fixture, 1, 4, 100);
	assert_int_equal(spool_acknowledge(fixture->spool, 2), 2);
	close_spool(fixture);
	open_spool(fixture);
	assert_string_equal(spool_id(fixture->spool), id);
	assert_int_equal(spool_findings(fixture->spool)->waiting, 1);
	assert_string_equal(text_of(fixture), "3");
	assert_int_equal(spool_acknowledge(fixture->spool, 3), 1);
	close_spool(fixture);
	assert_int_equal(file_count(fixture, "*.segment"), 0);
	open_spool(fixture);
	assert_string_equal(spool_id(fixture->spool), id);
	assert_int_equal(spool_oldest(fixture->spool), 4);
	push_synced(fixture, 4, 5, 100);
	assert_string_equal(text_of(fixture), "4");
}

static void after_a_crash_no_number_comes_again(void **state)
{
	struct fixture *fixture = *state;
	char expected[64];

	open_spool(fixture);
	push_synced(fixture, 1, 3, 100);
	for (uint64_t life = 1; life < 4; life++) {
		crash(fixture);
		open_spool(fixture);
		/* The first one is sent from memory, and never comes to the disk. */
		failing.append = -EIO;
		push_synced(fixture, 3, 4, 100);
		snprintf(expected, sizeof(expected), "1 2 %llu<2",
			(unsigned long long)(life * STRIDE + 1));
		assert_string_equal(text_of(fixture), expected);
		failing.append = 0;
	}
	assert_int_equal(spool_findings(fixture->spool)->lost, 0);
}

static void two_workers_never_share_a_folder(void **state)
{
	struct fixture *fixture = *state;
	struct spool *other = NULL;
	struct error err = { 0 };

	open_spool(fixture);
	assert_int_equal(try_open(fixture, &other, &err), -EWOULDBLOCK);
	assert_non_null(strstr(err.text, "in use by another worker"));
	assert_null(other);
}

static void what_was_acknowledged_is_no_loss(void **state)
{
	struct fixture *fixture = *state;

	fixture->disk_bytes_max = 4 * MIB; /* segments of 64 KiB */
	open_spool(fixture);
	for (int i = 0; i < 40; i++) {
		push_synced(fixture, i, i + 1, 10000);
		if (i >= 2)
			spool_acknowledge(fixture->spool, (uint64_t)i - 1);
	}
	spool_sync(fixture->spool);
	assert_true(file_count(fixture, "*.segment") <= 2);
	crash(fixture);
	open_spool(fixture);
	assert_int_equal(spool_findings(fixture->spool)->lost, 0);
	assert_string_equal(text_of(fixture), "39 40");
}

static void a_lost_mark_only_sends_again(void **state)
{
	struct fixture *fixture = *state;
	char path[128], id[SPOOL_ID_SIZE];

	open_spool(fixture);
	memcpy(id, spool_id(fixture->spool), SPOOL_ID_SIZE);
	push_synced(fixture, 1, 4, 100);
	spool_acknowledge(fixture->spool, 2);
	close_spool(fixture);
	snprintf(path, sizeof(path), "%s/head", fixture->directory);
	assert_int_equal(truncate(path, 0), 0);
	open_spool(fixture);
	assert_string_equal(spool_id(fixture->spool), id);
	assert_true(spool_findings(fixture->spool)->is_head_lost);
	assert_int_equal(spool_findings(fixture->spool)->lost, 0);
	assert_string_equal(text_of(fixture), "1 2 3");
	/* Which numbers were used is not known either. */
	assert_true(spool_oldest(fixture->spool) == 1);
	push_synced(fixture, 4, 5, 100);
	assert_non_null(strstr(text_of(fixture), "3 281474976710657<3"));
}

/* A life's numbers that were only sent from memory are in no segment. */
static void after_a_lost_head_no_number_comes_again(void **state)
{
	struct fixture *fixture = *state;
	char path[128];

	open_spool(fixture);
	push_synced(fixture, 1, 3, 100);
	crash(fixture);
	open_spool(fixture);
	failing.append = -EIO;
	push_synced(fixture, 3, 4, 100);
	assert_string_equal(text_of(fixture), "1 2 4294967297<2");
	failing.append = 0;
	crash(fixture);
	snprintf(path, sizeof(path), "%s/head", fixture->directory);
	assert_int_equal(truncate(path, 0), 0);
	open_spool(fixture);
	push_synced(fixture, 4, 5, 100);
	assert_string_equal(text_of(fixture), "1 2 281474976710657<2");
	crash(fixture);
	open_spool(fixture);
	push_synced(fixture, 5, 6, 100);
	assert_non_null(strstr(text_of(fixture), " 281479271677953<281474976710657"));
}

static void after_a_torn_head_no_number_comes_again(void **state)
{
	struct fixture *fixture = *state;
	char path[128];

	for (int copy = 0; copy < 2; copy++) {
		uint64_t used;
		int fd;

		open_spool(fixture);
		push_synced(fixture, 1, 3, 100);
		close_spool(fixture);
		open_spool(fixture);
		failing.append = -EIO;
		used = push_tick(fixture, 3, 100);
		spool_sync(fixture->spool);
		failing.append = 0;
		crash(fixture);
		snprintf(path, sizeof(path), "%s/head", fixture->directory);
		fd = open(path, O_WRONLY);
		assert_int_equal(pwrite(fd, "torn", 4, copy * 4096 + 40), 4);
		close(fd);
		open_spool(fixture);
		assert_true(push_tick(fixture, 4, 100) > used);
		close_spool(fixture);
	}
}

static void what_is_kept_begins_behind_what_its_oldest_bridges(void **state)
{
	struct fixture *fixture = *state;

	open_spool(fixture);
	assert_int_equal(spool_begin(fixture->spool), 1);
	push_synced(fixture, 1, 4, 100);
	assert_int_equal(spool_begin(fixture->spool), 1);
	spool_acknowledge(fixture->spool, 2);
	assert_int_equal(spool_begin(fixture->spool), 3);
	spool_acknowledge(fixture->spool, 3);
	spool_sync(fixture->spool);
	crash(fixture);
	open_spool(fixture);
	push_synced(fixture, 4, 6, 100);
	assert_string_equal(text_of(fixture), "4294967297<3 4294967298");
	assert_int_equal(spool_oldest(fixture->spool), STRIDE + 1);
	assert_int_equal(spool_begin(fixture->spool), 4);
	assert_int_equal(spool_next(fixture->spool), STRIDE + 3);
}

static void a_torn_head_leaves_the_one_before(void **state)
{
	struct fixture *fixture = *state;
	char path[128], id[SPOOL_ID_SIZE];
	int fd;

	open_spool(fixture);
	memcpy(id, spool_id(fixture->spool), SPOOL_ID_SIZE);
	push_synced(fixture, 1, 4, 100);
	crash(fixture);
	snprintf(path, sizeof(path), "%s/head", fixture->directory);
	/* One copy, whichever is the newer: the other one is at most one write older. */
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "torn", 4, 4096 + 40), 4);
	close(fd);
	open_spool(fixture);
	assert_string_equal(spool_id(fixture->spool), id);
	assert_false(spool_findings(fixture->spool)->is_head_lost);
	assert_string_equal(text_of(fixture), "1 2 3");
}

static void garbage_in_the_folder_harms_nothing(void **state)
{
	struct fixture *fixture = *state;
	char command[256];

	open_spool(fixture);
	push_synced(fixture, 1, 3, 100);
	close_spool(fixture);
	snprintf(command, sizeof(command),
		"cd %s && head -c 100000 /dev/urandom > 000000ff.segment && : > 00000fff.segment "
		"&& echo x > 00000001.segment.new && echo x > other && mkdir 0000ffff.segment",
		fixture->directory);
	assert_int_equal(system(command), 0);
	open_spool(fixture);
	assert_string_equal(text_of(fixture), "1 2");
	assert_int_equal(file_count(fixture, "*.new"), 0);
	assert_true(spool_findings(fixture->spool)->damaged > 0);
	push_synced(fixture, 3, 4, 100);
	close_spool(fixture);
	open_spool(fixture);
	assert_string_equal(text_of(fixture), "1 2 3");
}

static void segments_of_another_spool_are_left_alone(void **state)
{
	struct fixture *fixture = *state;
	char command[256];

	open_spool(fixture);
	push_synced(fixture, 1, 3, 100);
	close_spool(fixture);
	snprintf(command, sizeof(command), "cd %s && mv 00000000.segment keep && rm head",
		fixture->directory);
	assert_int_equal(system(command), 0);
	open_spool(fixture);
	push_synced(fixture, 1, 2, 100);
	close_spool(fixture);
	snprintf(command, sizeof(command), "cd %s && mv keep 00000005.segment", fixture->directory);
	assert_int_equal(system(command), 0);
	open_spool(fixture);
	assert_int_equal(spool_findings(fixture->spool)->foreign, 1);
	assert_string_equal(text_of(fixture), "1");
	push_synced(fixture, 2, 3, 100);
	spool_acknowledge(fixture->spool, 2);
	close_spool(fixture);
	assert_int_equal(file_count(fixture, "*.segment"), 1);
}

static void a_message_torn_at_any_byte_is_a_loss(void **state)
{
	struct fixture *fixture = *state;
	struct spool_loss loss;
	struct stat info;
	char command[256];

	open_spool(fixture);
	push_synced(fixture, 1, 4, 20);
	crash(fixture);
	snprintf(command, sizeof(command), "cp -a %s %s.kept", fixture->directory,
		fixture->directory);
	assert_int_equal(system(command), 0);
	assert_int_equal(stat(segment_path(fixture, 0), &info), 0);
	for (off_t size = info.st_size - 84 + 1; size < info.st_size; size += 7) {
		assert_int_equal(truncate(segment_path(fixture, 0), size), 0);
		open_spool(fixture);
		assert_string_equal(text_of(fixture), "1 2");
		assert_int_equal(spool_findings(fixture->spool)->torn, 1);
		assert_int_equal(spool_findings(fixture->spool)->lost, 1);
		assert_true(spool_take_loss(fixture->spool, &loss));
		assert_int_equal(loss.from_ms, BASE_MS + 2 * TICK_MS);
		assert_int_equal(loss.to_ms, BASE_MS + 3 * TICK_MS);
		assert_false(spool_take_loss(fixture->spool, &loss));
		/* The lost number is not bridged. */
		push_synced(fixture, 4, 5, 20);
		assert_string_equal(text_of(fixture), "1 2 4294967297<3");
		close_spool(fixture);
		snprintf(command, sizeof(command), "rm -rf %s && cp -a %s.kept %s",
			fixture->directory, fixture->directory, fixture->directory);
		assert_int_equal(system(command), 0);
	}
	snprintf(command, sizeof(command), "rm -rf %s.kept", fixture->directory);
	assert_int_equal(system(command), 0);
}

static void flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR);
	char byte;

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static void a_damaged_message_is_a_loss_and_the_others_stay(void **state)
{
	struct fixture *fixture = *state;
	struct spool_loss loss;
	off_t second = 40 + 64 + 50;

	open_spool(fixture);
	push_synced(fixture, 1, 5, 50);
	/* While it is read. */
	flip(segment_path(fixture, 0), second + 70);
	assert_string_equal(text_of(fixture), "1 3 4");
	assert_true(spool_take_loss(fixture->spool, &loss));
	assert_int_equal(loss.from_ms, BASE_MS + 1 * TICK_MS);
	assert_int_equal(loss.to_ms, BASE_MS + 3 * TICK_MS);
	assert_int_equal(loss.count, 1);
	close_spool(fixture);
	/* At the next start. */
	flip(segment_path(fixture, 0), second + 20);
	open_spool(fixture);
	assert_string_equal(text_of(fixture), "1 3 4");
	assert_int_equal(spool_findings(fixture->spool)->damaged, 1);
	assert_int_equal(spool_findings(fixture->spool)->lost, 1);
	assert_true(spool_take_loss(fixture->spool, &loss));
	assert_int_equal(loss.from_ms, BASE_MS + 1 * TICK_MS);
	assert_int_equal(loss.to_ms, BASE_MS + 3 * TICK_MS);
}

static void a_missing_segment_is_a_loss(void **state)
{
	struct fixture *fixture = *state;
	struct spool_loss loss;

	fixture->disk_bytes_max = 4 * MIB;
	open_spool(fixture);
	push_synced(fixture, 0, 40, 10000);
	close_spool(fixture);
	assert_int_equal(unlink(segment_path(fixture, 2)), 0);
	open_spool(fixture);
	assert_int_equal(spool_findings(fixture->spool)->lost, 7);
	assert_int_equal(spool_count(fixture->spool), 33);
	assert_true(spool_take_loss(fixture->spool, &loss));
	assert_int_equal(loss.count, 7);
	assert_int_equal(loss.to_ms - loss.from_ms, 8 * TICK_MS);
	assert_false(spool_take_loss(fixture->spool, &loss));
}

static void while_the_disk_fails_memory_serves(void **state)
{
	struct fixture *fixture = *state;

	open_spool(fixture);
	push_synced(fixture, 1, 3, 100);
	assert_null(spool_trouble(fixture->spool));
	failing.sync = -ENOSPC;
	push_synced(fixture, 3, 5, 100);
	assert_non_null(strstr(spool_trouble(fixture->spool), "No space left"));
	assert_string_equal(text_of(fixture), "1 2 3 4");
	assert_int_equal(spool_count_in_memory(fixture->spool), 2);
	failing.sync = 0;
	spool_sync(fixture->spool); /* too early */
	assert_non_null(spool_trouble(fixture->spool));
	clock_manual_advance(&fixture->clock, 1000);
	spool_sync(fixture->spool);
	assert_null(spool_trouble(fixture->spool));
	assert_int_equal(spool_count_in_memory(fixture->spool), 0);
	assert_string_equal(text_of(fixture), "1 2 3 4");
	crash(fixture);
	open_spool(fixture);
	assert_string_equal(text_of(fixture), "1 2 3 4");
	assert_int_equal(spool_findings(fixture->spool)->lost, 0);
}

static void a_folder_that_comes_later_takes_what_is_in_memory(void **state)
{
	struct fixture *fixture = *state;
	char id[SPOOL_ID_SIZE];

	failing.open = -EROFS;
	open_spool(fixture);
	assert_non_null(spool_trouble(fixture->spool));
	memcpy(id, spool_id(fixture->spool), SPOOL_ID_SIZE);
	push_synced(fixture, 1, 4, 100);
	spool_acknowledge(fixture->spool, 1);
	assert_string_equal(text_of(fixture), "2 3");
	failing.open = 0;
	clock_manual_advance(&fixture->clock, 120 * 1000);
	push_synced(fixture, 4, 5, 100);
	assert_null(spool_trouble(fixture->spool));
	assert_string_equal(spool_id(fixture->spool), id);
	assert_string_equal(text_of(fixture), "2 3 4");
	close_spool(fixture);
	open_spool(fixture);
	assert_string_equal(spool_id(fixture->spool), id);
	assert_string_equal(text_of(fixture), "2 3 4");
	push_synced(fixture, 5, 6, 100);
	assert_string_equal(text_of(fixture), "2 3 4 5");
}

static void an_older_spool_waits_until_memory_is_empty(void **state)
{
	struct fixture *fixture = *state;
	char id[SPOOL_ID_SIZE];

	open_spool(fixture);
	memcpy(id, spool_id(fixture->spool), SPOOL_ID_SIZE);
	push_synced(fixture, 1, 3, 100);
	close_spool(fixture);
	failing.open = -EROFS;
	open_spool(fixture);
	push_synced(fixture, 3, 4, 100);
	assert_string_not_equal(spool_id(fixture->spool), id);
	failing.open = 0;
	clock_manual_advance(&fixture->clock, 120 * 1000);
	spool_sync(fixture->spool);
	assert_non_null(strstr(spool_trouble(fixture->spool), "waits"));
	assert_string_equal(text_of(fixture), "1");
	spool_acknowledge(fixture->spool, 1);
	clock_manual_advance(&fixture->clock, 120 * 1000);
	spool_sync(fixture->spool);
	assert_null(spool_trouble(fixture->spool));
	assert_string_equal(spool_id(fixture->spool), id);
	assert_string_equal(text_of(fixture), "1 2");
	assert_int_equal(spool_take_earlier_until(fixture->spool), BASE_MS + 2 * TICK_MS);
}

static void a_full_memory_thins_and_drops_the_oldest_as_a_loss(void **state)
{
	struct fixture *fixture = *state;
	struct spool_message message;
	struct spool_loss loss;

	fixture->memory_bytes_max = MIB;
	failing.open = -EROFS;
	open_spool(fixture);
	push_synced(fixture, 1, 151, 10000);
	assert_true(spool_thinned(fixture->spool) > 40);
	assert_int_equal(spool_dropped(fixture->spool), 0);
	assert_true(spool_find(fixture->spool, 0, &message));
	for (int i = 0; i < 110; i++)
		push_note(fixture,
			&(struct spool_note){
				.type = '1', .first_ms = BASE_MS, .last_ms = BASE_MS },
			10000);
	assert_true(spool_dropped(fixture->spool) > 0);
	assert_true(spool_take_loss(fixture->spool, &loss));
	assert_true(loss.from_ms <= BASE_MS + 2 * TICK_MS);
}

static void the_last_until_is_known_to_the_next_life(void **state)
{
	struct fixture *fixture = *state;

	open_spool(fixture);
	assert_int_equal(spool_take_earlier_until(fixture->spool), 0);
	push_synced(fixture, 1, 4, 100);
	crash(fixture);
	open_spool(fixture);
	assert_int_equal(spool_take_earlier_until(fixture->spool), BASE_MS + 3 * TICK_MS);
	assert_int_equal(spool_take_earlier_until(fixture->spool), 0);
	spool_acknowledge(fixture->spool, 3);
	close_spool(fixture);
	open_spool(fixture);
	assert_int_equal(spool_take_earlier_until(fixture->spool), BASE_MS + 3 * TICK_MS);
}

/* Every tick that is left, as its number. */
static void find_ticks(struct fixture *fixture, bool *ret_kept, uint64_t *ret_unbridged)
{
	struct spool_message message;
	uint64_t next = 0, last = 0;

	*ret_unbridged = 0;
	while (spool_find(fixture->spool, next, &message)) {
		ret_kept[message.sequence - 1] = true;
		if (last && message.previous != last)
			(*ret_unbridged)++;
		last = message.sequence;
		next = message.sequence + 1;
	}
}

static void thinning_keeps_what_must_stay(void **state)
{
	enum { TICKS = 1500 };
	struct fixture *fixture = *state;
	bool kept[TICKS] = { false };
	uint64_t unbridged, largest = 0, distance = 0;

	fixture->disk_bytes_max = 4 * MIB;
	open_spool(fixture);
	for (int i = 0; i < TICKS; i++) {
		push_synced(fixture, i, i + 1, 10000);
		if (i == 100)
			spool_pin(fixture->spool, 101);
	}
	assert_true(spool_thinned(fixture->spool) > TICKS / 2);
	assert_int_equal(spool_dropped(fixture->spool), 0);
	for (int life = 0; life < 2; life++) {
		memset(kept, 0, sizeof(kept));
		find_ticks(fixture, kept, &unbridged);
		assert_int_equal(unbridged, 0);
		for (int i = 0; i < TICKS; i += HOUR_MS / TICK_MS)
			assert_true(kept[i]);
		assert_true(kept[100]);
		/* the_newest_are_never_thinned */
		for (int i = TICKS - 64; i < TICKS; i++)
			assert_true(kept[i]);
		for (int i = 0; i < TICKS; i++) {
			distance = kept[i] ? 0 : distance + 1;
			largest = MAX_OF(largest, distance);
		}
		assert_true(largest < 16); /* thinned alike over all of the time */
		close_spool(fixture);
		open_spool(fixture);
		assert_int_equal(spool_findings(fixture->spool)->lost, 0);
		assert_int_equal(spool_findings(fixture->spool)->damaged, 0);
	}
}

static void a_full_disk_drops_the_oldest_as_a_loss(void **state)
{
	struct fixture *fixture = *state;
	struct spool_loss loss;
	struct spool_note note = { .type = '3' };
	uint64_t oldest;

	fixture->disk_bytes_max = MIB;
	open_spool(fixture);
	for (int i = 0; i < 200; i++) {
		note.first_ms = note.last_ms = BASE_MS + i * TICK_MS;
		push_note(fixture, &note, 10000);
		spool_sync(fixture->spool);
	}
	assert_true(spool_dropped(fixture->spool) >= 100);
	oldest = spool_oldest(fixture->spool);
	assert_int_equal(oldest, spool_dropped(fixture->spool) + 1);
	assert_true(spool_take_loss(fixture->spool, &loss));
	assert_int_equal(loss.from_ms, BASE_MS);
}

static void a_loss_outlives_a_crash_until_it_was_told(void **state)
{
	struct fixture *fixture = *state;
	struct spool_loss loss;
	struct spool_note note = { .type = '3' };
	uint64_t dropped;

	fixture->disk_bytes_max = MIB;
	open_spool(fixture);
	for (int i = 0; !spool_dropped(fixture->spool); i++) {
		note.first_ms = note.last_ms = BASE_MS + i * TICK_MS;
		push_note(fixture, &note, 10000);
		spool_sync(fixture->spool);
	}
	dropped = spool_dropped(fixture->spool);
	assert_int_not_equal(access(segment_path(fixture, 0), F_OK), 0);
	for (int life = 0; life < 2; life++) {
		crash(fixture);
		open_spool(fixture);
		assert_true(spool_take_loss(fixture->spool, &loss));
		assert_int_equal(loss.count, dropped);
		assert_int_equal(loss.from_ms, BASE_MS);
		assert_int_equal(loss.to_ms, BASE_MS + (int64_t)dropped * TICK_MS);
	}
	note = (struct spool_note){ '1', false, true, loss.from_ms, loss.to_ms, 0 };
	push_note(fixture, &note, 100);
	spool_sync(fixture->spool);
	spool_sync(fixture->spool);
	crash(fixture);
	open_spool(fixture);
	assert_false(spool_take_loss(fixture->spool, &loss));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_sent_before_it_is_on_disk),
		TEST(what_was_pushed_is_what_is_found),
		TEST(numbers_go_on_after_a_clean_end),
		TEST(after_a_crash_no_number_comes_again),
		TEST(two_workers_never_share_a_folder),
		TEST(what_was_acknowledged_is_no_loss),
		TEST(a_lost_mark_only_sends_again),
		TEST(after_a_lost_head_no_number_comes_again),
		TEST(after_a_torn_head_no_number_comes_again),
		TEST(what_is_kept_begins_behind_what_its_oldest_bridges),
		TEST(a_torn_head_leaves_the_one_before),
		TEST(garbage_in_the_folder_harms_nothing),
		TEST(segments_of_another_spool_are_left_alone),
		TEST(a_message_torn_at_any_byte_is_a_loss),
		TEST(a_damaged_message_is_a_loss_and_the_others_stay),
		TEST(a_missing_segment_is_a_loss),
		TEST(while_the_disk_fails_memory_serves),
		TEST(a_folder_that_comes_later_takes_what_is_in_memory),
		TEST(an_older_spool_waits_until_memory_is_empty),
		TEST(a_full_memory_thins_and_drops_the_oldest_as_a_loss),
		TEST(the_last_until_is_known_to_the_next_life),
		TEST(thinning_keeps_what_must_stay),
		TEST(a_full_disk_drops_the_oldest_as_a_loss),
		TEST(a_loss_outlives_a_crash_until_it_was_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
