/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Readings in Apache Cassandra (private.h has the parts and the invariants). */

#include <errno.h>
#include <stdlib.h>

#include "base/checked.h"
#include "store/cassandra/private.h"
#include "store/horizon.h"

static struct cassandra_store *of(struct store *store)
{
	return (struct cassandra_store *)store;
}

int cassandra_outcome(int r)
{
	return r == CQL_UNAVAILABLE || r == CQL_BUSY ? STORE_UNAVAILABLE : r;
}

void cassandra_count_corrupt(struct cassandra_store *store)
{
	pthread_mutex_lock(&store->lock);
	store->counters.corrupt++;
	pthread_mutex_unlock(&store->lock);
}

int cassandra_corrupt(struct cassandra_store *store, const char *what, struct error *err)
{
	cassandra_count_corrupt(store);
	return error_set(err, -EBADMSG, "Cassandra: %s is not what was written", what);
}

static int64_t locked(struct cassandra_store *store, const int64_t *time_ms)
{
	int64_t value_ms;

	pthread_mutex_lock(&store->lock);
	value_ms = *time_ms;
	pthread_mutex_unlock(&store->lock);
	return value_ms;
}

int64_t cassandra_kept_from(struct cassandra_store *store)
{
	return locked(store, &store->kept_from_ms);
}

int64_t cassandra_kept_day(struct cassandra_store *store)
{
	int64_t kept_from_ms = cassandra_kept_from(store);

	return floor_divide(MAX_OF(kept_from_ms, 0), DAY_MS);
}

int64_t cassandra_now(struct cassandra_store *store)
{
	return locked(store, &store->now_ms);
}

int64_t cassandra_tidied(struct cassandra_store *store)
{
	return locked(store, &store->tidied_ms);
}

static int cassandra_append(struct store *base, const struct store_commit *commit,
	struct store_tally *ret_tally, struct error *err)
{
	return cassandra_outcome(append_commit(of(base), commit, ret_tally, err));
}

static int cassandra_sources(struct store *base, const char *host, const char *worker,
	store_source_fn each, void *context, struct error *err)
{
	return ledger_sources(of(base), host, worker, each, context, err);
}

static int cassandra_records(struct store *base, const char *kind, const char *prefix,
	store_record_fn each, void *context, struct error *err)
{
	return ledger_records(of(base), kind, prefix, each, context, err);
}

static int cassandra_instances(struct store *base, const struct store_filter *filter,
	store_instance_fn each, void *context, struct error *err)
{
	return listing_instances(of(base), filter, each, context, err);
}

static int cassandra_scan(struct store *base, const struct store_scan *scan, store_series_fn each,
	void *context, struct error *err)
{
	return scan_run(of(base), scan, each, context, err);
}

static int cassandra_survey(struct store *base, const struct instance_key *instances, size_t count,
	const struct store_scan *scan, store_survey_fn each, void *context, struct error *err)
{
	return survey_run(of(base), instances, count, scan, each, context, err);
}

static int cassandra_latest(struct store *base, const struct store_recent *recent,
	store_latest_fn each, void *context, struct error *err)
{
	return newest_each(of(base), recent, each, context, err);
}

static int advance_kept_from(struct cassandra_store *store, int64_t keep_from_ms, struct error *err)
{
	int r = 0;

	keep_from_ms = floor_divide(keep_from_ms, DAY_MS) * DAY_MS;
	if (keep_from_ms > cassandra_kept_from(store))
		r = cassandra_outcome(ledger_advance(store, KEPT_FROM, keep_from_ms, err));
	pthread_mutex_lock(&store->lock);
	if (r == 0)
		store->kept_from_ms = MAX_OF(store->kept_from_ms, keep_from_ms);
	pthread_mutex_unlock(&store->lock);
	return r;
}

static int note_older(void *context, const struct store_instance *instance)
{
	return instance->first_ms && instance->first_ms < *(const int64_t *)context;
}

/* What expired by itself, because no server looked after the tables for long or retention_days was
 * less before, is said to be deleted, a whole day as soon as a part of it may be. */
static int note_expiry(struct cassandra_store *store, int64_t now_ms, struct error *err)
{
	const struct store_filter everyone = { 0 };
	int64_t gone_ms = expiry_gone_before(store, now_ms);
	int r;

	if (gone_ms == INT64_MIN || gone_ms <= cassandra_kept_from(store))
		return 0;
	gone_ms = (floor_divide(gone_ms - 1, DAY_MS) + 1) * DAY_MS;
	r = listing_instances(store, &everyone, note_older, &gone_ms, err);
	if (r == STORE_STOPPED)
		r = horizon_advance(&store->store, gone_ms, now_ms, err);
	return r == 0 ? advance_kept_from(store, gone_ms, err) : r;
}

/* This server's clock may be behind that of one which summarizes days. */
static int follow_tidied(struct cassandra_store *store, int64_t now_ms, struct error *err)
{
	int64_t tidied_ms = now_ms;
	int r = ledger_read_number(store, TIDIED, &tidied_ms, err);

	pthread_mutex_lock(&store->lock);
	store->tidied_ms = MAX_OF(store->tidied_ms, MAX_OF(tidied_ms, now_ms));
	pthread_mutex_unlock(&store->lock);
	return r;
}

