/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "collect/libvirt/lives.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

static void recall_off(json_t *uuids, struct domains *domains)
{
	struct domain *domain;
	struct uuid uuid;
	json_t *text;
	size_t i;

	json_array_foreach(uuids, i, text)
	{
		if (!json_is_string(text) || uuid_parse(json_string_value(text), &uuid) < 0)
			continue;
		domain = domains_get(domains, &uuid);
		if (domain)
			domain->is_persistent = true;
	}
}

void lives_load(struct lives *lives, const char *directory, struct domains *domains)
{
	json_t *root;

	*lives = (struct lives){ 0 };
	if (snprintf(lives->path, sizeof(lives->path), "%s/lives", directory) >=
		(int)sizeof(lives->path)) {
		lives->path[0] = '\0';
		return;
	}
	root = json_load_file(lives->path, 0, NULL);
	lives->runs = json_incref(json_object_get(root, "runs"));
	recall_off(json_object_get(root, "off"), domains);
	json_decref(root);
}

void lives_deinit(struct lives *lives)
{
	json_decref(lives->runs);
	lives->runs = NULL;
}

static bool decode_device(json_t *item, struct device *ret_device)
{
	const char *group, *parameter, *identity;
	json_int_t start_ms, absent_ms;
	int count, is_present;

	if (json_unpack(item, "[s,s,s,i,b,I,I]", &group, &parameter, &identity, &count, &is_present,
		    &start_ms, &absent_ms) < 0 ||
		count < 1)
		return false;
	*ret_device = (struct device){ metric_group_by_name(group, strlen(group)),
		(char *)(uintptr_t)parameter, (char *)(uintptr_t)identity, count, is_present,
		start_ms, absent_ms };
	return ret_device->group == METRIC_GROUP_NIC || ret_device->group == METRIC_GROUP_BLK;
}

void lives_recall(const struct lives *lives, struct run *run)
{
	json_t *known = json_object_get(lives->runs, run->epoch), *item;
	json_int_t nics_ms = 0, disks_ms = 0;
	struct device device;
	size_t i;

	if (!known || json_unpack(known, "{s:I,s:I}", "nics", &nics_ms, "disks", &disks_ms) < 0)
		return;
	run->is_told = true;
	run->devices.nics_ms = nics_ms;
	run->devices.disks_ms = disks_ms;
	json_array_foreach(json_object_get(known, "devices"), i, item)
	{
		if (decode_device(item, &device))
			(void)devices_add(&run->devices, &device);
	}
}

static json_t *encode_run(const struct run *run)
{
	json_t *list = json_array();

	for (size_t i = 0; i < run->devices.count; i++) {
		const struct device *device = &run->devices.items[i];

		(void)json_array_append_new(
			list, json_pack("[s,s,s,i,b,I,I]", metric_group_info(device->group)->name,
				      device->parameter, device->identity, device->count,
				      device->is_present, (json_int_t)device->start_ms,
				      (json_int_t)device->absent_ms));
	}
	return json_pack("{s:I,s:I,s:o}", "nics", (json_int_t)run->devices.nics_ms, "disks",
		(json_int_t)run->devices.disks_ms, "devices", list);
}

static json_t *encode(const struct domains *domains)
{
	json_t *runs = json_object(), *off = json_array();
	char text[UUID_TEXT_SIZE];

	for (size_t i = 0; i < domains->count; i++) {
		const struct domain *domain = domains->items[i];

		if (domain_is_running(domain) && *domain->run.epoch)
			(void)json_object_set_new(
				runs, domain->run.epoch, encode_run(&domain->run));
		if (domain->off_ms)
			(void)json_array_append_new(
				off, json_string(uuid_format(&domain->uuid, text)));
	}
	return json_pack("{s:o,s:o}", "runs", runs, "off", off);
}

int lives_save(struct lives *lives, const struct domains *domains)
{
	json_t *root;
	char *text;
	int r;

	if (!lives->is_changed || !*lives->path)
		return 0;
	root = encode(domains);
	text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	r = text ? file_replace(lives->path, text, strlen(text)) : -ENOMEM;
	json_decref(root);
	free(text);
	lives->is_changed = r < 0;
	return r;
}
