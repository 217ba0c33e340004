/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Summaries of days: a version, the digest of all that follows, then for each reading that is kept
 * its time (the difference to the one before), the size of its bytes, and the bytes.
 *
 * A summary is named by the digest of all late marks of its day, which were read before the
 * readings were: what a mark stands for is then in it. A reading that came later has another mark,
 * and no summary counts until one is made that names it, too. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "store/cassandra/private.h"

enum { SUMMARY_FORMAT = 1, DAY_MEMORY_MAX = 256 * 1024 * 1024 };

static int32_t span_of(int64_t day)
{
	return (int32_t)floor_divide(day, SPAN_DAYS);
}

/* A mark is its time, and nothing else. */
void summary_add_late_mark(struct statements *statements, const char *id, int64_t day, int64_t slot)
{
	uint8_t mark[DIGEST_SIZE] = { 0 };

	for (unsigned int i = 0; i < sizeof(slot); i++)
		mark[i] = (uint8_t)((uint64_t)slot >> (56 - 8 * i));
	statements_add(statements, ADD_LATE_MARK,
		(const struct cql_value[]){ statements_text(statements, id),
			statements_int(statements, span_of(day)), statements_day(statements, day),
			statements_blob(statements, mark, sizeof(mark)) },
		4, 2);
}

/* May readings still come under it? */
static bool is_open(struct cql_value mark, int64_t now_ms)
{
	struct cursor from = cursor_over(mark.bytes, DIGEST_SIZE);
	uint64_t slot = cursor_read_u64(&from);

	return slot >= (uint64_t)summary_slot(now_ms - CLOCKS_APART_MS);
}

/* What the table has of one day; the summaries come first. */
struct candidate {
	struct digest digest;
	const void *bytes;
	size_t size;
};

struct finding {
	struct cassandra_store *store;
	struct arena arena;
	struct digester digester;
	int64_t day;
	struct candidate *candidates;
	size_t candidate_count;
	struct buffer marks;
	const int64_t *days; /* those that are asked for, and not told yet */
	size_t day_count;
	summary_fn each;
	void *context;
	struct error *err;
};

/* Goes behind the digest, if what follows has it. */
static int check_digest(struct finding *finding, struct cursor *from)
{
	const uint8_t *digest;
	struct digest of;
	int r;

	if (cursor_read_u8(from) != SUMMARY_FORMAT)
		return -EBADMSG;
	digest = cursor_read_bytes(from, DIGEST_SIZE);
	if (!digest)
		return -EBADMSG;
	r = digester_of(&finding->digester, from->next, cursor_left(from), &of);
	return r == 0 && memcmp(of.bytes, digest, DIGEST_SIZE) != 0 ? -EBADMSG : r;
}

static int tell_readings(struct finding *finding, const struct candidate *candidate)
{
	struct cursor from = cursor_over(candidate->bytes, candidate->size);
	int64_t time_ms = 0;
	int r = check_digest(finding, &from);

	while (r == 0 && cursor_left(&from)) {
		const uint8_t *bytes;
		size_t size;

		time_ms = (int64_t)((uint64_t)time_ms + (uint64_t)cursor_read_signed(&from));
		size = cursor_read_size(&from, READING_BYTES_MAX);
		bytes = cursor_read_bytes(&from, size);
		r = bytes ? finding->each(finding->context, finding->day, time_ms, bytes, size)
			  : -EBADMSG;
	}
	return r == -EBADMSG ? cassandra_corrupt(finding->store, "a day's summary", finding->err)
			     : r;
}

static int tell_none(struct finding *finding, int64_t day)
{
	return finding->each(finding->context, day, 0, NULL, 0);
}

/* The day's rows are complete. */
static int end_day(struct finding *finding)
{
	struct digest marks;
	int r = buffer_check(&finding->marks);

	if (r == 0)
		r = digester_of(
			&finding->digester, finding->marks.bytes, finding->marks.size, &marks);
	if (r < 0)
		return r;
	for (size_t i = 0; i < finding->candidate_count; i++)
		if (memcmp(finding->candidates[i].digest.bytes, marks.bytes, DIGEST_SIZE) == 0)
			return tell_readings(finding, &finding->candidates[i]);
	return tell_none(finding, finding->day);
}

static void begin_day(struct finding *finding, int64_t day)
{
	finding->day = day;
	finding->candidates = NULL;
	finding->candidate_count = 0;
	arena_clear(&finding->arena);
	buffer_clear(&finding->marks);
}

