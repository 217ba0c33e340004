/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "http/exposition.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"

enum { MICROSECONDS = 6 };

static bool is_name(const char *name)
{
	for (const char *c = name; *c; c++)
		if (!(*c >= 'a' && *c <= 'z') && *c != '_' && !(c > name && *c >= '0' && *c <= '9'))
			return false;
	return *name;
}

static bool is_total(const char *name)
{
	size_t length = strlen(name), end = strlen("_total");

	return length > end && strcmp(name + length - end, "_total") == 0;
}

static bool is_begun(const struct exposition *exposition, const char *name)
{
	for (size_t i = 0; i < exposition->family_count; i++)
		if (strcmp(exposition->families[i], name) == 0)
			return true;
	return false;
}

void exposition_init(struct exposition *exposition, struct buffer *to)
{
	*exposition = (struct exposition){ .to = to };
}

void exposition_family(struct exposition *exposition, const char *name, enum exposition_type type,
	const char *help)
{
	static const char *const types[] = { "counter", "gauge", "histogram" };

	assert(is_name(name) && is_total(name) == (type == EXPOSITION_COUNTER));
	assert(!strpbrk(help, "\\\n") && !is_begun(exposition, name));
	assert(exposition->family_count < EXPOSITION_FAMILIES_MAX);
	exposition->families[exposition->family_count++] = name;
	exposition->type = type;
	buffer_print(exposition->to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, types[type]);
}

/* There are a hundred thousand of these on a large host: no printf. */
static void write_text(struct buffer *to, const char *text)
{
	buffer_write(to, text, strlen(text));
}

static void write_escaped(struct buffer *to, const char *value)
{
	while (*value) {
		size_t plain = strcspn(value, "\\\"\n");
		char c = value[plain];

		buffer_write(to, value, plain);
		value += plain;
		if (!c)
			return;
		buffer_write_u8(to, '\\');
		buffer_write_u8(to, c == '\n' ? 'n' : (uint8_t)c);
		value++;
	}
}

/* One sample with a value that is no UTF-8 would cost the whole scrape. */
static void write_value(struct buffer *to, const char *value)
{
	char piece[2] = "";

	if (text_is_utf8(value, strlen(value))) {
		write_escaped(to, value);
		return;
	}
	for (; *value; value++) {
		*piece = *value & 0x80 ? '?' : *value;
		write_escaped(to, piece);
	}
}

/* Leaves the braces open. */
static void write_labels(
	struct buffer *to, const struct exposition_label *labels, size_t label_count)
{
	for (size_t i = 0; i < label_count; i++) {
		assert(is_name(labels[i].name));
		write_text(to, i == 0 ? "{" : ",");
		write_text(to, labels[i].name);
		write_text(to, "=\"");
		write_value(to, labels[i].value);
		write_text(to, "\"");
	}
}

/* value / 10^places without a sign: its digits from the last to the first, no zeros at the end. */
static void write_magnitude(struct buffer *to, uint64_t value, unsigned int places)
{
	char text[32];
	size_t at = sizeof(text);
	bool is_any = false;

	for (unsigned int i = 0; i < places; i++, value /= 10) {
		is_any = is_any || value % 10;
		if (is_any)
			text[--at] = (char)('0' + value % 10);
	}
	if (is_any)
		text[--at] = '.';
	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	buffer_write(to, text + at, sizeof(text) - at);
}

static void write_decimal(struct buffer *to, int64_t value, unsigned int places)
{
	assert(places <= 18);
	if (value < 0)
		write_text(to, "-");
	write_magnitude(to, value < 0 ? -(uint64_t)value : (uint64_t)value, places);
}

static void write_sample(struct exposition *exposition, const char *suffix,
	const struct exposition_label *labels, size_t label_count, int64_t value,
	unsigned int places)
{
	struct buffer *to = exposition->to;

	write_text(to, exposition->families[exposition->family_count - 1]);
	write_text(to, suffix);
	write_labels(to, labels, label_count);
	write_text(to, label_count ? "} " : " ");
	write_decimal(to, value, places);
	write_text(to, "\n");
}

void exposition_decimal(struct exposition *exposition, const struct exposition_label *labels,
	size_t label_count, int64_t value, unsigned int places)
{
	assert(exposition->family_count && exposition->type != EXPOSITION_HISTOGRAM);
	write_sample(exposition, "", labels, label_count, value, places);
}

/* bound_us 0: none. */
static void write_bucket(struct exposition *exposition, const struct exposition_label *labels,
	size_t label_count, uint64_t bound_us, uint64_t count)
{
	struct buffer *to = exposition->to;

	write_text(to, exposition->families[exposition->family_count - 1]);
	write_text(to, "_bucket");
	write_labels(to, labels, label_count);
	write_text(to, label_count ? ",le=\"" : "{le=\"");
	if (bound_us)
		write_magnitude(to, bound_us, MICROSECONDS);
	else
		write_text(to, "+Inf");
	write_text(to, "\"} ");
	write_magnitude(to, count, 0);
	write_text(to, "\n");
}

void exposition_histogram(struct exposition *exposition, const struct exposition_label *labels,
	size_t label_count, const struct histogram *histogram)
{
	uint64_t count = 0;

	assert(exposition->family_count && exposition->type == EXPOSITION_HISTOGRAM);
	for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
		count += histogram->counts[i];
		write_bucket(exposition, labels, label_count,
			i < HISTOGRAM_BOUNDS ? histogram_bounds_us[i] : 0, count);
	}
	write_sample(
		exposition, "_sum", labels, label_count, (int64_t)histogram->sum_us, MICROSECONDS);
	write_sample(exposition, "_count", labels, label_count, (int64_t)count, 0);
}

void exposition_single(struct exposition *exposition, const char *name, enum exposition_type type,
	const char *help, int64_t value)
{
	exposition_family(exposition, name, type, help);
	exposition_integer(exposition, NULL, 0, value);
}
