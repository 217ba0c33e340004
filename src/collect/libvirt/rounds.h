/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* One reading of all domains, for a tick of the wall clock. */

#include "collect/libvirt/reader.h"

/* time_ms: the tick, or now. */
void rounds_do(struct reader *reader, int64_t time_ms);
