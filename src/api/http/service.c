/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "api/http/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

enum {
	PEM_MAX = 256 * 1024,
	CONNECTIONS_MAX = 128,
	CONNECTIONS_PER_ADDRESS_MAX = 64,
	IDLE_SECONDS = 60,
	REQUEST_TIMEOUT_MS = 300 * 1000,
};

static int read_pem(const char *path, mode_t forbidden, char **ret_text, struct error *err)
{
	struct stat stat;
	int r = file_read(path, PEM_MAX, ret_text, &stat, err);

	return r == 0 && stat.st_mode & forbidden
		       ? error_set(err, -EPERM,
				 "'%s' may be used by others; its mode should be 0600", path)
		       : r;
}

static int read_certificate(struct service *service, const struct config *config, struct error *err)
{
	const char *certificate = config_text(config, "api", "http_certificate");
	const char *key = config_text(config, "api", "http_key");
	int r;

	if (!*certificate != !*key)
		return error_set(
			err, -EINVAL, "[api] http_certificate and http_key belong together");
	if (!*certificate)
		return 0;
	r = read_pem(certificate, 0, &service->certificate, err);
	return r == 0 ? read_pem(key, S_IRWXO, &service->key, err) : r;
}

static bool authorise(void *context, const struct http_request *request,
	struct http_response *response, const void **ret_scope)
{
	struct service *service = context;

	return scopes_authorise(&service->scopes, request, response, ret_scope);
}

static int start(struct service *service, const struct config *config, struct error *err)
{
	const struct http_options options = { .host = config_text(config, "api", "http_host"),
		.port = (uint16_t)config_integer(config, "api", "http_port"),
		.certificate = service->certificate,
		.private_key = service->key,
		.routes = service_routes,
		.route_count = service_route_count,
		.authorise = authorise,
		.release = scope_release,
		.context = service,
		.clock = service->methods->clock,
		.connections_max = CONNECTIONS_MAX,
		.connections_per_address_max = CONNECTIONS_PER_ADDRESS_MAX,
		.idle_seconds = IDLE_SECONDS,
		.working_max = (unsigned int)config_integer(config, "api", "readers"),
		.timeout_ms = REQUEST_TIMEOUT_MS };

	return http_server_new(&options, &service->server, err);
}

int service_new(const struct config *config, const struct methods *methods,
	struct service **ret_service, struct error *err)
{
	CLEANUP(service_free) struct service *service = calloc(1, sizeof(*service));
	int r;

	if (!service)
		return -ENOMEM;
	service->methods = methods;
	service->started_ms = clock_wall_ms(methods->clock);
	r = scopes_init(&service->scopes, config_text(config, "api", "http_tokens"), err);
	if (r == 0)
		r = read_certificate(service, config, err);
	if (r == 0)
		r = start(service, config, err);
	if (r < 0)
		return r;
	*ret_service = service;
	service = NULL;
	return 0;
}

struct service *service_free(struct service *service)
{
	if (!service)
		return NULL;
	http_server_free(service->server);
	scopes_deinit(&service->scopes);
	free(service->certificate);
	if (service->key)
		explicit_bzero(service->key, strlen(service->key));
	free(service->key);
	free(service);
	return NULL;
}

const char *service_url(const struct service *service)
{
	return http_server_url(service->server);
}
