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

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/access.h"

static char path[] = "access-test-XXXXXX";

static void write_file(mode_t mode, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static void a_token_is_known_by_its_digest(void **state)
{
	char text[400], all[ACCESS_TOKEN_SIZE], some[ACCESS_TOKEN_SIZE];
	char all_digest[ACCESS_DIGEST_SIZE], some_digest[ACCESS_DIGEST_SIZE];
	CLEANUP(access_free) struct access *access = NULL;
	struct error err = { 0 };
	const struct access_entry *entry;

	assert_int_equal(access_new_token(all), 0);
	assert_int_equal(access_new_token(some), 0);
	assert_string_not_equal(all, some);
	assert_int_equal(access_digest(all, all_digest), 0);
	assert_int_equal(access_digest(some, some_digest), 0);
	snprintf(text, sizeof(text), "# who\n\n billing %s * # all\nshop\t%s p1,p2\n", all_digest,
		some_digest);
	write_file(0600, text);
	assert_int_equal(access_load(path, &access, &err), 0);
	entry = access_find(access, all);
	assert_non_null(entry);
	assert_true(entry->is_for_all && strcmp(entry->name, "billing") == 0);
	entry = access_find(access, some);
	assert_non_null(entry);
	assert_true(!entry->is_for_all && entry->project_count == 2);
	assert_string_equal(entry->projects[1], "p2");
	assert_null(access_find(access, ""));
	assert_null(access_find(access, all_digest));
	some[10] ^= 1;
	assert_null(access_find(access, some));
}

static void a_token_is_known_by_every_digit(void **state)
{
	static const size_t digits[] = { 0, 1, 31, 62, 63 };
	char token[ACCESS_TOKEN_SIZE], digest[ACCESS_DIGEST_SIZE], text[100];

	assert_int_equal(access_new_token(token), 0);
	for (size_t i = 0; i < sizeof(digits) / sizeof(*digits); i++) {
		CLEANUP(access_free) struct access *access = NULL;
		struct error err = { 0 };

		assert_int_equal(access_digest(token, digest), 0);
		digest[digits[i]] = digest[digits[i]] == '0' ? '1' : '0';
		snprintf(text, sizeof(text), "other %s *\n", digest);
		write_file(0600, text);
		assert_int_equal(access_load(path, &access, &err), 0);
		assert_null(access_find(access, token));
	}
}

/* Who makes a file from a variable that is not set must not let everybody in. */
static void an_empty_token_is_nobodys(void **state)
{
	CLEANUP(access_free) struct access *access = NULL;
	char digest[ACCESS_DIGEST_SIZE], text[100];
	struct error err = { 0 };

	assert_int_equal(access_digest("", digest), 0);
	snprintf(text, sizeof(text), "unset %s *\n", digest);
	write_file(0600, text);
	assert_int_equal(access_load(path, &access, &err), 0);
	assert_null(access_find(access, ""));
}

static void the_digest_is_sha256(void **state)
{
	char digest[ACCESS_DIGEST_SIZE];

	assert_int_equal(access_digest("abc", digest), 0);
	assert_string_equal(
		digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void a_line_that_is_wrong_is_named(void **state)
{
	static const struct {
		const char *before;
		int digits;
		const char *after;
	} lines[] = { { "name", 0, "" }, { "name ", 64, "" }, { "name ", 64, " * more" },
		{ "name ", 63, " *" }, { "name ", 64, "a *" }, { "name ", 64, " p1,,p2" },
		{ "name ", 64, " p1," }, { "name ", 64, " **" }, { "na*me ", 64, " p1" },
		{ "name X", 63, " *" } };
	char digest[ACCESS_DIGEST_SIZE], text[200];

	assert_int_equal(access_digest("abc", digest), 0);
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct access *access;
		struct error err = { 0 };

		snprintf(text, sizeof(text), "# one\n%s%.*s%s\n", lines[i].before, lines[i].digits,
			digest, lines[i].after);
		write_file(0600, text);
		assert_true(access_load(path, &access, &err) < 0);
		assert_non_null(strstr(err.text, ":2: expected"));
	}
}

static void a_file_that_others_may_touch_is_refused(void **state)
{
	static const mode_t wrong[] = { 0644, 0660, 0602, 0601, 0666 };
	struct access *access;
	struct error err = { 0 };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		write_file(wrong[i], "");
		assert_int_equal(access_load(path, &access, &err), -EPERM);
	}
	write_file(0640, "");
	assert_int_equal(access_load(path, &access, &err), 0);
	assert_false(access_is_stale(access));
	write_file(0640, "# changed\n");
	assert_true(access_is_stale(access));
	access_free(access);
	assert_true(access_load("/", &access, &err) < 0);
	assert_true(access_load("/nonexistent", &access, &err) < 0);
}

static int make_file(void **state)
{
	int fd = mkstemp(path);

	return fd < 0 ? -1 : close(fd);
}

static int delete_file(void **state)
{
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_is_known_by_its_digest),
		cmocka_unit_test(a_token_is_known_by_every_digit),
		cmocka_unit_test(an_empty_token_is_nobodys),
		cmocka_unit_test(the_digest_is_sha256),
		cmocka_unit_test(a_line_that_is_wrong_is_named),
		cmocka_unit_test(a_file_that_others_may_touch_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_file, delete_file);
}
