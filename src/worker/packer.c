/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "worker/packer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/time-text.h"
#include "wire/message.h"
#include "worker/latest.h"
#include "worker/news.h"

enum {
	/* Room for what the transport adds. */
	PART_BYTES_MAX = WIRE_MESSAGE_MAX - 4096,
	BASELINE_READINGS = 1000, /* in one batch of them */
	HOUR_MS = 3600 * 1000,
	FORGET_MS = 25 * HOUR_MS, /* longer than the slowest beat of any group */
};

struct packer {
	const struct clock *clock;
	struct spool *spool;
	const char *host;
	struct news *news;
	struct latest *latest;
	uint32_t segment;
	int64_t offset_ms;         /* wall clock minus CLOCK_BOOTTIME, in that segment */
	int64_t earlier_offset_ms; /* and in the one before */
};

int packer_new(const struct clock *clock, struct spool *spool, const char *host,
	struct packer **ret_packer)
{
	CLEANUP(packer_free) struct packer *packer = calloc(1, sizeof(*packer));
	struct clock_reading now = clock_read(clock);
	int r;

	if (!packer)
		return -ENOMEM;
	packer->clock = clock;
	packer->spool = spool;
	packer->host = host;
	packer->segment = now.segment;
	packer->offset_ms = now.wall_ms - now.monotonic_ms;
	r = news_new(&packer->news);
	if (r == 0)
		r = latest_new(&packer->latest);
	if (r < 0)
		return r;
	*ret_packer = packer;
	packer = NULL;
	return 0;
}

struct packer *packer_free(struct packer *packer)
{
	if (packer) {
		news_free(packer->news);
		latest_free(packer->latest);
	}
	free(packer);
	return NULL;
}

/* Returns its number; 0: it is lost, which is noted. */
static uint64_t push(
	struct packer *packer, const struct spool_note *note, const struct buffer *buffer)
{
	uint64_t sequence = 0;
	int r = buffer_check(buffer);

	if (r == 0)
		r = spool_push(packer->spool, note, buffer->bytes, buffer->size, &sequence);
	if (r == 0)
		return sequence;
	log_error("a message is lost: %s", strerror(-r));
	if (!note->is_gap && note->first_ms)
		spool_add_loss(
			packer->spool, &(struct spool_loss){ note->first_ms, note->last_ms, 1 });
	return 0;
}

static bool push_gaps(struct packer *packer, const struct gap *gaps, size_t count)
{
	CLEANUP(buffer_deinit) struct buffer buffer;
	struct spool_note note = {
		.type = '1', .is_gap = true, .first_ms = gaps[0].from_ms, .last_ms = gaps[0].to_ms
	};

	for (size_t i = 1; i < count; i++) {
		note.first_ms = MIN_OF(note.first_ms, gaps[i].from_ms);
		note.last_ms = MAX_OF(note.last_ms, gaps[i].to_ms);
	}
	buffer_init(&buffer, PART_BYTES_MAX);
	message_encode_gaps(&buffer, packer->host, gaps, count);
	return push(packer, &note, &buffer) != 0;
}

void packer_declare_losses(struct packer *packer)
{
	char from[TIME_TEXT_SIZE], to[TIME_TEXT_SIZE];
	struct spool_loss loss;
	struct gap gap = { .reason = "dropped" };

	while (spool_take_loss(packer->spool, &loss)) {
		gap.from_ms = loss.from_ms;
		gap.to_ms = loss.to_ms ? loss.to_ms : clock_wall_ms(packer->clock);
		log_warning("%" PRIu64 " messages with readings from %s to %s are lost", loss.count,
			time_text_format(gap.from_ms, from), time_text_format(gap.to_ms, to));
		if (!push_gaps(packer, &gap, 1)) {
			spool_add_loss(packer->spool, &loss);
			return;
		}
	}
}

/* What an earlier life had read, and what this one begins with. A clock that was set back between
 * turns it around; one that was days ahead leaves nothing to say but that there was a gap. */
