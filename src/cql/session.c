/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/text.h"
#include "cql/inside.h"

/* The thread's turn: events of sockets; what was submitted; what was learnt of the cluster;
 * connections that ended or are due; statements; what is to be sent and what is too late; those who
 * asked. Only the third and fourth free connections, so that no event of this turn finds one gone.
 */

enum {
	PORT_DEFAULT = 9042,
	CONNECT_TIMEOUT_MS = 5 * 1000,
	REQUEST_TIMEOUT_MS = 10 * 1000,
	HEARTBEAT_MS = 15 * 1000,
	NEWS_AGAIN_MS = 1000, /* where there was no memory for them */
	EVENTS_MAX = 64,
	TURN_MAX_MS = 60 * 1000,
};

static const struct clock *clock_of(const struct cql_session *session)
{
	return session->cluster.connecting.clock;
}

void cql_session_wake(struct cql_session *session)
{
	uint64_t one = 1;
	ssize_t written = write(session->wake_fd, &one, sizeof(one));

	(void)written; /* full: it will wake anyhow */
}

static void on_topology(void *context, struct cql_topology **topology)
{
	struct cql_session *session = context;

	cql_topology_free(session->news);
	session->news = *topology;
	*topology = NULL;
}

/* Somebody wants to know whether the nodes agree: first what the witness has, then what all have.
 */
static void take_wish(struct cql_session *session, uint64_t wanted)
{
	if (wanted <= session->control.wanted)
		return;
	if (session->witnessed != wanted) {
		session->witnessed = wanted;
		cql_witness_ask(&session->witness, &session->cluster, &session->frame);
	}
	if (session->witness.is_out)
		return;
	session->control.wanted = wanted;
	cql_control_refresh(&session->control, 0);
}

static void take_submitted(struct cql_session *session)
{
	uint64_t wanted;

	pthread_mutex_lock(&session->lock);
	cql_calls_join(&session->waiting, &session->submitted);
	session->is_ending = session->is_stopping;
	wanted = session->refresh_wanted;
	pthread_mutex_unlock(&session->lock);
	if (!session->is_ending)
		take_wish(session, wanted);
}

static void take_news(struct cql_session *session)
{
	if (!session->news ||
		cql_cluster_update(&session->cluster, &session->news, &session->waiting) == 0)
		return;
	session->news = cql_topology_free(session->news);
	cql_control_refresh(&session->control, NEWS_AGAIN_MS);
}

/* What those who wait want to know. */
static void publish(struct cql_session *session)
{
	bool is_connected = session->counts.nodes_connected > 0;

	pthread_mutex_lock(&session->lock);
	session->trouble = session->cluster.trouble;
	if (is_connected != session->is_connected ||
		session->refresh_done != session->control.done) {
		session->is_connected = is_connected;
		session->refresh_done = session->control.done;
		session->is_agreed = cql_witness_agrees(&session->witness, &session->cluster);
		pthread_cond_broadcast(&session->changed);
	}
	pthread_mutex_unlock(&session->lock);
}

static void handle_events(struct cql_session *session, int64_t timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(session->epoll_fd, events, EVENTS_MAX, (int)timeout_ms);
	uint64_t wakes;

	for (int i = 0; i < count; i++)
		if (events[i].data.ptr)
			cql_connection_handle(events[i].data.ptr);
		else if (read(session->wake_fd, &wakes, sizeof(wakes)) < 0)
			continue;
}

static int64_t timeout_ms(const struct cql_session *session)
{
	int64_t deadline_ms = MIN_OF(cql_control_deadline_ms(&session->control),
		cql_cluster_deadline_ms(&session->cluster));
	int64_t left_ms;

	deadline_ms = MIN_OF(deadline_ms, cql_dispatch_deadline_ms(session));
	left_ms = deadline_ms - clock_monotonic_ms(clock_of(session));
	return left_ms < 0 ? 0 : MIN_OF(left_ms, (int64_t)TURN_MAX_MS);
}

static void turn(struct cql_session *session)
{
	handle_events(session, timeout_ms(session));
	take_submitted(session);
	cql_control_tick(&session->control);
	take_news(session);
	cql_cluster_tick(&session->cluster);
	cql_dispatch(session);
	cql_control_flush(&session->control);
	cql_cluster_flush(&session->cluster);
	publish(session);
	cql_dispatch_tell(session);
}

static void *run(void *argument)
{
	struct cql_session *session = argument;

	while (!session->is_ending)
		turn(session);
	cql_control_deinit(&session->control);
	for (size_t i = 0; i < session->cluster.count; i++)
		cql_node_disconnect(session->cluster.nodes[i]);
	take_submitted(session);
	cql_dispatch_end(session);
	cql_dispatch_tell(session);
	return NULL;
}

static int start_thread(struct cql_session *session, struct error *err)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	r = pthread_create(&session->thread, NULL, run, session);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return error_set(err, -r, "cannot start a thread: %s", strerror(r));
	session->has_thread = true;
	return 0;
}

