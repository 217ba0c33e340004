/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* A message's readings as rows: those of one time and one slot together, and the rows of a
 * partition in batches. What a row holds, and so its name, depends on the message alone. A reading
 * that would make a row too large is filed in pieces, each with some of its tuples: readings of one
 * time complete each other. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "store/cassandra/private.h"

enum {
	ROWS_AT_ONCE = 1000,
	BATCH_BYTES = 1024 * 1024,
	FILED_MAX = 1 << 24,
	VALUE_BYTES = 10, /* at most */
	OTHER_BYTES = 32, /* of a reading, or of a tuple, besides its texts and values; at most */
};

/* Writing what is sorted. */
struct writing {
	struct statements *statements;
	const struct filing *filing;
	uint64_t bytes;
};

static int compare_partitions(const struct filed *one, const struct filed *other)
{
	int order = strcmp(one->slot.host, other->slot.host);

	return order ? order : compare_i64(&one->slot.quarter_ms, &other->slot.quarter_ms);
}

static int compare_rows(const struct filed *one, const struct filed *other)
{
	int order = compare_partitions(one, other);

	if (order == 0)
		order = one->slot.number - other->slot.number;
	return order ? order : compare_i64(&one->reading->time_ms, &other->reading->time_ms);
}

/* Those of a row stay in the order of the message. */
static int compare_filed(const void *a, const void *b)
{
	const struct filed *one = a, *other = b;

	int order = compare_rows(one, other);

	return order ? order : (one->number > other->number) - (one->number < other->number);
}

static size_t tuple_bytes_max(const struct tuple *tuple)
{
	return OTHER_BYTES + strlen(tuple->parameter) + strlen(tuple->life) +
	       VALUE_BYTES * (size_t)__builtin_popcount(tuple->present);
}

/* Where the piece ends that begins with a tuple: all of the reading, mostly. */
static size_t find_end(const struct reading *reading, size_t first)
{
	size_t bytes =
		OTHER_BYTES + strlen(reading->epoch) + tuple_bytes_max(&reading->tuples[first]);
	size_t end = first + 1;

	for (; end < reading->tuple_count; end++) {
		bytes += tuple_bytes_max(&reading->tuples[end]);
		if (bytes > PIECE_BYTES)
			break;
	}
	return end;
}

static const struct reading *take_piece(
	struct arena *arena, const struct reading *reading, size_t first, size_t end)
{
	struct reading *piece;

	if (end - first == reading->tuple_count)
		return reading;
	piece = arena_take(arena, sizeof(*piece));
	if (piece) {
		*piece = *reading;
		piece->tuples += first;
		piece->tuple_count = end - first;
	}
	return piece;
}

static int file_piece(struct filing *filing, struct arena *arena, const struct filed *piece)
{
	struct filed *all =
		arena_grow(arena, filing->all, filing->count, FILED_MAX, sizeof(*filing->all));

	if (!all || !piece->reading)
		return -ENOMEM;
	filing->all = all;
	all[filing->count] = *piece;
	all[filing->count].number = filing->count;
	filing->count++;
	return 0;
}

static int file(struct filing *filing, struct arena *arena, const struct batch *batch,
	const struct reading *reading)
{
	char id[INSTANCE_ID_SIZE];
	struct filed filed;
	int r = instance_id_write(&reading->instance, id);

	if (r < 0)
		return r;
	filed.id = arena_copy_text(arena, id, strlen(id));
	if (!filed.id)
		return -ENOMEM;
	filed.slot = (struct slot){ .host = *batch->host ? batch->host : filed.id,
		.quarter_ms = floor_divide(reading->time_ms, QUARTER_MS) * QUARTER_MS,
		.number = instance_slot(id) };
	for (size_t first = 0, end; first < reading->tuple_count && r == 0; first = end) {
		end = find_end(reading, first);
		filed.reading = take_piece(arena, reading, first, end);
		r = file_piece(filing, arena, &filed);
	}
	filing->reading_count++;
	return r;
}

static int add_row(struct writing *writing, const struct filed *filed)
{
	struct statements *statements = writing->statements;
	struct cassandra_store *store = statements->store;
	const struct buffer *bundle = &store->bundle;
	struct digest digest;
	int r = buffer_check(bundle);

	if (r == 0)
		r = digester_of(&store->digester, bundle->bytes, bundle->size, &digest);
	if (r < 0)
		return r;
	statements_add(statements, ADD_READINGS,
		(const struct cql_value[]){ statements_text(statements, filed->slot.host),
			statements_bigint(statements, filed->slot.quarter_ms),
			statements_int(statements, filed->slot.number),
			statements_bigint(statements, filed->reading->time_ms),
			statements_blob(statements, digest.bytes, DIGEST_SIZE),
			statements_blob(statements, bundle->bytes, bundle->size) },
		6, 2);
	writing->bytes += bundle->size;
	return 0;
}

/* The readings of one row, from `first` on; *ret_end is behind them. */
static int write_row(struct writing *writing, size_t first, size_t *ret_end)
{
	struct cassandra_store *store = writing->statements->store;
	const struct filing *filing = writing->filing;
	size_t end = first;
	int r = 0;

	bundle_begin(&store->bundle);
	do {
		const struct filed *filed = &filing->all[end++];

		buffer_clear(&store->scratch);
		reading_write(&store->scratch, filed->reading);
		r = buffer_check(&store->scratch);
		bundle_add(&store->bundle, filed->id, store->scratch.bytes, store->scratch.size);
	} while (r == 0 && end < filing->count && store->bundle.size < BUNDLE_BYTES &&
		 compare_rows(&filing->all[first], &filing->all[end]) == 0);
	*ret_end = end;
	return r == 0 ? add_row(writing, &filing->all[first]) : r;
}

/* One batch of rows of one partition. */
static int write_rows(struct writing *writing, size_t first, size_t *ret_end)
{
	const struct filing *filing = writing->filing;
	uint64_t begin = writing->bytes;
	size_t rows = 0, end = first;
	int r;

	do {
		r = write_row(writing, end, &end);
		rows++;
	} while (r == 0 && end < filing->count && rows < ROWS_AT_ONCE &&
		 writing->bytes - begin < BATCH_BYTES &&
		 compare_partitions(&filing->all[first], &filing->all[end]) == 0);
	if (r == 0 && rows > 1)
		statements_join(writing->statements, rows);
	*ret_end = end;
	return r;
}

int filing_make(struct arena *arena, const struct batch *batch, struct filing *ret_filing)
{
	struct filing filing = { .count = 0 };
	int r = 0;

	for (size_t i = 0; i < batch->reading_count && r == 0; i++)
		if (batch->readings[i].tuple_count)
			r = file(&filing, arena, batch, &batch->readings[i]);
	*ret_filing = filing;
	return r;
}

int filing_write(struct filing *filing, struct statements *statements, uint64_t *bytes)
{
	struct writing writing = { .statements = statements, .filing = filing };
	int r = 0;

	if (filing->count)
		qsort(filing->all, filing->count, sizeof(*filing->all), compare_filed);
	for (size_t i = 0; i < filing->count && r == 0;)
		r = write_rows(&writing, i, &i);
	*bytes += writing.bytes;
	return r;
}
