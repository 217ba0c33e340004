/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "worker/board.h"

#include <czmq.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* One block of memory, its texts behind it. */
struct known_info {
	struct instance_info info;
	size_t size;
	struct instance_port ports[];
};

struct item {
	struct board_instance instance; /* first: what others see of it */
	struct known_info *info;
	char epoch[EPOCH_TEXT_MAX + 1];
	uint32_t segment;
	int64_t time_ms; /* of the last reading */
	uint64_t round;  /* in which it was read last */
};

struct board {
	pthread_mutex_t lock;
	const struct clock *clock;
	zhashx_t *items; /* UUID -> struct item */
	size_t bytes;
	uint64_t round; /* the present one; the first is 1 */
	int64_t round_ended_ms;
	uint64_t left_out;
};

int board_new(const struct clock *clock, struct board **ret_board)
{
	struct board *board = calloc(1, sizeof(*board));

	if (!board)
		return -ENOMEM;
	board->clock = clock;
	board->items = zhashx_new();
	board->round = 1;
	pthread_mutex_init(&board->lock, NULL);
	*ret_board = board;
	return 0;
}

/* Memory within the maximum. */
static void *take_memory(struct board *board, size_t size)
{
	void *memory = size <= BOARD_BYTES_MAX - board->bytes ? calloc(1, size) : NULL;

	if (memory)
		board->bytes += size;
	else
		board->left_out++;
	return memory;
}

static void give_back(struct board *board, void *memory, size_t size)
{
	if (memory)
		board->bytes -= size;
	free(memory);
}

static void drop_part(struct board *board, struct item *item, unsigned int group)
{
	struct board_part *part = item->instance.parts[group];

	give_back(board, part, part ? part->size : 0);
	item->instance.parts[group] = NULL;
}

static void drop_info(struct board *board, struct item *item)
{
	give_back(board, item->info, item->info ? item->info->size : 0);
	item->info = NULL;
	item->instance.info = NULL;
	item->instance.name = item->instance.uuid_text;
}

static void drop_parts(struct board *board, struct item *item)
{
	for (unsigned int i = 0; i < _METRIC_GROUP_COUNT; i++)
		drop_part(board, item, i);
}

static void drop_item(struct board *board, struct item *item)
{
	drop_parts(board, item);
	drop_info(board, item);
	give_back(board, item, sizeof(*item));
}

struct board *board_free(struct board *board)
{
	if (!board)
		return NULL;
	for (struct item *item = zhashx_first(board->items); item; item = zhashx_next(board->items))
		drop_item(board, item);
	zhashx_destroy(&board->items);
	pthread_mutex_destroy(&board->lock);
	free(board);
	return NULL;
}

static struct item *item_of(struct board *board, const struct uuid *uuid)
{
	char text[UUID_TEXT_SIZE];
	struct item *item = zhashx_lookup(board->items, uuid_format(uuid, text));

	if (item)
		return item;
	item = take_memory(board, sizeof(*item));
	if (!item)
		return NULL;
	item->instance.uuid = *uuid;
	memcpy(item->instance.uuid_text, text, sizeof(text));
	item->instance.name = item->instance.uuid_text;
	item->round = board->round;
	zhashx_insert(board->items, text, item);
	return item;
}

/* Is `i` the last tuple of its group and parameter? */
static bool is_last_of_its_name(const struct reading *reading, size_t i)
{
	const struct tuple *tuple = &reading->tuples[i];

	for (size_t k = i + 1; k < reading->tuple_count; k++)
		if (reading->tuples[k].group == tuple->group &&
			strcmp(reading->tuples[k].parameter, tuple->parameter) == 0)
			return false;
	return true;
}

static char *copy_text(char **to, const char *text)
{
	char *copy = memcpy(*to, text, strlen(text) + 1);

	*to += strlen(text) + 1;
	return copy;
}

static void take_part(
	struct board *board, struct item *item, const struct reading *reading, unsigned int group)
{
	size_t count = 0, size = sizeof(struct board_part);
	struct board_part *part;
	char *texts;

	for (size_t i = 0; i < reading->tuple_count; i++)
		if (reading->tuples[i].group == group) {
			size += sizeof(struct tuple) + strlen(reading->tuples[i].parameter) + 1;
			count++;
		}
	if (!count)
		return;
	drop_part(board, item, group);
	part = take_memory(board, size);
	if (!part)
		return;
	part->taken_ms = clock_monotonic_ms(board->clock);
	part->size = size;
	texts = (char *)&part->tuples[count];
	for (size_t i = 0; i < reading->tuple_count; i++) {
		if (reading->tuples[i].group != group || !is_last_of_its_name(reading, i))
			continue;
		part->tuples[part->count] = reading->tuples[i];
		part->tuples[part->count].parameter =
			copy_text(&texts, reading->tuples[i].parameter);
		part->tuples[part->count++].life = "";
	}
	item->instance.parts[group] = part;
}

