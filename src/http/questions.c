/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "http/questions.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/macros.h"

/* A code that is not among them counts as the last. */
static const int codes[QUESTIONS_CODES] = { 0, 400, 403, 404, 409, 413, 503, 500 };

static size_t place_of(int code)
{
	size_t i = 0;

	while (i + 1 < QUESTIONS_CODES && codes[i] != code)
		i++;
	return i;
}

void questions_count(struct questions *questions, size_t method, int code, uint64_t us)
{
	method = MIN_OF(method, (size_t)QUESTIONS_METHODS_MAX);
	atomic_fetch_add_explicit(
		&questions->methods[method].by_code[place_of(code)], 1, memory_order_relaxed);
	histogram_add(&questions->methods[method].took, us);
}

static const char *name_of(const char *const *names, size_t count, size_t method)
{
	return method < count ? names[method] : "other";
}

static void expose_method(
	const struct questions *questions, size_t method, const char *name, struct exposition *to)
{
	char code[16];
	const struct exposition_label labels[] = { { "method", name }, { "code", code } };

	for (size_t i = 0; i < QUESTIONS_CODES; i++) {
		uint64_t value = questions->methods[method].by_code[i];

		snprintf(code, sizeof(code), "%d", codes[i]);
		if (value)
			exposition_integer(to, labels, ARRAY_SIZE(labels), (int64_t)value);
	}
}

static bool is_met(const struct questions *questions, size_t method)
{
	for (size_t i = 0; i < QUESTIONS_CODES; i++)
		if (questions->methods[method].by_code[i])
			return true;
	return false;
}

void questions_expose(const struct questions *questions, const char *const *names, size_t count,
	const char *total, const char *seconds, struct exposition *to)
{
	exposition_family(to, total, EXPOSITION_COUNTER,
		"Questions that were answered, by method and code (0 is success).");
	for (size_t i = 0; i <= QUESTIONS_METHODS_MAX; i++)
		expose_method(questions, i, name_of(names, count, i), to);
	exposition_family(
		to, seconds, EXPOSITION_HISTOGRAM, "How long their answers took to make.");
	for (size_t i = 0; i <= QUESTIONS_METHODS_MAX; i++)
		if (is_met(questions, i))
			exposition_histogram(to,
				&(struct exposition_label){ "method", name_of(names, count, i) }, 1,
				&questions->methods[i].took);
}
