/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "http/exposition.h"

#include <assert.h>
#include <inttypes.h>
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

static const char *family(const struct exposition *exposition)
{
	return exposition->families[exposition->family_count - 1];
}

static void write_escaped(struct buffer *to, const char *value)
{
	while (*value) {
		size_t plain = strcspn(value, "\\\"\n");

		buffer_write(to, value, plain);
		value += plain;
		if (*value)
			buffer_print(to, "\\%c", *value == '\n' ? 'n' : *value);
		value += *value != '\0';
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

static void write_label(struct buffer *to, const struct exposition_label *label, bool is_first)
{
	assert(is_name(label->name));
	buffer_print(to, "%s%s=\"", is_first ? "{" : ",", label->name);
	write_value(to, label->value);
	buffer_write_u8(to, '"');
}

static void write_labels(
	struct buffer *to, const struct exposition_label *labels, size_t label_count)
{
	for (size_t i = 0; i < label_count; i++)
		write_label(to, &labels[i], i == 0);
}

static void write_decimal(struct buffer *to, int64_t value, unsigned int places)
{
	uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value, unit = 1;
	unsigned int digits = places;

	assert(places <= 18);
	for (unsigned int i = 0; i < places; i++)
		unit *= 10;
	buffer_print(to, "%s%" PRIu64, value < 0 ? "-" : "", magnitude / unit);
	magnitude %= unit;
	if (!magnitude)
		return;
	for (; magnitude % 10 == 0; magnitude /= 10)
		digits--;
	buffer_print(to, ".%0*" PRIu64, (int)digits, magnitude);
}

void exposition_decimal(struct exposition *exposition, const struct exposition_label *labels,
	size_t label_count, int64_t value, unsigned int places)
{
	struct buffer *to = exposition->to;

	assert(exposition->family_count && exposition->type != EXPOSITION_HISTOGRAM);
	buffer_print(to, "%s", family(exposition));
	write_labels(to, labels, label_count);
	buffer_print(to, label_count ? "} " : " ");
	write_decimal(to, value, places);
	buffer_write_u8(to, '\n');
}

/* bound_us 0: none. */
static void write_bucket(struct exposition *exposition, const struct exposition_label *labels,
	size_t label_count, uint64_t bound_us, uint64_t count)
{
	struct buffer *to = exposition->to;

	buffer_print(to, "%s_bucket", family(exposition));
	write_labels(to, labels, label_count);
	buffer_print(to, "%sle=\"", label_count ? "," : "{");
	if (bound_us)
		write_decimal(to, (int64_t)bound_us, MICROSECONDS);
	else
		buffer_print(to, "+Inf");
	buffer_print(to, "\"} %" PRIu64 "\n", count);
}

/* "_sum" or "_count". */
static void write_end(struct exposition *exposition, const char *suffix,
	const struct exposition_label *labels, size_t label_count, uint64_t value,
	unsigned int places)
{
	struct buffer *to = exposition->to;

	buffer_print(to, "%s%s", family(exposition), suffix);
	write_labels(to, labels, label_count);
	buffer_print(to, label_count ? "} " : " ");
	write_decimal(to, (int64_t)value, places);
	buffer_write_u8(to, '\n');
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
	write_end(exposition, "_sum", labels, label_count, histogram->sum_us, MICROSECONDS);
	write_end(exposition, "_count", labels, label_count, count, 0);
}

void exposition_single(struct exposition *exposition, const char *name, enum exposition_type type,
	const char *help, int64_t value)
{
	exposition_family(exposition, name, type, help);
	exposition_integer(exposition, NULL, 0, value);
}
