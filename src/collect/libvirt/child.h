/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The expendable child that asks QEMU. It reads lines (the groups as a number, a blank, and the
 * UUID of one domain or nothing for all of them) and answers each with a length and that many
 * bytes; when a call hangs, so does it, and nobody else. */

#define MONITOR_CHILD_ARGUMENT "--monitor-child"

enum { MONITOR_ANSWER_MAX = 64 * 1024 * 1024 };

/* Returns the exit status. */
int monitor_child_main(const char *uri);
