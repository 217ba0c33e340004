/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun-server and kanyun-api in one process, without sockets, threads and clocks of their own:
 * what a test says line by line on standard input is taken, and each line but M is answered by one
 * line.
 *
 *     usage: kanyun-truth memory | sqlite:DIRECTORY
 *
 *     M<TAB>TYPE<TAB>JSON<TAB>ENVELOPE   a worker's message; without an envelope an old one's
 *     C          commits what was taken: "ok" and counters
 *     R          closes the store and opens it again, as a server that was killed does: "ok"
 *     S<TAB>MS   the store's maintenance at that time: "ok"
 *     N<TAB>MS   it is that time now: "ok"
 *     Q<TAB>JSON a question {"method", "args"} to kanyun-api: its answer
 */

#include <czmq.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/methods.h"
#include "base/text.h"
#include "model/settings.h"
#include "server/admission.h"
#include "store/store.h"
#include "wire/request.h"

enum { ITEMS_MAX = 1000, SEAL_AFTER_MS = 1000, FIELDS = 4 };

struct truth {
	const char *store_name;
	struct clock_manual clock;
	struct config *config;
	struct store *store;
	struct workers *workers;
	struct counters counters;
	struct admission *admission;
	struct writer_item items[ITEMS_MAX];
	size_t item_count;
	struct store_tally tally;
};

static int open_store(struct truth *truth, struct error *err)
{
	const char *name = truth->store_name;
	struct sqlite_store_options options = { .seal_after_ms = SEAL_AFTER_MS };

	if (strcmp(name, "memory") == 0)
		return memory_store_new(&truth->store);
	if (strncmp(name, "sqlite:", 7) != 0)
		return error_set(err, -EINVAL, "'%s' is no store", name);
	options.data_dir = name + 7;
	return sqlite_store_new(&options, &truth->store, err);
}

static int open_all(struct truth *truth, struct error *err)
{
	struct admission_options options = {
		.clock = &truth->clock.clock, .config = truth->config, .counters = &truth->counters
	};
	int r = open_store(truth, err);

	if (r == 0)
		r = workers_new(&truth->clock.clock, 120000, &truth->workers);
	options.store = truth->store;
	options.workers = truth->workers;
	return r == 0 ? admission_new(&options, &truth->admission) : r;
}

static void forget_items(struct truth *truth)
{
	for (size_t i = 0; i < truth->item_count; i++)
		batch_free(truth->items[i].batch);
	truth->item_count = 0;
}

static void close_all(struct truth *truth)
{
	forget_items(truth);
	truth->admission = admission_free(truth->admission);
	truth->workers = workers_free(truth->workers);
	truth->store = store_free(truth->store);
}

static int commit(struct truth *truth, struct error *err)
{
	const struct batch *batches[ITEMS_MAX];
	struct store_source sources[ITEMS_MAX];
	struct store_commit one = {
		.batches = batches, .sources = sources, .now_ms = truth->clock.wall_ms
	};
	struct store_tally tally;
	int r;

	for (size_t i = 0; i < truth->item_count; i++) {
		if (truth->items[i].batch)
			batches[one.batch_count++] = truth->items[i].batch;
		if (truth->items[i].source.worker)
			sources[one.source_count++] = truth->items[i].source;
	}
	r = store_append(truth->store, &one, &tally, err);
	if (r != 0)
		return r;
	truth->tally.stored += tally.stored;
	truth->tally.duplicate += tally.duplicate;
	truth->tally.conflicting += tally.conflicting;
	truth->tally.late += tally.late;
	admission_committed(truth->admission, truth->items, truth->item_count);
	forget_items(truth);
	return 0;
}

static int take_message(struct truth *truth, char *const fields[FIELDS], struct error *err)
{
	const struct frame frames[] = { { fields[1], strlen(fields[1]) },
		{ fields[2], strlen(fields[2]) }, { fields[3], strlen(fields[3]) } };
	struct peer *peer;

	if (admission_take(truth->admission, frames, *fields[3] ? 3 : 2,
		    &truth->items[truth->item_count], &peer) == ADMISSION_STORE)
		truth->item_count++;
	return truth->item_count == ITEMS_MAX ? commit(truth, err) : 0;
}

