/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "server/intake.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "server/peers.h"
#include "wire/message.h"

enum {
	RECEIVE_BURST = 64,
	RECEIVE_HIGH_WATER = 16, /* messages that libzmq keeps for each connection */
	SEND_HIGH_WATER = 10000,
	FRAME_SIZE_MAX = 2 * WIRE_MESSAGE_MAX, /* a peer that sends more is cut off */
	REPEAT_AFTER_MS = 10 * 1000,
	REPEAT_FOR_MS = 5 * 60 * 1000,
	FORGET_AFTER_MS = 60 * 60 * 1000,
	TICK_MS = 1000,
	ENVELOPE_MEMORY_MAX = 64 * 1024,
};

struct intake {
	struct intake_options options;
	zsock_t *pull;
	zsock_t *pub;
	zactor_t *monitor;
	char *pull_endpoint;
	char *pub_endpoint;
	struct peers *peers;
	struct arena arena;
	struct buffer buffer;
	int timer;
	bool is_paused;
	int64_t forgotten_ms;
	struct log_limit refusal_limits[_REFUSAL_COUNT];
	struct log_limit trouble_limit;
};

static int64_t now_ms(const struct intake *intake)
{
	return clock_monotonic_ms(intake->options.clock);
}

static void acknowledge(struct intake *intake, struct peer *peer)
{
	zmsg_t *message = zmsg_new();

	buffer_clear(&intake->buffer);
	message_encode_ack(&intake->buffer, peer->durable);
	if (buffer_check(&intake->buffer) == 0) {
		zmsg_addstr(message, peer->topic);
		zmsg_addmem(message, intake->buffer.bytes, intake->buffer.size);
		if (zmsg_send(&message, intake->pub) == 0)
			counters_add(intake->options.counters, COUNTER_ACKS, 1);
	}
	zmsg_destroy(&message);
	peer->acknowledged_ms = now_ms(intake);
}

/* Nothing of the message was kept and nothing is acknowledged. */
static void drop(struct intake *intake, int code, const struct error *err)
{
	uint64_t held_back;

	counters_add(intake->options.counters, COUNTER_UNAVAILABLE, 1);
	if (log_limit_pass(&intake->trouble_limit, intake->options.clock, &held_back))
		log_error("a message cannot be taken now: %s; it must come again (%" PRIu64
			  " more since the last report)",
			error_text(err, code), held_back);
}

static void report_refusals(struct intake *intake, const struct message_report *report)
{
	for (unsigned int i = 0; i < _REFUSAL_COUNT; i++) {
		uint64_t held_back;

		if (!report->refused[i])
			continue;
		counters_add(intake->options.counters, _COUNTER_REFUSAL + i, report->refused[i]);
		if (log_limit_pass(&intake->refusal_limits[i], intake->options.clock, &held_back))
			log_warning("refused (%s): %s; the valid rest is kept (%" PRIu64
				    " more messages since the last report)",
				refusal_name((enum refusal)i), report->first.text, held_back);
	}
	if (report->is_legacy)
		counters_add(intake->options.counters, COUNTER_LEGACY, 1);
}

static void take_heartbeat(struct intake *intake, const struct heartbeat *heartbeat)
{
	counters_add(intake->options.counters, COUNTER_HEARTBEATS, 1);
	if (heartbeat->status == 0)
		workers_farewell(intake->options.workers, heartbeat->worker);
	else
		workers_hear(intake->options.workers, heartbeat->worker, heartbeat->time_ms, NULL);
}

/* Takes the batch, which may be NULL if only the number counts. */
static void submit(struct intake *intake, struct batch **batch, struct peer *peer)
{
	struct writer_item item = { .batch = *batch, .token = peer };

	*batch = NULL;
	if (peer) {
		item.worker = peer->worker;
		item.spool = peer->spool;
		item.watermark = peer->sequences.until;
		peer->in_flight++;
	}
	writer_submit(intake->options.writer, &item);
}

