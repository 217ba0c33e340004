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
	NEIGHBOUR_ROWS = 16,
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

struct scanning {
	struct cassandra_store *store;
	const struct store_scan *scan;
	/* The same, but for states: which of them matter depends on tracks that are not asked for,
	 * so that those that were read are all given. */
	struct store_scan gathered;
	char id[INSTANCE_ID_SIZE];
	struct arena arena;
	struct digester digester;
	struct tracks tracks;
	struct resident *resident;
	struct shape *shapes;
	size_t shape_count;
	struct stays stays;
	const struct shape **shape_of; /* each of them; NULL: it holds nothing that is asked for */
	struct gathering gathering;

	int64_t time_ms; /* of the row that is read */
	int r;
	struct error *err;
};

static int load_days(struct scanning *scanning)
{
	struct stays *stays = &scanning->stays;
	int r = stays_load(scanning->store, scanning->id, cassandra_kept_day(scanning->store),
		DAY_LAST, stays, scanning->err);

	scanning->shape_of =
		arena_take_array(&scanning->arena, stays->count + 1, sizeof(*scanning->shape_of));
	return r == 0 && !scanning->shape_of ? -ENOMEM : r;
}

static struct track *track_of(struct scanning *scanning, const struct decoded *decoded)
{
	const struct track_key key = { scanning->resident, decoded->group, decoded->parameter,
		decoded->epoch, decoded->life, decoded->segment };

	return tracks_track(&scanning->tracks, &key);
}

static bool is_asked_for(const struct store_scan *scan, const struct decoded *decoded)
{
	return scan->columns[decoded->group] &&
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
	for (size_t i = 0; i < scanning->stays.count; i++) {
		const struct shape like = { .digest = scanning->stays.items[i].shape };

		scanning->shape_of[i] = bsearch(&like, scanning->shapes, scanning->shape_count,
			sizeof(like), compare_shapes);
	}
	return 0;
}

