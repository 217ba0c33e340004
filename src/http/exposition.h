/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Writes what Prometheus scrapes: its text format, version 0.0.4.
 *
 * A family is begun once, and all its samples follow before the next one is begun. Values are
 * integers or decimal fractions of integers, written with every digit; nothing is a float here. As
 * large as the buffer's maximum; one that was too small has failed and is no exposition. Names of
 * families and labels are the program's own; values of labels may be any text. */

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/histogram.h"

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum { EXPOSITION_FAMILIES_MAX = 128 };

enum exposition_type { EXPOSITION_COUNTER, EXPOSITION_GAUGE, EXPOSITION_HISTOGRAM };

struct exposition_label {
	const char *name, *value; /* bytes that are no UTF-8 become ? */
};

struct exposition {
	struct buffer *to;
	const char *families[EXPOSITION_FAMILIES_MAX]; /* begun so far; the last one is open */
	size_t family_count;
	enum exposition_type type; /* of the open one */
};

/* `to` is kept, and appended to. */
void exposition_init(struct exposition *exposition, struct buffer *to);

/* name: static, not begun before; a counter's ends in _total, no other's does. help: one line. */
void exposition_family(struct exposition *exposition, const char *name, enum exposition_type type,
	const char *help);

/* value / 10^places, in the open family, which is no histogram. places is at most 18. */
void exposition_decimal(struct exposition *exposition, const struct exposition_label *labels,
	size_t label_count, int64_t value, unsigned int places);

static inline void exposition_integer(struct exposition *exposition,
	const struct exposition_label *labels, size_t label_count, int64_t value)
{
	exposition_decimal(exposition, labels, label_count, value, 0);
}

/* In seconds; the open family is a histogram. */
void exposition_histogram(struct exposition *exposition, const struct exposition_label *labels,
	size_t label_count, const struct histogram *histogram);

/* A family of one integer without labels. */
void exposition_single(struct exposition *exposition, const char *name, enum exposition_type type,
	const char *help, int64_t value);
