/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Fills an embedded store with a past of many instances, as a server would have: what workers of 30
 * instances each send, sealed as time goes by. Deterministic.
 *
 * usage: report-fill DIRECTORY INSTANCES FIRST_MS DAYS INTERVAL_SECONDS */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/batch.h"
#include "store/store.h"

enum { GUESTS_OF_A_HOST = 30, COUNTERS = 9, PROJECTS = 20, SEAL_AFTER_MS = 20 * 60 * 1000 };

struct guest {
	struct uuid uuid;
	char name[32], project[64], host[32], epoch[96];
	uint64_t random; /* xorshift */
	int64_t counters[COUNTERS];
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void guest_init(struct guest *guest, size_t number)
{
	*guest = (struct guest){ .random = 88172645463325252u + number * 7919 };
	for (size_t i = 0; i < sizeof(guest->uuid.bytes); i++)
		guest->uuid.bytes[i] = (uint8_t)next_random(&guest->random);
	snprintf(guest->name, sizeof(guest->name), "instance-%08zx", number + 1);
	snprintf(guest->project, sizeof(guest->project), "project-%02zu", number % PROJECTS);
	snprintf(guest->host, sizeof(guest->host), "compute%03zu", number / GUESTS_OF_A_HOST);
	snprintf(guest->epoch, sizeof(guest->epoch), "%s/%s/1", guest->host, guest->name);
}

/* Four in ten are idle; the others use up to what their number says. */
static void guest_live(struct guest *guest, size_t number)
{
	for (size_t i = 0; i < COUNTERS; i++) {
		int64_t most =
			number % 10 < 4 ? 1000 : INT64_C(1000000) * (1 + (int64_t)number % 50);

		guest->counters[i] += (int64_t)(next_random(&guest->random) % (uint64_t)most);
	}
}

static int add_tuple(struct batch *batch, struct reading *reading, enum metric_group group,
	const char *parameter, const int64_t *values, const uint8_t *columns, size_t count)
{
	struct tuple *tuple = batch_add_tuple(batch, reading);

	if (!tuple)
		return -1;
	tuple->group = group;
	tuple->parameter = parameter;
	tuple->life = "";
	for (size_t i = 0; i < count; i++)
		tuple_set(tuple, columns[i], values[i]);
	return 0;
}

static int add_reading(
	struct batch *batch, const struct guest *guest, int64_t start_ms, int64_t time_ms)
{
	static const uint8_t state_columns[] = { 0, 1 }, cpu_columns[] = { 0 },
			     nic_columns[] = { 0, 1, 2, 5 }, blk_columns[] = { 0, 1, 2, 4 };
	static const int64_t running[] = { 1, 1 };
	struct reading *reading = batch_add_reading(batch);

	if (!reading)
		return -1;
	reading->instance = (struct instance_key){ .has_uuid = true, .uuid = guest->uuid };
	reading->time_ms = time_ms;
	reading->epoch = guest->epoch;
	reading->start_ms = start_ms;
	return add_tuple(batch, reading, METRIC_GROUP_STATE, "total", running, state_columns, 2) ||
	       add_tuple(batch, reading, METRIC_GROUP_CPU, "total", guest->counters, cpu_columns,
		       1) ||
	       add_tuple(batch, reading, METRIC_GROUP_NIC, "tap0", guest->counters + 1, nic_columns,
		       4) ||
	       add_tuple(batch, reading, METRIC_GROUP_BLK, "vda", guest->counters + 5, blk_columns,
		       4);
}

static int add_info(struct batch *batch, const struct guest *guest, int64_t since_ms)
{
	struct instance_info *info = batch_add_info(batch);

	if (!info)
		return -1;
	info->uuid = guest->uuid;
	info->since_ms = since_ms;
	info->name = guest->name;
	info->display_name = guest->name;
	info->host = guest->host;
	info->project_id = info->project_name = guest->project;
	info->flavor_id = info->flavor_name = "m1.small";
	info->vcpus = 1;
	info->memory_mib = 2048;
	info->disk_gib = 20;
	return 0;
}

/* One round of a host. */
static struct batch *make_batch(
	struct guest *guests, size_t first, size_t count, int64_t start_ms, int64_t time_ms)
{
	struct batch *batch;

