/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Which descriptions of instances are news: those that changed, and each once an hour. */

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "model/instance.h"

struct news;

MUST_CHECK int news_new(struct news **ret_news);
struct news *news_free(struct news *news);
CLEANUP_DEFINE(struct news, news_free)

/* Is this to be sent now? Sets since_ms to when it was first seen like this. */
bool news_is_new(struct news *news, struct instance_info *info, int64_t now_ms);

/* Forgets those that were not seen for long. */
void news_forget_gone(struct news *news, int64_t now_ms);
