/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "model/metric.h"

#include <string.h>

#include "base/macros.h"

/* Names of fields: libvirt docs/manpages/virsh.rst, domstats. */
#define ROW(name, group, column, kind, unit, specified, field, help)                               \
	{                                                                                          \
		name, METRIC_GROUP_##group, column, METRIC_##kind, METRIC_UNIT_##unit, specified,  \
			field, help                                                                \
	}

static const struct metric metrics[] = {
	ROW("cpu", CPU, 0, COUNTER, NS, true, "virDomainGetInfo cpuTime",
		"CPU time of the whole QEMU process"),

	ROW("mem_max", MEM, 0, GAUGE, KIB, true, "balloon.maximum",
		"memory that the instance may have"),
	ROW("mem_free", MEM, 1, GAUGE, KIB, true, "balloon.unused",
		"memory that the guest leaves unused, by its balloon driver"),
	ROW("mem_current", MEM, 2, GAUGE, KIB, false, "balloon.current",
		"memory that the balloon leaves to the guest now"),
	ROW("mem_rss", MEM, 3, GAUGE, KIB, false, "balloon.rss",
		"resident memory of the QEMU process"),
	ROW("mem_usable", MEM, 4, GAUGE, KIB, false, "balloon.usable",
		"memory that the guest could use without swapping"),
	ROW("mem_available", MEM, 5, GAUGE, KIB, false, "balloon.available",
		"memory as the guest's kernel sees it"),
	ROW("mem_disk_caches", MEM, 6, GAUGE, KIB, false, "balloon.disk_caches",
		"memory in the guest's disk caches"),
	ROW("mem_swap_in", MEM, 7, COUNTER, KIB, false, "balloon.swap_in",
		"swapped in by the guest"),
	ROW("mem_swap_out", MEM, 8, COUNTER, KIB, false, "balloon.swap_out",
		"swapped out by the guest"),
	ROW("mem_major_fault", MEM, 9, COUNTER, COUNT, false, "balloon.major_fault",
		"the guest's page faults that needed its disk"),
	ROW("mem_minor_fault", MEM, 10, COUNTER, COUNT, false, "balloon.minor_fault",
		"the guest's other page faults"),
	ROW("mem_last_update", MEM, 11, GAUGE, SECONDS, false, "balloon.last-update",
		"when the guest's balloon driver last spoke, seconds since 1970"),

	ROW("nic_incoming", NIC, 0, COUNTER, BYTES, true, "net.rx.bytes",
		"received by the instance"),
	ROW("nic_outgoing", NIC, 1, COUNTER, BYTES, true, "net.tx.bytes", "sent by the instance"),
	ROW("nic_rx_pkts", NIC, 2, COUNTER, COUNT, false, "net.rx.pkts", "packets received"),
	ROW("nic_rx_errs", NIC, 3, COUNTER, COUNT, false, "net.rx.errs", "errors on receiving"),
	ROW("nic_rx_drop", NIC, 4, COUNTER, COUNT, false, "net.rx.drop",
		"packets dropped on receiving"),
	ROW("nic_tx_pkts", NIC, 5, COUNTER, COUNT, false, "net.tx.pkts", "packets sent"),
	ROW("nic_tx_errs", NIC, 6, COUNTER, COUNT, false, "net.tx.errs", "errors on sending"),
	ROW("nic_tx_drop", NIC, 7, COUNTER, COUNT, false, "net.tx.drop",
		"packets dropped on sending"),

	ROW("blk_read", BLK, 0, COUNTER, BYTES, true, "block.rd.bytes", "read by the instance"),
	ROW("blk_write", BLK, 1, COUNTER, BYTES, true, "block.wr.bytes", "written by the instance"),
	ROW("blk_rd_reqs", BLK, 2, COUNTER, COUNT, false, "block.rd.reqs", "read requests"),
	ROW("blk_rd_times", BLK, 3, COUNTER, NS, false, "block.rd.times", "time spent on reads"),
	ROW("blk_wr_reqs", BLK, 4, COUNTER, COUNT, false, "block.wr.reqs", "write requests"),
	ROW("blk_wr_times", BLK, 5, COUNTER, NS, false, "block.wr.times", "time spent on writes"),
	ROW("blk_fl_reqs", BLK, 6, COUNTER, COUNT, false, "block.fl.reqs", "flush requests"),
	ROW("blk_fl_times", BLK, 7, COUNTER, NS, false, "block.fl.times", "time spent on flushes"),
	ROW("blk_allocation", BLK, 8, GAUGE, BYTES, false, "block.allocation",
		"offset of the highest written sector"),
	ROW("blk_capacity", BLK, 9, GAUGE, BYTES, false, "block.capacity",
		"logical size of the disk"),
	ROW("blk_physical", BLK, 10, GAUGE, BYTES, false, "block.physical",
		"size of the disk's file or device"),

	ROW("vcpu_time", VCPU, 0, COUNTER, NS, false, "vcpu.time", "CPU time of the vCPU's thread"),
	ROW("vcpu_delay", VCPU, 1, COUNTER, NS, false, "vcpu.delay",
		"time the vCPU's thread waited for a CPU (steal)"),
	ROW("vcpu_state", VCPU, 2, GAUGE, CODE, false, "vcpu.state", "virVcpuState"),

	ROW("state", STATE, 0, GAUGE, CODE, false, "state.state", "virDomainState"),
	ROW("state_reason", STATE, 1, GAUGE, CODE, false, "state.reason",
		"the reason of the state, by libvirt's enumeration for that state"),

	ROW("vmnetwork", VMNETWORK, 0, COUNTER, BYTES, true, "nftables",
		"external traffic of an address, both directions"),
	ROW("vmnetwork_in", VMNETWORK, 1, COUNTER, BYTES, false, "nftables",
		"external traffic to an address"),
	ROW("vmnetwork_out", VMNETWORK, 2, COUNTER, BYTES, false, "nftables",
		"external traffic from an address"),
	ROW("vmnetwork_internal_in", VMNETWORK, 3, COUNTER, BYTES, false, "nftables",
		"internal traffic to an address"),
	ROW("vmnetwork_internal_out", VMNETWORK, 4, COUNTER, BYTES, false, "nftables",
		"internal traffic from an address"),

	ROW("vmnetwork_increment", VMNETWORK_INCREMENT, 0, INCREMENT, BYTES, false,
		"traffic messages", "external traffic since the message before, by old workers"),

	ROW("cpu_percent", CPU_PERCENT, 0, GAUGE, MILLIPERCENT, false, "agent messages",
		"CPU use as old workers may send it"),

	ROW("state_time", TIME, 0, COUNTER, MS, false, "state",
		"time in a state, while the instance is defined"),
	ROW("vcpus_time", TIME, 1, COUNTER, VCPU_MS, false, "state, flavor",
		"vCPUs of the flavor, while it runs"),
	ROW("memory_time", TIME, 2, COUNTER, MIB_MS, false, "state, flavor",
		"memory of the flavor, while it runs"),
	ROW("disk_time", TIME, 3, COUNTER, GIB_MS, false, "state, flavor",
		"disk of the flavor, while it runs or is defined and off"),
};

