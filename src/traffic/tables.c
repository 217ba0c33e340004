/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "traffic/tables.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "traffic/accounting.h"

enum { OUTPUT_MAX = 32 * 1024 * 1024, SAVE_MS = 1500 };

/* Absolute, for this process may do what its user may not. What is not installed has no rules. */
static const char *const programs[] = { "/usr/sbin/iptables-legacy-save",
	"/usr/sbin/iptables-nft-save", "/usr/sbin/ip6tables-legacy-save",
	"/usr/sbin/ip6tables-nft-save" };

static int save(const char *program, struct buffer *output)
{
	char option[] = "-c";
	char *const arguments[] = { (char *)(uintptr_t)program, option, NULL };
	struct child child = { 0 };
	int r = child_start(&child, program, arguments);

	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : child_finish(&child, output, SAVE_MS);
}

static struct traffic_counter counter_of(const struct accounting_entry *entry)
{
	return (struct traffic_counter){ .number = entry->id,
		.address = entry->address,
		.has[TRAFFIC_EXTERNAL_IN] = entry->has_in,
		.has[TRAFFIC_EXTERNAL_OUT] = entry->has_out,
		.bytes[TRAFFIC_EXTERNAL_IN] = (int64_t)entry->in_bytes,
		.bytes[TRAFFIC_EXTERNAL_OUT] = (int64_t)entry->out_bytes };
}

static int tell(const struct buffer *output, struct arena *arena, struct traffic_answer *answer)
{
	CLEANUP(accounting_deinit) struct accounting accounting = { 0 };
	int r = accounting_parse((const char *)output->bytes, output->size, &accounting);

	if (r < 0)
		return r;
	answer->refused = (uint32_t)MIN_OF(accounting.refused, UINT32_MAX);
	answer->counters = arena_take_array(arena, accounting.count + 1, sizeof(*answer->counters));
	if (!answer->counters)
		return -ENOMEM;
	for (size_t i = 0; i < accounting.count; i++)
		answer->counters[answer->count++] = counter_of(&accounting.entries[i]);
	return 0;
}

int tables_ask(struct arena *arena, struct traffic_answer *ret_answer)
{
	CLEANUP(buffer_deinit) struct buffer output;
	int r;

	*ret_answer = (struct traffic_answer){ .count = 0 };
	buffer_init(&output, OUTPUT_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		r = save(programs[i], &output);
		if (r < 0) {
			snprintf(ret_answer->problem, sizeof(ret_answer->problem), "%s: %s",
				programs[i], strerror(-r));
			return 0; /* a part would look like rules that were taken away */
		}
	}
	return tell(&output, arena, ret_answer);
}