static void take_number(struct intake *intake, struct peer *peer, const struct envelope *envelope)
{
	uint64_t gone = peer->sequences.gone;

	(void)sequences_take(&peer->sequences, envelope->sequence, envelope->oldest);
	if (peer->sequences.gone == gone)
		return;
	counters_add(intake->options.counters, COUNTER_GONE, peer->sequences.gone - gone);
	log_warning("worker '%s': %" PRIu64 " messages before number %" PRIu64
		    " were lost before they came here",
		peer->worker, peer->sequences.gone - gone, envelope->sequence);
}

static void decode_and_submit(struct intake *intake, const struct frame *frames, size_t count,
	struct peer *peer, const struct envelope *envelope)
{
	const struct message_options options = {
		.cpu_is_percent =
			strcmp(config_text(intake->options.config, "server", "legacy_cpu"),
				"percent") == 0,
		.now_ms = clock_wall_ms(intake->options.clock),
	};
	CLEANUP(message_deinit) struct message message = { 0 };
	struct message_report report = { 0 };
	struct batch *batch = NULL;
	int r;

	r = message_decode(frames, count, &options, &message, &report);
	report_refusals(intake, &report);
	if (r < 0) {
		drop(intake, r, NULL);
		return;
	}
	if (r == MESSAGE_REFUSED)
		counters_add(intake->options.counters, COUNTER_REFUSED, 1);
	else if (message.type == MESSAGE_HEART_BEAT)
		take_heartbeat(intake, &message.heartbeat);
	else
		batch = message.batch;
	if (peer)
		take_number(intake, peer, envelope);
	if (batch)
		message.batch = NULL;
	if (batch || peer)
		submit(intake, &batch, peer);
}

/* What is known already, or cannot be taken yet, is not worth parsing. */
static bool is_wanted(struct intake *intake, struct peer *peer, const struct envelope *envelope)
{
	switch (sequences_look(&peer->sequences, envelope->sequence, envelope->oldest)) {
	case SEQUENCES_KNOWN:
		counters_add(intake->options.counters, COUNTER_KNOWN, 1);
		acknowledge(intake, peer);
		return false;
	case SEQUENCES_TOO_FAR:
		counters_add(intake->options.counters, COUNTER_TOO_FAR, 1);
		return false;
	case SEQUENCES_NEW:
		break;
	}
	return true;
}

static void take_enveloped(struct intake *intake, const struct frame *frames)
{
	struct message_report report = { 0 };
	struct envelope envelope = { 0 };
	struct error err = { 0 };
	struct peer *peer;
	int r;

	arena_clear(&intake->arena);
	r = message_decode_envelope(&frames[2], &intake->arena, &envelope, &report);
	if (r == MESSAGE_REFUSED) {
		decode_and_submit(intake, frames, 3, NULL, NULL);
		return;
	}
	if (r == 0)
		r = peers_find(intake->peers, &envelope, now_ms(intake), &peer, &err);
	if (r != 0) {
		drop(intake, r, &err);
		return;
	}
	workers_hear(intake->options.workers, envelope.worker, 0, envelope.spool);
	if (is_wanted(intake, peer, &envelope))
		decode_and_submit(intake, frames, 3, peer, &envelope);
}

static void take(struct intake *intake, zmsg_t *message)
{
	struct frame frames[4];
	size_t count = 0;

	counters_add(intake->options.counters, COUNTER_RECEIVED, 1);
	for (zframe_t *frame = zmsg_first(message); frame && count < ARRAY_SIZE(frames);
		frame = zmsg_next(message))
		frames[count++] = (struct frame){ zframe_data(frame), zframe_size(frame) };
	if (count == 3)
		take_enveloped(intake, frames);
	else
		decode_and_submit(intake, frames, count, NULL, NULL);
}

