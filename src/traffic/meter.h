/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Makes the kernel count what is wanted, and reads it. One thread. */

#include "traffic/protocol.h"

struct meter;

/* Finds out what this kernel and this process can do. 0, or negative with a text. */
MUST_CHECK int meter_new(struct meter **ret_meter, struct error *err);
struct meter *meter_free(struct meter *meter);

bool meter_is_one_way(const struct meter *meter);

/* The answer's memory is the arena's. What does not succeed is the answer's problem; what can be
 * read is in it all the same. Negative: no memory. */
MUST_CHECK int meter_ask(struct meter *meter, const struct traffic_wish *wish, struct arena *arena,
	struct traffic_answer *ret_answer);
