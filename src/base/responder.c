/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "base/responder.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { RESPONDER_THREADS_MAX = 64, RESPONDER_FRAMES_MAX = 16, RESPONDER_BURST = 64 };

struct responder {
	struct responder_options options;
	zloop_t *loop;
	zsock_t *router;
	zsock_t *answers; /* inproc PULL: what the threads have ready */
	char *answers_endpoint;
	char *endpoint;
	uint64_t answered, refused;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake;
	zlist_t *queue; /* of zmsg_t: routing frames, delimiter, request */
	bool is_ending;

	pthread_t threads[RESPONDER_THREADS_MAX];
	size_t thread_count;
};

/* Splits the routing frames off the request: all up to an empty frame if there is one, else the
 * first. The delimiter stays with the routing frames, so that it goes back as it came. */
static zmsg_t *split_route(zmsg_t *message)
{
	zmsg_t *route = zmsg_new();
	bool has_delimiter = false;
	size_t place = 0;

	for (zframe_t *frame = zmsg_first(message); frame; frame = zmsg_next(message), place++)
		if (place == 1 && zframe_size(frame) == 0)
			has_delimiter = true;
	for (size_t i = 0; i < (has_delimiter ? 2u : 1u); i++) {
		zframe_t *frame = zmsg_pop(message);

		if (frame)
			zmsg_append(route, &frame);
	}
	return route;
}

static void prepend(zmsg_t *message, zmsg_t **route)
{
	zframe_t *frame;

	while ((frame = zmsg_last(*route))) {
		zmsg_remove(*route, frame);
		zmsg_prepend(message, &frame);
	}
	zmsg_destroy(route);
}

static zmsg_t *call(struct responder *responder, responder_fn function, zmsg_t **message)
{
	zmsg_t *route = split_route(*message);
	zmsg_t *answer = function(responder->options.context, message);

	zmsg_destroy(message);
	if (answer)
		prepend(answer, &route);
	zmsg_destroy(&route);
	return answer;
}

/* The next request, or NULL when it is time to end. */
static zmsg_t *take(struct responder *responder)
{
	zmsg_t *message;

	pthread_mutex_lock(&responder->lock);
	while (!responder->is_ending && zlist_size(responder->queue) == 0)
		pthread_cond_wait(&responder->wake, &responder->lock);
	message = responder->is_ending ? NULL : zlist_pop(responder->queue);
	pthread_mutex_unlock(&responder->lock);
	return message;
}

static void *run_thread(void *argument)
{
	struct responder *responder = argument;
	zsock_t *out = zsock_new_push(responder->answers_endpoint);
	zmsg_t *message;

	while (out && (message = take(responder))) {
		zmsg_t *answer = call(responder, responder->options.answer, &message);

		if (answer && zmsg_send(&answer, out) < 0)
			zmsg_destroy(&answer);
	}
	zsock_destroy(&out);
	return NULL;
}

/* A peer that is gone, or does not read, loses its answer: ROUTER never blocks. */
static void send_to_peer(struct responder *responder, zmsg_t **answer)
{
	if (*answer && zmsg_send(answer, responder->router) < 0)
		zmsg_destroy(answer);
}

static void accept_one(struct responder *responder, zmsg_t *message)
{
	bool is_full;

	pthread_mutex_lock(&responder->lock);
	is_full = zlist_size(responder->queue) >= responder->options.queue_max;
	if (!is_full) {
		zlist_append(responder->queue, message);
		pthread_cond_signal(&responder->wake);
	}
	pthread_mutex_unlock(&responder->lock);
	if (is_full) {
		zmsg_t *answer = call(responder, responder->options.refuse, &message);

		responder->refused++;
		send_to_peer(responder, &answer);
	}
}

static int on_request(zloop_t *loop, zsock_t *socket, void *argument)
{
	struct responder *responder = argument;

	for (int i = 0; i < RESPONDER_BURST && zsock_events(socket) & ZMQ_POLLIN; i++) {
		zmsg_t *message = zmsg_recv(socket);

		if (message && zmsg_size(message) <= RESPONDER_FRAMES_MAX)
			accept_one(responder, message);
		else
			zmsg_destroy(&message);
	}
	return 0;
}

