/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What was asked of a program, by whatever way: how often, by method and code of the answer, and
 * how long the answers took. Zeroed is empty. Any thread. */

#include <stdatomic.h>
#include <stdint.h>

#include "base/histogram.h"
#include "http/exposition.h"

enum { QUESTIONS_METHODS_MAX = 24, QUESTIONS_CODES = 8 };

struct questions {
	struct {
		_Atomic uint64_t by_code[QUESTIONS_CODES];
		struct histogram took;
	} methods[QUESTIONS_METHODS_MAX + 1]; /* the last: whatever has no number of its own */
};

/* method: the program's number for it, anything else for what it does not know. code: 0, or one of
 * HTTP's. */
void questions_count(struct questions *questions, size_t method, int code, uint64_t us);

/* names[count]: of the numbers; the method of others is "other". Codes and methods that nobody met
 * are left out. */
void questions_expose(const struct questions *questions, const char *const *names, size_t count,
	const char *total, const char *seconds, struct exposition *to);
