/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "worker/latest.h"

#include <czmq.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

enum { KEY_MAX = 4096 };

struct latest {
	zhashx_t *items;
	struct buffer key;
	uint64_t round;
};

static void destroy_item(void **item)
{
	free(*item);
	*item = NULL;
}

int latest_new(struct latest **ret_latest)
{
	struct latest *latest = calloc(1, sizeof(*latest));

	if (!latest)
		return -ENOMEM;
	latest->items = zhashx_new();
	zhashx_set_destructor(latest->items, destroy_item);
	buffer_init(&latest->key, KEY_MAX);
	latest->round = 1;
	*ret_latest = latest;
	return 0;
}

struct latest *latest_free(struct latest *latest)
{
	if (latest) {
		zhashx_destroy(&latest->items);
		buffer_deinit(&latest->key);
	}
	free(latest);
	return NULL;
}

static void write_epoch(struct buffer *to, const struct uuid *instance, const char *epoch)
{
	char text[UUID_TEXT_SIZE];

	buffer_clear(to);
	buffer_print(to, "%s\n%s\n", uuid_format(instance, text), epoch);
}

static const char *end_key(struct buffer *key)
{
	buffer_write_u8(key, 0);
	return buffer_check(key) == 0 ? (const char *)key->bytes : NULL;
}

/* NULL: it has no key, and is not kept. */
static const char *key_of(
	struct latest *latest, const struct reading *reading, const struct tuple *tuple)
{
	if (!reading->instance.has_uuid)
		return NULL;
	write_epoch(&latest->key, &reading->instance.uuid, reading->epoch);
	buffer_print(&latest->key, "%d\n%s\n%s", (int)tuple->group, tuple->parameter, tuple->life);
	return end_key(&latest->key);
}

struct latest_item *latest_find(
	struct latest *latest, const struct reading *reading, const struct tuple *tuple)
{
	const char *key = key_of(latest, reading, tuple);

	return key ? zhashx_lookup(latest->items, key) : NULL;
}

/* One block of memory, its texts behind it. */
static struct latest_item *new_item(const struct reading *reading, const struct tuple *tuple)
{
	size_t epoch = strlen(reading->epoch) + 1, parameter = strlen(tuple->parameter) + 1,
	       life = strlen(tuple->life) + 1;
	struct latest_item *item = malloc(sizeof(*item) + epoch + parameter + life);
	char *texts = (char *)(item + 1);

	if (!item)
		return NULL;
	*item = (struct latest_item){ .instance = reading->instance.uuid, .tuple = *tuple };
	item->epoch = memcpy(texts, reading->epoch, epoch);
	item->tuple.parameter = memcpy(texts + epoch, tuple->parameter, parameter);
	item->tuple.life = memcpy(texts + epoch + parameter, tuple->life, life);
	return item;
}

/* What a reading leaves out keeps its last value. */
static void take_values(struct tuple *to, const struct tuple *from)
{
	for (unsigned int i = 0; i < METRIC_COLUMNS_MAX; i++)
		if (tuple_has(from, i))
			tuple_set(to, i, from->values[i]);
}

void latest_keep(struct latest *latest, const struct reading *reading, const struct tuple *tuple,
	int64_t read_ms, uint64_t sequence)
{
	const char *key = key_of(latest, reading, tuple);
	struct latest_item *item = key ? zhashx_lookup(latest->items, key) : NULL;

	if (!item && key && zhashx_size(latest->items) < LATEST_MAX) {
		item = new_item(reading, tuple);
		if (item && zhashx_insert(latest->items, key, item) < 0) {
			free(item);
			item = NULL;
		}
	}
	if (!item)
		return;
	take_values(&item->tuple, tuple);
	item->segment = reading->segment;
	item->read_ms = read_ms;
	item->sequence = sequence;
	item->round = latest->round;
	item->is_gone = false;
}

static void delete_older(struct latest *latest, int64_t before_ms)
{
	zlistx_t *keys = zhashx_keys(latest->items);

	for (const char *key = zlistx_first(keys); key; key = zlistx_next(keys)) {
		const struct latest_item *item = zhashx_lookup(latest->items, key);

		if (item->read_ms < before_ms)
			zhashx_delete(latest->items, key);
	}
	zlistx_destroy(&keys);
}

void latest_end_round(struct latest *latest, int64_t before_ms,
	void (*gone)(void *context, const struct latest_item *item), void *context)
{
	bool is_any_old = false;

	for (struct latest_item *item = zhashx_first(latest->items); item;
		item = zhashx_next(latest->items)) {
		if (!item->is_gone && item->round < latest->round) {
			item->is_gone = true;
			gone(context, item);
		}
		is_any_old = is_any_old || item->read_ms < before_ms;
	}
	if (is_any_old)
		delete_older(latest, before_ms);
	latest->round++;
}

/* The epochs as keys of a set. */
static zhashx_t *alive_epochs(struct latest *latest)
{
	zhashx_t *epochs = zhashx_new();

	for (struct latest_item *item = zhashx_first(latest->items); item;
		item = zhashx_next(latest->items)) {
		const char *key;

		if (item->round + 1 < latest->round)
			continue;
		write_epoch(&latest->key, &item->instance, item->epoch);
		key = end_key(&latest->key);
		if (key)
			zhashx_update(epochs, key, item);
	}
	return epochs;
}

/* A lookup moves the table's cursor, and `each` may look up: so the items are taken down first. */
void latest_each_alive(
	struct latest *latest, void (*each)(void *context, struct latest_item *item), void *context)
{
	zhashx_t *epochs = alive_epochs(latest);
	struct latest_item **alive = calloc(zhashx_size(latest->items) + 1, sizeof(*alive));
	size_t count = 0;

	for (struct latest_item *item = alive ? zhashx_first(latest->items) : NULL; item;
		item = zhashx_next(latest->items)) {
		const char *key;

		write_epoch(&latest->key, &item->instance, item->epoch);
		key = end_key(&latest->key);
		if (key && zhashx_lookup(epochs, key))
			alive[count++] = item;
	}
	for (size_t i = 0; i < count; i++)
		each(context, alive[i]);
	free(alive);
	zhashx_destroy(&epochs);
}
