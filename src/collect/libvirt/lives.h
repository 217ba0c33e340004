/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What a worker that starts again must know to tell the same as before: the devices of each run, by
 * its epoch, and which domains are defined and off. A small file that is replaced as a whole,
 *
 *     {"runs": {"HOST/...": {"nics": 1795536944000, "disks": 1795536944000,
 *                            "devices": [["blk", "vdb", "", 2, true, 1795536940000, 0]]}},
 *      "off": ["6f4a5a3e-..."]}
 *
 * the members of a device being those of struct device. Without it, a device that was plugged in
 * again is known by its counters only, which fell. */

#include <jansson.h>

#include "collect/libvirt/domains.h"

struct lives {
	char path[512]; /* "": it is not kept */
	json_t *runs;   /* as an earlier worker left them; NULL: none */
	bool is_changed;
};

/* Reads what an earlier worker left, and adds the domains that were defined and off. A file that
 * says something else counts as none. */
void lives_load(struct lives *lives, const char *directory, struct domains *domains);
void lives_deinit(struct lives *lives);

/* What is known of the run and its devices from before. */
void lives_recall(const struct lives *lives, struct run *run);

/* Writes it, if it is_changed. 0 or -errno; it is then tried again the next time. */
int lives_save(struct lives *lives, const struct domains *domains);
