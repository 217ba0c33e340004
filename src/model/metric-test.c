/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "model/metric.h"
#include "model/settings.h"

static void every_column_of_every_group_has_one_metric(void **state)
{
	size_t columns = 0;

	for (unsigned int group = 0; group < _METRIC_GROUP_COUNT; group++) {
		const struct metric_group_info *info = metric_group_info(group);

		assert_in_range(info->columns, 1, METRIC_COLUMNS_MAX);
		for (unsigned int i = 0; i < info->columns; i++) {
			assert_non_null(metric_of_column(group, i));
			assert_int_equal(metric_of_column(group, i)->group, group);
			assert_int_equal(metric_of_column(group, i)->column, i);
		}
		assert_null(metric_of_column(group, info->columns));
		assert_int_equal(metric_group_by_name(info->name, strlen(info->name)),
			info->is_derived ? _METRIC_GROUP_COUNT : group);
		columns += info->columns;
	}
	assert_int_equal(columns, metric_count());
}

static void every_metric_is_found_by_its_name(void **state)
{
	for (size_t i = 0; i < metric_count(); i++)
		assert_ptr_equal(metric_by_name(metric_at(i)->name), metric_at(i));
	assert_null(metric_at(metric_count()));
	assert_null(metric_by_name("nonsense"));
}

static void the_names_of_the_specification_are_known(void **state)
{
	static const char *const names[] = { "vmnetwork", "cpu", "mem_max", "mem_free",
		"nic_incoming", "nic_outgoing", "blk_read", "blk_write" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_true(metric_by_name(names[i])->is_specified);
}

static void aliases_mean_the_metric_they_stand_for(void **state)
{
	assert_string_equal(metric_by_name("network")->name, "vmnetwork");
	assert_string_equal(metric_by_name("nic_read")->name, "nic_incoming");
	assert_string_equal(metric_by_name("nic_write")->name, "nic_outgoing");
}

static void mem_with_a_parameter_is_that_metric_with_total(void **state)
{
	const char *parameter = "mem_free";

	assert_string_equal(metric_by_question("mem", &parameter)->name, "mem_free");
	assert_string_equal(parameter, "total");
	parameter = "cpu";
	assert_null(metric_by_question("mem", &parameter));
	parameter = "vda";
	assert_string_equal(metric_by_question("blk_read", &parameter)->name, "blk_read");
	assert_string_equal(parameter, "vda");
}

static void every_default_is_within_its_own_limits(void **state)
{
	CLEANUP(config_free) struct config *config = NULL;

	assert_int_equal(config_new(settings_keys, settings_key_count, &config), 0);
	for (size_t i = 0; i < settings_key_count; i++) {
		char option[256];
		const struct config_key *key = &settings_keys[i];

		snprintf(
			option, sizeof(option), "%s.%s=%s", key->section, key->name, key->fallback);
		assert_int_equal(config_read_option(config, option, NULL), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_column_of_every_group_has_one_metric),
		cmocka_unit_test(every_metric_is_found_by_its_name),
		cmocka_unit_test(the_names_of_the_specification_are_known),
		cmocka_unit_test(aliases_mean_the_metric_they_stand_for),
		cmocka_unit_test(mem_with_a_parameter_is_that_metric_with_total),
		cmocka_unit_test(every_default_is_within_its_own_limits),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
