/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "worker/inbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

enum { BATCHES_MAX = 256, TROUBLES_MAX = 256, TROUBLE_TEXT_MAX = 512 };

struct trouble {
	char subject[INSTANCE_TEXT_MAX + 1];
	char text[TROUBLE_TEXT_MAX];
};

struct inbox {
	pthread_mutex_t mutex;
	int fd;
	struct batch *batches[BATCHES_MAX]; /* the oldest first */
	size_t batch_count;
	int64_t lost_first_ms, lost_last_ms; /* 0: nothing was pushed out */
	struct trouble *troubles[TROUBLES_MAX];
	size_t trouble_count;
};

int inbox_new(struct inbox **ret_inbox)
{
	struct inbox *inbox = calloc(1, sizeof(*inbox));
	int r;

	if (!inbox)
		return -ENOMEM;
	inbox->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (inbox->fd < 0) {
		r = -errno;
		free(inbox);
		return r;
	}
	pthread_mutex_init(&inbox->mutex, NULL);
	*ret_inbox = inbox;
	return 0;
}

struct inbox *inbox_free(struct inbox *inbox)
{
	if (!inbox)
		return NULL;
	for (size_t i = 0; i < inbox->batch_count; i++)
		batch_free(inbox->batches[i]);
	for (size_t i = 0; i < inbox->trouble_count; i++)
		free(inbox->troubles[i]);
	close(inbox->fd);
	pthread_mutex_destroy(&inbox->mutex);
	free(inbox);
	return NULL;
}

static void wake(struct inbox *inbox)
{
	uint64_t one = 1;

	if (write(inbox->fd, &one, sizeof(one)) < 0)
		return; /* full: it is readable then anyway */
}

static struct batch *take_locked(struct inbox *inbox)
{
	struct batch *batch = inbox->batch_count ? inbox->batches[0] : NULL;

	if (batch)
		memmove(inbox->batches, inbox->batches + 1,
			--inbox->batch_count * sizeof(*inbox->batches));
	return batch;
}

static void push_out_locked(struct inbox *inbox)
{
	struct batch *batch = take_locked(inbox);

	for (size_t i = 0; i < batch->reading_count; i++) {
		int64_t time_ms = batch->readings[i].time_ms;

		inbox->lost_first_ms =
			inbox->lost_first_ms ? MIN_OF(inbox->lost_first_ms, time_ms) : time_ms;
		inbox->lost_last_ms = MAX_OF(inbox->lost_last_ms, time_ms);
	}
	batch_free(batch);
}

void inbox_deliver(void *context, struct batch **batch)
{
	struct inbox *inbox = context;

	pthread_mutex_lock(&inbox->mutex);
	if (inbox->batch_count == BATCHES_MAX)
		push_out_locked(inbox);
	inbox->batches[inbox->batch_count++] = *batch;
	*batch = NULL;
	pthread_mutex_unlock(&inbox->mutex);
	wake(inbox);
}

static size_t find_trouble(const struct inbox *inbox, const char *subject)
{
	size_t i = 0;

	while (i < inbox->trouble_count && strcmp(inbox->troubles[i]->subject, subject) != 0)
		i++;
	return i;
}

static void end_trouble(struct inbox *inbox, size_t i, const struct collector_notice *notice)
{
	if (i == inbox->trouble_count)
		return;
	log_info("%s: %s", notice->subject, notice->text);
	free(inbox->troubles[i]);
	inbox->troubles[i] = inbox->troubles[--inbox->trouble_count];
}

static void note_trouble(struct inbox *inbox, size_t i, const struct collector_notice *notice)
{
	if (i == TROUBLES_MAX)
		return;
	if (i == inbox->trouble_count) {
		inbox->troubles[i] = calloc(1, sizeof(*inbox->troubles[i]));
		if (!inbox->troubles[i])
			return;
		inbox->trouble_count++;
		(void)text_copy(inbox->troubles[i]->subject, sizeof(inbox->troubles[i]->subject),
			notice->subject);
	} else if (strncmp(inbox->troubles[i]->text, notice->text, TROUBLE_TEXT_MAX - 1) == 0) {
		return;
	}
	(void)text_copy(inbox->troubles[i]->text, TROUBLE_TEXT_MAX, notice->text);
	log_warning("%s: %s", notice->subject, notice->text);
}

void inbox_notice(void *context, const struct collector_notice *notice)
{
	struct inbox *inbox = context;
	size_t i;

	pthread_mutex_lock(&inbox->mutex);
	i = find_trouble(inbox, notice->subject);
	if (notice->is_trouble)
		note_trouble(inbox, i, notice);
	else
		end_trouble(inbox, i, notice);
	pthread_mutex_unlock(&inbox->mutex);
	wake(inbox);
}

int inbox_fd(const struct inbox *inbox)
{
	return inbox->fd;
}

struct batch *inbox_take(struct inbox *inbox)
{
	struct batch *batch;
	uint64_t count;

	pthread_mutex_lock(&inbox->mutex);
	batch = take_locked(inbox);
	if (!batch && read(inbox->fd, &count, sizeof(count)) < 0)
		errno = 0; /* it was not readable; nothing to clear */
	pthread_mutex_unlock(&inbox->mutex);
	return batch;
}

bool inbox_take_loss(struct inbox *inbox, int64_t *ret_first_ms, int64_t *ret_last_ms)
{
	bool is_any;

	pthread_mutex_lock(&inbox->mutex);
	is_any = inbox->lost_first_ms != 0;
	if (is_any) {
		*ret_first_ms = inbox->lost_first_ms;
		*ret_last_ms = inbox->lost_last_ms;
	}
	inbox->lost_first_ms = inbox->lost_last_ms = 0;
	pthread_mutex_unlock(&inbox->mutex);
	return is_any;
}

bool inbox_trouble(struct inbox *inbox, char *text, size_t size)
{
	bool is_found;
	size_t i;

	pthread_mutex_lock(&inbox->mutex);
	i = find_trouble(inbox, "libvirt");
	is_found = i < inbox->trouble_count;
	if (is_found)
		(void)text_copy(text, size, inbox->troubles[i]->text);
	pthread_mutex_unlock(&inbox->mutex);
	return is_found;
}

bool inbox_is_in_trouble(struct inbox *inbox, const char *subject)
{
	bool is_found;

	pthread_mutex_lock(&inbox->mutex);
	is_found = find_trouble(inbox, subject) < inbox->trouble_count;
	pthread_mutex_unlock(&inbox->mutex);
	return is_found;
}
