/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* The file holds one line: version, boot id, segment, offset, when the segment began (both in ms,
 * the latter of CLOCK_BOOTTIME; "-" for the first segment of a boot), and a checksum of the words
 * before it. It is replaced by renaming. */

#include "worker/steady-clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

enum {
	STEP_MS = 1000,    /* this much is a step, less is how clocks are */
	SLEW_DIVISOR = 10, /* 100 ms a second */
	APART_MS = 5,      /* the two clocks were not read at one instant */
	APART_TRIES = 8,
	SAVE_DIFFERENCE_MS = 100,
	SAVE_PAUSE_MS = 10 * 1000,
	BOOT_ID_MAX = 63,
	LINE_MAX_BYTES = 256,
};

struct state {
	uint32_t segment;
	int64_t offset_ms; /* wall clock minus CLOCK_BOOTTIME */
	int64_t began_ms;  /* CLOCK_BOOTTIME; INT64_MIN: with the boot */
};

struct steady_clock {
	struct clock clock;
	const struct clock *system;
	pthread_mutex_t mutex;
	char path[PATH_MAX];
	char boot_id[BOOT_ID_MAX + 1];
	bool is_state_lost;
	struct state state;
	int64_t slewed_ms; /* up to then, what may be given way by was used */
	int64_t step_ms;

	/* Of the thread that saves. */
	struct state saved;
	bool is_saved;
	int64_t save_again_ms;
	int save_result;
};

/* Of one instant, as far as that can be: false if this thread was held up each time. */
static bool read_both(const struct clock *system, int64_t *ret_wall_ms, int64_t *ret_monotonic_ms)
{
	int64_t before_ms = system->monotonic_ms(system);

	for (int i = 0; i < APART_TRIES; i++) {
		int64_t wall_ms = system->wall_ms(system);
		int64_t after_ms = system->monotonic_ms(system);

		*ret_wall_ms = wall_ms;
		*ret_monotonic_ms = after_ms;
		if (after_ms - before_ms <= APART_MS)
			return true;
		before_ms = after_ms;
	}
	return false;
}

static void give_way(struct steady_clock *steady, int64_t behind_ms, int64_t monotonic_ms)
{
	int64_t by_ms = MIN_OF(behind_ms, (monotonic_ms - steady->slewed_ms) / SLEW_DIVISOR);

	steady->state.offset_ms -= by_ms;
	steady->slewed_ms += by_ms * SLEW_DIVISOR;
	if (by_ms == behind_ms)
		steady->slewed_ms = monotonic_ms;
}

static void follow(struct steady_clock *steady, int64_t wall_ms, int64_t monotonic_ms)
{
	struct state *state = &steady->state;
	int64_t ahead_ms = wall_ms - monotonic_ms - state->offset_ms;

	if (ahead_ms > STEP_MS || ahead_ms < -STEP_MS)
		steady->step_ms += ahead_ms;
	if (ahead_ms < -STEP_MS) {
		state->segment++;
		state->began_ms = monotonic_ms;
	}
	if (ahead_ms >= 0 || ahead_ms < -STEP_MS) {
		state->offset_ms += ahead_ms;
		steady->slewed_ms = monotonic_ms;
	} else {
		give_way(steady, -ahead_ms, monotonic_ms);
	}
}

static struct clock_reading look(struct steady_clock *steady)
{
	int64_t wall_ms, monotonic_ms;

	if (read_both(steady->system, &wall_ms, &monotonic_ms))
		follow(steady, wall_ms, monotonic_ms);
	return (struct clock_reading){ monotonic_ms + steady->state.offset_ms, monotonic_ms,
		steady->state.segment };
}

static struct clock_reading steady_read(const struct clock *clock)
{
	struct steady_clock *steady = (struct steady_clock *)clock;
	struct clock_reading reading;

	pthread_mutex_lock(&steady->mutex);
	reading = look(steady);
	pthread_mutex_unlock(&steady->mutex);
	return reading;
}

