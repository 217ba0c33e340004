/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "wire/message.h"

static const struct message_options options = { .now_ms = INT64_C(1800000000000) };
static const char UUID[] = "6f4a5a3e-93a5-4f0c-8f0e-3c1d2b4a5968";

static int decode(
	const char *type, const char *json, struct message *message, struct message_report *report)
{
	const struct frame frames[] = { { type, strlen(type) }, { json, strlen(json) } };

	return message_decode(frames, 2, &options, message, report);
}

static struct batch *batch_of_one_reading(void)
{
	struct reading *reading;
	struct tuple *tuple;
	struct batch *batch;

	assert_int_equal(batch_new(&batch), 0);
	reading = batch_add_reading(batch);
	reading->instance.has_uuid = true;
	assert_int_equal(uuid_parse(UUID, &reading->instance.uuid), 0);
	reading->time_ms = INT64_C(1700000000000);
	reading->delay_ms = 12;
	reading->epoch = "host/boot/1/2 \"quoted\" \\ \xe4\xb8\xad";
	reading->start_ms = INT64_C(1699999999000);
	reading->segment = 3;
	tuple = batch_add_tuple(batch, reading);
	tuple->group = METRIC_GROUP_NIC;
	tuple->parameter = "vnet0";
	tuple->life = "if7";
	tuple_set(tuple, 0, 0);
	tuple_set(tuple, 3, INT64_MAX);
	for (size_t i = 0; i < 2; i++) {
		tuple = batch_add_tuple(batch, reading);
		tuple->group = METRIC_GROUP_BLK;
		tuple->parameter = i ? "vdb" : "vda";
		tuple->has_start = true;
		tuple->start_ms = i ? EPOCH_START_UNKNOWN : INT64_C(1699999999500);
		tuple_set(tuple, 0, 1);
	}
	return batch;
}

static void a_reading_comes_back_as_it_was_encoded(void **state)
{
	CLEANUP(batch_free) struct batch *batch = batch_of_one_reading();
	CLEANUP(message_deinit) struct message message = { 0 };
	CLEANUP(buffer_deinit) struct buffer text;
	const struct reading *sent = &batch->readings[0], *came;
	struct message_report report;
	struct frame frames[2] = { { "3", 1 } };

	buffer_init(&text, WIRE_MESSAGE_MAX);
	message_encode_readings(&text, "host", batch->readings, 1);
	frames[1] = (struct frame){ text.bytes, text.size };
	assert_int_equal(message_decode(frames, 2, &options, &message, &report), 0);
	assert_false(report.is_legacy);
	assert_string_equal(message.batch->host, "host");
	assert_int_equal(message.batch->reading_count, 1);
	came = &message.batch->readings[0];
	assert_true(instance_key_equal(&came->instance, &sent->instance));
	assert_int_equal(came->time_ms, sent->time_ms);
	assert_int_equal(came->delay_ms, sent->delay_ms);
	assert_int_equal(came->start_ms, sent->start_ms);
	assert_int_equal(came->segment, sent->segment);
	assert_string_equal(came->epoch, sent->epoch);
	assert_int_equal(came->tuple_count, 3);
	assert_string_equal(came->tuples[0].parameter, "vnet0");
	assert_string_equal(came->tuples[0].life, "if7");
	assert_int_equal(came->tuples[0].present, 1 | 1 << 3);
	assert_int_equal(came->tuples[0].values[3], INT64_MAX);
	assert_int_equal(tuple_start_ms(came, &came->tuples[0]), sent->start_ms);
	assert_int_equal(tuple_start_ms(came, &came->tuples[1]), INT64_C(1699999999500));
	assert_true(tuple_start_ms(came, &came->tuples[2]) == EPOCH_START_UNKNOWN);
}

static void an_envelope_comes_back_as_it_was_encoded(void **state)
{
	const struct envelope sent = { "worker", "spool", UINT64_C(1) << 40, 7, 12,
		INT64_C(1332400088000), INT64_C(1332400089000), INT64_C(1332400090000) };
	CLEANUP(buffer_deinit) struct buffer text;
	CLEANUP(arena_deinit) struct arena arena;
	struct message_report report = { 0 };
	struct envelope came;
	struct frame frame;

	arena_init(&arena, 4096);
	buffer_init(&text, 4096);
	message_encode_envelope(&text, &sent);
	frame = (struct frame){ text.bytes, text.size };
	assert_int_equal(message_decode_envelope(&frame, &arena, &came, &report), 0);
	assert_string_equal(came.worker, "worker");
	assert_string_equal(came.spool, "spool");
	assert_int_equal(came.sequence, sent.sequence);
	assert_int_equal(came.oldest, 7);
	assert_int_equal(came.previous, 12);
	assert_int_equal(came.first_ms, sent.first_ms);
	assert_int_equal(came.last_ms, sent.last_ms);
	assert_int_equal(came.until_ms, sent.until_ms);
}

