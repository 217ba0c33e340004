/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Which instance an id means.
 *
 * In this order: a UUID; exactly an old worker's name; a libvirt name, or name@host; a display
 * name. What an old worker sent under a name, and what a worker of ours sent under the UUID of the
 * only instance that has that name (and host), are one instance: its data are under several keys of
 * the store. */

#include "base/arena.h"
#include "base/error.h"
#include "base/macros.h"
#include "store/store.h"

enum query_outcome {
	QUERY_OK = 0,
	QUERY_NOT_FOUND = 100, /* beyond enum store_outcome, which is passed on */
	QUERY_AMBIGUOUS,
};

enum { IDENTITY_KEYS_MAX = 8 };

struct identity {
	struct arena arena; /* owns all texts */
	const char *id;     /* the UUID, or the old worker's name */
	const char *name;   /* libvirt's name, or the old worker's */
	struct instance_key keys[IDENTITY_KEYS_MAX];
	size_t key_count;
	bool is_legacy; /* some of it is from old workers, who do not number what they send */
	int64_t first_ms, last_ms;
	const struct instance_info *infos; /* its history, the oldest first, without ports */
	size_t info_count;
	/* Of the latest info with ports; NULL and 0 without one. */
	const struct instance_port *ports;
	size_t port_count;
};

/* Finds it. 0; QUERY_NOT_FOUND or QUERY_AMBIGUOUS with a text for people, which lists the
 * candidates; else as the store. The identity is to be freed in every case. */
MUST_CHECK int identity_find(
	struct store *store, const char *id, struct identity *ret_identity, struct error *err);

/* The same as if there were only those instances that is_there says; what old workers sent of such
 * a one belongs to it all the same. */
typedef bool (*identity_filter_fn)(const void *context, const struct store_instance *instance);
MUST_CHECK int identity_find_among(struct store *store, const char *id, identity_filter_fn is_there,
	const void *context, struct identity *ret_identity, struct error *err);
void identity_deinit(struct identity *identity);
CLEANUP_DEFINE_VALUE(struct identity, identity_deinit)

/* The port that a NIC is; NULL if it is none. And whether an address is one of a port's. */
const struct instance_port *identity_port(const struct identity *identity, const char *nic);
bool identity_port_has(const struct instance_port *port, const char *address);

/* The info that holds now: the last one; NULL if there is none. */
const struct instance_info *identity_latest(const struct store_instance *instance);
