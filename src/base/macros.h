/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The few words that C lacks: results that must be looked at, and cleanup at the end of a scope. */

#include <stddef.h>

#define MUST_CHECK             __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* Declares cleanup_NAME, so that CLEANUP(NAME) on a pointer calls NAME when the scope ends.
 * NAME takes the pointer, accepts NULL, and its result is ignored. */
#define CLEANUP_DEFINE(type, name)                                                                 \
	static inline void cleanup_##name(type **pointer)                                          \
	{                                                                                          \
		(void)name(*pointer);                                                              \
	}

/* The same for objects that live in the scope itself: NAME takes their address. */
#define CLEANUP_DEFINE_VALUE(type, name)                                                           \
	static inline void cleanup_##name(type *value)                                             \
	{                                                                                          \
		name(value);                                                                       \
	}

#define CLEANUP(name) __attribute__((cleanup(cleanup_##name)))

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Arguments without side effects only. */
#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))

/* Owns a string that malloc gave. */
static inline char *string_free(char *string)
{
	__builtin_free(string);
	return NULL;
}
CLEANUP_DEFINE(char, string_free)
