/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* From batches to messages in the spool: readings split so that each stays under the wire's
 * maximum, infos when they changed and once an hour, gaps for what was lost.
 *
 * It tells the spool which messages may be thinned: those that hold no first and no last reading of
 * a tuple, no change of state, and no full hour. And it bridges the steps of the clock: when a
 * segment begins, the last value of each tuple is repeated in it, at the time that its reading has
 * by the new clock, so that what was used across the step counts exactly once. */

#include "base/clock.h"
#include "base/macros.h"
#include "model/batch.h"
#include "spool/spool.h"

struct packer;

/* host is kept, not copied. */
MUST_CHECK int packer_new(const struct clock *clock, struct spool *spool, const char *host,
	struct packer **ret_packer);
struct packer *packer_free(struct packer *packer);
CLEANUP_DEFINE(struct packer, packer_free)

/* Whatever cannot be spooled is logged and becomes a gap. */
void packer_pack(struct packer *packer, struct batch *batch);

/* Declares what the spool lost since the last call. */
void packer_declare_losses(struct packer *packer);
