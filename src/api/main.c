/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun-api: answers how much was used, from what kanyun-server holds.
 *
 *     http/           the same over HTTP, and the page
 *     methods.c       which methods there are, and what their arguments have in common
 *     usage-report.c  query_usage_report    readings.c  readings
 *     instances.c     list_instance, instances    instance.c  instance
 *     usages.c        usage         series.c    series       metrics.c   metrics
 *     status.c        status
 */

#include <czmq.h>
#include <errno.h>

#include "api/http/service.h"
#include "api/methods.h"
#include "base/log.h"
#include "base/program.h"
#include "base/responder.h"
#include "base/signals.h"
#include "model/settings.h"
#include "store/remote/remote.h"

enum { ANSWER_QUEUE_MAX = 256, SERVER_TIMEOUT_MS = 60 * 1000 };

struct api {
	struct program *program;
	zloop_t *loop;
	struct signals *signals;
	struct methods methods;
	struct questions questions;
	struct responder *responder;
	struct service *service; /* HTTP; NULL: off */
};

static zmsg_t *answer(void *context, zmsg_t **message)
{
	return answering_answer(*message, methods_answer, context);
}

static zmsg_t *refuse(void *context, zmsg_t **message)
{
	const struct methods *methods = context;

	questions_count(methods->questions, SIZE_MAX, ANSWER_UNAVAILABLE, 0);
	return answering_refuse(*message);
}

static int open_store(struct api *api, struct error *err)
{
	const struct config *config = api->program->config;
	const struct remote_options options = { "kanyun-server",
		config_text(config, "api", "server_host"),
		(uint16_t)config_integer(config, "api", "server_port"), SERVER_TIMEOUT_MS };
	int r = remote_store_new(&options, &api->methods.store, err);

	api->methods.clock = clock_system();
	api->methods.questions = &api->questions;
	return r == -EINVAL ? error_prefix(err, r, "[api] server_host") : r;
}

static int start_responder(struct api *api, struct error *err)
{
	const struct config *config = api->program->config;
	char endpoint[CONFIG_ENDPOINT_SIZE];
	struct responder_options options = { .endpoint = config_endpoint(config, "api", "api_host",
						     "api_port", endpoint),
		.threads = (size_t)config_integer(config, "api", "readers"),
		.queue_max = ANSWER_QUEUE_MAX,
		.message_max = 2 * REQUEST_SIZE_MAX,
		.answer = answer,
		.refuse = refuse,
		.context = &api->methods };

	return responder_new(api->loop, &options, &api->responder, err);
}

static int start(struct api *api, struct error *err)
{
	int r;

	api->loop = zloop_new();
	r = api->loop ? signals_new(api->loop, NULL, NULL, &api->signals, err) : -ENOMEM;
	if (r == 0)
		r = open_store(api, err);
	if (r == 0)
		r = start_responder(api, err);
	if (r == 0 && config_integer(api->program->config, "api", "http_port"))
		r = service_new(api->program->config, &api->methods, &api->service, err);
	return r;
}

static void stop(struct api *api)
{
	service_free(api->service);
	responder_free(api->responder);
	store_free(api->methods.store);
	zloop_destroy(&api->loop);
	signals_free(api->signals);
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
		if (api.service)
			program_tell(&program, "http", service_url(api.service));
		program_ready(&program);
		zloop_start(api.loop);
	} else {
		log_error("%s", error_text(&err, r));
	}
	stop(&api);
	program_end(&program);
	return r == 0 ? PROGRAM_OK : PROGRAM_FAILED;
}