/* Tells of the days up to that one, which is not asked for or begins now. */
static int go_to_day(struct finding *finding, int64_t day)
{
	int r = 0;

	while (r == 0 && finding->day_count && finding->days[0] < day) {
		r = finding->days[0] == finding->day ? end_day(finding)
						     : tell_none(finding, finding->days[0]);
		finding->days++;
		finding->day_count--;
	}
	if (finding->day != day)
		begin_day(finding, day);
	return r;
}

static int add_candidate(
	struct finding *finding, struct cql_value digest, struct cql_value readings)
{
	struct candidate *candidates = arena_grow(&finding->arena, finding->candidates,
		finding->candidate_count, DIGEST_SIZE * 1024, sizeof(*candidates));
	size_t size = readings.size > 0 ? (size_t)readings.size : 0;
	void *copy = arena_take(&finding->arena, size + 1);

	if (!candidates || !copy)
		return -ENOMEM;
	finding->candidates = candidates;
	candidates += finding->candidate_count++;
	memcpy(candidates->digest.bytes, digest.bytes, DIGEST_SIZE);
	if (size)
		memcpy(copy, readings.bytes, size);
	candidates->bytes = copy;
	candidates->size = size;
	return 0;
}

/* (day, is_mark, digest, readings) */
static int take_row(void *context, const struct cql_result *row, struct error *err)
{
	struct finding *finding = context;
	struct cql_value digest = cql_result_value(row, 2);
	bool is_mark;
	int64_t day;
	int r;

	if (read_day(cql_result_value(row, 0), &day) < 0 ||
		cql_read_boolean(cql_result_value(row, 1), &is_mark) < 0 ||
		digest.size != DIGEST_SIZE)
		return cassandra_corrupt(finding->store, "the list of summaries", err);
	r = go_to_day(finding, day);
	if (r != 0)
		return r;
	if (!is_mark)
		return add_candidate(finding, digest, cql_result_value(row, 3));
	buffer_write(&finding->marks, digest.bytes, DIGEST_SIZE);
	return 0;
}

/* For days of one span. */
static void ask_for_days(struct statements *statements, const char *id, int64_t from, int64_t to)
{
	statements_add(statements, GET_SUMMARIES,
		(const struct cql_value[]){ cql_text(id), statements_int(statements, span_of(from)),
			statements_day(statements, from), statements_day(statements, to) },
		4, 2);
}

static int read_span(struct finding *finding, const char *id, int64_t from, int64_t to)
{
	CLEANUP(statements_deinit) struct statements statements;

	statements_init(&statements, finding->store);
	ask_for_days(&statements, id, from, to);
	return statements_each_row(&statements, take_row, finding, finding->err);
}

static int read_spans(struct finding *finding, const char *id)
{
	const int64_t *days = finding->days;
	size_t count = finding->day_count, end;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i = end) {
		for (end = i + 1; end < count && span_of(days[end]) == span_of(days[i]); end++)
			;
		r = read_span(finding, id, days[i], days[end - 1]);
		if (r == 0)
			r = go_to_day(finding, days[end - 1] + 1);
	}
	return r;
}

static void finding_init(struct finding *finding)
{
	finding->day = INT64_MIN;
	arena_init(&finding->arena, DAY_MEMORY_MAX);
	buffer_init(&finding->marks, DAY_MEMORY_MAX);
}

static void finding_deinit(struct finding *finding)
{
	buffer_deinit(&finding->marks);
	arena_deinit(&finding->arena);
	digester_deinit(&finding->digester);
}

int summary_read(struct cassandra_store *store, const char *id, const int64_t *days, size_t count,
	summary_fn each, void *context, struct error *err)
{
	struct finding finding = { .store = store,
		.days = days,
		.day_count = count,
		.each = each,
		.context = context,
		.err = err };
	int r;

	finding_init(&finding);
	r = digester_init(&finding.digester);
	if (r == 0)
		r = read_spans(&finding, id);
	finding_deinit(&finding);
	return r;
}

/* A damaged one is none. */
static int pass_over(struct finding *finding, int r)
{
	if (r == -EBADMSG)
		finding->day_count = 0;
	return r == -EBADMSG ? 0 : r;
}

/* Many instances. */
struct several {
	struct finding *findings; /* of each statement */
	int r;
	struct error *err;
};

static int take_page(void *context, size_t index, struct cql_result *result)
{
	struct several *several = context;

	while (several->r == 0 && cql_result_next(result))
		several->r = pass_over(&several->findings[index],
			take_row(&several->findings[index], result, several->err));
	return several->r;
}

static int ask_each(struct several *several, struct cassandra_store *store,
	const struct summary_question *questions, size_t count)
{
	CLEANUP(statements_deinit) struct statements statements;
	int r;

	statements_init(&statements, store);
	for (size_t i = 0; i < count; i++)
		ask_for_days(&statements, questions[i].id, questions[i].day, questions[i].day);
	r = cassandra_outcome(statements_run(&statements, take_page, several, several->err));
	return several->r ? several->r : r;
}

