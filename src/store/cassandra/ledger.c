/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* What is no reading: the spools that readings come from, and records. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/batch.h"
#include "store/cassandra/private.h"
#include "store/gaps.h"

#define OWN_KIND "cassandra" /* records of this backend's own */

enum { SOURCE_TEXT_SIZE = 4096, NUMBER_SIZE = 24, SOURCES_AT_ONCE = 500 };

static const int64_t FIRST_FROM_MS = TIME_MS_MAX + 1;

/* A source's cells have its sequence as their timestamp; what it does not say leaves them alone. */
static void add_advance(struct statements *statements, const struct store_source *source)
{
	uint64_t sequence = MIN_OF(source->sequence, (uint64_t)INT64_MAX - 1);
	struct cql_value host =
		*source->host ? statements_text(statements, source->host) : cql_unset();
	struct cql_value until = cql_unset(), heard = cql_unset();

	if (source->until_ms) {
		until = statements_bigint(statements, source->until_ms);
		heard = statements_bigint(statements, source->heard_ms);
	}
	statements_add(statements, ADVANCE_SOURCE,
		(const struct cql_value[]){ statements_bigint(statements, (int64_t)sequence + 1),
			host, statements_bigint(statements, (int64_t)sequence), until, heard,
			statements_text(statements, source->worker),
			statements_text(statements, source->spool) },
		7, 0);
}

static void add_first(struct statements *statements, const struct store_source *source)
{
	int64_t timestamp_us = MAX_OF(FIRST_FROM_MS - source->first_ms, 1);

	statements_add(statements, NOTE_SOURCE_FIRST,
		(const struct cql_value[]){ statements_bigint(statements, timestamp_us),
			statements_bigint(statements, source->first_ms),
			statements_text(statements, source->worker),
			statements_text(statements, source->spool) },
		4, 0);
}

/* All are of one partition. */
void ledger_add_sources(struct statements *statements, const struct store_commit *commit)
{
	size_t count = 0;

	for (size_t i = 0; i < commit->source_count; i++) {
		size_t before = statements->count;

		add_advance(statements, &commit->sources[i]);
		if (commit->sources[i].first_ms)
			add_first(statements, &commit->sources[i]);
		count += statements->count - before;
		if (count >= SOURCES_AT_ONCE || (count > 1 && i + 1 == commit->source_count)) {
			statements_join(statements, count);
			count = 0;
		}
	}
}

struct source_texts {
	char worker[SOURCE_TEXT_SIZE], spool[SOURCE_TEXT_SIZE], host[SOURCE_TEXT_SIZE];
};

static int read_time(struct cql_value value, int64_t *ret_time_ms)
{
	*ret_time_ms = 0;
	return cql_is_null(value) ? 0 : cql_read_bigint(value, ret_time_ms);
}

static int read_source(
	const struct cql_result *row, struct source_texts *texts, struct store_source *ret_source)
{
	struct cql_value host = cql_result_value(row, 2);
	int64_t sequence = 0;
	int r = cql_read_text(cql_result_value(row, 0), texts->worker, sizeof(texts->worker));

	texts->host[0] = '\0';
	if (r == 0)
		r = cql_read_text(cql_result_value(row, 1), texts->spool, sizeof(texts->spool));
	if (r == 0 && !cql_is_null(host))
		r = cql_read_text(host, texts->host, sizeof(texts->host));
	if (r == 0)
		r = read_time(cql_result_value(row, 3), &sequence);
	*ret_source = (struct store_source){ texts->worker, texts->spool, texts->host,
		(uint64_t)sequence, 0, 0, 0 };
	if (r == 0)
		r = read_time(cql_result_value(row, 4), &ret_source->first_ms);
	if (r == 0)
		r = read_time(cql_result_value(row, 5), &ret_source->until_ms);
	return r == 0 ? read_time(cql_result_value(row, 6), &ret_source->heard_ms) : r;
}

struct source_question {
	struct cassandra_store *store;
	const char *host;
	store_source_fn each;
	void *context;
	struct source_texts texts;
};

static int tell_source(void *context, const struct cql_result *row, struct error *err)
{
	struct source_question *question = context;
	struct store_source source;

	if (read_source(row, &question->texts, &source) < 0)
		return cassandra_corrupt(question->store, "a source", err);
	if (question->host && strcmp(question->host, source.host) != 0)
		return 0;
	return question->each(question->context, &source) == 0 ? 0 : STORE_STOPPED;
}

