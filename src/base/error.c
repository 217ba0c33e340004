/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

int error_set(struct error *err, int code, const char *format, ...)
{
	va_list args;

	if (!err)
		return code;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	text_make_printable(err->text);
	return code;
}

int error_prefix(struct error *err, int code, const char *format, ...)
{
	char prefix[ERROR_TEXT_MAX / 2], rest[ERROR_TEXT_MAX];
	va_list args;

	if (!err)
		return code;
	va_start(args, format);
	vsnprintf(prefix, sizeof(prefix), format, args);
	va_end(args);
	snprintf(rest, sizeof(rest), "%s", error_text(err, code));
	return error_set(
		err, code, "%s: %.*s", prefix, (int)(ERROR_TEXT_MAX - sizeof(prefix)), rest);
}

const char *error_text(const struct error *err, int code)
{
	if (err && err->text[0])
		return err->text;
	return strerror(code < 0 ? -code : code);
}
