/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun doctor: looks at everything that must be right on this host, and says what to do. */

#include "cli/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/client.h"
#include "wire/request.h"

enum { CLOCK_OFFSET_MS_MAX = 1000 };

static const char *const finding_names[] = { "ok", "warning", "problem" };

void doctor_find(struct doctor *doctor, enum finding finding, const char *check, const char *advice,
	const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	doctor->worst = finding > doctor->worst ? finding : doctor->worst;
	json_array_append_new(doctor->findings,
		json_pack("{s:s, s:s, s:s, s:s}", "finding", finding_names[finding], "check", check,
			"text", text, "advice", advice));
}

static void check_configuration(struct doctor *doctor, const struct client *client)
{
	if (*client->config_path)
		doctor_find(doctor, FINDING_OK, "configuration", "", "%s is right",
			client->config_path);
	else
		doctor_find(doctor, FINDING_WARNING, "configuration",
			"write /etc/kanyun.conf; kanyun-server --print-config shows every key",
			"there is no ./kanyun.conf and no /etc/kanyun.conf, so defaults hold");
}

static void check_clock(struct doctor *doctor)
{
	struct timex timex = { 0 };
	int state = adjtimex(&timex);

	if (state < 0)
		doctor_find(doctor, FINDING_WARNING, "clock", "",
			"cannot ask the kernel for the clock's state: %s", strerror(errno));
	else if (state == TIME_ERROR || timex.status & STA_UNSYNC)
		doctor_find(doctor, FINDING_WARNING, "clock",
			"run chrony or systemd-timesyncd: readings are placed by this clock",
			"the kernel says that the clock is not synchronised");
	else
		doctor_find(doctor, FINDING_OK, "clock", "", "the clock is synchronised");
}

static void check_worker(struct doctor *doctor, const json_t *worker)
{
	const char *id = json_string_value(json_object_get(worker, "id"));
	json_int_t offset_ms = json_integer_value(json_object_get(worker, "clock_offset_ms"));

	if (!json_is_true(json_object_get(worker, "alive")))
		doctor_find(doctor, FINDING_PROBLEM, "workers",
			"look at its log there: journalctl -u kanyun-worker",
			"worker '%s' is silent since %s", id,
			json_string_value(json_object_get(worker, "last_seen")));
	if (json_is_true(json_object_get(worker, "id_is_shared")))
		doctor_find(doctor, FINDING_PROBLEM, "workers",
			"give each its own [worker] id, or none",
			"several hosts send under the id '%s'", id);
	if (llabs(offset_ms) > CLOCK_OFFSET_MS_MAX)
		doctor_find(doctor, FINDING_WARNING, "workers",
			"run chrony or systemd-timesyncd there",
			"the clock of worker '%s' is off by %lld ms", id, (long long)offset_ms);
}

static void check_workers(struct doctor *doctor, struct client *client)
{
	struct error err = { 0 };
	json_t *workers = NULL;
	const json_t *worker;
	size_t i;

	if (client_try(client, "workers", json_object(), &workers, &err) != 0)
		return;
	if (json_array_size(workers) == 0)
		doctor_find(doctor, FINDING_PROBLEM, "workers",
			"start kanyun-worker on the compute hosts; its dataserver_host is this "
			"controller",
			"no worker was heard of");
	else
		doctor_find(doctor, FINDING_OK, "workers", "", "%zu were heard of",
			json_array_size(workers));
	json_array_foreach(workers, i, worker) check_worker(doctor, worker);
	json_decref(workers);
}

static bool is_of_cassandra(const json_t *status)
{
	const char *store = json_string_value(json_object_get(status, "store"));

	return store && strcmp(store, "cassandra") == 0;
}

