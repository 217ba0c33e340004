/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What is durable of a directory, kept beside it (calls.c has the rules). The caller locks.
 *
 * POWER_DURABLE/N is object N: a file with its durable bytes, or a directory whose entries are hard
 * links to objects that are files, and symbolic links to objects that are directories. Object 1 is
 * the directory itself, so `cp -rL POWER_DURABLE/1 COPY` is what a reader finds after the power is
 * back. */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* All that is in `directory` becomes durable, in `to`, which does not exist yet. */
void durable_start(const char *directory, const char *to);

/* Is the path the directory, or below it? */
bool durable_watches(const char *path);

/* The same of an open file, whose path goes to `path`. */
bool durable_watches_fd(int fd, char path[PATH_MAX]);

/* A new file or directory: nothing durable is known of it. */
void durable_add(const struct stat *status);

/* Those bytes of a file are no longer as they were when it was synced last. */
void durable_note(const struct stat *status, off_t begin, off_t end);

/* Bytes change without our being told. */
void durable_note_mapped(const struct stat *status);

/* The file's bytes, or the directory's names, become durable as they are now. */
void durable_sync(int fd);

/* The kernel could not write the file's bytes and takes them for written, as Linux does: later
 * syncs do not make them durable. */
void durable_drop(int fd);

/* Some of what was not synced survives: each written sector of 512 bytes or not, each change of a
 * size or not, all changes of a directory together or not. */
void durable_tear(unsigned int seed);

/* open(2), which calls.c defines anew. */
int real_open(int directory, const char *path, int flags, mode_t mode);

/* Tells what failed, and ends the process: the simulation is broken. */
void simulation_fails(const char *what);
