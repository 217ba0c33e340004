/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What kanyun doctor found. */

#include <jansson.h>

#include "base/config.h"
#include "base/macros.h"

enum finding { FINDING_OK, FINDING_WARNING, FINDING_PROBLEM };

struct doctor {
	json_t *findings;
	enum finding worst;
};

/* check: what was looked at; advice: what to do, "" if nothing. */
void doctor_find(struct doctor *doctor, enum finding finding, const char *check, const char *advice,
	const char *format, ...) PRINTF_LIKE(5, 6);

/* Hypervisor, domains, and whether their guests report memory. */
void doctor_check_libvirt(struct doctor *doctor, const struct config *config);

/* Whether traffic can be metered on this host. */
void doctor_check_traffic(struct doctor *doctor, const struct config *config);
