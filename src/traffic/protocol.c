/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "traffic/protocol.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { HEAD_SIZE = 4 };

static unsigned int size_of(uint8_t family)
{
	return family == 4 ? 4 : 16;
}

int traffic_address_parse(const char *text, struct traffic_address *ret_address)
{
	struct traffic_address address = { .family = strchr(text, ':') ? 6 : 4 };

	if (inet_pton(address.family == 4 ? AF_INET : AF_INET6, text, address.bytes) != 1)
		return -EINVAL;
	*ret_address = address;
	return 0;
}

char *traffic_address_format(
	const struct traffic_address *address, char text[TRAFFIC_LABEL_MAX + 1])
{
	if (!inet_ntop(address->family == 4 ? AF_INET : AF_INET6, address->bytes, text,
		    TRAFFIC_LABEL_MAX + 1))
		*text = '\0';
	return text;
}

static bool is_zero_behind(const struct traffic_address *address, unsigned int length)
{
	for (unsigned int bit = length; bit < size_of(address->family) * 8; bit++)
		if (address->bytes[bit / 8] >> (7 - bit % 8) & 1)
			return false;
	return true;
}

int traffic_prefix_parse(const char *text, struct traffic_prefix *ret_prefix)
{
	char address[TRAFFIC_LABEL_MAX + 1];
	const char *slash = strchr(text, '/');
	int64_t length;

	if (!slash || (size_t)(slash - text) >= sizeof(address) ||
		text_to_i64(slash + 1, &length) < 0)
		return -EINVAL;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	if (traffic_address_parse(address, &ret_prefix->address) < 0 || length < 1 ||
		length > size_of(ret_prefix->address.family) * 8 ||
		!is_zero_behind(&ret_prefix->address, (unsigned int)length))
		return -EINVAL;
	ret_prefix->length = (uint8_t)length;
	return 0;
}

int traffic_life_ms(const char *life, int64_t *ret_ms)
{
	const char *dot = strrchr(life, '.');

	return dot && text_to_i64(dot + 1, ret_ms) == 0 && *ret_ms >= 0 ? 0 : -EINVAL;
}

