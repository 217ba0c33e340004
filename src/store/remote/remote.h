/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Reading a store through kanyun-server's REP socket: the side that asks is a `struct store`
 * (it takes records, but no readings), the side that answers turns a request into calls of another
 * store. An answer is the usual three frames and one more of bytes (remote/codec.h). */

#include <czmq.h>
#include <jansson.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/macros.h"
#include "store/store.h"
#include "wire/request.h"

/* Several programs that hold the same, by host and port: the one that answered last is asked first,
 * and the next one where nobody is there, or what is there says that it cannot answer now
 * (ANSWER_UNAVAILABLE). One that is there and silent has timeout_ms; after that, the next question
 * begins with another one. Connects when it is first asked. Any number of threads. */
struct remote_options {
	const char *program; /* what it is called; kept, not copied */
	const char *hosts;   /* base/hosts.h */
	uint16_t port;       /* where a host has none of its own */
	int64_t timeout_ms;
};

/* -EINVAL with a text if `hosts` is no list of hosts. */
MUST_CHECK int remote_store_new(
	const struct remote_options *options, struct store **ret_store, struct error *err);

/* Asks the server any method. args is borrowed and may be NULL. *ret_answer is the whole answer
 * {"code", "message", "data"}, owned by the caller, also if its code is not 0.
 * STORE_UNAVAILABLE: nobody is there, or no answer came in time. */
MUST_CHECK int remote_store_ask(struct store *store, const char *method, const json_t *args,
	json_t **ret_answer, struct error *err);

/* Asks each of them, whatever the others answer: for what each says of itself. `answer` is NULL
 * where none came within timeout_ms; both texts live during the call. */
typedef void (*remote_each_fn)(void *context, const char *host, const json_t *answer);
void remote_store_ask_each(struct store *store, const char *method, int64_t timeout_ms,
	remote_each_fn each, void *context);

/* The answering side. Is this method one of the store's? */
bool remote_is_method(const char *method);

/* All of them, by number from 0; NULL behind the last. */
const char *remote_method(size_t number);

/* Answers it: 0, and payload holds the frame of bytes; else as the store returned, and err says
 * why. Any thread. */
MUST_CHECK int remote_answer(struct store *store, const struct request *request,
	struct buffer *payload, struct error *err);
