/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Who may ask over HTTP, and about what. This is all that another way to authorise (of Keystone's
 * tokens, say) has to provide. */

#include <jansson.h>
#include <pthread.h>

#include "http/server.h"
#include "model/access.h"

/* What one request may see. */
struct scope {
	json_t *projects; /* their ids; NULL: everything */
};

/* The file of tokens, read again when it has changed. */
struct scopes {
	const char *path; /* "": there are none, and only this host may ask */
	pthread_mutex_t lock;
	struct access *access; /* NULL: the file cannot be used now, so nobody may ask */
};

/* path is kept. 0, or negative with a text if the file cannot be used. Free in every case. */
MUST_CHECK int scopes_init(struct scopes *scopes, const char *path, struct error *err);
void scopes_deinit(struct scopes *scopes);

/* As http_authorise_fn; the scope is to be released. */
bool scopes_authorise(struct scopes *scopes, const struct http_request *request,
	struct http_response *response, const void **ret_scope);
void scope_release(const void *scope);
