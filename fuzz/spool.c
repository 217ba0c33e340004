/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* A segment of the spool, and its head, from any bytes. What was read is written again and must be
 * read to the same. */

#include <stdlib.h>
#include <string.h>

#include "fuzz/target.h"
#include "spool/record.h"

static void write_again(const struct record *record, const uint8_t *payload)
{
	CLEANUP(buffer_deinit) struct buffer again;
	struct record copy;

	buffer_init(&again, RECORD_HEADER_SIZE + RECORD_PAYLOAD_MAX);
	record_encode(&again, record, payload);
	if (buffer_check(&again) < 0)
		return;
	if (record_decode(again.bytes, again.size, &copy) != 0 ||
		copy.sequence != record->sequence || copy.previous != record->previous ||
		copy.size != record->size || copy.note.until_ms != record->note.until_ms ||
		copy.note.is_thinnable != record->note.is_thinnable)
		abort();
}

static void read_segment(const uint8_t *bytes, size_t size)
{
	struct segment_scan scan = segment_scan_over(bytes, size);
	struct segment_header header;
	struct record record;
	size_t offset, end = 0;

	(void)!segment_header_decode(bytes, size, &header);
	while (segment_scan_next(&scan, &record, &offset)) {
		if (offset < end || offset + RECORD_HEADER_SIZE + record.size > size)
			abort();
		end = offset + RECORD_HEADER_SIZE + record.size;
		write_again(&record, bytes + offset + RECORD_HEADER_SIZE);
	}
}

static void read_head(const uint8_t *bytes, size_t size)
{
	CLEANUP(buffer_deinit) struct buffer again;
	struct head head, copy;

	buffer_init(&again, HEAD_SLOT_SIZE);
	if (!head_decode(bytes, size, &head))
		return;
	head_encode(&again, &head);
	if (buffer_check(&again) == 0 &&
		(!head_decode(again.bytes, again.size, &copy) || copy.next != head.next))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	read_segment(bytes, size);
	read_head(bytes, size);
	return 0;
}