static int64_t steady_wall_ms(const struct clock *clock)
{
	return steady_read(clock).wall_ms;
}

static int64_t steady_monotonic_ms(const struct clock *clock)
{
	const struct steady_clock *steady = (const struct steady_clock *)clock;

	return steady->system->monotonic_ms(steady->system);
}

static int64_t steady_wall_of(const struct clock *clock, int64_t monotonic_ms)
{
	struct steady_clock *steady = (struct steady_clock *)clock;
	int64_t wall_ms = INT64_MIN;

	pthread_mutex_lock(&steady->mutex);
	(void)look(steady);
	if (monotonic_ms >= steady->state.began_ms)
		wall_ms = monotonic_ms + steady->state.offset_ms;
	pthread_mutex_unlock(&steady->mutex);
	return wall_ms;
}

/* The file. */

static uint32_t checksum(const char *text, size_t length)
{
	uint64_t hash = text_hash(TEXT_HASH_SEED, text, length);

	return (uint32_t)(hash ^ hash >> 32);
}

static size_t write_line(const struct steady_clock *steady, const struct state *state, char *line)
{
	int length;

	if (state->began_ms == INT64_MIN)
		length = snprintf(line, LINE_MAX_BYTES, "1 %s %" PRIu32 " %" PRId64 " -",
			steady->boot_id, state->segment, state->offset_ms);
	else
		length = snprintf(line, LINE_MAX_BYTES, "1 %s %" PRIu32 " %" PRId64 " %" PRId64,
			steady->boot_id, state->segment, state->offset_ms, state->began_ms);
	return (size_t)length + (size_t)snprintf(line + length, LINE_MAX_BYTES - (size_t)length,
					" %" PRIu32 "\n", checksum(line, (size_t)length));
}

static bool next_word(char **line, char **ret_word)
{
	*ret_word = strsep(line, " ");
	return *ret_word && **ret_word;
}

static bool next_number(char **line, int64_t *ret_number)
{
	char *word;

	return next_word(line, &word) && text_to_i64(word, ret_number) == 0;
}

enum line_outcome { LINE_OF_THIS_BOOT, LINE_OF_ANOTHER_BOOT, LINE_DAMAGED };

static enum line_outcome read_line(
	const struct steady_clock *steady, char *line, struct state *ret_state)
{
	char *sum = strrchr(line, ' '), *version, *boot_id, *began;
	struct state state = { .began_ms = INT64_MIN };
	int64_t number, segment;

	line[strcspn(line, "\n")] = '\0';
	if (!sum || text_to_i64(sum + 1, &number) < 0 ||
		number != checksum(line, (size_t)(sum - line)))
		return LINE_DAMAGED;
	if (!next_word(&line, &version) || strcmp(version, "1") || !next_word(&line, &boot_id))
		return LINE_DAMAGED;
	if (!next_number(&line, &segment) || segment < 0 || segment > UINT32_MAX ||
		!next_number(&line, &state.offset_ms) || !next_word(&line, &began) ||
		(strcmp(began, "-") && text_to_i64(began, &state.began_ms) < 0))
		return LINE_DAMAGED;
	if (strcmp(boot_id, steady->boot_id)) {
		/* The wall clock may have been set back while the host was down. */
		ret_state->segment = (uint32_t)MIN_OF(segment + 1, UINT32_MAX);
		return LINE_OF_ANOTHER_BOOT;
	}
	state.segment = (uint32_t)segment;
	*ret_state = state;
	return LINE_OF_THIS_BOOT;
}

/* Where the file is damaged, nobody knows which segments there were. The seconds since 1970 are
 * more than there can have been, and grow. */
