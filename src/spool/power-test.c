/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Power losses. What fsync and fdatasync were called for is copied aside: the content of files, and
 * which names a folder had. A loss gives back a folder of just that; what was not synced is gone,
 * or there in part, file by file as the dice say. Then:
 *
 * - what could have been sent and was not acknowledged is there again, with the same bytes, unless
 * it was thinned out, or is covered by a loss;
 * - no number ever stands for two messages. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spool/spool.h"

enum { FILES_MAX = 4096, NAME_SIZE = 64, SENT_MAX = 64 * 1024, LOSSES = 100, TICK_MS = 1000 };

static const int64_t BASE_MS = INT64_C(1700006400000);
static const char DIRECTORY[] = "/tmp/kanyun-power-XXXXXX";

/* The disk as it is without power. */

struct content {
	ino_t inode;
	char *bytes;
	size_t size;
};

struct name {
	ino_t inode;
	char name[NAME_SIZE];
};

static struct {
	struct content contents[FILES_MAX];
	size_t content_count;
	struct name names[FILES_MAX];
	size_t name_count;
} platter;

int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);

static char *read_all(int fd, size_t *ret_size)
{
	struct stat info;
	char path[64], *bytes;
	int own;

	/* Anew, for the one that is synced may be open for writing only. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_RDONLY);
	assert_true(own >= 0);
	assert_int_equal(fstat(own, &info), 0);
	bytes = malloc((size_t)info.st_size + 1);
	assert_int_equal(pread(own, bytes, (size_t)info.st_size, 0), info.st_size);
	close(own);
	*ret_size = (size_t)info.st_size;
	return bytes;
}

static struct content *content_of(ino_t inode)
{
	for (size_t i = 0; i < platter.content_count; i++)
		if (platter.contents[i].inode == inode)
			return &platter.contents[i];
	return NULL;
}

static void keep_content(int fd, ino_t inode)
{
	struct content *content = content_of(inode);

	if (!content) {
		assert_true(platter.content_count < FILES_MAX);
		content = &platter.contents[platter.content_count++];
		*content = (struct content){ .inode = inode };
	}
	free(content->bytes);
	content->bytes = read_all(fd, &content->size);
}

static void keep_names(int fd)
{
	char path[64];
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	directory = opendir(path);
	platter.name_count = 0;
	for (struct dirent *item; (item = readdir(directory)) != NULL;) {
		struct name *name = &platter.names[platter.name_count];

		if (item->d_type != DT_REG)
			continue;
		platter.name_count++;
		name->inode = item->d_ino;
		snprintf(name->name, NAME_SIZE, "%.60s", item->d_name);
	}
	closedir(directory);
}

static void keep(int fd)
{
	struct stat info;

	assert_int_equal(fstat(fd, &info), 0);
	if (S_ISDIR(info.st_mode))
		keep_names(fd);
	else
		keep_content(fd, info.st_ino);
}

int __wrap_fsync(int fd)
{
	keep(fd);
	return 0;
}

int __wrap_fdatasync(int fd)
{
	keep(fd);
	return 0;
}

/* The spool under test, and what is known of it. */

struct sent {
	uint64_t sequence;
	uint32_t content;
	bool is_acknowledged;
	int64_t first_ms, last_ms;
};

struct fixture {
	char directory[sizeof(DIRECTORY)], image[sizeof(DIRECTORY) + 8];
	struct clock_manual clock;
	struct spool *spool;
	struct sent sent[SENT_MAX];
	size_t sent_count;
	uint32_t tick;
	struct spool_loss losses[SENT_MAX];
	size_t loss_count;
};

static uint32_t dice;

static uint32_t roll(uint32_t sides)
{
	dice = dice * 1664525 + 1013904223;
	return (dice >> 8) % sides;
}

static void add_loss(struct fixture *fixture, const struct spool_loss *loss)
{
	assert_true(fixture->loss_count < SENT_MAX);
	fixture->losses[fixture->loss_count++] = *loss;
}

static bool is_declared(const struct fixture *fixture, const struct sent *sent)
{
	for (size_t i = 0; i < fixture->loss_count; i++)
		if (fixture->losses[i].from_ms <= sent->first_ms &&
			sent->last_ms <= fixture->losses[i].to_ms)
			return true;
	return false;
}

static void open_spool(struct fixture *fixture)
{
	const struct spool_options options = { .clock = &fixture->clock.clock,
		.directory = fixture->directory,
		.disk_bytes_max = 1024 * 1024,
		.memory_bytes_max = 1024 * 1024 };
	struct spool_loss loss;

	assert_int_equal(spool_new(&options, &fixture->spool, NULL), 0);
	assert_null(spool_trouble(fixture->spool));
	while (spool_take_loss(fixture->spool, &loss))
		add_loss(fixture, &loss);
}

static void push(struct fixture *fixture)
{
	int64_t time_ms = BASE_MS + (int64_t)++fixture->tick * TICK_MS;
	const struct spool_note note = { '3', roll(4) != 0, false, time_ms, time_ms, time_ms };
	char bytes[8000] = { 0 };
	uint64_t sequence;

	memcpy(bytes, &fixture->tick, sizeof(fixture->tick));
	assert_int_equal(
		spool_push(fixture->spool, &note, bytes, 8 + roll(sizeof(bytes) - 8), &sequence),
		0);
}

static struct sent *find_sent(struct fixture *fixture, uint64_t sequence)
{
	for (size_t i = fixture->sent_count; i-- > 0;)
		if (fixture->sent[i].sequence == sequence)
			return &fixture->sent[i];
	return NULL;
}

/* Everything that may be sent is, and each number says the same each time. */
static void send_all(struct fixture *fixture)
{
	struct spool_message message;
	uint64_t next = 0;

	for (; spool_find(fixture->spool, next, &message); next = message.sequence + 1) {
		struct sent *sent = find_sent(fixture, message.sequence);
		uint32_t content;

		memcpy(&content, message.bytes, sizeof(content));
		if (sent) {
			assert_int_equal(sent->content, content);
			continue;
		}
		assert_true(fixture->sent_count < SENT_MAX);
		fixture->sent[fixture->sent_count++] = (struct sent){ message.sequence, content,
			false, message.note.first_ms, message.note.last_ms };
	}
}

static void acknowledge(struct fixture *fixture)
{
	uint64_t sequence = spool_oldest(fixture->spool) + roll(5);

	for (size_t i = 0; i < fixture->sent_count; i++)
		if (fixture->sent[i].sequence <= sequence)
			fixture->sent[i].is_acknowledged = true;
	spool_acknowledge(fixture->spool, sequence);
}

/* What is not there any more must have been acknowledged, thinned out or declared. */
static void check_kept(struct fixture *fixture)
{
	struct spool_message message;

	for (size_t i = 0; i < fixture->sent_count; i++) {
		const struct sent *sent = &fixture->sent[i];

		if (sent->is_acknowledged || is_declared(fixture, sent))
			continue;
		assert_true(spool_find(fixture->spool, sent->sequence, &message));
		if (message.sequence != sent->sequence)
			assert_true(message.previous < sent->sequence);
	}
}

static void declare(struct fixture *fixture)
{
	struct spool_loss loss;
	uint64_t sequence;

	while (spool_take_loss(fixture->spool, &loss)) {
		const struct spool_note note = { '1', false, true, loss.from_ms, loss.to_ms, 0 };

		fixture->tick++;
		add_loss(fixture, &loss);
		assert_int_equal(spool_push(fixture->spool, &note, &fixture->tick,
					 sizeof(fixture->tick), &sequence),
			0);
	}
}

static void write_image(
	const char *path, const struct content *content, ino_t inode, const char *now_path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600), now = open(now_path, O_RDONLY);
	size_t size = content ? content->size : 0, now_size = 0;
	struct stat info;
	char *bytes;

	if (size)
		assert_int_equal(write(fd, content->bytes, size), (ssize_t)size);
	/* Of what was appended and not synced, a part may have come to the disk. */
	if (now >= 0 && fstat(now, &info) == 0 && info.st_ino == inode && roll(2)) {
		bytes = read_all(now, &now_size);
		if (now_size > size) {
			size_t more = roll((uint32_t)(now_size - size) + 1);

			assert_int_equal(
				pwrite(fd, bytes + size, more, (off_t)size), (ssize_t)more);
		}
		free(bytes);
	}
	if (now >= 0)
		close(now);
	close(fd);
}

