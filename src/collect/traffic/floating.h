/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Which floating address stands for which fixed one, by a file of lines "FLOATING FIXED [PORT]":
 *
 *     openstack floating ip list -f value -c "Floating IP Address" -c "Fixed IP Address" -c Port
 *
 * PORT is Neutron's id of the port, for clouds whose networks use an address more than once. Lines
 * with None are of floating addresses that nobody has; # begins a comment. One thread. */

#include "base/error.h"
#include "traffic/protocol.h"

struct floating;

/* path is kept, not copied; "": there is none. */
MUST_CHECK int floating_new(const char *path, struct floating **ret_floating);
struct floating *floating_free(struct floating *floating);

/* Reads the file if it has changed. 1: it did; 0: no; negative with a text: it cannot be used, and
 * what was read before holds. */
MUST_CHECK int floating_refresh(struct floating *floating, struct error *err);

/* The floating address of the fixed one at that port, or NULL. */
const char *floating_of(
	const struct floating *floating, const struct traffic_address *fixed, const char *port_id);
