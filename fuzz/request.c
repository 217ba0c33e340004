/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* request_decode over any third frame, and every kind of argument read from it. */

#include "fuzz/target.h"
#include "wire/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const char *const names[] = { "id", "metric", "metric_param", "statistic", "period",
		"timestamp_from", "timestamp_to" };
	const struct frame frames[] = { { "type", 4 }, { bytes, MIN_OF(size, (size_t)300) },
		{ bytes, size } };
	CLEANUP(request_deinit) struct request request = { 0 };
	CLEANUP(buffer_deinit) struct buffer text;
	struct error err = { 0 };
	json_t *answer;

	buffer_init(&text, ANSWER_SIZE_MAX);
	if (request_decode(frames, ARRAY_SIZE(frames), &request, &err) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value;
		int64_t number;

		(void)!request_text(&request, names[i], "", &value, &err);
		(void)!request_integer(&request, names[i], 0, 1000, NULL, &number, &err);
		(void)!request_time(&request, names[i], 1, &number, &err);
	}
	answer = answer_new(ANSWER_SUCCESS, "success", json_incref(request.args));
	(void)!answer_encode(answer, &text);
	json_decref(answer);
	return 0;
}