	if (batch_new(&batch) < 0)
		return NULL;
	batch->host = guests[first].host;
	for (size_t i = first; i < first + count; i++) {
		guest_live(&guests[i], i);
		if (add_reading(batch, &guests[i], start_ms, time_ms) < 0 ||
			(time_ms == start_ms && add_info(batch, &guests[i], start_ms) < 0))
			return batch_free(batch);
	}
	return batch;
}

static int append_round(struct store *store, struct guest *guests, size_t count, int64_t start_ms,
	int64_t time_ms, uint64_t sequence, struct error *err)
{
	size_t hosts = (count + GUESTS_OF_A_HOST - 1) / GUESTS_OF_A_HOST;
	struct batch **batches = calloc(hosts, sizeof(struct batch *));
	struct store_source *sources = calloc(hosts, sizeof(*sources));
	struct store_tally tally = { 0 };
	int r = batches && sources ? 0 : -1;

	for (size_t i = 0; r == 0 && i < hosts; i++) {
		size_t first = i * GUESTS_OF_A_HOST;
		size_t some = MIN_OF(count - first, (size_t)GUESTS_OF_A_HOST);

		batches[i] = make_batch(guests, first, some, start_ms, time_ms);
		sources[i] = (struct store_source){ guests[first].host, "spool", guests[first].host,
			sequence, start_ms, time_ms, time_ms };
		r = batches[i] ? 0 : -1;
	}
	if (r == 0)
		r = store_append(store,
			&(struct store_commit){ .batches = (const struct batch *const *)batches,
				.batch_count = hosts,
				.sources = sources,
				.source_count = hosts,
				.now_ms = time_ms },
			&tally, err);
	for (size_t i = 0; batches && i < hosts; i++)
		batch_free(batches[i]);
	free(batches);
	free(sources);
	return r;
}

static int fill(struct store *store, struct guest *guests, size_t count, int64_t start_ms,
	int64_t end_ms, int64_t interval_ms, struct error *err)
{
	bool more;
	int r = 0;

	for (int64_t time_ms = start_ms; time_ms <= end_ms && r == 0; time_ms += interval_ms) {
		r = append_round(store, guests, count, start_ms, time_ms,
			(uint64_t)((time_ms - start_ms) / interval_ms) + 1, err);
		if (r == 0)
			r = store_maintain(store, time_ms, INT64_MIN, &more, err);
	}
	for (more = true; r == 0 && more;)
		r = store_maintain(store, end_ms + 4 * SEAL_AFTER_MS, INT64_MIN, &more, err);
	return r;
}

int main(int argc, char **argv)
{
	const struct sqlite_store_options options = { .data_dir = argc > 1 ? argv[1] : "",
		.seal_after_ms = SEAL_AFTER_MS };
	struct store *store = NULL;
	struct error err = { 0 };
	struct guest *guests;
	int64_t start_ms;
	size_t count;
	int r;

	if (argc != 6) {
		fprintf(stderr,
			"usage: report-fill DIRECTORY INSTANCES FIRST_MS DAYS INTERVAL_SECONDS\n");
		return 2;
	}
	count = (size_t)atoll(argv[2]);
	start_ms = atoll(argv[3]);
	guests = calloc(count, sizeof(*guests));
	for (size_t i = 0; guests && i < count; i++)
		guest_init(&guests[i], i);
	r = sqlite_store_new(&options, &store, &err);
	if (r == 0 && guests)
		r = fill(store, guests, count, start_ms,
			start_ms + atoll(argv[4]) * INT64_C(86400000), atoll(argv[5]) * 1000, &err);
	store_free(store);
	free(guests);
	if (r != 0)
		fprintf(stderr, "report-fill: %s\n", error_text(&err, r));
	return r != 0;
}
