/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* retire: a host that will not come back is closed at a time, so that what ran there is no longer
 * waited for, nor the worker. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/methods.h"
#include "base/time-text.h"
#include "query/timeline.h"
#include "store/heard.h"

enum { HOSTS_MAX = 16 };

/* The hosts of one worker, and how far it told. */
struct retiring {
	char hosts[HOSTS_MAX][INSTANCE_TEXT_MAX + 1];
	size_t count;
	int64_t until_ms;
};

static int take_source(void *context, const struct store_source *source)
{
	struct retiring *retiring = context;

	retiring->until_ms = MAX_OF(retiring->until_ms, source->until_ms);
	for (size_t i = 0; i < retiring->count; i++)
		if (strcmp(retiring->hosts[i], source->host) == 0)
			return 0;
	if (*source->host && retiring->count < HOSTS_MAX)
		snprintf(retiring->hosts[retiring->count++], sizeof(retiring->hosts[0]), "%s",
			source->host);
	return 0;
}

static int put(const struct methods *methods, const char *kind, const char *key, int64_t at_ms,
	struct error *err)
{
	char text[24];
	const struct store_record record = { kind, key, text,
		(size_t)snprintf(text, sizeof(text), "%" PRId64, at_ms) };
	const struct store_commit commit = {
		.records = &record, .record_count = 1, .now_ms = clock_wall_ms(methods->clock)
	};
	struct store_tally ignored;

	return store_append(methods->store, &commit, &ignored, err);
}

int method_retire(const struct methods *methods, const struct request *request, json_t **ret_data,
	struct error *err)
{
	int64_t now_ms = clock_wall_ms(methods->clock), at_ms;
	struct retiring retiring = { .until_ms = 0 };
	char until[TIME_TEXT_SIZE];
	const char *id;
	int r = request_text(request, "id", NULL, &id, err);

	if (r == 0)
		r = request_time(request, "at", now_ms, &at_ms, err);
	if (r == 0)
		r = store_sources(methods->store, NULL, id, take_source, &retiring, err);
	if (r != 0)
		return r;
	if (retiring.count == 0)
		return error_set(err, QUERY_NOT_FOUND, "there is no worker '%s'", id);
	if (at_ms < retiring.until_ms || at_ms > now_ms)
		return error_set(err, -EINVAL,
			"argument 'at' is not between %s, until when worker '%s' told everything, "
			"and now",
			time_text_format(retiring.until_ms, until), id);
	*ret_data = json_pack(
		"{s:s, s:o, s:o}", "id", id, "at", seconds_to_json(at_ms), "hosts", json_array());
	for (size_t i = 0; i < retiring.count && r == 0; i++) {
		r = put(methods, RETIRED_KIND, retiring.hosts[i], at_ms, err);
		json_array_append_new(
			json_object_get(*ret_data, "hosts"), json_string(retiring.hosts[i]));
	}
	return r == 0 ? put(methods, LEFT_KIND, id, now_ms, err) : r;
}
