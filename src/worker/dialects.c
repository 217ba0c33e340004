/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "worker/dialects.h"

#include "base/macros.h"

#define INOVEX(name)                                                                               \
	{                                                                                          \
		"libvirt_domain_" name, NULL                                                       \
	}
#define TINKOFF(name)                                                                              \
	{                                                                                          \
		NULL, "libvirt_domain_" name                                                       \
	}
#define BOTH(name)                                                                                 \
	{                                                                                          \
		"libvirt_domain_" name, "libvirt_domain_" name                                     \
	}
#define EACH(inovex, other)                                                                        \
	{                                                                                          \
		"libvirt_domain_" inovex, "libvirt_domain_" other                                  \
	}
#define OWN(name)                                                                                  \
	{                                                                                          \
		"kanyun_domain_" name, "kanyun_domain_" name                                       \
	}

#define COUNTER EXPOSITION_COUNTER
#define GAUGE   EXPOSITION_GAUGE
#define DEVICE  "target_device"

const struct dialect_family dialect_families[] = {
	{ BOTH("info_cpu_time_seconds_total"), METRIC_GROUP_CPU, 0, COUNTER, NULL,
		"Amount of CPU time used by the domain, in seconds." },

	{ BOTH("info_maximum_memory_bytes"), METRIC_GROUP_MEM, 0, GAUGE, NULL,
		"Maximum allowed memory of the domain, in bytes." },
	{ BOTH("info_memory_usage_bytes"), METRIC_GROUP_MEM, 2, GAUGE, NULL,
		"Memory that the balloon leaves to the domain, in bytes." },
	{ INOVEX("memory_stats_maximum_bytes"), METRIC_GROUP_MEM, 0, GAUGE, NULL,
		"Maximum memory of the domain, in bytes." },
	{ EACH("memory_stats_current_balloon_bytes", "memory_stats_actual_balloon_bytes"),
		METRIC_GROUP_MEM, 2, GAUGE, NULL, "Current balloon value, in bytes." },
	{ BOTH("memory_stats_unused_bytes"), METRIC_GROUP_MEM, 1, GAUGE, NULL,
		"Memory unused by the domain, in bytes." },
	{ BOTH("memory_stats_rss_bytes"), METRIC_GROUP_MEM, 3, GAUGE, NULL,
		"Resident memory of the process that runs the domain, in bytes." },
	{ BOTH("memory_stats_usable_bytes"), METRIC_GROUP_MEM, 4, GAUGE, NULL,
		"Memory that the domain could use without swapping, in bytes." },
	{ BOTH("memory_stats_available_bytes"), METRIC_GROUP_MEM, 5, GAUGE, NULL,
		"Memory as the domain's kernel sees it, in bytes." },
	{ EACH("memory_stats_disk_caches_bytes", "memory_stats_disk_cache_bytes"), METRIC_GROUP_MEM,
		6, GAUGE, NULL, "Memory in the domain's disk caches, in bytes." },
	{ INOVEX("memory_stats_swap_in_bytes"), METRIC_GROUP_MEM, 7, GAUGE, NULL,
		"Memory swapped in by the domain, in bytes." },
	{ INOVEX("memory_stats_swap_out_bytes"), METRIC_GROUP_MEM, 8, GAUGE, NULL,
		"Memory swapped out by the domain, in bytes." },
	{ BOTH("memory_stats_major_fault_total"), METRIC_GROUP_MEM, 9, COUNTER, NULL,
		"Page faults of the domain that needed its disk." },
	{ BOTH("memory_stats_minor_fault_total"), METRIC_GROUP_MEM, 10, COUNTER, NULL,
		"Other page faults of the domain." },
	{ INOVEX("memory_stats_last_update_timestamp_seconds"), METRIC_GROUP_MEM, 11, GAUGE, NULL,
		"When the domain's balloon driver last spoke, in seconds since 1970." },

	{ BOTH("block_stats_read_bytes_total"), METRIC_GROUP_BLK, 0, COUNTER, DEVICE,
		"Number of bytes read from a block device, in bytes." },
	{ BOTH("block_stats_write_bytes_total"), METRIC_GROUP_BLK, 1, COUNTER, DEVICE,
		"Number of bytes written to a block device, in bytes." },
	{ BOTH("block_stats_read_requests_total"), METRIC_GROUP_BLK, 2, COUNTER, DEVICE,
		"Number of read requests from a block device." },
	{ BOTH("block_stats_read_time_seconds_total"), METRIC_GROUP_BLK, 3, COUNTER, DEVICE,
		"Total time spent on reads from a block device, in seconds." },
	{ BOTH("block_stats_write_requests_total"), METRIC_GROUP_BLK, 4, COUNTER, DEVICE,
		"Number of write requests to a block device." },
	{ BOTH("block_stats_write_time_seconds_total"), METRIC_GROUP_BLK, 5, COUNTER, DEVICE,
		"Total time spent on writes to a block device, in seconds." },
	{ BOTH("block_stats_flush_requests_total"), METRIC_GROUP_BLK, 6, COUNTER, DEVICE,
		"Total flush requests to a block device." },
	{ BOTH("block_stats_flush_time_seconds_total"), METRIC_GROUP_BLK, 7, COUNTER, DEVICE,
		"Total time spent on cache flushing to a block device, in seconds." },
	{ EACH("block_stats_allocation_bytes", "block_stats_allocation"), METRIC_GROUP_BLK, 8,
		GAUGE, DEVICE, "Offset of the highest written sector of a block device." },
	{ BOTH("block_stats_capacity_bytes"), METRIC_GROUP_BLK, 9, GAUGE, DEVICE,
		"Logical size of a block device, in bytes." },
	{ EACH("block_stats_physical_bytes", "block_stats_physicalsize_bytes"), METRIC_GROUP_BLK,
		10, GAUGE, DEVICE, "Size of the file or device behind a block device, in bytes." },

	{ BOTH("interface_stats_receive_bytes_total"), METRIC_GROUP_NIC, 0, COUNTER, DEVICE,
		"Number of bytes received on a network interface, in bytes." },
	{ BOTH("interface_stats_receive_packets_total"), METRIC_GROUP_NIC, 2, COUNTER, DEVICE,
		"Number of packets received on a network interface." },
	{ BOTH("interface_stats_receive_errors_total"), METRIC_GROUP_NIC, 3, COUNTER, DEVICE,
		"Number of packet receive errors on a network interface." },
	{ BOTH("interface_stats_receive_drops_total"), METRIC_GROUP_NIC, 4, COUNTER, DEVICE,
		"Number of packet receive drops on a network interface." },
	{ BOTH("interface_stats_transmit_bytes_total"), METRIC_GROUP_NIC, 1, COUNTER, DEVICE,
		"Number of bytes transmitted on a network interface, in bytes." },
	{ BOTH("interface_stats_transmit_packets_total"), METRIC_GROUP_NIC, 5, COUNTER, DEVICE,
		"Number of packets transmitted on a network interface." },
	{ BOTH("interface_stats_transmit_errors_total"), METRIC_GROUP_NIC, 6, COUNTER, DEVICE,
		"Number of packet transmit errors on a network interface." },
	{ BOTH("interface_stats_transmit_drops_total"), METRIC_GROUP_NIC, 7, COUNTER, DEVICE,
		"Number of packet transmit drops on a network interface." },

	{ BOTH("vcpu_time_seconds_total"), METRIC_GROUP_VCPU, 0, COUNTER, "vcpu",
		"Time spent by the virtual CPU, in seconds." },
	{ BOTH("vcpu_delay_seconds_total"), METRIC_GROUP_VCPU, 1, COUNTER, "vcpu",
		"Time the vCPU waited for a CPU, which it sees as steal time, in seconds." },
	{ BOTH("vcpu_state"), METRIC_GROUP_VCPU, 2, GAUGE, "vcpu", "State of the vCPU." },

	{ EACH("info_state", "info_vstate"), METRIC_GROUP_STATE, 0, GAUGE, NULL,
		"Code of the domain's state." },

	{ OWN("external_receive_bytes_total"), METRIC_GROUP_VMNETWORK, 1, COUNTER, "address",
		"External traffic to an address of the domain, in bytes." },
	{ OWN("external_transmit_bytes_total"), METRIC_GROUP_VMNETWORK, 2, COUNTER, "address",
		"External traffic from an address of the domain, in bytes." },
};
const size_t dialect_family_count = ARRAY_SIZE(dialect_families);

const char *dialect_state_text(int64_t state)
{
	static const char *const texts[] = { "no state", "the domain is running",
		"the domain is blocked on resource", "the domain is paused by user",
		"the domain is being shut down", "the domain is shut off", "the domain is crashed",
		"the domain is suspended by guest power management" };

	return state >= 0 && state < (int64_t)ARRAY_SIZE(texts) ? texts[state] : "";
}
