/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Loses power: an LD_PRELOAD library that keeps, beside a directory, what a disk is bound to have
 * of it, and ends the process at a chosen moment.
 *
 *     POWER_DIRECTORY   what is watched; an absolute path without symbolic links
 *     POWER_DURABLE     a directory that does not exist yet: what would be left
 *     POWER_CUT_AFTER   the power goes at that operation, counted from 1; 0 or none: never
 *     POWER_COUNT_FROM  counting begins with an operation on a path that has this in it
 *     POWER_TEAR        a seed: what was not synced survives in part; none: not at all
 *
 * By the strict reading of POSIX: bytes and size of a file are durable by fsync, fdatasync or msync
 * of it (or O_SYNC), the names in a directory only by fsync of that directory. So a file that was
 * synced without its directory is lost, and a name that was unlinked or renamed without syncing the
 * directory is still there.
 *
 * POWER_DURABLE/N is object N: a file with its durable bytes, or a directory whose entries are hard
 * links to objects that are files, and symbolic links to objects that are directories. Object 1 is
 * the directory itself, so `cp -rL POWER_DURABLE/1 COPY` is what a reader finds after the power is
 * back. At the start all that is there is durable.
 *
 * When the power goes with POWER_TEAR, each written sector of 512 bytes that was not synced
 * survives or not, so does each change of a size, and so do all changes of a directory together.
 *
 * Operations are counted at their beginning: creating opens, writes, changes of size, syncs,
 * renames, unlinks and mkdirs. Real syncs are left out: the real disk has power. Nothing is known
 * of what stdio writes, and only the first process counts, not its children. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
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

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct object objects[OBJECTS_MAX]; /* object N is at N - 1 */
static size_t object_count;
static char watched[PATH_MAX], durable[PATH_MAX];
static unsigned long cut_after, operations;
static const char *count_from;
static bool has_tear;
static unsigned int tear;
static pid_t owner;

static void fail(const char *what)
{
	dprintf(STDERR_FILENO, "shim: %s: %s\n", what, strerror(errno));
	syscall(SYS_exit_group, 99);
}

static int real_open(int directory, const char *path, int flags, mode_t mode)
{
	return (int)syscall(SYS_openat, directory, path, flags, mode);
}

static bool is_on(void)
{
	return owner && owner == getpid();
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
		fail("too many files");
	objects[object_count++] =
		(struct object){ .device = status->st_dev, .inode = status->st_ino };
	object_path(object_count, path);
	if (S_ISDIR(status->st_mode)
			? syscall(SYS_mkdirat, AT_FDCWD, path, 0755) < 0
			: close(real_open(AT_FDCWD, path, O_CREAT | O_EXCL | O_WRONLY, 0644)) < 0)
		fail(path);
	return object_count;
}

/* Is the file below the watched directory? Its path goes to `path`. */
static bool path_of(int fd, char path[PATH_MAX])
{
	char link[64];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, PATH_MAX - 1);
	if (length < 0)
		return false;
	path[length] = '\0';
	length = (ssize_t)strlen(watched);
	return strncmp(path, watched, (size_t)length) == 0 &&
	       (path[length] == '/' || path[length] == '\0');
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
			fail("cannot write what is durable");
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
		fail(path);
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
			fail(fresh);
	} else if (link(from, fresh) < 0) {
		fail(fresh);
	}
	if (syscall(SYS_renameat2, AT_FDCWD, fresh, AT_FDCWD, to, 0) < 0)
		fail(to);
}