static int on_message(zloop_t *loop, zsock_t *socket, void *argument)
{
	struct intake *intake = argument;

	for (int i = 0; i < RECEIVE_BURST && zsock_events(socket) & ZMQ_POLLIN; i++) {
		zmsg_t *message;

		if (writer_is_full(intake->options.writer)) {
			zloop_reader_end(loop, socket);
			intake->is_paused = true;
			counters_add(intake->options.counters, COUNTER_PAUSES, 1);
			return 0;
		}
		message = zmsg_recv(socket);
		if (message)
			take(intake, message);
		zmsg_destroy(&message);
	}
	return 0;
}

static int start_reading(struct intake *intake)
{
	if (zloop_reader(intake->options.loop, intake->pull, on_message, intake) < 0)
		return -ENOMEM;
	zloop_reader_set_tolerant(intake->options.loop, intake->pull);
	intake->is_paused = false;
	return 0;
}

static void count_tally(struct counters *counters, const struct store_tally *tally)
{
	counters_add(counters, COUNTER_STORED, tally->stored);
	counters_add(counters, COUNTER_DUPLICATE, tally->duplicate);
	counters_add(counters, COUNTER_CONFLICTING, tally->conflicting);
	counters_add(counters, COUNTER_LATE, tally->late);
}

static int on_committed(zloop_t *loop, zmq_pollitem_t *poll_item, void *argument)
{
	struct intake *intake = argument;
	struct writer_item items[WRITER_COMMIT_MAX];
	struct store_tally tally = { 0 };
	size_t count = writer_collect(intake->options.writer, items, ARRAY_SIZE(items), &tally);

	count_tally(intake->options.counters, &tally);
	for (size_t i = 0; i < count; i++) {
		struct peer *peer = items[i].token;

		if (!peer)
			continue;
		peer->in_flight--;
		peer->durable = MAX_OF(peer->durable, items[i].watermark);
	}
	for (size_t i = 0; i < count; i++) {
		struct peer *peer = items[i].token;

		/* The last item of each peer in this group speaks for all of them. */
		if (peer && items[i].watermark == peer->durable)
			acknowledge(intake, peer);
	}
	if (intake->is_paused && start_reading(intake) < 0)
		log_error("cannot read the workers' socket again: no memory");
	return 0;
}

static void repeat_acknowledgement(void *context, struct peer *peer)
{
	struct intake *intake = context;
	int64_t now = now_ms(intake);

	if (peer->durable && now - peer->acknowledged_ms >= REPEAT_AFTER_MS &&
		now - peer->heard_ms < REPEAT_FOR_MS)
		acknowledge(intake, peer);
}

static int on_tick(zloop_t *loop, int timer, void *argument)
{
	struct intake *intake = argument;
	int64_t now = now_ms(intake);

	workers_check(intake->options.workers);
	peers_each(intake->peers, repeat_acknowledgement, intake);
	if (now - intake->forgotten_ms >= FORGET_AFTER_MS) {
		peers_forget(intake->peers, now - FORGET_AFTER_MS);
		intake->forgotten_ms = now;
	}
	return 0;
}

/* libzmq does not say why a connection ended: a frame over the maximum is among these. */
static int on_monitor(zloop_t *loop, zsock_t *socket, void *argument)
{
	struct intake *intake = argument;
	zmsg_t *event = zmsg_recv(socket);

	if (event)
		counters_add(intake->options.counters, COUNTER_DISCONNECTED, 1);
	log_debug("a connection ended (frames above %d bytes are refused unread)", FRAME_SIZE_MAX);
	zmsg_destroy(&event);
	return 0;
}

static int bind_socket(zsock_t *socket, const struct config *config, const char *port_key,
	char **ret_endpoint, struct error *err)
{
	char endpoint[CONFIG_ENDPOINT_SIZE];

	config_endpoint(config, "server", "host", port_key, endpoint);
	zsock_set_linger(socket, 0);
	if (zsock_attach(socket, endpoint, true) < 0)
		return error_set(err, errno ? -errno : -EINVAL, "cannot listen on '%s': %s",
			endpoint, zmq_strerror(errno));
	*ret_endpoint = zsock_last_endpoint(socket);
	return *ret_endpoint ? 0 : -ENOMEM;
}

