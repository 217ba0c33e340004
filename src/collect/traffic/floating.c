/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "collect/traffic/floating.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"

enum { FILE_MAX = 8 * 1024 * 1024, ENTRIES_MAX = 65536, WORDS = 3, PORT_MAX = 63 };

struct entry {
	struct traffic_address fixed;
	char label[TRAFFIC_LABEL_MAX + 1];
	char port[PORT_MAX + 1]; /* "": any */
};

struct floating {
	const char *path;
	struct stat status; /* of what was read, or tried */
	struct entry *entries;
	size_t count;
};

int floating_new(const char *path, struct floating **ret_floating)
{
	struct floating *floating = calloc(1, sizeof(*floating));

	if (!floating)
		return -ENOMEM;
	floating->path = path;
	*ret_floating = floating;
	return 0;
}

struct floating *floating_free(struct floating *floating)
{
	if (!floating)
		return NULL;
	free(floating->entries);
	free(floating);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	const struct entry *first = a, *second = b;
	int order = memcmp(&first->fixed, &second->fixed, sizeof(first->fixed));

	return order ? order : strcmp(first->port, second->port);
}

/* 1: it is an entry; 0: it says nothing; -EINVAL. */
static int read_line(char *line, struct entry *entry)
{
	const char *words[WORDS] = { "", "", "" };
	char *rest = line, *word;
	struct traffic_address address;
	size_t count = 0;

	line[strcspn(line, "#")] = '\0';
	while ((word = strtok_r(rest, " \t\r", &rest)) != NULL) {
		if (count == WORDS)
			return -EINVAL;
		words[count++] = word;
	}
	if (count == 0 || strcmp(words[1], "None") == 0)
		return 0;
	*entry = (struct entry){ .label = "" };
	if (traffic_address_parse(words[0], &address) < 0 ||
		traffic_address_parse(words[1], &entry->fixed) < 0 || strlen(words[2]) > PORT_MAX)
		return -EINVAL;
	traffic_address_format(&address, entry->label);
	memcpy(entry->port, words[2], strlen(words[2]));
	return 1;
}

static int read_lines(char *text, struct entry **ret_entries, size_t *ret_count, struct error *err)
{
	struct entry *entries = calloc(ENTRIES_MAX, sizeof(*entries));
	char *line;
	int r = entries ? 0 : -ENOMEM;

	*ret_count = 0;
	for (int number = 1; r == 0 && (line = strsep(&text, "\n")) != NULL; number++) {
		if (*ret_count == ENTRIES_MAX) {
			r = error_set(err, -E2BIG, "has more than %d entries", ENTRIES_MAX);
			break;
		}
		r = read_line(line, &entries[*ret_count]);
		*ret_count += r == 1;
		r = r < 0 ? error_set(err, r, "line %d is not 'FLOATING FIXED [PORT]'", number) : 0;
	}
	if (r < 0) {
		free(entries);
		return r;
	}
	if (*ret_count)
		qsort(entries, *ret_count, sizeof(*entries), compare);
	*ret_entries = entries;
	return 0;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int floating_refresh(struct floating *floating, struct error *err)
{
	CLEANUP(string_free) char *text = NULL;
	struct entry *entries = NULL;
	struct stat status;
	size_t count;
	int r;

	if (!*floating->path)
		return 0;
	if (stat(floating->path, &status) == 0 && is_same(&status, &floating->status))
		return 0;
	r = file_read(floating->path, FILE_MAX, &text, &status, err);
	if (r < 0)
		return r;
	floating->status = status;
	r = read_lines(text, &entries, &count, err);
	if (r < 0)
		return error_prefix(err, r, "'%s'", floating->path);
	free(floating->entries);
	floating->entries = entries;
	floating->count = count;
	return 1;
}

const char *floating_of(
	const struct floating *floating, const struct traffic_address *fixed, const char *port_id)
{
	struct entry key = { .fixed = *fixed };
	const struct entry *entry = NULL;

	if (!floating->count)
		return NULL;
	if (strlen(port_id) <= PORT_MAX) {
		memcpy(key.port, port_id, strlen(port_id));
		entry = bsearch(&key, floating->entries, floating->count, sizeof(key), compare);
	}
	if (!entry) {
		*key.port = '\0';
		entry = bsearch(&key, floating->entries, floating->count, sizeof(key), compare);
	}
	return entry ? entry->label : NULL;
}
