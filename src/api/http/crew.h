/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* One question about many instances: some threads ask about them, each with a store that reads
 * ahead, and the answers are handed out in the order of the ids. What was not taken yet is at most
 * CREW_BACKLOG_MAX answers of each thread. */

#include <jansson.h>

#include "api/methods.h"
#include "base/error.h"
#include "base/macros.h"

enum { CREW_THREADS_MAX = 4, CREW_BACKLOG_MAX = 256 };

struct crew;

/* Begins. The methods are kept; args, in which "id" is set to each of the ids, are copied. NULL if
 * there is no memory, or no thread. */
struct crew *crew_new(
	const struct methods *methods, const char *method, const json_t *args, const json_t *ids);
/* Ends it, also before its end. */
struct crew *crew_free(struct crew *crew);

/* The next answer, as methods_ask; behind the last one ANSWER_SUCCESS and NULL. After a failure
 * there is nothing more. One thread. */
enum answer_code crew_next(struct crew *crew, json_t **ret_data, struct error *err);
