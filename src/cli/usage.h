/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What the commands that show usages share. */

#include <jansson.h>

#include "cli/client.h"
#include "cli/table.h"

/* A cell: "yes", "unknown", or "no" with what is missing; what is lost for good is told behind
 * "yes". */
void usage_add_complete(struct table *table, const json_t *usage);

/* --plot of the window, which also has the `step` in seconds if one is asked for. Returns an exit
 * status. */
int usage_plot(struct client *client, const json_t *window);
