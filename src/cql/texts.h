/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The texts of a session that are prepared, each with a small number. They stay as long as it, so
 * that whoever was told a number may read its text. Any thread. */

#include <pthread.h>
#include <stddef.h>

#include "base/macros.h"
#include "cql/session.h"

struct cql_texts {
	pthread_mutex_t lock; /* guards count, and that texts are added once */
	char *texts[CQL_TEXTS_MAX];
	size_t count;
};

void cql_texts_init(struct cql_texts *texts);
void cql_texts_deinit(struct cql_texts *texts);

/* The number of this text, which is added if it is new; -ENOSPC; -ENOMEM. */
MUST_CHECK int cql_texts_number(struct cql_texts *texts, const char *text);
