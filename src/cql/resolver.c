/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/resolver.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

/* Belongs to its thread and to who began it; the last one frees it. */
struct cql_resolver {
	struct cql_contact contacts[CQL_CONTACTS_MAX];
	size_t contact_count;
	int wake_fd;

	/* The thread's until it is done. */
	struct cql_found found[CQL_FOUND_MAX];
	size_t found_count;
	struct error reason;

	pthread_mutex_t lock; /* guards what follows */
	bool is_done, is_abandoned;
};

static void destroy(struct cql_resolver *resolver)
{
	pthread_mutex_destroy(&resolver->lock);
	free(resolver);
}

static void look_up(struct cql_resolver *resolver, const struct cql_contact *contact)
{
	struct cql_address addresses[CQL_CONTACT_ADDRESSES_MAX];
	size_t count = cql_contact_resolve(contact, addresses, &resolver->reason);

	for (size_t i = 0; i < count && resolver->found_count < CQL_FOUND_MAX; i++) {
		struct cql_found *found = &resolver->found[resolver->found_count++];

		found->address = addresses[i];
		text_copy(found->name, sizeof(found->name), contact->host);
	}
}

static void *run(void *argument)
{
	struct cql_resolver *resolver = argument;
	uint64_t one = 1;
	bool is_abandoned;

	for (size_t i = 0; i < resolver->contact_count; i++)
		look_up(resolver, &resolver->contacts[i]);
	pthread_mutex_lock(&resolver->lock);
	is_abandoned = resolver->is_abandoned;
	resolver->is_done = true;
	if (!is_abandoned)
		(void)!write(resolver->wake_fd, &one, sizeof(one)); /* full: it wakes anyhow */
	pthread_mutex_unlock(&resolver->lock);
	if (is_abandoned)
		destroy(resolver);
	return NULL;
}

static int start_thread(struct cql_resolver *resolver)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;
	int r;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	r = pthread_create(&thread, &attributes, run, resolver);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return -r;
}

int cql_resolver_new(const struct cql_contact *contacts, size_t count, int wake_fd,
	struct cql_resolver **ret_resolver, struct error *err)
{
	struct cql_resolver *resolver = calloc(1, sizeof(*resolver));
	int r;

	if (!resolver)
		return error_set(err, -ENOMEM, "no memory to look names up");
	memcpy(resolver->contacts, contacts, count * sizeof(*contacts));
	resolver->contact_count = count;
	resolver->wake_fd = wake_fd;
	pthread_mutex_init(&resolver->lock, NULL);
	r = start_thread(resolver);
	if (r < 0) {
		destroy(resolver);
		return error_set(err, r, "no thread to look names up: %s", strerror(-r));
	}
	*ret_resolver = resolver;
	return 0;
}

struct cql_resolver *cql_resolver_free(struct cql_resolver *resolver)
{
	bool is_done;

	if (!resolver)
		return NULL;
	pthread_mutex_lock(&resolver->lock);
	is_done = resolver->is_done;
	resolver->is_abandoned = true;
	pthread_mutex_unlock(&resolver->lock);
	if (is_done)
		destroy(resolver);
	return NULL;
}

bool cql_resolver_is_done(struct cql_resolver *resolver)
{
	bool is_done;

	pthread_mutex_lock(&resolver->lock);
	is_done = resolver->is_done;
	pthread_mutex_unlock(&resolver->lock);
	return is_done;
}

size_t cql_resolver_found(
	const struct cql_resolver *resolver, const struct cql_found **ret_found, struct error *err)
{
	if (resolver->reason.text[0])
		error_set(err, 0, "%s", resolver->reason.text);
	*ret_found = resolver->found;
	return resolver->found_count;
}
