/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Where kanyun-traffic is. */

#include <stddef.h>

#define TRAFFIC_PROGRAM "kanyun-traffic"

/* The configured one; if that is "", the one that was built with the running program, or the
 * installed one. A longer path than fits is cut. */
void traffic_program(const char *configured, char *path, size_t size);
