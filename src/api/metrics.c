/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* metrics: the table of what is measured. */

#include "api/methods.h"

static json_t *metric_to_json(const struct metric *metric)
{
	const struct metric_group_info *group = metric_group_info(metric->group);

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "name", metric->name, "kind",
		metric_kind_name(metric->kind), "unit", metric_unit_name(metric->unit), "group",
		group->name, "parameter", group->parameter, "help", metric->help, "is_specified",
		metric->is_specified);
}

int method_metrics(const struct methods *methods, const struct request *request, json_t **ret_data,
	struct error *err)
{
	*ret_data = json_array();
	for (size_t i = 0; i < metric_count(); i++)
		json_array_append_new(*ret_data, metric_to_json(metric_at(i)));
	return 0;
}
