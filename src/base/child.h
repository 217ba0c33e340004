/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* A process of ours that is asked through a pipe and answers through another: what may hang, or may
 * do what this process may not, is done there. It may be killed at any time. An answer is a length
 * (u32) and that many bytes. SIGPIPE must be ignored. One thread. */

#include <stddef.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/macros.h"

struct child {
	pid_t pid; /* 0: none */
	int to, from;
};

/* Starts a program, with no descriptors of ours but its standard input and output, and standard
 * error; signals are as at a program's start. 0 or -errno. */
MUST_CHECK int child_start(struct child *child, const char *path, char *const *arguments);

/* The same without exec, for a process that has no other thread (-EAGAIN: it has): run's result is
 * the exit status. */
MUST_CHECK int child_branch(struct child *child, int (*run)(void *context), void *context);

/* Kills it, if there is one. */
void child_end(struct child *child);

/* 0; -EAGAIN: not within the time; -EPIPE: it is gone. After either it is of no more use. */
MUST_CHECK int child_send(struct child *child, const void *bytes, size_t size, int timeout_ms);

/* Adds what comes to `answer` until that is whole. 0; -EAGAIN: not within the time, and may be
 * called again; -EPIPE: it is gone; -EMSGSIZE: over the buffer's maximum. */
MUST_CHECK int child_receive(struct child *child, struct buffer *answer, int timeout_ms);

/* Adds all that it prints to `output`, and waits for its end. 0; -EAGAIN: it took longer, and was
 * killed; -EIO: it failed; -EMSGSIZE. */
MUST_CHECK int child_finish(struct child *child, struct buffer *output, int timeout_ms);
