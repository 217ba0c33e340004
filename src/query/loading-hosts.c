/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The hosts of a timeline: how far each one told, and what of it is lost. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "query/loading.h"
#include "store/gaps.h"

enum { HOSTS_ROOM_FIRST = 64 };

/* Finding by name: a table of at least twice as many places as hosts. A host stands at the place of
 * its name's hash, or at the next one that was free. */

static size_t name_size(const char *epoch)
{
	return strcspn(epoch, "/");
}

bool timeline_is_host_of(const char *host, const char *epoch)
{
	size_t size = name_size(epoch);

	return strncmp(host, epoch, size) == 0 && host[size] == '\0';
}

static struct timeline_host **place_of(const struct timeline *timeline, const char *epoch)
{
	size_t place = text_hash(TEXT_HASH_SEED, epoch, name_size(epoch));

	for (;; place++) {
		struct timeline_host **at = &timeline->by_name[place & (timeline->places - 1)];

		if (!*at || timeline_is_host_of((*at)->name, epoch))
			return at;
	}
}

static bool make_places(struct timeline *timeline)
{
	size_t places = timeline->places ? 2 * timeline->places : HOSTS_ROOM_FIRST;

	if (2 * (timeline->host_count + 1) <= timeline->places)
		return true;
	timeline->by_name =
		arena_take_array(&timeline->arena, places, sizeof(struct timeline_host *));
	timeline->places = timeline->by_name ? places : 0;
	for (size_t i = 0; timeline->by_name && i < timeline->host_count; i++)
		*place_of(timeline, timeline->hosts[i]->name) = timeline->hosts[i];
	return timeline->by_name != NULL;
}

static struct timeline_host *add_host(struct timeline *timeline, const char *epoch)
{
	struct arena *arena = &timeline->arena;
	struct timeline_host *host = arena_take(arena, sizeof(*host));
	struct timeline_host **hosts = arena_grow(arena, timeline->hosts, timeline->host_count,
		TIMELINE_HOSTS_MAX, sizeof(struct timeline_host *));

	if (!host || !hosts)
		return NULL;
	*host = (struct timeline_host){ .name = arena_copy_text(arena, epoch, name_size(epoch)),
		.first_ms = TIME_NEVER,
		.told_ms = TIME_NEVER,
		.frontier_ms = TIME_NEVER,
		.silent_ms = TIME_NEVER,
		.retired_ms = TIME_OPEN };
	if (!host->name)
		return NULL;
	timeline->hosts = hosts;
	hosts[timeline->host_count++] = host;
	return host;
}

struct timeline_host *loading_host(struct timeline *timeline, const char *epoch)
{
	struct timeline_host **place;

	if (!make_places(timeline))
		return NULL;
	place = place_of(timeline, epoch);
	if (!*place)
		*place = add_host(timeline, epoch);
	return *place;
}

/* What hosts told. */

static bool add_told(struct arena *arena, struct timeline_host *host, const struct told *told)
{
	struct told *all =
		arena_grow(arena, host->told, host->told_count, TIMELINE_SPOOLS_MAX, sizeof(*all));

	if (!all)
		return false;
	host->told = all;
	all[host->told_count++] = *told;
	return true;
}

static int take_source(void *context, const struct store_source *source)
{
	const struct told told = { source->first_ms, source->until_ms, source->heard_ms };
	struct loading *loading = context;
	struct timeline_host *host;
	int64_t frontier_ms = MIN_OF(source->until_ms, source->heard_ms);

	if (!*source->host)
		return 0;
	host = loading_host(loading->timeline, source->host);
	if (!host)
		return loading->r = STORE_TOO_MUCH;
	if (source->first_ms && (host->first_ms == TIME_NEVER || source->first_ms < host->first_ms))
		host->first_ms = source->first_ms;
	if (!source->until_ms)
		return 0;
	if (!add_told(&loading->timeline->arena, host, &told))
		return loading->r = STORE_TOO_MUCH;
	host->told_ms = MAX_OF(host->told_ms, source->until_ms);
	host->frontier_ms = MAX_OF(host->frontier_ms, frontier_ms);
	host->silent_ms = host->frontier_ms;
	return 0;
}

static int take_retirement(void *context, const struct store_record *record)
{
	struct loading *loading = context;
	struct timeline_host *host = loading_host(loading->timeline, record->key);
	int64_t retired_ms;
	char text[24];

	if (!host || record->size >= sizeof(text))
		return 0;
	memcpy(text, record->value, record->size);
	text[record->size] = '\0';
	if (text_to_i64(text, &retired_ms) == 0 && host->frontier_ms <= retired_ms)
		host->retired_ms = retired_ms; /* else its worker told more since: it is back */
	return 0;
}

