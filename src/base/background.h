/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* A thread that works from time to time, until it is ended. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/macros.h"

struct background {
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool is_ending;
};

/* Before all else. */
void background_init(struct background *background);

/* Starts it; run pauses between pieces of work, and returns when a pause says so. Negative with a
 * text. */
MUST_CHECK int background_start(
	struct background *background, void *(*run)(void *), void *argument, struct error *err);

/* Called by the thread: rests. Returns whether it is to end. */
bool background_pause(struct background *background, int64_t ms);

/* Ends the thread, if there is one, and waits for it. */
void background_deinit(struct background *background);