static int watch_connections(struct intake *intake)
{
	intake->monitor = zactor_new(zmonitor, intake->pull);
	if (!intake->monitor)
		return -ENOMEM;
	zstr_sendx(intake->monitor, "LISTEN", "DISCONNECTED", NULL);
	zstr_sendx(intake->monitor, "START", NULL);
	zsock_wait(intake->monitor);
	return zloop_reader(intake->options.loop, (zsock_t *)intake->monitor, on_monitor, intake) <
			       0
		       ? -ENOMEM
		       : 0;
}

static int start(struct intake *intake, struct error *err)
{
	zmq_pollitem_t committed = { .fd = writer_event_fd(intake->options.writer),
		.events = ZMQ_POLLIN };
	int r;

	intake->pull = zsock_new(ZMQ_PULL);
	intake->pub = zsock_new(ZMQ_PUB);
	if (!intake->pull || !intake->pub)
		return -ENOMEM;
	zsock_set_rcvhwm(intake->pull, RECEIVE_HIGH_WATER);
	zsock_set_maxmsgsize(intake->pull, FRAME_SIZE_MAX);
	zsock_set_sndhwm(intake->pub, SEND_HIGH_WATER);
	r = peers_new(intake->options.store, &intake->peers);
	if (r == 0)
		r = watch_connections(intake);
	if (r == 0)
		r = bind_socket(
			intake->pull, intake->options.config, "port", &intake->pull_endpoint, err);
	if (r == 0)
		r = bind_socket(intake->pub, intake->options.config, "pub_port",
			&intake->pub_endpoint, err);
	if (r == 0)
		r = start_reading(intake);
	if (r < 0)
		return r;
	intake->forgotten_ms = now_ms(intake);
	intake->timer = zloop_timer(intake->options.loop, TICK_MS, 0, on_tick, intake);
	if (intake->timer < 0 ||
		zloop_poller(intake->options.loop, &committed, on_committed, intake) < 0)
		return -ENOMEM;
	return 0;
}

int intake_new(const struct intake_options *options, struct intake **ret_intake, struct error *err)
{
	struct intake *intake = calloc(1, sizeof(*intake));
	int r;

	if (!intake)
		return -ENOMEM;
	intake->options = *options;
	intake->timer = -1;
	arena_init(&intake->arena, ENVELOPE_MEMORY_MAX);
	buffer_init(&intake->buffer, ENVELOPE_MEMORY_MAX);
	r = start(intake, err);
	if (r < 0) {
		intake_free(intake);
		return r;
	}
	*ret_intake = intake;
	return 0;
}

struct intake *intake_free(struct intake *intake)
{
	zmq_pollitem_t committed = { .events = ZMQ_POLLIN };

	if (!intake)
		return NULL;
	committed.fd = writer_event_fd(intake->options.writer);
	zloop_poller_end(intake->options.loop, &committed);
	if (intake->timer >= 0)
		zloop_timer_end(intake->options.loop, intake->timer);
	if (intake->monitor)
		zloop_reader_end(intake->options.loop, (zsock_t *)intake->monitor);
	if (intake->pull)
		zloop_reader_end(intake->options.loop, intake->pull);
	zactor_destroy(&intake->monitor);
	zsock_destroy(&intake->pull);
	zsock_destroy(&intake->pub);
	peers_free(intake->peers);
	freen(intake->pull_endpoint);
	freen(intake->pub_endpoint);
	buffer_deinit(&intake->buffer);
	arena_deinit(&intake->arena);
	free(intake);
	return NULL;
}

const char *intake_pull_endpoint(const struct intake *intake)
{
	return intake->pull_endpoint;
}

const char *intake_pub_endpoint(const struct intake *intake)
{
	return intake->pub_endpoint;
}