static int open_descriptors(struct cql_session *session, struct error *err)
{
	struct epoll_event event = { .events = EPOLLIN };

	session->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	session->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (session->epoll_fd < 0 || session->wake_fd < 0 ||
		epoll_ctl(session->epoll_fd, EPOLL_CTL_ADD, session->wake_fd, &event) < 0)
		return error_set(err, -errno, "no descriptors: %s", strerror(errno));
	return 0;
}

static bool is_keyspace(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_";

	return name[0] && strlen(name) < CQL_KEYSPACE_SIZE && strspn(name, letters) == strlen(name);
}

static int copy_texts(
	struct cql_session *session, const struct cql_options *options, struct error *err)
{
	if (options->keyspace && !is_keyspace(options->keyspace))
		return error_set(err, -EINVAL, "'%s' is no keyspace's name", options->keyspace);
	if (options->keyspace)
		text_copy(session->control.keyspace, sizeof(session->control.keyspace),
			options->keyspace);
	if (options->local_dc && !text_copy(session->cluster.local_dc,
					 sizeof(session->cluster.local_dc), options->local_dc))
		return error_set(err, -EINVAL, "the data centre's name is too long");
	session->username = options->username ? strdup(options->username) : NULL;
	session->password = options->password ? strdup(options->password) : NULL;
	if ((options->username && !session->username) || (options->password && !session->password))
		return -ENOMEM;
	return 0;
}

static int64_t or_default(int64_t value, int64_t otherwise)
{
	return value > 0 ? value : otherwise;
}

static void set_up_connecting(struct cql_session *session, const struct cql_options *options)
{
	session->cluster.connecting = (struct cql_connection_options){
		.tls = session->tls,
		.username = session->username,
		.password = session->password,
		.use_lz4 = options->use_lz4,
		.connect_timeout_ms = or_default(options->connect_timeout_ms, CONNECT_TIMEOUT_MS),
		.request_timeout_ms = session->request_timeout_ms,
		.heartbeat_ms = HEARTBEAT_MS,
		.clock = clock_system(),
		.epoll_fd = session->epoll_fd,
		.counts = &session->counts,
	};
}

static void init_control(struct cql_session *session, size_t contact_count)
{
	session->control.cluster = &session->cluster;
	session->control.contacts = session->contacts;
	session->control.contact_count = contact_count;
	session->control.wake_fd = session->wake_fd;
	session->control.on_topology = on_topology;
	session->control.context = session;
	cql_control_init(&session->control);
	session->refresh_wanted =
		session->control.wanted; /* the first one, which nobody waits for */
}

static int set_up(struct cql_session *session, const struct cql_options *options, struct error *err)
{
	size_t contact_count = 0;
	int r = cql_contacts_read(options->hosts ? options->hosts : "",
		options->port ? options->port : PORT_DEFAULT, session->contacts, &contact_count,
		err);

	if (r == 0)
		r = copy_texts(session, options, err);
	if (r == 0 && options->use_tls)
		r = cql_tls_new(options->ca_file, options->cert_file, options->key_file,
			&session->tls, err);
	if (r == 0)
		r = open_descriptors(session, err);
	if (r < 0)
		return r;
	session->request_timeout_ms = or_default(options->request_timeout_ms, REQUEST_TIMEOUT_MS);
	session->pending_max = options->pending_max ? options->pending_max : CQL_PENDING_DEFAULT;
	set_up_connecting(session, options);
	init_control(session, contact_count);
	return start_thread(session, err);
}

static void init_lock(struct cql_session *session)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&session->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&session->changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

int cql_session_new(
	const struct cql_options *options, struct cql_session **ret_session, struct error *err)
{
	CLEANUP(cql_session_free) struct cql_session *session = calloc(1, sizeof(*session));
	int r;

	if (!session)
		return -ENOMEM;
	session->epoll_fd = session->wake_fd = -1;
	init_lock(session);
	cql_texts_init(&session->texts);
	buffer_init(&session->frame, CQL_REQUEST_MAX);
	r = set_up(session, options, err);
	if (r < 0)
		return r;
	*ret_session = session;
	session = NULL;
	return 0;
}

void cql_session_stop(struct cql_session *session)
{
	pthread_mutex_lock(&session->lock);
	session->is_stopping = true;
	pthread_cond_broadcast(&session->changed);
	pthread_mutex_unlock(&session->lock);
	if (session->wake_fd >= 0)
		cql_session_wake(session);
}

struct cql_session *cql_session_free(struct cql_session *session)
{
	if (!session)
		return NULL;
	cql_session_stop(session);
	if (session->has_thread)
		pthread_join(session->thread, NULL);
	cql_cluster_deinit(&session->cluster);
	cql_topology_free(session->news);
	buffer_deinit(&session->frame);
	if (session->epoll_fd >= 0)
		close(session->epoll_fd);
	if (session->wake_fd >= 0)
		close(session->wake_fd);
	cql_tls_free(session->tls);
	cql_texts_deinit(&session->texts);
	free(session->username);
	free(session->password);
	pthread_cond_destroy(&session->changed);
	pthread_mutex_destroy(&session->lock);
	free(session);
	return NULL;
}

