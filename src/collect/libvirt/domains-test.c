/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collect/libvirt/domains.h"

static const struct uuid uuid = { "0123456789abcde" };

/* From when on the next description is said to hold that is read at time_ms. */
static int64_t since(struct domain *domain, int64_t time_ms)
{
	CLEANUP(batch_free) struct batch *batch = NULL;

	assert_int_equal(batch_new(&batch), 0);
	assert_true(domain_add_info(domain, batch, "host", time_ms));
	assert_int_equal(batch->info_count, 1);
	return batch->infos[0].since_ms;
}

static void the_first_description_of_a_run_holds_from_its_beginning(void **state)
{
	struct domains domains = { 0 };
	struct domain *domain = domains_get(&domains, &uuid);

	assert_int_equal(since(domain, 1000), 1000);
	domain->run = (struct run){ .id = 1, .start_ms = 2000 };
	assert_int_equal(since(domain, 3000), 2000);
	assert_int_equal(since(domain, 4000), 4000);
	domain->run = (struct run){ .id = 2, .start_ms = EPOCH_START_UNKNOWN };
	assert_int_equal(since(domain, 5000), 5000);
	domains_deinit(&domains);
}

static void an_earlier_worker_told_the_first_one(void **state)
{
	struct domains domains = { 0 };
	struct domain *domain = domains_get(&domains, &uuid);

	domain->run = (struct run){ .id = 1, .start_ms = 2000, .is_told = true };
	assert_int_equal(since(domain, 3000), 3000);
	domains_deinit(&domains);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_description_of_a_run_holds_from_its_beginning),
		cmocka_unit_test(an_earlier_worker_told_the_first_one),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
