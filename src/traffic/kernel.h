/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What stands in the kernel: kanyun's table, read through netlink. Numbers and attributes:
 * linux/netfilter/nf_tables.h. One thread. */

#include "traffic/protocol.h"

#define KERNEL_TABLE "kanyun"

enum { KERNEL_CHAIN_SIZE = 16, KERNEL_COMMENT_SIZE = 129, KERNEL_CHAINS_MAX = 65536 };

struct kernel_chain {
	char name[KERNEL_CHAIN_SIZE];
	unsigned int rules, right_rules; /* those with the comment that was asked for */
	uint64_t handles;                /* a hash of its rules' */
};

/* One address in one of the sets. */
struct kernel_element {
	uint32_t index;
	struct traffic_address address;
	enum traffic_kind kind;
	uint64_t packets, bytes;
	char comment[KERNEL_COMMENT_SIZE]; /* "" if it is too long, or there is none */
};

struct kernel_layout {
	uint32_t generation; /* of all of nftables; it changes with every change */
	bool has_table;
	uint64_t handle; /* of the table; another one has another */
	uint32_t flags;  /* e.g. dormant */
	struct kernel_chain *chains;
	size_t chain_count;
};

struct kernel_elements {
	struct kernel_element *items;
	size_t count;
};

struct kernel;

MUST_CHECK int kernel_open(struct kernel **ret_kernel);
struct kernel *kernel_close(struct kernel *kernel);

MUST_CHECK int kernel_generation(struct kernel *kernel, uint32_t *ret_generation);

/* The table's chains, of which `comment` tells the right rules. -EAGAIN: it changed meanwhile. */
MUST_CHECK int kernel_read_layout(struct kernel *kernel, const char *comment, struct arena *arena,
	struct kernel_layout *ret_layout);

/* All addresses of all sets; the elements of one set are not of one instant. -EAGAIN as above. */
MUST_CHECK int kernel_read_elements(
	struct kernel *kernel, struct arena *arena, struct kernel_elements *ret_elements);

/* The packets that passed a device in both directions; -ENODEV: the index is not that device's. */
MUST_CHECK int kernel_read_packets(
	struct kernel *kernel, const char *nic, uint32_t index, uint64_t *ret_packets);

/* external_in4 ... internal_out6 */
const char *kernel_set_name(enum traffic_kind kind, uint8_t family);
