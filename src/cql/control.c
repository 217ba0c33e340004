/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/control.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "cql/request.h"

enum {
	REFRESH_EVERY_MS = 60 * 1000, /* news may get lost */
	REFRESH_AGAIN_MS = 1000,      /* after one that could not be asked for, or news */
	BESIDE_MS = 250,              /* until the next candidate is tried besides */
	PEERS_PAGE = 4 * CQL_RING_NODES_MAX,
};

static int64_t now_ms(const struct cql_control *control)
{
	return clock_monotonic_ms(control->cluster->connecting.clock);
}

static void add_candidate(
	struct cql_control *control, const struct cql_address *address, const char *name)
{
	struct cql_peer *candidate;

	for (size_t i = 0; i < control->candidate_count; i++)
		if (cql_address_equal(&control->candidates[i].address, address))
			return;
	if (control->candidate_count == CQL_CANDIDATES_MAX)
		return;
	candidate = &control->candidates[control->candidate_count++];
	memset(candidate, 0, sizeof(*candidate));
	candidate->address = *address;
	text_copy(candidate->name, sizeof(candidate->name), name);
}

static void add_nodes(struct cql_control *control, bool are_ready)
{
	const struct cql_cluster *cluster = control->cluster;

	for (size_t i = 0; i < cluster->count; i++)
		if (cql_node_is_ready(cluster->nodes[i]) == are_ready)
			add_candidate(control, &cluster->nodes[i]->peer.address,
				cluster->nodes[i]->peer.name);
}

/* Those that are addresses. */
static void add_numeric_contacts(struct cql_control *control)
{
	struct cql_address addresses[CQL_CONTACT_ADDRESSES_MAX];

	for (size_t i = 0; i < control->contact_count; i++)
		if (cql_contact_is_numeric(&control->contacts[i]) &&
			cql_contact_resolve(
				&control->contacts[i], addresses, &control->cluster->trouble) > 0)
			add_candidate(control, &addresses[0], control->contacts[i].host);
}

/* The nodes that answer, the contact points, the other nodes; only then what has to be looked up.
 */
static void begin_round(struct cql_control *control)
{
	control->candidate_count = control->next = 0;
	control->is_in_round = true;
	control->has_looked_up = false;
	add_nodes(control, true);
	add_numeric_contacts(control);
	add_nodes(control, false);
}

static void end_round(struct cql_control *control)
{
	control->is_in_round = false;
	control->failures++;
	control->retry_at_ms = now_ms(control) + cql_backoff_ms(control->failures);
}

static void begin_look_up(struct cql_control *control)
{
	struct cql_contact names[CQL_CONTACTS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < control->contact_count; i++)
		if (!cql_contact_is_numeric(&control->contacts[i]))
			names[count++] = control->contacts[i];
	control->next_trial_ms = now_ms(control) + BESIDE_MS; /* in their order, if all are quick */
	control->has_looked_up =
		count == 0 || cql_resolver_new(names, count, control->wake_fd, &control->resolver,
				      &control->cluster->trouble) < 0;
}

static void take_found(struct cql_control *control)
{
	bool is_done = cql_resolver_is_done(control->resolver);
	struct cql_found found;

	while (cql_resolver_next(control->resolver, &found, &control->cluster->trouble))
		add_candidate(control, &found.address, found.name);
	if (!is_done)
		return;
	control->resolver = cql_resolver_free(control->resolver);
	control->has_looked_up = true;
}

static void on_event(void *context, const struct cql_event *event)
{
	struct cql_control *control = context;

	if (event->kind == CQL_EVENT_STATUS && cql_bytes_equal(event->change, "UP"))
		cql_cluster_note_up(control->cluster, &event->address);
	else if (event->kind == CQL_EVENT_TOPOLOGY)
		cql_control_refresh(control, REFRESH_AGAIN_MS);
	else if (event->kind == CQL_EVENT_SCHEMA &&
		 cql_bytes_equal(event->schema.target, "KEYSPACE"))
		cql_control_refresh(control, 0);
}

static void begin_trial(struct cql_control *control)
{
	struct cql_control_trial *trial = &control->trials[control->trial_count];
	struct cql_connection_options options = control->cluster->connecting;

	trial->peer = control->candidates[control->next++];
	options.address = trial->peer.address;
	options.name = trial->peer.name;
	options.on_event = on_event;
	options.context = control;
	/* Who waits for a connection has time for another node. */
	options.request_timeout_ms =
		MIN_OF(options.request_timeout_ms, options.connect_timeout_ms / 2);
	if (cql_connection_open(&options, &trial->connection, &control->cluster->trouble) < 0) {
		options.counts->connect_failures++;
		return;
	}
	control->trial_count++;
	control->next_trial_ms = now_ms(control) + BESIDE_MS;
}

