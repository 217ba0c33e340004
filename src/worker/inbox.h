/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What the collector's threads hand to the worker's loop: batches, in a bounded queue behind a
 * descriptor that becomes readable. A batch that does not fit pushes the oldest out, whose times
 * are kept to be declared. Notices are logged here, when they change. Any thread delivers;
 * one takes. */

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "collect/collector.h"
#include "model/batch.h"

struct inbox;

MUST_CHECK int inbox_new(struct inbox **ret_inbox);
struct inbox *inbox_free(struct inbox *inbox);
CLEANUP_DEFINE(struct inbox, inbox_free)

/* For collector_context, whose worker is the inbox. */
void inbox_deliver(void *inbox, struct batch **batch);
void inbox_notice(void *inbox, const struct collector_notice *notice);

int inbox_fd(const struct inbox *inbox);

/* The oldest batch, or NULL; the caller owns it. */
struct batch *inbox_take(struct inbox *inbox);

/* The times of the readings that were pushed out since the last call; false: there are none. */
bool inbox_take_loss(struct inbox *inbox, int64_t *ret_first_ms, int64_t *ret_last_ms);

/* Is there trouble with this subject now? */
bool inbox_is_in_trouble(struct inbox *inbox, const char *subject);

/* Whether libvirt as a whole is in trouble; its text is copied. */
bool inbox_trouble(struct inbox *inbox, char *text, size_t size);
