/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "worker/sender.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "wire/message.h"
#include "worker/probe.h"
#include "worker/servers.h"

enum {
	IN_FLIGHT_MAX = 8,
	HIGH_WATER_MARK = 16,
	LINGER_MS = 500,
	ACK_TIMEOUT_MS = 5000,
	ACK_TIMEOUT_MAX_MS = 60000,
	NO_HEARTBEAT = -1,
	/* A server does not take a number that is too far ahead of the oldest one it waits for. */
	WINDOW = 2048,
};

struct sender {
	struct sender_options options;
	struct servers servers;
	size_t server; /* that is used now */
	struct probe probe;
	bool is_tried; /* it was found by the probe, and did not acknowledge yet */
	zsock_t *push, *sub;
	char spool[SPOOL_ID_SIZE]; /* that the sockets are for */
	uint64_t next;             /* the number that is sent next */
	uint64_t acknowledged;
	struct {
		uint64_t sequence, previous;
	} in_flight[IN_FLIGHT_MAX]; /* what was sent, the oldest first */
	size_t in_flight_count;
	int heartbeat; /* a status that waits, or NO_HEARTBEAT */
	int64_t progress_ms;
	bool is_repeated; /* sent again since then */
	int64_t timeout_ms, backoff_ms;
	bool is_silent; /* said so already */
	struct log_limit strange_limit;
};

static const struct server *present(const struct sender *sender)
{
	return &sender->servers.items[sender->server];
}

/* Everything from the oldest message on. */
static void send_again(struct sender *sender)
{
	sender->next = spool_oldest(sender->options.spool);
	sender->in_flight_count = 0;
}

static void note_progress(struct sender *sender)
{
	sender->progress_ms = clock_monotonic_ms(sender->options.clock);
	sender->is_repeated = false;
}

/* The server may know more than was sent in this connection: after a lost mark it is sent again
 * from far below. Where a number below the oldest message is missing for good, the server must hear
 * so: it waits for it until an envelope says that it is gone. */
static void take_acknowledgement(struct sender *sender, uint64_t sequence)
{
	size_t count = 0;

	spool_acknowledge(sender->options.spool, sequence);
	sender->acknowledged = sequence;
	sender->next = MAX_OF(sender->next, sequence + 1);
	while (count < sender->in_flight_count && sender->in_flight[count].sequence <= sequence)
		count++;
	sender->in_flight_count -= count;
	memmove(sender->in_flight, sender->in_flight + count,
		sender->in_flight_count * sizeof(*sender->in_flight));
	if (sender->in_flight_count && sender->in_flight[0].previous > sequence)
		send_again(sender);
	note_progress(sender);
	sender->timeout_ms = sender->backoff_ms = ACK_TIMEOUT_MS;
	if (sender->is_silent)
		log_info("%s acknowledges", present(sender)->name);
	sender->is_silent = false;
	if (sender->is_tried)
		probe_satisfy(&sender->probe);
	sender->is_tried = false;
}

/* No life of this spool had that number: nothing can be said of what waits. */
static void ignore_acknowledgement(struct sender *sender, uint64_t sequence)
{
	uint64_t held_back;

	if (log_limit_pass(&sender->strange_limit, sender->options.clock, &held_back))
		log_warning("%s acknowledges number %" PRIu64
			    ", which the spool never gave; is it an older copy?",
			present(sender)->name, sequence);
}

static void hear_acknowledgement(struct sender *sender, uint64_t sequence)
{
	if (strcmp(sender->spool, spool_id(sender->options.spool)) != 0)
		return; /* of the spool before; sender_pump follows */
	if (sequence >= spool_next(sender->options.spool))
		ignore_acknowledgement(sender, sequence);
	else if (sequence > sender->acknowledged)
		take_acknowledgement(sender, sequence);
}

static int on_acknowledgement(zloop_t *loop, zsock_t *sub, void *argument)
{
	struct sender *sender = argument;
	zmsg_t *message = zmsg_recv(sub);
	zframe_t *frame = message ? zmsg_last(message) : NULL;
	struct frame ack = { frame ? zframe_data(frame) : NULL, frame ? zframe_size(frame) : 0 };
	uint64_t sequence = 0;

	if (frame && zmsg_size(message) == 2 && message_decode_ack(&ack, &sequence) == 0)
		hear_acknowledgement(sender, sequence);
	zmsg_destroy(&message);
	if (loop)
		sender_pump(sender);
	return 0;
}

static void close_sockets(struct sender *sender)
{
	if (sender->sub)
		zloop_reader_end(sender->options.loop, sender->sub);
	zsock_destroy(&sender->sub);
	zsock_destroy(&sender->push);
}

