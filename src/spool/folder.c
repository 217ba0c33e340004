/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The head is written in place, one of two copies after the other: a torn write leaves the other
 * one, and a full disk does not hinder it (a_torn_head_leaves_the_one_before). */

#include "spool/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/directory.h"

enum { HEAD_DISTANCE = 4096, SEGMENTS_MAX = 1024 * 1024 };

static const char segment_suffix[] = ".segment", rewritten_suffix[] = ".segment.new";

static void make_name(uint32_t ordinal, const char *suffix, char to[SEGMENT_NAME_SIZE])
{
	snprintf(to, SEGMENT_NAME_SIZE, "%08" PRIx32 "%s", ordinal, suffix);
}

void segment_name(uint32_t ordinal, char to[SEGMENT_NAME_SIZE])
{
	make_name(ordinal, segment_suffix, to);
}

int folder_open(const char *path, struct folder *ret_folder, struct error *err)
{
	struct folder folder = { -1, -1 };
	int r = directory_make(path, 0700, err);

	if (r < 0)
		return r;
	folder.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder.fd >= 0)
		folder.head_fd = openat(folder.fd, "head", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (folder.head_fd < 0)
		r = error_set(err, -errno, "cannot write in '%s': %s", path, strerror(errno));
	else if (flock(folder.head_fd, LOCK_EX | LOCK_NB) < 0)
		r = error_set(err, -errno, "'%s' is in use by another worker", path);
	if (r < 0) {
		folder_close(&folder);
		return r;
	}
	*ret_folder = folder;
	return 0;
}

void folder_close(struct folder *folder)
{
	if (folder->head_fd >= 0)
		close(folder->head_fd);
	if (folder->fd >= 0)
		close(folder->fd);
	folder->fd = folder->head_fd = -1;
}

int folder_sync(const struct folder *folder)
{
	return fsync(folder->fd) < 0 ? -errno : 0;
}

bool folder_read_head(const struct folder *folder, struct head *ret_head, bool *ret_is_empty)
{
	uint8_t bytes[HEAD_SLOT_SIZE];
	struct head head;
	bool is_found = false;
	ssize_t n;

	*ret_is_empty = true;
	for (int i = 0; i < HEAD_COPIES; i++) {
		n = pread(folder->head_fd, bytes, sizeof(bytes), (off_t)i * HEAD_DISTANCE);
		*ret_is_empty = *ret_is_empty && n == 0;
		if (n != (ssize_t)sizeof(bytes) || !head_decode(bytes, sizeof(bytes), &head))
			continue;
		if (!is_found || head.generation > ret_head->generation)
			*ret_head = head;
		is_found = true;
	}
	return is_found;
}

int folder_write_head(const struct folder *folder, struct head *head)
{
	CLEANUP(buffer_deinit) struct buffer bytes;
	struct head next = *head;
	ssize_t n;
	int r;

	next.generation++;
	buffer_init(&bytes, HEAD_SLOT_SIZE);
	head_encode(&bytes, &next);
	r = buffer_check(&bytes);
	if (r < 0)
		return r;
	n = pwrite(folder->head_fd, bytes.bytes, bytes.size,
		(off_t)(next.generation % HEAD_COPIES) * HEAD_DISTANCE);
	if (n != (ssize_t)bytes.size)
		return n < 0 ? -errno : -ENOSPC;
	*head = next;
	return 0;
}

int folder_sync_head(const struct folder *folder)
{
	return fdatasync(folder->head_fd) < 0 ? -errno : 0;
}

static int compare_ordinals(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return a < b ? -1 : a > b;
}

static bool parse_name(const char *name, const char *suffix, uint32_t *ret_ordinal)
{
	char again[SEGMENT_NAME_SIZE];
	unsigned long ordinal = strtoul(name, NULL, 16);

	if (ordinal > UINT32_MAX)
		return false;
	make_name((uint32_t)ordinal, suffix, again);
	*ret_ordinal = (uint32_t)ordinal;
	return strcmp(again, name) == 0;
}

static int add_ordinal(uint32_t **ordinals, size_t *count, uint32_t ordinal)
{
	uint32_t *larger = *ordinals;

	if (*count == SEGMENTS_MAX)
		return -EOVERFLOW;
	if ((*count & (*count - 1)) == 0) /* 0, 1, 2, 4, ... are full */
		larger = reallocarray(*ordinals, *count ? *count * 2 : 1, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	larger[(*count)++] = ordinal;
	*ordinals = larger;
	return 0;
}

int folder_list(
	const struct folder *folder, uint32_t **ret_ordinals, size_t *ret_count, struct error *err)
{
	int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	uint32_t *ordinals = NULL, ordinal;
	size_t count = 0;

	if (!directory)
		r = -errno;
	for (struct dirent *item; r == 0 && (item = readdir(directory)) != NULL;) {
		if (parse_name(item->d_name, segment_suffix, &ordinal))
			r = add_ordinal(&ordinals, &count, ordinal);
		else if (parse_name(item->d_name, rewritten_suffix, &ordinal))
			(void)unlinkat(folder->fd, item->d_name, 0);
	}
	if (directory)
		closedir(directory);
	else if (fd >= 0)
		close(fd);
	if (r < 0) {
		free(ordinals);
		return error_set(err, r, "cannot list the spool's folder: %s", strerror(-r));
	}
	if (count)
		qsort(ordinals, count, sizeof(*ordinals), compare_ordinals);
	*ret_ordinals = ordinals;
	*ret_count = count;
	return 0;
}
