/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "server/ending.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/background.h"
#include "base/log.h"

enum { GRACE_MS = 5 * 1000 };

struct ending {
	struct background background;
	int signal_fd; /* never read: the signals are the loop's */
	int begin_fd;

	pthread_mutex_t lock; /* guards all below */
	struct store *store;
	bool is_over;
};

static void interrupt(struct ending *ending)
{
	pthread_mutex_lock(&ending->lock);
	ending->is_over = true;
	if (ending->store) {
		log_warning("the store is waited for no longer than %d s; what it has not taken "
			    "by now was not acknowledged",
			GRACE_MS / 1000);
		store_interrupt(ending->store);
	}
	pthread_mutex_unlock(&ending->lock);
}

static void *run(void *argument)
{
	struct ending *ending = argument;
	struct pollfd fds[] = { { .fd = ending->signal_fd, .events = POLLIN },
		{ .fd = ending->begin_fd, .events = POLLIN } };

	while (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno == EINTR)
		;
	if (!background_pause(&ending->background, GRACE_MS))
		interrupt(ending);
	return NULL;
}

static int start(struct ending *ending, struct error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	ending->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	ending->begin_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (ending->signal_fd < 0 || ending->begin_fd < 0)
		return error_set(err, -errno, "no descriptors: %s", strerror(errno));
	return background_start(&ending->background, run, ending, err);
}

int ending_new(struct ending **ret_ending, struct error *err)
{
	struct ending *ending = calloc(1, sizeof(*ending));
	int r;

	if (!ending)
		return -ENOMEM;
	ending->signal_fd = ending->begin_fd = -1;
	background_init(&ending->background);
	pthread_mutex_init(&ending->lock, NULL);
	r = start(ending, err);
	if (r < 0) {
		ending_free(ending);
		return r;
	}
	*ret_ending = ending;
	return 0;
}

void ending_watch(struct ending *ending, struct store *store)
{
	pthread_mutex_lock(&ending->lock);
	ending->store = store;
	if (store && ending->is_over)
		store_interrupt(store);
	pthread_mutex_unlock(&ending->lock);
}

void ending_begin(struct ending *ending)
{
	static const uint64_t one = 1;

	if (ending && write(ending->begin_fd, &one, sizeof(one)) < 0)
		log_error("cannot wake a thread: %s", strerror(errno));
}

bool ending_is_over(struct ending *ending)
{
	bool is_over;

	if (!ending)
		return false;
	pthread_mutex_lock(&ending->lock);
	is_over = ending->is_over;
	pthread_mutex_unlock(&ending->lock);
	return is_over;
}

struct ending *ending_free(struct ending *ending)
{
	if (!ending)
		return NULL;
	if (ending->background.has_thread)
		ending_begin(ending);
	background_deinit(&ending->background);
	if (ending->signal_fd >= 0)
		close(ending->signal_fd);
	if (ending->begin_fd >= 0)
		close(ending->begin_fd);
	pthread_mutex_destroy(&ending->lock);
	free(ending);
	return NULL;
}
