/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Two kanyun-servers on one store, which is in memory: all that src/server/main.c starts, twice, in
 * one process. SIGUSR1 kills the first or starts it again, SIGUSR2 the second.
 *
 * Killed means: what was not committed is gone, what was committed may not be acknowledged. */

#include <czmq.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/program.h"
#include "base/responder.h"
#include "base/signals.h"
#include "model/settings.h"
#include "server/answers.h"
#include "server/intake.h"
#include "server/maintenance.h"
#include "server/presence.h"
#include "store/store.h"
#include "wire/request.h"

enum { SERVERS = 2, ANSWER_THREADS = 2, ANSWER_QUEUE_MAX = 64, DEAD_AFTER_MS = 10000 };

/* One server's way to the store; once it is shut, nothing of that server gets there. */
struct gate {
	struct store store;
	struct store_ops ops;
	struct store *inner;
	atomic_bool is_shut;
};

struct server {
	struct config *config;
	struct gate gate;
	struct counters counters;
	struct workers *workers;
	struct writer *writer;
	struct intake *intake;
	struct presence *presence;
	struct answers answers;
	struct responder *responder;
	struct maintenance *maintenance;
	bool is_running;
};

struct world {
	zloop_t *loop;
	struct signals *signals;
	struct store *store;
	struct server servers[SERVERS];
};

static int gate_append(struct store *store, const struct store_commit *commit,
	struct store_tally *ret_tally, struct error *err)
{
	struct gate *gate = (struct gate *)store;

	return atomic_load(&gate->is_shut) ? STORE_UNAVAILABLE
					   : store_append(gate->inner, commit, ret_tally, err);
}

static int gate_sources(struct store *store, const char *host, const char *worker,
	store_source_fn each, void *context, struct error *err)
{
	return store_sources(((struct gate *)store)->inner, host, worker, each, context, err);
}

static int gate_records(struct store *store, const char *kind, const char *prefix,
	store_record_fn each, void *context, struct error *err)
{
	return store_records(((struct gate *)store)->inner, kind, prefix, each, context, err);
}

static int gate_instances(struct store *store, const struct store_filter *filter,
	store_instance_fn each, void *context, struct error *err)
{
	return store_instances(((struct gate *)store)->inner, filter, each, context, err);
}

static int gate_scan(struct store *store, const struct store_scan *scan, store_series_fn each,
	void *context, struct error *err)
{
	return store_scan(((struct gate *)store)->inner, scan, each, context, err);
}

static int gate_latest(struct store *store, const struct store_recent *recent, store_latest_fn each,
	void *context, struct error *err)
{
	return store_latest(((struct gate *)store)->inner, recent, each, context, err);
}

static int gate_maintain(struct store *store, int64_t now_ms, int64_t keep_from_ms, bool *ret_more,
	struct error *err)
{
	return store_maintain(((struct gate *)store)->inner, now_ms, keep_from_ms, ret_more, err);
}

static const struct store_ops gate_ops = { .name = "shared",
	.append = gate_append,
	.sources = gate_sources,
	.records = gate_records,
	.instances = gate_instances,
	.scan = gate_scan,
	.latest = gate_latest,
	.maintain = gate_maintain };

static int start_parts(struct world *world, struct server *server, struct error *err)
{
	const struct clock *clock = clock_system();
	struct store *store = &server->gate.store;
	const struct writer_options writer = { store, clock, &server->counters.committed };
	int r = workers_new(clock, DEAD_AFTER_MS, &server->workers);

	if (r == 0)
		r = writer_new(&writer, &server->writer, err);
	if (r == 0)
		r = intake_new(&(struct intake_options){ world->loop, clock, server->config, store,
				       server->writer, server->workers, &server->counters },
			&server->intake, err);
	if (r == 0)
		r = presence_new(
			store, clock, server->workers, DEAD_AFTER_MS, &server->presence, err);
	return r == 0 ? maintenance_new(store, clock, server->config, &server->maintenance, err)
		      : r;
}

static int start_responder(struct world *world, struct server *server, struct error *err)
{
	char endpoint[CONFIG_ENDPOINT_SIZE];
	const struct responder_options options = { .endpoint = config_endpoint(server->config,
							   "server", "host", "rep_port", endpoint),
		.threads = ANSWER_THREADS,
		.queue_max = ANSWER_QUEUE_MAX,
		.message_max = 2 * REQUEST_SIZE_MAX,
		.answer = answers_answer,
		.refuse = answers_refuse,
		.context = &server->answers };

	server->answers = (struct answers){ clock_system(), &server->gate.store, server->writer,
		server->workers, &server->counters, clock_wall_ms(clock_system()), 0 };
	return responder_new(world->loop, &options, &server->responder, err);
}

