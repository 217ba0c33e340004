/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "server/admission.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ENVELOPE_MEMORY_MAX = 64 * 1024 };

struct admission {
	struct admission_options options;
	struct peers *peers;
	struct arena arena; /* of the envelope that is looked at */
	struct log_limit refusal_limits[_REFUSAL_COUNT];
	struct log_limit trouble_limit;
};

/* One message on its way. */
struct taking {
	struct admission *admission;
	const struct frame *frames;
	size_t count;
	struct peer *peer;               /* NULL without a usable envelope */
	const struct envelope *envelope; /* likewise */
};

static void count(struct admission *admission, unsigned int counter, uint64_t value)
{
	counters_add(admission->options.counters, counter, value);
}

/* Nothing of the message was kept and nothing is acknowledged. */
static enum admission_outcome drop(struct admission *admission, int code, const struct error *err)
{
	uint64_t held_back;

	count(admission, COUNTER_UNAVAILABLE, 1);
	if (log_limit_pass(&admission->trouble_limit, admission->options.clock, &held_back))
		log_error("a message cannot be taken now: %s; it must come again (%" PRIu64
			  " more since the last report)",
			error_text(err, code), held_back);
	return ADMISSION_DONE;
}

/* Whether anything was refused. */
static bool report_refusals(struct admission *admission, const struct message_report *report)
{
	bool is_any = false;

	for (unsigned int i = 0; i < _REFUSAL_COUNT; i++) {
		uint64_t held_back;

		if (!report->refused[i])
			continue;
		is_any = true;
		count(admission, _COUNTER_REFUSAL + i, report->refused[i]);
		if (log_limit_pass(
			    &admission->refusal_limits[i], admission->options.clock, &held_back))
			log_warning("refused (%s): %s; the valid rest is kept (%" PRIu64
				    " more messages since the last report)",
				refusal_name((enum refusal)i), report->first.text, held_back);
	}
	if (report->is_legacy)
		count(admission, COUNTER_LEGACY, 1);
	return is_any;
}

static void take_heartbeat(struct admission *admission, const struct heartbeat *heartbeat)
{
	struct workers *workers = admission->options.workers;

	count(admission, COUNTER_HEARTBEATS, 1);
	if (heartbeat->status == 0)
		workers_farewell(workers, heartbeat->worker);
	else
		workers_hear(workers, heartbeat->worker, heartbeat->time_ms, NULL);
}

/* Adds a gap of the peer's host to the batch, which is made if there is none. */
static int add_gap(struct batch **batch, const struct peer *peer, const struct frontier_gap *lost)
{
	struct gap *gap;
	int r = *batch ? 0 : batch_new(batch);

	if (r < 0)
		return r;
	if (!(*batch)->host[0])
		(*batch)->host = peer->host ? peer->host : peer->worker;
	gap = batch_add_gap(*batch);
	if (!gap)
		return -ENOMEM;
	*gap = (struct gap){
		.from_ms = lost->from_ms, .to_ms = lost->to_ms, .reason = lost->reason
	};
	return 0;
}

static void take_number(const struct taking *taking)
{
	const struct envelope *envelope = taking->envelope;
	const struct sequence_claim claim = { envelope->sequence, envelope->oldest,
		envelope->previous };
	struct peer *peer = taking->peer;
	uint64_t gone = peer->sequences.gone;

	(void)sequences_take(&peer->sequences, &claim);
	if (peer->sequences.gone == gone)
		return;
	count(taking->admission, COUNTER_GONE, peer->sequences.gone - gone);
	log_warning("worker '%s': %" PRIu64 " messages before number %" PRIu64
		    " were lost before they came here",
		peer->worker, peer->sequences.gone - gone, envelope->sequence);
}

/* The frontier moves. What is lost becomes a gap; as far as it is certain, at once, for with this
 * message the number of what is lost counts as dealt with. */
static int take_times(const struct taking *taking, bool is_refused, struct batch **batch)
{
	const struct envelope *envelope = taking->envelope;
	const struct frontier_note note = { envelope->sequence, envelope->previous,
		envelope->last_ms, envelope->until_ms,
		clock_wall_ms(taking->admission->options.clock), is_refused };
	struct peer *peer = taking->peer;
	struct frontier_gap gap;
	int r = 0;

	frontier_take(&peer->frontier, &note);
	while (r == 0 && frontier_reach(&peer->frontier, peer->sequences.until, &gap))
		r = add_gap(batch, peer, &gap);
	if (r == 0 && frontier_lost(&peer->frontier, &gap))
		r = add_gap(batch, peer, &gap);
	return r;
}

/* All that the envelope stands for, as an item. */
static int take_envelope(const struct taking *taking, bool is_refused, struct batch **batch,
	struct writer_item *item)
{
	struct peer *peer = taking->peer;
	int r = *batch && (*batch)->host[0] ? peer_name_host(peer, (*batch)->host) : 0;

	take_number(taking);
	if (r == 0)
		r = take_times(taking, is_refused, batch);
	item->token = peer;
	item->source = peer_source(peer);
	peer->in_flight++;
	return r;
}

