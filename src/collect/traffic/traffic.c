/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "collect/traffic/traffic.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/child.h"
#include "base/text.h"
#include "collect/traffic/floating.h"
#include "traffic/program.h"

enum { BACKOFF_MAX_MS = 60000, ARENA_MAX = 64 * 1024 * 1024 };

/* Which instance a tap is of, or an instance's number in accounting rules. */
struct owner {
	uint32_t index;
	int64_t number;
	struct uuid uuid;
};

/* They outlive the wish that they were of: final counters come when nobody wants them any more. */
struct owners {
	struct owner *items;
	size_t count;
};

struct traffic {
	struct collector_context context;
	enum traffic_question question;
	bool is_on;
	struct traffic_prefix internal[TRAFFIC_PREFIXES_MAX];
	size_t internal_count;
	char *patterns; /* of the taps, ended by NUL each, and by an empty one */
	struct floating *floating;
	char program[PATH_MAX];
	struct child child;
	int64_t retry_ms, backoff_ms;
	struct traffic_port *ports; /* TRAFFIC_PORTS_MAX */
	size_t port_count;
	bool has_asked; /* something may be in the kernel that must be taken away */
	struct owners owners, former;
	struct buffer message;
	struct arena arena;
	struct traffic_answer answer;
};

static void note(const struct traffic *traffic, bool is_trouble, const char *format, ...)
	PRINTF_LIKE(3, 4);

static void note(const struct traffic *traffic, bool is_trouble, const char *format, ...)
{
	char text[ERROR_TEXT_MAX + 128];
	const struct collector_notice notice = { is_trouble, "traffic", text };
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	traffic->context.notice(traffic->context.worker, &notice);
}

/* Gives each of the words, which commas and blanks separate, to `take`. */
static int each_word(struct traffic *traffic, const char *text,
	int (*take)(struct traffic *traffic, const char *word, struct error *err),
	struct error *err)
{
	CLEANUP(string_free) char *copy = strdup(text);
	char *rest = copy, *word;
	int r = copy ? 0 : -ENOMEM;

	while (r == 0 && (word = strtok_r(rest, ", \t", &rest)) != NULL)
		r = take(traffic, word, err);
	return r;
}

static int take_prefix(struct traffic *traffic, const char *word, struct error *err)
{
	if (traffic->internal_count == TRAFFIC_PREFIXES_MAX)
		return error_set(err, -E2BIG, "[traffic] internal: more than %d prefixes",
			TRAFFIC_PREFIXES_MAX);
	if (traffic_prefix_parse(word, &traffic->internal[traffic->internal_count]) < 0)
		return error_set(err, -EINVAL,
			"[traffic] internal: '%s' is no prefix like 10.0.0.0/8 or fc00::/7", word);
	traffic->internal_count++;
	return 0;
}

/* patterns has room for all of the text, and an end. */
static int take_pattern(struct traffic *traffic, const char *word, struct error *err)
{
	char *to = traffic->patterns;

	while (*to)
		to += strlen(to) + 1;
	memcpy(to, word, strlen(word));
	return 0;
}

static int configure(struct traffic *traffic, struct error *err)
{
	const struct config *config = traffic->context.config;
	const char *source = config_text(config, "traffic", "source");
	const char *patterns = config_text(config, "traffic", "taps");
	int r;

	traffic->is_on = strcmp(source, "none") != 0;
	traffic->question = strcmp(source, "iptables") == 0 ? TRAFFIC_ACCOUNTING
			    : traffic->context.is_once      ? TRAFFIC_READ
							    : TRAFFIC_METER;
	traffic->patterns = calloc(1, strlen(patterns) + 2);
	traffic->ports = calloc(TRAFFIC_PORTS_MAX, sizeof(*traffic->ports));
	if (!traffic->patterns || !traffic->ports)
		return -ENOMEM;
	r = each_word(traffic, config_text(config, "traffic", "internal"), take_prefix, err);
	if (r == 0)
		r = each_word(traffic, patterns, take_pattern, err);
	if (r == 0)
		r = floating_new(
			config_text(config, "traffic", "floating_file"), &traffic->floating);
	traffic_program(config_text(config, "traffic", "helper"), traffic->program,
		sizeof(traffic->program));
	return r;
}

int traffic_new(
	const struct collector_context *context, struct traffic **ret_traffic, struct error *err)
{
	struct traffic *traffic = calloc(1, sizeof(*traffic));
	int r;

	if (!traffic)
		return -ENOMEM;
	traffic->context = *context;
	buffer_init(&traffic->message, TRAFFIC_MESSAGE_MAX + 65536);
	arena_init(&traffic->arena, ARENA_MAX);
	r = configure(traffic, err);
	if (r < 0)
		traffic_free(traffic);
	else
		*ret_traffic = traffic;
	return r;
}

