/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The running domains as the reader knows them: which life of QEMU each one is in, and what its XML
 * says. Both are read when a domain is new, has changed or has not been described for an hour. One
 * thread. */

#include <libvirt/libvirt.h>

#include "base/clock.h"
#include "collect/libvirt/metadata.h"
#include "model/batch.h"

struct domain {
	struct uuid uuid;
	int id; /* libvirt's number, which every start changes */
	char epoch[EPOCH_TEXT_MAX + 1];
	int64_t start_ms; /* in that segment of the clock */
	uint32_t segment;
	struct arena arena; /* holds what metadata points to */
	struct metadata metadata;
	int64_t described_ms; /* CLOCK_BOOTTIME */
	int64_t silent_ms;    /* since when its QEMU does not answer, wall clock; 0: it does */
	int64_t memory_max_kib, memory_kib; /* of virDomainGetInfo */
	bool is_partial;                    /* the last answer of the child lacked its disks */
	bool is_seen;
};

struct domains {
	const struct clock *clock;
	const char *host;
	struct domain **items;
	size_t count, room;
};

void domains_deinit(struct domains *domains);

/* The known one, or NULL. */
struct domain *domains_find(const struct domains *domains, const struct uuid *uuid);

/* The domain as it is now, described. NULL: it went away meanwhile, or no memory. */
struct domain *domains_refresh(struct domains *domains, virDomainPtr handle);

/* Its description and its life are read again the next time. */
void domains_expire(struct domains *domains, const struct uuid *uuid);

/* Forgets those that were not seen since the last call. */
void domains_sweep(struct domains *domains);

/* A deep copy of what is known about it. */
bool domain_add_info(
	const struct domain *domain, struct batch *batch, const char *host, int64_t time_ms);

/* What the device's life is called: a disk's serial, where it has one. */
const char *domain_disk_serial(const struct domain *domain, const char *target);
