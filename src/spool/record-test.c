/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "spool/record.h"

enum { RECORDS = 4, PAYLOAD = 21 };

static const char payload[PAYLOAD + 1] = "{\"host\":\"compute1\"...}";

static void write_record(struct buffer *to, uint64_t sequence, size_t size)
{
	const struct record record = { .sequence = sequence,
		.previous = sequence - 1,
		.note = { .type = '3',
			.is_thinnable = true,
			.first_ms = 1000 + (int64_t)sequence,
			.last_ms = 2000 + (int64_t)sequence,
			.until_ms = 2000 + (int64_t)sequence },
		.size = (uint32_t)size };

	record_encode(to, &record, payload);
}

static void write_segment(struct buffer *to)
{
	const struct segment_header header = { { 1, 2, 3 }, 7 };

	buffer_init(to, SEGMENT_BYTES_MAX);
	segment_header_encode(to, &header);
	for (uint64_t i = 1; i <= RECORDS; i++)
		write_record(to, i, PAYLOAD - i);
	assert_int_equal(buffer_check(to), 0);
}

/* "1 2 4" */
static void scan_text(struct segment_scan *scan, char *to)
{
	struct record record;
	size_t offset;

	while (segment_scan_next(scan, &record, &offset)) {
		*to++ = (char)('0' + record.sequence);
		*to++ = ' ';
		assert_int_equal(record.previous, record.sequence - 1);
		assert_int_equal(record.note.last_ms, 2000 + (int64_t)record.sequence);
	}
	*to = '\0';
}

static void what_was_written_is_read(void **state)
{
	struct segment_header header;
	struct buffer bytes;
	struct segment_scan scan;
	char text[64];

	write_segment(&bytes);
	assert_true(segment_header_decode(bytes.bytes, bytes.size, &header));
	assert_int_equal(header.ordinal, 7);
	assert_int_equal(header.id[2], 3);
	scan = segment_scan_over(bytes.bytes, bytes.size);
	scan_text(&scan, text);
	assert_string_equal(text, "1 2 3 4 ");
	assert_int_equal(scan.damaged, 0);
	assert_false(scan.is_torn);
	buffer_deinit(&bytes);
}

static void an_empty_payload_and_the_largest_one_are_whole(void **state)
{
	struct record record = { .sequence = 1, .note = { .type = '1' } }, found;
	char *large = calloc(1, RECORD_PAYLOAD_MAX);
	struct buffer bytes;

	buffer_init(&bytes, SEGMENT_BYTES_MAX);
	record_encode(&bytes, &record, large);
	assert_int_equal(bytes.size, RECORD_HEADER_SIZE);
	assert_int_equal(record_decode(bytes.bytes, bytes.size, &found), 0);
	assert_int_equal(found.size, 0);
	buffer_clear(&bytes);
	record.size = RECORD_PAYLOAD_MAX;
	record_encode(&bytes, &record, large);
	assert_int_equal(record_decode(bytes.bytes, bytes.size, &found), 0);
	assert_int_equal(record_decode(bytes.bytes, bytes.size - 1, &found), RECORD_CUT);
	buffer_deinit(&bytes);
	free(large);
	large = calloc(1, RECORD_PAYLOAD_MAX + 1);
	buffer_init(&bytes, SEGMENT_BYTES_MAX);
	record.size = RECORD_PAYLOAD_MAX + 1;
	record_encode(&bytes, &record, large);
	assert_int_equal(record_decode(bytes.bytes, bytes.size, &found), RECORD_DAMAGED);
	buffer_deinit(&bytes);
	free(large);
}

static void a_segment_torn_at_any_byte_gives_what_was_whole(void **state)
{
	struct buffer bytes;
	char text[64];
	size_t whole = 0, next = SEGMENT_HEADER_SIZE;

	write_segment(&bytes);
	for (size_t size = 0; size <= bytes.size; size++) {
		/* A copy of just that size, so that a read past it is seen. */
		uint8_t *copy = malloc(size + 1);
		struct segment_scan scan;

		memcpy(copy, bytes.bytes, size);
		copy = realloc(copy, size ? size : 1);
		if (whole < RECORDS && size == next + RECORD_HEADER_SIZE + PAYLOAD - (whole + 1)) {
			whole++;
			next = size;
		}
		scan = segment_scan_over(copy, size);
		scan_text(&scan, text);
		assert_int_equal(strlen(text), 2 * whole);
		assert_int_equal(scan.damaged, 0);
		assert_int_equal(scan.is_torn, size > SEGMENT_HEADER_SIZE && size != next);
		free(copy);
	}
	assert_int_equal(whole, RECORDS);
	buffer_deinit(&bytes);
}