static void check_store(struct doctor *doctor, const json_t *status)
{
	json_int_t damaged = json_integer_value(json_object_get(status, "damaged_days"));
	json_int_t corrupt = json_integer_value(
		json_object_get(json_object_get(status, "counters"), "store_corrupt"));

	if (damaged)
		doctor_find(doctor, FINDING_PROBLEM, "store",
			"see its log, and \"Damage\" in docs/storage.md",
			"readings of %lld days are lost: their files were damaged",
			(long long)damaged);
	if (corrupt)
		doctor_find(doctor, FINDING_PROBLEM, "store",
			"check the disks of the nodes, and what is on them: nodetool verify",
			"damaged rows were met %lld times since it started; questions that need "
			"them fail",
			(long long)corrupt);
	if (json_is_true(json_object_get(status, "store_is_failing")))
		doctor_find(doctor, FINDING_PROBLEM, "store",
			is_of_cassandra(status)
				? "look at the log of kanyun-server; are enough nodes up for "
				  "[cassandra] consistency, and what do their logs say?"
				: "look at the log of kanyun-server; is its disk full?",
			"the server cannot store; workers keep what they read");
	else
		doctor_find(doctor, FINDING_OK, "store", "", "%s stores",
			json_string_value(json_object_get(status, "store")));
}

static void check_server_of_several(struct doctor *doctor, const json_t *server)
{
	const char *name = json_string_value(json_object_get(server, "server"));

	if (!json_is_true(json_object_get(server, "answers")))
		doctor_find(doctor, FINDING_PROBLEM, "server", "is kanyun-server running there?",
			"%s does not answer kanyun-api; others do its work", name);
	else if (json_is_true(json_object_get(server, "store_is_failing")))
		doctor_find(doctor, FINDING_PROBLEM, "store",
			"look at the log of kanyun-server there", "%s cannot store", name);
}

/* Answers pass through kanyun-api, so one question tells which of the two is away. */
static void check_server(struct doctor *doctor, struct client *client)
{
	struct error err = { 0 };
	json_t *status = NULL;
	const json_t *servers;
	int r = client_try(client, "status", json_object(), &status, &err);

	if (r == ANSWER_UNAVAILABLE) {
		doctor_find(doctor, FINDING_OK, "api", "", "kanyun-api answers");
		doctor_find(doctor, FINDING_PROBLEM, "server",
			"is kanyun-server running? [api] server_host and server_port must be its",
			"kanyun-api does not reach it: %s", err.text);
		return;
	}
	if (r != 0) {
		doctor_find(doctor, FINDING_PROBLEM, "api",
			"is kanyun-api running? [client] api_host and api_port must be its",
			"no answer from %s:%lld: %s",
			config_text(client->config, "client", "api_host"),
			(long long)config_integer(client->config, "client", "api_port"),
			error_text(&err, r));
		return;
	}
	doctor_find(doctor, FINDING_OK, "api", "", "kanyun-api answers");
	doctor_find(doctor, FINDING_OK, "server", "", "kanyun-server %s runs since %s",
		json_string_value(json_object_get(status, "version")),
		json_string_value(json_object_get(status, "started")));
	check_store(doctor, status);
	servers = json_object_get(status, "servers");
	for (size_t i = 0; json_array_size(servers) > 1 && i < json_array_size(servers); i++)
		check_server_of_several(doctor, json_array_get(servers, i));
	json_decref(status);
	check_workers(doctor, client);
}

static void print_findings(const json_t *findings)
{
	const json_t *finding;
	const char *advice;
	size_t i;

	json_array_foreach(findings, i, finding)
	{
		advice = json_string_value(json_object_get(finding, "advice"));
		printf("%-8s %-14s %s\n", json_string_value(json_object_get(finding, "finding")),
			json_string_value(json_object_get(finding, "check")),
			json_string_value(json_object_get(finding, "text")));
		if (*advice)
			printf("%-8s %-14s -> %s\n", "", "", advice);
	}
}

int command_doctor(struct client *client)
{
	struct doctor doctor = { .findings = json_array() };

	if (client->argument_count)
		return client_complain(client, "doctor: no arguments are expected");
	check_configuration(&doctor, client);
	check_clock(&doctor);
	check_server(&doctor, client);
	doctor_check_libvirt(&doctor, client->config);
	doctor_check_traffic(&doctor, client->config);
	if (client->is_json)
		client_print_json(json_incref(doctor.findings));
	else
		print_findings(doctor.findings);
	json_decref(doctor.findings);
	return doctor.worst == FINDING_PROBLEM ? EXIT_FAILED : EXIT_DONE;
}