static void declare_away(struct packer *packer, int64_t first_ms)
{
	int64_t until_ms = spool_take_earlier_until(packer->spool);
	struct gap gap = { .from_ms = MIN_OF(until_ms, first_ms),
		.to_ms = MAX_OF(until_ms, first_ms),
		.reason = "not-running" };

	if (!until_ms)
		return;
	if (until_ms - first_ms > 24 * (int64_t)HOUR_MS)
		gap.from_ms = gap.to_ms = first_ms;
	(void)push_gaps(packer, &gap, 1);
}

static bool is_state_change(const struct latest_item *item, const struct tuple *tuple)
{
	return tuple->group == METRIC_GROUP_STATE && tuple_has(tuple, 0) &&
	       item->tuple.values[0] != tuple->values[0];
}

static bool may_be_thinned(struct packer *packer, const struct reading *reading)
{
	if (reading->time_ms % HOUR_MS == 0)
		return false;
	for (size_t i = 0; i < reading->tuple_count; i++) {
		const struct tuple *tuple = &reading->tuples[i];
		const struct latest_item *item = latest_find(packer->latest, reading, tuple);

		if (!item || item->is_gone || item->segment != reading->segment ||
			is_state_change(item, tuple))
			return false;
	}
	return true;
}

static struct spool_note note_of(
	struct packer *packer, const struct reading *readings, size_t count, int64_t until_ms)
{
	struct spool_note note = { .type = '3', .is_thinnable = count > 0, .until_ms = until_ms };

	for (size_t i = 0; i < count; i++) {
		int64_t time_ms = readings[i].time_ms;

		note.first_ms = note.first_ms ? MIN_OF(note.first_ms, time_ms) : time_ms;
		note.last_ms = MAX_OF(note.last_ms, time_ms);
		note.is_thinnable = note.is_thinnable && may_be_thinned(packer, &readings[i]);
	}
	return note;
}

static void keep_latest(
	struct packer *packer, const struct reading *readings, size_t count, uint64_t sequence)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < readings[i].tuple_count; j++)
			latest_keep(packer->latest, &readings[i], &readings[i].tuples[j],
				readings[i].time_ms - packer->offset_ms, sequence);
}

/* Halves until a part fits; one reading alone that does not is lost. The last part says until when
 * everything was read, be it empty. */
static void pack_readings(
	struct packer *packer, const struct reading *readings, size_t count, int64_t until_ms)
{
	CLEANUP(buffer_deinit) struct buffer buffer;
	struct spool_note note = note_of(packer, readings, count, until_ms);
	uint64_t sequence;

	if (count == 0 && !until_ms)
		return;
	buffer_init(&buffer, PART_BYTES_MAX);
	message_encode_readings(&buffer, packer->host, readings, count);
	if (buffer_check(&buffer) == -EMSGSIZE && count > 1) {
		pack_readings(packer, readings, count / 2, 0);
		pack_readings(packer, readings + count / 2, count - count / 2, until_ms);
		return;
	}
	sequence = push(packer, &note, &buffer);
	if (sequence)
		keep_latest(packer, readings, count, sequence);
}

static void pack_infos(struct packer *packer, const struct instance_info *infos, size_t count)
{
	CLEANUP(buffer_deinit) struct buffer buffer;
	const struct spool_note note = { .type = '1' };

	buffer_init(&buffer, PART_BYTES_MAX);
	if (count == 0)
		return;
	message_encode_infos(&buffer, packer->host, infos, count);
	if (buffer_check(&buffer) == -EMSGSIZE && count > 1) {
		pack_infos(packer, infos, count / 2);
		pack_infos(packer, infos + count / 2, count - count / 2);
	} else {
		(void)push(packer, &note, &buffer);
	}
}

static void pack_news(struct packer *packer, struct batch *batch, int64_t now_ms)
{
	size_t count = 0;

	for (size_t i = 0; i < batch->info_count; i++)
		if (news_is_new(packer->news, &batch->infos[i], now_ms))
			batch->infos[count++] = batch->infos[i];
	news_forget_gone(packer->news, now_ms);
	pack_infos(packer, batch->infos, count);
}

/* A new segment. */

struct baseline {
	struct packer *packer;
	struct batch *batch; /* NULL: no memory */
	uint32_t segment;
	int64_t offset_ms, before_ms;
};