struct traffic *traffic_free(struct traffic *traffic)
{
	if (!traffic)
		return NULL;
	child_end(&traffic->child);
	floating_free(traffic->floating);
	free(traffic->patterns);
	free(traffic->ports);
	free(traffic->owners.items);
	free(traffic->former.items);
	buffer_deinit(&traffic->message);
	arena_deinit(&traffic->arena);
	free(traffic);
	return NULL;
}

static int compare_owners(const void *a, const void *b)
{
	const struct owner *first = a, *second = b;

	return first->index < second->index ? -1 : first->index > second->index;
}

void traffic_begin(struct traffic *traffic)
{
	struct error err = { 0 };
	struct owners owners = traffic->former;

	traffic->port_count = 0;
	traffic->former = traffic->owners;
	traffic->owners = owners;
	traffic->owners.count = 0;
	if (traffic->is_on && floating_refresh(traffic->floating, &err) < 0)
		note(traffic, true, "of floating addresses is told as before: %s", err.text);
}

static bool is_metered(const struct traffic *traffic, const char *nic)
{
	for (const char *pattern = traffic->patterns; *pattern; pattern += strlen(pattern) + 1)
		if (fnmatch(pattern, nic, 0) == 0)
			return true;
	return false;
}

/* instance-00000070 is 112 to nova and in its accounting rules. */
static int64_t number_of(const char *name)
{
	const char *digits = strncmp(name, "instance-", 9) == 0 ? name + 9 : "";
	char *end;
	unsigned long number = strtoul(digits, &end, 16);

	return *digits && !*end && strlen(digits) == 8 ? (int64_t)number : 0;
}

static bool add_owner(
	struct traffic *traffic, uint32_t index, int64_t number, const struct uuid *uuid)
{
	struct owners *owners = &traffic->owners;
	struct owner *larger;

	if ((owners->count & (owners->count - 1)) == 0) {
		larger = realloc(owners->items, MAX_OF(owners->count * 2, 1) * sizeof(*larger));
		if (!larger)
			return false;
		owners->items = larger;
	}
	owners->items[owners->count++] = (struct owner){ index, number, *uuid };
	return true;
}

void traffic_want(struct traffic *traffic, const struct uuid *uuid, const char *name,
	const struct instance_port *port)
{
	uint32_t index = if_nametoindex(port->nic);
	struct traffic_address address;
	const char *label;

	if (!traffic->is_on || !index || !traffic_nic_is_plain(port->nic) ||
		!is_metered(traffic, port->nic) ||
		!add_owner(traffic, index, number_of(name), uuid))
		return;
	for (size_t i = 0; i < port->address_count; i++) {
		struct traffic_port *wanted = &traffic->ports[traffic->port_count];

		if (traffic->port_count == TRAFFIC_PORTS_MAX ||
			traffic_address_parse(port->addresses[i], &address) < 0)
			continue;
		label = floating_of(traffic->floating, &address, port->port_id);
		*wanted = (struct traffic_port){ .index = index, .address = address };
		text_copy(wanted->nic, sizeof(wanted->nic), port->nic);
		text_copy(wanted->label, sizeof(wanted->label), label ? label : "");
		traffic->port_count++;
	}
}

static int send_wish(struct traffic *traffic)
{
	const struct traffic_wish wish = { traffic->question, traffic->internal,
		traffic->internal_count, traffic->ports,
		traffic->question == TRAFFIC_ACCOUNTING ? 0 : traffic->port_count };
	struct buffer *message = &traffic->message;
	int r;

	traffic_encode_wish(message, &wish);
	r = buffer_check(message);
	if (r < 0)
		return r;
	return child_send(&traffic->child, message->bytes, message->size, TRAFFIC_TIMEOUT_MS);
}

static int receive_answer(struct traffic *traffic)
{
	struct cursor cursor;
	int r;

	buffer_clear(&traffic->message);
	r = child_receive(&traffic->child, &traffic->message, TRAFFIC_TIMEOUT_MS);
	if (r < 0)
		return r;
	cursor = cursor_over(traffic->message.bytes + 4, traffic->message.size - 4);
	arena_clear(&traffic->arena);
	return traffic_decode_answer(&cursor, &traffic->arena, &traffic->answer);
}

static int start_program(struct traffic *traffic)
{
	char name[] = TRAFFIC_PROGRAM, option[] = "--accounting";
	char *const arguments[] = { name, traffic->question == TRAFFIC_ACCOUNTING ? option : NULL,
		NULL };

	return traffic->child.pid ? 0 : child_start(&traffic->child, traffic->program, arguments);
}

/* The program is of no more use; a new one is tried after a while that grows. */
static void give_up(struct traffic *traffic, int r)
{
	const char *why = r == -EAGAIN   ? "does not answer"
			  : r == -EPIPE  ? "ended"
			  : r == -EPROTO ? "answers what it must not"
					 : strerror(-r);

	child_end(&traffic->child);
	traffic->backoff_ms = MIN_OF(MAX_OF(traffic->backoff_ms * 2, 1000), BACKOFF_MAX_MS);
	traffic->retry_ms = clock_monotonic_ms(traffic->context.clock) + traffic->backoff_ms;
	note(traffic, true, "is not metered: %s: %s", traffic->program, why);
}

