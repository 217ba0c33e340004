/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The terminal on standard output, by ANSI sequences. */

#include <stddef.h>
#include <stdint.h>

/* 80 by 24 where it is not known. */
void terminal_size(size_t *ret_columns, size_t *ret_rows);

void terminal_clear(void);

/* Shows what was printed, and waits. */
void terminal_wait(int64_t ms);