static void flush_baseline(struct baseline *baseline)
{
	if (baseline->batch)
		pack_readings(baseline->packer, baseline->batch->readings,
			baseline->batch->reading_count, 0);
	else
		log_error("no memory to bridge a step of the clock");
	batch_free(baseline->batch);
	baseline->batch = NULL;
	if (batch_new(&baseline->batch) < 0)
		baseline->batch = NULL;
}

static void add_baseline(void *context, struct latest_item *item)
{
	struct baseline *baseline = context;
	struct reading *reading = baseline->batch ? batch_add_reading(baseline->batch) : NULL;
	struct tuple *tuple = reading ? batch_add_tuple(baseline->batch, reading) : NULL;

	spool_pin(baseline->packer->spool, item->sequence);
	if (!tuple)
		return;
	*tuple = item->tuple;
	tuple->has_start = false;
	reading->instance = (struct instance_key){ .has_uuid = true, .uuid = item->instance };
	reading->epoch = item->epoch;
	reading->segment = baseline->segment;
	reading->start_ms = EPOCH_START_UNKNOWN;
	reading->time_ms = MIN_OF(item->read_ms + baseline->offset_ms, baseline->before_ms - 1);
	if (baseline->batch->reading_count == BASELINE_READINGS)
		flush_baseline(baseline);
}

static void begin_segment(struct packer *packer, uint32_t segment, int64_t before_ms)
{
	struct clock_reading now = clock_read(packer->clock);
	struct baseline baseline = { .packer = packer,
		.segment = segment,
		.offset_ms = now.wall_ms - now.monotonic_ms,
		.before_ms = before_ms };

	if (batch_new(&baseline.batch) < 0)
		baseline.batch = NULL;
	packer->segment = segment;
	packer->earlier_offset_ms = packer->offset_ms;
	packer->offset_ms = baseline.offset_ms;
	latest_each_alive(packer->latest, add_baseline, &baseline);
	flush_baseline(&baseline);
	batch_free(baseline.batch);
}

static int64_t first_time(const struct batch *batch)
{
	int64_t first_ms = INT64_MAX;

	for (size_t i = 0; i < batch->reading_count; i++)
		first_ms = MIN_OF(first_ms, batch->readings[i].time_ms);
	return batch->reading_count ? first_ms : batch->until_ms;
}

/* What was read in a segment that is over already stands behind its baseline by the new clock. */
static void restamp(const struct packer *packer, struct reading *reading)
{
	reading->time_ms += packer->offset_ms - packer->earlier_offset_ms;
	reading->segment = packer->segment;
	reading->start_ms = EPOCH_START_UNKNOWN;
	for (size_t i = 0; i < reading->tuple_count; i++)
		reading->tuples[i].has_start = false;
}

static void follow_clock(struct packer *packer, struct batch *batch)
{
	struct clock_reading now = clock_read(packer->clock);
	uint32_t segment = packer->segment;

	for (size_t i = 0; i < batch->reading_count; i++)
		segment = MAX_OF(segment, batch->readings[i].segment);
	if (segment != packer->segment)
		begin_segment(packer, segment, first_time(batch));
	else if (now.segment == segment)
		packer->offset_ms = now.wall_ms - now.monotonic_ms;
	for (size_t i = 0; i < batch->reading_count; i++)
		if (batch->readings[i].segment != segment)
			restamp(packer, &batch->readings[i]);
	/* A round that began before a step back ended at a time that is still to come. */
	batch->until_ms = MIN_OF(batch->until_ms, now.wall_ms);
}

static void pin(void *context, const struct latest_item *item)
{
	struct packer *packer = context;

	spool_pin(packer->spool, item->sequence);
}

void packer_pack(struct packer *packer, struct batch *batch)
{
	int64_t now_ms = clock_monotonic_ms(packer->clock);

	follow_clock(packer, batch);
	if (batch->reading_count || batch->until_ms)
		declare_away(packer, first_time(batch));
	if (batch->gap_count)
		(void)push_gaps(packer, batch->gaps, batch->gap_count);
	pack_news(packer, batch, now_ms);
	pack_readings(packer, batch->readings, batch->reading_count, batch->until_ms);
	if (batch->until_ms)
		latest_end_round(packer->latest, now_ms - FORGET_MS, pin, packer);
	packer_declare_losses(packer);
}
