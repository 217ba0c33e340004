/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "collect/libvirt/external.h"

#include "collect/libvirt/readings.h"

/* Those of the running domains, but for one. */
static void want_all(struct reader *reader, const struct domain *but)
{
	traffic_begin(reader->traffic);
	for (size_t i = 0; i < reader->domains.count; i++) {
		const struct domain *domain = reader->domains.items[i];
		const struct instance_info *info = &domain->metadata.info;

		if (domain == but || !domain_is_running(domain) || !domain->described_ms)
			continue;
		for (size_t k = 0; k < info->port_count; k++)
			traffic_want(reader->traffic, &domain->uuid, info->name, &info->ports[k]);
	}
}

static struct domain *owner_of(struct reader *reader, const struct traffic_counter *counter)
{
	struct uuid uuid;

	return traffic_owner(reader->traffic, counter, &uuid)
		       ? domains_find(&reader->domains, &uuid)
		       : NULL;
}

/* The domain's reading of this kind, which is begun with its first counter. */
static struct reading *reading_of(
	struct reader *reader, struct domain *domain, int64_t time_ms, bool is_end)
{
	struct reading *reading;

	if (domain->traffic_reading)
		return &reader->batch->readings[domain->traffic_reading - 1];
	reading = readings_begin_traffic(reader, domain, time_ms, is_end);
	domain->traffic_reading = reader->batch ? reader->batch->reading_count : 0;
	return reading;
}

/* An accounting rule does not say that it is the last time. */
static bool is_last(const struct traffic_counter *counter, bool is_end)
{
	return counter->is_final || (is_end && counter->number);
}

/* Those that ended, of one domain if only that one ends; or those that count on. */
static void add_counters(struct reader *reader, const struct traffic_answer *answer, bool is_final,
	const struct domain *ending, int64_t time_ms)
{
	for (size_t i = 0; i < reader->domains.count; i++)
		reader->domains.items[i]->traffic_reading = 0;
	for (size_t i = 0; i < answer->count; i++) {
		const struct traffic_counter *counter = &answer->counters[i];
		struct domain *domain = owner_of(reader, counter);
		struct reading *reading;
		bool is_end = domain == ending;

		if (!domain || !domain_is_running(domain) || !*domain->run.epoch ||
			is_last(counter, is_end) != is_final)
			continue;
		reading = reading_of(reader, domain, time_ms, is_end);
		if (!reading || !traffic_add(reader->traffic, reader->batch, reading, counter))
			return;
	}
}

void external_read(struct reader *reader, int64_t time_ms)
{
	const struct traffic_answer *answer;

	want_all(reader, NULL);
	answer = traffic_ask(reader->traffic);
	if (!answer)
		return;
	/* Just before what counts on: no time is between them that nobody read. */
	add_counters(reader, answer, true, NULL, time_ms - 1);
	add_counters(reader, answer, false, NULL, time_ms);
}

void external_end(struct reader *reader, struct domain *domain, int64_t time_ms)
{
	const struct traffic_answer *answer;

	want_all(reader, domain);
	answer = traffic_ask(reader->traffic);
	if (answer)
		add_counters(reader, answer, true, domain, time_ms);
}
