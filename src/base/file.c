/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

static int write_all(int fd, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

static int write_new(int directory_fd, const char *name, const void *bytes, size_t size)
{
	int fd = openat(directory_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), r;

	if (fd < 0)
		return -errno;
	r = write_all(fd, bytes, size);
	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

int file_replace_at(int directory_fd, const char *name, const void *bytes, size_t size)
{
	char new[NAME_MAX + 1];
	int r;

	if (snprintf(new, sizeof(new), "%s.new", name) >= (int)sizeof(new))
		return -ENAMETOOLONG;
	r = write_new(directory_fd, new, bytes, size);
	if (r == 0 && renameat(directory_fd, new, directory_fd, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(directory_fd, new, 0);
	return r;
}

int file_replace(const char *path, const void *bytes, size_t size)
{
	char directory[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int fd, r;

	if (!text_copy(directory, sizeof(directory), slash ? path : "."))
		return -ENAMETOOLONG;
	if (slash)
		directory[slash - path + 1] = '\0'; /* with the slash, so that "/name" is in "/" */
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = file_replace_at(fd, slash ? slash + 1 : path, bytes, size);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

static int read_all(int fd, char *to, size_t size)
{
	while (size > 0) {
		ssize_t n = read(fd, to, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO; /* it became shorter */
		to += n;
		size -= (size_t)n;
	}
	return 0;
}

static int read_regular(int fd, const char *path, size_t max, char **ret_text,
	struct stat *ret_stat, struct error *err)
{
	CLEANUP(string_free) char *text = NULL;
	int r;

	if (fstat(fd, ret_stat) < 0)
		return -errno;
	if (!S_ISREG(ret_stat->st_mode))
		return error_set(err, -EINVAL, "'%s' is no file", path);
	if ((uintmax_t)ret_stat->st_size > max)
		return error_set(err, -EFBIG, "'%s' is larger than %zu bytes", path, max);
	text = calloc((size_t)ret_stat->st_size + 1, 1);
	if (!text)
		return -ENOMEM;
	r = read_all(fd, text, (size_t)ret_stat->st_size);
	if (r < 0)
		return error_set(err, r, "cannot read '%s': %s", path, strerror(-r));
	*ret_text = text;
	text = NULL;
	return 0;
}

int file_read(
	const char *path, size_t max, char **ret_text, struct stat *ret_stat, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO would wait */
	int r;

	if (fd < 0)
		return error_set(err, -errno, "cannot open '%s': %s", path, strerror(errno));
	r = read_regular(fd, path, max, ret_text, ret_stat, err);
	close(fd);
	return r;
}

void file_read_line(const char *path, char *to, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, to, size - 1);

	to[n < 0 ? 0 : n] = '\0';
	to[strcspn(to, "\n")] = '\0';
	if (fd >= 0)
		close(fd);
}
