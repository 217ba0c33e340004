/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "traffic/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum {
	ETHERNET_HEADER = 14, /* what the egress hook counts besides the IP packet */
	SHARED_RULES = 4,     /* external and internal, of each family */
	ELEMENTS_IN_A_COMMAND = 500,
};

static bool is_incoming(enum traffic_kind kind)
{
	return kind == TRAFFIC_EXTERNAL_IN || kind == TRAFFIC_INTERNAL_IN;
}

/* Of those that the kernel can count. */
static bool is_counted(const struct plan_context *context, enum traffic_kind kind)
{
	return !context->is_one_way || !is_incoming(kind);
}

int plan_compare(uint32_t index, const struct traffic_address *address, uint32_t other_index,
	const struct traffic_address *other_address)
{
	if (index != other_index)
		return index < other_index ? -1 : 1;
	if (address->family != other_address->family)
		return address->family < other_address->family ? -1 : 1;
	return memcmp(address->bytes, other_address->bytes, sizeof(address->bytes));
}

static int compare_elements(const void *a, const void *b)
{
	const struct kernel_element *first = a, *second = b;

	return plan_compare(first->index, &first->address, second->index, &second->address);
}

/* "LIFE[ whole][ as LABEL]"; false: it is not of that form. */
static bool read_comment(struct plan_row *row, const char *comment)
{
	struct traffic_address address;
	size_t size = strcspn(comment, " ");
	const char *rest = comment + size;

	if (!size || size > TRAFFIC_LIFE_MAX)
		return false;
	memcpy(row->life, comment, size);
	row->life[size] = '\0';
	row->is_whole = strncmp(rest, " whole", 6) == 0;
	rest += row->is_whole ? 6 : 0;
	*row->label = '\0';
	if (strncmp(rest, " as ", 4) == 0) {
		if (!text_copy(row->label, sizeof(row->label), rest + 4) ||
			traffic_address_parse(row->label, &address) < 0)
			return false;
		return true;
	}
	return !*rest;
}

/* Whether it was made in this boot and this table. */
static bool is_own_life(
	const char *life, const struct plan_context *context, const struct kernel_layout *layout)
{
	char begin[TRAFFIC_LIFE_MAX + 1];
	int size = snprintf(begin, sizeof(begin), "%s.%" PRIu64 ".", context->boot, layout->handle);
	const char *time = life + size;

	return strncmp(life, begin, (size_t)size) == 0 && *time &&
	       time[strspn(time, "0123456789")] == '\0';
}

static void judge_row(struct plan_row *row, const struct plan_context *context,
	const struct kernel_layout *layout)
{
	const char *comment = NULL;

	for (unsigned int kind = 0; kind < _TRAFFIC_KINDS; kind++) {
		const struct kernel_element *element = row->elements[kind];

		if (!element && !is_counted(context, kind))
			continue;
		if (!element || (comment && strcmp(comment, element->comment) != 0)) {
			*row->life = '\0';
			return;
		}
		comment = element->comment;
	}
	if (!comment || !read_comment(row, comment) || !is_own_life(row->life, context, layout))
		*row->life = '\0';
}

int plan_rows(struct kernel_elements *elements, const struct plan_context *context,
	const struct kernel_layout *layout, struct arena *arena, struct plan_row **ret_rows,
	size_t *ret_count)
{
	struct plan_row *rows = arena_take_array(arena, elements->count + 1, sizeof(*rows));
	size_t count = 0;

	if (!rows)
		return -ENOMEM;
	if (elements->count)
		qsort(elements->items, elements->count, sizeof(*elements->items), compare_elements);
	for (size_t i = 0; i < elements->count; i++) {
		const struct kernel_element *element = &elements->items[i];

		if (i == 0 || compare_elements(element - 1, element) != 0) {
			rows[count].index = element->index;
			rows[count++].address = element->address;
		}
		rows[count - 1].elements[element->kind] = element;
	}
	for (size_t i = 0; i < count; i++)
		judge_row(&rows[i], context, layout);
	*ret_rows = rows;
	*ret_count = count;
	return 0;
}

