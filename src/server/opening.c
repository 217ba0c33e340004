/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "server/opening.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/cassandra/cassandra.h"

enum {
	WAIT_MS = 5 * 1000,
	RETRY_FIRST_MS = 1000,
	RETRY_MAX_MS = 30 * 1000,
};

static int on_retry(zloop_t *loop, int timer, void *argument)
{
	*(bool *)argument = true;
	return -1;
}

/* Whether the time passed; else it was a signal that ended the loop. */
static bool pause_ms(zloop_t *loop, size_t ms)
{
	bool is_over = false;

	if (zloop_timer(loop, ms, 1, on_retry, &is_over) < 0)
		return false;
	zloop_start(loop);
	return is_over;
}

static void watch(void *context, struct store *store)
{
	ending_watch(context, store);
}

static int open_cassandra(const struct config *config, struct ending *ending,
	struct store **ret_store, struct error *err)
{
	struct cassandra_store_options options = cassandra_options_of(config);

	options.wait_ms = WAIT_MS;
	options.now_ms = clock_wall_ms(clock_system());
	options.on_opening = watch;
	options.context = ending;
	return cassandra_store_new(&options, ret_store, err);
}

static int wait_for_cassandra(zloop_t *loop, const struct config *config, struct ending *ending,
	struct store **ret_store, struct error *err)
{
	size_t delay_ms = RETRY_FIRST_MS;
	bool waited = false;
	int r;

	for (;;) {
		r = open_cassandra(config, ending, ret_store, err);
		/* -EIO: refused, as by a node that does not know yet of the tables that another
		 * one has just made. */
		if (r != STORE_UNAVAILABLE && r != -EIO)
			break;
		if (ending_is_over(ending)) {
			log_warning("%s", error_text(err, -EIO));
			return OPENING_ENDED;
		}
		if (!waited)
			log_warning("%s; waiting until it can be", error_text(err, -EIO));
		waited = true;
		if (!pause_ms(loop, delay_ms))
			return OPENING_ENDED;
		delay_ms = MIN_OF(2 * delay_ms, (size_t)RETRY_MAX_MS);
	}
	if (r == 0 && waited)
		log_info("Cassandra can be reached now");
	return MIN_OF(r, 0);
}

static int open_sqlite(const struct config *config, struct store **ret_store, struct error *err)
{
	const struct sqlite_store_options options = {
		.data_dir = config_text(config, "server", "data_dir"),
		.seal_after_ms = config_integer(config, "server", "seal_after_seconds") * 1000,
	};

	return sqlite_store_new(&options, ret_store, err);
}

int opening_store(zloop_t *loop, const struct config *config, struct ending *ending,
	struct store **ret_store, struct error *err)
{
	const char *name = config_text(config, "server", "store");

	if (strcmp(name, "memory") == 0)
		return memory_store_new(ret_store);
	if (strcmp(name, "cassandra") == 0)
		return wait_for_cassandra(loop, config, ending, ret_store, err);
	return open_sqlite(config, ret_store, err);
}
