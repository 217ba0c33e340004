/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <errno.h>
#include <string.h>

#include "store/ahead/private.h"

enum { SOURCES_MAX = 1000 * 1000, ANSWERS_MAX = 100 * 1000, RECORDS_MAX = 10 * 1000 * 1000 };

/* The records of one kind with one prefix. */
struct fact {
	const char *kind, *prefix;
	struct store_record *records;
	size_t count;
};

void facts_deinit(struct facts *facts)
{
	arena_deinit(&facts->arena);
}

static const char *keep(struct arena *arena, const char *text)
{
	return arena_copy_text(arena, text, strlen(text));
}

static int keep_source(void *context, const struct store_source *source)
{
	struct facts *facts = context;
	struct store_source *sources = arena_grow(
		&facts->arena, facts->sources, facts->source_count, SOURCES_MAX, sizeof(*sources));
	struct store_source kept = *source;

	kept.worker = keep(&facts->arena, source->worker);
	kept.spool = keep(&facts->arena, source->spool);
	kept.host = keep(&facts->arena, source->host);
	if (!sources || !kept.worker || !kept.spool || !kept.host)
		return 1;
	facts->sources = sources;
	sources[facts->source_count++] = kept;
	return 0;
}

static bool is_asked_for(const struct store_source *source, const char *host, const char *worker)
{
	return (!host || strcmp(source->host, host) == 0) &&
	       (!worker || strcmp(source->worker, worker) == 0);
}

int facts_sources(struct facts *facts, struct store *behind, const char *host, const char *worker,
	store_source_fn each, void *context, struct error *err)
{
	int r = facts->has_sources ? 0 : store_sources(behind, NULL, NULL, keep_source, facts, err);

	if (r != 0)
		return r == STORE_STOPPED ? -ENOMEM : r;
	facts->has_sources = true;
	for (size_t i = 0; i < facts->source_count; i++)
		if (is_asked_for(&facts->sources[i], host, worker) &&
			each(context, &facts->sources[i]) != 0)
			return STORE_STOPPED;
	return 0;
}

struct keeping {
	struct arena *arena;
	struct fact *fact;
};

static int keep_record(void *context, const struct store_record *record)
{
	struct keeping *keeping = context;
	struct fact *fact = keeping->fact;
	struct store_record *records = arena_grow(
		keeping->arena, fact->records, fact->count, RECORDS_MAX, sizeof(*records));
	char *key = arena_copy_text(keeping->arena, record->key, strlen(record->key));
	char *value = arena_copy_text(keeping->arena, record->value, record->size);

	if (!records || !key || !value)
		return 1;
	fact->records = records;
	records[fact->count++] = (struct store_record){ fact->kind, key, value, record->size };
	return 0;
}

static const struct fact *find(const struct facts *facts, const char *kind, const char *prefix)
{
	for (size_t i = 0; i < facts->record_count; i++)
		if (strcmp(facts->records[i].prefix, prefix) == 0 &&
			strcmp(facts->records[i].kind, kind) == 0)
			return &facts->records[i];
	return NULL;
}

static int read_fact(struct facts *facts, struct store *behind, const char *kind,
	const char *prefix, const struct fact **ret_fact, struct error *err)
{
	struct fact *answers = arena_grow(
		&facts->arena, facts->records, facts->record_count, ANSWERS_MAX, sizeof(*answers));
	struct fact fact = { .kind = keep(&facts->arena, kind),
		.prefix = keep(&facts->arena, prefix) };
	struct keeping keeping = { &facts->arena, &fact };
	int r;

	if (!answers || !fact.kind || !fact.prefix)
		return -ENOMEM;
	facts->records = answers;
	r = store_records(behind, kind, prefix, keep_record, &keeping, err);
	if (r != 0)
		return r == STORE_STOPPED ? -ENOMEM : r;
	answers[facts->record_count] = fact;
	*ret_fact = &answers[facts->record_count++];
	return 0;
}

int facts_records(struct facts *facts, struct store *behind, const char *kind, const char *prefix,
	store_record_fn each, void *context, struct error *err)
{
	const struct fact *fact = find(facts, kind, prefix);
	int r = fact ? 0 : read_fact(facts, behind, kind, prefix, &fact, err);

	for (size_t i = 0; r == 0 && i < fact->count; i++)
		if (each(context, &fact->records[i]) != 0)
			r = STORE_STOPPED;
	return r;
}
