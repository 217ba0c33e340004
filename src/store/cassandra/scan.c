/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* One question. The days of an instance say which shapes of readings they hold, and the shapes,
 * which tracks and columns; so what a question needs is known before a reading is read: the window,
 * and on both sides of it the nearest readings of each column, however many days away. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "store/cassandra/private.h"

enum {
	DAYS_AT_ONCE = 16, /* partitions of the window that are read together */
	NEIGHBOUR_ROWS = 64,
	SHAPES_MEMORY_MAX = 256 * 1024 * 1024,
	SHAPES_MAX = 1 << 20,
};

struct shape_part {
	struct track *track;
	uint16_t present;
	int64_t start_ms;
};

/* What it holds of what the scan asks for. */
struct shape {
	struct digest digest;
	struct shape_part *parts;
	size_t part_count;
};

struct shape_day {
	int64_t day;
	struct digest digest;
	const struct shape *shape; /* NULL: it holds nothing that is asked for */
};

struct scanning {
	struct cassandra_store *store;
	const struct store_scan *scan;
	char id[INSTANCE_ID_SIZE];
	struct arena arena;
	struct digester digester;
	struct tracks tracks;
	struct resident *resident;
	struct shape *shapes;
	size_t shape_count;
	struct shape_day *days; /* ascending */
	size_t day_count;
	struct gathering gathering;

	int64_t time_ms; /* of the row that is read */
	int r;
	struct error *err;
};

static int add_day(void *context, const struct cql_result *row, struct error *err)
{
	struct scanning *scanning = context;
	struct cql_value shape = cql_result_value(row, 1);
	struct shape_day *days = arena_grow(
		&scanning->arena, scanning->days, scanning->day_count, SHAPES_MAX, sizeof(*days));
	struct shape_day *day;

	if (!days)
		return -ENOMEM;
	scanning->days = days;
	day = &days[scanning->day_count];
	if (read_day(cql_result_value(row, 0), &day->day) < 0 || shape.size != DIGEST_SIZE)
		return cassandra_corrupt(scanning->store, "the list of an instance's days", err);
	memcpy(day->digest.bytes, shape.bytes, DIGEST_SIZE);
	scanning->day_count++;
	return 0;
}

static int load_days(struct scanning *scanning)
{
	CLEANUP(statements_deinit) struct statements statements;
	int64_t kept_from_ms = MAX_OF(cassandra_kept_from(scanning->store), 0);

	statements_init(&statements, scanning->store);
	statements_add(&statements, GET_DAYS,
		(const struct cql_value[]){ cql_text(scanning->id),
			statements_day(&statements, floor_divide(kept_from_ms, DAY_MS)) },
		2, 1);
	return statements_each_row(&statements, add_day, scanning, scanning->err);
}

static struct track *track_of(struct scanning *scanning, const struct decoded *decoded)
{
	const struct track_key key = { scanning->resident, decoded->group, decoded->parameter,
		decoded->epoch, decoded->life, decoded->segment };

	return tracks_track(&scanning->tracks, &key);
}

static bool is_asked_for(const struct store_scan *scan, const struct decoded *decoded)
{
	return decoded->group == scan->group &&
	       (!scan->parameter || strcmp(scan->parameter, decoded->parameter) == 0);
}

static int add_part(void *context, const struct decoded *decoded)
{
	struct scanning *scanning = context;
	struct shape *shape = &scanning->shapes[scanning->shape_count];
	struct shape_part *parts;
	struct track *track;

	if (!is_asked_for(scanning->scan, decoded))
		return 0;
	track = track_of(scanning, decoded);
	parts = arena_grow(
		&scanning->arena, shape->parts, shape->part_count, TUPLES_MAX, sizeof(*parts));
	if (!track || !parts)
		return -ENOMEM;
	shape->parts = parts;
	parts[shape->part_count++] =
		(struct shape_part){ track, decoded->present, decoded->start_ms };
	return 0;
}

