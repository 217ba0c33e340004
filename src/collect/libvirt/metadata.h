/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What the domain XML tells: nova's metadata (namespaces 1.0 and 1.1), NICs, disks. */

#include <stdbool.h>

#include "base/arena.h"
#include "base/macros.h"
#include "model/instance.h"

enum { METADATA_DISKS_MAX = 64 };

struct metadata_disk {
	const char *target; /* vda */
	const char *serial; /* "" where the disk has none */
	const char *alias;  /* libvirt's name of the device while it runs; else "" */
};

struct metadata {
	struct instance_info info; /* uuid, name, host and since_ms are the caller's to set */
	struct metadata_disk disks[METADATA_DISKS_MAX];
	size_t disk_count;
};

/* Texts live in the arena. 0; -EINVAL if it is no domain's XML; -ENOMEM. */
MUST_CHECK int metadata_parse(const char *xml, struct arena *arena, struct metadata *ret_metadata);
