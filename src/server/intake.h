/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What workers send, from the socket to the writer, and the acknowledgements back.
 *
 *     PULL --> admission --> writer --> PUB
 *                            (commit)   (acknowledge)
 *
 * While the writer is full nothing is read, so that the workers keep what they have. The loop's
 * thread only. */

#include <czmq.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/error.h"
#include "base/macros.h"
#include "server/counters.h"
#include "server/workers.h"
#include "server/writer.h"
#include "store/store.h"

struct intake;

struct intake_options {
	zloop_t *loop;
	const struct clock *clock;
	const struct config *config;
	struct store *store;
	struct writer *writer;
	struct workers *workers;
	struct counters *counters;
};

/* Binds both sockets. */
MUST_CHECK int intake_new(
	const struct intake_options *options, struct intake **ret_intake, struct error *err);
struct intake *intake_free(struct intake *intake);
CLEANUP_DEFINE(struct intake, intake_free)

/* Where it really listens. They live as long as the intake. */
const char *intake_pull_endpoint(const struct intake *intake);
const char *intake_pub_endpoint(const struct intake *intake);
