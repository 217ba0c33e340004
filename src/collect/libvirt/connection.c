/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "collect/libvirt/connection.h"

#include <libvirt/virterror.h>
#include <pthread.h>

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

static void tell(virDomainPtr domain, const struct connection_events *events, bool is_urgent)
{
	struct uuid uuid;

	if (virDomainGetUUID(domain, uuid.bytes) == 0)
		events->changed(events->context, &uuid, is_urgent);
}

static int on_lifecycle(
	virConnectPtr connection, virDomainPtr domain, int event, int detail, void *events)
{
	tell(domain, events,
		event == VIR_DOMAIN_EVENT_STARTED || event == VIR_DOMAIN_EVENT_SHUTDOWN);
	return 0;
}

static void on_device(
	virConnectPtr connection, virDomainPtr domain, const char *alias, void *events)
{
	tell(domain, events, false);
}

static void on_metadata(virConnectPtr connection, virDomainPtr domain, int type,
	const char *namespace, void *events)
{
	tell(domain, events, false);
}

static void on_close(virConnectPtr connection, int reason, void *argument)
{
	const struct connection_events *events = argument;

	events->lost(events->context);
}

virConnectPtr connection_open(
	const char *uri, const struct connection_events *events, char *text, size_t size)
{
	void *context = (void *)(uintptr_t)events;
	virConnectPtr connection = virConnectOpenReadOnly(uri);

	if (!connection) {
		(void)text_copy(text, size, virGetLastErrorMessage());
		return NULL;
	}
	(void)virConnectSetKeepAlive(connection, KEEPALIVE_SECONDS, KEEPALIVE_COUNT);
	(void)virConnectRegisterCloseCallback(connection, on_close, context, NULL);
	virConnectDomainEventRegisterAny(connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
		VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), context, NULL);
	virConnectDomainEventRegisterAny(connection, NULL, VIR_DOMAIN_EVENT_ID_DEVICE_ADDED,
		VIR_DOMAIN_EVENT_CALLBACK(on_device), context, NULL);
	virConnectDomainEventRegisterAny(connection, NULL, VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
		VIR_DOMAIN_EVENT_CALLBACK(on_device), context, NULL);
	virConnectDomainEventRegisterAny(connection, NULL, VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
		VIR_DOMAIN_EVENT_CALLBACK(on_metadata), context, NULL);
	return connection;
}

void connection_close(virConnectPtr connection)
{
	if (!connection)
		return;
	(void)virConnectUnregisterCloseCallback(connection, on_close);
	virConnectClose(connection);
}
