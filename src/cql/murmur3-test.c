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

#include "base/macros.h"
#include "cql/murmur3.h"
#include "cql/value.h"

struct vector {
	const char *key; /* hexadecimal */
	int64_t token;
};

static size_t from_hex(const char *hex, uint8_t *to)
{
	size_t size = strlen(hex) / 2;

	for (size_t i = 0; i < size; i++) {
		const char digits[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

		to[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return size;
}

static void assert_tokens(const struct vector *vectors, size_t count)
{
	uint8_t key[128];

	for (size_t i = 0; i < count; i++) {
		size_t size = from_hex(vectors[i].key, key);

		if (cql_murmur3_token(key, size) != vectors[i].token)
			fail_msg("the token of %s is wrong", vectors[i].key);
	}
}

/* From the tests that DataStax's drivers have of their hashes. */
static void the_drivers_published_keys_have_their_tokens(void **state)
{
	static const struct vector vectors[] = {
		{ "313233", -7468325962851647638 },
		{ "00ff10fa9900ff10fa9900ff10fa9900ff10fa9900ff10fa99"
		  "00ff10fa9900ff10fa9900ff10fa9900ff10fa9900ff10fa99",
			5837342703291459765 },
		{ "fefefefefefefefe", -8927430733708461935 },
		{ "1010101010101010", 1446172840243228796 },
		{ "39323233333732303336383534373735383037", 7162290910810015547 },
		{ "0102030405060708090a0b0c0d0e0f10", -5563837382979743776 },
		{ "060708090a0b0c0d0e0f101112131415", -6316563938475080831 },
		{ "00000000000000000000000000000000", 5457549051747178710 },
		{ "ffffffffffffffffffffffffffffffff", -2824192546314762522 },
		{ "fefefefefefefefefefefefefefefefefe", -1672437813826982685 },
		{ "00010203ffffffffffffffffffffffff", 6463632673159404390 },
		{ "fefefefe", 4566408979886474012 },
		{ "ff010203", -2839127690952877842 },
		{ "e2e7", -8582699461035929883 },
		{ "e2e7e2e7e2e701", 2222373981930033306 },
	};

	assert_tokens(vectors, ARRAY_SIZE(vectors));
}

/* Made with cassandra.murmur3 of cassandra-driver 3.30.1: every length of the tail, in which bytes
 * above 0x7f have a sign. */
static void tails_of_every_length_have_signed_bytes(void **state)
{
	static const struct vector vectors[] = {
		{ "80", -5284281814142962636 },
		{ "80ff", -1866254034066908819 },
		{ "80ff7f", 2681930555669753336 },
		{ "80ff7f01", -1764377463137273873 },
		{ "80ff7f01fe", -2860353042049036854 },
		{ "80ff7f01fec3", 3722691924295797932 },
		{ "80ff7f01fec300", -2099793321696880779 },
		{ "80ff7f01fec30090", 7166482319000824270 },
		{ "80ff7f01fec30090e2", -2054392656683359492 },
		{ "80ff7f01fec30090e281", 6588288060808991994 },
		{ "80ff7f01fec30090e281aa", 9132148399122385079 },
		{ "80ff7f01fec30090e281aaf0", 2220471753746872584 },
		{ "80ff7f01fec30090e281aaf010", 1151869432009331991 },
		{ "80ff7f01fec30090e281aaf010bf", 2233413781642639864 },
		{ "80ff7f01fec30090e281aaf010bf99", 3539994649572474893 },
		{ "80ff7f01fec30090e281aaf010bf99d1", 843083631567759579 },
		{ "80ff7f01fec30090e281aaf010bf99d1ee", -7099364094757987856 },
	};

	assert_tokens(vectors, ARRAY_SIZE(vectors));
}

/* As token() of Cassandra 5.0.9 answered, and likewise for the next. */
static void a_server_has_the_same_tokens_of_blobs(void **state)
{
	static const struct vector vectors[] = {
		{ "af6a", 1707512040392592186 },
		{ "7799ff4232479c", 1065089926427624246 },
		{ "75f54d96b46c7ae493", 7542692305404901734 },
		{ "9b36e21f46adbf4c06500945d72540666d00daa53f05", -9218446923999151740 },
		{ "385b70fb4835b9ffb33de06051d0f61cc0b4891e6fa7f338d44a63eec5b760",
			-7027334398592944455 },
	};

	assert_tokens(vectors, ARRAY_SIZE(vectors));
}

/* PRIMARY KEY ((blob, text, int)) */
static void a_server_has_the_same_tokens_of_composite_keys(void **state)
{
	static const struct {
		const char *blob, *text;
		int32_t number;
		int64_t token;
	} vectors[] = {
		{ "", "\xc3\x9f", (int32_t)0xa9f96f41, -3392414871184929495 },
		{ "52fabb363f1290", "\xf0\x9f\x98\x80\xf0\x9f\x98\x80", (int32_t)0x961d1e9e,
			-6002535292429148919 },
		{ "1fbd73d32d9a", "", (int32_t)0xada55881, 7838622995365463467 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		CLEANUP(buffer_deinit) struct buffer key;
		uint8_t blob[16];
		struct cql_value columns[] = { cql_blob(blob, from_hex(vectors[i].blob, blob)),
			cql_text(vectors[i].text), CQL_INT(vectors[i].number) };

		buffer_init(&key, 1024);
		assert_int_equal(cql_key_write(&key, columns, ARRAY_SIZE(columns)), 0);
		assert_true(cql_murmur3_token(key.bytes, key.size) == vectors[i].token);
	}
}

static void an_empty_key_has_the_lowest_token(void **state)
{
	assert_true(cql_murmur3_token("", 0) == INT64_MIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_drivers_published_keys_have_their_tokens),
		cmocka_unit_test(tails_of_every_length_have_signed_bytes),
		cmocka_unit_test(a_server_has_the_same_tokens_of_blobs),
		cmocka_unit_test(a_server_has_the_same_tokens_of_composite_keys),
		cmocka_unit_test(an_empty_key_has_the_lowest_token),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
