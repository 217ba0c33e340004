/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Under which names what is read of a domain stands in an exposition: those of the exporters of
 * inovex (prometheus-libvirt-exporter) and of Tinkoff (libvirt-exporter), so that their dashboards
 * go on; kanyun's own where neither has one. */

#include "http/exposition.h"
#include "model/metric.h"

enum dialect { DIALECT_INOVEX, DIALECT_TINKOFF, _DIALECT_COUNT };

/* One family: a column of a group. */
struct dialect_family {
	const char *names[_DIALECT_COUNT]; /* NULL: not in this one */
	enum metric_group group;
	uint8_t column;
	enum exposition_type type;
	const char *device; /* the label of the tuple's parameter; NULL: it has none */
	const char *help;
};

extern const struct dialect_family dialect_families[];
extern const size_t dialect_family_count;

/* What inovex' label state_desc says of a virDomainState. */
const char *dialect_state_text(int64_t state);
