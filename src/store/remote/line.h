/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* One connection to a program that answers questions, for one question at a time.
 *
 * A plain REQ socket waits its whole time-out for a program that is not there. This one knows of
 * its connection: whether it was refused, not made within 2 s, or ended while an answer was
 * awaited. A host that fell silent is found by the kernel (keepalive, and the user time-out of
 * what is sent) within about 15 s. The program's own silence is its right until the time-out. */

#include <czmq.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hosts.h"
#include "base/macros.h"

struct line;

/* Begins to connect. NULL: no memory. */
struct line *line_new(const struct host *host);
struct line *line_free(struct line *line);
CLEANUP_DEFINE(struct line, line_free)

enum line_outcome {
	LINE_ANSWERED,
	LINE_UNREACHABLE, /* nobody is there, or no longer */
	LINE_SILENT,      /* no answer in time */
};

/* Asks frames "kanyun", "", body. LINE_ANSWERED: *ret_answer is the answer's frames, owned by the
 * caller, and the line may be used again. Else it may only be freed. */
enum line_outcome line_ask(
	struct line *line, const char *body, int64_t timeout_ms, zmsg_t **ret_answer);
