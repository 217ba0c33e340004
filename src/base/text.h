/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Text from elsewhere: is it UTF-8, is it a number, may it be printed. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF). */
bool text_is_utf8(const void *bytes, size_t size);

/* Replaces control characters by '?', in place. Other bytes stay, so that UTF-8 stays UTF-8. */
void text_make_printable(char *text);

/* A whole decimal integer, with an optional minus and nothing around it.
 * Returns 0; -EINVAL if it is not one; -ERANGE if it does not fit. */
MUST_CHECK int text_to_i64(const char *text, int64_t *ret_value);

/* A decimal number with at most `places` digits after the point that count (further digits are cut
 * off), as an integer scaled by 10^places: "1332400088.1494" with 3 gives 1332400088149. An
 * exponent is not accepted. places is at most 9. Returns as text_to_i64. */
MUST_CHECK int text_to_scaled(const char *text, unsigned int places, int64_t *ret_value);

/* The value of a hexadecimal digit of either case; -1 if it is none. */
int text_hex_digit(char c);

/* Copies, always ends with NUL, and says whether all of it fitted. */
bool text_copy(char *to, size_t size, const char *from);

/* 64-bit FNV-1a, for hash tables in memory only; chain calls through `seed`, which begins as
 * TEXT_HASH_SEED. Not for values that an attacker chooses to collide without a bound beside it. */
#define TEXT_HASH_SEED 0xcbf29ce484222325u
uint64_t text_hash(uint64_t seed, const void *bytes, size_t size);
