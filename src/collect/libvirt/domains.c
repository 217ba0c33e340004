/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "collect/libvirt/domains.h"

#include <stdlib.h>
#include <string.h>

enum { DESCRIPTION_MS = 3600 * 1000, DESCRIPTION_BYTES_MAX = 1024 * 1024 };

static void domain_free(struct domain *domain)
{
	devices_deinit(&domain->run.devices);
	arena_deinit(&domain->arena);
	free(domain);
}

void domains_deinit(struct domains *domains)
{
	for (size_t i = 0; i < domains->count; i++)
		domain_free(domains->items[i]);
	free(domains->items);
	domains->items = NULL;
	domains->count = domains->room = 0;
}

struct domain *domains_find(const struct domains *domains, const struct uuid *uuid)
{
	for (size_t i = 0; i < domains->count; i++)
		if (memcmp(&domains->items[i]->uuid, uuid, sizeof(*uuid)) == 0)
			return domains->items[i];
	return NULL;
}

struct domain *domains_get(struct domains *domains, const struct uuid *uuid)
{
	struct domain **larger, *domain = domains_find(domains, uuid);

	if (domain)
		return domain;
	if (domains->count == domains->room) {
		size_t room = domains->room ? domains->room * 2 : 16;

		larger = realloc(domains->items, room * sizeof(*larger));
		if (!larger)
			return NULL;
		domains->items = larger;
		domains->room = room;
	}
	domain = calloc(1, sizeof(*domain));
	if (!domain)
		return NULL;
	domain->uuid = *uuid;
	domain->run.id = -1;
	arena_init(&domain->arena, DESCRIPTION_BYTES_MAX);
	domains->items[domains->count++] = domain;
	return domain;
}

static bool describe(struct domain *domain, virDomainPtr handle)
{
	char *xml = virDomainGetXMLDesc(handle, 0);
	int r;

	if (!xml)
		return false;
	arena_clear(&domain->arena);
	r = metadata_parse(xml, &domain->arena, &domain->metadata);
	free(xml);
	if (r < 0) {
		domain->metadata = (struct metadata){
			.info = { .vcpus = -1, .memory_mib = -1, .disk_gib = -1 }
		};
		for (size_t i = 0; i < instance_field_count; i++)
			*instance_field_at(&domain->metadata.info, i) = "";
	}
	domain->metadata.info.uuid = domain->uuid;
	domain->metadata.info.name = arena_copy_text(&domain->arena, virDomainGetName(handle),
		strnlen(virDomainGetName(handle), INSTANCE_TEXT_MAX));
	return domain->metadata.info.name != NULL;
}

bool domains_describe(struct domains *domains, struct domain *domain, virDomainPtr handle)
{
	int64_t now_ms = clock_monotonic_ms(domains->clock);

	if (!domain->is_stale && domain->described_ms &&
		now_ms - domain->described_ms < DESCRIPTION_MS)
		return true;
	domain->described_ms = 0;
	if (!describe(domain, handle))
		return false;
	domain->is_persistent = virDomainIsPersistent(handle) == 1;
	domain->is_stale = false;
	domain->described_ms = now_ms;
	return true;
}

void domains_expire(struct domains *domains)
{
	for (size_t i = 0; i < domains->count; i++)
		domains->items[i]->is_stale = true;
}

void domains_begin_segment(struct domains *domains)
{
	for (size_t i = 0; i < domains->count; i++) {
		struct domain *domain = domains->items[i];

		domain->run.start_ms = EPOCH_START_UNKNOWN;
		domain->run.read_ms = domain->run.answered_ms = domain->run.state_ms = 0;
		domain->run.traffic_ms = 0;
		domain->off_ms = domain->off_ms ? 1 : 0;
		devices_begin_segment(&domain->run.devices, clock_wall_ms(domains->clock));
	}
}

void domains_remove(struct domains *domains, struct domain *domain)
{
	for (size_t i = 0; i < domains->count; i++)
		if (domains->items[i] == domain)
			domains->items[i] = domains->items[--domains->count];
	domain_free(domain);
}

static bool copy_port(
	struct batch *batch, const struct instance_port *from, struct instance_port *to)
{
	const char **addresses =
		arena_take_array(&batch->arena, from->address_count + 1, sizeof(*addresses));

	for (size_t i = 0; addresses && i < from->address_count; i++) {
		addresses[i] = batch_text(batch, from->addresses[i]);
		if (!addresses[i])
			return false;
	}
	*to = (struct instance_port){ batch_text(batch, from->nic), batch_text(batch, from->mac),
		batch_text(batch, from->port_id), addresses, from->address_count };
	return addresses && to->nic && to->mac && to->port_id;
}

static int64_t known_since(const struct run *run, int64_t time_ms)
{
	if (run->id < 0 || run->is_told || run->start_ms == EPOCH_START_UNKNOWN)
		return time_ms;
	return MIN_OF(time_ms, run->start_ms);
}

bool domain_add_info(struct domain *domain, struct batch *batch, const char *host, int64_t time_ms)
{
	struct instance_info *info = batch_add_info(batch);
	struct instance_port *ports;

	if (!info)
		return false;
	*info = domain->metadata.info;
	info->host = host;
	info->since_ms = known_since(&domain->run, time_ms);
	for (size_t i = 0; i < instance_field_count; i++) {
		const char **text = instance_field_at(info, i);

		*text = batch_text(batch, *text ? *text : "");
		if (!*text)
			return false;
	}
	ports = arena_take_array(&batch->arena, info->port_count + 1, sizeof(*ports));
	for (size_t i = 0; ports && i < info->port_count; i++)
		if (!copy_port(batch, &domain->metadata.info.ports[i], &ports[i]))
			return false;
	info->ports = ports;
	domain->run.is_told = ports != NULL;
	return ports != NULL;
}

const char *domain_disk_serial(const struct domain *domain, const char *target)
{
	for (size_t i = 0; i < domain->metadata.disk_count; i++)
		if (strcmp(domain->metadata.disks[i].target, target) == 0)
			return domain->metadata.disks[i].serial;
	return "";
}

const char *domain_disk_of_alias(const struct domain *domain, const char *alias)
{
	for (size_t i = 0; i < domain->metadata.disk_count; i++)
		if (*alias && strcmp(domain->metadata.disks[i].alias, alias) == 0)
			return domain->metadata.disks[i].target;
	return NULL;
}
