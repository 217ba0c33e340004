/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Every number is big-endian, as everywhere in base/cursor.h; docs/spool.md has the tables.
 *
 * 1. A header that was changed by a single bit, or cut at any byte, is not taken for sound
 *    (a_segment_torn_at_any_byte_gives_what_was_whole, any_flipped_bit_is_noticed).
 * 2. The mark of a record begins with a byte that UTF-8 never holds, so a payload (JSON) holds
 *    none, and the search for the next record behind a damaged one does not begin inside of a
 *    payload (behind_a_damaged_record_the_next_one_is_found).
 * 3. The byte that says pinned is outside of the checksum, for it alone is written in place later,
 *    and one byte is never torn; wrong, it costs or saves a sample that thinning may take
 *    (a_pin_is_no_part_of_the_checksum). */

#include "spool/record.h"

#include <string.h>
#include <zlib.h>

#include "base/cursor.h"

enum { VERSION = 1, MARK_SIZE = 4, FLAG_THINNABLE = 1, FLAG_GAP = 2, FLAGS = 3 };

static const uint8_t record_mark[MARK_SIZE] = { 0xf5, 'k', 'y', 'r' };
static const uint8_t segment_magic[8] = { 'k', 'a', 'n', 'y', 'u', 'n', 'S', 'G' };
static const uint8_t head_magic[8] = { 'k', 'a', 'n', 'y', 'u', 'n', 'S', 'H' };

static uint32_t checksum(const void *bytes, size_t size)
{
	return (uint32_t)crc32_z(0, bytes, size);
}

/* Of everything that was written since `begin`. */
static void write_checksum(struct buffer *to, size_t begin)
{
	if (buffer_check(to) == 0)
		buffer_write_u32(to, checksum(to->bytes + begin, to->size - begin));
}

static bool is_sound(const uint8_t *bytes, size_t size)
{
	struct cursor cursor = cursor_over(bytes + size, sizeof(uint32_t));

	return cursor_read_u32(&cursor) == checksum(bytes, size);
}

void segment_header_encode(struct buffer *to, const struct segment_header *header)
{
	size_t begin = to->size;

	buffer_write(to, segment_magic, sizeof(segment_magic));
	buffer_write_u32(to, VERSION);
	buffer_write(to, header->id, sizeof(header->id));
	buffer_write_u32(to, header->ordinal);
	buffer_write_u32(to, 0);
	write_checksum(to, begin);
}

bool segment_header_decode(const void *bytes, size_t size, struct segment_header *ret_header)
{
	struct cursor cursor = cursor_over(bytes, size);
	const uint8_t *magic = cursor_read_bytes(&cursor, sizeof(segment_magic)), *id;
	uint32_t version = cursor_read_u32(&cursor);

	id = cursor_read_bytes(&cursor, SPOOL_ID_BYTES);
	if (size < SEGMENT_HEADER_SIZE || memcmp(magic, segment_magic, sizeof(segment_magic)) ||
		version != VERSION || !is_sound(bytes, SEGMENT_HEADER_SIZE - sizeof(uint32_t)))
		return false;
	memcpy(ret_header->id, id, SPOOL_ID_BYTES);
	ret_header->ordinal = cursor_read_u32(&cursor);
	return true;
}

void record_encode(struct buffer *to, const struct record *record, const void *payload)
{
	size_t begin = to->size;
	const struct spool_note *note = &record->note;

	buffer_write(to, record_mark, sizeof(record_mark));
	buffer_write_u8(to, (uint8_t)note->type);
	buffer_write_u8(to, (uint8_t)((note->is_thinnable ? FLAG_THINNABLE : 0) |
				      (note->is_gap ? FLAG_GAP : 0)));
	buffer_write(to, "\0", 2);
	buffer_write_u32(to, record->size);
	buffer_write_u32(to, checksum(payload, record->size));
	buffer_write_u64(to, record->sequence);
	buffer_write_u64(to, record->previous);
	buffer_write_u64(to, (uint64_t)note->first_ms);
	buffer_write_u64(to, (uint64_t)note->last_ms);
	buffer_write_u64(to, (uint64_t)note->until_ms);
	write_checksum(to, begin);
	buffer_write_u32(to, 0);
	buffer_write(to, payload, record->size);
}

/* A header whose checksum is right says what we once wrote, or what somebody made up. */
static bool is_sane(const struct record *record, uint8_t flags)
{
	const struct spool_note *note = &record->note;

	return note->type >= '0' && note->type <= '9' && flags <= FLAGS &&
	       record->size <= RECORD_PAYLOAD_MAX && record->sequence > record->previous &&
	       record->sequence <= INT64_MAX && note->first_ms >= 0 &&
	       note->first_ms <= note->last_ms && note->until_ms >= 0;
}

