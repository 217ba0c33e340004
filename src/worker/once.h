/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* kanyun-worker --once: one round, printed. No server is needed. */

#include "base/config.h"
#include "collect/collector.h"
#include "worker/inbox.h"

/* Returns the program's exit status. */
int once_run(const struct config *config, struct collector *collector, struct inbox *inbox);
