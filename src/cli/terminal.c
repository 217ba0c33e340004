/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cli/terminal.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define CLEAR_SCREEN "\033[H\033[2J"

enum { COLUMNS = 80, ROWS = 24 };

void terminal_size(size_t *ret_columns, size_t *ret_rows)
{
	struct winsize size = { 0 };

	(void)!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	*ret_columns = size.ws_col ? size.ws_col : COLUMNS;
	*ret_rows = size.ws_row ? size.ws_row : ROWS;
}

void terminal_clear(void)
{
	fputs(CLEAR_SCREEN, stdout);
}

void terminal_wait(int64_t ms)
{
	const struct timespec span = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	fflush(stdout);
	(void)nanosleep(&span, NULL);
}
