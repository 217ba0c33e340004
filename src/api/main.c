/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun-api: answers how much was used, from what kanyun-server holds.
 *
 *     methods.c       which methods there are, and what their arguments have in common
 *     usage-report.c  query_usage_report    readings.c  readings
 *     instances.c     list_instance, instances    usages.c  usage, series
 */

#include <czmq.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "api/methods.h"
#include "base/log.h"
#include "base/program.h"
#include "base/responder.h"
#include "model/settings.h"
#include "store/remote/remote.h"

enum { ANSWER_QUEUE_MAX = 256, SERVER_TIMEOUT_MS = 60 * 1000 };

struct api {
	struct program *program;
	zloop_t *loop;
	int signal_fd;
	struct methods methods;
	struct responder *responder;
};

static zmsg_t *answer(void *context, zmsg_t **message)
{
	return answering_answer(*message, methods_answer, context);
}

static zmsg_t *refuse(void *context, zmsg_t **message)
{
	return answering_refuse(*message);
}

static int on_signal(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
	struct api *api = argument;
	struct signalfd_siginfo info;

	if (read(api->signal_fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	if (info.ssi_signo != SIGHUP)
		return -1;
	log_reopen();
	return 0;
}

/* Before any thread starts, so that all of them inherit the mask. */
static int catch_signals(struct api *api, struct error *err)
{
	zmq_pollitem_t item = { .events = ZMQ_POLLIN };
	sigset_t signals;

	zsys_handler_set(NULL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	api->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (api->signal_fd < 0)
		return error_set(err, -errno, "cannot make a signalfd: %s", strerror(errno));
	item.fd = api->signal_fd;
	return zloop_poller(api->loop, &item, on_signal, api) < 0 ? -ENOMEM : 0;
}

static int open_store(struct api *api, struct error *err)
{
	const struct config *config = api->program->config;
	char endpoint[CONFIG_VALUE_MAX + 32];

	snprintf(endpoint, sizeof(endpoint), "tcp://%s:%" PRId64,
		config_text(config, "api", "server_host"),
		config_integer(config, "api", "server_port"));
	api->methods.clock = clock_system();
	return remote_store_new(endpoint, SERVER_TIMEOUT_MS, &api->methods.store, err);
}

static int start_responder(struct api *api, struct error *err)
{
	const struct config *config = api->program->config;
	int64_t port = config_integer(config, "api", "api_port");
	char endpoint[CONFIG_VALUE_MAX + 32], port_text[24] = "*";
	struct responder_options options = { .endpoint = endpoint,
		.threads = (size_t)config_integer(config, "api", "readers"),
		.queue_max = ANSWER_QUEUE_MAX,
		.message_max = 2 * REQUEST_SIZE_MAX,
		.answer = answer,
		.refuse = refuse,
		.context = &api->methods };

	if (port)
		snprintf(port_text, sizeof(port_text), "%" PRId64, port);
	snprintf(endpoint, sizeof(endpoint), "tcp://%s:%s", config_text(config, "api", "api_host"),
		port_text);
	return responder_new(api->loop, &options, &api->responder, err);
}

static int start(struct api *api, struct error *err)
{
	int r;

	api->signal_fd = -1;
	api->loop = zloop_new();
	r = api->loop ? catch_signals(api, err) : -ENOMEM;
	if (r == 0)
		r = open_store(api, err);
	if (r == 0)
		r = start_responder(api, err);
	return r;
}

static void stop(struct api *api)
{
	responder_free(api->responder);
	store_free(api->methods.store);
	zloop_destroy(&api->loop);
	if (api->signal_fd >= 0)
		close(api->signal_fd);
}

int main(int argc, char **argv)
{
	struct program program = { .name = "kanyun-api",
		.summary = "Answers what kanyun's instances used, from when to when.",
		.section = "api" };
	struct api api = { .program = &program };
	struct error err = { 0 };
	int status, r;

	if (!program_start(&program, argc, argv, settings_load, &status))
		return status;
	r = start(&api, &err);
	if (r == 0) {
		program_tell(&program, "rep", responder_endpoint(api.responder));
		program_ready(&program);
		zloop_start(api.loop);
	} else {
		log_error("%s", error_text(&err, r));
	}
	stop(&api);
	program_end(&program);
	return r == 0 ? PROGRAM_OK : PROGRAM_FAILED;
}
