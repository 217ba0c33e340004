/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "api/http/scope.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"

int scopes_init(struct scopes *scopes, const char *path, struct error *err)
{
	*scopes = (struct scopes){ .path = path };
	pthread_mutex_init(&scopes->lock, NULL);
	return *path ? access_load(path, &scopes->access, err) : 0;
}

void scopes_deinit(struct scopes *scopes)
{
	scopes->access = access_free(scopes->access);
	pthread_mutex_destroy(&scopes->lock);
}

void scope_release(const void *context)
{
	struct scope *scope = (struct scope *)context;

	json_decref(scope->projects);
	free(scope);
}

static struct scope *scope_new(const struct access_entry *entry)
{
	struct scope *scope = calloc(1, sizeof(*scope));

	if (!scope || entry->is_for_all)
		return scope;
	scope->projects = json_array();
	for (size_t i = 0; i < entry->project_count; i++)
		json_array_append_new(scope->projects, json_string(entry->projects[i]));
	if (json_array_size(scope->projects) == entry->project_count)
		return scope;
	scope_release(scope);
	return NULL;
}

/* A file that has changed and cannot be used lets nobody in. */
static void refresh(struct scopes *scopes)
{
	struct error err = { 0 };
	int r;

	if (scopes->access && !access_is_stale(scopes->access))
		return;
	access_free(scopes->access);
	scopes->access = NULL;
	r = access_load(scopes->path, &scopes->access, &err);
	if (r < 0)
		log_error("nobody may ask over HTTP: %s", error_text(&err, r));
	else
		log_info("the tokens of '%s' have been read again", scopes->path);
}

static struct scope *find_scope(struct scopes *scopes, const char *token, bool *ret_is_usable)
{
	const struct access_entry *entry = NULL;
	struct scope *scope = NULL;

	pthread_mutex_lock(&scopes->lock);
	refresh(scopes);
	*ret_is_usable = scopes->access;
	if (scopes->access)
		entry = access_find(scopes->access, token);
	if (entry)
		scope = scope_new(entry);
	pthread_mutex_unlock(&scopes->lock);
	return scope;
}

/* A name that leads here from elsewhere may be a page's that wants to read what this host may. */
static bool is_named_local(const struct http_request *request)
{
	static const char *const names[] = { "127.", "localhost", "[::1]" };
	const char *host = http_request_header(request, "Host");

	for (size_t i = 0; host && i < ARRAY_SIZE(names); i++)
		if (strncasecmp(host, names[i], strlen(names[i])) == 0)
			return true;
	return !host;
}

static bool authorise_local(
	const struct http_request *request, struct http_response *response, const void **ret_scope)
{
	static const struct access_entry everything = { .is_for_all = true };

	if (!http_request_is_local(request) || !is_named_local(request)) {
		http_refuse(response, 403,
			"only this host may ask, as 127.0.0.1 or localhost; see http_tokens in "
			"kanyun.conf(5)");
		return false;
	}
	*ret_scope = scope_new(&everything);
	if (!*ret_scope)
		http_refuse(response, 500, "out of memory");
	return *ret_scope;
}

bool scopes_authorise(struct scopes *scopes, const struct http_request *request,
	struct http_response *response, const void **ret_scope)
{
	const char *header = http_request_header(request, "Authorization");
	bool is_usable;

	if (!*scopes->path)
		return authorise_local(request, response, ret_scope);
	if (!header || strncasecmp(header, "Bearer ", strlen("Bearer ")) != 0)
		header = "Bearer ";
	*ret_scope = find_scope(scopes, header + strlen("Bearer "), &is_usable);
	if (*ret_scope)
		return true;
	if (!is_usable) {
		http_refuse(response, 503, "the tokens cannot be read");
		return false;
	}
	http_response_header(response, "WWW-Authenticate", "Bearer");
	http_refuse(response, 401, "a valid token is needed: Authorization: Bearer TOKEN");
	return false;
}
