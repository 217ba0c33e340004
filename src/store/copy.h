/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* From one store into another: instances with what is known of them and all of their samples, day
 * by day; then records; then sources. Each day's samples are compared after they were written. An
 * instance that was copied before as it is now is only read, so that a copy that was interrupted
 * goes on, and one that is repeated brings what came since. Nobody else may write to the store that
 * is copied from; to the other one, those who may share it. */

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "store/store.h"

struct copy {
	struct store *from, *to;
	const char *name; /* of the store that is copied from: what is done is noted under it */
	const struct clock *clock;
	size_t tidy_samples; /* after so many, the store that is copied to is maintained */
	/* After each instance; may be NULL. */
	void (*progress)(void *context, const struct copy *copy);
	void *context;

	size_t instances, instance_count, skipped; /* of them, done before */
	uint64_t samples;
	size_t untidied; /* of these */
};

/* Returns as store_append; -EBADMSG with a text if what was written is not what is there then. */
MUST_CHECK int copy_instances(struct copy *copy, struct error *err);
MUST_CHECK int copy_records(struct copy *copy, const char *kind, struct error *err);
MUST_CHECK int copy_sources(struct copy *copy, struct error *err);
