/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* External traffic of the running domains, by the addresses that nova's metadata gives their NICs.
 * The kernel counts on while nobody reads, and keeps what it counted when a tap is gone. */

#include "collect/libvirt/reader.h"

/* Lets the kernel count for the taps that are there, and reads all of them, wanted for time_ms. */
void external_read(struct reader *reader, int64_t time_ms);

/* The domain's run ended then: its last counters. */
void external_end(struct reader *reader, struct domain *domain, int64_t time_ms);