/* Calls `each` for the names in a directory. */
static void each_name(const char *directory, size_t number,
	void (*each)(const char *directory, size_t number, const char *name))
{
	DIR *names = opendir(directory);
	struct dirent *entry;

	if (!names)
		fail(directory);
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
		fail(path);
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

static void sync_fd(int fd)
{
	char path[PATH_MAX];
	struct stat status;
	size_t number;

	if (!path_of(fd, path) || fstat(fd, &status) < 0)
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
		fail(path);
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
		fail(from_path);
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
		fail(path);
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

static __thread char operated[PATH_MAX]; /* the path of the operation that is to begin */

/* Takes the lock and counts an operation, which may be the last one. Returns true. */
static bool begin(void)
{
	pthread_mutex_lock(&lock);
	if (count_from && strstr(operated, count_from))
		count_from = NULL;
	if (count_from || ++operations != cut_after)
		return true;
	if (has_tear)
		tear_tree(watched, 0, NULL);
	syscall(SYS_kill, owner, SIGKILL);
	for (;;)
		pause();
}

static void end(void)
{
	pthread_mutex_unlock(&lock);
}

static bool is_watched_fd(int fd)
{
	struct stat status;

	return is_on() && fstat(fd, &status) == 0 &&
	       (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) && path_of(fd, operated);
}

/* Likewise for a path, which need not exist. */
static bool is_watched_path(int directory, const char *path)
{
	size_t length = strlen(watched);

	if (!is_on())
		return false;
	if (path[0] != '/')
		return directory != AT_FDCWD && is_watched_fd(directory);
	snprintf(operated, sizeof(operated), "%s", path);
	return strncmp(path, watched, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

__attribute__((constructor)) static void start(void)
{
	const char *directory = getenv("POWER_DIRECTORY"), *to = getenv("POWER_DURABLE");
	const char *after = getenv("POWER_CUT_AFTER"), *seed = getenv("POWER_TEAR");

	if (!directory || !to || getenv("POWER_OWNER"))
		return;
	setenv("POWER_OWNER", "this process, and none that it starts", 1);
	snprintf(watched, sizeof(watched), "%s", directory);
	snprintf(durable, sizeof(durable), "%s", to);
	cut_after = after ? strtoul(after, NULL, 10) : 0;
	count_from = getenv("POWER_COUNT_FROM");
	has_tear = seed != NULL;
	tear = seed ? (unsigned int)strtoul(seed, NULL, 10) : 0;
	if (syscall(SYS_mkdirat, AT_FDCWD, durable, 0755) < 0)
		fail(durable);
	sync_tree(watched, 0, NULL);
	owner = getpid();
}

/* From here on: what the process calls. Each does the real thing and notes it. */

static int watched_open(int directory, const char *path, int flags, mode_t mode)
{
	bool is_unnamed = (flags & O_TMPFILE) == O_TMPFILE;
	bool is_counted = (flags & (O_CREAT | O_TRUNC) || is_unnamed) &&
			  is_watched_path(directory, path) && begin();
	bool is_there = is_counted && faccessat(directory, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	struct stat before = { 0 }, status;
	int fd, saved;

	if (is_there)
		(void)!fstatat(directory, path, &before, 0);
	fd = real_open(directory, path, flags, mode);
	saved = errno;
	if (is_counted && fd >= 0 && fstat(fd, &status) == 0) {
		if (is_unnamed || !is_there)
			add(&status);
		else if (flags & O_TRUNC && find(&status))
			note_dirty(&objects[find(&status) - 1], 0, before.st_size);
	}
	if (is_counted)
		end();
	errno = saved;
	return fd;
}

static mode_t mode_of(int flags, va_list more)
{
	return flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? va_arg(more, mode_t) : 0;
}

#define OPEN(at)                                                                                   \
	{                                                                                          \
		mode_t mode;                                                                       \
		va_list more;                                                                      \
                                                                                                   \
		va_start(more, flags);                                                             \
		mode = mode_of(flags, more);                                                       \
		va_end(more);                                                                      \
		return watched_open(at, path, flags, mode);                                        \
	}

int open(const char *path, int flags, ...)
	OPEN(AT_FDCWD) int open64(const char *path, int flags, ...)
		OPEN(AT_FDCWD) int openat(int at, const char *path, int flags, ...)
			OPEN(at) int openat64(int at, const char *path, int flags, ...) OPEN(at)

	/* After a write of so many bytes at an offset. */
	static void wrote(int fd, off_t at, ssize_t size)
{
	int saved = errno;
	struct stat status;
	size_t number;

	if (size > 0 && fstat(fd, &status) == 0 && (number = find(&status))) {
		note_dirty(&objects[number - 1], at, at + size);
		if (fcntl(fd, F_GETFL) & O_DSYNC)
			sync_fd(fd);
	}
	end();
	errno = saved;
}

static ssize_t watched_write(int fd, const struct iovec *parts, int count)
{
	ssize_t size;

	if (!is_watched_fd(fd) || !begin())
		return syscall(SYS_writev, fd, parts, count);
	size = syscall(SYS_writev, fd, parts, count);
	wrote(fd, lseek(fd, 0, SEEK_CUR) - size, size);
	return size;
}

static ssize_t watched_pwrite(int fd, const struct iovec *parts, int count, off_t at)
{
	ssize_t size;

	if (!is_watched_fd(fd) || !begin())
		return syscall(SYS_pwritev, fd, parts, count, at, 0);
	size = syscall(SYS_pwritev, fd, parts, count, at, 0);
	wrote(fd, at, size);
	return size;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
	const struct iovec part = { (void *)bytes, size };

	return watched_write(fd, &part, 1);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	return watched_write(fd, parts, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
	const struct iovec part = { (void *)bytes, size };

	return watched_pwrite(fd, &part, 1, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	return watched_pwrite(fd, parts, count, at);
}

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t at, int flags)
{
	return watched_pwrite(fd, parts, count, at);
}

int ftruncate(int fd, off_t size)
{
	bool is_counted = is_watched_fd(fd) && begin();
	struct stat before;
	size_t number;
	int r;

	if (is_counted && fstat(fd, &before) == 0 && (number = find(&before)) &&
		before.st_size > size)
		note_dirty(&objects[number - 1], size, before.st_size);
	r = (int)syscall(SYS_ftruncate, fd, size);
	if (is_counted)
		end();
	return r;
}

int fallocate(int fd, int mode, off_t at, off_t size)
{
	bool is_counted = is_watched_fd(fd) && begin();
	int r = (int)syscall(SYS_fallocate, fd, mode, at, size);

	if (is_counted)
		wrote(fd, at, r == 0 ? (ssize_t)size : 0);
	return r;
}

int posix_fallocate(int fd, off_t at, off_t size)
{
	return fallocate(fd, 0, at, size) < 0 ? errno : 0;
}

/* How much a process wrote through a mapping is not known: all of it, at the next sync. */
void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t at)
{
	struct stat status;
	size_t number;

	if (fd >= 0 && flags & MAP_SHARED && protection & PROT_WRITE && is_watched_fd(fd) &&
		begin()) {
		if (fstat(fd, &status) == 0 && (number = find(&status)))
			objects[number - 1].is_mapped = true;
		end();
	}
	return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, at);
}

int fsync(int fd)
{
	if (!is_watched_fd(fd) || !begin())
		return (int)syscall(SYS_fsync, fd);
	sync_fd(fd);
	end();
	return 0;
}

int fdatasync(int fd)
{
	return fsync(fd);
}

/* What else could make something durable is not used by what is tested, and would be too much to
 * grant: all of it. */
void sync(void)
{
	dprintf(STDERR_FILENO, "shim: sync() is not simulated\n");
	abort();
}

static int watched_rename(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
	bool is_counted = (is_watched_path(from_at, from) || is_watched_path(to_at, to)) && begin();
	int r = (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);

	if (is_counted)
		end();
	return r;
}

int rename(const char *from, const char *to)
{
	return watched_rename(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
	return watched_rename(from_at, from, to_at, to, 0);
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned int flags)
{
	return watched_rename(from_at, from, to_at, to, flags);
}

int unlinkat(int directory, const char *path, int flags)
{
	bool is_counted = is_watched_path(directory, path) && begin();
	int r = (int)syscall(SYS_unlinkat, directory, path, flags);

	if (is_counted)
		end();
	return r;
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int mkdirat(int directory, const char *path, mode_t mode)
{
	bool is_counted = is_watched_path(directory, path) && begin();
	int r = (int)syscall(SYS_mkdirat, directory, path, mode), saved = errno;
	struct stat status;

	if (is_counted) {
		if (r == 0 && fstatat(directory, path, &status, 0) == 0)
			add(&status);
		end();
	}
	errno = saved;
	return r;
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

#define SAME(name) __attribute__((alias(#name)))

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t at) SAME(pwrite);
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) SAME(pwritev);
ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off_t at, int flags)
	SAME(pwritev2);
int ftruncate64(int fd, off_t size) SAME(ftruncate);
int fallocate64(int fd, int mode, off_t at, off_t size) SAME(fallocate);
int posix_fallocate64(int fd, off_t at, off_t size) SAME(posix_fallocate);
void *mmap64(void *address, size_t size, int protection, int flags, int fd, off_t at) SAME(mmap);
