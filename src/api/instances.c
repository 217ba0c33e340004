/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Which instances there are: list_instance of the specification, and instances with all that is
 * known of them. */

#include <errno.h>
#include <string.h>

#include "api/instances.h"
#include "api/methods.h"
#include "api/projects.h"

struct listing {
	json_t *array;
	struct projects projects;
	const char *project_id;          /* of now; "": all */
	const struct identity *identity; /* NULL: all */
};

static json_t *count_to_json(int64_t count)
{
	return count < 0 ? json_null() : json_integer(count);
}

static json_t *groups_to_json(uint32_t groups)
{
	json_t *array = json_array();

	for (unsigned int group = 0; group < _METRIC_GROUP_COUNT; group++)
		if (groups & (1u << group))
			json_array_append_new(array, json_string(metric_group_info(group)->name));
	return array;
}

static json_t *ports_to_json(const struct instance_info *info)
{
	json_t *array = json_array();

	for (size_t i = 0; i < info->port_count; i++) {
		const struct instance_port *port = &info->ports[i];
		json_t *addresses = json_array();

		for (size_t j = 0; j < port->address_count; j++)
			json_array_append_new(addresses, json_string(port->addresses[j]));
		json_array_append_new(
			array, json_pack("{s:s, s:s, s:s, s:o}", "nic", port->nic, "mac", port->mac,
				       "port_id", port->port_id, "addresses", addresses));
	}
	return array;
}

void instance_add_info(json_t *object, const struct instance_info *info)
{
	for (size_t i = 0; i < instance_field_count; i++) {
		const char *const *text =
			(const char *const *)((const char *)info + instance_fields[i].offset);

		json_object_set_new(object, instance_fields[i].name, json_string(*text));
	}
	json_object_set_new(object, "vcpus", count_to_json(info->vcpus));
	json_object_set_new(object, "memory_mib", count_to_json(info->memory_mib));
	json_object_set_new(object, "disk_gib", count_to_json(info->disk_gib));
	json_object_set_new(object, "ports", ports_to_json(info));
}

static json_t *time_to_json(int64_t ms)
{
	return ms ? seconds_to_json(ms) : json_null();
}

json_t *instance_to_json(const struct store_instance *instance, const struct instance_info *info)
{
	char text[UUID_TEXT_SIZE];
	json_t *object = json_object();

	json_object_set_new(object, "id", json_string(instance_key_text(&instance->key, text)));
	if (info)
		instance_add_info(object, info);
	else if (!instance->key.has_uuid)
		json_object_set_new(object, "name", json_string(instance->key.name));
	json_object_set_new(object, "first", time_to_json(instance->first_ms));
	json_object_set_new(object, "last", time_to_json(instance->last_ms));
	json_object_set_new(object, "metrics", groups_to_json(instance->groups));
	return object;
}

static bool is_of_identity(const struct identity *identity, const struct instance_key *key)
{
	if (!identity)
		return true;
	for (size_t i = 0; i < identity->key_count; i++)
		if (instance_key_equal(&identity->keys[i], key))
			return true;
	return false;
}

static int add_instance(void *context, const struct store_instance *instance)
{
	struct listing *listing = context;
	const struct instance_info *info = projects_latest(&listing->projects, instance);

	if (listing->projects.ids && !info)
		return 0;
	if (!is_of_identity(listing->identity, &instance->key))
		return 0;
	if (*listing->project_id && (!info || strcmp(info->project_id, listing->project_id) != 0))
		return 0;
	json_array_append_new(listing->array, instance_to_json(instance, info));
	return 0;
}

int method_instances(const struct methods *methods, const struct request *request,
	json_t **ret_data, struct error *err)
{
	CLEANUP(identity_deinit) struct identity identity = { 0 };
	const json_t *id = json_object_get(request->args, "id");
	struct store_filter filter = { 0 };
	struct listing listing = { 0 };
	int r = request_text(request, "project_id", "", &listing.project_id, err);

	if (r == 0)
		r = projects_parse(request, &listing.projects, err);
	if (r == 0 && id && !json_is_null(id)) {
		r = method_identity(methods, request, &identity, err);
		listing.identity = &identity;
		if (r == 0 && identity.key_count == 1)
			filter.key = &identity.keys[0];
	}
	if (r != 0)
		return r;
	*ret_data = listing.array = json_array();
	return store_instances(methods->store, &filter, add_instance, &listing, err);
}

static int add_id(void *context, const struct store_instance *instance)
{
	char text[UUID_TEXT_SIZE];

	json_array_append_new(context, json_string(instance_key_text(&instance->key, text)));
	return 0;
}

/* The groups that a name of the specification may mean: mem is a group, not a metric. */
static int groups_of(const char *name, uint32_t *ret_groups, struct error *err)
{
	const struct metric *metric = metric_by_name(name);
	enum metric_group group = metric ? metric->group : metric_group_by_name(name, strlen(name));

	if (group == _METRIC_GROUP_COUNT)
		return error_set(err, -EINVAL, "argument 'metric': there is no metric '%s'", name);
	*ret_groups = 1u << group;
	if (group == METRIC_GROUP_VMNETWORK)
		*ret_groups |= 1u << METRIC_GROUP_VMNETWORK_INCREMENT;
	if (group == METRIC_GROUP_CPU)
		*ret_groups |= 1u << METRIC_GROUP_CPU_PERCENT;
	return 0;
}

int method_list_instance(const struct methods *methods, const struct request *request,
	json_t **ret_data, struct error *err)
{
	struct store_filter filter = { 0 };
	const char *name;
	int r = request_text(request, "metric", "", &name, err);

	if (r == 0 && *name)
		r = groups_of(name, &filter.groups, err);
	if (r != 0)
		return r;
	*ret_data = json_array();
	return store_instances(methods->store, &filter, add_id, *ret_data, err);
}