static void take_damaged(struct steady_clock *steady, int64_t monotonic_ms)
{
	int64_t wall_ms = monotonic_ms + steady->state.offset_ms;

	steady->is_state_lost = true;
	steady->state.segment = (uint32_t)MAX_OF(MIN_OF(wall_ms / 1000, UINT32_MAX / 2), 1);
	steady->state.began_ms = monotonic_ms;
}

static void load(struct steady_clock *steady)
{
	int64_t monotonic_ms = steady_monotonic_ms(&steady->clock);
	char line[LINE_MAX_BYTES] = "";
	int fd = open(steady->path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof(line) - 1);

	steady->state = (struct state){ 0, steady->system->wall_ms(steady->system) - monotonic_ms,
		INT64_MIN };
	steady->slewed_ms = monotonic_ms;
	if (fd < 0)
		return;
	close(fd);
	line[MAX_OF(n, 0)] = '\0';
	switch (read_line(steady, line, &steady->state)) {
	case LINE_OF_THIS_BOOT:
		steady->saved = steady->state;
		steady->is_saved = true;
		break;
	case LINE_OF_ANOTHER_BOOT:
		break;
	case LINE_DAMAGED:
		take_damaged(steady, monotonic_ms);
		break;
	}
}

int steady_clock_new(const struct clock *system, const char *path, const char *boot_id,
	struct steady_clock **ret_steady)
{
	struct steady_clock *steady = calloc(1, sizeof(*steady));

	if (!steady)
		return -ENOMEM;
	steady->clock =
		(struct clock){ steady_wall_ms, steady_monotonic_ms, steady_read, steady_wall_of };
	steady->system = system;
	pthread_mutex_init(&steady->mutex, NULL);
	(void)text_copy(steady->boot_id, sizeof(steady->boot_id), *boot_id ? boot_id : "unknown");
	if (path && !text_copy(steady->path, sizeof(steady->path), path))
		steady->path[0] = '\0';
	load(steady);
	*ret_steady = steady;
	return 0;
}

struct steady_clock *steady_clock_free(struct steady_clock *steady)
{
	if (steady)
		pthread_mutex_destroy(&steady->mutex);
	free(steady);
	return NULL;
}

const struct clock *steady_clock_clock(struct steady_clock *steady)
{
	return &steady->clock;
}

bool steady_clock_is_state_lost(const struct steady_clock *steady)
{
	return steady->is_state_lost;
}

bool steady_clock_take_step(struct steady_clock *steady, int64_t *ret_by_ms)
{
	int64_t by_ms;

	pthread_mutex_lock(&steady->mutex);
	(void)look(steady);
	by_ms = steady->step_ms;
	steady->step_ms = 0;
	pthread_mutex_unlock(&steady->mutex);
	if (by_ms)
		*ret_by_ms = by_ms;
	return by_ms != 0;
}

static int save(const struct steady_clock *steady, const struct state *state)
{
	char line[LINE_MAX_BYTES];

	return file_replace(steady->path, line, write_line(steady, state, line));
}

int steady_clock_save(struct steady_clock *steady)
{
	int64_t now_ms = steady_monotonic_ms(&steady->clock), difference_ms;
	struct state state;
	bool is_begun;
	int r;

	pthread_mutex_lock(&steady->mutex);
	(void)look(steady);
	state = steady->state;
	pthread_mutex_unlock(&steady->mutex);
	is_begun = !steady->is_saved || state.segment != steady->saved.segment;
	difference_ms = state.offset_ms - steady->saved.offset_ms;
	if (!*steady->path || (!is_begun && difference_ms < SAVE_DIFFERENCE_MS &&
				      difference_ms > -SAVE_DIFFERENCE_MS))
		return 0;
	if (now_ms < steady->save_again_ms && (!is_begun || !steady->is_saved))
		return steady->save_result;
	steady->save_again_ms = now_ms + SAVE_PAUSE_MS;
	r = steady->save_result = save(steady, &state);
	if (r < 0)
		return r;
	steady->saved = state;
	steady->is_saved = true;
	return 0;
}
