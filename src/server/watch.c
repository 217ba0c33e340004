/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "server/watch.h"

#include <stdlib.h>
#include <string.h>

#include "server/answers.h"

#define PREFIX "kanyun_server_"

static const struct {
	enum counter counter;
	const char *name, *help;
} totals[] = {
	{ COUNTER_RECEIVED, PREFIX "messages_total", "Messages of any kind that came." },
	{ COUNTER_BYTES, PREFIX "received_bytes_total", "Bytes of their frames." },
	{ COUNTER_HEARTBEATS, PREFIX "heartbeats_total", "Heartbeats among the messages." },
	{ COUNTER_LEGACY, PREFIX "legacy_messages_total", "Messages in the form of old workers." },
	{ COUNTER_KNOWN, PREFIX "known_messages_total",
		"Messages that had come before, dropped unparsed." },
	{ COUNTER_TOO_FAR, PREFIX "too_far_messages_total",
		"Messages too far ahead of a hole, which must come again." },
	{ COUNTER_UNAVAILABLE, PREFIX "unavailable_messages_total",
		"Messages dropped unacknowledged for want of memory or of the store." },
	{ COUNTER_GONE, PREFIX "gone_messages_total",
		"Numbers of messages that never came and never will." },
	{ COUNTER_REFUSED, PREFIX "refused_messages_total",
		"Messages of which nothing was usable." },
	{ COUNTER_STORED, PREFIX "stored_samples_total", "Samples that were new." },
	{ COUNTER_DUPLICATE, PREFIX "duplicate_samples_total", "Samples that were known." },
	{ COUNTER_CONFLICTING, PREFIX "conflicting_samples_total",
		"Of the duplicate samples: those with another value." },
	{ COUNTER_LATE, PREFIX "late_samples_total",
		"Samples older than one of their series that was stored." },
	{ COUNTER_ACKS, PREFIX "acknowledgements_total", "Acknowledgements that were sent." },
	{ COUNTER_DISCONNECTED, PREFIX "disconnections_total",
		"Connections of workers that ended." },
	{ COUNTER_PAUSES, PREFIX "pauses_total",
		"How often reading stopped because the store was behind." },
};

/* Of the names of store_counters. */
static const struct {
	const char *counter, *name;
	enum exposition_type type;
	const char *help;
} of_store[] = {
	{ "store_instances", PREFIX "store_instances", EXPOSITION_GAUGE,
		"Instances whose tracks are in memory." },
	{ "store_tracks", PREFIX "store_tracks", EXPOSITION_GAUGE, "Their tracks." },
	{ "store_journal_rows", PREFIX "store_journal_rows_total", EXPOSITION_COUNTER,
		"Rows written to the journal." },
	{ "store_journal_bytes", PREFIX "store_journal_bytes_total", EXPOSITION_COUNTER,
		"Bytes written to the journal." },
	{ "store_chunks_written", PREFIX "store_chunks_total", EXPOSITION_COUNTER,
		"Chunks that were written." },
	{ "store_chunk_bytes", PREFIX "store_chunk_bytes_total", EXPOSITION_COUNTER,
		"Bytes of these chunks." },
	{ "store_readings", PREFIX "store_readings_total", EXPOSITION_COUNTER,
		"Rows of readings written to Cassandra." },
	{ "store_reading_bytes", PREFIX "store_reading_bytes_total", EXPOSITION_COUNTER,
		"Bytes of these readings." },
	{ "store_summaries", PREFIX "store_summaries_total", EXPOSITION_COUNTER,
		"Finished days of instances that were summarized in Cassandra." },
	{ "cql_requests", PREFIX "cql_requests_total", EXPOSITION_COUNTER,
		"Statements that Cassandra was asked." },
	{ "cql_failures", PREFIX "cql_failures_total", EXPOSITION_COUNTER,
		"Of these, those without an answer and those that were refused." },
	{ "cql_retries", PREFIX "cql_retries_total", EXPOSITION_COUNTER,
		"Statements that were sent again." },
	{ "cql_timeouts", PREFIX "cql_timeouts_total", EXPOSITION_COUNTER,
		"Sendings that were not answered in time." },
	{ "cql_overloads", PREFIX "cql_overloads_total", EXPOSITION_COUNTER,
		"Answers of nodes that had too much to do." },
	{ "cql_connects", PREFIX "cql_connects_total", EXPOSITION_COUNTER,
		"Connections to nodes that became ready." },
	{ "cql_connect_failures", PREFIX "cql_connect_failures_total", EXPOSITION_COUNTER,
		"Connections to nodes that did not." },
	{ "cql_disconnects", PREFIX "cql_disconnects_total", EXPOSITION_COUNTER,
		"Connections to nodes that ended." },
	{ "cql_sent_bytes", PREFIX "cql_sent_bytes_total", EXPOSITION_COUNTER,
		"Bytes sent to nodes." },
	{ "cql_received_bytes", PREFIX "cql_received_bytes_total", EXPOSITION_COUNTER,
		"Bytes that came from nodes." },
	{ "cql_pending", PREFIX "cql_pending", EXPOSITION_GAUGE,
		"Statements that wait or are under way." },
	{ "cql_nodes_known", PREFIX "cql_nodes_known", EXPOSITION_GAUGE,
		"Nodes of Cassandra in the data centre." },
	{ "cql_nodes_connected", PREFIX "cql_nodes_connected", EXPOSITION_GAUGE,
		"Of these, those that are connected." },
	{ "store_corrupt", PREFIX "store_corrupt_total", EXPOSITION_COUNTER,
		"What was found damaged." },
	{ "store_days_deleted", PREFIX "store_deleted_day_files_total", EXPOSITION_COUNTER,
		"Days whose files were deleted because they were too old." },
};

