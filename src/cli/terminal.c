/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Signals: those that end the program put the terminal back first, at any time; all that this needs
 * is allowed in a handler. The size's and the stop's are let through only while a key is waited
 * for, so that they interrupt nothing else. */

#include "cli/terminal.h"

#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macros.h"

#define CLEAR_SCREEN "\033[H\033[2J"
#define ENTER_VIEW   "\033[?1049h\033[?25l" /* the other screen, without a cursor */
#define LEAVE_VIEW   "\033[?25h\033[?1049l"

enum { COLUMNS = 80, ROWS = 24, VIEW_BUFFER_SIZE = 64 * 1024, PROGRESS_INTERVAL_MS = 100 };

static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGABRT };
static const int interrupts[] = { SIGWINCH, SIGTSTP };

static struct {
	struct termios before;
	bool has_keys, is_deaf;           /* no more keys come */
	volatile sig_atomic_t is_changed; /* what the view is shown on */
	sigset_t waiting;                 /* what is blocked while a key is waited for */
} view;

static int64_t progress_ms; /* when it was shown; 0: it is not */

void terminal_size(size_t *ret_columns, size_t *ret_rows)
{
	struct winsize size = { 0 };

	(void)!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	*ret_columns = size.ws_col ? size.ws_col : COLUMNS;
	*ret_rows = size.ws_row ? size.ws_row : ROWS;
}

bool terminal_is_utf8(void)
{
	(void)setlocale(LC_CTYPE, "");
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
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

void terminal_progress(size_t done, size_t total, const char *what)
{
	int64_t now_ms = clock_monotonic_ms(clock_system());

	if (!isatty(STDERR_FILENO) || (progress_ms && now_ms - progress_ms < PROGRESS_INTERVAL_MS))
		return;
	fprintf(stderr, "\r%zu of %zu %s\033[K", done, total, what);
	progress_ms = now_ms;
}

void terminal_progress_end(void)
{
	if (progress_ms)
		fputs("\r\033[K", stderr);
	progress_ms = 0;
}

static void enter(void)
{
	struct termios keys = view.before;

	keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	keys.c_cc[VMIN] = 1;
	keys.c_cc[VTIME] = 0;
	if (view.has_keys)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &keys);
	(void)!write(STDOUT_FILENO, ENTER_VIEW, strlen(ENTER_VIEW));
}

static void leave(void)
{
	(void)!write(STDOUT_FILENO, LEAVE_VIEW, strlen(LEAVE_VIEW));
	if (view.has_keys)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &view.before);
}

static void on_end(int number)
{
	leave();
	(void)raise(number); /* whose action is the default again */
}

static void on_interrupt(int number)
{
	view.is_changed = true;
	if (number != SIGTSTP)
		return;
	leave();
	(void)raise(SIGSTOP);
	enter();
}

static void set_handlers(const int *numbers, size_t count, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < count; i++)
		(void)sigaction(numbers[i], &action, NULL);
}

void terminal_begin(void)
{
	sigset_t blocked;

	sigemptyset(&blocked);
	for (size_t i = 0; i < ARRAY_SIZE(interrupts); i++)
		sigaddset(&blocked, interrupts[i]);
	(void)sigprocmask(SIG_BLOCK, &blocked, &view.waiting);
	for (size_t i = 0; i < ARRAY_SIZE(interrupts); i++)
		sigdelset(&view.waiting, interrupts[i]);
	view.has_keys = tcgetattr(STDIN_FILENO, &view.before) == 0;
	set_handlers(ends, ARRAY_SIZE(ends), on_end, SA_RESETHAND);
	set_handlers(interrupts, ARRAY_SIZE(interrupts), on_interrupt, 0);
	(void)setvbuf(stdout, NULL, _IOFBF, VIEW_BUFFER_SIZE); /* no half of a view is shown */
	enter();
}

void terminal_end(void)
{
	fflush(stdout);
	leave();
	set_handlers(ends, ARRAY_SIZE(ends), SIG_DFL, 0);
	set_handlers(interrupts, ARRAY_SIZE(interrupts), SIG_DFL, 0);
	(void)sigprocmask(SIG_SETMASK, &view.waiting, NULL);
}

void terminal_home(void)
{
	fputs("\033[H", stdout);
}

void terminal_clear_rest(void)
{
	fputs("\033[J", stdout);
}

int terminal_key(int64_t timeout_ms)
{
	const struct timespec span = { timeout_ms / 1000, timeout_ms % 1000 * 1000000 };
	struct pollfd keys = { .fd = view.has_keys && !view.is_deaf ? STDIN_FILENO : -1,
		.events = POLLIN };
	unsigned char key;

	fflush(stdout);
	if (timeout_ms < 0)
		return TERMINAL_TIMEOUT;
	if (ppoll(&keys, 1, &span, &view.waiting) == 1) {
		if (read(STDIN_FILENO, &key, 1) == 1)
			return key;
		view.is_deaf = true;
	}
	if (!view.is_changed)
		return TERMINAL_TIMEOUT;
	view.is_changed = false;
	return TERMINAL_CHANGED;
}
