/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "durable.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { OBJECTS_MAX = 4096, DIRTY_MAX = 64, SECTOR = 512, COPY_SIZE = 65536 };

struct range {
	off_t begin, end;
};

/* Once the range list is full the last one grows, which is only slower. */
struct object {
	dev_t device;
	ino_t inode; /* 0: gone, the number belongs to another object now */
	bool is_mapped;
	struct range dirty[DIRTY_MAX];
	size_t dirty_count;
};

static struct object objects[OBJECTS_MAX]; /* object N is at N - 1 */
static size_t object_count;
static char watched[PATH_MAX], durable[PATH_MAX];
static unsigned int tear;

void simulation_fails(const char *what)
{
	dprintf(STDERR_FILENO, "shim: %s: %s\n", what, strerror(errno));
	syscall(SYS_exit_group, 99);
}

int real_open(int directory, const char *path, int flags, mode_t mode)
{
	return (int)syscall(SYS_openat, directory, path, flags, mode);
}

static void object_path(size_t number, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%.4000s/%zu", durable, number);
}

/* The number of the object; 0 if it is not known. */
static size_t find(const struct stat *status)
{
	for (size_t i = object_count; i > 0; i--)
		if (objects[i - 1].inode == status->st_ino &&
			objects[i - 1].device == status->st_dev)
			return i;
	return 0;
}

/* An object that nothing durable is known of. */
static size_t add(const struct stat *status)
{
	char path[PATH_MAX];
	size_t old = find(status);

	if (old)
		objects[old - 1].inode = 0;
	if (object_count == OBJECTS_MAX)
		simulation_fails("too many files");
	objects[object_count++] =
		(struct object){ .device = status->st_dev, .inode = status->st_ino };
	object_path(object_count, path);
	if (S_ISDIR(status->st_mode)
			? syscall(SYS_mkdirat, AT_FDCWD, path, 0755) < 0
			: close(real_open(AT_FDCWD, path, O_CREAT | O_EXCL | O_WRONLY, 0644)) < 0)
		simulation_fails(path);
	return object_count;
}