static enum admission_outcome decode(const struct taking *taking, struct writer_item *ret_item)
{
	struct admission *admission = taking->admission;
	const struct message_options options = {
		.cpu_is_percent =
			strcmp(config_text(admission->options.config, "server", "legacy_cpu"),
				"percent") == 0,
		.now_ms = clock_wall_ms(admission->options.clock),
	};
	CLEANUP(message_deinit) struct message message = { 0 };
	CLEANUP(batch_free) struct batch *batch = NULL;
	struct message_report report = { 0 };
	bool is_refused;
	int r;

	r = message_decode(taking->frames, taking->count, &options, &message, &report);
	is_refused = report_refusals(admission, &report);
	if (r < 0)
		return drop(admission, r, NULL);
	if (r == MESSAGE_REFUSED)
		count(admission, COUNTER_REFUSED, 1);
	else if (message.type == MESSAGE_HEART_BEAT)
		take_heartbeat(admission, &message.heartbeat);
	else
		batch = message.batch;
	if (batch)
		message.batch = NULL;
	r = taking->peer ? take_envelope(taking, is_refused, &batch, ret_item) : 0;
	if (r < 0)
		log_error("a gap of worker '%s' is not recorded: %s", taking->peer->worker,
			strerror(-r));
	if (!batch && !taking->peer)
		return ADMISSION_DONE;
	ret_item->batch = batch;
	batch = NULL;
	return ADMISSION_STORE;
}

static void note_sent(const struct taking *taking)
{
	struct workers *workers = taking->admission->options.workers;
	const struct envelope *envelope = taking->envelope;
	const struct peer *peer = taking->peer;

	workers_note_sent(workers, envelope->worker,
		&(struct worker_sent){ envelope->sequence, envelope->oldest, envelope->last_ms });
	if (!peer->in_flight)
		workers_note_durable(
			workers, envelope->worker, peer->durable, peer->frontier.until_ms);
}

/* What is known already, or cannot be taken yet, is not worth parsing. */
static enum admission_outcome take_enveloped(
	struct taking *taking, struct writer_item *ret_item, struct peer **ret_peer)
{
	struct admission *admission = taking->admission;
	struct message_report report = { 0 };
	struct envelope envelope = { 0 };
	struct sequence_claim claim;
	struct error err = { 0 };
	int r;

	arena_clear(&admission->arena);
	r = message_decode_envelope(&taking->frames[2], &admission->arena, &envelope, &report);
	if (r == MESSAGE_REFUSED)
		return decode(taking, ret_item);
	if (r == 0)
		r = peers_find(admission->peers, &envelope, &taking->peer, &err);
	if (r != 0)
		return drop(admission, r, &err);
	*ret_peer = taking->peer;
	taking->envelope = &envelope;
	workers_hear(admission->options.workers, envelope.worker, 0, envelope.spool);
	note_sent(taking);
	claim = (struct sequence_claim){ envelope.sequence, envelope.oldest, envelope.previous };
	switch (sequences_look(&taking->peer->sequences, &claim)) {
	case SEQUENCES_KNOWN:
		count(admission, COUNTER_KNOWN, 1);
		return ADMISSION_ACKNOWLEDGE;
	case SEQUENCES_TOO_FAR:
		count(admission, COUNTER_TOO_FAR, 1);
		return ADMISSION_DONE;
	case SEQUENCES_NEW:
		break;
	}
	return decode(taking, ret_item);
}

enum admission_outcome admission_take(struct admission *admission, const struct frame *frames,
	size_t frame_count, struct writer_item *ret_item, struct peer **ret_peer)
{
	struct taking taking = { .admission = admission, .frames = frames, .count = frame_count };

	*ret_item = (struct writer_item){ 0 };
	ret_item->taken_us = stopwatch_us();
	*ret_peer = NULL;
	count(admission, COUNTER_RECEIVED, 1);
	for (size_t i = 0; i < frame_count; i++)
		count(admission, COUNTER_BYTES, frames[i].size);
	return frame_count == 3 ? take_enveloped(&taking, ret_item, ret_peer)
				: decode(&taking, ret_item);
}

void admission_committed(
	struct admission *admission, const struct writer_item *items, size_t item_count)
{
	for (size_t i = 0; i < item_count; i++) {
		const struct store_source *source = &items[i].source;
		struct peer *peer = items[i].token;

		if (!peer)
			continue;
		peer->in_flight--;
		peer->durable = MAX_OF(peer->durable, source->sequence);
		workers_note_durable(
			admission->options.workers, peer->worker, peer->durable, source->until_ms);
	}
}

struct peers *admission_peers(struct admission *admission)
{
	return admission->peers;
}

int admission_new(const struct admission_options *options, struct admission **ret_admission)
{
	struct admission *admission = calloc(1, sizeof(*admission));
	int r;

	if (!admission)
		return -ENOMEM;
	admission->options = *options;
	arena_init(&admission->arena, ENVELOPE_MEMORY_MAX);
	r = peers_new(options->store, options->clock, &admission->peers);
	if (r < 0) {
		admission_free(admission);
		return r;
	}
	*ret_admission = admission;
	return 0;
}

struct admission *admission_free(struct admission *admission)
{
	if (!admission)
		return NULL;
	peers_free(admission->peers);
	arena_deinit(&admission->arena);
	free(admission);
	return NULL;
}
