/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
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
	assert_int_equal(came->tuple_count, 1);
	assert_string_equal(came->tuples[0].parameter, "vnet0");
	assert_string_equal(came->tuples[0].life, "if7");
	assert_int_equal(came->tuples[0].present, 1 | 1 << 3);
	assert_int_equal(came->tuples[0].values[3], INT64_MAX);
}

static void an_envelope_comes_back_as_it_was_encoded(void **state)
{
	const struct envelope sent = { "worker", "spool", UINT64_C(1) << 40, 7 };
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
		cmocka_unit_test(an_acknowledgement_comes_back_as_it_was_encoded),
		cmocka_unit_test(a_heartbeat_comes_back_as_it_was_encoded),
		cmocka_unit_test(every_refusal_has_its_reason),
		cmocka_unit_test(one_absurd_number_does_not_take_the_others_with_it),
		cmocka_unit_test(a_frame_over_the_maximum_is_refused_unread),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
