/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "wire/answering.h"

#include "base/error.h"

enum { FRAMES_MAX = 4 };

/* Takes `answer`. */
static zmsg_t *envelop(const struct request *request, json_t *answer, const struct buffer *payload)
{
	CLEANUP(buffer_deinit) struct buffer text;
	zmsg_t *message = zmsg_new();
	int r;

	buffer_init(&text, ANSWER_SIZE_MAX);
	r = answer ? answer_encode(answer, &text) : -ENOMEM;
	if (r < 0) {
		buffer_clear(&text);
		buffer_print(&text, "{\"code\": %d, \"message\": \"%s\", \"data\": null}",
			r == -EMSGSIZE ? ANSWER_TOO_LARGE : ANSWER_INTERNAL,
			r == -EMSGSIZE ? "the answer is too large; ask for less" : "out of memory");
	}
	json_decref(answer);
	zmsg_addmem(message, request->type, request->type_size);
	zmsg_addmem(message, request->id, request->id_size);
	zmsg_addmem(message, text.bytes, text.size);
	if (payload && payload->size)
		zmsg_addmem(message, payload->bytes, payload->size);
	return message;
}

static int decode(zmsg_t *message, struct request *request, struct error *err)
{
	struct frame frames[FRAMES_MAX];
	size_t count = 0;

	for (zframe_t *frame = zmsg_first(message); frame && count < FRAMES_MAX;
		frame = zmsg_next(message))
		frames[count++] = (struct frame){ zframe_data(frame), zframe_size(frame) };
	return request_decode(frames, count, request, err);
}

zmsg_t *answering_answer(zmsg_t *message, answering_fn method, void *context)
{
	CLEANUP(request_deinit) struct request request = { 0 };
	CLEANUP(buffer_deinit) struct buffer payload;
	struct error err = { 0 };
	int r;

	buffer_init(&payload, ANSWER_SIZE_MAX);
	r = decode(message, &request, &err);
	if (r < 0)
		return envelop(
			&request, answer_new(ANSWER_BAD_REQUEST, error_text(&err, r), NULL), NULL);
	return envelop(&request, method(context, &request, &payload), &payload);
}

zmsg_t *answering_refuse(zmsg_t *message)
{
	static const char busy[] = "too many questions are waiting; ask again later";
	CLEANUP(request_deinit) struct request request = { 0 };

	if (decode(message, &request, NULL) < 0)
		return envelop(&request, answer_new(ANSWER_BAD_REQUEST, "bad request", NULL), NULL);
	return envelop(&request, answer_new(ANSWER_UNAVAILABLE, busy, NULL), NULL);
}
