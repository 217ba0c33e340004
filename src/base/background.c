/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "base/background.h"

#include <errno.h>
#include <string.h>
#include <time.h>

void background_init(struct background *background)
{
	pthread_condattr_t attributes;

	*background = (struct background){ .has_thread = false };
	pthread_mutex_init(&background->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&background->wake, &attributes);
	pthread_condattr_destroy(&attributes);
}

int background_start(
	struct background *background, void *(*run)(void *), void *argument, struct error *err)
{
	int r = pthread_create(&background->thread, NULL, run, argument);

	if (r != 0)
		return error_set(err, -r, "cannot start a thread: %s", strerror(r));
	background->has_thread = true;
	return 0;
}

bool background_pause(struct background *background, int64_t ms)
{
	struct timespec until;
	bool is_ending;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&background->lock);
	while (!background->is_ending &&
		pthread_cond_timedwait(&background->wake, &background->lock, &until) != ETIMEDOUT)
		;
	is_ending = background->is_ending;
	pthread_mutex_unlock(&background->lock);
	return is_ending;
}

void background_deinit(struct background *background)
{
	if (background->has_thread) {
		pthread_mutex_lock(&background->lock);
		background->is_ending = true;
		pthread_cond_broadcast(&background->wake);
		pthread_mutex_unlock(&background->lock);
		pthread_join(background->thread, NULL);
	}
	pthread_cond_destroy(&background->wake);
	pthread_mutex_destroy(&background->lock);
}
