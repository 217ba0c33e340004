/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "base/config.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct config {
	const struct config_key *keys;
	size_t count;
	char **values; /* NULL where no layer gave one */
};

int config_new(const struct config_key *keys, size_t count, struct config **ret_config)
{
	struct config *config = calloc(1, sizeof(*config));

	if (!config)
		return -ENOMEM;
	config->keys = keys;
	config->count = count;
	config->values = calloc(count, sizeof(*config->values));
	if (!config->values) {
		config_free(config);
		return -ENOMEM;
	}
	*ret_config = config;
	return 0;
}

struct config *config_free(struct config *config)
{
	if (!config)
		return NULL;
	for (size_t i = 0; config->values && i < config->count; i++)
		free(config->values[i]);
	free(config->values);
	free(config);
	return NULL;
}

/* The index of a key, or -1. */
static ssize_t find(const struct config *config, const char *section, const char *name)
{
	for (size_t i = 0; i < config->count; i++)
		if (strcmp(config->keys[i].section, section) == 0 &&
			strcmp(config->keys[i].name, name) == 0)
			return (ssize_t)i;
	return -1;
}

static bool has_section(const struct config *config, const char *section)
{
	for (size_t i = 0; i < config->count; i++)
		if (strcmp(config->keys[i].section, section) == 0)
			return true;
	return false;
}

static int check_choice(const struct config_key *key, const char *value, struct error *err)
{
	char expected[256] = "";

	for (const char *const *choice = key->choices; *choice; choice++) {
		size_t used = strlen(expected);

		if (strcmp(*choice, value) == 0)
			return 0;
		snprintf(expected + used, sizeof(expected) - used, "%s%s", used ? ", " : "",
			*choice);
	}
	return error_set(err, -EINVAL, "[%s] %s is '%s'; expected one of: %s", key->section,
		key->name, value, expected);
}

static int check(const struct config_key *key, const char *value, struct error *err)
{
	int64_t number;

	if (strlen(value) > CONFIG_VALUE_MAX || !text_is_utf8(value, strlen(value)))
		return error_set(err, -EINVAL,
			"[%s] %s: the value is longer than %d bytes or not UTF-8", key->section,
			key->name, CONFIG_VALUE_MAX);
	switch (key->type) {
	case CONFIG_TEXT:
		return 0;
	case CONFIG_INTEGER:
		if (text_to_i64(value, &number) == 0 && number >= key->minimum &&
			number <= key->maximum)
			return 0;
		return error_set(err, -EINVAL,
			"[%s] %s is '%s'; expected a whole number from %lld to %lld", key->section,
			key->name, value, (long long)key->minimum, (long long)key->maximum);
	case CONFIG_BOOLEAN:
		if (strcmp(value, "yes") == 0 || strcmp(value, "no") == 0)
			return 0;
		return error_set(err, -EINVAL, "[%s] %s is '%s'; expected yes or no", key->section,
			key->name, value);
	case CONFIG_CHOICE:
		return check_choice(key, value, err);
	}
	return -EINVAL;
}

static int set(struct config *config, const char *section, const char *name, const char *value,
	struct error *err)
{
	ssize_t index = find(config, section, name);
	char *copy;
	int r;

	if (index < 0 && !has_section(config, section))
		return error_set(err, -EINVAL, "there is no section [%s]", section);
	if (index < 0)
		return error_set(err, -EINVAL, "section [%s] has no key '%s'", section, name);
	r = check(&config->keys[index], value, err);
	if (r < 0)
		return r;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(config->values[index]);
	config->values[index] = copy;
	return 0;
}

struct reading {
	struct config *config;
	struct error *err;
	int result;
};

static int take_key(void *context, const char *section, const char *name, const char *value)
{
	struct reading *reading = context;

	if (reading->result == 0)
		reading->result =
			set(reading->config, section, name, value ? value : "", reading->err);
	return reading->result == 0;
}

/* Takes the white space in front of every line away, so that an indented file means the same (inih
 * would read indented lines as continuations), and blanks what stands before the first section. */
static size_t normalise(char *text)
{
	size_t ignored = 0;
	bool in_section = false;
	char *to = text;

	for (char *line = text; *line;) {
		char *end = strchrnul(line, '\n'), *start = line;

		while (start < end && isspace((unsigned char)*start))
			start++;
		in_section = in_section || *start == '[';
		if (!in_section && start < end && *start != '#' && *start != ';') {
			ignored++;
			start = end;
		}
		memmove(to, start, (size_t)(end - start));
		to += end - start;
		if (*end)
			*to++ = *end++;
		line = end;
	}
	*to = '\0';
	return ignored;
}

int config_read_text(struct config *config, const char *name, const char *text, size_t *ret_ignored,
	struct error *err)
{
	struct reading reading = { .config = config, .err = err };
	CLEANUP(string_free) char *copy = strdup(text);
	size_t ignored;
	int line;

