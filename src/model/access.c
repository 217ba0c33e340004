/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "model/access.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

enum { DIGEST_BYTES = 32, TOKENS_MAX = 10 * 1000 };

static const char blanks[] = " \t\r";

struct entry {
	struct access_entry shown;
	char digest[ACCESS_DIGEST_SIZE];
};

struct access {
	char *path;
	char *text; /* the file; the entries point into it */
	struct stat stat;
	struct entry *entries;
	size_t count;
};

static void to_hex(const unsigned char *bytes, size_t count, char *to)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < count; i++) {
		*to++ = digits[bytes[i] >> 4];
		*to++ = digits[bytes[i] & 15];
	}
	*to = '\0';
}

int access_new_token(char ret_token[ACCESS_TOKEN_SIZE])
{
	static const char prefix[] = "kanyun_"; /* for those who search for leaked secrets */
	unsigned char random[DIGEST_BYTES];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -EIO;
	memcpy(ret_token, prefix, sizeof(prefix));
	to_hex(random, sizeof(random), ret_token + strlen(prefix));
	return 0;
}

int access_digest(const char *token, char ret_digest[ACCESS_DIGEST_SIZE])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int size = 0;

	if (EVP_Digest(token, strlen(token), digest, &size, EVP_sha256(), NULL) != 1 ||
		size != DIGEST_BYTES)
		return -EIO;
	to_hex(digest, DIGEST_BYTES, ret_digest);
	return 0;
}

bool access_is_word(const char *text)
{
	size_t size = strcspn(text, " \t\r\n,#*");

	return size > 0 && text[size] == '\0' && text_is_utf8(text, size);
}

/* The next word of a line, whose end is marked; "" when there are no more. */
static char *take_word(char **rest)
{
	char *word = *rest + strspn(*rest, blanks);
	char *end = word + strcspn(word, blanks);

	*rest = *end ? end + 1 : end;
	*end = '\0';
	return word;
}

static int take_projects(struct entry *entry, char *text)
{
	const char **projects;
	size_t count = 1;

	for (const char *c = text; *c; c++)
		count += *c == ',';
	if (count > ACCESS_PROJECTS_MAX)
		return -EINVAL;
	projects = calloc(count, sizeof(*projects));
	if (!projects)
		return -ENOMEM;
	entry->shown.projects = projects;
	for (char *next = text; next;) {
		char *project = next;

		next = strchr(project, ',');
		if (next)
			*next++ = '\0';
		if (!access_is_word(project))
			return -EINVAL;
		projects[entry->shown.project_count++] = project;
	}
	return 0;
}

static int take_entry(struct access *access, char *line)
{
	struct entry *entry = &access->entries[access->count];
	char *name = take_word(&line), *digest = take_word(&line), *scope = take_word(&line);

	if (!*name)
		return 0;
	if (!access_is_word(name) || strlen(name) > ACCESS_NAME_MAX ||
		strlen(digest) != 2 * DIGEST_BYTES ||
		strspn(digest, "0123456789abcdef") != 2 * DIGEST_BYTES || !*scope ||
		*take_word(&line))
		return -EINVAL;
	entry->shown.name = name;
	memcpy(entry->digest, digest, ACCESS_DIGEST_SIZE);
	access->count++;
	entry->shown.is_for_all = strcmp(scope, "*") == 0;
	return entry->shown.is_for_all ? 0 : take_projects(entry, scope);
}

static int take_lines(struct access *access, struct error *err)
{
	size_t number = 0;

	for (char *next = access->text; next;) {
		char *line = next;
		int r;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		line[strcspn(line, "#")] = '\0';
		number++;
		if (access->count == TOKENS_MAX)
			return error_set(err, -E2BIG, "'%s' has more than %d tokens", access->path,
				TOKENS_MAX);
		r = take_entry(access, line);
		if (r < 0)
			return error_set(err, r,
				"%s:%zu: expected a name, a SHA-256 in 64 digits 0-9a-f, and * or "
				"projects with commas between",
				access->path, number);
	}
	return 0;
}

static int check_file(const struct access *access, struct error *err)
{
	const struct stat *stat = &access->stat;

	if (stat->st_uid != 0 && stat->st_uid != geteuid())
		return error_set(err, -EPERM,
			"'%s' belongs to another user than root and the one who runs this",
			access->path);
	if (stat->st_mode & (S_IWGRP | S_IRWXO))
		return error_set(err, -EPERM,
			"'%s' may be written by its group, or used by others; its mode should be "
			"0600 or 0640",
			access->path);
	return 0;
}

static int load(struct access *access, struct error *err)
{
	int r = file_read(access->path, ACCESS_FILE_MAX, &access->text, &access->stat, err);

	if (r == 0)
		r = check_file(access, err);
	if (r < 0)
		return r;
	access->entries = calloc(TOKENS_MAX, sizeof(*access->entries));
	return access->entries ? take_lines(access, err) : -ENOMEM;
}

int access_load(const char *path, struct access **ret_access, struct error *err)
{
	CLEANUP(access_free) struct access *access = calloc(1, sizeof(*access));
	int r;

	if (!access)
		return -ENOMEM;
	access->path = strdup(path);
	r = access->path ? load(access, err) : -ENOMEM;
	if (r < 0)
		return r;
	*ret_access = access;
	access = NULL;
	return 0;
}

struct access *access_free(struct access *access)
{
	if (!access)
		return NULL;
	for (size_t i = 0; access->entries && i < TOKENS_MAX; i++)
		free((void *)access->entries[i].shown.projects);
	free(access->entries);
	free(access->text);
	free(access->path);
	free(access);
	return NULL;
}

bool access_is_stale(const struct access *access)
{
	const struct stat *then = &access->stat;
	struct stat now;

	return stat(access->path, &now) < 0 || now.st_ino != then->st_ino ||
	       now.st_dev != then->st_dev || now.st_size != then->st_size ||
	       now.st_mode != then->st_mode || now.st_uid != then->st_uid ||
	       now.st_mtim.tv_sec != then->st_mtim.tv_sec ||
	       now.st_mtim.tv_nsec != then->st_mtim.tv_nsec ||
	       now.st_ctim.tv_sec != then->st_ctim.tv_sec ||
	       now.st_ctim.tv_nsec != then->st_ctim.tv_nsec;
}

const struct access_entry *access_find(const struct access *access, const char *token)
{
	const struct access_entry *found = NULL;
	char digest[ACCESS_DIGEST_SIZE];

	if (!*token || access_digest(token, digest) < 0)
		return NULL;
	for (size_t i = 0; i < access->count; i++)
		if (CRYPTO_memcmp(digest, access->entries[i].digest, sizeof(digest)) == 0)
			found = &access->entries[i].shown;
	return found;
}