/* What the days say of the tracks; of their starts, those of the earliest day. */
static void extend_tracks(struct scanning *scanning)
{
	for (size_t i = 0; i < scanning->stays.count; i++) {
		const struct shape *shape = scanning->shape_of[i];
		int64_t day = scanning->stays.items[i].day;

		for (size_t j = 0; shape && j < shape->part_count; j++) {
			const struct shape_part *part = &shape->parts[j];

			track_extend(
				part->track, day * DAY_MS, (day + 1) * DAY_MS - 1, part->present);
			track_note_start(part->track, day, part->start_ms);
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

/* What a row of (at, digest, readings) says of the instance. */
static int read_row(
	struct scanning *scanning, const struct cql_result *row, decoded_fn each, void *context)
{
	int r = row_readings(
		&scanning->digester, row, scanning->id, &scanning->time_ms, each, context);

	return r == -EBADMSG ? cassandra_corrupt(scanning->store, "a reading", scanning->err) : r;
}

static int take_page(void *context, size_t index, struct cql_result *result)
{
	struct scanning *scanning = context;

	while (scanning->r == 0 && cql_result_next(result))
		scanning->r = read_row(scanning, result, take_tuple, scanning);
	return scanning->r;
}

/* The next host from whose partitions of its day something is asked for: [first, end) are its
 * days. Whose begin is after `first`, up to `end`; false: there is none. */
static bool next_host(const struct scanning *scanning, size_t *first, size_t *end, size_t limit)
{
	const struct stay *stays = scanning->stays.items;

	for (*first = *end; *first < limit && !scanning->shape_of[*first];)
		++*first;
	for (*end = *first; *end < limit && strcmp(stays[*end].host, stays[*first].host) == 0;)
		++*end;
	return *first < limit;
}

static struct slot slot_of(const struct scanning *scanning, const char *host, int64_t quarter_ms)
{
	return (struct slot){ host, quarter_ms, instance_slot(scanning->id) };
}

/* Asks for what the window has of a day. */
static void ask_for_day(const struct scanning *scanning, struct statements *statements, int64_t day)
{
	const struct store_scan *scan = scanning->scan;
	size_t first, end = stays_find(&scanning->stays, day);
	size_t limit = stays_find(&scanning->stays, day + 1);

	while (next_host(scanning, &first, &end, limit))
		for (int64_t i = 0; i < QUARTERS; i++) {
			int64_t from_ms = day * DAY_MS + i * QUARTER_MS;
			const struct slot slot =
				slot_of(scanning, scanning->stays.items[first].host, from_ms);

			if (from_ms <= scan->to_ms && from_ms + QUARTER_MS > scan->from_ms)
				slot_ask(statements, &slot, scan->from_ms, scan->to_ms);
		}
}

static int gather_days(struct scanning *scanning, const int64_t *days, size_t count)
{
	CLEANUP(statements_deinit) struct statements statements;
	int r;

	statements_init(&statements, scanning->store);
	for (size_t i = 0; i < count; i++)
		ask_for_day(scanning, &statements, days[i]);
	r = cassandra_outcome(statements_run(&statements, take_page, scanning, scanning->err));
	return scanning->r ? scanning->r : r;
}

/* Days of the window; those that may be had in short are taken out first. */
struct window {
	struct scanning *scanning;
	int64_t *whole, *brief; /* ascending */
	size_t whole_count, brief_count;
};

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
	bool is_brief = gathering_thins_all(&scanning->gathering, scanning->scan);

	for (size_t i = 0; i < scanning->stays.count; i++) {
		int64_t day = scanning->stays.items[i].day;

		if (!scanning->shape_of[i] || day < from || day > to || day == last)
			continue;
		last = day;
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

	window.whole = arena_take_array(&scanning->arena, scanning->stays.count, sizeof(int64_t));
	window.brief = arena_take_array(&scanning->arena, scanning->stays.count, sizeof(int64_t));
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

/* Looking for neighbours on one side of the window, where some days of the list promise them. */
struct looking {
	struct scanning *scanning;
	bool is_before;
	size_t first, end; /* these days: of one day, or of one day and host */
};

/* Could readings that are as near as this time, or farther, have a nearer neighbour of the column
 * than is known? At that very time, too: several rows may be of one time. */
static bool is_improved(const struct looking *looking, const struct gathered *gathered,
	unsigned int column, int64_t time_ms)
{
	return looking->is_before ? gathered->before_ms[column] <= time_ms
				  : gathered->after_ms[column] >= time_ms;
}

/* Could they of any column that the days promise? */
static bool has_nearer(const struct looking *looking, int64_t time_ms)
{
	const struct scanning *scanning = looking->scanning;

	for (size_t i = looking->first; i < looking->end; i++) {
		const struct shape *shape = scanning->shape_of[i];

		for (size_t j = 0; shape && j < shape->part_count; j++) {
			const struct shape_part *part = &shape->parts[j];
			const struct gathered *gathered = gathering_of(
				(struct gathering *)&scanning->gathering, part->track->id);

			for (unsigned int k = 0; gathered && k < METRIC_COLUMNS_MAX; k++)
				if (part->present & gathered->wanted & 1u << k &&
					is_improved(looking, gathered, k, time_ms))
					return true;
		}
	}
	return false;
}

/* Do they promise a column that has no neighbour yet? */
static bool has_missing(const struct looking *looking)
{
	return has_nearer(looking, looking->is_before ? INT64_MIN : INT64_MAX);
}

static int take_neighbour(void *context, const struct cql_result *row, struct error *err)
{
	struct looking *looking = context;
	struct scanning *scanning = looking->scanning;
	int64_t time_ms;

	if (cql_read_bigint(cql_result_value(row, 0), &time_ms) < 0)
		return cassandra_corrupt(scanning->store, "a reading", err);
	if (!has_nearer(looking, time_ms))
		return STORE_STOPPED;
	return read_row(scanning, row, take_tuple, scanning);
}

/* In the order of their distance from the window. */
static int look_at_slot(struct looking *looking, const struct slot *slot)
{
	struct scanning *scanning = looking->scanning;
	CLEANUP(statements_deinit) struct statements statements;
	struct cql_statement *statement;
	int r;

	statements_init(&statements, scanning->store);
	if (looking->is_before)
		statement = slot_ask_down(&statements, slot, scanning->scan->from_ms);
	else
		statement = slot_ask(&statements, slot, scanning->scan->to_ms + 1, INT64_MAX);
	statement->page_size = NEIGHBOUR_ROWS;
	r = statements_each_row(&statements, take_neighbour, looking, scanning->err);
	return r == STORE_STOPPED ? 0 : r;
}

/* What all hosts have in a quarter: the one that is asked first need not have the nearest. */
static int look_at_quarter(const struct looking *looking, int64_t quarter_ms)
{
	const struct scanning *scanning = looking->scanning;
	struct looking of_host = *looking;
	int r = 0;

	of_host.end = looking->first;
	while (r == 0 && next_host(scanning, &of_host.first, &of_host.end, looking->end)) {
		const struct slot slot =
			slot_of(scanning, scanning->stays.items[of_host.first].host, quarter_ms);

		r = look_at_slot(&of_host, &slot);
	}
	return r;
}

static bool is_beside(const struct looking *looking, int64_t quarter_ms)
{
	const struct store_scan *scan = looking->scanning->scan;

	return looking->is_before ? quarter_ms < scan->from_ms
				  : quarter_ms + QUARTER_MS - 1 > scan->to_ms;
}

static int look_at_day(const struct looking *looking)
{
	int64_t day_ms = looking->scanning->stays.items[looking->first].day * DAY_MS;
	int r = 0;

	for (int64_t i = 0; i < QUARTERS && r == 0 && has_missing(looking); i++) {
		int64_t number = looking->is_before ? QUARTERS - 1 - i : i;

		if (is_beside(looking, day_ms + number * QUARTER_MS))
			r = look_at_quarter(looking, day_ms + number * QUARTER_MS);
	}
	return r;
}

static int look_before(struct scanning *scanning)
{
	const struct stays *stays = &scanning->stays;
	struct looking looking = { .scanning = scanning, .is_before = true };
	int64_t from = floor_divide(scanning->scan->from_ms, DAY_MS);
	int r = 0;

	for (size_t end = stays_find(stays, from + 1); end > 0 && r == 0; end = looking.first) {
		looking.end = end;
		looking.first = stays_find(stays, stays->items[end - 1].day);
		r = look_at_day(&looking);
	}
	return r;
}

static int look_after(struct scanning *scanning)
{
	const struct stays *stays = &scanning->stays;
	struct looking looking = { .scanning = scanning };
	int64_t to = floor_divide(scanning->scan->to_ms, DAY_MS);
	int r = 0;

	if (scanning->scan->to_ms == INT64_MAX)
		return 0;
	for (size_t first = stays_find(stays, to); first < stays->count && r == 0;
		first = looking.end) {
		looking.first = first;
		looking.end = stays_find(stays, stays->items[first].day + 1);
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
		time_ms > starting->found_ms)
		return STORE_STOPPED;
	return read_row(starting->scanning, row, take_start, starting);
}

static int look_for_start(struct starting *starting, const struct slot *slot)
{
	CLEANUP(statements_deinit) struct statements statements;
	int r;

	statements_init(&statements, starting->scanning->store);
	slot_ask(&statements, slot, INT64_MIN, INT64_MAX)->page_size = NEIGHBOUR_ROWS;
	r = statements_each_row(&statements, take_start_row, starting, starting->scanning->err);
	return r == STORE_STOPPED ? 0 : r;
}

static int find_start(struct scanning *scanning, struct track *track, int64_t day)
{
	struct starting starting = { .scanning = scanning, .track = track };
	size_t limit = stays_find(&scanning->stays, day + 1);
	int r = 0;

	track->start_ms = EPOCH_START_UNKNOWN;
	track->start_told_ms = INT64_MAX;
	for (int64_t i = 0; i < QUARTERS && r == 0 && !starting.is_found; i++) {
		size_t first, end = stays_find(&scanning->stays, day);

		while (r == 0 && next_host(scanning, &first, &end, limit)) {
			const struct slot slot = slot_of(scanning,
				scanning->stays.items[first].host, day * DAY_MS + i * QUARTER_MS);

			r = look_for_start(&starting, &slot);
		}
	}
	return r;
}

/* Where the readings of a track's earliest day do not agree about its start. */
static int find_starts(struct scanning *scanning)
{
	int r = 0;

	for (size_t i = 0; i < scanning->stays.count && r == 0; i++) {
		const struct shape *shape = scanning->shape_of[i];
		int64_t day = scanning->stays.items[i].day;

		for (size_t j = 0; shape && j < shape->part_count && r == 0; j++) {
			const struct shape_part *part = &shape->parts[j];

			if (part->track->start_told_ms == day &&
				part->track->start_ms != part->start_ms)
				r = find_start(scanning, part->track, day);
		}
	}
	return r;
}

static int gather(struct scanning *scanning)
{
	int r = load_days(scanning);

	if (r == 0 && scanning->stays.count)
		r = load_shapes(scanning);
	if (r == 0)
		extend_tracks(scanning);
	if (r == 0)
		r = gathering_init(&scanning->gathering, &scanning->tracks, &scanning->gathered);
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
	struct scanning scanning = { .store = store, .scan = scan, .gathered = *scan, .err = err };
	int r = instance_id_write(&scan->instance, scanning.id);

	scanning.gathered.thins_states = false;
	arena_init(&scanning.arena, SHAPES_MEMORY_MAX);
	stays_init(&scanning.stays);
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
	stays_deinit(&scanning.stays);
	arena_deinit(&scanning.arena);
	return r;
}