int ledger_sources(struct cassandra_store *store, const char *host, const char *worker,
	store_source_fn each, void *context, struct error *err)
{
	CLEANUP(statements_deinit) struct statements statements;
	struct source_question question = {
		.store = store, .host = host, .each = each, .context = context
	};

	statements_init(&statements, store);
	if (worker)
		statements_add(&statements, GET_SOURCES_OF_WORKER,
			(const struct cql_value[]){ statements_text(&statements, worker) }, 1, 0);
	else
		statements_add(&statements, GET_SOURCES, NULL, 0, 0);
	return statements_each_row(&statements, tell_source, &question, err);
}

static int add_parts(
	struct statements *statements, struct digester *digester, const struct store_record *record)
{
	struct digest digest;
	int r;

	if (record->size <= PART_SIZE)
		return 0;
	r = digester_of(digester, record->value, record->size, &digest);
	for (size_t at = 0; at < record->size && r == 0; at += PART_SIZE)
		statements_add(statements, PUT_RECORD_PART,
			(const struct cql_value[]){
				statements_blob(statements, digest.bytes, DIGEST_SIZE),
				statements_int(statements, (int32_t)(at / PART_SIZE)),
				cql_blob((const uint8_t *)record->value + at,
					MIN_OF((size_t)PART_SIZE, record->size - at)) },
			3, 1);
	return r;
}

int ledger_add_parts(
	struct statements *statements, struct digester *digester, const struct store_commit *commit)
{
	int r = 0;

	for (size_t i = 0; i < commit->record_count && r == 0; i++)
		r = add_parts(statements, digester, &commit->records[i]);
	return r;
}

/* When the records were written last; the next ones are later, whatever this server's clock says.
 */
static int take_time(void *context, size_t index, struct cql_result *result)
{
	int64_t *times_us = context;

	if (cql_result_next(result))
		(void)!cql_read_bigint(cql_result_value(result, 0), &times_us[index]);
	return 0;
}

static int find_times(struct cassandra_store *store, const struct store_commit *commit,
	int64_t *times_us, struct error *err)
{
	CLEANUP(statements_deinit) struct statements asked;

	statements_init(&asked, store);
	for (size_t i = 0; i < commit->record_count; i++)
		statements_add(&asked, GET_RECORD_TIME,
			(const struct cql_value[]){ cql_text(commit->records[i].kind),
				cql_text(commit->records[i].key) },
			2, 1);
	return statements_run(&asked, take_time, times_us, err);
}

struct putting {
	struct statements *statements;
	struct digester *digester;
	int64_t timestamp_us;
};

static int add_record(void *context, const struct store_record *record)
{
	struct putting *putting = context;
	struct statements *statements = putting->statements;
	struct cql_value value = cql_null(), digest = cql_null();
	struct digest of;

	if (record->size <= PART_SIZE) {
		value = statements_blob(statements, record->value, record->size);
		digest = cql_unset();
	} else if (digester_of(putting->digester, record->value, record->size, &of) == 0) {
		digest = statements_blob(statements, of.bytes, DIGEST_SIZE);
		value = cql_unset();
	}
	statements_add(statements, PUT_RECORD,
		(const struct cql_value[]){ statements_text(statements, record->kind),
			statements_text(statements, record->key),
			statements_int(statements, (int32_t)record->size), value, digest },
		5, 1)
		->timestamp_us = putting->timestamp_us;
	return 0;
}

int ledger_add_records(struct statements *statements, struct digester *digester,
	const struct store_commit *commit, struct error *err)
{
	int64_t now_us = commit->now_ms * 1000,
		*times_us = calloc(commit->record_count + 1, sizeof(*times_us));
	struct putting putting = { statements, digester, now_us };
	int r = times_us ? 0 : -ENOMEM;

	if (r == 0)
		r = find_times(statements->store, commit, times_us, err);
	for (size_t i = 0; i < commit->record_count && r == 0; i++) {
		putting.timestamp_us = MAX_OF(now_us, times_us[i] + 1);
		r = add_record(&putting, &commit->records[i]);
	}
	putting.timestamp_us = now_us;
	for (size_t i = 0; i < commit->batch_count && r == 0; i++)
		r = gaps_each(commit->batches[i], add_record, &putting);
	free(times_us);
	return r;
}

struct record_question {
	struct cassandra_store *store;
	const char *kind, *prefix;
	store_record_fn each;
	void *context;
	struct buffer value;
	char key[RECORD_TEXT_MAX + 1];
};

static int take_part(void *context, const struct cql_result *row, struct error *err)
{
	struct cql_value value = cql_result_value(row, 0);

	if (!cql_is_null(value))
		buffer_write(context, value.bytes, (size_t)value.size);
	return 0;
}