bool durable_watches(const char *path)
{
	size_t length = strlen(watched);

	return strncmp(path, watched, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

bool durable_watches_fd(int fd, char path[PATH_MAX])
{
	char link[64];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, PATH_MAX - 1);
	path[length < 0 ? 0 : length] = '\0';
	return durable_watches(path);
}

static void copy_range(int from, int to, off_t begin, off_t end)
{
	static char bytes[COPY_SIZE]; /* under the lock */
	ssize_t size;

	while (begin < end) {
		size = pread(from, bytes,
			end - begin < COPY_SIZE ? (size_t)(end - begin) : COPY_SIZE, begin);
		if (size <= 0)
			return; /* cut off meanwhile */
		if (syscall(SYS_pwrite64, to, bytes, size, begin) != size)
			simulation_fails("cannot write what is durable");
		begin += size;
	}
}

static void note_dirty(struct object *object, off_t begin, off_t end)
{
	struct range *last = object->dirty_count ? &object->dirty[object->dirty_count - 1] : NULL;

	if (last &&
		(object->dirty_count == DIRTY_MAX || (begin <= last->end && end >= last->begin))) {
		last->begin = begin < last->begin ? begin : last->begin;
		last->end = end > last->end ? end : last->end;
	} else {
		object->dirty[object->dirty_count++] = (struct range){ begin, end };
	}
}

/* The file's bytes as they are now become durable. */
static void sync_file(int fd, size_t number, const struct stat *status)
{
	struct object *object = &objects[number - 1];
	char path[PATH_MAX];
	int to;

	object_path(number, path);
	to = real_open(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
	if (to < 0 || syscall(SYS_ftruncate, to, status->st_size) < 0)
		simulation_fails(path);
	if (object->is_mapped)
		note_dirty(object, 0, status->st_size);
	for (size_t i = 0; i < object->dirty_count; i++)
		copy_range(fd, to, object->dirty[i].begin, object->dirty[i].end);
	object->dirty_count = 0;
	close(to);
}

/* One name of a directory, as it is now. */
static void sync_entry(const char *directory, size_t directory_number, const char *name)
{
	char path[PATH_MAX], from[PATH_MAX], to[PATH_MAX], fresh[PATH_MAX];
	struct stat status, there;
	size_t number;

	snprintf(path, sizeof(path), "%.3000s/%.255s", directory, name);
	if (lstat(path, &status) < 0 || !(S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)))
		return;
	number = find(&status);
	if (!number)
		number = add(&status);
	object_path(number, from);
	snprintf(to, sizeof(to), "%.3000s/%zu/%.255s", durable, directory_number, name);
	snprintf(fresh, sizeof(fresh), "%.4000s/fresh", durable);
	if (S_ISREG(status.st_mode) && lstat(from, &status) == 0 && lstat(to, &there) == 0 &&
		status.st_ino == there.st_ino)
		return;
	syscall(SYS_unlinkat, AT_FDCWD, fresh, 0);
	if (S_ISDIR(status.st_mode)) {
		snprintf(from, sizeof(from), "../%zu", number);
		if (symlink(from, fresh) < 0)
			simulation_fails(fresh);
	} else if (link(from, fresh) < 0) {
		simulation_fails(fresh);
	}
	if (syscall(SYS_renameat2, AT_FDCWD, fresh, AT_FDCWD, to, 0) < 0)
		simulation_fails(to);
}

/* Calls `each` for the names in a directory. */
static void each_name(const char *directory, size_t number,
	void (*each)(const char *directory, size_t number, const char *name))
{
	DIR *names = opendir(directory);
	struct dirent *entry;

	if (!names)
		simulation_fails(directory);
	while ((entry = readdir(names)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			each(directory, number, entry->d_name);
	closedir(names);
}

/* The directory that unsync_entry compares with. */
static const char *compared;

static void unsync_entry(const char *directory, size_t number, const char *name)
{
	char path[PATH_MAX];
	struct stat status;

	snprintf(path, sizeof(path), "%.3000s/%.255s", compared, name);
	if (lstat(path, &status) == 0)
		return;
	snprintf(path, sizeof(path), "%.3000s/%.255s", directory, name);
	if (syscall(SYS_unlinkat, AT_FDCWD, path, 0) < 0)
		simulation_fails(path);
}

/* The directory's names as they are now become durable. */
static void sync_directory(const char *directory, size_t number)
{
	char path[PATH_MAX];

	each_name(directory, number, sync_entry);
	object_path(number, path);
	compared = directory;
	each_name(path, number, unsync_entry);
}

void durable_sync(int fd)
{
	char path[PATH_MAX];
	struct stat status;
	size_t number;

	if (!durable_watches_fd(fd, path) || fstat(fd, &status) < 0)
		return;
	number = find(&status);
	if (number && S_ISREG(status.st_mode))
		sync_file(fd, number, &status);
	else if (number && S_ISDIR(status.st_mode))
		sync_directory(path, number);
}

/* Everything below the directory becomes durable. */
static void sync_tree(const char *directory, size_t number, const char *name)
{
	char path[PATH_MAX];
	struct stat status;
	int fd;

	snprintf(path, sizeof(path), "%.3000s%s%.255s", directory, name ? "/" : "",
		name ? name : "");
	fd = real_open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0 || fstat(fd, &status) < 0)
		simulation_fails(path);
	number = find(&status);
	if (!number)
		number = add(&status);
	if (S_ISREG(status.st_mode)) {
		note_dirty(&objects[number - 1], 0, status.st_size);
		sync_file(fd, number, &status);
	} else if (S_ISDIR(status.st_mode)) {
		each_name(path, number, sync_tree);
		sync_directory(path, number);
	}
	close(fd);
}

static bool survives(void)
{
	return rand_r(&tear) & 256;
}

/* Each written sector, and the size, survives or not. */
static void tear_file(const char *from_path, size_t number)
{
	struct object *object = &objects[number - 1];
	int from = real_open(AT_FDCWD, from_path, O_RDONLY | O_CLOEXEC, 0), to;
	char path[PATH_MAX];
	struct stat status;

	object_path(number, path);
	to = real_open(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
	if (from < 0 || to < 0 || fstat(from, &status) < 0)
		simulation_fails(from_path);
	for (size_t i = 0; i < object->dirty_count; i++)
		for (off_t at = object->dirty[i].begin; at < object->dirty[i].end;) {
			off_t end = (at / SECTOR + 1) * SECTOR;

			if (end > object->dirty[i].end)
				end = object->dirty[i].end;
			if (survives())
				copy_range(from, to, at, end);
			at = end;
		}
	if (survives() && syscall(SYS_ftruncate, to, status.st_size) < 0)
		simulation_fails(path);
	close(from);
	close(to);
}

static void tear_tree(const char *directory, size_t unused, const char *name)
{
	char path[PATH_MAX];
	struct stat status;
	size_t number;

	snprintf(path, sizeof(path), "%.3000s%s%.255s", directory, name ? "/" : "",
		name ? name : "");
	if (lstat(path, &status) < 0)
		return;
	number = find(&status);
	if (number && S_ISREG(status.st_mode))
		tear_file(path, number);
	if (!S_ISDIR(status.st_mode))
		return;
	each_name(path, number, tear_tree);
	if (number && survives())
		sync_directory(path, number);
}

void durable_start(const char *directory, const char *to)
{
	snprintf(watched, sizeof(watched), "%s", directory);
	snprintf(durable, sizeof(durable), "%s", to);
	if (syscall(SYS_mkdirat, AT_FDCWD, durable, 0755) < 0)
		simulation_fails(durable);
	sync_tree(watched, 0, NULL);
}

void durable_add(const struct stat *status)
{
	(void)add(status);
}

void durable_note(const struct stat *status, off_t begin, off_t end)
{
	size_t number = find(status);

	if (number)
		note_dirty(&objects[number - 1], begin, end);
}

void durable_note_mapped(const struct stat *status)
{
	size_t number = find(status);

	if (number)
		objects[number - 1].is_mapped = true;
}

void durable_drop(int fd)
{
	struct stat status;
	size_t number;

	if (fstat(fd, &status) == 0 && (number = find(&status)))
		objects[number - 1].dirty_count = 0;
}

void durable_tear(unsigned int seed)
{
	tear = seed;
	tear_tree(watched, 0, NULL);
}
