/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The few pieces of JSON that the encoders write themselves, because a tree of objects a message
 * would cost a worker more than everything else it does. */

#include <stdint.h>

#include "base/buffer.h"

/* A string with its quotes, escaped as RFC 8259 asks. text is UTF-8. */
void json_text_write_string(struct buffer *to, const char *text);
void json_text_write_integer(struct buffer *to, int64_t value);
