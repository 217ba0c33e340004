/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What each route's answers look like: their fields and columns (docs/http.md). Columns are added
 * at the end, for programs may count them. */

#include "api/http/presentation.h"

extern const struct table table_usage, table_groups, table_series, table_samples, table_instances,
	table_workers, table_metrics;
