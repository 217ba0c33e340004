/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun-traffic: the only part of kanyun that may change the kernel's network rules, and all that
 * it may do. kanyun-worker starts it, asks through a pipe, and it ends with the worker. Before it
 * reads a byte it gives up every capability but CAP_NET_ADMIN. */

#include <cap-ng.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/child.h"
#include "traffic/meter.h"
#include "traffic/tables.h"

enum { ARENA_MAX = 256 * 1024 * 1024, EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const char usage[] =
	"usage: kanyun-traffic [--accounting | --check | --help | --version]\n"
	"\n"
	"Makes the kernel count the traffic of virtual machines' addresses. kanyun-worker starts\n"
	"it, and speaks to it by standard input and output.\n"
	"\n"
	"  --accounting  read the accounting rules of iptables instead\n"
	"  --check       say whether it can do its work here, and change nothing\n"
	"  --help        show this\n"
	"  --version     show the version\n";

/* False: it has not what it needs. iptables, which is a program of its own, inherits what is kept
 * for accounting; the older flavour of it wants CAP_NET_RAW. */
static bool reduce_capabilities(bool is_accounting)
{
	capng_type_t kept = CAPNG_EFFECTIVE | CAPNG_PERMITTED;
	bool has_raw;

	if (capng_get_caps_process() < 0 || !capng_have_capability(CAPNG_PERMITTED, CAP_NET_ADMIN))
		return false;
	has_raw = capng_have_capability(CAPNG_PERMITTED, CAP_NET_RAW);
	capng_clear(CAPNG_SELECT_ALL);
	if (is_accounting)
		kept |= CAPNG_INHERITABLE | CAPNG_AMBIENT | CAPNG_BOUNDING_SET;
	if (capng_update(CAPNG_ADD, kept, CAP_NET_ADMIN) < 0 ||
		(is_accounting && has_raw && capng_update(CAPNG_ADD, kept, CAP_NET_RAW) < 0))
		return false;
	(void)capng_apply(CAPNG_SELECT_BOUNDS); /* who is not root may not */
	return capng_apply(CAPNG_SELECT_CAPS) == 0 &&
	       (!is_accounting || capng_apply(CAPNG_SELECT_AMBIENT) == 0);
}

/* What the questions share: nothing of one is left for the next but memory. */
struct service {
	bool is_allowed;
	struct meter *meter;
	struct error trouble; /* why there is no meter */
	struct arena arena;
	struct buffer question, answer;
};

/* A question's body; false: the worker is gone, or says what it must not. */
static bool read_question(struct service *service)
{
	uint8_t head[4];
	struct cursor cursor = cursor_over(head, sizeof(head));
	uint32_t size;
	uint8_t *room;

	if (!child_read(head, sizeof(head)))
		return false;
	size = cursor_read_u32(&cursor);
	buffer_clear(&service->question);
	room = buffer_reserve(&service->question, size);
	if (!room || !child_read(room, size))
		return false;
	buffer_advance(&service->question, size);
	return true;
}

static bool send_answer(struct service *service, const struct traffic_answer *answer)
{
	traffic_encode_answer(&service->answer, answer);
	if (buffer_check(&service->answer) < 0)
		return false;
	return child_write(service->answer.bytes, service->answer.size);
}

static void open_meter(struct service *service)
{
	int r;

	service->trouble = (struct error){ .text = "" };
	r = meter_new(&service->meter, &service->trouble);
	if (r < 0 && !*service->trouble.text)
		error_set(&service->trouble, r, "%s", strerror(-r));
}

/* Negative: no memory. */
static int find_answer(
	struct service *service, const struct traffic_wish *wish, struct traffic_answer *ret_answer)
{
	bool is_accounting = wish->question == TRAFFIC_ACCOUNTING;

	if (service->is_allowed && is_accounting)
		return tables_ask(&service->arena, ret_answer);
	if (service->is_allowed && !service->meter)
		open_meter(service); /* what hindered it may be over */
	if (service->meter)
		return meter_ask(service->meter, wish, &service->arena, ret_answer);
	snprintf(ret_answer->problem, sizeof(ret_answer->problem), "%s", service->trouble.text);
	return 0;
}

static bool serve(struct service *service)
{
	struct cursor cursor = cursor_over(service->question.bytes, service->question.size);
	struct traffic_answer answer = { .count = 0 };
	struct traffic_wish wish;

	arena_clear(&service->arena);
	return traffic_decode_wish(&cursor, &service->arena, &wish) == 0 &&
	       find_answer(service, &wish, &answer) == 0 && send_answer(service, &answer);
}

static void serve_all(struct service *service)
{
	while (read_question(service) && serve(service))
		;
}

static int check(const struct service *service)
{
	if (!service->meter) {
		puts(service->trouble.text);
		return EXIT_FAILED;
	}
	printf("counts what instances send%s\n",
		meter_is_one_way(service->meter)
			? ", but not what they receive: the kernel has no egress hook for nftables"
			: " and receive");
	return EXIT_OK;
}

static int run(bool is_check, bool is_accounting)
{
	struct service service = { 0 };
	int r = EXIT_OK;

	arena_init(&service.arena, ARENA_MAX);
	buffer_init(&service.question, TRAFFIC_MESSAGE_MAX);
	buffer_init(&service.answer, TRAFFIC_MESSAGE_MAX);
	service.is_allowed = reduce_capabilities(is_accounting);
	if (!service.is_allowed)
		error_set(&service.trouble, -EPERM, "it has not CAP_NET_ADMIN");
	else if (is_check)
		open_meter(&service);
	if (is_check)
		r = check(&service);
	else
		serve_all(&service);
	meter_free(service.meter);
	buffer_deinit(&service.answer);
	buffer_deinit(&service.question);
	arena_deinit(&service.arena);
	return r;
}

int main(int argc, char **argv)
{
	static const char *const options[] = { "", "--accounting", "--check", "--help",
		"--version" };
	const char *option = argc > 1 ? argv[1] : "";
	size_t known = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	while (known < ARRAY_SIZE(options) && strcmp(options[known], option) != 0)
		known++;
	switch (argc > 2 ? ARRAY_SIZE(options) : known) {
	case 0:
	case 1:
	case 2:
		return run(known == 2, known == 1);
	case 3:
		fputs(usage, stdout);
		return EXIT_OK;
	case 4:
		puts("kanyun-traffic " KANYUN_VERSION);
		return EXIT_OK;
	default:
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
}
