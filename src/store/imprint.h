/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What a store has of an instance, as a digest: the same for the same samples and infos, told in
 * the same order, in whatever store they are. */

#include <openssl/evp.h>

#include "base/buffer.h"
#include "base/macros.h"
#include "model/instance.h"
#include "store/store.h"

enum { IMPRINT_SIZE = 32 };

struct imprint {
	EVP_MD_CTX *context;
	struct buffer told; /* and not digested yet */
	int r;              /* of what was told so far */
};

/* 0, -ENOMEM or -EIO. Deinit it in every case. */
MUST_CHECK int imprint_init(struct imprint *imprint);
void imprint_deinit(struct imprint *imprint);
CLEANUP_DEFINE_VALUE(struct imprint, imprint_deinit)

void imprint_add_info(struct imprint *imprint, const struct instance_info *info);

/* Its samples from `from_ms` to before `to_ms`; nothing if it has none. */
void imprint_add_series(
	struct imprint *imprint, const struct store_series *series, int64_t from_ms, int64_t to_ms);

/* Of all that was told. 0; -ENOMEM or -EIO, also of what was told before. */
MUST_CHECK int imprint_finish(struct imprint *imprint, uint8_t ret_digest[IMPRINT_SIZE]);
