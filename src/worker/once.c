/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "worker/once.h"

#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>

#include "base/log.h"
#include "base/program.h"
#include "wire/message.h"

/* Besides the time that QEMU itself is given. */
enum { ONCE_TIMEOUT_MS = 10000, QUIET_MS = 700, ONCE_BYTES_MAX = 64 * 1024 * 1024 };

static json_t *parse(const struct buffer *buffer)
{
	return buffer_check(buffer) == 0 ? json_loadb((const char *)buffer->bytes, buffer->size,
						   JSON_DECODE_ANY, NULL)
					 : NULL;
}

static bool print_batch(const struct batch *batch)
{
	CLEANUP(buffer_deinit) struct buffer readings;
	CLEANUP(buffer_deinit) struct buffer infos;
	json_t *both;
	int r;

	buffer_init(&readings, ONCE_BYTES_MAX);
	buffer_init(&infos, ONCE_BYTES_MAX);
	message_encode_readings(&readings, batch->host, batch->readings, batch->reading_count);
	message_encode_infos(&infos, batch->host, batch->infos, batch->info_count);
	both = json_pack("{s:o?,s:o?}", "readings", parse(&readings), "infos", parse(&infos));
	if (!both)
		return false;
	r = json_dumpf(both, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	json_decref(both);
	return r == 0 && putchar('\n') != EOF && fflush(stdout) == 0;
}

static bool print_all(struct inbox *inbox, bool *ret_is_printed)
{
	struct batch *batch;
	bool is_ok = true;

	while ((batch = inbox_take(inbox)) != NULL) {
		is_ok = print_batch(batch) && is_ok;
		*ret_is_printed = true;
		batch_free(batch);
	}
	return is_ok;
}

int once_run(const struct config *config, struct collector *collector, struct inbox *inbox)
{
	const struct clock *clock = clock_system();
	int64_t now_ms = clock_wall_ms(clock), end_ms = clock_monotonic_ms(clock);
	struct pollfd item = { inbox_fd(inbox), POLLIN, 0 };
	bool is_printed = false;
	char text[512];

	end_ms += ONCE_TIMEOUT_MS + config_integer(config, "worker", "monitor_timeout") * 1000;
	collector->ops->collect(collector, now_ms - now_ms % 1000);
	while (!is_printed && clock_monotonic_ms(clock) < end_ms) {
		(void)poll(&item, 1, QUIET_MS);
		if (!print_all(inbox, &is_printed))
			return PROGRAM_FAILED;
		if (!is_printed && inbox_trouble(inbox, text, sizeof(text))) {
			fprintf(stderr, "kanyun-worker: %s\n", text);
			return PROGRAM_FAILED;
		}
	}
	if (is_printed)
		return PROGRAM_OK;
	fprintf(stderr, "kanyun-worker: nothing could be read in time\n");
	return PROGRAM_FAILED;
}
