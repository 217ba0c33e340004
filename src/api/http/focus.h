/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* A month's usage in the columns of FOCUS 1.2 (FinOps Open Cost and Usage Specification), as CSV:
 * what a rating engine puts prices on. A row is a metric of an instance while its project and
 * flavor were the same. docs/http.md says where each column is from. */

#include "http/route.h"

http_handler_fn focus_get;
