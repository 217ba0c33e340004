/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun-server: receives, stores, acknowledges, watches the workers.
 *
 *     intake.c       PULL and PUB: from a worker's message to the writer and back
 *     admission.c    what a message comes to; peers.c: the spools that send, sequences.c: which
 *                    of their numbers came, frontier.c: until when they told everything
 *     writer.c       the thread that commits to the store
 *     workers.c      who is alive; presence.c: the thread that shares it with other servers
 *     answers.c      REP: status, workers, and the store for kanyun-api
 *     watch.c        HTTP: what Prometheus is told of all of it
 *     maintenance.c  the thread that packs and deletes
 *     opening.c      the store that the configuration names
 *     ending.c       the thread that sees to it that the end comes soon
 *
 * Parts are started in the order below and ended in the reverse one, but for the writer, whose
 * thread ends first: what came is stored while there is time. */

#include <czmq.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "base/program.h"
#include "base/responder.h"
#include "base/signals.h"
#include "base/time-text.h"
#include "http/scrape.h"
#include "model/settings.h"
#include "server/answers.h"
#include "server/ending.h"
#include "server/intake.h"
#include "server/maintenance.h"
#include "server/opening.h"
#include "server/presence.h"
#include "server/watch.h"
#include "store/lost-days.h"
#include "store/store.h"
#include "wire/request.h"

enum { ANSWER_THREADS = 4, ANSWER_QUEUE_MAX = 256 };

struct server {
	struct program *program;
	zloop_t *loop;
	struct signals *signals;
	struct ending *ending;
	struct store *store;
	size_t damaged_days;
	struct writer *writer;
	struct workers *workers;
	struct counters counters;
	struct intake *intake;
	struct answers answers;
	struct responder *responder;
	struct presence *presence;
	struct maintenance *maintenance;
	struct scrape *scrape; /* NULL: off */
};

static int report_damage(void *context, int64_t from_ms, int64_t to_ms, const char *what)
{
	char from[TIME_TEXT_SIZE];
	struct server *server = context;

	server->damaged_days++;
	log_error("readings of the day from %s are lost: '%s' is what is left of their file; "
		  "answers that they are missing in say so",
		time_text_format(from_ms, from), what);
	return 0;
}

/* Before anyone asks. */
static int note_damage(struct server *server, struct error *err)
{
	int r = lost_days_record(
		server->store, clock_wall_ms(clock_system()), report_damage, server, err);

	return r > 0 ? error_prefix(err, -EIO, "cannot note which readings are lost") : r;
}

static void on_user_signal(void *context, int number)
{
	struct server *server = context;

	if (number == SIGUSR1)
		workers_log(server->workers);
	else
		log_info("%zu dead workers are forgotten", workers_forget_dead(server->workers));
}

static int64_t dead_after_ms(const struct server *server)
{
	return config_integer(server->program->config, "server", "worker_dead_seconds") * 1000;
}

static int start_presence(struct server *server, struct error *err)
{
	return presence_new(server->store, clock_system(), server->workers, dead_after_ms(server),
		&server->presence, err);
}

static int start_writer(struct server *server, struct error *err)
{
	const struct writer_options options = { server->store, clock_system(),
		&server->counters.committed };
	int r = workers_new(clock_system(), dead_after_ms(server), &server->workers);

	return r < 0 ? r : writer_new(&options, &server->writer, err);
}

static int start_intake(struct server *server, struct error *err)
{
	const struct intake_options options = { server->loop, clock_system(),
		server->program->config, server->store, server->writer, server->workers,
		&server->counters };

	return intake_new(&options, &server->intake, err);
}

static int start_responder(struct server *server, struct error *err)
{
	const struct config *config = server->program->config;
	char endpoint[CONFIG_ENDPOINT_SIZE];
	struct responder_options options = { .endpoint = config_endpoint(config, "server", "host",
						     "rep_port", endpoint),
		.threads = ANSWER_THREADS,
		.queue_max = ANSWER_QUEUE_MAX,
		.message_max = 2 * REQUEST_SIZE_MAX,
		.answer = answers_answer,
		.refuse = answers_refuse,
		.context = &server->answers };

	server->answers =
		(struct answers){ clock_system(), server->store, server->writer, server->workers,
			&server->counters, clock_wall_ms(clock_system()), server->damaged_days };
	return responder_new(server->loop, &options, &server->responder, err);
}

static int start_scrape(struct server *server, struct error *err)
{
	const struct config *config = server->program->config;
	const struct scrape_options options = { .self = { "kanyun_build_info",
							server->program->name, KANYUN_VERSION,
							server->answers.started_ms },
		.host = config_text(config, "server", "http_host"),
		.port = (uint16_t)config_integer(config, "server", "http_port"),
		.clock = clock_system(),
		.write = watch_write,
		.context = &server->answers };

	return options.port ? scrape_new(&options, &server->scrape, err) : 0;
}

static int start_store(struct server *server, struct error *err)
{
	int r = opening_store(
		server->loop, server->program->config, server->ending, &server->store, err);

	return r == 0 ? note_damage(server, err) : r;
}

static int start_loop(struct server *server, struct error *err)
{
	int r;

	server->loop = zloop_new();
	r = server->loop ? signals_new(server->loop, on_user_signal, server, &server->signals, err)
			 : -ENOMEM;
	return r == 0 ? ending_new(&server->ending, err) : r;
}

/* OPENING_ENDED: a signal came first. */
static int start(struct server *server, struct error *err)
{
	int r = start_loop(server, err);

	if (r == 0)
		r = start_store(server, err);
	if (r == 0)
		r = start_writer(server, err);
	if (r == 0)
		r = start_intake(server, err);
	if (r == 0)
		r = start_presence(server, err);
	if (r == 0)
		r = start_responder(server, err);
	if (r == 0)
		r = maintenance_new(server->store, clock_system(), server->program->config,
			&server->maintenance, err);
	if (r == 0)
		r = start_scrape(server, err);
	return r < 0 && ending_is_over(server->ending) ? (int)OPENING_ENDED : r;
}

static void stop(struct server *server)
{
	ending_begin(server->ending);
	writer_finish(server->writer); /* it still reads the names of the intake's peers */
	scrape_free(server->scrape);
	maintenance_free(server->maintenance);
	responder_free(server->responder);
	presence_free(server->presence);
	intake_free(server->intake);
	writer_free(server->writer);
	workers_free(server->workers);
	ending_free(server->ending);
	store_free(server->store);
	zloop_destroy(&server->loop);
	signals_free(server->signals);
}

static void announce(struct server *server)
{
	program_tell(server->program, "pull", intake_pull_endpoint(server->intake));
	program_tell(server->program, "pub", intake_pub_endpoint(server->intake));
	program_tell(server->program, "rep", responder_endpoint(server->responder));
	if (server->scrape)
		program_tell(server->program, "http", scrape_url(server->scrape));
	program_ready(server->program);
}

int main(int argc, char **argv)
{
	struct program program = { .name = "kanyun-server",
		.summary =
			"Receives and stores what kanyun's workers read, and watches the workers.",
		.section = "server" };
	struct server server = { .program = &program };
	struct error err = { 0 };
	int status, r;

	if (!program_start(&program, argc, argv, settings_load, &status))
		return status;
	r = start(&server, &err);
	if (r == 0) {
		announce(&server);
		zloop_start(server.loop);
	} else if (r < 0) {
		log_error("%s", error_text(&err, r));
	}
	stop(&server);
	program_end(&program);
	return r >= 0 ? PROGRAM_OK : PROGRAM_FAILED;
}
