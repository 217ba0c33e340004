/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "server/answers.h"

#include <jansson.h>
#include <string.h>

#include "base/time-text.h"
#include "store/remote/remote.h"
#include "wire/answering.h"

static void add_counter(void *context, const char *name, uint64_t value)
{
	json_object_set_new(context, name, json_integer((json_int_t)value));
}

static json_t *counters_to_json(const struct answers *answers)
{
	json_t *object = json_object();
	struct writer_counters writer;

	for (unsigned int i = 0; i < _COUNTER_COUNT; i++)
		add_counter(object, counter_name(i), counters_read(answers->counters, i));
	writer_read_counters(answers->writer, &writer);
	add_counter(object, "commits", writer.commits);
	add_counter(object, "commit_failures", writer.failures);
	add_counter(object, "commit_us", writer.commit_us);
	add_counter(object, "queued", writer.queued);
	store_counters(answers->store, add_counter, object);
	return object;
}

static json_t *status_to_json(const struct answers *answers)
{
	char started[TIME_TEXT_SIZE];
	struct writer_counters writer;
	size_t alive, dead;

	workers_count(answers->workers, &alive, &dead);
	writer_read_counters(answers->writer, &writer);
	return json_pack("{s:s, s:s, s:I, s:s, s:b, s:I, s:{s:I, s:I}, s:o}", "version",
		KANYUN_VERSION, "started", time_text_format(answers->started_ms, started),
		"uptime_seconds",
		(json_int_t)(clock_wall_ms(answers->clock) - answers->started_ms) / 1000, "store",
		answers->store->ops->name, "store_is_failing", writer.is_failing, "damaged_days",
		(json_int_t)answers->damaged_days, "workers", "alive", (json_int_t)alive, "dead",
		(json_int_t)dead, "counters", counters_to_json(answers));
}

/* What the store knows of the workers' spools: the host, and until when it told everything. */
static int add_source(void *context, const struct store_source *source)
{
	json_t *worker = json_object_get(context, source->worker);
	char text[TIME_TEXT_SIZE];
	const json_t *until = json_object_get(worker, "until_ms");

	if (!worker)
		return 0;
	if (*source->host)
		json_object_set_new(worker, "host", json_string(source->host));
	if (source->until_ms <= json_integer_value(until))
		return 0;
	json_object_set_new(worker, "until_ms", json_integer(source->until_ms));
	json_object_set_new(
		worker, "told_until", json_string(time_text_format(source->until_ms, text)));
	return 0;
}

static json_t *all_workers_to_json(const struct answers *answers)
{
	json_t *workers = workers_to_json(answers->workers), *by_id = json_object(), *worker;
	struct error ignored;
	size_t i;

	json_array_foreach(workers, i, worker)
	{
		json_object_set_new(worker, "host", json_string(""));
		json_object_set_new(worker, "told_until", json_null());
		json_object_set(by_id, json_string_value(json_object_get(worker, "id")), worker);
	}
	(void)!store_sources(answers->store, NULL, NULL, add_source, by_id, &ignored);
	json_array_foreach(workers, i, worker) json_object_del(worker, "until_ms");
	json_decref(by_id);
	return workers;
}

static enum answer_code code_of(int r)
{
	switch (r) {
	case STORE_UNAVAILABLE:
		return ANSWER_UNAVAILABLE;
	case STORE_TOO_MUCH:
	case -EMSGSIZE:
		return ANSWER_TOO_LARGE;
	case -EINVAL:
		return ANSWER_BAD_REQUEST;
	default:
		return ANSWER_INTERNAL;
	}
}

static json_t *answer_store(
	const struct answers *answers, const struct request *request, struct buffer *payload)
{
	struct error err = { 0 };
	int r = remote_answer(answers->store, request, payload, &err);

	if (r == 0)
		return answer_new(ANSWER_SUCCESS, "success", NULL);
	buffer_clear(payload);
	return answer_new(code_of(r), error_text(&err, r), NULL);
}

/* The methods by number: our own, then the store's; NULL behind the last. */
static const char *method_name(size_t number)
{
	static const char *const own[] = { "status", "workers" };

	return number < ARRAY_SIZE(own) ? own[number] : remote_method(number - ARRAY_SIZE(own));
}

static size_t method_number(const char *method)
{
	size_t i = 0;

	while (method_name(i) && strcmp(method_name(i), method) != 0)
		i++;
	return method_name(i) ? i : SIZE_MAX;
}

static json_t *answer_method(
	const struct answers *answers, const struct request *request, struct buffer *payload)
{
	char text[128];

	if (remote_is_method(request->method))
		return answer_store(answers, request, payload);
	if (strcmp(request->method, "status") == 0)
		return answer_new(ANSWER_SUCCESS, "success", status_to_json(answers));
	if (strcmp(request->method, "workers") == 0)
		return answer_new(ANSWER_SUCCESS, "success", all_workers_to_json(answers));
	snprintf(text, sizeof(text), "unknown method '%s'", request->method);
	return answer_new(ANSWER_BAD_REQUEST, text, NULL);
}

static json_t *answer_and_count(
	void *context, const struct request *request, struct buffer *payload)
{
	const struct answers *answers = context;
	uint64_t begin_us = stopwatch_us();
	json_t *answer = answer_method(answers, request, payload);

	questions_count(&answers->counters->questions, method_number(request->method),
		(int)json_integer_value(json_object_get(answer, "code")),
		stopwatch_us() - begin_us);
	return answer;
}

void answers_expose_questions(const struct answers *answers, struct exposition *to)
{
	const char *names[QUESTIONS_METHODS_MAX];
	size_t count = 0;

	while (count < ARRAY_SIZE(names) && (names[count] = method_name(count)))
		count++;
	questions_expose(&answers->counters->questions, names, count,
		"kanyun_server_questions_total", "kanyun_server_question_seconds", to);
}

zmsg_t *answers_answer(void *context, zmsg_t **message)
{
	return answering_answer(*message, answer_and_count, context);
}

zmsg_t *answers_refuse(void *context, zmsg_t **message)
{
	const struct answers *answers = context;

	questions_count(&answers->counters->questions, SIZE_MAX, ANSWER_UNAVAILABLE, 0);
	return answering_refuse(*message);
}