static int add_shape(void *context, const struct cql_result *row, struct error *err)
{
	struct scanning *scanning = context;
	struct cql_value digest = cql_result_value(row, 0), content = cql_result_value(row, 1);
	struct shape *shapes = arena_grow(&scanning->arena, scanning->shapes, scanning->shape_count,
		SHAPES_MAX, sizeof(*shapes));
	int r = -EBADMSG;

	if (!shapes)
		return -ENOMEM;
	scanning->shapes = shapes;
	shapes[scanning->shape_count] = (struct shape){ 0 };
	if (digest.size == DIGEST_SIZE && content.size > 0) {
		memcpy(shapes[scanning->shape_count].digest.bytes, digest.bytes, DIGEST_SIZE);
		r = shape_read(content.bytes, (size_t)content.size, add_part, scanning);
	}
	if (r == -EBADMSG)
		return cassandra_corrupt(scanning->store, "the shape of a reading", err);
	if (r == 0 && shapes[scanning->shape_count].part_count)
		scanning->shape_count++;
	return r;
}

static int compare_shapes(const void *a, const void *b)
{
	return memcmp(((const struct shape *)a)->digest.bytes,
		((const struct shape *)b)->digest.bytes, DIGEST_SIZE);
}

/* After the days: those that were acknowledged have a shape. */
static int load_shapes(struct scanning *scanning)
{
	CLEANUP(statements_deinit) struct statements statements;
	int r;

	statements_init(&statements, scanning->store);
	statements_add(&statements, GET_SHAPES,
		(const struct cql_value[]){ cql_text(scanning->id) }, 1, 1);
	r = statements_each_row(&statements, add_shape, scanning, scanning->err);
	if (r != 0 || scanning->shape_count == 0)
		return r;
	qsort(scanning->shapes, scanning->shape_count, sizeof(*scanning->shapes), compare_shapes);
	for (size_t i = 0; i < scanning->day_count; i++) {
		const struct shape like = { .digest = scanning->days[i].digest };

		scanning->days[i].shape = bsearch(&like, scanning->shapes, scanning->shape_count,
			sizeof(like), compare_shapes);
	}
	return 0;
}

/* What the days say of the tracks; of their starts, those of the earliest day. */
static void extend_tracks(struct scanning *scanning)
{
	for (size_t i = 0; i < scanning->day_count; i++) {
		const struct shape_day *day = &scanning->days[i];

		for (size_t j = 0; day->shape && j < day->shape->part_count; j++) {
			const struct shape_part *part = &day->shape->parts[j];

			track_extend(part->track, day->day * DAY_MS, (day->day + 1) * DAY_MS - 1,
				part->present);
			track_note_start(part->track, day->day, part->start_ms);
		}
	}
}

static int take_tuple(void *context, const struct decoded *decoded)
{
	struct scanning *scanning = context;
	struct gathered *gathered;
	struct track *track;

	if (!is_asked_for(scanning->scan, decoded))
		return 0;
	track = track_of(scanning, decoded);
	if (!track)
		return -ENOMEM;
	gathered = gathering_of(&scanning->gathering, track->id);
	return gathered ? gathering_add(&scanning->gathering, gathered, scanning->time_ms,
				  decoded->present, decoded->values)
			: 0;
}

/* The reading of a row of (at, digest, reading). */
static int read_row(
	struct scanning *scanning, const struct cql_result *row, decoded_fn each, void *context)
{
	int r = row_reading(&scanning->digester, row, &scanning->time_ms, each, context);

	return r == -EBADMSG ? cassandra_corrupt(scanning->store, "a reading", scanning->err) : r;
}

static int take_page(void *context, size_t index, struct cql_result *result)
{
	struct scanning *scanning = context;

	while (scanning->r == 0 && cql_result_next(result))
		scanning->r = read_row(scanning, result, take_tuple, scanning);
	return scanning->r;
}

