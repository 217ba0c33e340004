/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The runs of the domains: how one begins, how it ends, what is told of a domain that is defined
 * and off. From events, as they happen, and from rounds, which see what no event told. */

#include "collect/libvirt/readings.h"

void lifecycle_handle(struct reader *reader, const struct event *event);

/* Reads the runs that began lately and are due. Returns how long until the next is, -1: none. */
int lifecycle_read_young(struct reader *reader);

/* A round found it running. False: nothing can be read of it now, or no memory. */
bool lifecycle_see_running(struct reader *reader, virDomainStatsRecordPtr record, int64_t time_ms);

/* A round found it defined and off. */
void lifecycle_see_off(struct reader *reader, virDomainStatsRecordPtr record, int64_t time_ms);

/* A round did not find it. It is removed, unless it is still to be heard of. */
void lifecycle_miss(struct reader *reader, struct domain *domain, int64_t time_ms);

/* Is it what is known of it, or is an event to be waited for that tells more? */
bool lifecycle_is_known(const struct reader *reader, virDomainStatsRecordPtr record);