static void write_totals(const struct counters *counters, struct exposition *to)
{
	for (size_t i = 0; i < ARRAY_SIZE(totals); i++)
		exposition_single(to, totals[i].name, EXPOSITION_COUNTER, totals[i].help,
			(int64_t)counters_read(counters, totals[i].counter));
	exposition_family(to, PREFIX "refusals_total", EXPOSITION_COUNTER,
		"Messages, and parts of messages, that were refused, by the reason.");
	for (unsigned int i = 0; i < _REFUSAL_COUNT; i++)
		exposition_integer(to,
			&(struct exposition_label){ "reason", refusal_name((enum refusal)i) }, 1,
			(int64_t)counters_read(counters, _COUNTER_REFUSAL + i));
}

static void write_store_counter(void *context, const char *name, uint64_t value)
{
	struct exposition *to = context;

	for (size_t i = 0; i < ARRAY_SIZE(of_store); i++)
		if (strcmp(of_store[i].counter, name) == 0)
			exposition_single(to, of_store[i].name, of_store[i].type, of_store[i].help,
				(int64_t)value);
}

static void write_store(const struct answers *answers, struct exposition *to)
{
	struct writer_counters writer;

	writer_read_counters(answers->writer, &writer);
	exposition_family(to, PREFIX "commit_seconds", EXPOSITION_HISTOGRAM,
		"How long commits to the store took.");
	exposition_histogram(to, NULL, 0, &answers->counters->committed);
	exposition_family(to, PREFIX "acknowledgement_seconds", EXPOSITION_HISTOGRAM,
		"From the arrival of a message to its acknowledgement.");
	exposition_histogram(to, NULL, 0, &answers->counters->acknowledged);
	exposition_single(to, PREFIX "commit_failures_total", EXPOSITION_COUNTER,
		"Commits that failed and were tried again.", (int64_t)writer.failures);
	exposition_single(to, PREFIX "store_is_failing", EXPOSITION_GAUGE,
		"1 while the store takes nothing.", writer.is_failing);
	exposition_single(to, PREFIX "queued_messages", EXPOSITION_GAUGE,
		"Messages that wait for a commit.", (int64_t)writer.queued);
	exposition_single(to, PREFIX "damaged_day_files", EXPOSITION_GAUGE,
		"Days whose readings the store has lost.", (int64_t)answers->damaged_days);
	store_counters(answers->store, write_store_counter, to);
}

