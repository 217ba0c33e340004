/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* How many calls hang inside libvirtd. Each holds one of its few workers until QEMU goes on, even
 * after who called is dead; so the number is kept in a file for this life of libvirtd. */

#include <stdbool.h>

enum { HANGS_MAX = 2, HANGS_LIFE_SIZE = 64 };

struct hangs {
	char path[512]; /* "": it is kept in memory only */
	char life[HANGS_LIFE_SIZE];
	int count;
};

/* Reads what an earlier worker left. */
void hangs_load(struct hangs *hangs, const char *directory);

/* A new life of libvirtd has none. Returns whether it is one. */
bool hangs_refresh(struct hangs *hangs);

void hangs_change(struct hangs *hangs, int by);
