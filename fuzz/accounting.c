/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* What iptables-save prints; and what was read of it, written as rules, is read as the same. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "fuzz/target.h"
#include "traffic/accounting.h"

enum { TEXT_MAX = 8 * 1024 * 1024 };

static void write_rule(
	struct buffer *to, const struct accounting_entry *entry, const char *option, uint64_t bytes)
{
	char address[TRAFFIC_LABEL_MAX + 1];

	buffer_print(to,
		"[0:%" PRIu64 "] -A f %s e -m comment --comment \"%" PRId64
		" %s accounting rule\"\n",
		bytes, option, entry->id, traffic_address_format(&entry->address, address));
}

static void check_again(const struct accounting *accounting)
{
	CLEANUP(buffer_deinit) struct buffer text;
	CLEANUP(accounting_deinit) struct accounting again = { 0 };

	buffer_init(&text, TEXT_MAX);
	for (size_t i = 0; i < accounting->count; i++) {
		const struct accounting_entry *entry = &accounting->entries[i];

		if (entry->has_out)
			write_rule(&text, entry, "-o", entry->out_bytes);
		if (entry->has_in)
			write_rule(&text, entry, "-i", entry->in_bytes);
	}
	if (buffer_check(&text) != 0 ||
		accounting_parse((const char *)text.bytes, text.size, &again) != 0)
		return;
	if (again.refused || again.count != accounting->count)
		abort();
	for (size_t i = 0; i < again.count; i++) {
		const struct accounting_entry *one = &accounting->entries[i],
					      *other = &again.entries[i];

		if (one->id != other->id || one->has_in != other->has_in ||
			one->has_out != other->has_out || one->in_bytes != other->in_bytes ||
			one->out_bytes != other->out_bytes ||
			memcmp(&one->address, &other->address, sizeof(one->address)) != 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	CLEANUP(accounting_deinit) struct accounting accounting = { 0 };

	if (accounting_parse((const char *)bytes, size, &accounting) == 0 && accounting.count)
		check_again(&accounting);
	return 0;
}
