/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "store/packed.h"

/* The most texts of an info, and each with its size, which takes two bytes. */
enum {
	TEXTS_MAX = INSTANCE_PORTS_MAX * (3 + INSTANCE_ADDRESSES_MAX) + 16,
	NUMBERS_BYTES_MAX = 64 + INSTANCE_PORTS_MAX,
};
_Static_assert(TEXTS_MAX *(INSTANCE_TEXT_MAX + 2) + NUMBERS_BYTES_MAX <= PACKED_INFO_MAX,
	"any info can be packed");

void packed_write_info(struct buffer *to, const struct instance_info *info)
{
	buffer_write_signed(to, info->since_ms);
	for (size_t i = 0; i < instance_field_count; i++)
		buffer_write_string(to, *instance_field_at((struct instance_info *)info, i));
	buffer_write_signed(to, info->vcpus);
	buffer_write_signed(to, info->memory_mib);
	buffer_write_signed(to, info->disk_gib);
	buffer_write_varint(to, info->port_count);
	for (size_t i = 0; i < info->port_count; i++) {
		const struct instance_port *port = &info->ports[i];

		buffer_write_string(to, port->nic);
		buffer_write_string(to, port->mac);
		buffer_write_string(to, port->port_id);
		buffer_write_varint(to, port->address_count);
		for (size_t k = 0; k < port->address_count; k++)
			buffer_write_string(to, port->addresses[k]);
	}
}

const char *packed_read_text(struct cursor *from, struct arena *arena, size_t limit)
{
	char *text;
	size_t size = cursor_read_size(from, limit);
	const uint8_t *bytes = cursor_read_bytes(from, size);

	text = bytes ? arena_copy_text(arena, (const char *)bytes, size) : NULL;
	if (!text)
		from->is_broken = true;
	return text ? text : "";
}

void *packed_read_array(
	struct cursor *from, struct arena *arena, size_t limit, size_t size, size_t *ret_count)
{
	size_t count = cursor_read_size(from, MIN_OF(limit, cursor_left(from)));
	void *array = arena_take_array(arena, count, size);

	if (!array)
		from->is_broken = true;
	*ret_count = array ? count : 0;
	return array;
}

static void read_port(struct cursor *from, struct arena *arena, struct instance_port *port)
{
	const char **addresses;

	port->nic = packed_read_text(from, arena, INSTANCE_TEXT_MAX);
	port->mac = packed_read_text(from, arena, INSTANCE_TEXT_MAX);
	port->port_id = packed_read_text(from, arena, INSTANCE_TEXT_MAX);
	addresses = packed_read_array(
		from, arena, INSTANCE_ADDRESSES_MAX, sizeof(*addresses), &port->address_count);
	for (size_t i = 0; i < port->address_count; i++)
		addresses[i] = packed_read_text(from, arena, INSTANCE_TEXT_MAX);
	port->addresses = addresses;
}

void packed_read_info(struct cursor *from, struct arena *arena, struct instance_info *ret_info)
{
	struct instance_port *ports;

	ret_info->since_ms = cursor_read_signed(from);
	for (size_t i = 0; i < instance_field_count; i++)
		*instance_field_at(ret_info, i) = packed_read_text(from, arena, INSTANCE_TEXT_MAX);
	ret_info->vcpus = cursor_read_signed(from);
	ret_info->memory_mib = cursor_read_signed(from);
	ret_info->disk_gib = cursor_read_signed(from);
	ports = packed_read_array(
		from, arena, INSTANCE_PORTS_MAX, sizeof(*ports), &ret_info->port_count);
	for (size_t i = 0; i < ret_info->port_count; i++)
		read_port(from, arena, &ports[i]);
	ret_info->ports = ports;
}
