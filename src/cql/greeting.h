/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* How a connection begins: what the server offers, compression, a password. Pure: an answer comes
 * in, the next question goes out. */

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/macros.h"
#include "cql/response.h"

/* OFFERED: OPTIONS was asked; then STARTUP; then, where the node wants it, the password. */
enum cql_greeting_step { CQL_GREETING_OFFERED, CQL_GREETING_STARTED, CQL_GREETING_LOGGING_IN };

struct cql_greeting {
	const char *username, *password; /* NULL: none */
	bool wants_lz4;

	enum cql_greeting_step step;
	bool has_lz4; /* both sides: from the question after OPTIONS' answer on */
};

enum cql_greeting_outcome { CQL_GREETING_READY = 1 /* statements may be asked */ };

/* Writes the first question into `frame`, which is cleared. */
void cql_greeting_begin(struct cql_greeting *greeting, struct buffer *frame);

/* Takes an answer. Returns 0: the next question is in `frame`, and is not compressed yet if it is
 * STARTUP; CQL_GREETING_READY; negative with the reason for the end, -EACCES where it is the
 * password. */
MUST_CHECK int cql_greeting_answer(struct cql_greeting *greeting,
	const struct cql_response *response, struct buffer *frame, struct error *err);