static void tell_state(struct traffic *traffic)
{
	const struct traffic_answer *answer = &traffic->answer;

	if (*answer->problem)
		note(traffic, true, "is not metered: %s; see kanyun doctor", answer->problem);
	else if (answer->is_one_way)
		note(traffic, true,
			"to instances is not measured: the kernel has no egress hook for nftables "
			"(Linux 5.16)");
	else if (answer->refused)
		note(traffic, true, "of %" PRIu32 " accounting rules cannot be told",
			answer->refused);
	else
		note(traffic, false, "is metered");
}

/* Those that former rounds wanted are known until the kernel has forgotten them. */
static void keep_former(struct traffic *traffic)
{
	for (size_t i = 0; i < traffic->former.count; i++) {
		const struct owner *owner = &traffic->former.items[i];

		(void)add_owner(traffic, owner->index, owner->number, &owner->uuid);
	}
}

static void sort_owners(struct owners *owners)
{
	if (owners->count)
		qsort(owners->items, owners->count, sizeof(*owners->items), compare_owners);
}

const struct traffic_answer *traffic_ask(struct traffic *traffic)
{
	int r = -EAGAIN;

	if (!traffic->is_on || (!traffic->port_count && !traffic->has_asked))
		return NULL;
	if (clock_monotonic_ms(traffic->context.clock) >= traffic->retry_ms) {
		traffic->has_asked = true;
		r = start_program(traffic);
		if (r == 0)
			r = send_wish(traffic);
		if (r == 0)
			r = receive_answer(traffic);
		if (r < 0)
			give_up(traffic, r);
	}
	if (r < 0) {
		keep_former(traffic);
		return NULL;
	}
	traffic->retry_ms = traffic->backoff_ms = 0;
	sort_owners(&traffic->owners);
	sort_owners(&traffic->former);
	tell_state(traffic);
	return &traffic->answer;
}

static const struct owner *find_owner(
	const struct owners *owners, const struct traffic_counter *counter)
{
	const struct owner key = { .index = counter->index };

	for (size_t i = 0; counter->number && i < owners->count; i++)
		if (owners->items[i].number == counter->number)
			return &owners->items[i];
	return owners->count && !counter->number
		       ? bsearch(&key, owners->items, owners->count, sizeof(key), compare_owners)
		       : NULL;
}

bool traffic_owner(
	const struct traffic *traffic, const struct traffic_counter *counter, struct uuid *ret_uuid)
{
	const struct owner *owner = find_owner(&traffic->owners, counter);

	if (!owner)
		owner = find_owner(&traffic->former, counter);
	if (owner)
		*ret_uuid = owner->uuid;
	return owner != NULL;
}

static void set_values(struct tuple *tuple, const struct traffic_counter *counter)
{
	static const unsigned int columns[_TRAFFIC_KINDS] = {
		[TRAFFIC_EXTERNAL_IN] = 1,
		[TRAFFIC_EXTERNAL_OUT] = 2,
		[TRAFFIC_INTERNAL_IN] = 3,
		[TRAFFIC_INTERNAL_OUT] = 4,
	};
	int64_t sum;

	for (unsigned int kind = 0; kind < _TRAFFIC_KINDS; kind++)
		if (counter->has[kind])
			tuple_set(tuple, columns[kind], counter->bytes[kind]);
	if (counter->has[TRAFFIC_EXTERNAL_IN] && counter->has[TRAFFIC_EXTERNAL_OUT] &&
		!__builtin_add_overflow(counter->bytes[TRAFFIC_EXTERNAL_IN],
			counter->bytes[TRAFFIC_EXTERNAL_OUT], &sum))
		tuple_set(tuple, 0, sum);
}

bool traffic_add(struct traffic *traffic, struct batch *batch, struct reading *reading,
	const struct traffic_counter *counter)
{
	struct tuple *tuple = batch_add_tuple(batch, reading);
	char text[TRAFFIC_LABEL_MAX + 1], life[TRAFFIC_LIFE_MAX + 32];
	int64_t ms;

	if (!tuple)
		return false;
	snprintf(life, sizeof(life), "if%" PRIu32 "/%s", counter->index, counter->life);
	tuple->group = METRIC_GROUP_VMNETWORK;
	tuple->parameter = batch_text(batch,
		*counter->label ? counter->label : traffic_address_format(&counter->address, text));
	tuple->life = batch_text(batch, *counter->life ? life : "");
	tuple->has_start = true;
	tuple->start_ms = EPOCH_START_UNKNOWN;
	if (counter->is_whole && traffic_life_ms(counter->life, &ms) == 0)
		tuple->start_ms = clock_wall_of(traffic->context.clock, ms);
	set_values(tuple, counter);
	return tuple->parameter && tuple->life;
}
