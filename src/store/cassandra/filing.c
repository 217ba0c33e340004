/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* A message's readings as rows: those of one time and one slot together, and the rows of a
 * partition in batches. What a row holds, and so its name, depends on the message alone. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "store/cassandra/private.h"

enum { ROWS_AT_ONCE = 1000, BATCH_BYTES = 1024 * 1024 };

/* A reading, and where it belongs. */
struct filed {
	const struct reading *reading;
	const char *id;
	struct slot slot;
};

struct filing {
	struct statements *statements;
	struct filed *all;
	size_t count;
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

	return order ? order : (one->reading > other->reading) - (one->reading < other->reading);
}

static int file(struct filing *filing, const struct batch *batch, const struct reading *reading)
{
	struct arena *arena = &filing->statements->arena;
	struct filed *filed = &filing->all[filing->count];
	char id[INSTANCE_ID_SIZE];
	int r = instance_id_write(&reading->instance, id);

	if (r < 0)
		return r;
	filed->reading = reading;
	filed->id = arena_copy_text(arena, id, strlen(id));
	if (!filed->id)
		return -ENOMEM;
	filed->slot = (struct slot){ .host = place_host(batch, filed->id),
		.quarter_ms = floor_divide(reading->time_ms, QUARTER_MS) * QUARTER_MS,
		.number = instance_slot(id) };
	filing->count++;
	return 0;
}

static int add_row(struct filing *filing, const struct filed *filed)
{
	struct statements *statements = filing->statements;
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
	filing->bytes += bundle->size;
	return 0;
}

/* The readings of one row, from `first` on; *ret_end is behind them. */
static int write_row(struct filing *filing, size_t first, size_t *ret_end)
{
	struct cassandra_store *store = filing->statements->store;
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
	return r == 0 ? add_row(filing, &filing->all[first]) : r;
}

/* One batch of rows of one partition. */
static int write_rows(struct filing *filing, size_t first, size_t *ret_end)
{
	uint64_t begin = filing->bytes;
	size_t rows = 0, end = first;
	int r;

	do {
		r = write_row(filing, end, &end);
		rows++;
	} while (r == 0 && end < filing->count && rows < ROWS_AT_ONCE &&
		 filing->bytes - begin < BATCH_BYTES &&
		 compare_partitions(&filing->all[first], &filing->all[end]) == 0);
	if (r == 0 && rows > 1)
		statements_join(filing->statements, rows);
	*ret_end = end;
	return r;
}

int filing_add(struct statements *statements, const struct batch *batch, uint64_t *bytes)
{
	struct filing filing = { .statements = statements };
	int r = 0;

	filing.all =
		arena_take_array(&statements->arena, batch->reading_count + 1, sizeof(*filing.all));
	if (!filing.all)
		return -ENOMEM;
	for (size_t i = 0; i < batch->reading_count && r == 0; i++)
		if (batch->readings[i].tuple_count)
			r = file(&filing, batch, &batch->readings[i]);
	if (filing.count)
		qsort(filing.all, filing.count, sizeof(*filing.all), compare_filed);
	for (size_t i = 0; i < filing.count && r == 0;)
		r = write_rows(&filing, i, &i);
	*bytes += filing.bytes;
	return r;
}
