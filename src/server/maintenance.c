/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "server/maintenance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/background.h"
#include "base/checked.h"
#include "base/log.h"
#include "base/time-text.h"
#include "query/closing.h"
#include "store/horizon.h"

enum { DAY_MS = 24 * 60 * 60 * 1000, PAUSE_MS = 10 * 1000 };

struct maintenance {
	struct store *store;
	const struct clock *clock;
	int64_t retention_ms;
	bool keeps_unclosed;
	int64_t sweep_every_ms;
	int64_t horizon_ms; /* until when something was or may be deleted since the start */
	int64_t swept_ms;   /* monotonic; retention waits one period after the start, too */
	struct log_limit trouble;
	struct background background;
};

static int note_first(void *context, const struct store_instance *instance)
{
	int64_t *first_ms = context;

	if (instance->first_ms && instance->first_ms < *first_ms)
		*first_ms = instance->first_ms;
	return 0;
}

static int note_closed(void *context, const struct store_record *record)
{
	*(bool *)context = true;
	return 1;
}

/* Not beyond the first month with readings that is not closed, nor the day before it, whose samples
 * its first ones are subtracted from; INT64_MIN, which deletes nothing, if that cannot be said now.
 */
static int64_t clamp_to_unclosed(struct store *store, int64_t keep_from_ms)
{
	const struct store_filter everyone = { 0 };
	int64_t month_ms = INT64_MAX, next_ms;
	char month[TIME_TEXT_SIZE];
	struct error ignored;

	if (store_instances(store, &everyone, note_first, &month_ms, &ignored) != 0)
		return INT64_MIN;
	for (; month_ms - DAY_MS < keep_from_ms; month_ms = next_ms) {
		bool is_closed = false;

		time_text_format_month(month_ms, month);
		if (time_text_parse_month(month, &month_ms, &next_ms) < 0 ||
			store_records(
				store, CLOSED_KIND, month, note_closed, &is_closed, &ignored) < 0)
			return INT64_MIN;
		if (!is_closed)
			return month_ms - DAY_MS;
	}
	return keep_from_ms;
}

/* Made durable before the deletion, if there is anything to delete. */
static int record_horizon(struct maintenance *maintenance, int64_t keep_from_ms, int64_t wall_ms)
{
	const struct store_filter everyone = { 0 };
	int64_t first_ms = INT64_MAX;
	struct error ignored;
	int r = store_instances(maintenance->store, &everyone, note_first, &first_ms, &ignored);

	if (r == 0 && first_ms < keep_from_ms)
		maintenance->horizon_ms = MAX_OF(maintenance->horizon_ms, keep_from_ms);
	if (r == 0 && maintenance->horizon_ms != INT64_MIN)
		r = horizon_advance(maintenance->store, maintenance->horizon_ms, wall_ms, &ignored);
	return r;
}

/* The beginning of a day. INT64_MIN if nothing is to be deleted now, since that could not be
 * recorded; but on a full disk, nothing else makes room for the record. */
static int64_t keep_from(struct maintenance *maintenance, int64_t wall_ms)
{
	int64_t keep_from_ms = floor_divide(wall_ms - maintenance->retention_ms, DAY_MS) * DAY_MS;
	int r;

	if (maintenance->keeps_unclosed)
		keep_from_ms = clamp_to_unclosed(maintenance->store, keep_from_ms);
	r = record_horizon(maintenance, keep_from_ms, wall_ms);
	return r == 0 || r == STORE_FULL ? keep_from_ms : INT64_MIN;
}

static bool work(struct maintenance *maintenance)
{
	int64_t now_ms = clock_monotonic_ms(maintenance->clock);
	int64_t wall_ms = clock_wall_ms(maintenance->clock);
	bool sweep = now_ms - maintenance->swept_ms >= maintenance->sweep_every_ms;
	struct error err = { 0 };
	uint64_t held_back;
	bool more = false;
	int r;

	r = store_maintain(maintenance->store, wall_ms,
		sweep ? keep_from(maintenance, wall_ms) : INT64_MIN, &more, &err);
	if (r != 0) {
		if (log_limit_pass(&maintenance->trouble, maintenance->clock, &held_back))
			log_error("cannot tidy the store: %s; trying again", error_text(&err, r));
		return false;
	}
	log_limit_reset(&maintenance->trouble);
	if (sweep) /* what else there is to do needs no list of all instances */
		maintenance->swept_ms = now_ms;
	return more;
}

static void *run(void *argument)
{
	struct maintenance *maintenance = argument;
	int64_t rest_ms = MIN_OF((int64_t)PAUSE_MS, maintenance->sweep_every_ms);
	bool more = false;

	while (!background_pause(&maintenance->background, more ? 0 : rest_ms))
		more = work(maintenance);
	return NULL;
}

int maintenance_new(struct store *store, const struct clock *clock, const struct config *config,
	struct maintenance **ret_maintenance, struct error *err)
{
	struct maintenance *maintenance = calloc(1, sizeof(*maintenance));
	int r;

	if (!maintenance)
		return -ENOMEM;
	maintenance->store = store;
	maintenance->clock = clock;
	maintenance->retention_ms = config_integer(config, "server", "retention_days") * DAY_MS;
	maintenance->keeps_unclosed = config_boolean(config, "server", "keep_unclosed");
	maintenance->sweep_every_ms =
		config_integer(config, "server", "retention_check_seconds") * 1000;
	maintenance->horizon_ms = INT64_MIN;
	maintenance->swept_ms = clock_monotonic_ms(clock);
	background_init(&maintenance->background);
	r = background_start(&maintenance->background, run, maintenance, err);
	if (r < 0) {
		maintenance_free(maintenance);
		return r;
	}
	*ret_maintenance = maintenance;
	return 0;
}

struct maintenance *maintenance_free(struct maintenance *maintenance)
{
	if (!maintenance)
		return NULL;
	background_deinit(&maintenance->background);
	free(maintenance);
	return NULL;
}