static void any_flipped_bit_is_noticed(void **state)
{
	static const char *const without[RECORDS] = { "2 3 4 ", "1 3 4 ", "1 2 4 ", "1 2 3 " };
	struct buffer bytes;
	struct segment_header header;
	char text[64];
	size_t begin = SEGMENT_HEADER_SIZE;

	write_segment(&bytes);
	for (size_t bit = 0; bit < 8 * SEGMENT_HEADER_SIZE; bit++) {
		bytes.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(segment_header_decode(bytes.bytes, bytes.size, &header));
		bytes.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t i = 0; i < RECORDS; i++) {
		size_t end = begin + RECORD_HEADER_SIZE + PAYLOAD - (i + 1);

		for (size_t at = begin; at < end; at++) {
			struct segment_scan scan;

			if (at >= begin + RECORD_PIN_OFFSET && at < begin + RECORD_HEADER_SIZE)
				continue;
			for (unsigned int bit = 0; bit < 8; bit++) {
				bytes.bytes[at] ^= (uint8_t)(1 << bit);
				scan = segment_scan_over(bytes.bytes, bytes.size);
				scan_text(&scan, text);
				assert_string_equal(text, without[i]);
				assert_int_equal(scan.damaged + scan.is_torn, 1);
				bytes.bytes[at] ^= (uint8_t)(1 << bit);
			}
		}
		begin = end;
	}
	buffer_deinit(&bytes);
}

static void behind_a_damaged_record_the_next_one_is_found(void **state)
{
	struct buffer bytes;
	struct segment_scan scan;
	char text[64];

	write_segment(&bytes);
	/* The whole second record, and with it its length. */
	memset(bytes.bytes + SEGMENT_HEADER_SIZE + RECORD_HEADER_SIZE + PAYLOAD - 1, 0,
		RECORD_HEADER_SIZE);
	scan = segment_scan_over(bytes.bytes, bytes.size);
	scan_text(&scan, text);
	assert_string_equal(text, "1 3 4 ");
	assert_int_equal(scan.damaged, 1);
	buffer_deinit(&bytes);
}

static void a_pin_is_no_part_of_the_checksum(void **state)
{
	struct record record;
	struct buffer bytes;

	buffer_init(&bytes, SEGMENT_BYTES_MAX);
	write_record(&bytes, 1, PAYLOAD);
	assert_int_equal(record_decode(bytes.bytes, bytes.size, &record), 0);
	assert_true(record.note.is_thinnable);
	bytes.bytes[RECORD_PIN_OFFSET] = 1;
	assert_int_equal(record_decode(bytes.bytes, bytes.size, &record), 0);
	assert_false(record.note.is_thinnable);
	buffer_deinit(&bytes);
}

static void a_head_is_read_whole_or_not_at_all(void **state)
{
	const struct head head = { { 9 }, 5, 10, 12, 1, 100, 200, { 50, 60, 7 }, true };
	struct head found;
	struct buffer bytes;

	buffer_init(&bytes, HEAD_SLOT_SIZE);
	head_encode(&bytes, &head);
	assert_int_equal(bytes.size, HEAD_SLOT_SIZE);
	assert_true(head_decode(bytes.bytes, bytes.size, &found));
	assert_memory_equal(found.id, head.id, SPOOL_ID_BYTES);
	assert_int_equal(found.generation, 5);
	assert_int_equal(found.floor, 10);
	assert_int_equal(found.next, 12);
	assert_int_equal(found.life, 1);
	assert_int_equal(found.floor_ms, 100);
	assert_int_equal(found.until_ms, 200);
	assert_int_equal(found.loss.from_ms, 50);
	assert_int_equal(found.loss.to_ms, 60);
	assert_int_equal(found.loss.count, 7);
	assert_true(found.is_clean);
	for (size_t size = 0; size < bytes.size; size++)
		assert_false(head_decode(bytes.bytes, size, &found));
	for (size_t bit = 0; bit < 8 * bytes.size; bit++) {
		bytes.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(head_decode(bytes.bytes, bytes.size, &found));
		bytes.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	buffer_deinit(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read),
		cmocka_unit_test(an_empty_payload_and_the_largest_one_are_whole),
		cmocka_unit_test(a_segment_torn_at_any_byte_gives_what_was_whole),
		cmocka_unit_test(any_flipped_bit_is_noticed),
		cmocka_unit_test(behind_a_damaged_record_the_next_one_is_found),
		cmocka_unit_test(a_pin_is_no_part_of_the_checksum),
		cmocka_unit_test(a_head_is_read_whole_or_not_at_all),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