static void an_envelope_that_says_nothing_more_follows_the_one_before(void **state)
{
	static const char text[] = "{\"worker\":\"w\",\"spool\":\"s\",\"seq\":9,\"oldest\":1}";
	const struct frame frame = { text, sizeof(text) - 1 };
	CLEANUP(arena_deinit) struct arena arena;
	struct message_report report = { 0 };
	struct envelope came;

	arena_init(&arena, 4096);
	assert_int_equal(message_decode_envelope(&frame, &arena, &came, &report), 0);
	assert_int_equal(came.previous, 8);
	assert_int_equal(came.first_ms, 0);
	assert_int_equal(came.until_ms, 0);
}

static void an_envelope_with_an_absurd_detail_is_refused(void **state)
{
	static const char *const details[] = { "\"previous\":9", "\"previous\":-1",
		"\"times\":[5,4]", "\"times\":[1]", "\"times\":7", "\"until\":\"soon\"",
		"\"until\":9223372036854775807" };

	for (size_t i = 0; i < ARRAY_SIZE(details); i++) {
		CLEANUP(arena_deinit) struct arena arena;
		struct message_report report = { 0 };
		struct envelope came;
		char text[128];
		int size = snprintf(text, sizeof(text),
			"{\"worker\":\"w\",\"spool\":\"s\",\"seq\":9,\"oldest\":1,%s}", details[i]);

		arena_init(&arena, 4096);
		assert_int_equal(message_decode_envelope(&(struct frame){ text, (size_t)size },
					 &arena, &came, &report),
			MESSAGE_REFUSED);
		assert_int_equal(report.refused[REFUSAL_ENVELOPE], 1);
	}
}

static void gaps_come_back_as_they_were_encoded(void **state)
{
	struct gap sent[] = {
		{ false, { { 0 } }, INT64_C(1332400088000), INT64_C(1332400098000), "libvirt" },
		{ true, { { 1, 2 } }, INT64_C(1332400088000), INT64_C(1332400088000), "unread" },
	};
	CLEANUP(message_deinit) struct message message = { 0 };
	CLEANUP(buffer_deinit) struct buffer text;
	struct frame frames[2] = { { "1", 1 } };
	struct message_report report;

	buffer_init(&text, 4096);
	message_encode_gaps(&text, "host", sent, ARRAY_SIZE(sent));
	frames[1] = (struct frame){ text.bytes, text.size };
	assert_int_equal(message_decode(frames, 2, &options, &message, &report), 0);
	assert_string_equal(message.batch->host, "host");
	assert_int_equal(message.batch->gap_count, 2);
	for (size_t i = 0; i < ARRAY_SIZE(sent); i++) {
		const struct gap *came = &message.batch->gaps[i];

		assert_int_equal(came->has_instance, sent[i].has_instance);
		assert_memory_equal(&came->instance, &sent[i].instance, sizeof(came->instance));
		assert_int_equal(came->from_ms, sent[i].from_ms);
		assert_int_equal(came->to_ms, sent[i].to_ms);
		assert_string_equal(came->reason, sent[i].reason);
	}
}

static void an_acknowledgement_comes_back_as_it_was_encoded(void **state)
{
	CLEANUP(buffer_deinit) struct buffer text;
	uint64_t sequence = 0;

	buffer_init(&text, 4096);
	message_encode_ack(&text, 123456789);
	assert_int_equal(
		message_decode_ack(&(struct frame){ text.bytes, text.size }, &sequence), 0);
	assert_int_equal(sequence, 123456789);
	assert_true(message_decode_ack(&(struct frame){ "{}", 2 }, &sequence) < 0);
	assert_true(message_decode_ack(&(struct frame){ "{\"ack\":-1}", 10 }, &sequence) < 0);
}

static void a_heartbeat_comes_back_as_it_was_encoded(void **state)
{
	CLEANUP(buffer_deinit) struct buffer text;
	struct message message;
	struct message_report report;
	struct frame frames[2] = { { "0", 1 } };

	buffer_init(&text, 4096);
	message_encode_heartbeat(&text, "worker", INT64_C(1332400088149), 1);
	frames[1] = (struct frame){ text.bytes, text.size };
	assert_int_equal(message_decode(frames, 2, &options, &message, &report), 0);
	assert_string_equal(message.heartbeat.worker, "worker");
	assert_int_equal(message.heartbeat.time_ms, INT64_C(1332400088149));
	assert_int_equal(message.heartbeat.status, 1);
}