	if (!copy)
		return -ENOMEM;
	ignored = normalise(copy);
	line = ini_parse_string(copy, take_key, &reading);
	if (line < 0)
		return -ENOMEM;
	if (line > 0 && reading.result == 0)
		reading.result = error_set(err, -EINVAL, "expected [section] or 'key: value'");
	if (reading.result < 0)
		return error_prefix(err, reading.result, "%s:%d", name, line);
	if (ret_ignored)
		*ret_ignored = ignored;
	return 0;
}

int config_read_file(
	struct config *config, const char *path, size_t *ret_ignored, struct error *err)
{
	CLEANUP(string_free) char *text = calloc(1, CONFIG_FILE_MAX + 1);
	FILE *file = fopen(path, "re");
	size_t size;
	bool failed;

	if (!file)
		return error_set(err, -errno, "cannot read '%s': %s", path, strerror(errno));
	if (!text) {
		fclose(file);
		return -ENOMEM;
	}
	size = fread(text, 1, CONFIG_FILE_MAX + 1, file);
	failed = ferror(file) != 0;
	fclose(file);
	if (failed)
		return error_set(err, -EIO, "cannot read '%s'", path);
	if (size > CONFIG_FILE_MAX || memchr(text, '\0', size))
		return error_set(err, -EINVAL, "'%s' is longer than %d bytes, or not a text", path,
			CONFIG_FILE_MAX);
	return config_read_text(config, path, text, ret_ignored, err);
}

int config_read_environment(struct config *config, const char *prefix, struct error *err)
{
	for (size_t i = 0; i < config->count; i++) {
		const struct config_key *key = &config->keys[i];
		char variable[128];
		const char *value;
		int r;

		snprintf(variable, sizeof(variable), "%s_%s_%s", prefix, key->section, key->name);
		for (char *c = variable; *c; c++)
			*c = (char)toupper((unsigned char)*c);
		value = getenv(variable);
		if (!value)
			continue;
		r = set(config, key->section, key->name, value, err);
		if (r < 0)
			return error_prefix(err, r, "environment variable %s", variable);
	}
	return 0;
}

int config_read_option(struct config *config, const char *option, struct error *err)
{
	char section[64], name[64];
	const char *value = strchr(option, '=');
	const char *dot = strchr(option, '.');
	int r;

	if (!value || !dot || dot > value || (size_t)(dot - option) >= sizeof(section) ||
		(size_t)(value - dot) > sizeof(name))
		return error_set(err, -EINVAL, "option '%s': expected section.key=value", option);
	snprintf(section, sizeof(section), "%.*s", (int)(dot - option), option);
	snprintf(name, sizeof(name), "%.*s", (int)(value - dot - 1), dot + 1);
	r = set(config, section, name, value + 1, err);
	return r < 0 ? error_prefix(err, r, "option '%s'", option) : 0;
}

static size_t must_find(
	const struct config *config, const char *section, const char *name, enum config_type type)
{
	ssize_t index = find(config, section, name);

	assert(index >= 0);
	assert(type == config->keys[index].type ||
		(type == CONFIG_TEXT && config->keys[index].type == CONFIG_CHOICE));
	return (size_t)index;
}

static const char *value_at(const struct config *config, size_t index)
{
	return config->values[index] ? config->values[index] : config->keys[index].fallback;
}

const char *config_text(const struct config *config, const char *section, const char *name)
{
	return value_at(config, must_find(config, section, name, CONFIG_TEXT));
}

int64_t config_integer(const struct config *config, const char *section, const char *name)
{
	int64_t number = 0;
	int r = text_to_i64(
		value_at(config, must_find(config, section, name, CONFIG_INTEGER)), &number);

	assert(r == 0);
	(void)r;
	return number;
}

bool config_boolean(const struct config *config, const char *section, const char *name)
{
	return strcmp(value_at(config, must_find(config, section, name, CONFIG_BOOLEAN)), "yes") ==
	       0;
}

char *config_endpoint(const struct config *config, const char *section, const char *host,
	const char *port, char text[CONFIG_ENDPOINT_SIZE])
{
	int64_t number = config_integer(config, section, port);
	int used = snprintf(
		text, CONFIG_ENDPOINT_SIZE, "tcp://%s:", config_text(config, section, host));
	size_t left = CONFIG_ENDPOINT_SIZE - (size_t)used;

	if (number)
		snprintf(text + used, left, "%" PRId64, number);
	else
		snprintf(text + used, left, "*");
	return text;
}

bool config_is_set(const struct config *config, const char *section, const char *name)
{
	ssize_t index = find(config, section, name);

	assert(index >= 0);
	return config->values[index] != NULL;
}

void config_print(const struct config *config, FILE *to)
{
	const char *section = "";

	for (size_t i = 0; i < config->count; i++) {
		const struct config_key *key = &config->keys[i];

		if (strcmp(section, key->section) != 0)
			fprintf(to, "%s[%s]\n", i ? "\n" : "", key->section);
		section = key->section;
		fprintf(to, "# %s\n%s: %s\n", key->help, key->name, value_at(config, i));
	}
}
