/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The terminal on standard output, by ANSI sequences. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ends a line of a view: what stood behind it goes. */
#define TERMINAL_LINE_END "\033[K\n"

/* 80 by 24 where it is not known. */
void terminal_size(size_t *ret_columns, size_t *ret_rows);

/* Does the locale say that it shows UTF-8? Sets the locale's characters. */
bool terminal_is_utf8(void);

void terminal_clear(void);

/* Shows what was printed, and waits. */
void terminal_wait(int64_t ms);

/* On standard error, if that is a terminal, how far long work is. The end takes it away again, and
 * does nothing without it. */
void terminal_progress(size_t done, size_t total, const char *what);
void terminal_progress_end(void);

/* A view that has the whole terminal: what stood there comes back with terminal_end, and when a
 * signal ends or stops the program. Keys of standard input, if that is a terminal, are not echoed.
 * One thread only. */
void terminal_begin(void);
void terminal_end(void);

/* A view is printed from the first line on; the rest is cleared. */
void terminal_home(void);
void terminal_clear_rest(void);

/* Shows what was printed, and waits. Returns the key that was pressed, or: */
enum { TERMINAL_TIMEOUT = -1, TERMINAL_CHANGED = -2 /* the size, or it was stopped */ };
int terminal_key(int64_t timeout_ms);
