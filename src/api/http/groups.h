/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Usage summed over instances: a row for each project, flavor, host or instance, metric and step.
 * Sums have 128 bits, for a month of nanoseconds of a thousand instances has more than 63. */

#include <jansson.h>

#include "base/error.h"
#include "base/macros.h"

enum { GROUPS_MAX = 200 * 1000 }; /* rows of one answer */

struct groups;

/* by: instance, project, flavor or host; NULL if it is none of them, or out of memory. */
struct groups *groups_new(const char *by);
struct groups *groups_free(struct groups *groups);

/* The argument `by` that usage is to be asked with; NULL: none. */
const char *groups_argument(const struct groups *groups);

/* Adds the usages of one instance. 0; -E2BIG with a text; -ENOMEM. */
MUST_CHECK int groups_add(struct groups *groups, const json_t *answer, struct error *err);

/* Behind the last one: sorts them; by group, then as the metrics are, then by time. */
void groups_sort(struct groups *groups);

/* The next row, which the caller owns; NULL behind the last one. */
json_t *groups_next(struct groups *groups);
