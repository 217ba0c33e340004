/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun store copy: from one store, which no server has open, into another. It does not ask
 * kanyun-api, but opens both itself. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/time-text.h"
#include "cli/client.h"
#include "query/closing.h"
#include "query/timeline.h"
#include "store/copy.h"
#include "store/gaps.h"
#include "store/heard.h"
#include "store/horizon.h"
#include "store/lost-days.h"
#include "store/named/named.h"

enum { TIDY_SAMPLES = 2 * 1000 * 1000 }; /* some 100 MB */

static void show_progress(void *context, const struct copy *copy)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%zu of %zu instances, %" PRIu64 " samples%s", copy->instances,
			copy->instance_count, copy->samples,
			copy->instances == copy->instance_count ? "\n" : "");
}

/* Figures of a closed month have a kind of their own. */
struct months {
	char kinds[1200][64];
	size_t count;
};

static int note_month(void *context, const struct store_record *record)
{
	struct months *months = context;

	if (months->count == ARRAY_SIZE(months->kinds))
		return 1;
	snprintf(months->kinds[months->count++], sizeof(months->kinds[0]), CLOSED_KIND "/%.32s",
		record->key);
	return 0;
}

static int copy_facts(struct copy *copy, struct error *err)
{
	static const char *const kinds[] = { GAP_KIND, RETIRED_KIND, CLOSED_KIND, HORIZON_KIND,
		HEARD_KIND, LEFT_KIND };
	static struct months months;
	int r = store_records(copy->from, CLOSED_KIND, "", note_month, &months, err);

	for (size_t i = 0; i < months.count && r == 0; i++)
		r = copy_records(copy, months.kinds[i], err);
	for (size_t i = 0; i < ARRAY_SIZE(kinds) && r == 0; i++)
		r = copy_records(copy, kinds[i], err);
	return r == 0 ? copy_sources(copy, err) : r;
}

static int report_lost(void *context, int64_t from_ms, int64_t to_ms, const char *what)
{
	const struct client *client = context;
	char from[TIME_TEXT_SIZE];

	fprintf(stderr,
		"%s: readings of the day from %s are lost: '%s' is what is left of their file; "
		"the copy has a gap there\n",
		client->program, time_text_format(from_ms, from), what);
	return 0;
}

/* What opening the first store set aside is a gap of it before its gaps are copied. Sources are
 * last: until then, workers would send again all that they still have. */
static int copy_all(struct copy *copy, struct client *client, struct error *err)
{
	int r = lost_days_record(copy->from, clock_wall_ms(copy->clock), report_lost, client, err);

	if (r == 0)
		r = copy_instances(copy, err);
	return r == 0 ? copy_facts(copy, err) : r;
}

int command_store(struct client *client)
{
	struct copy copy = { .name = client->from,
		.clock = clock_system(),
		.tidy_samples = TIDY_SAMPLES,
		.progress = show_progress };
	struct error err = { 0 };
	int r;

	if (client->argument_count != 1 || strcmp(client->arguments[0], "copy") != 0 ||
		!client->from || !client->to)
		return client_complain(client, "store: expected copy --from STORE --to STORE");
	r = named_store_new(client->config, client->from, true, &copy.from, &err);
	if (r == 0)
		r = named_store_new(client->config, client->to, false, &copy.to, &err);
	if (r == 0)
		r = copy_all(&copy, client, &err);
	store_free(copy.from);
	store_free(copy.to);
	if (r != 0) {
		fprintf(stderr, "%s: %s\n", client->program, error_text(&err, r > 0 ? -EIO : r));
		return EXIT_FAILED;
	}
	printf("%" PRIu64 " samples of %zu instances were copied and compared", copy.samples,
		copy.instances - copy.skipped);
	if (copy.skipped)
		printf("; %zu more had been before", copy.skipped);
	putchar('\n');
	return EXIT_DONE;
}
