/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* iptables-save prints the options of a rule before its matches (-m) and its target (-j, -g). So
 * -s, -d, -i and -o are looked for in this head only, where nothing else can look like them, and
 * the comment behind it. */

#include "traffic/accounting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define ACCOUNTING_WORDS "accounting rule"

/* Each address has one rule for either direction. */
enum { RULES_MAX = 2 * ACCOUNTING_MAX };

struct rule {
	struct accounting_entry entry; /* one direction */
	size_t place;
};

struct rules {
	struct rule *items;
	size_t count, room, refused;
};

/* The words of a line, quotes and backslashes taken away. */
struct words {
	const char *next, *end;
	char text[ACCOUNTING_LINE_MAX + 1];
	bool is_damaged;
};

struct head {
	struct traffic_address source, destination; /* of the family 0: there is none */
	bool is_out, is_in;                         /* by interface */
};

/* False: there is none, or the line is damaged. A backslash means something within quotes only. */
static bool next_word(struct words *words)
{
	bool is_quoted = false;
	size_t size = 0;

	while (words->next < words->end && *words->next == ' ')
		words->next++;
	if (words->next == words->end)
		return false;
	for (; words->next < words->end && (is_quoted || *words->next != ' '); words->next++) {
		if (*words->next == '"') {
			is_quoted = !is_quoted;
			continue;
		}
		if (is_quoted && *words->next == '\\' && words->next + 1 < words->end)
			words->next++;
		words->is_damaged |= *words->next == '\0';
		words->text[size++] = *words->next;
	}
	words->text[size] = '\0';
	words->is_damaged |= is_quoted;
	return !words->is_damaged;
}

/* Digits and nothing else. */
static bool read_number(const char *text, int64_t *ret_number)
{
	return *text >= '0' && *text <= '9' && text_to_i64(text, ret_number) == 0;
}

/* "[packets:bytes]"; changes the text. */
static bool read_counter(char *text, uint64_t *ret_bytes)
{
	char *colon = strchr(text, ':'), *end = strchr(text, ']');
	int64_t packets, bytes;

	if (*text != '[' || !colon || !end || end < colon || end[1])
		return false;
	*colon = *end = '\0';
	if (!read_number(text + 1, &packets) || !read_number(colon + 1, &bytes))
		return false;
	*ret_bytes = (uint64_t)bytes;
	return true;
}

/* One address: a prefix is of all its bits. Changes the text. */
static bool read_address(char *text, struct traffic_address *ret_address)
{
	char *slash = strchr(text, '/');

	if (slash && strcmp(slash, strchr(text, ':') ? "/128" : "/32") != 0)
		return false;
	if (slash)
		*slash = '\0';
	return traffic_address_parse(text, ret_address) == 0;
}

/* " 112 10.0.0.3 accounting rule "; changes the text. */
static bool read_comment(char *text, int64_t *ret_id, struct traffic_address *ret_address)
{
	char *id = text + strspn(text, " "), *address = strchr(id, ' '), *rest;

	if (!address)
		return false;
	*address++ = '\0';
	rest = strchr(address, ' ');
	if (!rest)
		return false;
	*rest++ = '\0';
	if (strncmp(rest, ACCOUNTING_WORDS, strlen(ACCOUNTING_WORDS)) != 0)
		return false;
	rest += strlen(ACCOUNTING_WORDS);
	return rest[strspn(rest, " ")] == '\0' && read_number(id, ret_id) &&
	       read_address(address, ret_address);
}

/* What an option of the head says; false if the rule must be refused. */
static bool read_option(struct head *head, char option, bool is_negated, char *value)
{
	struct traffic_address *address = option == 's' ? &head->source : &head->destination;

	switch (option) {
	case 's':
	case 'd':
		return !is_negated && read_address(value, address);
	case 'i':
		head->is_in |= !is_negated; /* all but one may also be none */
		return true;
	case 'o':
		head->is_out |= !is_negated;
		return true;
	default:
		return option == 'p';
	}
}

/* Stops at the first match. */
static bool read_head(struct words *words, struct head *head)
{
	while (next_word(words)) {
		bool is_negated = strcmp(words->text, "!") == 0;
		char option;

		if (is_negated && !next_word(words))
			return false;
		if (words->text[0] != '-' || !words->text[1] || words->text[2])
			return false;
		option = words->text[1];
		if (option == 'm' || option == 'j' || option == 'g')
			return true;
		if (!next_word(words) || !read_option(head, option, is_negated, words->text))
			return false;
	}
	return false;
}

/* The one comment of the rule that has our words. */
static bool find_comment(struct words *words, int64_t *ret_id, struct traffic_address *ret_address)
{
	bool is_found = false;

	while (next_word(words)) {
		if (strcmp(words->text, "--comment") != 0)
			continue;
		if (!next_word(words))
			return false;
		if (!strstr(words->text, ACCOUNTING_WORDS))
			continue;
		if (is_found || !read_comment(words->text, ret_id, ret_address))
			return false;
		is_found = true;
	}
	return is_found && !words->is_damaged;
}

