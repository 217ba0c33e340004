/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Each question is answered from the kernel alone, so that neither this process nor the worker
 * holds anything that a restart would lose:
 *
 *     1. the layout (table, chains, rules), if nftables has changed since it was read last
 *     2. the elements: what was counted until now
 *     3. one transaction, if something is not as it is wanted; then 1 and 2 again
 *
 * Lives that end in 3 are answered with their counters of 2. Nothing is counted for a tap whose
 * rules were missing, so those are their last. */

#include "traffic/meter.h"

#include <errno.h>
#include <inttypes.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "traffic/plan.h"

enum {
	DEFINITION = 1, /* of the rules that plan.c writes; another one replaces them */
	COMMANDS_MAX = 32 * 1024 * 1024,
	LAYOUT_MAX = 16 * 1024 * 1024,
	ATTEMPTS_MAX = 5, /* others change nftables too */
	BOOT_SIZE = 8,
	BOOT_TEXT_SIZE = 37,
};

struct meter {
	struct kernel *kernel;
	struct nft_ctx *nft;
	struct buffer commands;
	bool is_one_way;
	char boot[BOOT_SIZE + 1];
	char rules[64]; /* the comment of the right rules */
	struct arena arena;
	struct kernel_layout layout;
	bool has_layout;
};

static int run(struct meter *meter, struct error *err)
{
	const char *text;
	int r;

	buffer_write_u8(&meter->commands, 0);
	r = buffer_check(&meter->commands);
	if (r == 0 && nft_run_cmd_from_buffer(meter->nft, (const char *)meter->commands.bytes)) {
		text = nft_ctx_get_error_buffer(meter->nft);
		r = error_set(err, -EIO, "nftables: %.*s", (int)strcspn(text, "\n"), text);
	}
	buffer_clear(&meter->commands);
	return r;
}

/* Whether the kernel has the hook; nothing is changed. Not in our own table, which may be there and
 * in a state in which it takes no chain. */
static bool can_hook(struct meter *meter, const char *hook, struct error *err)
{
	int r;

	buffer_print(&meter->commands,
		"add table netdev " KERNEL_TABLE "-probe\n"
		"add chain netdev " KERNEL_TABLE "-probe probe { type filter hook %s device \"lo\" "
		"priority -300; }\n",
		hook);
	nft_ctx_set_dry_run(meter->nft, true);
	r = run(meter, err);
	nft_ctx_set_dry_run(meter->nft, false);
	return r == 0;
}

static int read_boot(char boot[BOOT_SIZE + 1])
{
	char text[BOOT_TEXT_SIZE] = "";

	file_read_line("/proc/sys/kernel/random/boot_id", text, sizeof(text));
	memcpy(boot, text, BOOT_SIZE);
	boot[BOOT_SIZE] = '\0';
	return strspn(boot, "0123456789abcdef") == BOOT_SIZE ? 0 : -EIO;
}

static int open_all(struct meter *meter, struct error *err)
{
	int r = read_boot(meter->boot);

	if (r < 0)
		return error_set(err, r, "the kernel tells no boot id");
	r = kernel_open(&meter->kernel);
	if (r < 0)
		return error_set(err, r, "netlink: %s", strerror(-r));
	meter->nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!meter->nft)
		return -ENOMEM;
	if (nft_ctx_buffer_error(meter->nft) || nft_ctx_buffer_output(meter->nft))
		return -ENOMEM;
	if (!can_hook(meter, "ingress", err))
		return -EIO;
	meter->is_one_way = !can_hook(meter, "egress", NULL);
	return 0;
}

int meter_new(struct meter **ret_meter, struct error *err)
{
	struct meter *meter = calloc(1, sizeof(*meter));
	int r;

	if (!meter)
		return -ENOMEM;
	buffer_init(&meter->commands, COMMANDS_MAX);
	arena_init(&meter->arena, LAYOUT_MAX);
	r = open_all(meter, err);
	if (r < 0)
		meter_free(meter);
	else
		*ret_meter = meter;
	return r;
}

struct meter *meter_free(struct meter *meter)
{
	if (!meter)
		return NULL;
	kernel_close(meter->kernel);
	if (meter->nft)
		nft_ctx_free(meter->nft);
	buffer_deinit(&meter->commands);
	arena_deinit(&meter->arena);
	free(meter);
	return NULL;
}

bool meter_is_one_way(const struct meter *meter)
{
	return meter->is_one_way;
}

/* What one question works with. */
struct asking {
	struct meter *meter;
	const struct traffic_wish *wish;
	struct arena *arena;
	struct plan_context context;
	struct plan_port *ports;
	size_t port_count;
	struct kernel_elements elements;
	struct plan_row *rows;
	size_t row_count;
	struct traffic_answer *answer;
};

