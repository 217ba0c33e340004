/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Kind of the records that close months: the key is the month, as "2026-10" (api/closing.c). */
#define CLOSED_KIND "closed"