static int gather_parts(
	struct record_question *question, struct cql_value digest, struct error *err)
{
	CLEANUP(statements_deinit) struct statements statements;

	buffer_clear(&question->value);
	statements_init(&statements, question->store);
	statements_add(&statements, GET_RECORD_PARTS, &digest, 1, 1)->page_size = 2;
	return statements_each_row(&statements, take_part, &question->value, err);
}

/* Whole, as the digest says. */
static int check_parts(struct record_question *question, struct cql_value digest, struct error *err)
{
	const struct buffer *value = &question->value;
	struct digester digester = { 0 };
	struct digest of;
	int r = buffer_check(value);

	if (r == 0)
		r = digester_init(&digester);
	if (r == 0)
		r = digester_of(&digester, value->bytes, value->size, &of);
	digester_deinit(&digester);
	if (r == 0 && memcmp(of.bytes, digest.bytes, DIGEST_SIZE) != 0)
		r = cassandra_corrupt(question->store, "a record", err);
	return r;
}

static int take_parts(struct record_question *question, struct cql_value digest,
	struct store_record *record, struct error *err)
{
	int r;

	if (digest.size != DIGEST_SIZE)
		return cassandra_corrupt(question->store, "a record", err);
	r = gather_parts(question, digest, err);
	if (r == 0)
		r = check_parts(question, digest, err);
	record->value = question->value.bytes;
	record->size = question->value.size;
	return r;
}

/* Of two that were written in the same microsecond, Cassandra keeps the larger one of each column.
 * So the size is taken as saying in which of the other columns the value is, which is of one. */
static int tell_record(void *context, const struct cql_result *row, struct error *err)
{
	struct record_question *question = context;
	struct cql_value value = cql_result_value(row, 2);
	struct store_record record = { question->kind, question->key, value.bytes, 0 };
	int32_t size;
	int r = 0;

	if (cql_read_text(cql_result_value(row, 0), question->key, sizeof(question->key)) < 0 ||
		cql_read_int(cql_result_value(row, 1), &size) < 0)
		return cassandra_corrupt(question->store, "a record", err);
	if (strncmp(question->key, question->prefix, strlen(question->prefix)) != 0)
		return STORE_STOPPED;
	if (size > PART_SIZE)
		r = take_parts(question, cql_result_value(row, 3), &record, err);
	else if (cql_is_null(value))
		r = cassandra_corrupt(question->store, "a record", err);
	else
		record.size = (size_t)value.size;
	if (r != 0)
		return r;
	return question->each(question->context, &record) == 0 ? 0 : STORE_FULL;
}

int ledger_records(struct cassandra_store *store, const char *kind, const char *prefix,
	store_record_fn each, void *context, struct error *err)
{
	CLEANUP(statements_deinit) struct statements statements;
	struct record_question question = {
		.store = store, .kind = kind, .prefix = prefix, .each = each, .context = context
	};
	int r;

	buffer_init(&question.value, RECORD_VALUE_MAX);
	statements_init(&statements, store);
	statements_add(&statements, GET_RECORDS,
		(const struct cql_value[]){ cql_text(kind), cql_text(prefix) }, 2, 1);
	r = statements_each_row(&statements, tell_record, &question, err);
	buffer_deinit(&question.value);
	if (r == STORE_STOPPED) /* behind the last of them */
		return 0;
	return r == STORE_FULL ? STORE_STOPPED : r;
}

int ledger_advance(struct cassandra_store *store, const char *key, int64_t value, struct error *err)
{
	CLEANUP(statements_deinit) struct statements statements;
	char text[NUMBER_SIZE];
	const struct store_record record = { OWN_KIND, key, text,
		(size_t)snprintf(text, sizeof(text), "%" PRId64, value) };
	struct putting putting = { .statements = &statements, .timestamp_us = MAX_OF(value, 1) };
	int r;

	statements_init(&statements, store);
	r = add_record(&putting, &record);
	return r == 0 ? statements_run(&statements, NULL, NULL, err) : r;
}

static int take_number(void *context, const struct store_record *record)
{
	char text[NUMBER_SIZE] = "";

	if (record->size < sizeof(text))
		memcpy(text, record->value, record->size);
	(void)!text_to_i64(text, context);
	return 1;
}

int ledger_own(struct cassandra_store *store, const char *prefix, store_record_fn each,
	void *context, struct error *err)
{
	int r = ledger_records(store, OWN_KIND, prefix, each, context, err);

	return r == STORE_STOPPED ? 0 : r;
}

int ledger_read_number(
	struct cassandra_store *store, const char *key, int64_t *value, struct error *err)
{
	return ledger_own(store, key, take_number, value, err);
}