/* Rows expire by themselves: what is left is to stop showing them before they do, and to summarize
 * days. */
static int cassandra_maintain(
	struct store *base, int64_t now_ms, int64_t keep_from_ms, bool *ret_more, struct error *err)
{
	struct cassandra_store *store = of(base);
	int r;

	pthread_mutex_lock(&store->lock);
	r = recent_forget(store, now_ms - RECENT_MS);
	store->now_ms = now_ms;
	pthread_mutex_unlock(&store->lock);
	if (r == 0)
		r = follow_tidied(store, now_ms, err);
	if (r == 0 && keep_from_ms != INT64_MIN)
		r = advance_kept_from(store, keep_from_ms, err);
	if (r == 0 && store->access == CASSANDRA_SERVES)
		r = cassandra_outcome(expiry_settle(store, now_ms, keep_from_ms != INT64_MIN, err));
	if (r == 0)
		r = note_expiry(store, now_ms, err);
	return r == 0 ? sweep_some(store, now_ms, ret_more, err) : r;
}

static void cassandra_counters(struct store *base, store_counter_fn each, void *context)
{
	struct cassandra_store *store = of(base);
	struct cassandra_counters counters;
	struct cql_counters cql;
	size_t instances, tracks;

	cql_session_counters(store->session, &cql);
	pthread_mutex_lock(&store->lock);
	counters = store->counters;
	instances = store->recent.resident_count;
	tracks = store->recent.track_count;
	pthread_mutex_unlock(&store->lock);
	each(context, "store_instances", instances);
	each(context, "store_tracks", tracks);
	each(context, "store_readings", counters.readings);
	each(context, "store_reading_bytes", counters.bytes);
	each(context, "store_summaries", counters.summaries);
	each(context, "store_corrupt", counters.corrupt);
	each(context, "cql_requests", cql.requests);
	each(context, "cql_failures", cql.failures);
	each(context, "cql_retries", cql.retries);
	each(context, "cql_timeouts", cql.timeouts);
	each(context, "cql_overloads", cql.overloads);
	each(context, "cql_connects", cql.connects);
	each(context, "cql_connect_failures", cql.connect_failures);
	each(context, "cql_disconnects", cql.disconnects);
	each(context, "cql_sent_bytes", cql.sent_bytes);
	each(context, "cql_received_bytes", cql.received_bytes);
	each(context, "cql_pending", cql.pending);
	each(context, "cql_nodes_known", cql.nodes_known);
	each(context, "cql_nodes_connected", cql.nodes_connected);
}

static void cassandra_interrupt(struct store *base)
{
	cql_session_stop(of(base)->session);
}

static void cassandra_close(struct store *base)
{
	struct cassandra_store *store = of(base);

	cql_session_free(store->session);
	for (size_t i = 0; i < _STATEMENT_COUNT; i++)
		free(store->texts[i]);
	digester_deinit(&store->digester);
	noted_deinit(&store->noted);
	buffer_deinit(&store->scratch);
	buffer_deinit(&store->bundle);
	tracks_deinit(&store->recent);
	free(store->rests);
	sweep_deinit(&store->sweep);
	pthread_mutex_destroy(&store->append_lock);
	pthread_mutex_destroy(&store->lock);
	free(store);
}

static const struct store_ops cassandra_ops = { .name = "cassandra",
	.append = cassandra_append,
	.sources = cassandra_sources,
	.records = cassandra_records,
	.instances = cassandra_instances,
	.scan = cassandra_scan,
	.survey = cassandra_survey,
	.latest = cassandra_latest,
	.maintain = cassandra_maintain,
	.interrupt = cassandra_interrupt,
	.counters = cassandra_counters,
	.close = cassandra_close };

static int open_all(struct cassandra_store *store, const struct cassandra_store_options *options,
	struct error *err)
{
	int r = digester_init(&store->digester);

	if (r == 0)
		r = noted_init(&store->noted);
	if (r == 0)
		r = tracks_init(&store->recent);
	if (r == 0)
		r = cassandra_outcome(schema_open(store, options, err));
	if (r == 0)
		r = ledger_read_number(store, KEPT_FROM, &store->kept_from_ms, err);
	if (r == 0)
		r = ledger_read_number(store, TIDIED, &store->tidied_ms, err);
	return r == 0 ? 0
		      : error_prefix(err, r, "cannot open the store in Cassandra at '%s'",
				options->cql.hosts);
}

int cassandra_store_new(
	const struct cassandra_store_options *options, struct store **ret_store, struct error *err)
{
	struct cassandra_store *store = calloc(1, sizeof(*store));
	int r;

	if (!store)
		return -ENOMEM;
	store->store.ops = &cassandra_ops;
	store->kept_from_ms = INT64_MIN;
	store->now_ms = options->now_ms;
	pthread_mutex_init(&store->append_lock, NULL);
	pthread_mutex_init(&store->lock, NULL);
	buffer_init(&store->scratch, READING_BYTES_MAX);
	buffer_init(&store->bundle, BUNDLE_BYTES + READING_BYTES_MAX + INSTANCE_ID_SIZE + 16);
	r = open_all(store, options, err);
	if (r != 0) {
		if (options->on_opening)
			options->on_opening(options->context, NULL);
		cassandra_close(&store->store);
		return r;
	}
	*ret_store = &store->store;
	return 0;
}
