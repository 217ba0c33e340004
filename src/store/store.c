/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "store/store.h"

#include <errno.h>
#include <string.h>

struct store *store_free(struct store *store)
{
	if (store)
		store->ops->close(store);
	return NULL;
}

static bool name_with_host_is(const char *wanted, const char *name, const char *host)
{
	size_t length = strlen(name);

	return strncmp(wanted, name, length) == 0 &&
	       (wanted[length] == '\0' ||
		       (wanted[length] == '@' && strcmp(wanted + length + 1, host) == 0));
}

static bool is_named(const struct store_instance *instance, const char *name)
{
	if (!instance->key.has_uuid) {
		const char *own = instance->key.name, *at = strchr(own, '@');

		return strcmp(own, name) == 0 ||
		       (at && strlen(name) == (size_t)(at - own) &&
			       strncmp(own, name, (size_t)(at - own)) == 0);
	}
	for (size_t i = 0; i < instance->info_count; i++) {
		const struct instance_info *info = &instance->infos[i];

		if (info->name[0] && name_with_host_is(name, info->name, info->host))
			return true;
		if (info->display_name[0] && strcmp(info->display_name, name) == 0)
			return true;
	}
	return false;
}

bool store_instance_matches(
	const struct store_instance *instance, const struct store_filter *filter)
{
	if (filter->key && !instance_key_equal(filter->key, &instance->key))
		return false;
	if (filter->groups && !(filter->groups & instance->groups))
		return false;
	return !filter->name || is_named(instance, filter->name);
}

int store_append(struct store *store, const struct store_commit *commit,
	struct store_tally *ret_tally, struct error *err)
{
	*ret_tally = (struct store_tally){ 0 };
	return store->ops->append(store, commit, ret_tally, err);
}

int store_sources(struct store *store, const char *host, const char *worker, store_source_fn each,
	void *context, struct error *err)
{
	return store->ops->sources(store, host, worker, each, context, err);
}

int store_records(struct store *store, const char *kind, const char *prefix, store_record_fn each,
	void *context, struct error *err)
{
	return store->ops->records(store, kind, prefix, each, context, err);
}

int store_instances(struct store *store, const struct store_filter *filter, store_instance_fn each,
	void *context, struct error *err)
{
	return store->ops->instances(store, filter, each, context, err);
}

int store_scan(struct store *store, const struct store_scan *scan, store_series_fn each,
	void *context, struct error *err)
{
	return store->ops->scan(store, scan, each, context, err);
}

int store_series_copy(
	struct arena *arena, const struct store_series *from, struct store_series *ret_series)
{
	struct sample *samples = arena_take_array(arena, from->count + 1, sizeof(*samples));

	*ret_series = *from;
	ret_series->samples = samples;
	ret_series->parameter = arena_copy_text(arena, from->parameter, strlen(from->parameter));
	ret_series->epoch = arena_copy_text(arena, from->epoch, strlen(from->epoch));
	ret_series->life = arena_copy_text(arena, from->life, strlen(from->life));
	if (!samples || !ret_series->parameter || !ret_series->epoch || !ret_series->life)
		return -ENOMEM;
	memcpy(samples, from->samples, from->count * sizeof(*samples));
	return 0;
}

struct surveying {
	store_survey_fn each;
	void *context;
	size_t instance;
};

static int take_series(void *context, const struct store_series *series)
{
	const struct surveying *surveying = context;

	return surveying->each(surveying->context, surveying->instance, series);
}

int store_survey(struct store *store, const struct instance_key *instances, size_t count,
	const struct store_scan *scan, store_survey_fn each, void *context, struct error *err)
{
	struct surveying surveying = { each, context, 0 };
	struct store_scan one = *scan;
	int r = 0;

	if (store->ops->survey)
		return store->ops->survey(store, instances, count, scan, each, context, err);
	for (; surveying.instance < count && r == 0; surveying.instance++) {
		one.instance = instances[surveying.instance];
		r = store_scan(store, &one, take_series, &surveying, err);
	}
	return r;
}

int store_latest(struct store *store, const struct store_recent *recent, store_latest_fn each,
	void *context, struct error *err)
{
	return store->ops->latest(store, recent, each, context, err);
}

int store_maintain(struct store *store, int64_t now_ms, int64_t keep_from_ms, bool *ret_more,
	struct error *err)
{
	*ret_more = false;
	if (!store->ops->maintain)
		return 0;
	return store->ops->maintain(store, now_ms, keep_from_ms, ret_more, err);
}

int store_damaged(struct store *store, store_damage_fn each, void *context, struct error *err)
{
	return store->ops->damaged ? store->ops->damaged(store, each, context, err) : 0;
}

void store_interrupt(struct store *store)
{
	if (store->ops->interrupt)
		store->ops->interrupt(store);
}

void store_counters(struct store *store, store_counter_fn each, void *context)
{
	if (store->ops->counters)
		store->ops->counters(store, each, context);
}
