/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "collect/libvirt/domains.h"

#include <stdlib.h>
#include <string.h>

#include "collect/libvirt/epoch.h"

enum { DESCRIPTION_MS = 3600 * 1000, DESCRIPTION_BYTES_MAX = 1024 * 1024 };

static void domain_free(struct domain *domain)
{
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

static struct domain *add(struct domains *domains, const struct uuid *uuid)
{
	struct domain **larger, *domain;

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
	domain->id = -1;
	arena_init(&domain->arena, DESCRIPTION_BYTES_MAX);
	domains->items[domains->count++] = domain;
	return domain;
}

static bool describe(struct domains *domains, struct domain *domain, virDomainPtr handle)
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
	if (!domain->metadata.info.name)
		return false;
	/* Read before: a step in between makes the start look older than the segment, not younger.
	 */
	domain->segment = clock_read(domains->clock).segment;
	epoch_of_domain(domains->host, domain->metadata.info.name, domains->clock, domain->epoch,
		sizeof(domain->epoch), &domain->start_ms);
	return true;
}

struct domain *domains_refresh(struct domains *domains, virDomainPtr handle)
{
	int64_t now_ms = clock_monotonic_ms(domains->clock);
	struct domain *domain;
	struct uuid uuid;
	int id = (int)virDomainGetID(handle);

	if (virDomainGetUUID(handle, uuid.bytes) < 0)
		return NULL;
	domain = domains_find(domains, &uuid);
	if (!domain)
		domain = add(domains, &uuid);
	if (!domain)
		return NULL;
	domain->is_seen = true;
	if (domain->id == id && now_ms - domain->described_ms < DESCRIPTION_MS)
		return domain;
	domain->id = -1;
	if (!describe(domains, domain, handle))
		return NULL;
	domain->id = id;
	domain->described_ms = now_ms;
	return domain;
}

void domains_expire(struct domains *domains, const struct uuid *uuid)
{
	struct domain *domain = domains_find(domains, uuid);

	if (domain)
		domain->id = -1;
}

void domains_sweep(struct domains *domains)
{
	for (size_t i = 0; i < domains->count;) {
		struct domain *domain = domains->items[i];

		if (domain->is_seen) {
			domain->is_seen = false;
			i++;
		} else {
			domain_free(domain);
			domains->items[i] = domains->items[--domains->count];
		}
	}
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

bool domain_add_info(
	const struct domain *domain, struct batch *batch, const char *host, int64_t time_ms)
{
	struct instance_info *info = batch_add_info(batch);
	struct instance_port *ports;

	if (!info)
		return false;
	*info = domain->metadata.info;
	info->host = host;
	info->since_ms = time_ms;
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
	return ports != NULL;
}

const char *domain_disk_serial(const struct domain *domain, const char *target)
{
	for (size_t i = 0; i < domain->metadata.disk_count; i++)
		if (strcmp(domain->metadata.disks[i].target, target) == 0)
			return domain->metadata.disks[i].serial;
	return "";
}