static int on_answer(zloop_t *loop, zsock_t *socket, void *argument)
{
	struct responder *responder = argument;

	while (zsock_events(socket) & ZMQ_POLLIN) {
		zmsg_t *answer = zmsg_recv(socket);

		responder->answered++;
		send_to_peer(responder, &answer);
	}
	return 0;
}

static int open_sockets(struct responder *responder, struct error *err)
{
	char endpoint[64];

	responder->router = zsock_new(ZMQ_ROUTER);
	responder->answers = zsock_new(ZMQ_PULL);
	if (!responder->router || !responder->answers)
		return -ENOMEM;
	zsock_set_maxmsgsize(responder->router, (int)responder->options.message_max);
	zsock_set_rcvhwm(responder->router, 16);
	zsock_set_sndhwm(responder->router, 16);
	zsock_set_linger(responder->router, 0);
	if (zsock_attach(responder->router, responder->options.endpoint, true) < 0)
		return error_set(err, -errno, "cannot listen on '%s': %s",
			responder->options.endpoint, zmq_strerror(errno));
	snprintf(endpoint, sizeof(endpoint), "inproc://responder-%p", (void *)responder);
	responder->answers_endpoint = strdup(endpoint);
	if (!responder->answers_endpoint)
		return -ENOMEM;
	if (zsock_attach(responder->answers, endpoint, true) < 0)
		return error_set(err, -errno, "cannot bind '%s'", endpoint);
	responder->endpoint = zsock_last_endpoint(responder->router);
	return responder->endpoint ? 0 : -ENOMEM;
}

static int start(struct responder *responder, struct error *err)
{
	size_t threads = MIN_OF(responder->options.threads, (size_t)RESPONDER_THREADS_MAX);
	int r = open_sockets(responder, err);

	if (r < 0)
		return r;
	if (zloop_reader(responder->loop, responder->router, on_request, responder) < 0 ||
		zloop_reader(responder->loop, responder->answers, on_answer, responder) < 0)
		return -ENOMEM;
	zloop_reader_set_tolerant(responder->loop, responder->router);
	zloop_reader_set_tolerant(responder->loop, responder->answers);
	for (; responder->thread_count < threads; responder->thread_count++) {
		r = pthread_create(
			&responder->threads[responder->thread_count], NULL, run_thread, responder);
		if (r != 0)
			return error_set(err, -r, "cannot start a thread: %s", strerror(r));
	}
	return 0;
}

int responder_new(zloop_t *loop, const struct responder_options *options,
	struct responder **ret_responder, struct error *err)
{
	struct responder *responder = calloc(1, sizeof(*responder));
	int r;

	if (!responder)
		return -ENOMEM;
	responder->options = *options;
	responder->loop = loop;
	pthread_mutex_init(&responder->lock, NULL);
	pthread_cond_init(&responder->wake, NULL);
	responder->queue = zlist_new();
	r = responder->queue ? start(responder, err) : -ENOMEM;
	if (r < 0) {
		responder_free(responder);
		return r;
	}
	*ret_responder = responder;
	return 0;
}

struct responder *responder_free(struct responder *responder)
{
	zmsg_t *message;

	if (!responder)
		return NULL;
	pthread_mutex_lock(&responder->lock);
	responder->is_ending = true;
	pthread_cond_broadcast(&responder->wake);
	pthread_mutex_unlock(&responder->lock);
	for (size_t i = 0; i < responder->thread_count; i++)
		pthread_join(responder->threads[i], NULL);
	if (responder->router)
		zloop_reader_end(responder->loop, responder->router);
	if (responder->answers)
		zloop_reader_end(responder->loop, responder->answers);
	zsock_destroy(&responder->router);
	zsock_destroy(&responder->answers);
	while (responder->queue && (message = zlist_pop(responder->queue)))
		zmsg_destroy(&message);
	zlist_destroy(&responder->queue);
	pthread_cond_destroy(&responder->wake);
	pthread_mutex_destroy(&responder->lock);
	freen(responder->answers_endpoint);
	freen(responder->endpoint);
	free(responder);
	return NULL;
}

const char *responder_endpoint(const struct responder *responder)
{
	return responder->endpoint;
}

uint64_t responder_answered(const struct responder *responder)
{
	return responder->answered;
}

uint64_t responder_refused(const struct responder *responder)
{
	return responder->refused;
}