/* The comment of the right rules names what they are made from. */
static void name_rules(struct meter *meter, const struct traffic_wish *wish)
{
	uint64_t hash = TEXT_HASH_SEED;
	const struct traffic_address *address;
	char name[sizeof(meter->rules)];

	for (size_t i = 0; i < wish->internal_count; i++) {
		address = &wish->internal[i].address;
		hash = text_hash(hash, &address->family, 1);
		hash = text_hash(hash, address->bytes, sizeof(address->bytes));
		hash = text_hash(hash, &wish->internal[i].length, 1);
	}
	snprintf(name, sizeof(name), "kanyun %d %016" PRIx64, DEFINITION, hash);
	if (strcmp(meter->rules, name) == 0)
		return;
	memcpy(meter->rules, name, sizeof(name));
	meter->has_layout = false; /* it was judged by another name */
}

/* Rules that are as right as the ones before, but others: they were taken away for a while. */
static void doubt_replaced(struct kernel_layout *layout, const struct kernel_layout *before)
{
	size_t k = 0;

	for (size_t i = 0; i < before->chain_count; i++) {
		while (k < layout->chain_count &&
			strcmp(layout->chains[k].name, before->chains[i].name) < 0)
			k++;
		if (k < layout->chain_count &&
			strcmp(layout->chains[k].name, before->chains[i].name) == 0 &&
			layout->chains[k].handles != before->chains[i].handles)
			layout->chains[k].right_rules = 0;
	}
}

/* A copy whose memory is the meter's. */
static int keep_layout(struct meter *meter, const struct kernel_layout *layout)
{
	struct kernel_chain *chains;

	arena_clear(&meter->arena);
	meter->has_layout = false;
	chains = arena_take_array(&meter->arena, layout->chain_count + 1, sizeof(*chains));
	if (!chains)
		return -ENOMEM;
	if (layout->chain_count)
		memcpy(chains, layout->chains, layout->chain_count * sizeof(*chains));
	meter->layout = *layout;
	meter->layout.chains = chains;
	meter->has_layout = true;
	return 0;
}

/* is_ours: what changed since the last time is what we changed. */
static int read_layout(struct asking *asking, bool is_ours)
{
	struct meter *meter = asking->meter;
	struct kernel_layout layout;
	uint32_t generation = 0;
	int r = kernel_generation(meter->kernel, &generation);

	if (r < 0 || (meter->has_layout && meter->layout.generation == generation))
		return r;
	r = kernel_read_layout(meter->kernel, meter->rules, asking->arena, &layout);
	if (r < 0)
		return r;
	if (meter->has_layout && !is_ours && layout.handle == meter->layout.handle)
		doubt_replaced(&layout, &meter->layout);
	return keep_layout(meter, &layout);
}

static int read_once(struct asking *asking, bool is_ours)
{
	struct meter *meter = asking->meter;
	int r = read_layout(asking, is_ours);

	if (r == 0)
		r = kernel_read_elements(meter->kernel, asking->arena, &asking->elements);
	if (r == 0)
		r = plan_rows(&asking->elements, &asking->context, &meter->layout, asking->arena,
			&asking->rows, &asking->row_count);
	if (r == 0)
		plan_match(asking->rows, asking->row_count, asking->ports, asking->port_count,
			&meter->layout, &asking->context);
	return r;
}

static int read_all(struct asking *asking, bool is_ours)
{
	int r = -EAGAIN;

	for (int i = 0; r == -EAGAIN && i < ATTEMPTS_MAX; i++)
		r = read_once(asking, is_ours);
	return r;
}

static int compare_ports(const void *a, const void *b)
{
	const struct traffic_port *first = ((const struct plan_port *)a)->port;
	const struct traffic_port *second = ((const struct plan_port *)b)->port;

	return plan_compare(first->index, &first->address, second->index, &second->address);
}

/* Sorted, each once. */
static int sort_ports(struct asking *asking)
{
	const struct traffic_wish *wish = asking->wish;
	struct plan_port *ports =
		arena_take_array(asking->arena, wish->port_count + 1, sizeof(*ports));
	size_t count = 0;

	if (!ports)
		return -ENOMEM;
	for (size_t i = 0; i < wish->port_count; i++)
		ports[i].port = &wish->ports[i];
	qsort(ports, wish->port_count, sizeof(*ports), compare_ports);
	for (size_t i = 0; i < wish->port_count; i++)
		if (count == 0 || compare_ports(&ports[count - 1], &ports[i]) != 0)
			ports[count++] = ports[i];
	asking->ports = ports;
	asking->port_count = count;
	return 0;
}

/* Taps that are gone already are not wanted any more; one that nothing has passed is whole. */
static int look_at_taps(struct asking *asking)
{
	struct meter *meter = asking->meter;
	const struct traffic_port *port, *last = NULL;
	uint64_t packets = 0;
	size_t count = 0;
	int r = 0;

	for (size_t i = 0; i < asking->port_count; i++) {
		port = asking->ports[i].port;
		if (!last || last->index != port->index)
			r = asking->ports[i].is_kept ? 0
						     : kernel_read_packets(meter->kernel, port->nic,
							       port->index, &packets);
		last = port;
		if (r == -EAGAIN)
			return r;
		if (r < 0)
			continue;
		asking->ports[count] = asking->ports[i];
		asking->ports[count].is_whole =
			!plan_is_tapped(&meter->layout, &asking->context, port->index) &&
			packets == 0;
		count++;
	}
	asking->port_count = count;
	return 0;
}

