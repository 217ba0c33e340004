/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "collect/libvirt/stats.h"

#include <stdio.h>
#include <string.h>

enum { DEVICES_MAX = 1024 };

struct given {
	virTypedParameterPtr parameters;
	int count;
};

static bool find_number(const struct given *given, const char *field, int64_t *ret_value)
{
	virTypedParameterPtr found = virTypedParamsGet(given->parameters, given->count, field);

	if (!found)
		return false;
	switch (found->type) {
	case VIR_TYPED_PARAM_INT:
		*ret_value = found->value.i;
		return true;
	case VIR_TYPED_PARAM_UINT:
		*ret_value = found->value.ui;
		return true;
	case VIR_TYPED_PARAM_LLONG:
		*ret_value = found->value.l;
		return true;
	case VIR_TYPED_PARAM_ULLONG:
		*ret_value = (int64_t)found->value.ul;
		return found->value.ul <= INT64_MAX;
	default:
		return false;
	}
}

static const char *find_text(const struct given *given, const char *field)
{
	virTypedParameterPtr found = virTypedParamsGet(given->parameters, given->count, field);

	return found && found->type == VIR_TYPED_PARAM_STRING ? found->value.s : "";
}

/* Device -1: the group is of the whole instance. */
static bool add_tuple(struct batch *batch, struct reading *reading, const struct given *given,
	enum metric_group group, int device, const char *parameter)
{
	struct tuple new = { .group = group }, *tuple;
	char field[VIR_TYPED_PARAM_FIELD_LENGTH + 32];
	int64_t value;

	for (unsigned int column = 0; column < metric_group_info(group)->columns; column++) {
		const char *name = metric_of_column(group, column)->field;
		const char *rest = strchr(name, '.');

		if (device < 0)
			snprintf(field, sizeof(field), "%s", name);
		else
			snprintf(field, sizeof(field), "%.*s.%d%s", (int)(rest - name), name,
				device, rest);
		if (find_number(given, field, &value))
			tuple_set(&new, column, value);
	}
	if (!new.present)
		return true;
	new.parameter = batch_text(batch, parameter);
	new.life = "";
	tuple = batch_add_tuple(batch, reading);
	if (!tuple || !new.parameter)
		return false;
	*tuple = new;
	return true;
}

/* count_field: net.count; prefix: net. */
static bool add_devices(struct batch *batch, struct reading *reading, const struct given *given,
	enum metric_group group, const char *prefix)
{
	char field[VIR_TYPED_PARAM_FIELD_LENGTH], number[16];
	const char *name;
	int64_t count = 0;

	snprintf(field, sizeof(field), "%s.%s", prefix,
		group == METRIC_GROUP_VCPU ? "maximum" : "count");
	if (!find_number(given, field, &count))
		return true;
	for (int i = 0; i < count && i < DEVICES_MAX; i++) {
		snprintf(number, sizeof(number), "%d", i);
		snprintf(field, sizeof(field), "%s.%d.name", prefix, i);
		name = find_text(given, field);
		if (group == METRIC_GROUP_VCPU)
			name = number;
		if (*name && strlen(name) <= PARAMETER_TEXT_MAX &&
			!add_tuple(batch, reading, given, group, i, name))
			return false;
	}
	return true;
}

bool stats_read(
	struct batch *batch, struct reading *reading, virTypedParameterPtr parameters, int count)
{
	const struct given given = { parameters, count };

	return add_tuple(batch, reading, &given, METRIC_GROUP_STATE, -1, "total") &&
	       add_tuple(batch, reading, &given, METRIC_GROUP_MEM, -1, "total") &&
	       add_devices(batch, reading, &given, METRIC_GROUP_NIC, "net") &&
	       add_devices(batch, reading, &given, METRIC_GROUP_BLK, "block") &&
	       add_devices(batch, reading, &given, METRIC_GROUP_VCPU, "vcpu");
}
