/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "base/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"

struct signals {
	int fd;
	signals_fn on_user;
	void *context;
};

static int on_signal(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
	struct signals *signals = argument;
	struct signalfd_siginfo info;

	if (read(signals->fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	switch (info.ssi_signo) {
	case SIGHUP:
		log_reopen();
		return 0;
	case SIGUSR1:
	case SIGUSR2:
		if (signals->on_user)
			signals->on_user(signals->context, (int)info.ssi_signo);
		return 0;
	default:
		return -1;
	}
}

static int open_fd(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };
	sigset_t set;

	zsys_handler_set(NULL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaddset(&set, numbers[i]);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

int signals_new(zloop_t *loop, signals_fn on_user, void *context, struct signals **ret_signals,
	struct error *err)
{
	CLEANUP(signals_free) struct signals *signals = calloc(1, sizeof(*signals));
	zmq_pollitem_t item = { .events = ZMQ_POLLIN };

	if (!signals)
		return -ENOMEM;
	signals->on_user = on_user;
	signals->context = context;
	signals->fd = open_fd();
	if (signals->fd < 0)
		return error_set(err, -errno, "cannot make a signalfd: %s", strerror(errno));
	item.fd = signals->fd;
	if (zloop_poller(loop, &item, on_signal, signals) < 0)
		return -ENOMEM;
	*ret_signals = signals;
	signals = NULL;
	return 0;
}

struct signals *signals_free(struct signals *signals)
{
	if (signals && signals->fd >= 0)
		close(signals->fd);
	free(signals);
	return NULL;
}