/* Which direction of the address the rule counts; false if that is not known. */
static bool read_direction(
	const struct head *head, const struct traffic_address *own, bool *ret_is_out)
{
	const struct traffic_address *named =
		head->source.family ? &head->source : &head->destination;

	if (head->source.family && head->destination.family)
		return false;
	if (named->family) {
		*ret_is_out = named == &head->source;
		return memcmp(named, own, sizeof(*own)) == 0;
	}
	*ret_is_out = head->is_out;
	return head->is_out || head->is_in;
}

static bool read_rule(const char *line, size_t size, struct accounting_entry *ret_entry)
{
	struct words words = { .next = line, .end = line + size };
	struct head head = { 0 };
	struct traffic_address own;
	uint64_t bytes;
	bool is_out;
	int64_t id;

	if (!next_word(&words) || !read_counter(words.text, &bytes))
		return false;
	if (!next_word(&words) || strcmp(words.text, "-A") != 0 || !next_word(&words))
		return false;
	if (!read_head(&words, &head) || !find_comment(&words, &id, &own) ||
		!read_direction(&head, &own, &is_out))
		return false;
	*ret_entry = (struct accounting_entry){ .id = id, .address = own };
	*(is_out ? &ret_entry->has_out : &ret_entry->has_in) = true;
	*(is_out ? &ret_entry->out_bytes : &ret_entry->in_bytes) = bytes;
	return true;
}

static int add_rule(struct rules *rules, const struct accounting_entry *entry)
{
	size_t room = rules->room ? 2 * rules->room : 64;
	struct rule *items;

	if (rules->count == RULES_MAX) {
		rules->refused++;
		return 0;
	}
	if (rules->count == rules->room) {
		items = reallocarray(rules->items, room, sizeof(*items));
		if (!items)
			return -ENOMEM;
		rules->items = items;
		rules->room = room;
	}
	rules->items[rules->count] = (struct rule){ .entry = *entry, .place = rules->count };
	rules->count++;
	return 0;
}

static int read_rules(const char *text, size_t size, struct rules *rules)
{
	const char *end = text + size, *line, *next;
	int r = 0;

	for (line = text; r == 0 && line < end; line = next + 1) {
		struct accounting_entry entry;
		bool is_whole;

		next = memchr(line, '\n', (size_t)(end - line));
		is_whole = next;
		if (!is_whole)
			next = end;
		size = (size_t)(next - line);
		if (!memmem(line, size, ACCOUNTING_WORDS, strlen(ACCOUNTING_WORDS)))
			continue;
		if (is_whole && size <= ACCOUNTING_LINE_MAX && read_rule(line, size, &entry))
			r = add_rule(rules, &entry);
		else
			rules->refused++;
	}
	return r;
}

static int compare_entries(const struct accounting_entry *a, const struct accounting_entry *b)
{
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return memcmp(&a->address, &b->address, sizeof(a->address)); /* the family first */
}

static int compare_rules(const void *a, const void *b)
{
	const struct rule *one = a, *other = b;
	int order = compare_entries(&one->entry, &other->entry);

	return order ? order : (one->place > other->place) - (one->place < other->place);
}

/* False if the direction has its rule already. */
static bool merge_rule(struct accounting_entry *entry, const struct accounting_entry *rule)
{
	if ((rule->has_in && entry->has_in) || (rule->has_out && entry->has_out))
		return false;
	entry->has_in |= rule->has_in;
	entry->has_out |= rule->has_out;
	entry->in_bytes += rule->in_bytes;
	entry->out_bytes += rule->out_bytes;
	return true;
}

static void merge_rules(const struct rules *rules, struct accounting *accounting)
{
	struct accounting_entry *last = NULL;

	for (size_t i = 0; i < rules->count; i++) {
		const struct accounting_entry *rule = &rules->items[i].entry;

		if (last && compare_entries(last, rule) == 0) {
			accounting->refused += !merge_rule(last, rule);
		} else if (accounting->count < ACCOUNTING_MAX) {
			last = &accounting->entries[accounting->count++];
			*last = *rule;
		} else {
			accounting->refused++;
			last = NULL;
		}
	}
}

int accounting_parse(const char *text, size_t size, struct accounting *ret_accounting)
{
	struct accounting accounting = { 0 };
	struct rules rules = { 0 };
	int r = read_rules(text, size, &rules);

	if (r == 0 && rules.count) {
		qsort(rules.items, rules.count, sizeof(*rules.items), compare_rules);
		accounting.entries = calloc(
			MIN_OF(rules.count, (size_t)ACCOUNTING_MAX), sizeof(*accounting.entries));
		if (!accounting.entries)
			r = -ENOMEM;
	}
	if (r == 0) {
		accounting.refused = rules.refused;
		merge_rules(&rules, &accounting);
		*ret_accounting = accounting;
	}
	free(rules.items);
	return r;
}

void accounting_deinit(struct accounting *accounting)
{
	free(accounting->entries);
	*accounting = (struct accounting){ 0 };
}
