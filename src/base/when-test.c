/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/time-text.h"
#include "base/when.h"

static int64_t at(const char *text)
{
	int64_t ms = -1;

	assert_int_equal(time_text_parse(text, &ms), 0);
	return ms;
}

static void words_and_spans_are_counted_from_now(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = { { "now", "2026-03-01T12:34:56.789" }, { "0", "2026-03-01T12:34:56.789" },
		{ "now-1h", "2026-03-01T11:34:56.789" }, { "-1h", "2026-03-01T11:34:56.789" },
		{ "-90s", "2026-03-01T12:33:26.789" }, { "now+2w", "2026-03-15T12:34:56.789" },
		{ "today", "2026-03-01" }, { "today+30m", "2026-03-01T00:30" },
		{ "yesterday", "2026-02-28" }, { "this-month", "2026-03-01" },
		{ "last-month", "2026-02-01" }, { "last-month-1d", "2026-01-31" },
		{ "2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05" } };
	int64_t now_ms = at("2026-03-01T12:34:56.789");

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int64_t ms = -1;

		assert_int_equal(when_parse(cases[i].text, now_ms, &ms), 0);
		assert_true(ms == at(cases[i].expected));
	}
}

static void what_is_no_time_is_refused(void **state)
{
	static const char *const texts[] = { "", "-", "now-", "now-h", "now-1x", "now-1hh",
		"nowhere", "today1h", "now-1h-1h", "tomorrow", "-99999w", "now+999999999999999d",
		"now+9999999999999999h", "2026-01-02T03:04:05 01:00" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		int64_t ms = -1;

		assert_true(when_parse(texts[i], at("2026-03-01"), &ms) < 0);
		assert_true(ms == -1);
	}
}

static void a_span_has_a_unit_or_is_seconds(void **state)
{
	int64_t ms;

	assert_int_equal(when_parse_span("90", &ms), 0);
	assert_true(ms == 90 * 1000);
	assert_int_equal(when_parse_span("1d", &ms), 0);
	assert_true(ms == 86400 * 1000);
	assert_true(when_parse_span("", &ms) < 0);
	assert_true(when_parse_span("-1d", &ms) < 0);
	assert_true(when_parse_span("1.5h", &ms) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_and_spans_are_counted_from_now),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test(a_span_has_a_unit_or_is_seconds),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
