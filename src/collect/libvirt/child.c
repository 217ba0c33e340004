/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "collect/libvirt/child.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/buffer.h"
#include "base/child.h"
#include "base/text.h"
#include "collect/libvirt/stats.h"
#include "model/batch.h"

static void ignore_error(void *context, virErrorPtr problem)
{
}

static void write_reading(struct buffer *to, const struct reading *reading)
{
	buffer_write(to, reading->instance.uuid.bytes, sizeof(reading->instance.uuid.bytes));
	buffer_write_varint(to, reading->tuple_count);
	for (size_t i = 0; i < reading->tuple_count; i++) {
		const struct tuple *tuple = &reading->tuples[i];

		buffer_write_u8(to, (uint8_t)tuple->group);
		buffer_write_string(to, tuple->parameter);
		buffer_write_string(to, tuple->life);
		buffer_write_varint(to, tuple->present);
		for (unsigned int column = 0; column < METRIC_COLUMNS_MAX; column++)
			if (tuple_has(tuple, column))
				buffer_write_signed(to, tuple->values[column]);
	}
}

static bool answer(const struct batch *batch)
{
	CLEANUP(buffer_deinit) struct buffer body;
	CLEANUP(buffer_deinit) struct buffer head;

	buffer_init(&body, MONITOR_ANSWER_MAX);
	buffer_init(&head, 16);
	buffer_write_varint(&body, batch->reading_count);
	for (size_t i = 0; i < batch->reading_count; i++)
		write_reading(&body, &batch->readings[i]);
	buffer_write_u32(&head, (uint32_t)body.size);
	return buffer_check(&body) == 0 && buffer_check(&head) == 0 &&
	       child_write(head.bytes, head.size) && child_write(body.bytes, body.size);
}

/* An answer without a body. */
static bool answer_failure(void)
{
	static const uint8_t head[4];

	return child_write(head, sizeof(head));
}

/* Those that there is memory for. */
static void add_records(struct batch *batch, virDomainStatsRecordPtr *records, int count)
{
	for (int i = 0; i < count; i++) {
		struct reading *reading = batch_add_reading(batch);

		if (!reading || virDomainGetUUID(records[i]->dom, reading->instance.uuid.bytes) < 0)
			break;
		if (!stats_read(batch, reading, records[i]->params, records[i]->nparams))
			break;
	}
}

/* The number of records, or negative. */
static int ask(virConnectPtr connection, unsigned int groups, const struct uuid *uuid,
	virDomainStatsRecordPtr **ret_records)
{
	virDomainPtr domains[2] = { NULL, NULL };
	int count;

	if (!uuid)
		return virConnectGetAllDomainStats(connection, groups, ret_records,
			VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE |
				VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
	domains[0] = virDomainLookupByUUID(connection, uuid->bytes);
	if (!domains[0])
		return virConnectIsAlive(connection) == 1 ? 0 : -1; /* it went away */
	count = virDomainListGetStats(
		domains, groups, ret_records, VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
	virDomainFree(domains[0]);
	return count < 0 && virConnectIsAlive(connection) == 1 ? 0 : count;
}

/* Connects where it is not; a connection on which libvirt fails is not used again. */
static bool serve(
	virConnectPtr *connection, const char *uri, unsigned int groups, const struct uuid *uuid)
{
	CLEANUP(batch_free) struct batch *batch = NULL;
	virDomainStatsRecordPtr *records = NULL;
	int count = -1;

	if (batch_new(&batch) < 0)
		return false;
	if (!*connection)
		*connection = virConnectOpenReadOnly(uri);
	if (*connection)
		count = ask(*connection, groups, uuid, &records);
	if (count < 0) {
		if (*connection)
			virConnectClose(*connection);
		*connection = NULL;
		return answer_failure();
	}
	add_records(batch, records, count);
	virDomainStatsRecordListFree(records);
	return answer(batch);
}

static bool serve_line(virConnectPtr *connection, const char *uri, char *line)
{
	char *text = strchr(line, ' ');
	struct uuid uuid;
	int64_t groups;

	if (!text)
		return false;
	*text++ = '\0';
	if (text_to_i64(line, &groups) < 0 || (*text && uuid_parse(text, &uuid) < 0))
		return false;
	return serve(connection, uri, (unsigned int)groups, *text ? &uuid : NULL);
}

int monitor_child_main(const char *uri)
{
	virConnectPtr connection = NULL;
	char line[32 + UUID_TEXT_SIZE];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	virSetErrorFunc(NULL, ignore_error);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (!serve_line(&connection, uri, line))
			break;
	}
	if (connection)
		virConnectClose(connection);
	return EXIT_SUCCESS;
}
