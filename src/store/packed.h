/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What several backends pack alike. Reading never trusts: whatever is too long, or more than there
 * is memory for, breaks the cursor, and what is read from a broken cursor is empty. */

#include "base/arena.h"
#include "base/buffer.h"
#include "base/cursor.h"
#include "model/instance.h"

enum { PACKED_INFO_MAX = 1152 * 1024 }; /* bytes of one, of which the texts are most */

/* Without its UUID, which the place where it is kept knows. Texts live in the arena,
 * which needs INSTANCE_INFO_MEMORY_MAX. */
void packed_write_info(struct buffer *to, const struct instance_info *info);
void packed_read_info(struct cursor *from, struct arena *arena, struct instance_info *ret_info);

/* A text in the arena, of at most `limit` bytes; never NULL. */
const char *packed_read_text(struct cursor *from, struct arena *arena, size_t limit);

/* Zeroed elements, whose number comes first. Each takes a byte at least, so that a number that the
 * bytes cannot hold asks for no memory. */
void *packed_read_array(
	struct cursor *from, struct arena *arena, size_t limit, size_t size, size_t *ret_count);
