/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* message_decode over any frames. In the input, frames are separated by byte 0x1e, which JSON never
 * holds unescaped. What was decoded is encoded and must be decoded to as many readings again. */

#include <stdlib.h>
#include <string.h>

#include "fuzz/target.h"
#include "wire/message.h"

enum { FRAMES_MAX = 5, SEPARATOR = 0x1e };

static const struct message_options options = { .now_ms = INT64_C(1800000000000) };

static void decode_again(const struct batch *batch)
{
	CLEANUP(message_deinit) struct message message = { 0 };
	CLEANUP(buffer_deinit) struct buffer text;
	struct frame frames[2] = { { "3", 1 } };
	struct message_report report;

	buffer_init(&text, WIRE_MESSAGE_MAX);
	message_encode_readings(&text, batch->host, batch->readings, batch->reading_count);
	if (buffer_check(&text) < 0)
		return;
	frames[1] = (struct frame){ text.bytes, text.size };
	if (message_decode(frames, 2, &options, &message, &report) != 0 ||
		message.batch->reading_count != batch->reading_count ||
		batch_sample_count(message.batch) != batch_sample_count(batch))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	CLEANUP(message_deinit) struct message message = { 0 };
	struct frame frames[FRAMES_MAX];
	struct message_report report;
	size_t count = 0;

	while (count < FRAMES_MAX) {
		const uint8_t *end = size ? memchr(bytes, SEPARATOR, size) : NULL;
		size_t length = end ? (size_t)(end - bytes) : size;

		frames[count++] = (struct frame){ bytes, length };
		if (!end)
			break;
		bytes += length + 1;
		size -= length + 1;
	}
	if (message_decode(frames, count, &options, &message, &report) == 0 && message.batch &&
		message.batch->reading_count)
		decode_again(message.batch);
	return 0;
}
