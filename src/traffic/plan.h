/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* From what the kernel has and what is wanted to a transaction of nftables' that makes the one the
 * other. Pure functions.
 *
 *     table netdev kanyun
 *       set external_in4 ... internal_out6   tap . address, each with a counter and a comment
 *       chain from_instance, to_instance     look up the address in the set of its kind
 *       chain out7, in7                      hooks of the tap with the index 7, jump to those
 *
 * An element's comment is the life of its counter: "BOOT.TABLE.MS[ whole][ as LABEL]", the boot and
 * the table that it was made in, and when (CLOCK_BOOTTIME). One whose comment says otherwise is not
 * of our making (a rule set that was saved and loaded again), or no longer wanted, and is replaced.
 * A life ends when it can have missed something: when its rules were not what they should be. */

#include "traffic/kernel.h"

/* What is known beside the kernel. */
struct plan_context {
	bool is_one_way;   /* no egress hook */
	const char *boot;  /* 8 hexadecimal digits of the boot id */
	const char *rules; /* the comment of the right rules */
	int64_t now_ms;    /* CLOCK_BOOTTIME */
};

/* All that the kernel counts for one address of one tap. */
struct plan_row {
	const struct kernel_element *elements[_TRAFFIC_KINDS]; /* NULL: not there */
	uint32_t index;
	struct traffic_address address;
	char life[TRAFFIC_LIFE_MAX + 1]; /* "": it has none that may be told */
	char label[TRAFFIC_LABEL_MAX + 1];
	bool is_whole;
	bool is_kept;
};

/* The rows, sorted by index and address. -ENOMEM. */
MUST_CHECK int plan_rows(struct kernel_elements *elements, const struct plan_context *context,
	const struct kernel_layout *layout, struct arena *arena, struct plan_row **ret_rows,
	size_t *ret_count);

/* Is everything there but for the taps? */
bool plan_is_sound(const struct kernel_layout *layout, const struct plan_context *context);

/* Does the tap's traffic reach the rules? */
bool plan_is_tapped(
	const struct kernel_layout *layout, const struct plan_context *context, uint32_t index);

/* A port that is to be metered, for plan_write. Sorted by index and address, none twice. */
struct plan_port {
	const struct traffic_port *port;
	bool is_whole; /* nothing has passed the tap yet */
	bool is_kept;  /* the row is there already */
};

/* Whether two ports, or a port and a row, are of one tap and address; which is first. */
int plan_compare(uint32_t index, const struct traffic_address *address, uint32_t other_index,
	const struct traffic_address *other_address);

/* Decides which rows are kept. */
void plan_match(struct plan_row *rows, size_t row_count, struct plan_port *ports, size_t port_count,
	const struct kernel_layout *layout, const struct plan_context *context);

/* Sets and rules of a table that is empty. */
void plan_write_table(struct buffer *to, const struct traffic_prefix *internal, size_t count,
	const struct plan_context *context);

/* Takes away rows that are not kept and taps that are not wanted; adds taps and ports. Nothing is
 * written if there is nothing to do. */
void plan_write_changes(struct buffer *to, const struct plan_row *rows, size_t row_count,
	const struct plan_port *ports, size_t port_count, const struct kernel_layout *layout,
	const struct plan_context *context);

/* Those of the ports, which are there, get a new life that is not whole. */
void plan_write_again(struct buffer *to, const struct plan_port *ports, size_t port_count,
	const struct kernel_layout *layout, const struct plan_context *context);

/* The row as it is told to the worker. */
struct traffic_counter plan_counter(const struct plan_row *row);