static void stop(struct server *server)
{
	maintenance_free(server->maintenance);
	responder_free(server->responder);
	presence_free(server->presence);
	if (server->writer)
		writer_finish(server->writer);
	if (server->intake)
		intake_free(server->intake);
	writer_free(server->writer);
	workers_free(server->workers);
	server->maintenance = NULL;
	server->responder = NULL;
	server->presence = NULL;
	server->intake = NULL;
	server->writer = NULL;
	server->workers = NULL;
	server->is_running = false;
}

/* The ports that it got first are its ports for good. */
static int keep_port(struct server *server, const char *key, const char *endpoint)
{
	char option[64];

	snprintf(option, sizeof(option), "server.%s=%s", key, strrchr(endpoint, ':') + 1);
	return config_read_option(server->config, option, NULL);
}

static int start(struct world *world, struct server *server, struct error *err)
{
	int r;

	server->gate = (struct gate){ .ops = gate_ops, .inner = world->store };
	server->gate.store.ops = &server->gate.ops;
	memset(&server->counters, 0, sizeof(server->counters));
	r = start_parts(world, server, err);
	if (r == 0)
		r = start_responder(world, server, err);
	if (r == 0)
		r = keep_port(server, "port", intake_pull_endpoint(server->intake));
	if (r == 0)
		r = keep_port(server, "pub_port", intake_pub_endpoint(server->intake));
	if (r == 0)
		r = keep_port(server, "rep_port", responder_endpoint(server->responder));
	server->is_running = r == 0;
	return r;
}

static void on_signal(void *context, int number)
{
	struct world *world = context;
	int place = number == SIGUSR1 ? 0 : 1;
	struct server *server = &world->servers[place];
	struct error err = { 0 };
	int r;

	if (server->is_running) {
		atomic_store(&server->gate.is_shut, true);
		stop(server);
		log_info("server %d is dead", place);
		return;
	}
	r = start(world, server, &err);
	if (r < 0) {
		log_error("server %d does not start: %s", place, error_text(&err, r));
		abort();
	}
	log_info("server %d runs", place);
}

static void tell(struct program *program, const struct server *server, int place)
{
	char word[16];

	snprintf(word, sizeof(word), "pull%d", place);
	program_tell(program, word, intake_pull_endpoint(server->intake));
	snprintf(word, sizeof(word), "pub%d", place);
	program_tell(program, word, intake_pub_endpoint(server->intake));
	snprintf(word, sizeof(word), "rep%d", place);
	program_tell(program, word, responder_endpoint(server->responder));
}

static int configure(struct server *server)
{
	static const char *const options[] = { "server.host=127.0.0.1", "server.port=0",
		"server.pub_port=0", "server.rep_port=0", "server.retention_days=36500" };
	int r = config_new(settings_keys, settings_key_count, &server->config);

	for (size_t i = 0; i < ARRAY_SIZE(options) && r == 0; i++)
		r = config_read_option(server->config, options[i], NULL);
	return r;
}

static int run(struct program *program, struct world *world, struct error *err)
{
	int r;

	world->loop = zloop_new();
	r = signals_new(world->loop, on_signal, world, &world->signals, err);
	if (r == 0)
		r = memory_store_new(&world->store);
	for (int i = 0; i < SERVERS && r == 0; i++) {
		r = configure(&world->servers[i]);
		if (r == 0)
			r = start(world, &world->servers[i], err);
		if (r == 0)
			tell(program, &world->servers[i], i);
	}
	if (r < 0)
		return r;
	program_ready(program);
	zloop_start(world->loop);
	return 0;
}

int main(int argc, char **argv)
{
	struct program program = { .name = "two-servers",
		.summary = "Two kanyun-servers on one store, for tests.",
		.section = "server" };
	struct world world = { 0 };
	struct error err = { 0 };
	int status, r;

	if (!program_start(&program, argc, argv, settings_load, &status))
		return status;
	r = run(&program, &world, &err);
	if (r < 0)
		log_error("%s", error_text(&err, r));
	for (int i = 0; i < SERVERS; i++) {
		stop(&world.servers[i]);
		config_free(world.servers[i].config);
	}
	store_free(world.store);
	zloop_destroy(&world.loop);
	signals_free(world.signals);
	program_end(&program);
	return r < 0 ? PROGRAM_FAILED : PROGRAM_OK;
}