static void subscribe(struct sender *sender)
{
	CLEANUP(buffer_deinit) struct buffer topic;

	buffer_init(&topic, 4096);
	message_encode_ack_topic(&topic, sender->options.worker, sender->spool);
	if (buffer_check(&topic) == 0)
		zmq_setsockopt(zsock_resolve(sender->sub), ZMQ_SUBSCRIBE, topic.bytes, topic.size);
}

static int open_sockets(struct sender *sender, struct error *err)
{
	const struct server *server = present(sender);

	sender->push = zsock_new(ZMQ_PUSH);
	sender->sub = zsock_new(ZMQ_SUB);
	if (!sender->push || !sender->sub)
		return -ENOMEM;
	zsock_set_immediate(sender->push, 1);
	zsock_set_sndhwm(sender->push, HIGH_WATER_MARK);
	zsock_set_linger(sender->push, LINGER_MS);
	zsock_set_rcvhwm(sender->sub, HIGH_WATER_MARK);
	zsock_set_linger(sender->sub, 0);
	zsock_set_maxmsgsize(sender->sub, 4096);
	zsock_set_ipv6(sender->push, server->is_ipv6);
	zsock_set_ipv6(sender->sub, server->is_ipv6);
	memcpy(sender->spool, spool_id(sender->options.spool), sizeof(sender->spool));
	subscribe(sender);
	if (zsock_connect(sender->sub, "%s", server->sub) < 0 ||
		zsock_connect(sender->push, "%s", server->push) < 0)
		return error_set(err, -EINVAL, "cannot connect to '%s'", server->push);
	note_progress(sender);
	send_again(sender);
	sender->acknowledged = sender->next - 1;
	return zloop_reader(sender->options.loop, sender->sub, on_acknowledgement, sender) < 0
		       ? -ENOMEM
		       : 0;
}

int sender_new(const struct sender_options *options, struct sender **ret_sender, struct error *err)
{
	CLEANUP(sender_free) struct sender *sender = calloc(1, sizeof(*sender));
	int r;

	if (!sender)
		return -ENOMEM;
	sender->options = *options;
	sender->heartbeat = NO_HEARTBEAT;
	sender->timeout_ms = sender->backoff_ms = ACK_TIMEOUT_MS;
	probe_init(&sender->probe,
		config_integer(options->config, "worker", "dataserver_return_seconds") * 1000);
	r = servers_load(&sender->servers, options->config, options->worker, err);
	if (r == 0)
		r = open_sockets(sender, err);
	if (r < 0)
		return r;
	if (sender->servers.count > 1)
		log_info("sending to %s, of %zu servers", present(sender)->name,
			sender->servers.count);
	*ret_sender = sender;
	sender = NULL;
	return 0;
}

struct sender *sender_free(struct sender *sender)
{
	if (!sender)
		return NULL;
	close_sockets(sender);
	probe_deinit(&sender->probe);
	free(sender);
	return NULL;
}

void sender_heartbeat(struct sender *sender, int status)
{
	sender->heartbeat = status;
}

static bool send_frames(struct sender *sender, zmsg_t **frames)
{
	if (zsock_events(sender->push) & ZMQ_POLLOUT && zmsg_send(frames, sender->push) == 0)
		return true;
	zmsg_destroy(frames);
	return false;
}

static bool send_heartbeat(struct sender *sender)
{
	CLEANUP(buffer_deinit) struct buffer json;
	zmsg_t *frames = zmsg_new();

	buffer_init(&json, WIRE_MESSAGE_MAX);
	message_encode_heartbeat(&json, sender->options.worker,
		clock_wall_ms(sender->options.clock), sender->heartbeat);
	zmsg_addstr(frames, "0");
	zmsg_addmem(frames, json.bytes, json.size);
	if (!send_frames(sender, &frames))
		return false;
	sender->heartbeat = NO_HEARTBEAT;
	return true;
}

static bool send_message(struct sender *sender, const struct spool_message *message)
{
	CLEANUP(buffer_deinit) struct buffer json;
	const struct envelope envelope = { .worker = sender->options.worker,
		.spool = spool_id(sender->options.spool),
		.sequence = message->sequence,
		.oldest = spool_begin(sender->options.spool),
		.previous = message->previous,
		.first_ms = message->note.is_gap ? 0 : message->note.first_ms,
		.last_ms = message->note.is_gap ? 0 : message->note.last_ms,
		.until_ms = message->note.until_ms };
	zmsg_t *frames = zmsg_new();

	buffer_init(&json, 8192);
	message_encode_envelope(&json, &envelope);
	zmsg_addmem(frames, &message->note.type, 1);
	zmsg_addmem(frames, message->bytes, message->size);
	zmsg_addmem(frames, json.bytes, json.size);
	return send_frames(sender, &frames);
}

