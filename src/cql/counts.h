/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What the session's thread counts and others read; the names are those of struct cql_counters. */

#include <stdatomic.h>
#include <stdint.h>

struct cql_counts {
	_Atomic uint64_t requests, failures, retries, timeouts, late_answers, overloads;
	_Atomic uint64_t prepares, unprepared;
	_Atomic uint64_t connects, connect_failures, disconnects;
	_Atomic uint64_t events;
	_Atomic uint64_t sent_bytes, received_bytes;
	_Atomic uint64_t nodes_known, nodes_connected;
};
