/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "model/instance.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define FIELD(name)                                                                                \
	{                                                                                          \
#name, offsetof(struct instance_info, name)                                        \
	}

const struct instance_field instance_fields[] = {
	FIELD(name),
	FIELD(host),
	FIELD(display_name),
	FIELD(project_id),
	FIELD(project_name),
	FIELD(user_id),
	FIELD(user_name),
	FIELD(flavor_id),
	FIELD(flavor_name),
	FIELD(image_id),
};
const size_t instance_field_count = ARRAY_SIZE(instance_fields);

int uuid_parse(const char *text, struct uuid *ret_uuid)
{
	bool hyphens = strnlen(text, UUID_TEXT_SIZE) == UUID_TEXT_SIZE - 1;
	struct uuid uuid = { 0 };

	for (unsigned int i = 0; i < 16; i++) {
		int high, low;

		if (hyphens && (i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return -EINVAL;
		high = text_hex_digit(text[0]);
		low = high < 0 ? -1 : text_hex_digit(text[1]);
		if (low < 0)
			return -EINVAL;
		uuid.bytes[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (*text)
		return -EINVAL;
	*ret_uuid = uuid;
	return 0;
}

char *uuid_format(const struct uuid *uuid, char text[UUID_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	char *to = text;

	for (unsigned int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*to++ = '-';
		*to++ = digits[uuid->bytes[i] >> 4];
		*to++ = digits[uuid->bytes[i] & 0xf];
	}
	*to = '\0';
	return text;
}

bool instance_key_equal(const struct instance_key *a, const struct instance_key *b)
{
	if (a->has_uuid != b->has_uuid)
		return false;
	if (a->has_uuid)
		return memcmp(&a->uuid, &b->uuid, sizeof(a->uuid)) == 0;
	return strcmp(a->name, b->name) == 0;
}

uint64_t instance_key_hash(const struct instance_key *key)
{
	if (key->has_uuid)
		return text_hash(TEXT_HASH_SEED, &key->uuid, sizeof(key->uuid));
	return text_hash(TEXT_HASH_SEED, key->name, strlen(key->name));
}

const char *instance_key_text(const struct instance_key *key, char text[UUID_TEXT_SIZE])
{
	return key->has_uuid ? uuid_format(&key->uuid, text) : key->name;
}

static const char *copy(struct arena *arena, const char *text)
{
	return arena_copy_text(arena, text, strlen(text));
}

static int copy_port(
	struct arena *arena, const struct instance_port *from, struct instance_port *ret_port)
{
	const char **addresses =
		arena_take_array(arena, from->address_count + 1, sizeof(*addresses));

	*ret_port = (struct instance_port){ copy(arena, from->nic), copy(arena, from->mac),
		copy(arena, from->port_id), addresses, from->address_count };
	if (!addresses || !ret_port->nic || !ret_port->mac || !ret_port->port_id)
		return -ENOMEM;
	for (size_t i = 0; i < from->address_count; i++) {
		addresses[i] = copy(arena, from->addresses[i]);
		if (!addresses[i])
			return -ENOMEM;
	}
	return 0;
}

int instance_info_copy(
	struct arena *arena, const struct instance_info *from, struct instance_info *ret_info)
{
	struct instance_port *ports = arena_take_array(arena, from->port_count + 1, sizeof(*ports));
	int r = ports ? 0 : -ENOMEM;

	*ret_info = *from;
	ret_info->ports = ports;
	for (size_t i = 0; i < instance_field_count && r == 0; i++) {
		const char **text = instance_field_at(ret_info, i);

		*text = copy(arena, *text);
		r = *text ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < from->port_count && r == 0; i++)
		r = copy_port(arena, &from->ports[i], &ports[i]);
	return r;
}

static bool ports_equal(const struct instance_port *a, const struct instance_port *b)
{
	if (strcmp(a->nic, b->nic) != 0 || strcmp(a->mac, b->mac) != 0 ||
		strcmp(a->port_id, b->port_id) != 0 || a->address_count != b->address_count)
		return false;
	for (size_t i = 0; i < a->address_count; i++)
		if (strcmp(a->addresses[i], b->addresses[i]) != 0)
			return false;
	return true;
}

bool instance_info_equal(const struct instance_info *a, const struct instance_info *b)
{
	if (memcmp(&a->uuid, &b->uuid, sizeof(a->uuid)) != 0 || a->vcpus != b->vcpus ||
		a->memory_mib != b->memory_mib || a->disk_gib != b->disk_gib ||
		a->port_count != b->port_count)
		return false;
	for (size_t i = 0; i < instance_field_count; i++)
		if (strcmp(*instance_field_at((struct instance_info *)a, i),
			    *instance_field_at((struct instance_info *)b, i)) != 0)
			return false;
	for (size_t i = 0; i < a->port_count; i++)
		if (!ports_equal(&a->ports[i], &b->ports[i]))
			return false;
	return true;
}