bool traffic_nic_is_plain(const char *nic)
{
	size_t size = strspn(nic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789_.-+:@");

	return size > 0 && size < IFNAMSIZ && !nic[size];
}

static void write_address(struct buffer *to, const struct traffic_address *address)
{
	buffer_write_u8(to, address->family);
	buffer_write(to, address->bytes, size_of(address->family));
}

static void read_address(struct cursor *from, struct traffic_address *address)
{
	const uint8_t *bytes;

	address->family = cursor_read_u8(from);
	if (address->family != 4 && address->family != 6) {
		from->is_broken = true;
		return;
	}
	bytes = cursor_read_bytes(from, size_of(address->family));
	if (bytes)
		memcpy(address->bytes, bytes, size_of(address->family));
}

/* It becomes text of a command for nft, so it must be an address, or nothing. */
static void read_label(struct cursor *from, char label[TRAFFIC_LABEL_MAX + 1])
{
	struct traffic_address address;

	cursor_read_string(from, label, TRAFFIC_LABEL_MAX);
	if (*label && traffic_address_parse(label, &address) < 0)
		from->is_broken = true;
}

/* The length of what follows, which `end` fills in. */
static void begin(struct buffer *to)
{
	buffer_clear(to);
	buffer_write_u32(to, 0);
}

static void end(struct buffer *to)
{
	size_t size = to->size - HEAD_SIZE;

	if (to->failure)
		return;
	for (unsigned int i = 0; i < HEAD_SIZE; i++)
		to->bytes[i] = (uint8_t)(size >> (24 - 8 * i));
}

void traffic_encode_wish(struct buffer *to, const struct traffic_wish *wish)
{
	begin(to);
	buffer_write_u8(to, (uint8_t)wish->question);
	buffer_write_varint(to, wish->internal_count);
	for (size_t i = 0; i < wish->internal_count; i++) {
		write_address(to, &wish->internal[i].address);
		buffer_write_u8(to, wish->internal[i].length);
	}
	buffer_write_varint(to, wish->port_count);
	for (size_t i = 0; i < wish->port_count; i++) {
		buffer_write_string(to, wish->ports[i].nic);
		buffer_write_varint(to, wish->ports[i].index);
		write_address(to, &wish->ports[i].address);
		buffer_write_string(to, wish->ports[i].label);
	}
	end(to);
}

static int end_of(const struct cursor *from)
{
	return from->is_broken || cursor_left(from) ? -EPROTO : 0;
}

static void read_prefix(struct cursor *from, struct traffic_prefix *prefix)
{
	read_address(from, &prefix->address);
	prefix->length = cursor_read_u8(from);
	if (prefix->length < 1 || prefix->length > size_of(prefix->address.family) * 8 ||
		!is_zero_behind(&prefix->address, prefix->length))
		from->is_broken = true;
}

static void read_port(struct cursor *from, struct traffic_port *port)
{
	cursor_read_string(from, port->nic, IFNAMSIZ - 1);
	port->index = (uint32_t)cursor_read_size(from, INT32_MAX);
	read_address(from, &port->address);
	read_label(from, port->label);
	if (!port->index || !traffic_nic_is_plain(port->nic))
		from->is_broken = true;
}

int traffic_decode_wish(struct cursor *from, struct arena *arena, struct traffic_wish *ret_wish)
{
	struct traffic_prefix *internal;
	struct traffic_port *ports;

	*ret_wish = (struct traffic_wish){ .question = cursor_read_u8(from) };
	if (ret_wish->question >= _TRAFFIC_QUESTIONS)
		return -EPROTO;
	ret_wish->internal_count = cursor_read_size(from, TRAFFIC_PREFIXES_MAX);
	internal = arena_take_array(arena, ret_wish->internal_count + 1, sizeof(*internal));
	if (!internal)
		return -ENOMEM;
	for (size_t i = 0; i < ret_wish->internal_count; i++)
		read_prefix(from, &internal[i]);
	ret_wish->internal = internal;
	ret_wish->port_count = cursor_read_size(from, TRAFFIC_PORTS_MAX);
	ports = arena_take_array(arena, ret_wish->port_count + 1, sizeof(*ports));
	if (!ports)
		return -ENOMEM;
	for (size_t i = 0; i < ret_wish->port_count; i++)
		read_port(from, &ports[i]);
	ret_wish->ports = ports;
	return end_of(from);
}

enum { FLAG_WHOLE = 1 << _TRAFFIC_KINDS, FLAG_FINAL = FLAG_WHOLE << 1, FLAGS = FLAG_FINAL << 1 };

static void write_counter(struct buffer *to, const struct traffic_counter *counter)
{
	unsigned int flags =
		(counter->is_whole ? FLAG_WHOLE : 0u) | (counter->is_final ? FLAG_FINAL : 0u);

	for (unsigned int kind = 0; kind < _TRAFFIC_KINDS; kind++)
		flags |= counter->has[kind] ? 1u << kind : 0;
	buffer_write_u8(to, (uint8_t)flags);
	buffer_write_varint(to, counter->index);
	write_address(to, &counter->address);
	buffer_write_string(to, counter->label);
	buffer_write_string(to, counter->life);
	buffer_write_signed(to, counter->number);
	for (unsigned int kind = 0; kind < _TRAFFIC_KINDS; kind++)
		if (counter->has[kind])
			buffer_write_signed(to, counter->bytes[kind]);
}

void traffic_encode_answer(struct buffer *to, const struct traffic_answer *answer)
{
	begin(to);
	buffer_write_string(to, answer->problem);
	buffer_write_u8(to, answer->is_one_way);
	buffer_write_u32(to, answer->refused);
	buffer_write_varint(to, answer->count);
	for (size_t i = 0; i < answer->count; i++)
		write_counter(to, &answer->counters[i]);
	end(to);
}

static void read_counter(struct cursor *from, struct traffic_counter *counter)
{
	unsigned int flags = cursor_read_u8(from);

	counter->is_whole = flags & FLAG_WHOLE;
	counter->is_final = flags & FLAG_FINAL;
	counter->index = (uint32_t)cursor_read_size(from, INT32_MAX);
	read_address(from, &counter->address);
	read_label(from, counter->label);
	cursor_read_string(from, counter->life, TRAFFIC_LIFE_MAX);
	counter->number = cursor_read_signed(from);
	for (unsigned int kind = 0; kind < _TRAFFIC_KINDS; kind++) {
		counter->has[kind] = flags >> kind & 1;
		if (counter->has[kind])
			counter->bytes[kind] = cursor_read_signed(from);
		if (counter->bytes[kind] < 0)
			from->is_broken = true;
	}
	if (flags >= FLAGS || counter->number < 0)
		from->is_broken = true;
}

int traffic_decode_answer(
	struct cursor *from, struct arena *arena, struct traffic_answer *ret_answer)
{
	*ret_answer = (struct traffic_answer){ .count = 0 };
	cursor_read_string(from, ret_answer->problem, TRAFFIC_PROBLEM_MAX);
	text_make_printable(ret_answer->problem);
	ret_answer->is_one_way = cursor_read_u8(from);
	ret_answer->refused = cursor_read_u32(from);
	/* Those that end in this round, besides. */
	ret_answer->count = cursor_read_size(from, 2 * TRAFFIC_PORTS_MAX);
	ret_answer->counters =
		arena_take_array(arena, ret_answer->count + 1, sizeof(*ret_answer->counters));
	if (!ret_answer->counters)
		return -ENOMEM;
	for (size_t i = 0; i < ret_answer->count; i++)
		read_counter(from, &ret_answer->counters[i]);
	return end_of(from);
}
