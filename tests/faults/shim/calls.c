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
 *     POWER_FAIL_SYNC   every so many-th sync fails; none: no sync does
 *
 * By the strict reading of POSIX: bytes and size of a file are durable by fsync or fdatasync of it
 * (or O_SYNC), the names in a directory only by fsync of that directory. So a file that was synced
 * without its directory is lost, and a name that was unlinked or renamed without syncing the
 * directory is still there. msync is not granted anything.
 *
 * When the power goes with POWER_TEAR, each written sector of 512 bytes that was not synced
 * survives or not, so does each change of a size, and so do all changes of a directory together.
 *
 * Operations are counted at their beginning: creating opens, writes, changes of size, syncs,
 * renames, unlinks and mkdirs. Real syncs are left out: the real disk has power. Nothing is known
 * of what stdio writes, and only the first process counts, not its children. */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "durable.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long cut_after, operations, fail_sync, syncs;
static const char *count_from;
static bool has_tear;
static unsigned int tear;
static pid_t owner;

static bool is_on(void)
{
	return owner && owner == getpid();
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
		durable_tear(tear);
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
	       (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) &&
	       durable_watches_fd(fd, operated);
}

/* Likewise for a path, which need not exist. */
static bool is_watched_path(int directory, const char *path)
{
	if (!is_on())
		return false;
	if (path[0] != '/')
		return directory != AT_FDCWD && is_watched_fd(directory);
	snprintf(operated, sizeof(operated), "%s", path);
	return durable_watches(path);
}

__attribute__((constructor)) static void start(void)
{
	const char *directory = getenv("POWER_DIRECTORY"), *to = getenv("POWER_DURABLE");
	const char *after = getenv("POWER_CUT_AFTER"), *seed = getenv("POWER_TEAR");
	const char *failing = getenv("POWER_FAIL_SYNC");

	if (!directory || !to || getenv("POWER_OWNER"))
		return;
	setenv("POWER_OWNER", "this process, and none that it starts", 1);
	cut_after = after ? strtoul(after, NULL, 10) : 0;
	fail_sync = failing ? strtoul(failing, NULL, 10) : 0;
	count_from = getenv("POWER_COUNT_FROM");
	has_tear = seed != NULL;
	tear = seed ? (unsigned int)strtoul(seed, NULL, 10) : 0;
	durable_start(directory, to);
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
			durable_add(&status);
		else if (flags & O_TRUNC)
			durable_note(&status, 0, before.st_size);
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

	if (size > 0 && fstat(fd, &status) == 0) {
		durable_note(&status, at, at + size);
		if (fcntl(fd, F_GETFL) & O_DSYNC)
			durable_sync(fd);
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
	int r;

	if (is_counted && fstat(fd, &before) == 0 && before.st_size > size)
		durable_note(&before, size, before.st_size);
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

	if (fd >= 0 && flags & MAP_SHARED && protection & PROT_WRITE && is_watched_fd(fd) &&
		begin()) {
		if (fstat(fd, &status) == 0)
			durable_note_mapped(&status);
		end();
	}
	return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, at);
}

int fsync(int fd)
{
	bool fails;

	if (!is_watched_fd(fd) || !begin())
		return (int)syscall(SYS_fsync, fd);
	fails = fail_sync && ++syncs % fail_sync == 0;
	if (fails)
		durable_drop(fd);
	else
		durable_sync(fd);
	end();
	errno = fails ? EIO : errno;
	return fails ? -1 : 0;
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
			durable_add(&status);
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
