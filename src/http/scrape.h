/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What a program tells Prometheus about itself, at the path /metrics: of a server that has nothing
 * else, or as one route of another.
 *
 * A server of its own knows no tokens: whoever reaches its address may read. */

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "http/exposition.h"
#include "http/server.h"

/* Writes the program's own families. Any thread; several at a time. */
typedef void scrape_fn(void *context, struct exposition *to);

/* What every program can say: */
struct scrape_self {
	const char *build_info; /* the name of the family that holds the next two as labels */
	const char *program, *version;
	int64_t started_ms; /* wall clock */
};

/* Answers one scrape. */
void scrape_answer(const struct http_request *request, struct http_response *response,
	const struct scrape_self *self, scrape_fn *write, void *context);

struct scrape;

struct scrape_options {
	struct scrape_self self;
	const char *host; /* as in struct http_options */
	uint16_t port;
	const struct clock *clock;
	scrape_fn *write;
	void *context;
};

MUST_CHECK int scrape_new(
	const struct scrape_options *options, struct scrape **ret_scrape, struct error *err);

/* Waits for those that are running. */
struct scrape *scrape_free(struct scrape *scrape);
CLEANUP_DEFINE(struct scrape, scrape_free)

const char *scrape_url(const struct scrape *scrape);
