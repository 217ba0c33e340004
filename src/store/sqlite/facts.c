/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* What is no reading: the spools that readings come from, and records. Sources are in memory, too;
 * records are read where they lie. */

#include <errno.h>
#include <string.h>

#include "store/gaps.h"
#include "store/sqlite/private.h"

static int write_source(
	struct sqlite_store *store, const struct store_source *source, struct error *err)
{
	sqlite3_stmt *statement = store->statements[ADVANCE_SOURCE];

	sqlite3_bind_text(statement, 1, source->worker, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 2, source->spool, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 3, source->host, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 4, (int64_t)source->sequence);
	sqlite3_bind_int64(statement, 5, source->first_ms);
	sqlite3_bind_int64(statement, 6, source->until_ms);
	sqlite3_bind_int64(statement, 7, source->heard_ms);
	return catalogue_run(store, ADVANCE_SOURCE, err);
}

struct writing {
	struct sqlite_store *store;
	struct error *err;
};

static int write_record(void *context, const struct store_record *record)
{
	struct writing *writing = context;
	sqlite3_stmt *statement = writing->store->statements[PUT_RECORD];

	sqlite3_bind_text(statement, 1, record->kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 2, record->key, -1, SQLITE_TRANSIENT);
	sqlite3_bind_blob(statement, 3, record->value, (int)record->size, SQLITE_STATIC);
	return catalogue_run(writing->store, PUT_RECORD, writing->err);
}

int facts_write(struct sqlite_store *store, const struct store_commit *commit, struct error *err)
{
	struct writing writing = { store, err };
	int r = 0;

	for (size_t i = 0; i < commit->source_count && r == 0; i++)
		r = write_source(store, &commit->sources[i], err);
	for (size_t i = 0; i < commit->record_count && r == 0; i++)
		r = write_record(&writing, &commit->records[i]);
	for (size_t i = 0; i < commit->batch_count && r == 0; i++)
		r = gaps_each(commit->batches[i], write_record, &writing);
	return r;
}

static int load_source(struct sqlite_store *store, sqlite3_stmt *row, struct error *err)
{
	const struct store_source source = { (const char *)sqlite3_column_text(row, 0),
		(const char *)sqlite3_column_text(row, 1),
		(const char *)sqlite3_column_text(row, 2), (uint64_t)sqlite3_column_int64(row, 3),
		sqlite3_column_int64(row, 4), sqlite3_column_int64(row, 5),
		sqlite3_column_int64(row, 6) };

	if (!source.worker || !source.spool || !source.host)
		return error_set(err, -EBADMSG, "kanyun.db: a source is broken");
	return sources_advance(&store->sources, &source);
}

int facts_load(struct sqlite_store *store, struct error *err)
{
	return catalogue_load_rows(store,
		"SELECT worker, spool, host, sequence, first, until, heard FROM sources",
		load_source, err);
}

int facts_records(struct sqlite_store *store, const char *kind, const char *prefix,
	store_record_fn each, void *context, struct error *err)
{
	sqlite3_stmt *statement = store->statements[GET_RECORDS];
	int r = 0, code = SQLITE_DONE;

	sqlite3_bind_text(statement, 1, kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 2, prefix, -1, SQLITE_STATIC);
	while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		const struct store_record record = { kind,
			(const char *)sqlite3_column_text(statement, 0),
			sqlite3_column_blob(statement, 1),
			(size_t)sqlite3_column_bytes(statement, 1) };

		if (!record.key || strncmp(record.key, prefix, strlen(prefix)) != 0)
			break;
		if (each(context, &record) != 0)
			r = STORE_STOPPED;
	}
	if (r == 0 && code != SQLITE_DONE && code != SQLITE_ROW)
		r = sqlite_outcome(store->db, "the records", err);
	sqlite3_reset(statement);
	return r;
}
