/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The NICs and disks of one run of QEMU, and how often each was plugged in: a device that went and
 * came back counts from zero again, which is another life of it. One that was not there from the
 * beginning has a start of its own, the last time at which it was known to be absent. */

#include <stdbool.h>

#include "base/macros.h"
#include "model/batch.h"

enum { DEVICES_MAX = 256 };

struct device {
	enum metric_group group;
	char *parameter; /* vda, vnet3 */
	char *identity;  /* a disk's serial, a NIC's "if7"; "": it has none */
	int count;       /* this is its so manieth life in the run, from 1 */
	bool is_present;
	int64_t start_ms;  /* 0: the run's own; or EPOCH_START_UNKNOWN */
	int64_t absent_ms; /* it was not there then */
};

struct devices {
	struct device *items;
	size_t count, room;
	/* When the disks and the NICs were last seen, all of them; 0: never. */
	int64_t nics_ms, disks_ms;
};

void devices_deinit(struct devices *devices);

/* The identity of the device that is there by that name, or NULL. */
const char *devices_present(
	const struct devices *devices, enum metric_group group, const char *parameter);

/* One that is known from before; whether there was memory. */
bool devices_add(struct devices *devices, const struct device *device);

/* The reading, asked at time_ms, has all devices of the group; their lives are their identities as
 * yet. Gives them their lives and starts. Returns whether another device was there than the last
 * time. */
bool devices_name(struct devices *devices, enum metric_group group, struct batch *batch,
	struct reading *reading, int64_t time_ms);

/* The wall clock stepped back to now_ms: starts of before are of another segment. */
void devices_begin_segment(struct devices *devices, int64_t now_ms);

/* It was taken away then; whether that is news. */
bool devices_remove(
	struct devices *devices, enum metric_group group, const char *parameter, int64_t time_ms);
