/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/directory.h"

static int set_up(void **state)
{
	static char path[] = "/tmp/kanyun-directory-XXXXXX";

	if (!mkdtemp(path) || chdir(path) < 0)
		return -1;
	*state = path;
	return 0;
}

static int tear_down(void **state)
{
	return chdir("/") < 0 || rmdir(*state) < 0 ? -1 : 0;
}

static void all_that_is_missing_is_made_and_what_is_there_is_fine(void **state)
{
	struct error err = { 0 };
	struct stat status;

	for (int round = 0; round < 2; round++) {
		assert_int_equal(directory_make("a/b/c", 0750, &err), 0);
		assert_int_equal(stat("a/b/c", &status), 0);
		assert_int_equal(status.st_mode & 0777, 0750);
	}
	assert_int_equal(directory_make("/", 0750, &err), 0);
	assert_int_equal(directory_make("a/b/c/", 0750, &err), 0);
	assert_int_equal(rmdir("a/b/c") + rmdir("a/b") + rmdir("a"), 0);
}

static void what_cannot_be_made_is_named(void **state)
{
	struct error err = { 0 };
	FILE *file = fopen("file", "w");

	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(directory_make("file/below", 0750, &err), -EEXIST);
	assert_string_equal(err.text, "cannot make 'file': File exists");
	assert_int_equal(directory_make("file", 0750, &err), -EEXIST);
	assert_int_equal(directory_make("", 0750, &err), -EINVAL);
	assert_int_equal(unlink("file"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_is_missing_is_made_and_what_is_there_is_fine),
		cmocka_unit_test(what_cannot_be_made_is_named),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	umask(022);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
