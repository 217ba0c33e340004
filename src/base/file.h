/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Small files that are read and replaced as a whole. */

#include <stddef.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/macros.h"

/* Writes all of a file in the place of the one that is there, with the mode 0600: after a crash or
 * a loss of power at any time there is the old content or the new one. It is written to "NAME.new"
 * first, which a crash may leave behind. 0 or -errno, and the old content is there. Whether the new
 * one is, after a loss of power, is certain once the directory was synced. */
MUST_CHECK int file_replace_at(int directory_fd, const char *name, const void *bytes, size_t size);

/* The same, and syncs the directory; where only that failed, the new content is there. */
MUST_CHECK int file_replace(const char *path, const void *bytes, size_t size);

/* All of a regular file of at most `max` bytes, with a NUL behind it, for the caller to free; and
 * its stat. -EINVAL: it is none; -EFBIG; or -errno, with a text. */
MUST_CHECK int file_read(
	const char *path, size_t max, char **ret_text, struct stat *ret_stat, struct error *err);

/* The first line of a small file of the kernel's, cut to fit, "" if it cannot be read. */
void file_read_line(const char *path, char *to, size_t size);
