/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What kanyun-server tells Prometheus of itself (docs/prometheus.md). */

#include "http/scrape.h"

/* A scrape_fn whose context is a struct answers. */
void watch_write(void *context, struct exposition *to);
