/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/greeting.h"

#include <errno.h>

#include "cql/request.h"

void cql_greeting_begin(struct cql_greeting *greeting, struct buffer *frame)
{
	greeting->step = CQL_GREETING_OFFERED;
	greeting->has_lz4 = false;
	buffer_clear(frame);
	cql_request_options(frame);
}

static int on_supported(
	struct cql_greeting *greeting, const struct cql_supported *supported, struct buffer *frame)
{
	greeting->step = CQL_GREETING_STARTED;
	greeting->has_lz4 =
		greeting->wants_lz4 && cql_supported_has(supported, "COMPRESSION", "lz4");
	cql_request_startup(frame, greeting->has_lz4);
	return 0;
}

static int on_authenticate(struct cql_greeting *greeting, struct buffer *frame, struct error *err)
{
	if (!greeting->username || !greeting->password)
		return error_set(err, -EACCES, "the node asks for a user name and a password");
	greeting->step = CQL_GREETING_LOGGING_IN;
	cql_request_login(frame, greeting->username, greeting->password);
	return 0;
}

static int on_refused(const struct cql_error *error, struct error *err)
{
	bool is_password =
		error->code == CQL_ERROR_CREDENTIALS || error->code == CQL_ERROR_UNAUTHORIZED;

	return cql_error_describe(error, is_password ? -EACCES : -ECONNREFUSED, err);
}

int cql_greeting_answer(struct cql_greeting *greeting, const struct cql_response *response,
	struct buffer *frame, struct error *err)
{
	enum cql_greeting_step step = greeting->step;

	buffer_clear(frame);
	switch (response->opcode) {
	case CQL_ERROR:
		return on_refused(&response->error, err);
	case CQL_SUPPORTED:
		if (step == CQL_GREETING_OFFERED)
			return on_supported(greeting, &response->supported, frame);
		break;
	case CQL_AUTHENTICATE:
		if (step == CQL_GREETING_STARTED)
			return on_authenticate(greeting, frame, err);
		break;
	case CQL_READY:
		if (step == CQL_GREETING_STARTED)
			return CQL_GREETING_READY;
		break;
	case CQL_AUTH_SUCCESS:
		if (step == CQL_GREETING_LOGGING_IN)
			return CQL_GREETING_READY;
		break;
	case CQL_AUTH_CHALLENGE:
		return error_set(err, -EACCES, "the node wants another way to log in than PLAIN");
	default:
		break;
	}
	return error_set(err, -EPROTO, "an answer that does not belong here");
}
