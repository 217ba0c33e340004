/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Which VM it is whose QEMU does not answer, by what libvirt knows without asking QEMU. */

#include "collect/libvirt/reader.h"

/* Only while calls hang or answers are partial (somebody else's call may be the one that hangs, and
 * NOWAIT then passes the domain over), so that a round usually asks nothing per domain but GetInfo.
 */
void silence_find(struct reader *reader);
