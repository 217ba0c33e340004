/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "api/http/crew.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/ahead/ahead.h"

/* Blocks of ids go to the threads by turns. */
enum { BLOCK = 64 };

struct member {
	struct crew *crew;
	struct methods methods; /* with a store that reads ahead, where there are UUIDs */
	struct store *ahead;
	json_t *args;
	json_t *ids; /* its own, in order */
	pthread_t thread;
	/* Of the crew's lock: */
	json_t *backlog[CREW_BACKLOG_MAX]; /* a ring */
	size_t first, count;
	enum answer_code code; /* of what came behind the backlog; a failure ends it */
	struct error err;
};

struct crew {
	const char *method;
	struct member *members;
	size_t count;
	size_t id_count, next; /* of all ids, the number of the next one to be handed out */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_ending;
};

static struct member *member_of(const struct crew *crew, size_t number)
{
	return &crew->members[number / BLOCK % crew->count];
}

/* Waits for a place. False: it is not wanted any more. */
static bool hand_in(struct member *member, enum answer_code code, json_t *data)
{
	struct crew *crew = member->crew;
	bool is_wanted;

	pthread_mutex_lock(&crew->lock);
	while (!crew->is_ending && member->count == CREW_BACKLOG_MAX)
		pthread_cond_wait(&crew->changed, &crew->lock);
	is_wanted = !crew->is_ending && code == ANSWER_SUCCESS;
	if (is_wanted)
		member->backlog[(member->first + member->count++) % CREW_BACKLOG_MAX] = data;
	else
		json_decref(data);
	member->code = code;
	pthread_cond_broadcast(&crew->changed);
	pthread_mutex_unlock(&crew->lock);
	return is_wanted;
}

static void *run(void *argument)
{
	struct member *member = argument;
	enum answer_code code;
	struct error err = { 0 };
	json_t *data, *id;
	size_t i;

	json_array_foreach(member->ids, i, id)
	{
		data = NULL;
		json_object_set(member->args, "id", id);
		code = methods_ask(
			&member->methods, member->crew->method, member->args, &data, &err);
		if (code != ANSWER_SUCCESS)
			member->err = err;
		if (!hand_in(member, code, data))
			break;
	}
	return NULL;
}

/* What is asked about by a name is not read ahead. */
static bool read_ahead(struct member *member)
{
	size_t count = 0, i;
	struct uuid *uuids = calloc(json_array_size(member->ids) + 1, sizeof(*uuids));
	json_t *id;
	int r;

	if (!uuids)
		return false;
	json_array_foreach(member->ids, i, id)
	{
		if (uuid_parse(json_string_value(id), &uuids[count]) == 0)
			count++;
	}
	r = ahead_store_new(member->methods.store, uuids, count, &member->ahead);
	free(uuids);
	if (r == 0)
		member->methods.store = member->ahead;
	return r == 0;
}

static bool member_start(struct member *member, struct crew *crew, const struct methods *methods,
	const json_t *args, const json_t *ids)
{
	size_t i;
	json_t *id;

	member->crew = crew;
	member->methods = *methods;
	member->code = ANSWER_SUCCESS;
	member->args = json_deep_copy(args);
	member->ids = json_array();
	json_array_foreach(ids, i, id)
	{
		if (member_of(crew, i) == member)
			json_array_append_new(member->ids, json_string(json_string_value(id)));
	}
	return member->args && member->ids && read_ahead(member) &&
	       pthread_create(&member->thread, NULL, run, member) == 0;
}

static void member_deinit(struct member *member)
{
	for (size_t i = 0; i < member->count; i++)
		json_decref(member->backlog[(member->first + i) % CREW_BACKLOG_MAX]);
	store_free(member->ahead);
	json_decref(member->args);
	json_decref(member->ids);
}

/* One for each processor, but no more than there are blocks. */
static size_t members_for(size_t id_count)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	size_t most = processors > 0 ? MIN_OF((size_t)processors, (size_t)CREW_THREADS_MAX) : 1;

	return MIN_OF(most, (id_count + BLOCK - 1) / BLOCK + !id_count);
}

struct crew *crew_new(
	const struct methods *methods, const char *method, const json_t *args, const json_t *ids)
{
	struct crew *crew = calloc(1, sizeof(*crew));
	size_t started = 0;
	bool is_ok;

	if (!crew)
		return NULL;
	crew->method = method;
	crew->id_count = json_array_size(ids);
	crew->count = members_for(crew->id_count);
	crew->members = calloc(crew->count, sizeof(*crew->members));
	pthread_mutex_init(&crew->lock, NULL);
	pthread_cond_init(&crew->changed, NULL);
	is_ok = crew->members != NULL;
	while (is_ok && started < crew->count) {
		is_ok = member_start(&crew->members[started], crew, methods, args, ids);
		if (is_ok)
			started++;
		else
			member_deinit(&crew->members[started]);
	}
	if (is_ok)
		return crew;
	crew->count = started;
	return crew_free(crew);
}

struct crew *crew_free(struct crew *crew)
{
	if (!crew)
		return NULL;
	pthread_mutex_lock(&crew->lock);
	crew->is_ending = true;
	pthread_cond_broadcast(&crew->changed);
	pthread_mutex_unlock(&crew->lock);
	for (size_t i = 0; i < crew->count; i++) {
		pthread_join(crew->members[i].thread, NULL);
		member_deinit(&crew->members[i]);
	}
	pthread_cond_destroy(&crew->changed);
	pthread_mutex_destroy(&crew->lock);
	free(crew->members);
	free(crew);
	return NULL;
}

enum answer_code crew_next(struct crew *crew, json_t **ret_data, struct error *err)
{
	struct member *member;
	enum answer_code code;

	*ret_data = NULL;
	if (crew->next == crew->id_count)
		return ANSWER_SUCCESS;
	member = member_of(crew, crew->next);
	pthread_mutex_lock(&crew->lock);
	while (member->count == 0 && member->code == ANSWER_SUCCESS)
		pthread_cond_wait(&crew->changed, &crew->lock);
	code = member->count ? ANSWER_SUCCESS : member->code;
	if (member->count) {
		*ret_data = member->backlog[member->first];
		member->first = (member->first + 1) % CREW_BACKLOG_MAX;
		member->count--;
		crew->next++;
		pthread_cond_broadcast(&crew->changed);
	} else {
		*err = member->err;
		crew->next = crew->id_count;
	}
	pthread_mutex_unlock(&crew->lock);
	return code;
}
