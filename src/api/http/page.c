/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "api/http/page.h"

#include <string.h>

#include "http/file.h"

/* By web/meson.build. */
extern const struct http_file page_files[];
extern const size_t page_files_count;

/* Only what comes from here is loaded, run or asked; nobody may frame it. */
static const char policy[] =
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static const struct http_file *find_file(const char *name)
{
	for (size_t i = 0; i < page_files_count; i++)
		if (strcmp(page_files[i].name, name) == 0)
			return &page_files[i];
	return NULL;
}

void page_get(void *context, const struct http_request *request, struct http_response *response)
{
	const char *name = http_request_argument(request);
	const struct http_file *file = find_file(name ? name : "index.html");

	if (!file) {
		http_refuse(response, 404, "the page has no file '%s'", name);
		return;
	}
	http_response_header(response, "Content-Security-Policy", policy);
	http_response_header(response, "Referrer-Policy", "no-referrer");
	buffer_write(http_respond(response, file->type), file->bytes, file->size);
}