static bool decode_header(
	const uint8_t *bytes, struct record *ret_record, uint32_t *ret_payload_checksum)
{
	struct cursor cursor = cursor_over(bytes + MARK_SIZE, RECORD_HEADER_SIZE - MARK_SIZE);
	struct record record = { 0 };
	uint8_t flags;

	if (memcmp(bytes, record_mark, MARK_SIZE) ||
		!is_sound(bytes, RECORD_PIN_OFFSET - sizeof(uint32_t)))
		return false;
	record.note.type = (char)cursor_read_u8(&cursor);
	flags = cursor_read_u8(&cursor);
	(void)cursor_read_bytes(&cursor, 2);
	record.size = cursor_read_u32(&cursor);
	*ret_payload_checksum = cursor_read_u32(&cursor);
	record.sequence = cursor_read_u64(&cursor);
	record.previous = cursor_read_u64(&cursor);
	record.note.first_ms = (int64_t)cursor_read_u64(&cursor);
	record.note.last_ms = (int64_t)cursor_read_u64(&cursor);
	record.note.until_ms = (int64_t)cursor_read_u64(&cursor);
	record.note.is_gap = flags & FLAG_GAP;
	record.note.is_thinnable = flags & FLAG_THINNABLE && !bytes[RECORD_PIN_OFFSET];
	*ret_record = record;
	return is_sane(&record, flags);
}

int record_decode(const void *bytes, size_t size, struct record *ret_record)
{
	uint32_t payload_checksum;

	if (size < RECORD_HEADER_SIZE)
		return memcmp(bytes, record_mark, MIN_OF(size, (size_t)MARK_SIZE)) ? RECORD_DAMAGED
										   : RECORD_CUT;
	if (!decode_header(bytes, ret_record, &payload_checksum))
		return RECORD_DAMAGED;
	if (size - RECORD_HEADER_SIZE < ret_record->size)
		return RECORD_CUT;
	return checksum((const uint8_t *)bytes + RECORD_HEADER_SIZE, ret_record->size) ==
			       payload_checksum
		       ? 0
		       : RECORD_DAMAGED;
}

struct segment_scan segment_scan_over(const void *bytes, size_t size)
{
	return (struct segment_scan){
		.bytes = bytes, .size = size, .at = MIN_OF(size, (size_t)SEGMENT_HEADER_SIZE)
	};
}

static size_t find_mark(const struct segment_scan *scan, size_t from)
{
	const uint8_t *found = from < scan->size ? memmem(scan->bytes + from, scan->size - from,
							   record_mark, MARK_SIZE)
						 : NULL;

	return found ? (size_t)(found - scan->bytes) : scan->size;
}

bool segment_scan_next(struct segment_scan *scan, struct record *ret_record, size_t *ret_offset)
{
	struct record record;
	bool is_passing = false;

	while (scan->at < scan->size) {
		if (record_decode(scan->bytes + scan->at, scan->size - scan->at, &record) == 0) {
			scan->damaged += is_passing;
			*ret_offset = scan->at;
			*ret_record = record;
			scan->at += RECORD_HEADER_SIZE + record.size;
			return true;
		}
		is_passing = true;
		scan->at = find_mark(scan, scan->at + 1);
	}
	scan->is_torn = is_passing;
	return false;
}

void head_encode(struct buffer *to, const struct head *head)
{
	size_t begin = to->size;

	buffer_write(to, head_magic, sizeof(head_magic));
	buffer_write_u32(to, VERSION);
	buffer_write(to, head->id, sizeof(head->id));
	buffer_write_u64(to, head->generation);
	buffer_write_u64(to, head->floor);
	buffer_write_u64(to, head->next);
	buffer_write_u64(to, head->life);
	buffer_write_u64(to, (uint64_t)head->floor_ms);
	buffer_write_u64(to, (uint64_t)head->until_ms);
	buffer_write_u64(to, (uint64_t)head->loss.from_ms);
	buffer_write_u64(to, (uint64_t)head->loss.to_ms);
	buffer_write_u64(to, head->loss.count);
	buffer_write_u64(to, head->is_clean);
	for (size_t i = to->size - begin; i < HEAD_SLOT_SIZE - sizeof(uint32_t); i++)
		buffer_write_u8(to, 0);
	write_checksum(to, begin);
}

bool head_decode(const void *bytes, size_t size, struct head *ret_head)
{
	struct cursor cursor = cursor_over(bytes, size);
	const uint8_t *magic = cursor_read_bytes(&cursor, sizeof(head_magic)), *id;
	uint32_t version = cursor_read_u32(&cursor);
	struct head head;

	id = cursor_read_bytes(&cursor, SPOOL_ID_BYTES);
	if (size < HEAD_SLOT_SIZE || memcmp(magic, head_magic, sizeof(head_magic)) ||
		version != VERSION || !is_sound(bytes, HEAD_SLOT_SIZE - sizeof(uint32_t)))
		return false;
	memcpy(head.id, id, SPOOL_ID_BYTES);
	head.generation = cursor_read_u64(&cursor);
	head.floor = cursor_read_u64(&cursor);
	head.next = cursor_read_u64(&cursor);
	head.life = cursor_read_u64(&cursor);
	head.floor_ms = (int64_t)cursor_read_u64(&cursor);
	head.until_ms = (int64_t)cursor_read_u64(&cursor);
	head.loss.from_ms = (int64_t)cursor_read_u64(&cursor);
	head.loss.to_ms = (int64_t)cursor_read_u64(&cursor);
	head.loss.count = cursor_read_u64(&cursor);
	head.is_clean = cursor_read_u64(&cursor) == 1;
	if (head.next > INT64_MAX || head.life > INT64_MAX || head.floor >= head.next ||
		head.floor_ms < 0 || head.until_ms < 0)
		return false;
	*ret_head = head;
	return true;
}