static void lose_power(struct fixture *fixture)
{
	char path[256], now_path[256], command[256];

	assert_int_equal(mkdir(fixture->image, 0700), 0);
	for (size_t i = 0; i < platter.name_count; i++) {
		const struct name *name = &platter.names[i];

		snprintf(path, sizeof(path), "%s/%s", fixture->image, name->name);
		snprintf(now_path, sizeof(now_path), "%s/%s", fixture->directory, name->name);
		write_image(path, content_of(name->inode), name->inode, now_path);
	}
	fixture->spool = spool_free(fixture->spool);
	snprintf(command, sizeof(command), "rm -rf %s && mv %s %s", fixture->directory,
		fixture->image, fixture->directory);
	assert_int_equal(system(command), 0);
	for (size_t i = 0; i < platter.content_count; i++)
		free(platter.contents[i].bytes);
	platter.content_count = platter.name_count = 0;
}

/* What is there after a loss is on the disk. */
static void keep_all(struct fixture *fixture)
{
	int fd = open(fixture->directory, O_RDONLY | O_DIRECTORY);

	keep_names(fd);
	for (size_t i = 0; i < platter.name_count; i++) {
		int file = openat(fd, platter.names[i].name, O_RDONLY);

		keep(file);
		close(file);
	}
	close(fd);
}

static void step(struct fixture *fixture)
{
	uint32_t choice = roll(16);

	if (choice < 9) {
		push(fixture);
	} else if (choice < 13) {
		spool_sync(fixture->spool);
		declare(fixture);
		assert_null(spool_trouble(fixture->spool));
		send_all(fixture);
	} else if (choice < 15) {
		acknowledge(fixture);
	} else if (roll(4) == 0) {
		fixture->spool = spool_free(fixture->spool);
		open_spool(fixture);
	}
}

static void nothing_that_was_synced_is_lost(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	char command[128];

	memcpy(fixture->directory, DIRECTORY, sizeof(DIRECTORY));
	assert_non_null(mkdtemp(fixture->directory));
	snprintf(fixture->image, sizeof(fixture->image), "%s.image", fixture->directory);
	clock_manual_init(&fixture->clock, BASE_MS);
	dice = 7;
	for (int i = 0; i < LOSSES; i++) {
		int steps = (int)roll(100);

		open_spool(fixture);
		send_all(fixture);
		check_kept(fixture);
		while (steps--)
			step(fixture);
		lose_power(fixture);
		keep_all(fixture);
	}
	assert_true(fixture->sent_count > 1000);
	print_message("# %d power losses, %zu messages sent, %zu losses declared\n", LOSSES,
		fixture->sent_count, fixture->loss_count);
	for (size_t i = 0; i < platter.content_count; i++)
		free(platter.contents[i].bytes);
	snprintf(command, sizeof(command), "rm -rf %s", fixture->directory);
	assert_int_equal(system(command), 0);
	free(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_that_was_synced_is_lost),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
