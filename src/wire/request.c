/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "wire/request.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "base/time-text.h"

void request_deinit(struct request *request)
{
	json_decref(request->args);
	request->args = NULL;
}

static int copy_frame(const struct frame *frame, char *to, size_t *ret_size)
{
	if (frame->size > REQUEST_ID_MAX)
		return -EMSGSIZE;
	memcpy(to, frame->bytes, frame->size);
	to[frame->size] = '\0';
	*ret_size = frame->size;
	return 0;
}

static int take_body(const json_t *body, struct request *request, struct error *err)
{
	const char *method = json_string_value(json_object_get(body, "method"));
	json_t *args = json_object_get(body, "args");

	if (!json_is_object(body))
		return error_set(err, -EINVAL, "the third frame is no JSON object");
	if (!method)
		return error_set(err, -EINVAL, "'method' is missing or no text");
	if (!text_copy(request->method, sizeof(request->method), method))
		return error_set(err, -EINVAL, "there is no method '%.64s...'", method);
	if (args && !json_is_object(args) && !json_is_null(args))
		return error_set(err, -EINVAL, "'args' is no JSON object");
	request->args = json_is_object(args) ? json_incref(args) : json_object();
	return request->args ? 0 : -ENOMEM;
}

int request_decode(
	const struct frame *frames, size_t count, struct request *ret_request, struct error *err)
{
	json_error_t json_error;
	json_t *body;
	int r;

	*ret_request = (struct request){ 0 };
	if (count != 3)
		return error_set(
			err, -EINVAL, "expected 3 frames (msg_type, uuid, JSON), not %zu", count);
	if (copy_frame(&frames[0], ret_request->type, &ret_request->type_size) < 0 ||
		copy_frame(&frames[1], ret_request->id, &ret_request->id_size) < 0)
		return error_set(
			err, -EMSGSIZE, "msg_type or uuid is longer than %d bytes", REQUEST_ID_MAX);
	if (frames[2].size > REQUEST_SIZE_MAX)
		return error_set(
			err, -EMSGSIZE, "the request is longer than %d bytes", REQUEST_SIZE_MAX);
	body = json_loadb(frames[2].bytes, frames[2].size, JSON_REJECT_DUPLICATES, &json_error);
	if (!body)
		return error_set(err, -EINVAL, "the third frame is not JSON: %s", json_error.text);
	r = take_body(body, ret_request, err);
	json_decref(body);
	return r;
}

int request_text(const struct request *request, const char *name, const char *fallback,
	const char **ret_text, struct error *err)
{
	const json_t *value = json_object_get(request->args, name);

	if (!value || json_is_null(value)) {
		if (!fallback)
			return error_set(err, -EINVAL, "argument '%s' is missing", name);
		*ret_text = fallback;
		return 0;
	}
	if (!json_is_string(value))
		return error_set(err, -EINVAL, "argument '%s' is no text", name);
	if (json_string_length(value) > REQUEST_ARGUMENT_MAX)
		return error_set(err, -EINVAL, "argument '%s' is longer than %d bytes", name,
			REQUEST_ARGUMENT_MAX);
	*ret_text = json_string_value(value);
	return 0;
}

int request_integer(const struct request *request, const char *name, int64_t minimum,
	int64_t maximum, const int64_t *fallback, int64_t *ret_value, struct error *err)
{
	const json_t *value = json_object_get(request->args, name);
	int64_t number;

	if (!value || json_is_null(value)) {
		if (!fallback)
			return error_set(err, -EINVAL, "argument '%s' is missing", name);
		*ret_value = *fallback;
		return 0;
	}
	if (json_is_integer(value))
		number = json_integer_value(value);
	else if (!json_is_string(value) || text_to_i64(json_string_value(value), &number) < 0)
		return error_set(err, -EINVAL, "argument '%s' is no whole number", name);
	if (number < minimum || number > maximum)
		return error_set(err, -EINVAL, "argument '%s' is %lld; expected %lld to %lld", name,
			(long long)number, (long long)minimum, (long long)maximum);
	*ret_value = number;
	return 0;
}

static int number_to_ms(const json_t *value, int64_t *ret_ms)
{
	double seconds = json_number_value(value);

	/* Up to the year 9999, where a double still holds every millisecond. */
	if (!isfinite(seconds) || seconds < 0 || seconds > 253402300799.0)
		return -ERANGE;
	*ret_ms = llround(seconds * 1000);
	return 0;
}

int request_time(const struct request *request, const char *name, int64_t now_ms, int64_t *ret_ms,
	struct error *err)
{
	const json_t *value = json_object_get(request->args, name);
	int64_t ms = 0;
	int r = 0;

	if (json_is_number(value))
		r = number_to_ms(value, &ms);
	else if (json_is_string(value))
		r = time_text_parse(json_string_value(value), &ms);
	else if (value && !json_is_null(value))
		r = -EINVAL;
	if (r < 0)
		return error_set(err, -EINVAL,
			"argument '%s' is no time; expected ISO 8601 (2012-02-20T12:12:12) or "
			"seconds "
			"since 1970",
			name);
	*ret_ms = ms ? ms : now_ms;
	return 0;
}

json_t *answer_new(enum answer_code code, const char *message, json_t *data)
{
	return json_pack("{s:i, s:s, s:o}", "code", (int)code, "message", message, "data",
		data ? data : json_null());
}

int answer_encode(const json_t *answer, struct buffer *to)
{
	return json_write(answer, to);
}
