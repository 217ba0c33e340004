/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* How the commands that show usages say whether one is all. */

#include <jansson.h>

#include "cli/table.h"

/* A cell: "yes", "unknown", or "no" with what is missing; what is lost for good is told behind
 * "yes". */
void usage_add_complete(struct table *table, const json_t *usage);
