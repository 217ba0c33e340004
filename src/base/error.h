/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* How functions fail.
 *
 * A function that can fail returns int. 0 is success. A negative number is -errno: something
 * unexpected, passed up unchanged by everyone who cannot mend it. A positive number is an outcome
 * that the module's header names; the immediate caller handles it and never forwards it.
 *
 * What a person needs to know besides (the text of SQLite, libvirt, a line of a file) travels in a
 * `struct error` that the outermost caller owns. Its text is empty until somebody sets it. */

#include "base/macros.h"

enum { ERROR_TEXT_MAX = 512 };

struct error {
	char text[ERROR_TEXT_MAX];
};

/* Sets the text; longer texts are cut. Unprintable bytes become '?', for the text often quotes what
 * a peer sent. err may be NULL. Returns code, so that a function can end with
 * `return error_set(err, -EINVAL, ...)`. */
int error_set(struct error *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts "prefix: " before the text. err may be NULL. Returns code. */
int error_prefix(struct error *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* The text, or strerror's if none was set. The result is valid until the next call in this
 * thread. */
const char *error_text(const struct error *err, int code);
