/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "server/intake.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "server/admission.h"
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
	ACKNOWLEDGEMENT_MAX = 4096,
};

struct intake {
	struct intake_options options;
	zsock_t *pull;
	zsock_t *pub;
	zactor_t *monitor;
	char *pull_endpoint;
	char *pub_endpoint;
	struct admission *admission;
	struct buffer buffer;
	int timer;
	bool is_paused;
	int64_t forgotten_ms;
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

static void take(struct intake *intake, zmsg_t *message)
{
	struct writer_item item;
	struct frame frames[4];
	struct peer *peer;
	size_t count = 0;

	for (zframe_t *frame = zmsg_first(message); frame && count < ARRAY_SIZE(frames);
		frame = zmsg_next(message))
		frames[count++] = (struct frame){ zframe_data(frame), zframe_size(frame) };
	switch (admission_take(intake->admission, frames, count, &item, &peer)) {
	case ADMISSION_STORE:
		writer_submit(intake->options.writer, &item);
		break;
	case ADMISSION_ACKNOWLEDGE:
		acknowledge(intake, peer);
		break;
	case ADMISSION_DONE:
		break;
	}
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

static void count_acknowledged(struct intake *intake, const struct writer_item *items, size_t count)
{
	uint64_t now_us = stopwatch_us();

	for (size_t i = 0; i < count; i++)
		if (items[i].token)
			histogram_add(&intake->options.counters->acknowledged,
				now_us - items[i].taken_us);
}

static int on_committed(zloop_t *loop, zmq_pollitem_t *poll_item, void *argument)
{
	struct intake *intake = argument;
	struct writer_item items[WRITER_COMMIT_MAX];
	struct store_tally tally = { 0 };
	size_t count = writer_collect(intake->options.writer, items, ARRAY_SIZE(items), &tally);

	count_tally(intake->options.counters, &tally);
	admission_committed(intake->admission, items, count);
	for (size_t i = 0; i < count; i++) {
		struct peer *peer = items[i].token;

		/* The last item of each peer in this group speaks for all of them. */
		if (peer && items[i].source.sequence == peer->durable)
			acknowledge(intake, peer);
	}
	count_acknowledged(intake, items, count);
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
	peers_each(admission_peers(intake->admission), repeat_acknowledgement, intake);
	if (now - intake->forgotten_ms >= FORGET_AFTER_MS) {
		peers_forget(admission_peers(intake->admission), now - FORGET_AFTER_MS);
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
	const struct admission_options admission = { intake->options.clock, intake->options.config,
		intake->options.store, intake->options.workers, intake->options.counters };
	int r;

	intake->pull = zsock_new(ZMQ_PULL);
	intake->pub = zsock_new(ZMQ_PUB);
	if (!intake->pull || !intake->pub)
		return -ENOMEM;
	zsock_set_rcvhwm(intake->pull, RECEIVE_HIGH_WATER);
	zsock_set_maxmsgsize(intake->pull, FRAME_SIZE_MAX);
	zsock_set_sndhwm(intake->pub, SEND_HIGH_WATER);
	r = admission_new(&admission, &intake->admission);
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
	buffer_init(&intake->buffer, ACKNOWLEDGEMENT_MAX);
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
	admission_free(intake->admission);
	freen(intake->pull_endpoint);
	freen(intake->pub_endpoint);
	buffer_deinit(&intake->buffer);
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
