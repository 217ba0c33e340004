/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "store/sources.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void free_texts(struct store_source *source)
{
	free((char *)source->worker);
	free((char *)source->spool);
	free((char *)source->host);
}

void sources_deinit(struct sources *sources)
{
	for (size_t i = 0; i < sources->count; i++)
		free_texts(&sources->items[i]);
	free(sources->items);
	*sources = (struct sources){ 0 };
}

static struct store_source *find(const struct sources *sources, const struct store_source *like)
{
	for (size_t i = 0; i < sources->count; i++)
		if (strcmp(sources->items[i].spool, like->spool) == 0 &&
			strcmp(sources->items[i].worker, like->worker) == 0)
			return &sources->items[i];
	return NULL;
}

static struct store_source *add(struct sources *sources, const struct store_source *like)
{
	struct store_source *items = sources->items, source = { 0 };
	size_t room = sources->room ? sources->room * 2 : 16;

	if (sources->count == sources->room) {
		items = reallocarray(items, room, sizeof(*items));
		if (!items)
			return NULL;
		sources->items = items;
		sources->room = room;
	}
	source.worker = strdup(like->worker);
	source.spool = strdup(like->spool);
	source.host = strdup("");
	if (!source.worker || !source.spool || !source.host) {
		free_texts(&source);
		return NULL;
	}
	items[sources->count] = source;
	return &items[sources->count++];
}

int sources_advance(struct sources *sources, const struct store_source *source)
{
	struct store_source *kept = find(sources, source);

	if (!kept)
		kept = add(sources, source);
	if (!kept)
		return -ENOMEM;
	if (source->host[0] && strcmp(kept->host, source->host) != 0) {
		char *host = strdup(source->host);

		if (!host)
			return -ENOMEM;
		free((char *)kept->host);
		kept->host = host;
	}
	if (source->first_ms && (!kept->first_ms || source->first_ms < kept->first_ms))
		kept->first_ms = source->first_ms;
	if (source->sequence < kept->sequence)
		return 0;
	kept->sequence = source->sequence;
	if (source->until_ms) {
		kept->until_ms = source->until_ms;
		kept->heard_ms = source->heard_ms;
	}
	return 0;
}

int sources_each(const struct sources *sources, const char *host, const char *worker,
	store_source_fn each, void *context)
{
	for (size_t i = 0; i < sources->count; i++) {
		const struct store_source *source = &sources->items[i];

		if ((host && strcmp(source->host, host) != 0) ||
			(worker && strcmp(source->worker, worker) != 0))
			continue;
		if (each(context, source) != 0)
			return STORE_STOPPED;
	}
	return 0;
}
