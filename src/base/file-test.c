/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The disk as it is without power: contents as they were synced, and which of them the file's name
 * stood for when its directory was. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum { CONTENTS_MAX = 64, TEXT_SIZE = 32 };

struct content {
	ino_t inode;
	char text[TEXT_SIZE];
};

static struct {
	struct content contents[CONTENTS_MAX];
	size_t count;
	ino_t named;
	bool is_full;
} disk;

int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_renameat(int old_fd, const char *old, int new_fd, const char *new);
int __real_renameat(int old_fd, const char *old, int new_fd, const char *new);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);
ssize_t __real_write(int fd, const void *bytes, size_t size);

static ino_t inode_of(const char *name)
{
	struct stat status;

	return stat(name, &status) == 0 ? status.st_ino : 0;
}

static void read_text(const char *name, char text[TEXT_SIZE])
{
	int fd = open(name, O_RDONLY);
	ssize_t n = read(fd, text, TEXT_SIZE - 1);

	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
}

/* Inodes are used again: the last one counts. */
static const char *synced_text(ino_t inode)
{
	for (size_t i = disk.count; i > 0; i--)
		if (disk.contents[i - 1].inode == inode)
			return disk.contents[i - 1].text;
	return "";
}

static const char *after_power_loss(void)
{
	return synced_text(disk.named);
}

int __wrap_fsync(int fd)
{
	struct stat status;
	char path[64];

	assert_int_equal(fstat(fd, &status), 0);
	if (S_ISDIR(status.st_mode)) {
		disk.named = inode_of("file");
		return 0;
	}
	assert_true(disk.count < CONTENTS_MAX);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	disk.contents[disk.count].inode = status.st_ino;
	read_text(path, disk.contents[disk.count++].text);
	return 0;
}

int __wrap_fdatasync(int fd)
{
	return __wrap_fsync(fd);
}

/* From here on the name may be durable at any time. */
int __wrap_renameat(int old_fd, const char *old, int new_fd, const char *new)
{
	char text[TEXT_SIZE];

	read_text(old, text);
	assert_string_equal(synced_text(inode_of(old)), text);
	return __real_renameat(old_fd, old, new_fd, new);
}

ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
	if (!disk.is_full)
		return __real_write(fd, bytes, size > 3 ? 3 : size); /* as it may be */
	errno = ENOSPC;
	return -1;
}

static int set_up(void **state)
{
	static char path[] = "/tmp/kanyun-file-XXXXXX";

	*state = path;
	return mkdtemp(path) && chdir(path) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	return unlink("file") < 0 || chdir("/") < 0 || rmdir(*state) < 0 ? -1 : 0;
}

static void replace(const char *path, const char *text)
{
	char found[TEXT_SIZE];

	assert_int_equal(file_replace(path, text, strlen(text)), 0);
	read_text("file", found);
	assert_string_equal(found, text);
}

static void what_was_replaced_is_there_after_a_loss_of_power(void **state)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/file", (const char *)*state);
	for (int i = 0; i < 3; i++) {
		replace("file", "the first one");
		assert_string_equal(after_power_loss(), "the first one");
		replace(path, "second");
		assert_string_equal(after_power_loss(), "second");
	}
}

static void a_full_disk_leaves_the_old_content(void **state)
{
	char found[TEXT_SIZE];

	replace("file", "old");
	disk.is_full = true;
	assert_int_equal(file_replace("file", "new", 3), -ENOSPC);
	disk.is_full = false;
	read_text("file", found);
	assert_string_equal(found, "old");
	assert_string_equal(after_power_loss(), "old");
	assert_int_equal(access("file.new", F_OK), -1);
}

static void what_has_no_place_is_an_error(void **state)
{
	char path[5000];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(file_replace(path, "", 0), -ENAMETOOLONG);
	path[254] = '\0'; /* the name fits, the one for the new content does not */
	assert_int_equal(file_replace(path, "", 0), -ENAMETOOLONG);
	assert_int_equal(file_replace("missing/file", "", 0), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_replaced_is_there_after_a_loss_of_power),
		cmocka_unit_test(a_full_disk_leaves_the_old_content),
		cmocka_unit_test(what_has_no_place_is_an_error),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