int summary_read_each(struct cassandra_store *store, const struct summary_question *questions,
	size_t count, summary_fn each, struct error *err)
{
	struct several several = { .findings = calloc(count + 1, sizeof(struct finding)),
		.err = err };
	int r = several.findings ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && several.findings; i++) {
		struct finding *finding = &several.findings[i];

		*finding = (struct finding){ .store = store,
			.days = &questions[i].day,
			.day_count = 1,
			.each = each,
			.context = questions[i].context,
			.err = err };
		finding_init(finding);
		if (r == 0)
			r = digester_init(&finding->digester);
	}
	if (r == 0)
		r = ask_each(&several, store, questions, count);
	for (size_t i = 0; i < count && several.findings; i++) {
		if (r == 0)
			r = pass_over(&several.findings[i],
				go_to_day(&several.findings[i], questions[i].day + 1));
		finding_deinit(&several.findings[i]);
	}
	free(several.findings);
	return r;
}

/* Making one. */
struct kept_reading {
	int64_t time_ms;
	const void *bytes;
	size_t size;
};

static int compare_kept(const void *a, const void *b)
{
	return compare_i64(&((const struct kept_reading *)a)->time_ms,
		&((const struct kept_reading *)b)->time_ms);
}

struct making {
	struct cassandra_store *store;
	const char *id;
	int64_t day, now_ms;
	bool is_there, is_open;
	struct buffer marks;
	struct arena arena;
	struct digester digester;
	struct tracks tracks;
	struct resident *resident;
	struct kept_reading *readings;
	size_t count;
	int64_t time_ms;
};

static int add_tuple(void *context, const struct decoded *decoded)
{
	struct making *making = context;
	const struct track_key key = { making->resident, decoded->group, decoded->parameter,
		decoded->epoch, decoded->life, decoded->segment };
	struct store_tally ignored = { 0 };
	struct track *track = tracks_track(&making->tracks, &key);

	return track ? track_add_row(track, making->time_ms, decoded->present, decoded->values, 1,
			       &ignored)
		     : -ENOMEM;
}

static int keep_reading(struct making *making, const struct bundled *reading)
{
	struct kept_reading *readings = arena_grow(&making->arena, making->readings, making->count,
		SIZE_MAX / sizeof(*readings), sizeof(*readings));
	void *copy = arena_take(&making->arena, reading->size);

	if (!readings || !copy)
		return -ENOMEM;
	making->readings = readings;
	readings[making->count++] = (struct kept_reading){ making->time_ms,
		memcpy(copy, reading->bytes, reading->size), reading->size };
	return 0;
}

static int take_readings(void *context, const struct cql_result *row, struct error *err)
{
	struct making *making = context;
	struct bundled bundled;
	struct cursor cursor;
	int r = bundle_open(&making->digester, row, &making->time_ms, &cursor);

	while (r == 0 && (r = bundle_find(&cursor, making->id, &bundled)) == 1) {
		r = reading_read(bundled.bytes, bundled.size, add_tuple, making);
		if (r == 0)
			r = keep_reading(making, &bundled);
	}
	return r == -EBADMSG ? cassandra_corrupt(making->store, "a reading", err) : r;
}

static int read_slot(struct making *making, const struct slot *slot, struct error *err)
{
	CLEANUP(statements_deinit) struct statements statements;

	statements_init(&statements, making->store);
	slot_ask(&statements, slot, INT64_MIN, INT64_MAX);
	return statements_each_row(&statements, take_readings, making, err);
}

/* Hosts may be read one after the other: readings are sorted when they are kept. */
static int read_day_rows(struct making *making, struct error *err)
{
	CLEANUP(stays_deinit) struct stays stays;
	CLEANUP(slots_deinit) struct slots slots = { NULL, 0, 0 };
	int64_t from_ms = making->day * DAY_MS;
	int r;

	stays_init(&stays);
	r = stays_load(making->store, making->id, making->day, making->day, &stays, err);
	for (size_t i = 0; i < stays.count && r == 0; i++)
		r = slots_add_time(&slots, stays.items[i].host, instance_slot(making->id), from_ms,
			from_ms + DAY_MS - 1);
	slots_sort(&slots);
	for (size_t i = 0; i < slots.count && r == 0; i++)
		r = read_slot(making, &slots.items[i], err);
	return r;
}

