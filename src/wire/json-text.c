/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "wire/json-text.h"

#include <string.h>

void json_text_write_string(struct buffer *to, const char *text)
{
	buffer_write_u8(to, '"');
	while (*text) {
		size_t plain = 0;

		while ((uint8_t)text[plain] >= 0x20 && text[plain] != '"' && text[plain] != '\\')
			plain++;
		buffer_write(to, text, plain);
		text += plain;
		if (*text == '"' || *text == '\\')
			buffer_print(to, "\\%c", *text++);
		else if (*text)
			buffer_print(to, "\\u%04x", (unsigned int)(uint8_t)*text++);
	}
	buffer_write_u8(to, '"');
}

void json_text_write_integer(struct buffer *to, int64_t value)
{
	char digits[24];
	size_t at = sizeof(digits);
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	do {
		digits[--at] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest);
	if (value < 0)
		digits[--at] = '-';
	buffer_write(to, digits + at, sizeof(digits) - at);
}