static int gather_days(struct scanning *scanning, const int64_t *days, size_t count)
{
	CLEANUP(statements_deinit) struct statements statements;
	int r;

	statements_init(&statements, scanning->store);
	for (size_t i = 0; i < count; i++)
		statements_add(&statements, GET_READINGS,
			(const struct cql_value[]){ cql_text(scanning->id),
				statements_day(&statements, days[i]),
				statements_bigint(&statements, scanning->scan->from_ms),
				statements_bigint(&statements, scanning->scan->to_ms) },
			4, 2);
	r = cassandra_outcome(statements_run(&statements, take_page, scanning, scanning->err));
	return scanning->r ? scanning->r : r;
}

/* Days of the window; those that may be had in short are taken out first. */
struct window {
	struct scanning *scanning;
	int64_t *whole, *brief; /* ascending */
	size_t whole_count, brief_count;
};

static bool takes_thinned(const struct scanning *scanning)
{
	const struct store_scan *scan = scanning->scan;

	for (unsigned int i = 0; i < METRIC_COLUMNS_MAX; i++) {
		const struct metric *metric = metric_of_column(scan->group, i);

		if (scan->columns >> i & 1 && metric && metric->kind != METRIC_COUNTER)
			return false;
	}
	return scan->edges_ms;
}

/* Is the day wholly inside of the window, and no edge in it but at its begin? */
static bool may_be_brief(const struct store_scan *scan, int64_t day)
{
	int64_t from_ms = day * DAY_MS, to_ms = from_ms + DAY_MS;
	size_t low = 0, high = scan->edge_count;

	while (low < high) { /* the first edge behind the begin */
		size_t middle = low + (high - low) / 2;

		if (scan->edges_ms[middle] > from_ms)
			high = middle;
		else
			low = middle + 1;
	}
	return from_ms >= scan->from_ms && to_ms - 1 <= scan->to_ms &&
	       (low == scan->edge_count || scan->edges_ms[low] >= to_ms);
}

static void sort_days(struct window *window)
{
	const struct scanning *scanning = window->scanning;
	int64_t from = floor_divide(scanning->scan->from_ms, DAY_MS), last = INT64_MIN;
	int64_t to = floor_divide(scanning->scan->to_ms, DAY_MS);
	bool is_brief = takes_thinned(scanning);

	for (size_t i = 0; i < scanning->day_count; i++) {
		const struct shape_day *day = &scanning->days[i];

		if (!day->shape || day->day < from || day->day > to || day->day == last)
			continue;
		last = day->day;
		if (is_brief && may_be_brief(scanning->scan, last))
			window->brief[window->brief_count++] = last;
		else
			window->whole[window->whole_count++] = last;
	}
}

static int take_brief(void *context, int64_t day, int64_t time_ms, const void *bytes, size_t size)
{
	struct window *window = context;

	if (!bytes) {
		window->whole[window->whole_count++] = day;
		return 0;
	}
	window->scanning->time_ms = time_ms;
	return reading_read(bytes, size, take_tuple, window->scanning);
}

static int gather_window(struct scanning *scanning)
{
	struct window window = { .scanning = scanning };
	int r = 0;

	window.whole = arena_take_array(&scanning->arena, scanning->day_count, sizeof(int64_t));
	window.brief = arena_take_array(&scanning->arena, scanning->day_count, sizeof(int64_t));
	if (!window.whole || !window.brief)
		return -ENOMEM;
	sort_days(&window);
	if (window.brief_count)
		r = summary_read(scanning->store, scanning->id, window.brief, window.brief_count,
			take_brief, &window, scanning->err);
	for (size_t i = 0; i < window.whole_count && r == 0; i += DAYS_AT_ONCE)
		r = gather_days(scanning, &window.whole[i],
			MIN_OF(window.whole_count - i, (size_t)DAYS_AT_ONCE));
	return r;
}

/* Looking for neighbours on one side of the window. */
struct looking {
	struct scanning *scanning;
	bool is_before;
	size_t first, end; /* the day's shapes */
	int64_t last_ms;
	bool has_last;
};

static bool is_missing(
	const struct looking *looking, const struct gathered *gathered, unsigned int column)
{
	return looking->is_before ? gathered->before_ms[column] == INT64_MIN
				  : gathered->after_ms[column] == INT64_MAX;
}

