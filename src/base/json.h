/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* jansson and buffers. */

#include <jansson.h>

#include "base/buffer.h"

/* Appends any value in one line of ASCII. 0; -ENOMEM; or what buffer_check says. */
int json_write(const json_t *value, struct buffer *to);