static int64_t next_timestamp_us(struct cql_session *session)
{
	int64_t now_us = clock_wall_ms(clock_of(session)) * 1000;

	session->last_timestamp_us = MAX_OF(session->last_timestamp_us + 1, now_us);
	return session->last_timestamp_us;
}

/* Under the lock. One is always taken, however large. */
static bool has_place(const struct cql_session *session, size_t size)
{
	return session->pending == 0 ||
	       (session->pending < session->pending_max &&
		       session->pending_bytes + size <= CQL_PENDING_BYTES_MAX);
}

/* Returns 0; CQL_BUSY; CQL_UNAVAILABLE. */
static int take_place(struct cql_session *session, size_t size, bool may_wait, struct error *err)
{
	int r = 0;

	pthread_mutex_lock(&session->lock);
	session->waiters++;
	while (may_wait && !session->is_stopping && !has_place(session, size))
		pthread_cond_wait(&session->changed, &session->lock);
	session->waiters--;
	if (session->is_stopping)
		r = error_set(err, CQL_UNAVAILABLE, "the session was stopped");
	else if (!has_place(session, size))
		r = CQL_BUSY;
	if (r == 0) {
		session->pending++;
		session->pending_bytes += size;
	}
	pthread_mutex_unlock(&session->lock);
	return r;
}

/* Under the lock. */
static void enqueue(struct cql_session *session, struct cql_call *call)
{
	bool was_empty = !session->submitted.first;

	call->session = session;
	call->give_up_ms = clock_monotonic_ms(clock_of(session)) + session->request_timeout_ms;
	if (!call->timestamp_us)
		call->timestamp_us = next_timestamp_us(session);
	cql_calls_append(&session->submitted, call);
	session->counts.requests++;
	if (was_empty)
		cql_session_wake(session);
}

static int try_enqueue(struct cql_session *session, struct cql_call *call, struct error *err)
{
	bool is_stopping;

	pthread_mutex_lock(&session->lock);
	is_stopping = session->is_stopping;
	if (!is_stopping)
		enqueue(session, call);
	pthread_mutex_unlock(&session->lock);
	return is_stopping ? error_set(err, CQL_UNAVAILABLE, "the session was stopped") : 0;
}

static int submit_placed(struct cql_session *session, const struct cql_statement *statement,
	struct cql_bytes paging_state, size_t size, cql_done_fn done, void *context,
	struct error *err)
{
	struct cql_call *call = NULL;
	int r = cql_call_new(statement, paging_state, &session->texts, &call, err);

	if (r < 0)
		return r;
	call->size = size;
	call->done = done;
	call->context = context;
	r = try_enqueue(session, call, err);
	if (r != 0)
		cql_call_free(call);
	return r;
}

int cql_session_submit(struct cql_session *session, const struct cql_statement *statement,
	struct cql_bytes paging_state, bool may_wait, cql_done_fn done, void *context,
	struct error *err)
{
	size_t size = 0;
	int r = cql_call_measure(statement, &size, err);

	if (r == 0)
		r = take_place(session, size, may_wait, err);
	if (r != 0)
		return r;
	r = submit_placed(session, statement, paging_state, size, done, context, err);
	if (r != 0)
		cql_session_release(session, size);
	return r;
}

int cql_submit(struct cql_session *session, const struct cql_statement *statement, cql_done_fn done,
	void *context, struct error *err)
{
	return cql_session_submit(
		session, statement, (struct cql_bytes){ 0 }, false, done, context, err);
}

void cql_session_release(struct cql_session *session, size_t size)
{
	pthread_mutex_lock(&session->lock);
	session->pending--;
	session->pending_bytes -= size;
	if (session->waiters)
		pthread_cond_broadcast(&session->changed);
	pthread_mutex_unlock(&session->lock);
}

void cql_session_counters(struct cql_session *session, struct cql_counters *ret_counters)
{
	struct cql_counts *counts = &session->counts;

	*ret_counters = (struct cql_counters){ .requests = counts->requests,
		.failures = counts->failures,
		.retries = counts->retries,
		.timeouts = counts->timeouts,
		.late_answers = counts->late_answers,
		.overloads = counts->overloads,
		.prepares = counts->prepares,
		.unprepared = counts->unprepared,
		.connects = counts->connects,
		.connect_failures = counts->connect_failures,
		.disconnects = counts->disconnects,
		.events = counts->events,
		.sent_bytes = counts->sent_bytes,
		.received_bytes = counts->received_bytes,
		.nodes_known = counts->nodes_known,
		.nodes_connected = counts->nodes_connected };
	pthread_mutex_lock(&session->lock);
	ret_counters->pending = session->pending;
	pthread_mutex_unlock(&session->lock);
}
