/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* From what libvirt gave to readings with their time, their epoch and the lives of their devices.
 * They go to the reader's batch. */

#include <libvirt/libvirt.h>

#include "collect/libvirt/reader.h"

/* One state as libvirt numbers it. */
struct state {
	int64_t code, reason;
};

/* State, interfaces and CPU time of a running domain, wanted for time_ms. `said`, if given, is the
 * state that an event told. False: no memory. */
bool readings_add_cheap(struct reader *reader, struct domain *domain,
	virDomainStatsRecordPtr record, int64_t time_ms, const struct state *said);

/* A state alone, in the domain's run, not before its last sample. */
bool readings_add_state(
	struct reader *reader, struct domain *domain, const struct state *state, int64_t time_ms);

/* The state that held until now, once more just before time_ms, so that the change is sharp. */
bool readings_add_former_state(struct reader *reader, struct domain *domain, int64_t time_ms);

/* Under HOST/off: that it is defined and off (5), or no longer defined (0). */
bool readings_add_off(
	struct reader *reader, struct domain *domain, const struct state *state, int64_t time_ms);

/* A gap of the host, or of the instance. */
bool readings_add_gap(struct reader *reader, const struct uuid *uuid, int64_t from_ms,
	int64_t to_ms, const char *reason);

/* An answer of the child about one domain, asked for time_ms. False: there is nothing in it. */
bool readings_complete_answer(struct reader *reader, struct domain *domain, struct batch *batch,
	struct reading *reading, int64_t time_ms);

/* What GetInfo said about memory, where the child did not. */
bool readings_add_memory(
	struct reader *reader, struct batch *batch, struct domain *domain, int64_t time_ms);

/* A reading of external traffic, to be filled; NULL: no memory. At the end of the run it has just
 * that time. Valid until another one is added. */
struct reading *readings_begin_traffic(
	struct reader *reader, struct domain *domain, int64_t time_ms, bool is_end);