/* Whether there is, or may be, somebody else to try now. */
static bool has_more(const struct cql_control *control)
{
	if (control->next < control->candidate_count)
		return control->trial_count < CQL_TRIALS_MAX;
	return control->resolver ? cql_resolver_has_news(control->resolver)
				 : !control->has_looked_up;
}

static bool is_waiting(const struct cql_control *control)
{
	return control->trial_count > 0 ||
	       (control->resolver && !cql_resolver_is_done(control->resolver));
}

static void begin_next(struct cql_control *control)
{
	if (control->next < control->candidate_count)
		begin_trial(control);
	else if (control->resolver)
		take_found(control);
	else
		begin_look_up(control);
}

static void go_on(struct cql_control *control)
{
	if (!control->is_in_round)
		begin_round(control);
	while (has_more(control) &&
		(!is_waiting(control) || control->next_trial_ms <= now_ms(control)))
		begin_next(control);
	if (control->trial_count == 0 && !control->resolver)
		end_round(control);
}

/* Those that ended are forgotten; the first that is ready is asked. */
static void look_at_trials(struct cql_control *control)
{
	size_t count = control->trial_count;

	control->trial_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct cql_control_trial *trial = &control->trials[i];

		if (cql_connection_is_closed(trial->connection)) {
			(void)cql_connection_failure(trial->connection, &control->cluster->trouble);
			trial->connection = cql_connection_free(trial->connection);
		} else if (!control->connection && cql_connection_is_ready(trial->connection)) {
			control->connection = trial->connection;
			control->asked = trial->peer;
		} else {
			control->trials[control->trial_count++] = *trial;
		}
	}
}

static void end_search(struct cql_control *control)
{
	while (control->trial_count)
		cql_connection_free(control->trials[--control->trial_count].connection);
	control->resolver = cql_resolver_free(control->resolver);
}

static void drop_answers(struct cql_control *control)
{
	for (size_t i = 0; i < _CQL_ASK_COUNT; i++)
		control->asks[i].result = cql_result_free(control->asks[i].result);
}

static void close_connection(struct cql_control *control)
{
	control->connection = cql_connection_free(control->connection);
	drop_answers(control);
	control->is_registered = false;
	control->has_answered = false;
	control->has_failed = false;
}

static bool is_over(const struct cql_control *control)
{
	return cql_connection_is_closed(control->connection) || control->has_failed;
}

/* After one that had worked a new round begins, so that it is itself asked again. */
static void bury(struct cql_control *control)
{
	if (control->has_answered) {
		control->is_in_round = false;
		control->retry_at_ms = now_ms(control) + cql_backoff_ms(1);
	}
	if (cql_connection_is_closed(control->connection))
		(void)cql_connection_failure(control->connection, &control->cluster->trouble);
	close_connection(control);
}

static void on_registered(struct cql_question *question, const struct cql_answer *answer)
{
}

static void ask_for_events(struct cql_control *control)
{
	buffer_clear(&control->frame);
	cql_request_register(
		&control->frame, CQL_EVENTS_TOPOLOGY | CQL_EVENTS_STATUS | CQL_EVENTS_SCHEMA);
	control->is_registered =
		cql_connection_ask(control->connection, &control->registration, &control->frame);
}

static bool is_refreshing(const struct cql_control *control)
{
	for (size_t i = 0; i < _CQL_ASK_COUNT; i++)
		if (control->asks[i].is_out)
			return true;
	return false;
}

static int read_topology(struct cql_control *control, struct error *err)
{
	CLEANUP(cql_topology_free) struct cql_topology *topology = NULL;
	struct cql_control_ask *asks = control->asks;
	int r;

	if (!asks[CQL_ASK_LOCAL].result || !asks[CQL_ASK_PEERS].result)
		return -EIO; /* its text is there */
	r = cql_topology_read(&control->asked, asks[CQL_ASK_LOCAL].result,
		asks[CQL_ASK_PEERS].result, asks[CQL_ASK_REPLICATION].result, &topology, err);
	if (r == 0)
		control->on_topology(control->context, &topology);
	return r;
}

static void end_refresh(struct cql_control *control)
{
	int r = read_topology(control, &control->cluster->trouble);

	drop_answers(control);
	if (r == 0) {
		control->done = control->begun;
		control->failures = 0;
		control->has_answered = true;
		cql_control_refresh(control, REFRESH_EVERY_MS);
	}
	control->has_failed = r < 0;
}

static int take_answer(
	struct cql_control_ask *ask, const struct cql_answer *answer, struct error *err)
{
	struct cql_response response;
	int r;