/* Does the day promise a column of which no neighbour was found? */
static bool has_more(const struct looking *looking)
{
	const struct scanning *scanning = looking->scanning;

	for (size_t i = looking->first; i < looking->end; i++) {
		const struct shape *shape = scanning->days[i].shape;

		for (size_t j = 0; shape && j < shape->part_count; j++) {
			const struct shape_part *part = &shape->parts[j];
			const struct gathered *gathered = gathering_of(
				(struct gathering *)&scanning->gathering, part->track->id);

			for (unsigned int k = 0; gathered && k < METRIC_COLUMNS_MAX; k++)
				if (part->present & gathered->wanted & 1u << k &&
					is_missing(looking, gathered, k))
					return true;
		}
	}
	return false;
}

/* Several rows may be of one time, and the largest value counts. */
static int take_neighbour(void *context, const struct cql_result *row, struct error *err)
{
	struct looking *looking = context;
	struct scanning *scanning = looking->scanning;
	int64_t time_ms;

	if (cql_read_bigint(cql_result_value(row, 0), &time_ms) < 0)
		return cassandra_corrupt(scanning->store, "a reading", err);
	if (looking->has_last && time_ms != looking->last_ms && !has_more(looking))
		return STORE_STOPPED;
	looking->has_last = true;
	looking->last_ms = time_ms;
	return read_row(scanning, row, take_tuple, scanning);
}

static int look_at_day(struct looking *looking)
{
	struct scanning *scanning = looking->scanning;
	CLEANUP(statements_deinit) struct statements statements;
	int64_t from_ms = scanning->scan->from_ms, to_ms = scanning->scan->to_ms;
	struct cql_value day;
	int r;

	statements_init(&statements, scanning->store);
	day = statements_day(&statements, scanning->days[looking->first].day);
	looking->has_last = false;
	if (looking->is_before)
		statements_add(&statements, GET_READINGS_DOWN,
			(const struct cql_value[]){ cql_text(scanning->id), day,
				statements_bigint(&statements, from_ms) },
			3, 2)
			->page_size = NEIGHBOUR_ROWS;
	else
		statements_add(&statements, GET_READINGS,
			(const struct cql_value[]){ cql_text(scanning->id), day,
				statements_bigint(&statements, to_ms + 1),
				statements_bigint(&statements, INT64_MAX) },
			4, 2)
			->page_size = NEIGHBOUR_ROWS;
	r = statements_each_row(&statements, take_neighbour, looking, scanning->err);
	return r == STORE_STOPPED ? 0 : r;
}

/* The shapes of one day, which begin at `first`, end here. */
static size_t end_of_day(const struct scanning *scanning, size_t first)
{
	size_t end = first;

	while (end < scanning->day_count && scanning->days[end].day == scanning->days[first].day)
		end++;
	return end;
}

static size_t begin_of_day(const struct scanning *scanning, size_t end)
{
	size_t first = end - 1;

	while (first > 0 && scanning->days[first - 1].day == scanning->days[end - 1].day)
		first--;
	return first;
}

static int look_before(struct scanning *scanning)
{
	struct looking looking = { .scanning = scanning, .is_before = true };
	int64_t from = floor_divide(scanning->scan->from_ms, DAY_MS);
	int r = 0;

	for (size_t end = scanning->day_count; end > 0 && r == 0; end = looking.first) {
		looking.end = end;
		looking.first = begin_of_day(scanning, end);
		if (scanning->days[looking.first].day <= from && has_more(&looking))
			r = look_at_day(&looking);
	}
	return r;
}

static int look_after(struct scanning *scanning)
{
	struct looking looking = { .scanning = scanning };
	int64_t to = floor_divide(scanning->scan->to_ms, DAY_MS);
	int r = 0;

	if (scanning->scan->to_ms == INT64_MAX)
		return 0;
	for (size_t first = 0; first < scanning->day_count && r == 0; first = looking.end) {
		looking.first = first;
		looking.end = end_of_day(scanning, first);
		if (scanning->days[first].day >= to && has_more(&looking))
			r = look_at_day(&looking);
	}
	return r;
}

