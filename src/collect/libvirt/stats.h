/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* From libvirt's typed parameters to tuples, by the table of metrics: its field net.rx.bytes is
 * libvirt's net.0.rx.bytes and so on. What libvirt does not give stays absent. */

#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "model/batch.h"

/* Appends the tuples of every group that the parameters hold; their lives are "" as yet. False if
 * there is no memory. */
bool stats_read(
	struct batch *batch, struct reading *reading, virTypedParameterPtr parameters, int count);