/* One family: of each worker a value, if `value` returns that there is one. */
struct of_worker {
	const char *name, *help;
	unsigned int places;
	bool (*value)(const struct worker_view *worker, int64_t now_ms, int64_t *ret_value);
};

static bool is_up(const struct worker_view *worker, int64_t now_ms, int64_t *ret_value)
{
	*ret_value = !worker->is_dead;
	return true;
}

static bool silence(const struct worker_view *worker, int64_t now_ms, int64_t *ret_value)
{
	*ret_value = worker->silent_ms;
	return true;
}

static bool clock_offset(const struct worker_view *worker, int64_t now_ms, int64_t *ret_value)
{
	*ret_value = worker->clock_offset_ms;
	return true;
}

static bool spool_messages(const struct worker_view *worker, int64_t now_ms, int64_t *ret_value)
{
	*ret_value = (int64_t)(worker->sent.sequence - worker->sent.oldest) + 1;
	return worker->has_sent;
}

static bool behind(const struct worker_view *worker, int64_t now_ms, int64_t *ret_value)
{
	*ret_value = MAX_OF((int64_t)(worker->sent.sequence - worker->durable), INT64_C(0));
	return worker->has_sent;
}

static bool spool_age(const struct worker_view *worker, int64_t now_ms, int64_t *ret_value)
{
	*ret_value = worker->sent_ms - worker->sent.last_ms;
	return worker->has_sent && worker->sent.last_ms;
}

static bool frontier_lag(const struct worker_view *worker, int64_t now_ms, int64_t *ret_value)
{
	*ret_value = now_ms - worker->until_ms;
	return worker->until_ms;
}

static const struct of_worker of_workers[] = {
	{ PREFIX "worker_is_alive", "1, or 0 for a worker that is silent for too long.", 0, is_up },
	{ PREFIX "worker_silence_seconds", "Since when nothing was heard of the worker.", 3,
		silence },
	{ PREFIX "worker_clock_offset_seconds",
		"The worker's clock minus the server's, by its last heartbeat.", 3, clock_offset },
	{ PREFIX "worker_spool_messages",
		"Numbers from the oldest message in the worker's spool to the last one that came.",
		0, spool_messages },
	{ PREFIX "worker_unacknowledged_messages",
		"Numbers from the last one that is durable to the last one that came.", 0, behind },
	{ PREFIX "worker_spool_age_seconds",
		"How old the readings of the worker's last message were when it came.", 3,
		spool_age },
	{ PREFIX "worker_frontier_lag_seconds",
		"Since when it is not durable that everything the worker read has come.", 3,
		frontier_lag },
};

static void write_of_worker(const struct of_worker *of, const struct worker_view *workers,
	size_t count, int64_t now_ms, struct exposition *to)
{
	int64_t value;

	exposition_family(to, of->name, EXPOSITION_GAUGE, of->help);
	for (size_t i = 0; i < count; i++)
		if (of->value(&workers[i], now_ms, &value))
			exposition_decimal(to,
				&(struct exposition_label){ "worker", workers[i].name }, 1, value,
				of->places);
}

static void write_workers(const struct answers *answers, struct exposition *to)
{
	int64_t now_ms = clock_wall_ms(answers->clock);
	struct worker_view *workers;
	size_t alive, dead, count;

	workers_count(answers->workers, &alive, &dead);
	exposition_family(to, PREFIX "workers", EXPOSITION_GAUGE, "Workers that are watched.");
	exposition_integer(to, &(struct exposition_label){ "state", "alive" }, 1, (int64_t)alive);
	exposition_integer(to, &(struct exposition_label){ "state", "dead" }, 1, (int64_t)dead);
	workers = workers_view(answers->workers, &count);
	for (size_t i = 0; i < ARRAY_SIZE(of_workers); i++)
		write_of_worker(&of_workers[i], workers, count, now_ms, to);
	free(workers);
}

void watch_write(void *context, struct exposition *to)
{
	const struct answers *answers = context;

	write_totals(answers->counters, to);
	write_store(answers, to);
	write_workers(answers, to);
	answers_expose_questions(answers, to);
}
