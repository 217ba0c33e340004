/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* External traffic as the first kanyun counted it: by rules of iptables, whose comment says whose
 * traffic they count.
 *
 *     [12:3456] -A nova-compute-f-inst-112 -o eth0
 *         -m comment --comment " 112 10.0.0.3 accounting rule "
 *
 * Reads what `iptables-save -c` prints, of either flavor, and ip6tables-save the same. The comment
 * has the instance's number (112 is instance-00000070) and the address; the blanks at its ends may
 * be missing. A rule, which is one line, counts what goes out if it names the address as its
 * source, and what comes in if as its destination; one that names neither goes by its interface:
 * out by -o, else in by -i.
 *
 * A rule is refused, and counted as such, if it is not known to count one direction of just that
 * address: it is damaged, it names another address, a wider one, a negated one or both ends, or it
 * has no direction. Where several rules count the same direction of an address, a packet may have
 * passed more than one of them: the first one counts and the others are refused, for nothing may be
 * counted twice. Lines without the words "accounting rule" are not looked at. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "traffic/protocol.h"

/* More addresses are refused, and so is a rule of more bytes. */
enum { ACCOUNTING_MAX = 16384, ACCOUNTING_LINE_MAX = 4096 };

/* What the rules of one address say. A direction without a rule is not known: it is not zero. */
struct accounting_entry {
	int64_t id; /* the instance's number */
	struct traffic_address address;
	bool has_in, has_out;
	uint64_t in_bytes, out_bytes; /* at most INT64_MAX */
};

struct accounting {
	struct accounting_entry *entries; /* owned; by id, family and address, each once */
	size_t count;
	size_t refused; /* rules */
};

/* Reads the whole text. A last line without its end is damaged. Returns 0, or -ENOMEM. */
MUST_CHECK int accounting_parse(const char *text, size_t size, struct accounting *ret_accounting);

void accounting_deinit(struct accounting *accounting);
CLEANUP_DEFINE_VALUE(struct accounting, accounting_deinit)
