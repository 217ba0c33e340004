/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* What the worker and kanyun-traffic say to each other; what was decoded, encoded again, is
 * decoded to the same. The first byte says which side listens. */

#include <stdlib.h>
#include <string.h>

#include "fuzz/target.h"
#include "traffic/protocol.h"

enum { ARENA_MAX = 64 * 1024 * 1024 };

static void check(bool is_same)
{
	if (!is_same)
		abort();
}

static void hear_wish(struct cursor *cursor, struct arena *arena, struct buffer *text)
{
	struct traffic_wish wish, again;

	if (traffic_decode_wish(cursor, arena, &wish) < 0)
		return;
	traffic_encode_wish(text, &wish);
	*cursor = cursor_over(text->bytes + 4, text->size - 4);
	check(traffic_decode_wish(cursor, arena, &again) == 0 &&
		wish.port_count == again.port_count && wish.internal_count == again.internal_count);
}

static void hear_answer(struct cursor *cursor, struct arena *arena, struct buffer *text)
{
	struct traffic_answer answer, again;

	if (traffic_decode_answer(cursor, arena, &answer) < 0)
		return;
	traffic_encode_answer(text, &answer);
	*cursor = cursor_over(text->bytes + 4, text->size - 4);
	check(traffic_decode_answer(cursor, arena, &again) == 0 && answer.count == again.count &&
		strcmp(answer.problem, again.problem) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	CLEANUP(buffer_deinit) struct buffer text;
	CLEANUP(arena_deinit) struct arena arena;
	struct cursor cursor;

	buffer_init(&text, TRAFFIC_MESSAGE_MAX);
	arena_init(&arena, ARENA_MAX);
	if (size == 0)
		return 0;
	cursor = cursor_over(bytes + 1, size - 1);
	if (bytes[0] & 1)
		hear_answer(&cursor, &arena, &text);
	else
		hear_wish(&cursor, &arena, &text);
	return 0;
}