/* The table is made first: its number is in the name of every life. */
static int make_table(struct asking *asking, struct error *err)
{
	struct meter *meter = asking->meter;
	int r;

	if (meter->layout.has_table)
		buffer_print(&meter->commands, "delete table netdev " KERNEL_TABLE "\n");
	buffer_print(&meter->commands, "add table netdev " KERNEL_TABLE "\n");
	r = run(meter, err);
	if (r == 0)
		r = read_all(asking, true);
	if (r == 0)
		plan_write_table(&meter->commands, asking->wish->internal,
			asking->wish->internal_count, &asking->context);
	return r;
}

/* Those that something passed meanwhile get another life. */
static int take_back_whole(struct asking *asking, struct error *err)
{
	struct meter *meter = asking->meter;
	const struct traffic_port *port, *last = NULL;
	bool has_passed = false, is_any = false;
	uint64_t packets;

	for (size_t i = 0; i < asking->port_count; i++) {
		port = asking->ports[i].port;
		if (asking->ports[i].is_kept || !asking->ports[i].is_whole) {
			asking->ports[i].is_kept = true;
			continue;
		}
		if (!last || last->index != port->index)
			has_passed = kernel_read_packets(
					     meter->kernel, port->nic, port->index, &packets) < 0 ||
				     packets > 0;
		last = port;
		asking->ports[i].is_kept = !has_passed;
		asking->ports[i].is_whole = false;
		is_any = is_any || has_passed;
	}
	if (!is_any)
		return 0;
	plan_write_again(&meter->commands, asking->ports, asking->port_count, &meter->layout,
		&asking->context);
	return run(meter, err);
}

static int change(struct asking *asking, struct error *err)
{
	struct meter *meter = asking->meter;
	int r = look_at_taps(asking);

	if (r == 0 && !plan_is_sound(&meter->layout, &asking->context))
		r = make_table(asking, err);
	if (r < 0)
		return r;
	plan_write_changes(&meter->commands, asking->rows, asking->row_count, asking->ports,
		asking->port_count, &meter->layout, &asking->context);
	if (!meter->commands.size)
		return 0;
	r = run(meter, err);
	if (r == 0)
		r = take_back_whole(asking, err);
	return r < 0 ? r : read_all(asking, true);
}

/* Rows that have a life: the kept ones, or the others, which ended. */
static int tell(struct asking *asking, bool is_kept)
{
	struct traffic_answer *answer = asking->answer;
	struct traffic_counter *larger;

	for (size_t i = 0; i < asking->row_count; i++) {
		const struct plan_row *row = &asking->rows[i];

		if (!*row->life || row->is_kept != is_kept)
			continue;
		larger = arena_grow(asking->arena, answer->counters, answer->count,
			2 * TRAFFIC_PORTS_MAX, sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		answer->counters = larger;
		larger[answer->count++] = plan_counter(row);
	}
	return 0;
}

/* All rows of a table that is not sound have ended. */
static void end_rows(struct asking *asking)
{
	for (size_t i = 0; i < asking->row_count; i++)
		asking->rows[i].is_kept = false;
	for (size_t i = 0; i < asking->port_count; i++)
		asking->ports[i].is_kept = false;
}

static int answer_all(struct asking *asking, struct error *err)
{
	int r = read_all(asking, false);

	if (r < 0)
		return r;
	if (!plan_is_sound(&asking->meter->layout, &asking->context))
		end_rows(asking);
	if (asking->wish->question == TRAFFIC_METER) {
		r = tell(asking, false);
		if (r == 0)
			r = change(asking, err);
	}
	return r < 0 ? r : tell(asking, true);
}

int meter_ask(struct meter *meter, const struct traffic_wish *wish, struct arena *arena,
	struct traffic_answer *ret_answer)
{
	struct asking asking = { .meter = meter,
		.wish = wish,
		.arena = arena,
		.answer = ret_answer,
		.context = { meter->is_one_way, meter->boot, meter->rules,
			clock_monotonic_ms(clock_system()) } };
	struct error err = { 0 };
	int r = sort_ports(&asking);

	*ret_answer = (struct traffic_answer){ .is_one_way = meter->is_one_way };
	name_rules(meter, wish);
	if (r == 0)
		r = answer_all(&asking, &err);
	buffer_clear(&meter->commands);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		meter->has_layout = false;
		text_copy(ret_answer->problem, sizeof(ret_answer->problem), error_text(&err, r));
	}
	return 0;
}
