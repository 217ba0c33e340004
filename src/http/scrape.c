/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "http/scrape.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	CONNECTIONS_MAX = 32,
	CONNECTIONS_PER_ADDRESS_MAX = 16,
	IDLE_SECONDS = 60,
	WORKING_MAX = 2,
	TIMEOUT_MS = 30 * 1000,
};

struct scrape {
	struct scrape_options options;
	struct http_server *server;
};

static void expose_cpu(struct exposition *to)
{
	struct timespec used;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) < 0)
		return;
	exposition_family(to, "process_cpu_seconds_total", EXPOSITION_COUNTER,
		"User and system CPU time of this process.");
	exposition_decimal(to, NULL, 0, used.tv_sec * INT64_C(1000000000) + used.tv_nsec, 9);
}

static void expose_memory(struct exposition *to)
{
	FILE *file = fopen("/proc/self/statm", "re");
	int64_t pages[2], page = sysconf(_SC_PAGESIZE);

	if (file && fscanf(file, "%" SCNd64 " %" SCNd64, &pages[0], &pages[1]) == 2) {
		exposition_single(to, "process_virtual_memory_bytes", EXPOSITION_GAUGE,
			"Virtual memory of this process.", pages[0] * page);
		exposition_single(to, "process_resident_memory_bytes", EXPOSITION_GAUGE,
			"Resident memory of this process.", pages[1] * page);
	}
	if (file)
		fclose(file);
}

static void expose_fds(struct exposition *to)
{
	DIR *directory = opendir("/proc/self/fd");
	struct rlimit limit;
	int64_t count = -1; /* the directory's own */

	if (directory) {
		for (const struct dirent *entry; (entry = readdir(directory));)
			count += entry->d_name[0] != '.';
		closedir(directory);
		exposition_single(to, "process_open_fds", EXPOSITION_GAUGE,
			"Open file descriptors of this process.", count);
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		exposition_single(to, "process_max_fds", EXPOSITION_GAUGE,
			"File descriptors that this process may have open.",
			(int64_t)limit.rlim_cur);
}

static void expose_self(struct exposition *to, const struct scrape_self *self)
{
	const struct exposition_label labels[] = { { "program", self->program },
		{ "version", self->version } };

	exposition_family(
		to, self->build_info, EXPOSITION_GAUGE, "1, with what program this is as labels.");
	exposition_integer(to, labels, ARRAY_SIZE(labels), 1);
	exposition_family(to, "process_start_time_seconds", EXPOSITION_GAUGE,
		"When this process started, in seconds since 1970.");
	exposition_decimal(to, NULL, 0, self->started_ms, 3);
	expose_cpu(to);
	expose_memory(to);
	expose_fds(to);
}

static void expose_http(struct exposition *to, const struct http_counts *counts)
{
	const struct {
		const char *outcome;
		uint64_t value;
	} outcomes[] = { { "succeeded", counts->succeeded }, { "refused", counts->refused },
		{ "failed", counts->failed } };

	exposition_family(to, "http_server_requests_total", EXPOSITION_COUNTER,
		"Requests over HTTP that were answered, by status: below 400, below 500, above.");
	for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++)
		exposition_integer(to, &(struct exposition_label){ "outcome", outcomes[i].outcome },
			1, (int64_t)outcomes[i].value);
	exposition_single(to, "http_server_busy_total", EXPOSITION_COUNTER,
		"Of the failed requests: there were too many at a time.", (int64_t)counts->busy);
	exposition_single(to, "http_server_cut_total", EXPOSITION_COUNTER,
		"Answers over HTTP that ended early.", (int64_t)counts->cut);
}

void scrape_answer(const struct http_request *request, struct http_response *response,
	const struct scrape_self *self, scrape_fn *write, void *context)
{
	struct http_counts counts = http_server_counts(http_request_server(request));
	struct exposition exposition;

	exposition_init(&exposition, http_respond(response, EXPOSITION_TYPE));
	expose_self(&exposition, self);
	expose_http(&exposition, &counts);
	write(context, &exposition);
}

static void get_metrics(
	void *context, const struct http_request *request, struct http_response *response)
{
	const struct scrape *scrape = context;

	scrape_answer(request, response, &scrape->options.self, scrape->options.write,
		scrape->options.context);
}

int scrape_new(const struct scrape_options *options, struct scrape **ret_scrape, struct error *err)
{
	static const struct http_route routes[] = { { "/metrics", NULL, get_metrics, false } };
	CLEANUP(scrape_free) struct scrape *scrape = calloc(1, sizeof(*scrape));
	const struct http_options http = { .host = options->host,
		.port = options->port,
		.routes = routes,
		.route_count = ARRAY_SIZE(routes),
		.context = scrape,
		.clock = options->clock,
		.connections_max = CONNECTIONS_MAX,
		.connections_per_address_max = CONNECTIONS_PER_ADDRESS_MAX,
		.idle_seconds = IDLE_SECONDS,
		.working_max = WORKING_MAX,
		.timeout_ms = TIMEOUT_MS };
	int r;

	if (!scrape)
		return -ENOMEM;
	scrape->options = *options;
	r = http_server_new(&http, &scrape->server, err);
	if (r < 0)
		return r;
	*ret_scrape = scrape;
	scrape = NULL;
	return 0;
}

struct scrape *scrape_free(struct scrape *scrape)
{
	if (scrape)
		http_server_free(scrape->server);
	free(scrape);
	return NULL;
}

const char *scrape_url(const struct scrape *scrape)
{
	return http_server_url(scrape->server);
}
