/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "query/identity.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { IDENTITY_MEMORY_MAX = 128 * 1024 * 1024, CANDIDATES_MAX = 64 };

/* How well an instance answers to the id; the smaller the better. */
enum rank { RANK_KEY, RANK_NAME, RANK_DISPLAY_NAME, RANK_NONE };

struct candidate {
	struct instance_key key;
	enum rank rank;
	const char *name, *host; /* libvirt's; the key's text for old ones */
	int64_t first_ms, last_ms;
	const struct instance_info *infos;
	size_t info_count;
	const struct instance_port *ports;
	size_t port_count;
};

struct search {
	struct identity *identity;
	const char *id;
	identity_filter_fn is_there; /* NULL: all are */
	const void *context;
	struct candidate found[CANDIDATES_MAX];
	size_t count;
	bool is_cut;
};

const struct instance_port *identity_port(const struct identity *identity, const char *nic)
{
	for (size_t i = 0; i < identity->port_count; i++)
		if (strcmp(identity->ports[i].nic, nic) == 0)
			return &identity->ports[i];
	return NULL;
}

bool identity_port_has(const struct instance_port *port, const char *address)
{
	for (size_t i = 0; i < port->address_count; i++)
		if (strcmp(port->addresses[i], address) == 0)
			return true;
	return false;
}

const struct instance_info *identity_latest(const struct store_instance *instance)
{
	return instance->info_count ? &instance->infos[instance->info_count - 1] : NULL;
}

static bool is_name_at_host(const char *text, const char *name, const char *host)
{
	size_t size = strlen(name);

	return strncmp(text, name, size) == 0 && text[size] == '@' &&
	       strcmp(text + size + 1, host) == 0;
}

static enum rank rank_of(const struct store_instance *instance, const char *id)
{
	enum rank rank = RANK_NONE;

	if (!instance->key.has_uuid && strcmp(instance->key.name, id) == 0)
		return RANK_KEY;
	if (!instance->key.has_uuid)
		return RANK_NAME; /* the store found it without its @host */
	for (size_t i = 0; i < instance->info_count; i++) {
		const struct instance_info *info = &instance->infos[i];

		if (strcmp(info->name, id) == 0 || is_name_at_host(id, info->name, info->host))
			return RANK_NAME;
		if (strcmp(info->display_name, id) == 0)
			rank = RANK_DISPLAY_NAME;
	}
	return rank;
}

static const char *keep(struct search *search, const char *text)
{
	const char *copy = arena_copy_text(&search->identity->arena, text, strlen(text));

	return copy ? copy : "";
}

static void keep_ports(
	struct search *search, struct candidate *candidate, const struct instance_info *info)
{
	struct arena *arena = &search->identity->arena;
	struct instance_port *ports = arena_take_array(arena, info->port_count, sizeof(*ports));

	for (size_t i = 0; ports && i < info->port_count; i++) {
		const struct instance_port *from = &info->ports[i];
		const char **addresses =
			arena_take_array(arena, from->address_count + 1, sizeof(*addresses));

		ports[i].nic = keep(search, from->nic);
		ports[i].addresses = addresses;
		for (size_t j = 0; addresses && j < from->address_count; j++)
			addresses[ports[i].address_count++] = keep(search, from->addresses[j]);
	}
	candidate->ports = ports;
	candidate->port_count = ports ? info->port_count : 0;
}

static void keep_infos(
	struct search *search, struct candidate *candidate, const struct store_instance *instance)
{
	struct instance_info *infos =
		arena_take_array(&search->identity->arena, instance->info_count, sizeof(*infos));

	for (size_t i = 0; infos && i < instance->info_count; i++) {
		infos[i] = instance->infos[i];
		infos[i].ports = NULL;
		infos[i].port_count = 0;
		for (size_t j = 0; j < instance_field_count; j++) {
			const char **text = instance_field_at(&infos[i], j);

			*text = keep(search, *text);
		}
	}
	candidate->infos = infos;
	candidate->info_count = infos ? instance->info_count : 0;
}

static int take_candidate(void *context, const struct store_instance *instance)
{
	struct search *search = context;
	const struct instance_info *info = identity_latest(instance);
	struct candidate *candidate = &search->found[search->count];

	if (search->is_there && !search->is_there(search->context, instance))
		return 0;
	if (search->count == CANDIDATES_MAX) {
		search->is_cut = true;
		return 1;
	}
	*candidate = (struct candidate){ .key = instance->key,
		.rank = search->id ? rank_of(instance, search->id) : RANK_KEY,
		.first_ms = instance->first_ms,
		.last_ms = instance->last_ms };
	if (candidate->rank == RANK_NONE)
		return 0;
	candidate->name = keep(search, info                     ? info->name
				       : instance->key.has_uuid ? ""
								: instance->key.name);
	candidate->host = keep(search, info ? info->host : "");
	if (!instance->key.has_uuid)
		candidate->key.name = candidate->name;
	if (info) {
		keep_ports(search, candidate, info);
		keep_infos(search, candidate, instance);
	}
	search->count++;
	return 0;
}

static int run(struct search *search, struct store *store, const struct store_filter *filter,
	struct error *err)
{
	int r = store_instances(store, filter, take_candidate, search, err);

	return r == STORE_STOPPED ? 0 : r;
}

/* Is this old name the name of that instance of ours? */
static bool is_same(const struct candidate *old, const struct candidate *ours)
{
	return *ours->name && (strcmp(old->name, ours->name) == 0 ||
				      is_name_at_host(old->name, ours->name, ours->host));
}

