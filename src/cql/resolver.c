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

/* A name and what was found. */
struct look_up {
	struct cql_contact contact;
	bool is_done;
	struct cql_address addresses[CQL_CONTACT_ADDRESSES_MAX];
	size_t count, told;
	struct error reason; /* "" after it was told */
};

/* Belongs to its threads and to who began it; the last one frees it. */
struct cql_resolver {
	int wake_fd;
	size_t count;
	pthread_mutex_t lock; /* guards what follows, except for contacts */
	struct look_up look_ups[CQL_CONTACTS_MAX];
	size_t begun, running; /* threads */
	bool is_abandoned;
};

static void destroy(struct cql_resolver *resolver)
{
	pthread_mutex_destroy(&resolver->lock);
	free(resolver);
}

/* The one that no other thread has. */
static struct look_up *take(struct cql_resolver *resolver)
{
	struct look_up *mine;

	pthread_mutex_lock(&resolver->lock);
	mine = &resolver->look_ups[resolver->begun++];
	pthread_mutex_unlock(&resolver->lock);
	return mine;
}

/* Under the lock. */
static void keep(struct look_up *look_up, const struct look_up *result)
{
	memcpy(look_up->addresses, result->addresses, sizeof(look_up->addresses));
	look_up->count = result->count;
	look_up->reason = result->reason;
	look_up->is_done = true;
}

static void *run(void *argument)
{
	struct cql_resolver *resolver = argument;
	struct look_up *mine = take(resolver);
	struct look_up result = { 0 };
	uint64_t one = 1;
	bool is_last;

	result.count = cql_contact_resolve(&mine->contact, result.addresses, &result.reason);
	pthread_mutex_lock(&resolver->lock);
	keep(mine, &result);
	resolver->running--;
	is_last = resolver->running == 0 && resolver->is_abandoned;
	if (!resolver->is_abandoned)
		(void)!write(resolver->wake_fd, &one, sizeof(one)); /* full: it wakes anyhow */
	pthread_mutex_unlock(&resolver->lock);
	if (is_last)
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

/* As many as can be; what has no thread is not found. Under the lock. */
static int start_threads(struct cql_resolver *resolver)
{
	int r = 0;

	while (r == 0 && resolver->running < resolver->count) {
		r = start_thread(resolver);
		if (r == 0)
			resolver->running++;
	}
	resolver->count = resolver->running;
	return resolver->count ? 0 : r;
}

int cql_resolver_new(const struct cql_contact *contacts, size_t count, int wake_fd,
	struct cql_resolver **ret_resolver, struct error *err)
{
	struct cql_resolver *resolver = calloc(1, sizeof(*resolver));
	int r;

	if (!resolver)
		return error_set(err, -ENOMEM, "no memory to look names up");
	for (size_t i = 0; i < count; i++)
		resolver->look_ups[i].contact = contacts[i];
	resolver->count = count;
	resolver->wake_fd = wake_fd;
	pthread_mutex_init(&resolver->lock, NULL);
	pthread_mutex_lock(&resolver->lock);
	r = start_threads(resolver);
	pthread_mutex_unlock(&resolver->lock);
	if (r < 0) {
		destroy(resolver);
		return error_set(err, r, "no thread to look names up: %s", strerror(-r));
	}
	*ret_resolver = resolver;
	return 0;
}

struct cql_resolver *cql_resolver_free(struct cql_resolver *resolver)
{
	bool is_last;

	if (!resolver)
		return NULL;
	pthread_mutex_lock(&resolver->lock);
	is_last = resolver->running == 0;
	resolver->is_abandoned = true;
	pthread_mutex_unlock(&resolver->lock);
	if (is_last)
		destroy(resolver);
	return NULL;
}

bool cql_resolver_is_done(struct cql_resolver *resolver)
{
	bool is_done;

	pthread_mutex_lock(&resolver->lock);
	is_done = resolver->running == 0;
	pthread_mutex_unlock(&resolver->lock);
	return is_done;
}

static bool has_news(const struct look_up *look_up)
{
	return look_up->is_done && (look_up->told < look_up->count || look_up->reason.text[0]);
}

/* Under the lock. NULL: none. */
static struct look_up *find_news(struct cql_resolver *resolver)
{
	for (size_t i = 0; i < resolver->count; i++)
		if (has_news(&resolver->look_ups[i]))
			return &resolver->look_ups[i];
	return NULL;
}

bool cql_resolver_has_news(struct cql_resolver *resolver)
{
	bool has_news;

	pthread_mutex_lock(&resolver->lock);
	has_news = resolver->running == 0 || find_news(resolver);
	pthread_mutex_unlock(&resolver->lock);
	return has_news;
}

static void tell_address(struct look_up *look_up, struct cql_found *ret_found)
{
	ret_found->address = look_up->addresses[look_up->told++];
	text_copy(ret_found->name, sizeof(ret_found->name), look_up->contact.host);
}

static void tell_reason(struct look_up *look_up, struct error *err)
{
	error_set(err, 0, "%s", look_up->reason.text);
	look_up->reason.text[0] = '\0';
}

bool cql_resolver_next(
	struct cql_resolver *resolver, struct cql_found *ret_found, struct error *err)
{
	struct look_up *look_up;
	bool has_address = false;

	pthread_mutex_lock(&resolver->lock);
	while (!has_address && (look_up = find_news(resolver))) {
		has_address = look_up->told < look_up->count;
		if (has_address)
			tell_address(look_up, ret_found);
		else
			tell_reason(look_up, err);
	}
	pthread_mutex_unlock(&resolver->lock);
	return has_address;
}
