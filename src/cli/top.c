/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun top: what all instances do now, in one question to kanyun-api; once, or again and again on
 * a terminal. */

#include "cli/top.h"

#include <czmq.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/time-text.h"
#include "cli/client.h"
#include "cli/table.h"
#include "cli/terminal.h"

enum { LIMIT_MAX = 1000 * 1000 };

/* What is shown. */
struct top {
	struct client *client;
	const struct top_order *order;
	bool is_reversed;
	size_t limit;
	int64_t interval_ms;
};

static json_t *args_for(const struct client *client)
{
	return json_pack("{s:s?, s:s?}", "project_id", client->project, "host", client->host);
}

/* "512", "1.5K": of 1024. */
static void add_amount(struct table *table, double amount)
{
	static const char units[] = " KMGTPE";
	size_t unit = 0;
	char text[32] = "-";

	while (amount >= 1023.5 && unit + 2 < sizeof(units)) {
		amount /= 1024;
		unit++;
	}
	if (!isnan(amount))
		snprintf(text, sizeof(text), unit && amount < 99.95 ? "%.1f%.*s" : "%.0f%.*s",
			amount, unit ? 1 : 0, &units[unit]);
	table_add(table, text);
}

static void add_percent(struct table *table, double percent)
{
	char text[32] = "-";

	if (!isnan(percent))
		snprintf(text, sizeof(text), "%.1f", percent);
	table_add(table, text);
}

/* "read 12m ago": an old row's state is none of now. */
static void add_state(struct table *table, const struct top_row *row)
{
	int64_t seconds = row->age_ms / 1000;
	char text[64];

	if (!row->is_old)
		snprintf(text, sizeof(text), "%s", row->state);
	else if (seconds < 120)
		snprintf(text, sizeof(text), "read %" PRId64 "s ago", seconds);
	else
		snprintf(text, sizeof(text), "read %" PRId64 "m ago", seconds / 60);
	table_add(table, text);
}

static void add_row(struct table *table, const struct top_row *row)
{
	table_add(table, *row->display_name ? row->display_name : *row->name ? row->name : row->id);
	table_add(table, *row->project_name ? row->project_name : row->project_id);
	table_add(table, row->host);
	add_state(table, row);
	for (size_t i = 0; i < _TOP_VALUE_COUNT; i++)
		if (i <= TOP_CORE_PERCENT)
			add_percent(table, row->values[i]);
		else
			add_amount(table,
				row->values[i] *
					(i >= TOP_MEMORY && i <= TOP_MEMORY_FREE ? 1024 : 1));
}

static struct table *table_of(const struct top_rows *rows, size_t limit)
{
	static const char *const heads[] = { "INSTANCE", "PROJECT", "HOST", "STATE", ">CPU%",
		">CORE%", ">MEM", ">MAX", ">FREE", ">NIC IN/s", ">NIC OUT/s", ">READ/s", ">WRITE/s",
		">EXT IN/s", ">EXT OUT/s" };
	struct table *table = table_new(heads, ARRAY_SIZE(heads));

	for (size_t i = 0; i < rows->count && i < limit; i++)
		add_row(table, &rows->rows[i]);
	return table;
}

static int show_once(struct top *top)
{
	json_t *answer = client_ask(top->client, "latest", args_for(top->client));
	CLEANUP(top_rows_deinit) struct top_rows rows = { 0 };
	struct table *table;

	if (!answer)
		return EXIT_FAILED;
	top_rows_init(&rows, answer);
	top_rows_sort(&rows, top->order, top->is_reversed);
	if (top->client->is_csv) {
		top_rows_print_csv(&rows, top->limit);
	} else if (top->client->is_json) {
		client_print_json(top_rows_to_json(&rows, top->limit));
	} else {
		table = table_of(&rows, top->limit);
		table_print(table);
		table_free(table);
	}
	json_decref(answer);
	return EXIT_DONE;
}

/* What the view shows: the newest answer, or why there is none. */
struct view {
	json_t *answer;
	struct top_rows rows;
	struct error failure;
	int code;
	char time[TIME_TEXT_SIZE];
};

