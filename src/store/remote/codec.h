/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The bytes between kanyun-server and kanyun-api: instances, series with their samples, instances
 * with theirs, sources or records, one after the other up to the end of the frame. Numbers are
 * LEB128, texts a length and that many bytes; times and values of samples are deltas to the sample
 * before. */

#include "base/arena.h"
#include "base/buffer.h"
#include "base/cursor.h"
#include "base/macros.h"
#include "store/store.h"

void codec_write_instance(struct buffer *to, const struct store_instance *instance);
void codec_write_series(struct buffer *to, const struct store_series *series);
void codec_write_latest(struct buffer *to, const struct store_latest *latest);
void codec_write_source(struct buffer *to, const struct store_source *source);
void codec_write_record(struct buffer *to, const struct store_record *record);

/* Each reads one and returns 0; -EBADMSG; -ENOMEM. What it points to lives in the arena; a
 * record's value in what is read. */
MUST_CHECK int codec_read_instance(
	struct cursor *from, struct arena *arena, struct store_instance *ret_instance);
MUST_CHECK int codec_read_series(
	struct cursor *from, struct arena *arena, struct store_series *ret_series);
MUST_CHECK int codec_read_latest(
	struct cursor *from, struct arena *arena, struct store_latest *ret_latest);
MUST_CHECK int codec_read_source(
	struct cursor *from, struct arena *arena, struct store_source *ret_source);
MUST_CHECK int codec_read_record(
	struct cursor *from, struct arena *arena, struct store_record *ret_record);
