/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The frames around a question and its answer, for programs with a responder (base/responder.h).
 * Apart from wire, because it alone needs czmq. */

#include <czmq.h>
#include <jansson.h>

#include "base/buffer.h"
#include "wire/request.h"

/* Answers one question: a whole answer (answer_new), owned by the caller; what it puts into payload
 * goes out as a fourth frame. Any thread. */
typedef json_t *(*answering_fn)(
	void *context, const struct request *request, struct buffer *payload);

/* Decodes the frames, asks `method`, and wraps what it says; says itself what is wrong with frames
 * that cannot be decoded. */
zmsg_t *answering_answer(zmsg_t *message, answering_fn method, void *context);

/* The answer to one question too many. */
zmsg_t *answering_refuse(zmsg_t *message);