static void take(struct identity *identity, const struct candidate *candidate)
{
	if (identity->key_count == IDENTITY_KEYS_MAX)
		return;
	if (identity->key_count == 0) {
		char text[UUID_TEXT_SIZE];
		const char *id = instance_key_text(&candidate->key, text);

		identity->id = arena_copy_text(&identity->arena, id, strlen(id));
		identity->name = candidate->name;
		identity->first_ms = candidate->first_ms;
	}
	identity->keys[identity->key_count++] = candidate->key;
	identity->is_legacy = identity->is_legacy || !candidate->key.has_uuid;
	if (candidate->first_ms && candidate->first_ms < identity->first_ms)
		identity->first_ms = candidate->first_ms;
	if (candidate->last_ms > identity->last_ms)
		identity->last_ms = candidate->last_ms;
	if (candidate->info_count) {
		identity->infos = candidate->infos;
		identity->info_count = candidate->info_count;
	}
	if (candidate->port_count) {
		identity->ports = candidate->ports;
		identity->port_count = candidate->port_count;
	}
}

static int ambiguous(const struct search *search, enum rank rank, struct error *err)
{
	char text[ERROR_TEXT_MAX] = "", uuid[UUID_TEXT_SIZE];
	size_t used = 0;

	for (size_t i = 0; i < search->count && used < sizeof(text); i++) {
		const struct candidate *candidate = &search->found[i];
		const char *key = instance_key_text(&candidate->key, uuid);

		if (candidate->rank > rank)
			continue;
		used += (size_t)snprintf(
			text + used, sizeof(text) - used, "%s%s", used ? ", " : "", key);
		if (candidate->key.has_uuid && used < sizeof(text))
			used += (size_t)snprintf(text + used, sizeof(text) - used, " (%s@%s)",
				candidate->name, candidate->host);
	}
	return error_set(err, QUERY_AMBIGUOUS, "'%s' is the name of several instances: %s",
		search->id, text);
}

/* The best rank that somebody has; names and old keys count as one. */
static enum rank best_rank(const struct search *search)
{
	enum rank best = RANK_NONE;

	for (size_t i = 0; i < search->count; i++)
		if (search->found[i].rank < best)
			best = search->found[i].rank;
	return best == RANK_KEY ? RANK_NAME : best;
}

/* Adds what old workers sent of the instance with a UUID that was found, unless others have that
 * name too. */
static int join_old(struct identity *identity, struct store *store, const struct candidate *ours,
	struct error *err)
{
	struct search search = { .identity = identity, .id = ours->name };
	const struct store_filter filter = { .name = ours->name };
	size_t owners = 0;
	int r;

	if (!*ours->name)
		return 0;
	r = run(&search, store, &filter, err);
	for (size_t i = 0; r == 0 && i < search.count; i++)
		owners += search.found[i].key.has_uuid && search.found[i].rank == RANK_NAME &&
			  strcmp(search.found[i].host, ours->host) == 0;
	for (size_t i = 0; r == 0 && owners == 1 && i < search.count; i++)
		if (!search.found[i].key.has_uuid && is_same(&search.found[i], ours))
			take(identity, &search.found[i]);
	return r;
}

/* Of several that have the name: the one with a UUID, if all others are its old names; or the old
 * name that is meant exactly. */
static int choose(struct search *search, struct store *store, struct error *err)
{
	enum rank rank = best_rank(search);
	const struct candidate *ours = NULL, *old = NULL, *exact = NULL;
	size_t our_count = 0, old_count = 0;

	for (size_t i = 0; i < search->count; i++) {
		const struct candidate *candidate = &search->found[i];

		if (candidate->rank > rank)
			continue;
		if (candidate->key.has_uuid) {
			ours = candidate;
			our_count++;
		} else {
			old = candidate;
			old_count++;
			exact = candidate->rank == RANK_KEY ? candidate : exact;
		}
	}
	if (our_count == 0 && (exact || old_count == 1)) {
		take(search->identity, exact ? exact : old);
		return 0;
	}
	if (our_count != 1 || search->is_cut)
		return ambiguous(search, rank, err);
	for (size_t i = 0; i < search->count; i++)
		if (search->found[i].rank <= rank && !search->found[i].key.has_uuid &&
			!is_same(&search->found[i], ours))
			return ambiguous(search, rank, err);
	take(search->identity, ours);
	return join_old(search->identity, store, ours, err);
}

int identity_find(
	struct store *store, const char *id, struct identity *ret_identity, struct error *err)
{
	return identity_find_among(store, id, NULL, NULL, ret_identity, err);
}

int identity_find_among(struct store *store, const char *id, identity_filter_fn is_there,
	const void *context, struct identity *ret_identity, struct error *err)
{
	struct search search = {
		.identity = ret_identity, .is_there = is_there, .context = context
	};
	struct instance_key key = { .has_uuid = true };
	struct store_filter filter = { .name = id };
	bool is_uuid = uuid_parse(id, &key.uuid) == 0;
	int r;

	*ret_identity = (struct identity){ 0 };
	arena_init(&ret_identity->arena, IDENTITY_MEMORY_MAX);
	if (is_uuid)
		filter = (struct store_filter){ .key = &key };
	else
		search.id = id;
	r = run(&search, store, &filter, err);
	if (r != 0)
		return r;
	if (search.count == 0)
		return error_set(err, QUERY_NOT_FOUND, "there is no instance '%s'", id);
	search.id = id;
	return choose(&search, store, err);
}

void identity_deinit(struct identity *identity)
{
	arena_deinit(&identity->arena);
}
