/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The worker's side of external traffic: what is to be metered, and the child that does it
 * (traffic/protocol.h). A part of whichever collector knows the instances, on its thread; a
 * question takes at most TRAFFIC_TIMEOUT_MS.
 *
 * A collector says what it wants anew each time: traffic_begin, traffic_want for each address,
 * traffic_ask, and gives the counters of the answer to the instances. An address that is not wanted
 * any more is answered once more, with is_final. */

#include "collect/collector.h"
#include "traffic/protocol.h"

enum { TRAFFIC_TIMEOUT_MS = 2000 };

struct traffic;

/* 0, or negative with a text: the configuration is wrong. */
MUST_CHECK int traffic_new(
	const struct collector_context *context, struct traffic **ret_traffic, struct error *err);
struct traffic *traffic_free(struct traffic *traffic);

void traffic_begin(struct traffic *traffic);

/* What is no device or no address is not metered. */
void traffic_want(struct traffic *traffic, const struct uuid *uuid, const char *name,
	const struct instance_port *port);

/* The counters, valid until the next call; NULL: there are none. Trouble is told as a notice. */
const struct traffic_answer *traffic_ask(struct traffic *traffic);

/* Whose counter it is; false: nobody's who is known. */
bool traffic_owner(const struct traffic *traffic, const struct traffic_counter *counter,
	struct uuid *ret_uuid);

/* Adds the counter to the reading; whether there was memory. */
bool traffic_add(struct traffic *traffic, struct batch *batch, struct reading *reading,
	const struct traffic_counter *counter);