static const struct metric_group_info groups[_METRIC_GROUP_COUNT] = {
	[METRIC_GROUP_CPU] = { "cpu", "total", 1, false },
	[METRIC_GROUP_MEM] = { "mem", "total", 12, false },
	[METRIC_GROUP_NIC] = { "nic", "NIC", 8, false },
	[METRIC_GROUP_BLK] = { "blk", "disk", 11, false },
	[METRIC_GROUP_VCPU] = { "vcpu", "vCPU", 3, false },
	[METRIC_GROUP_STATE] = { "state", "total", 2, false },
	[METRIC_GROUP_VMNETWORK] = { "vmnetwork", "IP", 5, false },
	[METRIC_GROUP_VMNETWORK_INCREMENT] = { "vmnetwork_increment", "IP", 1, false },
	[METRIC_GROUP_CPU_PERCENT] = { "cpu_percent", "total", 1, false },
	[METRIC_GROUP_TIME] = { "time", "state", 4, true },
};

static const struct {
	const char *alias, *name;
} aliases[] = {
	{ "network", "vmnetwork" },
	{ "nic_read", "nic_incoming" },
	{ "nic_write", "nic_outgoing" },
};

size_t metric_count(void)
{
	return ARRAY_SIZE(metrics);
}

const struct metric *metric_at(size_t index)
{
	return index < ARRAY_SIZE(metrics) ? &metrics[index] : NULL;
}

const struct metric_group_info *metric_group_info(enum metric_group group)
{
	return &groups[group];
}

const char *metric_unit_name(enum metric_unit unit)
{
	static const char *const names[] = { "ns", "bytes", "KiB", "count", "s", "m%", "code", "ms",
		"vCPU ms", "MiB ms", "GiB ms" };

	return names[unit];
}

const char *metric_kind_name(enum metric_kind kind)
{
	static const char *const names[] = { "counter", "gauge", "increment" };

	return names[kind];
}

const struct metric *metric_of_column(enum metric_group group, unsigned int column)
{
	/* The columns of a group stand together and in order. */
	size_t first = 0;

	while (first < ARRAY_SIZE(metrics) && metrics[first].group != group)
		first += metric_group_info(metrics[first].group)->columns;
	if (first + column >= ARRAY_SIZE(metrics) || metrics[first + column].group != group)
		return NULL;
	return &metrics[first + column];
}

const struct metric *metric_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
		if (strcmp(aliases[i].alias, name) == 0)
			name = aliases[i].name;
	for (size_t i = 0; i < ARRAY_SIZE(metrics); i++)
		if (strcmp(metrics[i].name, name) == 0)
			return &metrics[i];
	return NULL;
}

const struct metric *metric_by_question(const char *name, const char **parameter)
{
	const struct metric *metric;

	if (strcmp(name, "mem") != 0)
		return metric_by_name(name);
	metric = metric_by_name(*parameter);
	if (!metric || metric->group != METRIC_GROUP_MEM)
		return NULL;
	*parameter = "total";
	return metric;
}

enum metric_group metric_group_by_name(const char *name, size_t size)
{
	for (unsigned int i = 0; i < _METRIC_GROUP_COUNT; i++)
		if (!groups[i].is_derived && strlen(groups[i].name) == size &&
			memcmp(groups[i].name, name, size) == 0)
			return (enum metric_group)i;
	return _METRIC_GROUP_COUNT;
}
