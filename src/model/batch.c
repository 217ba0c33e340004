/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "model/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int batch_new(struct batch **ret_batch)
{
	struct batch *batch = calloc(1, sizeof(*batch));

	if (!batch)
		return -ENOMEM;
	arena_init(&batch->arena, BATCH_MEMORY_MAX);
	batch->host = "";
	*ret_batch = batch;
	return 0;
}

struct batch *batch_free(struct batch *batch)
{
	if (!batch)
		return NULL;
	arena_deinit(&batch->arena);
	free(batch);
	return NULL;
}

/* Arrays grow by doubling whenever their count reaches a power of two; what they leave behind stays
 * in the arena until the batch dies. */
static void *grow(struct arena *arena, void *array, size_t count, size_t size)
{
	void *larger;

	if (count & (count - 1))
		return array;
	larger = arena_take_array(arena, count ? count * 2 : 1, size);
	if (larger && count)
		memcpy(larger, array, count * size);
	return larger;
}

struct reading *batch_add_reading(struct batch *batch)
{
	struct reading *readings =
		grow(&batch->arena, batch->readings, batch->reading_count, sizeof(*readings));

	if (!readings)
		return NULL;
	batch->readings = readings;
	readings[batch->reading_count] =
		(struct reading){ .epoch = "", .start_ms = EPOCH_START_UNKNOWN };
	return &readings[batch->reading_count++];
}

struct instance_info *batch_add_info(struct batch *batch)
{
	struct instance_info *infos = grow(&batch->arena, batch->infos, batch->info_count,
				     sizeof(*infos)),
			     *info;

	if (!infos)
		return NULL;
	batch->infos = infos;
	info = &infos[batch->info_count++];
	*info = (struct instance_info){ .vcpus = -1, .memory_mib = -1, .disk_gib = -1 };
	for (size_t i = 0; i < instance_field_count; i++)
		*instance_field_at(info, i) = "";
	return info;
}

struct gap *batch_add_gap(struct batch *batch)
{
	struct gap *gaps = grow(&batch->arena, batch->gaps, batch->gap_count, sizeof(*gaps));

	if (!gaps)
		return NULL;
	batch->gaps = gaps;
	gaps[batch->gap_count] = (struct gap){ .reason = "" };
	return &gaps[batch->gap_count++];
}

struct tuple *batch_add_tuple(struct batch *batch, struct reading *reading)
{
	struct tuple *tuples = grow(
			     &batch->arena, reading->tuples, reading->tuple_count, sizeof(*tuples)),
		     *tuple;

	if (!tuples)
		return NULL;
	reading->tuples = tuples;
	tuple = &tuples[reading->tuple_count++];
	*tuple = (struct tuple){ .parameter = "", .life = "" };
	return tuple;
}

const char *batch_text(struct batch *batch, const char *text)
{
	return arena_copy_text(&batch->arena, text, strlen(text));
}

size_t batch_sample_count(const struct batch *batch)
{
	size_t count = 0;

	for (size_t i = 0; i < batch->reading_count; i++)
		for (size_t k = 0; k < batch->readings[i].tuple_count; k++)
			count += (size_t)__builtin_popcount(batch->readings[i].tuples[k].present);
	return count;
}