/* Looking for the start that a track's earliest reading told. */
struct starting {
	struct scanning *scanning;
	struct track *track;
	bool is_found;
	int64_t found_ms;
};

static int take_start(void *context, const struct decoded *decoded)
{
	struct starting *starting = context;

	if (!is_asked_for(starting->scanning->scan, decoded) ||
		track_of(starting->scanning, decoded) != starting->track)
		return 0;
	starting->is_found = true;
	starting->found_ms = starting->scanning->time_ms;
	track_note_start(starting->track, starting->found_ms, decoded->start_ms);
	return 0;
}

static int take_start_row(void *context, const struct cql_result *row, struct error *err)
{
	struct starting *starting = context;
	int64_t time_ms;

	if (cql_read_bigint(cql_result_value(row, 0), &time_ms) == 0 && starting->is_found &&
		time_ms != starting->found_ms)
		return STORE_STOPPED;
	return read_row(starting->scanning, row, take_start, starting);
}

static int find_start(struct scanning *scanning, struct track *track, int64_t day)
{
	CLEANUP(statements_deinit) struct statements statements;
	struct starting starting = { .scanning = scanning, .track = track };
	int r;

	track->start_ms = EPOCH_START_UNKNOWN;
	track->start_told_ms = INT64_MAX;
	statements_init(&statements, scanning->store);
	statements_add(&statements, GET_READINGS,
		(const struct cql_value[]){ cql_text(scanning->id),
			statements_day(&statements, day), statements_bigint(&statements, INT64_MIN),
			statements_bigint(&statements, INT64_MAX) },
		4, 2)
		->page_size = NEIGHBOUR_ROWS;
	r = statements_each_row(&statements, take_start_row, &starting, scanning->err);
	return r == STORE_STOPPED ? 0 : r;
}

/* Where the readings of a track's earliest day do not agree about its start. */
static int find_starts(struct scanning *scanning)
{
	int r = 0;

	for (size_t i = 0; i < scanning->day_count && r == 0; i++) {
		const struct shape_day *day = &scanning->days[i];

		for (size_t j = 0; day->shape && j < day->shape->part_count && r == 0; j++) {
			const struct shape_part *part = &day->shape->parts[j];

			if (part->track->start_told_ms == day->day &&
				part->track->start_ms != part->start_ms)
				r = find_start(scanning, part->track, day->day);
		}
	}
	return r;
}

static int gather(struct scanning *scanning)
{
	int r = load_days(scanning);

	if (r == 0 && scanning->day_count)
		r = load_shapes(scanning);
	if (r == 0)
		extend_tracks(scanning);
	if (r == 0)
		r = gathering_init(&scanning->gathering, &scanning->tracks, scanning->scan);
	if (r == 0)
		r = find_starts(scanning);
	if (r == 0)
		r = gather_window(scanning);
	if (r == 0)
		r = look_before(scanning);
	return r == 0 ? look_after(scanning) : r;
}

int scan_run(struct cassandra_store *store, const struct store_scan *scan, store_series_fn each,
	void *context, struct error *err)
{
	struct scanning scanning = { .store = store, .scan = scan, .err = err };
	int r = instance_id_write(&scan->instance, scanning.id);

	arena_init(&scanning.arena, SHAPES_MEMORY_MAX);
	if (r == 0)
		r = tracks_init(&scanning.tracks);
	if (r == 0)
		r = digester_init(&scanning.digester);
	if (r == 0) {
		scanning.resident = tracks_resident(&scanning.tracks, &scan->instance);
		r = scanning.resident ? gather(&scanning) : -ENOMEM;
	}
	if (r == 0)
		r = gathering_finish(&scanning.gathering, each, context);
	gathering_deinit(&scanning.gathering);
	digester_deinit(&scanning.digester);
	tracks_deinit(&scanning.tracks);
	arena_deinit(&scanning.arena);
	return r;
}
