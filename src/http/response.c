/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "http/exchange.h"

static const struct {
	unsigned int status;
	const char *title;
} titles[] = {
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 409, "Conflict" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 500, "Internal Server Error" },
	{ 503, "Service Unavailable" },
};

static const char *title_of(unsigned int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
		if (titles[i].status == status)
			return titles[i].title;
	return "Error";
}

void response_init(struct http_response *response)
{
	*response = (struct http_response){ .status = 500, .type = "text/plain" };
	buffer_init(&response->body, HTTP_BODY_MAX);
}

static void end_pieces(struct http_response *response)
{
	if (response->context && response->free_context)
		response->free_context(response->context);
	response->context = NULL;
	response->next = NULL;
}

void response_deinit(struct http_response *response)
{
	end_pieces(response);
	buffer_deinit(&response->body);
}

struct buffer *http_respond(struct http_response *response, const char *type)
{
	end_pieces(response);
	buffer_clear(&response->body);
	response->status = 200;
	response->type = type;
	return &response->body;
}

void http_respond_in_pieces(struct http_response *response, const char *type, http_piece_fn *next,
	void *context, void (*free_context)(void *context))
{
	(void)http_respond(response, type);
	response->next = next;
	response->context = context;
	response->free_context = free_context;
}

/* The context stays: a piece that refuses is called with it. */
void http_refuse(struct http_response *response, unsigned int status, const char *detail, ...)
{
	struct error text = { 0 };
	va_list arguments;
	json_t *problem;

	va_start(arguments, detail);
	vsnprintf(text.text, sizeof(text.text), detail, arguments);
	va_end(arguments);
	buffer_clear(&response->body);
	response->status = status;
	response->type = "application/problem+json";
	problem = json_pack("{s:s, s:s, s:i, s:s}", "type", "about:blank", "title",
		title_of(status), "status", (int)status, "detail", text.text);
	(void)json_write(problem, &response->body); /* check_body looks for what failed */
	json_decref(problem);
	response->next = NULL;
}

void http_response_header(struct http_response *response, const char *name, const char *value)
{
	if (response->header_count == RESPONSE_HEADERS_MAX)
		return;
	response->headers[response->header_count].name = name;
	response->headers[response->header_count++].value = value;
}

static void check_body(struct http_response *response)
{
	int r = buffer_check(&response->body);

	if (r == -EMSGSIZE)
		http_refuse(response, 413, "the answer is larger than %d MiB; ask for less",
			HTTP_BODY_MAX / (1024 * 1024));
	else if (r < 0)
		http_refuse(response, 500, "out of memory");
}

bool response_fill(struct http_response *response, size_t enough, const struct clock *clock,
	int64_t deadline_ms)
{
	bool is_more = true;

	while (response->next && is_more && response->body.size < enough) {
		if (clock_monotonic_ms(clock) > deadline_ms)
			http_refuse(response, 503, "it took too long; ask for less");
		else
			is_more = response->next(response->context, response, &response->body);
		check_body(response);
	}
	check_body(response);
	if (is_more && response->next)
		return true;
	end_pieces(response);
	return false;
}
