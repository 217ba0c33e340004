/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What the server's REP socket answers: `status`, `workers`, and the methods that read the store
 * (store/remote/remote.h). */

#include <czmq.h>

#include "base/clock.h"
#include "http/exposition.h"
#include "server/counters.h"
#include "server/workers.h"
#include "server/writer.h"
#include "store/store.h"

struct answers {
	const struct clock *clock;
	struct store *store;
	struct writer *writer;
	struct workers *workers;
	struct counters *counters;
	int64_t started_ms;  /* wall clock */
	size_t damaged_days; /* whose readings the store lost */
};

/* How often each method was asked. */
void answers_expose_questions(const struct answers *answers, struct exposition *to);

/* Both are a responder_fn whose context is a struct answers. */
zmsg_t *answers_answer(void *context, zmsg_t **request);
zmsg_t *answers_refuse(void *context, zmsg_t **request);