static void take_reading(struct board *board, const struct reading *reading)
{
	struct item *item =
		reading->instance.has_uuid ? item_of(board, &reading->instance.uuid) : NULL;
	bool is_other;

	if (!item)
		return;
	is_other = strcmp(item->epoch, reading->epoch) != 0;
	if (is_other && reading->segment == item->segment && reading->time_ms < item->time_ms)
		return; /* a late answer about the run before */
	if (is_other)
		drop_parts(board, item);
	snprintf(item->epoch, sizeof(item->epoch), "%s", reading->epoch);
	item->segment = reading->segment;
	item->time_ms = reading->time_ms;
	item->round = board->round;
	for (unsigned int i = 0; i < _METRIC_GROUP_COUNT; i++)
		take_part(board, item, reading, i);
}

static size_t size_of_info(const struct instance_info *info)
{
	size_t size = sizeof(struct known_info) + info->port_count * sizeof(struct instance_port);

	for (size_t i = 0; i < instance_field_count; i++)
		size += strlen(*instance_field_at((struct instance_info *)info, i)) + 1;
	for (size_t i = 0; i < info->port_count; i++)
		size += strlen(info->ports[i].nic) + strlen(info->ports[i].mac) + 2;
	return size;
}

static void copy_info(struct known_info *known, const struct instance_info *from)
{
	char *texts = (char *)&known->ports[from->port_count];
	struct instance_info *info = &known->info;

	*info = *from;
	for (size_t i = 0; i < instance_field_count; i++)
		*instance_field_at(info, i) = copy_text(&texts, *instance_field_at(info, i));
	for (size_t i = 0; i < from->port_count; i++)
		known->ports[i] =
			(struct instance_port){ .nic = copy_text(&texts, from->ports[i].nic),
				.mac = copy_text(&texts, from->ports[i].mac),
				.port_id = "" };
	info->ports = known->ports;
}

static void take_info(struct board *board, const struct instance_info *info)
{
	size_t size = size_of_info(info);
	struct item *item = item_of(board, &info->uuid);

	if (!item)
		return;
	drop_info(board, item);
	item->info = take_memory(board, size);
	if (!item->info)
		return;
	item->info->size = size;
	copy_info(item->info, info);
	item->instance.info = &item->info->info;
	if (*info->name)
		item->instance.name = item->info->info.name;
}

/* One that was read in none of the last two rounds is gone: of two that end one after the other,
 * the later may be the late answer to the earlier one's question only. */
static void end_round(struct board *board)
{
	zlistx_t *keys = zhashx_keys(board->items);

	for (const char *key = zlistx_first(keys); key; key = zlistx_next(keys)) {
		struct item *item = zhashx_lookup(board->items, key);

		if (item->round + 1 >= board->round)
			continue;
		zhashx_delete(board->items, key);
		drop_item(board, item);
	}
	zlistx_destroy(&keys);
	board->round++;
	board->round_ended_ms = clock_monotonic_ms(board->clock);
}

void board_take(struct board *board, const struct batch *batch)
{
	pthread_mutex_lock(&board->lock);
	for (size_t i = 0; i < batch->reading_count; i++)
		take_reading(board, &batch->readings[i]);
	for (size_t i = 0; i < batch->info_count; i++)
		take_info(board, &batch->infos[i]);
	if (batch->until_ms)
		end_round(board);
	pthread_mutex_unlock(&board->lock);
}

/* By name, the one that was read last first. */
static int compare_instances(const void *a, const void *b)
{
	const struct board_instance *one = *(const struct board_instance *const *)a;
	const struct board_instance *other = *(const struct board_instance *const *)b;
	int64_t one_ms = ((const struct item *)one)->time_ms;
	int64_t other_ms = ((const struct item *)other)->time_ms;
	int r = strcmp(one->name, other->name);

	return r ? r : (one_ms < other_ms) - (one_ms > other_ms);
}

/* A domain that was undefined may still be there when another one has its name. */
static size_t leave_one_of_each_name(const struct board_instance **instances, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (!kept || strcmp(instances[kept - 1]->name, instances[i]->name) != 0)
			instances[kept++] = instances[i];
	return kept;
}

void board_look(struct board *board, void (*look)(void *context, const struct board_view *view),
	void *context)
{
	const struct board_instance **instances;
	size_t count = 0;

	pthread_mutex_lock(&board->lock);
	instances = calloc(zhashx_size(board->items) + 1, sizeof(*instances));
	for (struct item *item = instances ? zhashx_first(board->items) : NULL; item;
		item = zhashx_next(board->items))
		instances[count++] = &item->instance;
	if (count)
		qsort(instances, count, sizeof(*instances), compare_instances);
	count = leave_one_of_each_name(instances, count);
	look(context, &(struct board_view){ instances, count, board->round - 1,
			      board->round_ended_ms, board->left_out });
	pthread_mutex_unlock(&board->lock);
	free(instances);
}
