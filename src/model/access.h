/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Who may read what over HTTP: a file of tokens, one a line,
 *
 *     NAME SHA256 *                   # reads everything
 *     NAME SHA256 PROJECT,PROJECT     # what those projects used
 *
 * A token is 256 random bits, so its plain SHA-256 in the file gives nobody the token. Blank lines
 * and comments (# to the end of the line) are ignored. The file is refused if others than its owner
 * and group may read it, or others than its owner may write it, or its owner is neither root nor
 * who runs the program. */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/macros.h"

enum {
	ACCESS_FILE_MAX = 1024 * 1024,
	ACCESS_NAME_MAX = 63,
	ACCESS_PROJECTS_MAX = 1000, /* of one token */
	ACCESS_TOKEN_SIZE = 72,     /* "kanyun_", 64 digits, NUL */
	ACCESS_DIGEST_SIZE = 65,    /* 64 digits, NUL */
};

struct access_entry {
	const char *name;
	bool is_for_all;
	const char *const *projects;
	size_t project_count;
};

struct access;

/* 0; negative with a text that names the file and the line. */
MUST_CHECK int access_load(const char *path, struct access **ret_access, struct error *err);
struct access *access_free(struct access *access);
CLEANUP_DEFINE(struct access, access_free)

/* Has the file changed since it was loaded, or gone? */
bool access_is_stale(const struct access *access);

/* Whose token it is; NULL: nobody's, as the empty one always is. Takes as long for every other
 * token. Lives as long as access. */
const struct access_entry *access_find(const struct access *access, const char *token);

/* A new token. 0 or negative. */
MUST_CHECK int access_new_token(char ret_token[ACCESS_TOKEN_SIZE]);

/* What stands for a token in the file. 0 or negative. */
MUST_CHECK int access_digest(const char *token, char ret_digest[ACCESS_DIGEST_SIZE]);

/* May this stand in the file, as a name or a project? No blanks, commas, # or *; not empty. */
bool access_is_word(const char *text);
