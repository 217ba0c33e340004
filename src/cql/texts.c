/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/texts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void cql_texts_init(struct cql_texts *texts)
{
	pthread_mutex_init(&texts->lock, NULL);
	texts->count = 0;
}

void cql_texts_deinit(struct cql_texts *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		free(texts->texts[i]);
	pthread_mutex_destroy(&texts->lock);
}

static int find_or_add(struct cql_texts *texts, const char *text)
{
	char *copy;

	for (size_t i = 0; i < texts->count; i++)
		if (strcmp(texts->texts[i], text) == 0)
			return (int)i;
	if (texts->count == CQL_TEXTS_MAX)
		return -ENOSPC;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	texts->texts[texts->count] = copy;
	return (int)texts->count++;
}

int cql_texts_number(struct cql_texts *texts, const char *text)
{
	int number;

	pthread_mutex_lock(&texts->lock);
	number = find_or_add(texts, text);
	pthread_mutex_unlock(&texts->lock);
	return number;
}
