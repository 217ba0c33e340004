/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* A spool's folder, its lock, and the file `head` in it. */

#include <stdint.h>

#include "base/error.h"
#include "base/macros.h"
#include "spool/record.h"

struct folder {
	int fd;
	int head_fd; /* locked */
};

/* Makes the folder where it is missing. -EWOULDBLOCK: another process has it. */
MUST_CHECK int folder_open(const char *path, struct folder *ret_folder, struct error *err);
void folder_close(struct folder *folder);

/* New and deleted files are there, or gone, after a power loss too. */
MUST_CHECK int folder_sync(const struct folder *folder);

/* The newer copy that is sound; false: there is none. *ret_is_empty: there never was one. */
bool folder_read_head(const struct folder *folder, struct head *ret_head, bool *ret_is_empty);

/* Grows the generation and writes the older copy, in place, so that it needs no space. */
MUST_CHECK int folder_write_head(const struct folder *folder, struct head *head);
MUST_CHECK int folder_sync_head(const struct folder *folder);

/* The numbers of all segments, sorted; the caller frees them. Deletes what an interrupted rewriting
 * left. */
MUST_CHECK int folder_list(
	const struct folder *folder, uint32_t **ret_ordinals, size_t *ret_count, struct error *err);

enum { SEGMENT_NAME_SIZE = 24, HEAD_COPIES = 2 };
void segment_name(uint32_t ordinal, char to[SEGMENT_NAME_SIZE]);