	if (answer->outcome != CQL_ANSWERED)
		return error_set(err, -EIO, "%s", answer->reason->text);
	if (answer->frame.opcode != CQL_ERROR)
		return cql_result_decode(
			&answer->frame, answer->body, answer->size, &ask->result, err);
	r = cql_response_decode(&answer->frame, answer->body, answer->size, &response, err);
	return r < 0 ? r : cql_error_describe(&response.error, -EIO, err);
}

static void on_answer(struct cql_question *question, const struct cql_answer *answer)
{
	struct cql_control_ask *ask =
		(struct cql_control_ask *)((char *)question -
					   offsetof(struct cql_control_ask, question));
	struct cql_control *control = ask->control;

	ask->is_out = false;
	(void)take_answer(ask, answer, &control->cluster->trouble);
	if (answer->outcome != CQL_LOST && !is_refreshing(control))
		end_refresh(control);
}

static void ask_text(struct cql_control *control, enum cql_control_question which, const char *text)
{
	struct cql_parameters parameters = { .consistency = CQL_ONE, .page_size = PEERS_PAGE };
	struct cql_control_ask *ask = &control->asks[which];

	buffer_clear(&control->frame);
	cql_request_query(&control->frame, text, &parameters);
	ask->is_out = cql_connection_ask(control->connection, &ask->question, &control->frame);
}

static void ask_replication(struct cql_control *control)
{
	struct buffer text;

	buffer_init(&text, 256);
	buffer_print(&text,
		"SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = '%s'",
		control->keyspace);
	if (buffer_check(&text) == 0)
		ask_text(control, CQL_ASK_REPLICATION, (const char *)text.bytes);
	buffer_deinit(&text);
}

static void begin_refresh(struct cql_control *control)
{
	control->begun = control->wanted;
	control->refresh_at_ms = INT64_MAX;
	ask_text(control, CQL_ASK_LOCAL, CQL_LOCAL_TEXT);
	ask_text(control, CQL_ASK_PEERS, CQL_PEERS_TEXT);
	if (control->keyspace[0])
		ask_replication(control);
	if (!is_refreshing(control))
		cql_control_refresh(control, REFRESH_AGAIN_MS);
}

static void tick_ready(struct cql_control *control)
{
	if (!control->is_registered) {
		ask_for_events(control);
		cql_control_refresh(control, 0);
	}
	if (!is_refreshing(control) && control->refresh_at_ms <= now_ms(control))
		begin_refresh(control);
}

void cql_control_init(struct cql_control *control)
{
	control->registration.answer = on_registered;
	control->wanted = 1;
	buffer_init(&control->frame, 64 * 1024);
	for (size_t i = 0; i < _CQL_ASK_COUNT; i++) {
		control->asks[i].control = control;
		control->asks[i].question.answer = on_answer;
	}
}

void cql_control_deinit(struct cql_control *control)
{
	close_connection(control);
	end_search(control);
	buffer_deinit(&control->frame);
}

void cql_control_tick(struct cql_control *control)
{
	if (control->has_answered)
		end_search(control);
	if (control->connection && is_over(control))
		bury(control);
	if (!control->connection)
		look_at_trials(control);
	if (!control->connection && control->retry_at_ms <= now_ms(control))
		go_on(control);
	if (control->connection)
		tick_ready(control);
}

void cql_control_flush(struct cql_control *control)
{
	if (control->connection)
		cql_connection_tick(control->connection);
	for (size_t i = 0; i < control->trial_count; i++)
		cql_connection_tick(control->trials[i].connection);
}

static int64_t round_deadline_ms(const struct cql_control *control)
{
	int64_t deadline_ms = has_more(control) ? control->next_trial_ms : INT64_MAX;

	if (!control->is_in_round)
		return control->retry_at_ms;
	for (size_t i = 0; i < control->trial_count; i++) {
		const struct cql_connection *connection = control->trials[i].connection;

		if (cql_connection_is_closed(connection) || cql_connection_is_ready(connection))
			return 0;
		deadline_ms = MIN_OF(deadline_ms, cql_connection_deadline_ms(connection));
	}
	return deadline_ms;
}

int64_t cql_control_deadline_ms(const struct cql_control *control)
{
	int64_t refresh_ms = is_refreshing(control) ? INT64_MAX : control->refresh_at_ms;

	if (!control->connection)
		return round_deadline_ms(control);
	if (is_over(control) || !control->is_registered)
		return 0;
	return MIN_OF(refresh_ms, cql_connection_deadline_ms(control->connection));
}

void cql_control_refresh(struct cql_control *control, int64_t in_ms)
{
	int64_t at_ms = now_ms(control) + in_ms;

	control->refresh_at_ms = MIN_OF(control->refresh_at_ms, at_ms);
}

bool cql_control_is_hopeful(const struct cql_control *control)
{
	return control->failures == 0;
}
