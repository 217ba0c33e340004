/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "collect/libvirt/connection.h"

#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/text.h"

enum { KEEPALIVE_SECONDS = 5, KEEPALIVE_COUNT = 3, BEAT_MS = 60000 };

static void ignore_error(void *context, virErrorPtr problem)
{
}

static void ignore_timer(int timer, void *context)
{
}

/* Lives as long as the process: libvirt's loop cannot be taken down while calls may hang. */
static void *run_events(void *argument)
{
	while (virEventRunDefaultImpl() == 0)
		;
	return NULL;
}

int connection_prepare(void)
{
	static bool is_done;
	pthread_t thread;
	int r;

	if (is_done)
		return 0;
	virSetErrorFunc(NULL, ignore_error);
	if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0 ||
		virEventAddTimeout(BEAT_MS, ignore_timer, NULL, NULL) < 0)
		return -1;
	r = pthread_create(&thread, NULL, run_events, NULL);
	if (r != 0)
		return -r;
	pthread_detach(thread);
	is_done = true;
	return 0;
}

/* Who is told. Libvirt's event thread may be in a callback while the connection is closed, so this
 * belongs to the callbacks: each registration holds a reference, and so does the connection. */
struct listener {
	pthread_mutex_t lock;
	const struct connection_events *events; /* NULL: closed */
	int references;
};

struct connection {
	virConnectPtr handle;
	struct listener *listener;
	int callbacks[4]; /* -1: not registered */
};

static void release(void *argument)
{
	struct listener *listener = argument;
	bool is_last;

	pthread_mutex_lock(&listener->lock);
	is_last = --listener->references == 0;
	pthread_mutex_unlock(&listener->lock);
	if (!is_last)
		return;
	pthread_mutex_destroy(&listener->lock);
	free(listener);
}

static void hold(struct listener *listener)
{
	pthread_mutex_lock(&listener->lock);
	listener->references++;
	pthread_mutex_unlock(&listener->lock);
}

static void tell(virDomainPtr domain, struct listener *listener, struct event *event)
{
	if (virDomainGetUUID(domain, event->uuid.bytes) < 0)
		return;
	event->id = (int)virDomainGetID(domain);
	pthread_mutex_lock(&listener->lock);
	if (listener->events)
		listener->events->happened(listener->events->context, event);
	pthread_mutex_unlock(&listener->lock);
}

static int on_lifecycle(
	virConnectPtr connection, virDomainPtr domain, int kind, int detail, void *listener)
{
	static const enum event_kind kinds[] = {
		[VIR_DOMAIN_EVENT_DEFINED] = EVENT_DEFINED,
		[VIR_DOMAIN_EVENT_UNDEFINED] = EVENT_UNDEFINED,
		[VIR_DOMAIN_EVENT_STARTED] = EVENT_STARTED,
		[VIR_DOMAIN_EVENT_SUSPENDED] = EVENT_SUSPENDED,
		[VIR_DOMAIN_EVENT_RESUMED] = EVENT_RESUMED,
		[VIR_DOMAIN_EVENT_STOPPED] = EVENT_STOPPED,
		[VIR_DOMAIN_EVENT_SHUTDOWN] = EVENT_SHUTDOWN,
		[VIR_DOMAIN_EVENT_PMSUSPENDED] = EVENT_PMSUSPENDED,
		[VIR_DOMAIN_EVENT_CRASHED] = EVENT_CRASHED,
	};
	struct event event = { .detail = detail };

	if (kind >= 0 && kind < (int)ARRAY_SIZE(kinds))
		event.kind = kinds[kind];
	tell(domain, listener, &event);
	return 0;
}

static void tell_device(
	virDomainPtr domain, void *listener, enum event_kind kind, const char *alias)
{
	struct event event = { .kind = kind };

	(void)text_copy(event.alias, sizeof(event.alias), alias ? alias : "");
	tell(domain, listener, &event);
}

static void on_device_added(
	virConnectPtr connection, virDomainPtr domain, const char *alias, void *listener)
{
	tell_device(domain, listener, EVENT_DEVICE_ADDED, alias);
}

static void on_device_removed(
	virConnectPtr connection, virDomainPtr domain, const char *alias, void *listener)
{
	tell_device(domain, listener, EVENT_DEVICE_REMOVED, alias);
}

static void on_metadata(virConnectPtr connection, virDomainPtr domain, int type,
	const char *namespace, void *listener)
{
	struct event event = { .kind = EVENT_CHANGED };

	tell(domain, listener, &event);
}

static void on_close(virConnectPtr connection, int reason, void *argument)
{
	struct listener *listener = argument;

	pthread_mutex_lock(&listener->lock);
	if (listener->events)
		listener->events->lost(listener->events->context);
	pthread_mutex_unlock(&listener->lock);
}

static struct connection *make(const struct connection_events *events)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	struct listener *listener = calloc(1, sizeof(*listener));

	if (!connection || !listener) {
		free(connection);
		free(listener);
		return NULL;
	}
	pthread_mutex_init(&listener->lock, NULL);
	listener->events = events;
	listener->references = 1;
	connection->listener = listener;
	for (size_t i = 0; i < ARRAY_SIZE(connection->callbacks); i++)
		connection->callbacks[i] = -1;
	return connection;
}

static void subscribe(struct connection *connection)
{
	static const struct {
		int event;
		virConnectDomainEventGenericCallback function;
	} events[] = {
		{ VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle) },
		{ VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(on_device_added) },
		{ VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
			VIR_DOMAIN_EVENT_CALLBACK(on_device_removed) },
		{ VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_metadata) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		hold(connection->listener);
		connection->callbacks[i] = virConnectDomainEventRegisterAny(connection->handle,
			NULL, events[i].event, events[i].function, connection->listener, release);
		if (connection->callbacks[i] < 0)
			release(connection->listener);
	}
	hold(connection->listener);
	if (virConnectRegisterCloseCallback(
		    connection->handle, on_close, connection->listener, release) < 0)
		release(connection->listener);
}

struct connection *connection_open(
	const char *uri, const struct connection_events *events, char *text, size_t size)
{
	struct connection *connection = make(events);

	if (!connection) {
		(void)text_copy(text, size, "out of memory");
		return NULL;
	}
	connection->handle = virConnectOpenReadOnly(uri);
	if (!connection->handle) {
		(void)text_copy(text, size, virGetLastErrorMessage());
		return connection_close(connection);
	}
	(void)virConnectSetKeepAlive(connection->handle, KEEPALIVE_SECONDS, KEEPALIVE_COUNT);
	subscribe(connection);
	return connection;
}

struct connection *connection_close(struct connection *connection)
{
	if (!connection)
		return NULL;
	pthread_mutex_lock(&connection->listener->lock);
	connection->listener->events = NULL;
	pthread_mutex_unlock(&connection->listener->lock);
	for (size_t i = 0; i < ARRAY_SIZE(connection->callbacks); i++)
		if (connection->callbacks[i] >= 0)
			(void)virConnectDomainEventDeregisterAny(
				connection->handle, connection->callbacks[i]);
	if (connection->handle) {
		(void)virConnectUnregisterCloseCallback(connection->handle, on_close);
		virConnectClose(connection->handle);
	}
	release(connection->listener);
	free(connection);
	return NULL;
}

virConnectPtr connection_handle(const struct connection *connection)
{
	return connection->handle;
}
