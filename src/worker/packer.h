/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* From batches to messages in the spool: readings split so that each stays under the wire's
 * maximum, infos when they changed and once an hour. */

#include "base/clock.h"
#include "base/macros.h"
#include "model/batch.h"
#include "spool/spool.h"

struct packer;

MUST_CHECK int packer_new(
	const struct clock *clock, struct spool *spool, struct packer **ret_packer);
struct packer *packer_free(struct packer *packer);
CLEANUP_DEFINE(struct packer, packer_free)

/* Whatever cannot be spooled is logged and lost. */
void packer_pack(struct packer *packer, struct batch *batch);
