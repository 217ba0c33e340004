/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What an instance is known by, and what is known about it.
 *
 * Its identity is the nova UUID, which is libvirt's domain UUID. Messages of old workers carry only
 * `name` or `name@host`; such an instance is known by that text until somebody asks for both (the
 * join of the two stands in query/resolve.h). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/macros.h"

enum {
	UUID_TEXT_SIZE = 37,
	INSTANCE_TEXT_MAX = 255,     /* bytes of any name, id or host */
	INSTANCE_PORTS_MAX = 64,     /* NICs of one instance */
	INSTANCE_ADDRESSES_MAX = 64, /* addresses of one NIC */
	/* One info in an arena: some 4300 texts are 1.1 MiB, and not all of its room is used. */
	INSTANCE_INFO_MEMORY_MAX = 2 * 1024 * 1024,
};

struct uuid {
	uint8_t bytes[16];
};

/* With or without hyphens. Returns 0 or -EINVAL. */
MUST_CHECK int uuid_parse(const char *text, struct uuid *ret_uuid);
char *uuid_format(const struct uuid *uuid, char text[UUID_TEXT_SIZE]);

struct instance_key {
	bool has_uuid;
	struct uuid uuid;
	const char *name; /* without a UUID: as the old worker wrote it; else NULL. Borrowed. */
};

bool instance_key_equal(const struct instance_key *a, const struct instance_key *b);
uint64_t instance_key_hash(const struct instance_key *key);

/* The UUID's text, or the name. `text` is used for the former. */
const char *instance_key_text(const struct instance_key *key, char text[UUID_TEXT_SIZE]);

/* One NIC with the Neutron port behind it. Texts are "" where unknown. */
struct instance_port {
	const char *nic; /* the tap on the host: vnet0, tap1a2b3c4d-5e */
	const char *mac;
	const char *port_id; /* Neutron's */
	const char *const *addresses;
	size_t address_count;
};

/* What held for an instance from a time on: where it was, who owned it, what it was made of. Comes
 * from libvirt and from nova's metadata in the domain XML. Texts are "" and numbers -1 where
 * unknown. */
struct instance_info {
	struct uuid uuid;
	int64_t since_ms;
	const char *name; /* libvirt's: instance-000000ba */
	const char *host;
	const char *display_name;
	const char *project_id;
	const char *project_name;
	const char *user_id;
	const char *user_name;
	const char *flavor_id;
	const char *flavor_name;
	const char *image_id;
	int64_t vcpus;
	int64_t memory_mib;
	int64_t disk_gib;
	const struct instance_port *ports;
	size_t port_count;
};

/* The texts of an instance_info by name, for encoders and decoders: */
struct instance_field {
	const char *name;
	size_t offset; /* of a const char * in struct instance_info */
};

extern const struct instance_field instance_fields[];
extern const size_t instance_field_count;

static inline const char **instance_field_at(struct instance_info *info, size_t field)
{
	return (const char **)((char *)info + instance_fields[field].offset);
}

/* A copy whose texts and ports live in the arena. 0 or -ENOMEM. */
MUST_CHECK int instance_info_copy(
	struct arena *arena, const struct instance_info *from, struct instance_info *ret_info);

/* The same but for since_ms? */
bool instance_info_equal(const struct instance_info *a, const struct instance_info *b);