static void answer_commit(const struct truth *truth)
{
	printf("ok {\"stored\": %" PRIu64 ", \"duplicate\": %" PRIu64 ", \"conflicting\": %" PRIu64
	       ", \"late\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"known\": %" PRIu64
	       ", \"gone\": %" PRIu64 "}\n",
		truth->tally.stored, truth->tally.duplicate, truth->tally.conflicting,
		truth->tally.late, counters_read(&truth->counters, COUNTER_REFUSED),
		counters_read(&truth->counters, COUNTER_KNOWN),
		counters_read(&truth->counters, COUNTER_GONE));
}

static int maintain(struct truth *truth, int64_t now_ms, struct error *err)
{
	bool more = true;
	int r = 0;

	while (r == 0 && more)
		r = store_maintain(truth->store, now_ms, INT64_MIN, &more, err);
	return r;
}

static int answer_question(struct truth *truth, const char *text, struct error *err)
{
	const struct methods methods = { truth->store, &truth->clock.clock, NULL };
	const struct frame frames[] = { { "t", 1 }, { "u", 1 }, { text, strlen(text) } };
	CLEANUP(request_deinit) struct request request = { 0 };
	CLEANUP(buffer_deinit) struct buffer out;
	json_t *answer;
	int r = request_decode(frames, 3, &request, err);

	if (r < 0)
		return r;
	buffer_init(&out, ANSWER_SIZE_MAX);
	answer = methods_answer((void *)&methods, &request, NULL);
	r = answer ? answer_encode(answer, &out) : -ENOMEM;
	json_decref(answer);
	if (r == 0)
		printf("%.*s\n", (int)out.size, (const char *)out.bytes);
	return r;
}

static void split(char *line, char *fields[FIELDS])
{
	static char nothing[1];

	line[strcspn(line, "\n")] = '\0';
	for (size_t i = 0; i < FIELDS; i++) {
		char *tab = line ? strchr(line, '\t') : NULL;

		fields[i] = line ? line : nothing;
		if (tab)
			*tab = '\0';
		line = tab ? tab + 1 : NULL;
	}
}

static int obey(struct truth *truth, char *const fields[FIELDS], struct error *err)
{
	int64_t ms = 0;
	int r = 0;

	switch (fields[0][0]) {
	case 'M':
		return take_message(truth, fields, err);
	case 'Q':
		return answer_question(truth, fields[1], err);
	case 'C':
		r = commit(truth, err);
		if (r == 0)
			answer_commit(truth);
		return r;
	case 'R':
		close_all(truth);
		r = open_all(truth, err);
		break;
	case 'S':
		r = text_to_i64(fields[1], &ms);
		if (r == 0)
			r = maintain(truth, ms, err);
		break;
	case 'N':
		r = text_to_i64(fields[1], &truth->clock.wall_ms);
		break;
	default:
		return error_set(err, -EINVAL, "'%s' is no command", fields[0]);
	}
	if (r == 0)
		puts("ok");
	return r;
}

static int run(struct truth *truth, struct error *err)
{
	char *line = NULL, *fields[FIELDS];
	size_t room = 0;
	int r = 0;

	while (r == 0 && getline(&line, &room, stdin) > 0) {
		split(line, fields);
		r = obey(truth, fields, err);
		fflush(stdout);
	}
	free(line);
	return r;
}

int main(int argc, char **argv)
{
	static struct truth truth;
	struct error err = { 0 };
	int r;

	if (argc != 2) {
		fprintf(stderr, "usage: kanyun-truth memory | sqlite:DIRECTORY\n");
		return EXIT_FAILURE;
	}
	truth.store_name = argv[1];
	clock_manual_init(&truth.clock, clock_wall_ms(clock_system()));
	r = settings_load("/dev/null", NULL, 0, &truth.config, NULL, NULL, &err);
	if (r == 0)
		r = open_all(&truth, &err);
	if (r == 0)
		r = run(&truth, &err);
	if (r != 0)
		fprintf(stderr, "kanyun-truth: %s\n", error_text(&err, r));
	close_all(&truth);
	config_free(truth.config);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
