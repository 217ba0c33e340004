/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Preloaded into kanyun-worker: what its child reads of all domains is half a second old when it
 * is answered, and what it reads of one domain, on account of an event, is not. */

#include <dlfcn.h>
#include <libvirt/libvirt.h>
#include <stdlib.h>
#include <unistd.h>

enum { LATE_US = 500000 };

__attribute__((visibility("default"))) int virConnectGetAllDomainStats(virConnectPtr connection,
	unsigned int groups, virDomainStatsRecordPtr **ret_records, unsigned int flags)
{
	int (*ask)(virConnectPtr, unsigned int, virDomainStatsRecordPtr **, unsigned int) =
		dlsym(RTLD_NEXT, "virConnectGetAllDomainStats");
	int count;

	if (!ask)
		abort();
	count = ask(connection, groups, ret_records, flags);
	if (flags & VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT)
		usleep(LATE_US);
	return count;
}
