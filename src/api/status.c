/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* status: what one kanyun-server says of itself, and which of all of them answer. */

#include <string.h>

#include "api/methods.h"
#include "store/remote/remote.h"

enum { EACH_TIMEOUT_MS = 5000 };

/* A member of what a server said; null if it did not. */
static json_t *member(const json_t *data, const char *name)
{
	json_t *value = json_object_get(data, name);

	return value ? json_incref(value) : json_null();
}

static void add_server(void *context, const char *server, const json_t *answer)
{
	const json_t *data = json_object_get(answer, "data");

	json_array_append_new(
		context, json_pack("{s:s, s:b, s:o, s:o}", "server", server, "answers",
				 json_is_object(data), "started", member(data, "started"),
				 "store_is_failing", member(data, "store_is_failing")));
}

int method_status(const struct methods *methods, const struct request *request, json_t **ret_data,
	struct error *err)
{
	json_t *answer = NULL, *data, *servers;
	int r = remote_store_ask(methods->store, "status", request->args, &answer, err);

	if (r != 0)
		return r;
	data = json_object_get(answer, "data");
	if (!json_is_object(data)) {
		const char *message = json_string_value(json_object_get(answer, "message"));

		error_set(err, 0, "%s", message ? message : "kanyun-server failed");
		json_decref(answer);
		return STORE_UNAVAILABLE;
	}
	servers = json_array();
	remote_store_ask_each(methods->store, "status", EACH_TIMEOUT_MS, add_server, servers);
	*ret_data = json_incref(data);
	json_object_set_new(data, "servers", servers);
	json_decref(answer);
	return 0;
}