static void open_again(struct sender *sender)
{
	struct error err = { 0 };
	int r;

	close_sockets(sender);
	r = open_sockets(sender, &err);
	if (r < 0)
		log_error("%s", error_text(&err, r));
	if (sender->heartbeat == NO_HEARTBEAT)
		sender->heartbeat = 1;
}

/* Another server, or the same one by another connection; later the next time. */
static void replace_sockets(struct sender *sender)
{
	if (sender->is_tried)
		probe_disappoint(&sender->probe);
	sender->is_tried = false;
	if (!sender->is_silent)
		log_warning("%s does not acknowledge; %zu messages wait", present(sender)->name,
			spool_count(sender->options.spool));
	sender->is_silent = true;
	sender->server = (sender->server + 1) % sender->servers.count;
	if (sender->server == 0)
		sender->backoff_ms = MIN_OF(sender->backoff_ms * 2, ACK_TIMEOUT_MAX_MS);
	sender->timeout_ms = sender->backoff_ms - (int64_t)randof(sender->backoff_ms / 4);
	open_again(sender);
	probe_restart(&sender->probe, clock_monotonic_ms(sender->options.clock));
}

/* To a server that is preferred to the present one, and is there again. What was sent to the
 * present one and is not acknowledged is sent again, too. */
static void return_to_better(struct sender *sender)
{
	int64_t now_ms = clock_monotonic_ms(sender->options.clock);
	size_t better = probe_look(&sender->probe, &sender->servers, sender->server, now_ms);

	if (better == sender->server)
		return;
	sender->server = better;
	log_info("%s is there again; sending to it", present(sender)->name);
	sender->is_tried = true;
	sender->timeout_ms = sender->backoff_ms = ACK_TIMEOUT_MS;
	open_again(sender);
	probe_restart(&sender->probe, now_ms);
}

/* An acknowledgement may have been lost, when the subscription came later than the message. */
static void repeat_once(struct sender *sender)
{
	if (sender->is_repeated)
		return;
	send_again(sender);
	sender->is_repeated = true;
}

static void look_for_silence(struct sender *sender)
{
	int64_t silent_ms = clock_monotonic_ms(sender->options.clock) - sender->progress_ms;
	bool is_waiting = spool_count(sender->options.spool) || sender->heartbeat != NO_HEARTBEAT;

	if (!is_waiting)
		note_progress(sender);
	else if (!sender->push || silent_ms >= sender->timeout_ms)
		replace_sockets(sender);
	else if (silent_ms >= sender->timeout_ms / 2)
		repeat_once(sender);
}

/* A folder that could not be used before had an older spool in it, which is sent now. */
static void follow_spool(struct sender *sender)
{
	if (strcmp(sender->spool, spool_id(sender->options.spool)) == 0)
		return;
	open_again(sender);
}

static bool is_sendable(struct sender *sender, struct spool_message *message)
{
	return sender->in_flight_count < IN_FLIGHT_MAX &&
	       spool_find(sender->options.spool, sender->next, message) &&
	       message->sequence - spool_oldest(sender->options.spool) < WINDOW;
}

bool sender_pump(struct sender *sender)
{
	struct spool_message message;

	spool_sync(sender->options.spool);
	follow_spool(sender);
	look_for_silence(sender);
	return_to_better(sender);
	if (!sender->push)
		return false;
	if (sender->heartbeat != NO_HEARTBEAT && !send_heartbeat(sender))
		return true;
	while (is_sendable(sender, &message)) {
		if (!send_message(sender, &message))
			return true;
		sender->in_flight[sender->in_flight_count].sequence = message.sequence;
		sender->in_flight[sender->in_flight_count++].previous = message.previous;
		sender->next = message.sequence + 1;
	}
	return false;
}

static bool is_connected(const struct sender *sender)
{
	return sender->push && zsock_events(sender->push) & ZMQ_POLLOUT;
}

void sender_flush(struct sender *sender, int64_t timeout_ms)
{
	int64_t end_ms = clock_monotonic_ms(sender->options.clock) + timeout_ms;
	const zsock_t *sub = sender->sub;
	zpoller_t *poller = sub ? zpoller_new(sender->sub, NULL) : NULL;

	if (!poller)
		return;
	zpoller_set_nonstop(poller, true);
	sender->timeout_ms = sender->backoff_ms = 2 * ACK_TIMEOUT_MAX_MS; /* no other socket now */
	probe_deinit(&sender->probe);
	probe_init(&sender->probe, 0);
	sender->progress_ms = clock_monotonic_ms(sender->options.clock);
	while ((sender_pump(sender) || spool_count(sender->options.spool)) && sender->sub == sub &&
		is_connected(sender) && clock_monotonic_ms(sender->options.clock) < end_ms)
		if (zpoller_wait(poller, 50))
			on_acknowledgement(NULL, sender->sub, sender);
	zpoller_destroy(&poller);
}
