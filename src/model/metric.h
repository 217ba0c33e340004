/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The one table of what kanyun measures.
 *
 * A metric is one column of a group. A group is what is read together of one thing: of an instance
 * (parameter "total"), of one of its NICs, disks, vCPUs (parameter: the device's name) or addresses
 * (parameter: the IP). On the wire a group is a tuple: the specification's tuples of cpu, mem, nic
 * and blk are the first columns of those groups, further columns follow, and an absent value is
 * null. Column numbers and group numbers are stored; they never change, new ones are added at the
 * end. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum metric_group {
	METRIC_GROUP_CPU,
	METRIC_GROUP_MEM,
	METRIC_GROUP_NIC,
	METRIC_GROUP_BLK,
	METRIC_GROUP_VCPU,
	METRIC_GROUP_STATE,
	METRIC_GROUP_VMNETWORK,           /* counters of bytes of external traffic, per address */
	METRIC_GROUP_VMNETWORK_INCREMENT, /* an old worker's: bytes since its last message */
	METRIC_GROUP_CPU_PERCENT,         /* an old worker's `cpu`, if it sends a percentage */
	METRIC_GROUP_TIME,                /* derived from states and infos when asked for */
	_METRIC_GROUP_COUNT,
};

/* No group has more columns than this. */
enum { METRIC_COLUMNS_MAX = 16 };

enum metric_kind {
	METRIC_COUNTER, /* grows within an epoch */
	METRIC_GAUGE,
	METRIC_INCREMENT, /* what was used since the reading before */
};

enum metric_unit {
	METRIC_UNIT_NS,
	METRIC_UNIT_BYTES,
	METRIC_UNIT_KIB,
	METRIC_UNIT_COUNT,
	METRIC_UNIT_SECONDS,
	METRIC_UNIT_MILLIPERCENT, /* thousandths of a percent */
	METRIC_UNIT_CODE,         /* an enumeration of libvirt's */
	METRIC_UNIT_MS,
	METRIC_UNIT_VCPU_MS,
	METRIC_UNIT_MIB_MS,
	METRIC_UNIT_GIB_MS,
};

struct metric {
	const char *name;
	enum metric_group group;
	uint8_t column;
	enum metric_kind kind;
	enum metric_unit unit;
	bool is_specified; /* one of the specification's own names */
	const char *field; /* libvirt's name of it in virConnectGetAllDomainStats, or where it is
			      from */
	const char *help;  /* one line */
};

struct metric_group_info {
	const char *name;      /* the tuple's name on the wire */
	const char *parameter; /* what the parameter means: "total", "NIC", "disk", "vCPU", "IP" */
	uint8_t columns;
	bool is_derived; /* not read, sent or stored */
};

/* All metrics, in the order of the table. */
size_t metric_count(void);
const struct metric *metric_at(size_t index);

const struct metric_group_info *metric_group_info(enum metric_group group);
const char *metric_unit_name(enum metric_unit unit);
const char *metric_kind_name(enum metric_kind kind);

/* The metric of a column; NULL if the group has no such column. */
const struct metric *metric_of_column(enum metric_group group, unsigned int column);

/* By name, aliases included (network, nic_read, nic_write); NULL if there is none. */
const struct metric *metric_by_name(const char *name);

/* By name and parameter as the specification's clients give them: `mem` with mem_free or mem_max as
 * parameter is that metric with "total". *ret_parameter is then replaced, else it stays. */
const struct metric *metric_by_question(const char *name, const char **parameter);

/* The group of a tuple's name; _METRIC_GROUP_COUNT if there is none, or it is derived. */
enum metric_group metric_group_by_name(const char *name, size_t size);