static int note_row(void *context, const struct cql_result *row, struct error *err)
{
	struct making *making = context;
	struct cql_value digest = cql_result_value(row, 2);
	bool is_mark;

	if (cql_read_boolean(cql_result_value(row, 1), &is_mark) < 0 || digest.size != DIGEST_SIZE)
		return cassandra_corrupt(making->store, "the list of summaries", err);
	if (is_mark) {
		buffer_write(&making->marks, digest.bytes, DIGEST_SIZE);
		making->is_open = making->is_open || is_open(digest, making->now_ms);
	}
	return 0;
}

static int read_marks(struct making *making, struct error *err)
{
	CLEANUP(statements_deinit) struct statements statements;

	statements_init(&statements, making->store);
	ask_for_days(&statements, making->id, making->day, making->day);
	return statements_each_row(&statements, note_row, making, err);
}

static int write_kept(struct making *making, struct buffer *to)
{
	static const struct digest later;
	CLEANUP(moments_deinit) struct moments times = { NULL, 0, 0 };
	int64_t before_ms = 0;
	size_t begin;
	int r = thinning_times(making->resident, making->day * DAY_MS, &times);

	if (making->count)
		qsort(making->readings, making->count, sizeof(*making->readings), compare_kept);
	buffer_write_u8(to, SUMMARY_FORMAT);
	buffer_write(to, later.bytes, DIGEST_SIZE);
	begin = to->size;
	for (size_t i = 0; i < making->count && r == 0; i++) {
		const struct kept_reading *reading = &making->readings[i];

		if (!times.count || !bsearch(&reading->time_ms, times.times_ms, times.count,
					    sizeof(*times.times_ms), compare_i64))
			continue;
		buffer_write_signed(to, reading->time_ms - before_ms);
		buffer_write_varint(to, reading->size);
		buffer_write(to, reading->bytes, reading->size);
		before_ms = reading->time_ms;
	}
	if (r == 0)
		r = buffer_check(to);
	return r == 0 ? digester_of(&making->digester, to->bytes + begin, to->size - begin,
				(struct digest *)(to->bytes + begin - DIGEST_SIZE))
		      : r;
}

static int add_summary(struct making *making, struct error *err)
{
	CLEANUP(statements_deinit) struct statements statements;
	CLEANUP(buffer_deinit) struct buffer kept;
	struct digest marks;
	int r;

	statements_init(&statements, making->store);
	buffer_init(&kept, SUMMARY_BYTES_MAX);
	r = write_kept(making, &kept);
	if (r == -EMSGSIZE)
		return 0; /* a day that cannot be told in short */
	if (r == 0)
		r = digester_of(&making->digester, making->marks.bytes, making->marks.size, &marks);
	if (r < 0)
		return r;
	statements_add(&statements, ADD_SUMMARY,
		(const struct cql_value[]){ cql_text(making->id),
			statements_int(&statements, span_of(making->day)),
			statements_day(&statements, making->day),
			cql_blob(marks.bytes, DIGEST_SIZE), cql_blob(kept.bytes, kept.size) },
		5, 2);
	r = cassandra_outcome(statements_run(&statements, NULL, NULL, err));
	pthread_mutex_lock(&making->store->lock);
	making->store->counters.summaries += r == 0;
	pthread_mutex_unlock(&making->store->lock);
	return r;
}

static int note_summary(void *context, int64_t day, int64_t time_ms, const void *bytes, size_t size)
{
	struct making *making = context;

	making->is_there = making->is_there || bytes;
	return 0;
}

/* The marks before the days, and these before the readings. */
static int make(struct making *making, struct error *err)
{
	const struct instance_key nobody = { .name = "" };
	int r = read_marks(making, err);

	if (r == 0)
		r = buffer_check(&making->marks);
	if (r != 0 || making->is_open)
		return r;
	if (r == 0)
		r = tracks_init(&making->tracks);
	if (r == 0)
		r = digester_init(&making->digester);
	if (r == 0)
		making->resident = tracks_resident(&making->tracks, &nobody);
	if (r == 0 && !making->resident)
		r = -ENOMEM;
	if (r == 0)
		r = read_day_rows(making, err);
	return r == 0 && making->count ? add_summary(making, err) : r;
}

int summary_make(struct cassandra_store *store, const char *id, int64_t day, int64_t now_ms,
	struct error *err)
{
	struct making making = { .store = store, .id = id, .day = day, .now_ms = now_ms };
	int r = summary_read(store, id, &day, 1, note_summary, &making, err);

	if (r != 0 || making.is_there)
		return r;
	arena_init(&making.arena, DAY_MEMORY_MAX);
	buffer_init(&making.marks, DAY_MEMORY_MAX);
	r = make(&making, err);
	tracks_deinit(&making.tracks);
	digester_deinit(&making.digester);
	buffer_deinit(&making.marks);
	arena_deinit(&making.arena);
	return r;
}
