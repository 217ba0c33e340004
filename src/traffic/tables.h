/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The accounting rules that an earlier kanyun, or its operator, put into iptables; of both flavours
 * and both families. They are read, and never changed. */

#include "traffic/protocol.h"

/* As meter_ask does. */
MUST_CHECK int tables_ask(struct arena *arena, struct traffic_answer *ret_answer);