static void every_refusal_has_its_reason(void **state)
{
	static const struct {
		const char *type, *json;
		enum refusal refusal;
	} cases[] = {
		{ "4", "{}", REFUSAL_FRAMES },
		{ "", "{}", REFUSAL_FRAMES },
		{ "3", "", REFUSAL_JSON },
		{ "3", "{\"a\":1,\"a\":1}", REFUSAL_JSON },
		{ "3", "{\"\xff\":1}", REFUSAL_JSON },
		{ "3", "[]", REFUSAL_SHAPE },
		{ "0", "[\"w\"]", REFUSAL_SHAPE },
		{ "0", "[\"w\",\"x\",1]", REFUSAL_NUMBER },
		{ "0", "[\"\",1,1]", REFUSAL_NAME },
		{ "2", "{\"i\":[\"nowhere\",1332400088,1]}", REFUSAL_NAME },
		{ "2", "{\"i\":[\"10.0.0.2\",5,1]}", REFUSAL_TIME },
		{ "2", "{\"i\":[\"10.0.0.2\",1332400088,-1]}", REFUSAL_NUMBER },
		{ "3", "{\"i\":[[\"cpu\",\"total\",[1332400088,1e400]]]}", REFUSAL_NUMBER },
		{ "3", "{\"i\":[[\"cpu\",\"total\",[1332400088]]]}", REFUSAL_SHAPE },
		{ "3", "{\"i\":[[\"gpu\",\"total\",[1332400088,1]]]}", REFUSAL_NAME },
		{ "1", "{\"gaps\":[{\"from\":1,\"to\":2}]}", REFUSAL_NAME },
		{ "1", "{\"gaps\":[{\"uuid\":1,\"reason\":\"libvirt\"}]}", REFUSAL_NAME },
		{ "1", "{\"gaps\":[{\"reason\":\"libvirt\",\"from\":1332400088000,\"to\":2}]}",
			REFUSAL_TIME },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(message_deinit) struct message message = { 0 };
		struct message_report report;

		assert_int_equal(
			decode(cases[i].type, cases[i].json, &message, &report), MESSAGE_REFUSED);
		assert_true(report.refused[cases[i].refusal] > 0);
		assert_true(report.first.text[0] != '\0');
	}
}

static void one_absurd_number_does_not_take_the_others_with_it(void **state)
{
	CLEANUP(message_deinit) struct message message = { 0 };
	struct message_report report;

	assert_int_equal(decode("3",
				 "{\"i\":[[\"nic\",\"vnet0\",[1332400088,"
				 "99999999999999999999999,5]]]}",
				 &message, &report),
		0);
	assert_int_equal(report.refused[REFUSAL_NUMBER], 1);
	assert_int_equal(message.batch->reading_count, 1);
	assert_int_equal(message.batch->readings[0].tuples[0].present, 1 << 1);
	assert_int_equal(message.batch->readings[0].tuples[0].values[1], 5);
}

static void a_frame_over_the_maximum_is_refused_unread(void **state)
{
	static char bytes[WIRE_MESSAGE_MAX + 1];
	const struct frame frames[] = { { "3", 1 }, { bytes, sizeof(bytes) } };
	CLEANUP(message_deinit) struct message message = { 0 };
	struct message_report report;

	assert_int_equal(message_decode(frames, 2, &options, &message, &report), MESSAGE_REFUSED);
	assert_int_equal(report.refused[REFUSAL_SIZE], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reading_comes_back_as_it_was_encoded),
		cmocka_unit_test(an_envelope_comes_back_as_it_was_encoded),
		cmocka_unit_test(an_envelope_that_says_nothing_more_follows_the_one_before),
		cmocka_unit_test(an_envelope_with_an_absurd_detail_is_refused),
		cmocka_unit_test(gaps_come_back_as_they_were_encoded),
		cmocka_unit_test(an_acknowledgement_comes_back_as_it_was_encoded),
		cmocka_unit_test(a_heartbeat_comes_back_as_it_was_encoded),
		cmocka_unit_test(every_refusal_has_its_reason),
		cmocka_unit_test(one_absurd_number_does_not_take_the_others_with_it),
		cmocka_unit_test(a_frame_over_the_maximum_is_refused_unread),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
