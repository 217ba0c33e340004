/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* kanyun-api's methods over HTTP (docs/http.md). */

#include "api/http/scope.h"
#include "api/methods.h"
#include "base/config.h"

struct service {
	const struct methods *methods;
	struct scopes scopes;
	char *certificate, *key; /* PEM */
	struct http_server *server;
	int64_t started_ms; /* wall clock */
};

/* config and methods are kept. Negative with a text. */
MUST_CHECK int service_new(const struct config *config, const struct methods *methods,
	struct service **ret_service, struct error *err);
struct service *service_free(struct service *service);
CLEANUP_DEFINE(struct service, service_free)

const char *service_url(const struct service *service);

/* The table of routes, whose handlers get the service. */
extern const struct http_route service_routes[];
extern const size_t service_route_count;
