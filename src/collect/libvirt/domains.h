/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The domains of this host as the reader knows them, running or only defined: which run of QEMU
 * each one is in, what was told of it last, and what its XML says. It is described again when it is
 * new, has changed or has not been described for an hour. One thread. */

#include <libvirt/libvirt.h>

#include "base/clock.h"
#include "collect/libvirt/devices.h"
#include "collect/libvirt/metadata.h"
#include "model/batch.h"

/* One run of QEMU. */
struct run {
	int id; /* libvirt's number, which every start changes; -1: it does not run */
	char epoch[EPOCH_TEXT_MAX + 1]; /* "" if nobody knows */
	int64_t start_ms;               /* in the clock's present segment */
	int64_t opened_ms;              /* CLOCK_BOOTTIME: when the reader learned of it */
	/* While it is young: when it is read besides the rounds, CLOCK_BOOTTIME, and how long after
	 * that once more; 0: not. */
	int64_t extra_ms, extra_step_ms;
	/* The times of its last readings, without QEMU, of QEMU and of external traffic; each is
	 * later than the last. */
	int64_t read_ms, answered_ms, traffic_ms;
	int64_t used_ms;  /* CLOCK_BOOTTIME: when the last answer of QEMU's came that was used */
	int64_t state_ms; /* its last state sample; 0: none yet */
	int64_t state, reason;
	int64_t cpu_ns; /* CPU time as last read */
	bool is_told;   /* an info of it was given, by this worker or an earlier one */
	struct devices devices;
};

struct domain {
	struct uuid uuid;
	struct run run;
	int64_t unread_ms; /* it started then, and nothing could be read; 0: no */
	int64_t off_ms;    /* when it was last told to be defined and off; 0: it is not */
	int64_t off_reason;
	/* Runs that were closed before libvirt told of their end: so many STOPPED are to come. */
	unsigned int unclaimed;
	bool is_persistent, is_stale, is_seen;
	struct arena arena; /* holds what metadata points to */
	struct metadata metadata;
	int64_t described_ms; /* CLOCK_BOOTTIME; 0: never */
	int64_t silent_ms;    /* since when its QEMU does not answer, wall clock; 0: it does */
	int64_t memory_max_kib, memory_kib; /* of virDomainGetInfo */
	size_t traffic_reading; /* in the batch, from 1; of external.c while it adds one */
	bool is_partial;        /* the last answer of the child lacked its disks */
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

/* The known one, or a new one; NULL: no memory. */
struct domain *domains_get(struct domains *domains, const struct uuid *uuid);

/* Reads its XML if that is due. False: it went away meanwhile, or no memory. */
bool domains_describe(struct domains *domains, struct domain *domain, virDomainPtr handle);

/* They are described again the next time. */
void domains_expire(struct domains *domains);

/* The wall clock stepped back. */
void domains_begin_segment(struct domains *domains);

void domains_remove(struct domains *domains, struct domain *domain);

/* A deep copy of what is known about it, since time_ms; the first one of a run, which began with
 * what it was defined as, since its beginning. */
bool domain_add_info(struct domain *domain, struct batch *batch, const char *host, int64_t time_ms);

static inline bool domain_is_running(const struct domain *domain)
{
	return domain->run.id >= 0;
}

/* What the device's life is called: a disk's serial, where it has one. */
const char *domain_disk_serial(const struct domain *domain, const char *target);

/* The disk with that alias, or NULL. */
const char *domain_disk_of_alias(const struct domain *domain, const char *alias);
