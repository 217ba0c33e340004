/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The rows of kanyun top: what each instance does now, by the answer of the method `latest`.
 *
 * A rate is that of the last two samples, summed over the instance's NICs, disks or addresses.
 * What is not known is NAN, not 0; a device that has no rate leaves the sum unknown. An instance
 * that was not read for three of its intervals has no values but its age. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

enum top_value {
	TOP_CPU_PERCENT,  /* of all of its vCPUs */
	TOP_CORE_PERCENT, /* of one core */
	TOP_MEMORY,       /* KiB */
	TOP_MEMORY_MAX,
	TOP_MEMORY_FREE,
	TOP_NIC_IN, /* bytes per second */
	TOP_NIC_OUT,
	TOP_DISK_READ,
	TOP_DISK_WRITE,
	TOP_EXTERNAL_IN,
	TOP_EXTERNAL_OUT,
	_TOP_VALUE_COUNT,
};

struct top_row {
	const char *id, *name, *display_name, *host, *project_id, *project_name;
	const char *state;       /* "" if it is not known, or not of now */
	int64_t vcpus;           /* -1: unknown */
	int64_t last_ms, age_ms; /* when it was read, and how long ago */
	bool is_old;
	double values[_TOP_VALUE_COUNT];
};

/* Rows of an answer, whose texts they borrow. */
struct top_rows {
	struct top_row *rows;
	size_t count;
};

void top_rows_init(struct top_rows *rows, const json_t *answer);
void top_rows_deinit(struct top_rows *rows);
CLEANUP_DEFINE_VALUE(struct top_rows, top_rows_deinit)

/* What rows can be sorted by: the largest value or sum of two first, texts from A on. */
struct top_order {
	const char *name;
	char key;    /* of the live view; 0: none */
	size_t text; /* offset of it in struct top_row; 0: values */
	enum top_value first, second;
};

/* NULL if there is none. */
const struct top_order *top_order_by_name(const char *name);
const struct top_order *top_order_by_key(char key);

/* What is not known is last, reversed or not. */
void top_rows_sort(struct top_rows *rows, const struct top_order *order, bool is_reversed);

/* The first `limit` rows for programs: numbers as they are, null or nothing where unknown. */
json_t *top_rows_to_json(const struct top_rows *rows, size_t limit);
void top_rows_print_csv(const struct top_rows *rows, size_t limit);
