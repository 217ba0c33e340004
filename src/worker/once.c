/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "worker/once.h"

#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>

#include "base/log.h"
#include "base/macros.h"
#include "base/program.h"
#include "wire/message.h"

/* Besides the time that QEMU itself is given. */
enum { ONCE_TIMEOUT_MS = 10000, QUESTIONS = 2, QUIET_MS = 700, ONCE_BYTES_MAX = 64 * 1024 * 1024 };

static json_t *parse(const struct buffer *buffer)
{
	return buffer_check(buffer) == 0 ? json_loadb((const char *)buffer->bytes, buffer->size,
						   JSON_DECODE_ANY, NULL)
					 : NULL;
}

/* One round, in the form of the messages. */
struct round {
	json_t *readings, *infos;
	bool is_whole;
};

static json_t *reading_of(json_t *list, const json_t *like)
{
	static const char *const keys[] = { "uuid", "time", "epoch" };
	json_t *reading;
	size_t i, same;

	json_array_foreach(list, i, reading)
	{
		for (same = 0; same < ARRAY_SIZE(keys); same++)
			if (!json_equal(json_object_get(reading, keys[same]),
				    json_object_get(like, keys[same])))
				break;
		if (same == ARRAY_SIZE(keys))
			return reading;
	}
	return NULL;
}

/* What was read of one instance for one tick stands together, whichever way it was read. */
static int join_readings(json_t *all, json_t *more)
{
	json_t *list = json_object_get(all, "readings"), *reading, *known;
	size_t i;
	int r = 0;

	json_array_foreach(json_object_get(more, "readings"), i, reading)
	{
		known = reading_of(list, reading);
		r |= known ? json_array_extend(json_object_get(known, "data"),
				     json_object_get(reading, "data"))
			   : json_array_append(list, reading);
	}
	return r;
}

static bool add_batch(struct round *round, const struct batch *batch)
{
	CLEANUP(buffer_deinit) struct buffer readings;
	CLEANUP(buffer_deinit) struct buffer infos;
	json_t *more;
	int r = 0;

	buffer_init(&readings, ONCE_BYTES_MAX);
	buffer_init(&infos, ONCE_BYTES_MAX);
	message_encode_readings(&readings, batch->host, batch->readings, batch->reading_count);
	message_encode_infos(&infos, batch->host, batch->infos, batch->info_count);
	more = parse(&readings);
	if (!round->readings)
		round->readings = json_incref(more);
	else
		r = join_readings(round->readings, more);
	if (!round->infos)
		round->infos = parse(&infos);
	json_decref(more);
	round->is_whole = batch->until_ms != 0;
	return r == 0 && more && round->infos;
}

static bool take_all(struct inbox *inbox, struct round *round)
{
	struct batch *batch;
	bool is_ok = true;

	while (is_ok && !round->is_whole && (batch = inbox_take(inbox)) != NULL) {
		is_ok = add_batch(round, batch);
		batch_free(batch);
	}
	return is_ok;
}

static bool print_round(const struct round *round)
{
	json_t *both = json_pack("{s:O,s:O}", "readings", round->readings, "infos", round->infos);
	int r = both ? json_dumpf(both, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : -1;

	json_decref(both);
	return r == 0 && putchar('\n') != EOF && fflush(stdout) == 0;
}

/* A round that does not end is printed as far as it came. */
static int wait_round(struct inbox *inbox, int64_t timeout_ms, struct round *round)
{
	const struct clock *clock = clock_system();
	int64_t end_ms = clock_monotonic_ms(clock) + timeout_ms;
	struct pollfd item = { inbox_fd(inbox), POLLIN, 0 };
	char text[512];

	while (!round->is_whole && clock_monotonic_ms(clock) < end_ms) {
		(void)poll(&item, 1, QUIET_MS);
		if (!take_all(inbox, round))
			return PROGRAM_FAILED;
		if (!round->readings && inbox_trouble(inbox, text, sizeof(text))) {
			fprintf(stderr, "kanyun-worker: %s\n", text);
			return PROGRAM_FAILED;
		}
	}
	if (round->readings)
		return print_round(round) ? PROGRAM_OK : PROGRAM_FAILED;
	fprintf(stderr, "kanyun-worker: nothing could be read in time\n");
	return PROGRAM_FAILED;
}

int once_run(const struct config *config, struct collector *collector, struct inbox *inbox)
{
	int64_t now_ms = clock_wall_ms(clock_system());
	int64_t monitor_ms = config_integer(config, "worker", "monitor_timeout") * 1000;
	struct round round = { 0 };
	int status;

	collector->ops->collect(collector, now_ms - now_ms % 1000);
	status = wait_round(inbox, ONCE_TIMEOUT_MS + QUESTIONS * monitor_ms, &round);
	json_decref(round.readings);
	json_decref(round.infos);
	return status;
}