static void view_deinit(struct view *view)
{
	top_rows_deinit(&view->rows);
	json_decref(view->answer);
	*view = (struct view){ 0 };
}
CLEANUP_DEFINE_VALUE(struct view, view_deinit)

static void ask_again(struct top *top, struct view *view)
{
	view_deinit(view);
	view->code = client_try(
		top->client, "latest", args_for(top->client), &view->answer, &view->failure);
	top_rows_init(&view->rows, view->answer);
	time_text_format(clock_wall_ms(clock_system()) / 1000 * 1000, view->time);
}

static void print_title(const struct top *top, const struct view *view, size_t columns)
{
	char text[256 + sizeof(view->failure.text)];

	if (view->code == 0)
		snprintf(text, sizeof(text),
			"kanyun top  %s  %zu instances by %s%s  c m n d t: sort  r: reverse  q: "
			"end",
			view->time, view->rows.count, top->order->name,
			top->is_reversed ? ", reversed" : "");
	else
		snprintf(text, sizeof(text), "kanyun top  %s  %s", view->time,
			error_text(&view->failure, view->code));
	printf("%.*s" TERMINAL_LINE_END, (int)MIN_OF(columns, sizeof(text)), text);
}

/* Below the title and the heads; the last line stays free, so that nothing scrolls. */
static void draw(const struct top *top, struct view *view)
{
	struct table *table;
	size_t columns, lines;

	terminal_size(&columns, &lines);
	top_rows_sort(&view->rows, top->order, top->is_reversed);
	table = table_of(&view->rows, MIN_OF(top->limit, lines > 3 ? lines - 3 : 0));
	terminal_home();
	print_title(top, view, columns);
	table_print_within(table, columns, TERMINAL_LINE_END);
	terminal_clear_rest();
	table_free(table);
}

static void take_key(struct top *top, int key)
{
	const struct top_order *order = key > 0 ? top_order_by_key((char)key) : NULL;

	if (order)
		top->order = order;
	if (key == 'r')
		top->is_reversed = !top->is_reversed;
}

static int show_live(struct top *top)
{
	CLEANUP(view_deinit) struct view view = { 0 };
	int64_t next_ms = clock_monotonic_ms(clock_system());
	int key = TERMINAL_TIMEOUT;

	zsys_handler_set(NULL);
	terminal_begin();
	while (key != 'q') {
		int64_t now_ms = clock_monotonic_ms(clock_system());

		if (now_ms >= next_ms) {
			ask_again(top, &view);
			now_ms = clock_monotonic_ms(clock_system());
			next_ms = now_ms + top->interval_ms;
		}
		draw(top, &view);
		key = terminal_key(next_ms - now_ms);
		take_key(top, key);
	}
	terminal_end();
	return EXIT_DONE;
}

static int parse(struct top *top, struct error *err)
{
	const struct client *client = top->client;
	int64_t limit = LIMIT_MAX;

	top->order = top_order_by_name(client->sort ? client->sort : "cpu");
	if (client->argument_count)
		return error_set(err, -EINVAL, "top: no arguments are expected");
	if (client->is_json && client->is_csv)
		return error_set(err, -EINVAL, "--json and --csv exclude each other");
	if (!top->order)
		return error_set(err, -EINVAL,
			"--sort '%s' is none of cpu, core, memory, network, disk, traffic, name, "
			"project, host, state",
			client->sort);
	if (client->limit &&
		(text_to_i64(client->limit, &limit) < 0 || limit < 1 || limit > LIMIT_MAX))
		return error_set(err, -EINVAL, "--limit '%s' is no number from 1 to %d",
			client->limit, LIMIT_MAX);
	top->limit = (size_t)limit;
	return client_interval(client, &top->interval_ms, err);
}

int command_top(struct client *client)
{
	struct top top = { .client = client };
	struct error err = { 0 };

	if (parse(&top, &err) < 0)
		return client_complain(client, "%s", err.text);
	return client->is_once || client->is_json || client->is_csv || !isatty(STDOUT_FILENO)
		       ? show_once(&top)
		       : show_live(&top);
}
