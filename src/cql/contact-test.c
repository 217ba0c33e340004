/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "cql/contact.h"

static struct cql_contact contacts[CQL_CONTACTS_MAX];
static size_t count;

static void names_and_addresses_come_with_and_without_ports(void **state)
{
	static const struct cql_contact expected[] = { { "a", 9042 }, { "b.example", 1 },
		{ "192.0.2.1", 65535 }, { "2001:db8::1", 9043 }, { "::1", 9042 }, { "::2", 9042 } };

	assert_int_equal(
		cql_contacts_read("a, b.example:1 ,\t192.0.2.1:65535,[2001:db8::1]:9043,::1,[::2]",
			9042, contacts, &count, NULL),
		0);
	assert_int_equal(count, ARRAY_SIZE(expected));
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(contacts[i].host, expected[i].host);
		assert_int_equal(contacts[i].port, expected[i].port);
	}
}

static void what_is_no_list_of_hosts_is_refused(void **state)
{
	static const char *const wrong[] = { "", " ", ",", "a,", ",a", "a,,b", ":9042", "a:", "a:0",
		"a:65536", "a:-1", "a:9042x", "a:99999999999", "[]", "[::1", "[::1]x",
		"[::1]:", "[]:9042" };
	char text[1024];

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (cql_contacts_read(wrong[i], 9042, contacts, &count, NULL) != -EINVAL)
			fail_msg("'%s' is accepted", wrong[i]);
	memset(text, 'a', sizeof(text));
	text[CQL_HOST_SIZE] = '\0';
	assert_int_equal(cql_contacts_read(text, 9042, contacts, &count, NULL), -EINVAL);
	text[CQL_HOST_SIZE - 1] = '\0';
	assert_int_equal(cql_contacts_read(text, 9042, contacts, &count, NULL), 0);
}

static void there_are_sixteen_at_most(void **state)
{
	assert_int_equal(
		cql_contacts_read("a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", 9042, contacts, &count, NULL),
		0);
	assert_int_equal(count, 16);
	assert_int_equal(cql_contacts_read(
				 "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", 9042, contacts, &count, NULL),
		-EINVAL);
}

static void an_address_needs_no_looking_up(void **state)
{
	static const struct cql_contact v4 = { "192.0.2.1", 9043 }, v6 = { "2001:db8::1", 9044 },
					name = { "192.0.2.1.example", 9042 };
	struct cql_address addresses[CQL_CONTACT_ADDRESSES_MAX];

	assert_true(cql_contact_is_numeric(&v4));
	assert_true(cql_contact_is_numeric(&v6));
	assert_false(cql_contact_is_numeric(&name));
	assert_int_equal(cql_contact_resolve(&v4, addresses, NULL), 1);
	assert_int_equal(addresses[0].size, 4);
	assert_int_equal(addresses[0].port, 9043);
	assert_memory_equal(addresses[0].bytes, "\xc0\x00\x02\x01", 4);
	assert_int_equal(cql_contact_resolve(&v6, addresses, NULL), 1);
	assert_int_equal(addresses[0].size, 16);
	assert_memory_equal(addresses[0].bytes, "\x20\x01\x0d\xb8", 4);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_addresses_come_with_and_without_ports),
		cmocka_unit_test(what_is_no_list_of_hosts_is_refused),
		cmocka_unit_test(there_are_sixteen_at_most),
		cmocka_unit_test(an_address_needs_no_looking_up),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