int loading_read_hosts(struct store *store, struct loading *loading, struct error *err)
{
	int r = store_sources(store, NULL, NULL, take_source, loading, err);

	if (r == 0)
		r = store_records(store, RETIRED_KIND, "", take_retirement, loading, err);
	return r == STORE_STOPPED ? loading->r : r;
}

/* Gaps. */

static bool is_of_instance(const struct gap *gap, const struct identity *identity)
{
	if (!gap->has_instance)
		return true;
	for (size_t i = 0; i < identity->key_count; i++)
		if (identity->keys[i].has_uuid &&
			memcmp(&identity->keys[i].uuid, &gap->instance, sizeof(gap->instance)) == 0)
			return true;
	return false;
}

static bool add_gap(struct arena *arena, struct timeline_host *host, const struct gap *gap)
{
	struct gap *gaps =
		arena_grow(arena, host->gaps, host->gap_count, TIMELINE_GAPS_MAX, sizeof(*gaps));

	if (!gaps)
		return false;
	host->gaps = gaps;
	gaps[host->gap_count] = *gap;
	gaps[host->gap_count].reason = arena_copy_text(arena, gap->reason, strlen(gap->reason));
	return gaps[host->gap_count++].reason != NULL;
}

static int take_gap(void *context, const struct store_record *record)
{
	struct loading *loading = context;
	struct gap gap;

	if (gap_is_withdrawn(record) || gap_of_key(record->key, &gap) < 0 || gap_is_open(&gap) ||
		!is_of_instance(&gap, loading->identity))
		return 0;
	loading->r = add_gap(&loading->timeline->arena, loading->host, &gap) ? 0 : STORE_TOO_MUCH;
	return loading->r;
}

static int read_records(
	struct store *store, struct loading *loading, struct timeline_host *host, struct error *err)
{
	char prefix[GAP_KEY_SIZE];
	int r;

	loading->host = host;
	r = store_records(
		store, GAP_KIND, gap_key_of_host(host->name, prefix), take_gap, loading, err);
	return r == STORE_STOPPED ? loading->r : r;
}

/* What a retired host did not tell until its end is a gap, and nothing more is to come of it. */
static int retire(struct timeline *timeline, struct timeline_host *host)
{
	const struct gap gap = {
		.from_ms = host->frontier_ms, .to_ms = host->retired_ms, .reason = "retired"
	};

	if (host->retired_ms == TIME_OPEN)
		return 0;
	if (gap.from_ms != TIME_NEVER && gap.from_ms < gap.to_ms &&
		!add_gap(&timeline->arena, host, &gap))
		return -ENOMEM;
	host->told_ms = host->frontier_ms = TIME_OPEN;
	return 0;
}

static int compare_told(const void *a, const void *b)
{
	const struct told *left = a, *right = b;

	return (left->first_ms > right->first_ms) - (left->first_ms < right->first_ms);
}

/* The older spool was not lost if it went on after the newer one's end: that one was only in memory
 * while the disk could not be written. */
static bool went_on(const struct told *older, const struct told *newer)
{
	return older->until_ms > newer->first_ms && older->heard_ms > newer->heard_ms;
}

/* What an older spool still held when a new one came in its place did not come, or it would have
 * told more. */
static int add_lost_spools(struct arena *arena, struct timeline_host *host)
{
	if (host->told_count > 1)
		qsort(host->told, host->told_count, sizeof(*host->told), compare_told);
	for (size_t i = 1; i < host->told_count; i++) {
		const struct told *before = &host->told[i - 1], *told = &host->told[i];
		const struct gap gap = { .from_ms = MIN_OF(before->until_ms, told->first_ms),
			.to_ms = MAX_OF(before->until_ms, told->first_ms),
			.reason = "spool-lost" };

		if (!went_on(before, told) && !add_gap(arena, host, &gap))
			return -ENOMEM;
	}
	return 0;
}

int loading_read_gaps(
	struct store *store, struct loading *loading, struct timeline_host *host, struct error *err)
{
	int r = read_records(store, loading, host, err);

	host->is_mine = true;
	return r == 0 ? add_lost_spools(&loading->timeline->arena, host) : r;
}

int loading_read_my_gaps(struct store *store, struct loading *loading, struct error *err)
{
	struct timeline *timeline = loading->timeline;
	int r = 0;

	for (size_t i = 0; i < timeline->run_count; i++)
		timeline->runs[i].host->is_mine = true;
	for (size_t i = 0; i < timeline->off_count; i++)
		timeline->offs[i].host->is_mine = true;
	for (size_t i = 0; i < timeline->host_count && r == 0; i++) {
		struct timeline_host *host = timeline->hosts[i];

		if (host->is_mine)
			r = loading_read_gaps(store, loading, host, err);
		if (r == 0)
			r = retire(timeline, host);
	}
	return r;
}