static const struct kernel_chain *find_chain(const struct kernel_layout *layout, const char *name)
{
	size_t low = 0, high = layout->chain_count, middle;
	int order;

	while (low < high) {
		middle = low + (high - low) / 2;
		order = strcmp(name, layout->chains[middle].name);
		if (order == 0)
			return &layout->chains[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static bool is_right(const struct kernel_layout *layout, const char *name, unsigned int rules)
{
	const struct kernel_chain *chain = find_chain(layout, name);

	return chain && chain->rules == rules && chain->right_rules == rules;
}

bool plan_is_sound(const struct kernel_layout *layout, const struct plan_context *context)
{
	return layout->has_table && !layout->flags &&
	       is_right(layout, "from_instance", SHARED_RULES) &&
	       is_right(layout, "to_instance", context->is_one_way ? 0 : SHARED_RULES);
}

static void name_chain(char name[KERNEL_CHAIN_SIZE], const char *direction, uint32_t index)
{
	snprintf(name, KERNEL_CHAIN_SIZE, "%s%" PRIu32, direction, index);
}

bool plan_is_tapped(
	const struct kernel_layout *layout, const struct plan_context *context, uint32_t index)
{
	char name[KERNEL_CHAIN_SIZE];

	name_chain(name, "out", index);
	if (!is_right(layout, name, 1))
		return false;
	name_chain(name, "in", index);
	return context->is_one_way || is_right(layout, name, 1);
}

void plan_match(struct plan_row *rows, size_t row_count, struct plan_port *ports, size_t port_count,
	const struct kernel_layout *layout, const struct plan_context *context)
{
	size_t row = 0;
	int order;

	for (size_t i = 0; i < port_count; i++) {
		const struct traffic_port *port = ports[i].port;

		ports[i].is_kept = false;
		for (order = -1; row < row_count; row++) {
			order = plan_compare(
				rows[row].index, &rows[row].address, port->index, &port->address);
			if (order >= 0)
				break;
		}
		if (row == row_count || order != 0)
			continue;
		rows[row].is_kept = *rows[row].life && strcmp(rows[row].label, port->label) == 0 &&
				    plan_is_tapped(layout, context, port->index);
		ports[i].is_kept = rows[row].is_kept;
	}
}

static void write_set(struct buffer *to, enum traffic_kind kind, uint8_t family)
{
	buffer_print(to,
		"add set netdev " KERNEL_TABLE
		" %s { typeof meta %s . %s %s; size %d; counter; }\n",
		kernel_set_name(kind, family), is_incoming(kind) ? "oif" : "iif",
		family == 4 ? "ip" : "ip6", is_incoming(kind) ? "daddr" : "saddr",
		TRAFFIC_PORTS_MAX);
}

/* The other end's address is in the set of prefixes, or it is not. A set that is written into its
 * rule cannot be changed without the rule. */
static void write_rule(struct buffer *to, enum traffic_kind kind, uint8_t family,
	const struct traffic_prefix *internal, size_t count, const struct plan_context *context)
{
	bool is_in = is_incoming(kind), is_first = true;
	bool is_internal = kind == TRAFFIC_INTERNAL_IN || kind == TRAFFIC_INTERNAL_OUT;
	const char *protocol = family == 4 ? "ip" : "ip6";
	char text[TRAFFIC_LABEL_MAX + 1];

	buffer_print(to, "add rule netdev " KERNEL_TABLE " %s %s %s %s{",
		is_in ? "to_instance" : "from_instance", protocol, is_in ? "saddr" : "daddr",
		is_internal ? "" : "!= ");
	for (size_t i = 0; i < count; i++) {
		if (internal[i].address.family != family)
			continue;
		buffer_print(to, "%s %s/%d", is_first ? "" : ",",
			traffic_address_format(&internal[i].address, text), internal[i].length);
		is_first = false;
	}
	/* A set must not be empty; nothing comes from the unspecified address. */
	if (is_first)
		buffer_print(to, " %s", family == 4 ? "0.0.0.0" : "::");
	buffer_print(to, " } meta %s . %s %s @%s comment \"%s\"\n", is_in ? "oif" : "iif", protocol,
		is_in ? "daddr" : "saddr", kernel_set_name(kind, family), context->rules);
}

void plan_write_table(struct buffer *to, const struct traffic_prefix *internal, size_t count,
	const struct plan_context *context)
{
	buffer_print(to, "add chain netdev " KERNEL_TABLE " from_instance\n");
	buffer_print(to, "add chain netdev " KERNEL_TABLE " to_instance\n");
	for (unsigned int kind = 0; kind < _TRAFFIC_KINDS; kind++) {
		if (!is_counted(context, kind))
			continue;
		for (uint8_t family = 4; family <= 6; family += 2) {
			write_set(to, kind, family);
			write_rule(to, kind, family, internal, count, context);
		}
	}
}

static void write_hook(struct buffer *to, const char *direction, const char *hook,
	const char *target, const struct traffic_port *port, const struct plan_context *context)
{
	char name[KERNEL_CHAIN_SIZE];

	name_chain(name, direction, port->index);
	buffer_print(to,
		"add chain netdev " KERNEL_TABLE " %s { type filter hook %s device \"%s\" "
		"priority -300; policy accept; }\n",
		name, hook, port->nic);
	buffer_print(to, "flush chain netdev " KERNEL_TABLE " %s\n", name);
	buffer_print(to, "add rule netdev " KERNEL_TABLE " %s jump %s comment \"%s\"\n", name,
		target, context->rules);
}

static void write_tap(
	struct buffer *to, const struct traffic_port *port, const struct plan_context *context)
{
	write_hook(to, "out", "ingress", "from_instance", port, context);
	if (!context->is_one_way)
		write_hook(to, "in", "egress", "to_instance", port, context);
}

/* The index of a tap's chain, 0: it is none. */
static uint32_t index_of_chain(const char *name)
{
	const char *digits = strncmp(name, "out", 3) == 0  ? name + 3
			     : strncmp(name, "in", 2) == 0 ? name + 2
							   : "";
	int64_t index;

	if (text_to_i64(digits, &index) < 0 || index <= 0 || index > INT32_MAX)
		return 0;
	return (uint32_t)index;
}

static bool is_wanted(const struct plan_port *ports, size_t count, uint32_t index)
{
	size_t low = 0, high = count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (ports[middle].port->index == index)
			return true;
		if (ports[middle].port->index > index)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

static void write_taps(struct buffer *to, const struct plan_port *ports, size_t port_count,
	const struct kernel_layout *layout, const struct plan_context *context)
{
	for (size_t i = 0; i < layout->chain_count; i++) {
		uint32_t index = index_of_chain(layout->chains[i].name);

		if (!index || is_wanted(ports, port_count, index))
			continue;
		buffer_print(
			to, "flush chain netdev " KERNEL_TABLE " %s\n", layout->chains[i].name);
		buffer_print(
			to, "delete chain netdev " KERNEL_TABLE " %s\n", layout->chains[i].name);
	}
	for (size_t i = 0; i < port_count; i++) {
		const struct traffic_port *port = ports[i].port;

		if ((i == 0 || ports[i - 1].port->index != port->index) &&
			!plan_is_tapped(layout, context, port->index))
			write_tap(to, port, context);
	}
}

static void write_key(
	struct buffer *to, size_t number, uint32_t index, const struct traffic_address *address)
{
	char text[TRAFFIC_LABEL_MAX + 1];

	buffer_print(to, "%s %" PRIu32 " . %s", number % ELEMENTS_IN_A_COMMAND ? "," : "", index,
		traffic_address_format(address, text));
}

static void begin_elements(
	struct buffer *to, size_t number, const char *verb, enum traffic_kind kind, uint8_t family)
{
	if (number && number % ELEMENTS_IN_A_COMMAND == 0)
		buffer_print(to, " }\n");
	if (number % ELEMENTS_IN_A_COMMAND == 0)
		buffer_print(to, "%s element netdev " KERNEL_TABLE " %s {", verb,
			kernel_set_name(kind, family));
}

static void end_elements(struct buffer *to, size_t number)
{
	if (number)
		buffer_print(to, " }\n");
}

static void write_removals(struct buffer *to, const struct plan_row *rows, size_t count,
	enum traffic_kind kind, uint8_t family)
{
	size_t number = 0;

	for (size_t i = 0; i < count; i++) {
		const struct plan_row *row = &rows[i];

		if (row->is_kept || row->address.family != family || !row->elements[kind])
			continue;
		begin_elements(to, number, "delete", kind, family);
		write_key(to, number++, row->index, &row->address);
	}
	end_elements(to, number);
}

static void write_additions(struct buffer *to, const struct plan_port *ports, size_t count,
	enum traffic_kind kind, uint8_t family, const struct kernel_layout *layout,
	const struct plan_context *context)
{
	size_t number = 0;

	for (size_t i = 0; i < count; i++) {
		const struct traffic_port *port = ports[i].port;

		if (ports[i].is_kept || port->address.family != family)
			continue;
		begin_elements(to, number, "add", kind, family);
		write_key(to, number++, port->index, &port->address);
		buffer_print(to, " counter comment \"%s.%" PRIu64 ".%" PRId64 "%s%s%s\"",
			context->boot, layout->handle, context->now_ms,
			ports[i].is_whole ? " whole" : "", *port->label ? " as " : "", port->label);
	}
	end_elements(to, number);
}

void plan_write_changes(struct buffer *to, const struct plan_row *rows, size_t row_count,
	const struct plan_port *ports, size_t port_count, const struct kernel_layout *layout,
	const struct plan_context *context)
{
	for (unsigned int i = 0; i < 2 * _TRAFFIC_KINDS; i++)
		write_removals(to, rows, row_count, i / 2, i % 2 ? 6 : 4);
	for (unsigned int i = 0; i < 2 * _TRAFFIC_KINDS; i++)
		if (is_counted(context, i / 2))
			write_additions(
				to, ports, port_count, i / 2, i % 2 ? 6 : 4, layout, context);
	write_taps(to, ports, port_count, layout, context);
}

void plan_write_again(struct buffer *to, const struct plan_port *ports, size_t port_count,
	const struct kernel_layout *layout, const struct plan_context *context)
{
	for (unsigned int i = 0; i < 2 * _TRAFFIC_KINDS; i++) {
		uint8_t family = i % 2 ? 6 : 4;
		size_t number = 0;

		if (!is_counted(context, i / 2))
			continue;
		for (size_t k = 0; k < port_count; k++) {
			if (ports[k].is_kept || ports[k].port->address.family != family)
				continue;
			begin_elements(to, number, "delete", i / 2, family);
			write_key(to, number++, ports[k].port->index, &ports[k].port->address);
		}
		end_elements(to, number);
		write_additions(to, ports, port_count, i / 2, family, layout, context);
	}
}

static int64_t bytes_of(const struct kernel_element *element)
{
	uint64_t headers = is_incoming(element->kind) ? ETHERNET_HEADER * element->packets : 0;
	uint64_t bytes = element->bytes > headers ? element->bytes - headers : 0;

	return (int64_t)MIN_OF(bytes, (uint64_t)INT64_MAX);
}

struct traffic_counter plan_counter(const struct plan_row *row)
{
	struct traffic_counter counter = { .index = row->index,
		.address = row->address,
		.is_whole = row->is_whole,
		.is_final = !row->is_kept };

	memcpy(counter.life, row->life, sizeof(counter.life));
	memcpy(counter.label, row->label, sizeof(counter.label));
	for (unsigned int kind = 0; kind < _TRAFFIC_KINDS; kind++) {
		counter.has[kind] = row->elements[kind] != NULL;
		if (counter.has[kind])
			counter.bytes[kind] = bytes_of(row->elements[kind]);
	}
	return counter;
}
