/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* A shelf of segment files (docs/spool.md).
 *
 * 1. What sync returned for is found again after a power loss
 *    (power-test.c: nothing_that_was_synced_is_lost).
 * 2. A segment is only appended to by the life that began it. The torn end that a life leaves is
 *    never written behind (a_segment_torn_at_any_byte_gives_what_was_whole).
 * 3. The head on disk names a floor at or above all that a deleted segment held, before it is
 *    deleted: no number that is gone looks lost (what_was_acknowledged_is_no_loss).
 * 4. The numbers of a life begin above all that an earlier one could have used. After an end in
 *    good order that is `next`; else the earlier life may have sent from memory what never came
 *    here, and they begin LIFE_STRIDE higher. Without a head, many lives may have left nothing
 *    else: LOST_STRIDE (numbers_go_on_after_a_clean_end, after_a_crash_no_number_comes_again,
 *    after_a_lost_head_no_number_comes_again, after_a_torn_head_no_number_comes_again).
 * 5. A rewritten segment replaces the old one by its name at once
 *    (thinning_keeps_what_must_stay). */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "spool/folder.h"
#include "spool/shelf.h"

#define LIFE_STRIDE (UINT64_C(1) << 32)
#define LOST_STRIDE (UINT64_C(1) << 48)

/* 1 / SEGMENT_PART of the shelf is a segment, but not less and not more than this. */
enum { SEGMENT_PART = 64, SEGMENT_MIN = 64 * 1024, SEGMENT_MAX = 8 * 1024 * 1024 };

struct segment {
	uint32_t ordinal;
	uint64_t size;
	uint64_t last; /* its largest number; 0: none */
};

struct disk {
	struct folder folder;
	struct head head;
	uint64_t segment_bytes; /* from this size on the next segment begins */
	struct segment *segments;
	size_t count, room;
	uint32_t next_ordinal;
	int active_fd;        /* of the last segment, or -1: nothing was appended in this life */
	uint64_t synced_size; /* of it */
	bool is_dirty, is_folder_dirty;
	int read_fd;
	uint32_t read_ordinal;
};

static struct disk *disk_of(struct shelf *shelf)
{
	return (struct disk *)shelf;
}

static int add_segment(struct disk *disk, const struct segment *segment)
{
	struct segment *larger;

	if (disk->count == disk->room) {
		size_t room = disk->room ? 2 * disk->room : 16;

		larger = reallocarray(disk->segments, room, sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		disk->segments = larger;
		disk->room = room;
	}
	disk->segments[disk->count++] = *segment;
	disk->next_ordinal = segment->ordinal + 1;
	return 0;
}

static struct segment *find_segment(struct disk *disk, uint32_t ordinal)
{
	for (size_t i = 0; i < disk->count; i++)
		if (disk->segments[i].ordinal == ordinal)
			return &disk->segments[i];
	return NULL;
}

static void close_reading(struct disk *disk)
{
	if (disk->read_fd >= 0)
		close(disk->read_fd);
	disk->read_fd = -1;
}

static int open_segment(const struct disk *disk, uint32_t ordinal, int flags)
{
	char name[SEGMENT_NAME_SIZE];
	int fd;

	segment_name(ordinal, name);
	fd = openat(disk->folder.fd, name, flags | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

/* At most `size` bytes from an offset on; fewer at the end of the file. */
static ssize_t read_at(int fd, void *to, size_t size, off_t offset)
{
	size_t done = 0;
	ssize_t n = 1;

	while (done < size && n > 0) {
		n = pread(fd, (char *)to + done, size - done, offset + (off_t)done);
		done += n > 0 ? (size_t)n : 0;
	}
	return n < 0 ? -errno : (ssize_t)done;
}

static int write_at(int fd, const void *bytes, size_t size, off_t offset)
{
	for (size_t done = 0; done < size;) {
		ssize_t n =
			pwrite(fd, (const char *)bytes + done, size - done, offset + (off_t)done);

		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		done += (size_t)n;
	}
	return 0;
}

/* Opening: everything that is there, once. */

struct opening {
	struct disk *disk;
	const struct shelf_options *options;
	struct shelf_state *state;
	uint8_t *bytes; /* of one segment */
};

static int scan_records(
	struct opening *opening, const uint8_t *bytes, size_t size, struct segment *segment)
{
	struct segment_scan scan = segment_scan_over(bytes, size);
	struct record record;
	size_t offset;
	int r = 0;

	while (r == 0 && segment_scan_next(&scan, &record, &offset)) {
		segment->last = MAX_OF(segment->last, record.sequence);
		r = opening->options->each(opening->options->context, &record,
			(struct shelf_place){ segment->ordinal, (uint32_t)offset });
	}
	opening->state->findings.damaged += scan.damaged;
	opening->state->findings.torn += scan.is_torn;
	return r;
}

/* A header that is damaged says nothing against the records, each of which has its own proof. */
static bool is_ours(struct opening *opening, const uint8_t *bytes, size_t size)
{
	struct segment_header header;

	if (!segment_header_decode(bytes, size, &header)) {
		opening->state->findings.damaged += size >= SEGMENT_HEADER_SIZE;
		return true;
	}
	return memcmp(header.id, opening->disk->head.id, SPOOL_ID_BYTES) == 0;
}

static ssize_t load_segment(struct opening *opening, uint32_t ordinal)
{
	int fd = open_segment(opening->disk, ordinal, O_RDONLY);
	ssize_t n = fd < 0 ? fd : read_at(fd, opening->bytes, SEGMENT_BYTES_MAX, 0);

	if (fd >= 0)
		close(fd);
	return n;
}

static int scan_segment(struct opening *opening, uint32_t ordinal)
{
	struct segment segment = { .ordinal = ordinal };
	ssize_t size = load_segment(opening, ordinal);

	opening->disk->next_ordinal = ordinal + 1;
	if (size < 0) {
		opening->state->findings.damaged++;
		return 0;
	}
	if (!is_ours(opening, opening->bytes, (size_t)size)) {
		opening->state->findings.foreign++;
		return 0;
	}
	segment.size = (uint64_t)size;
	if (size > SEGMENT_HEADER_SIZE) {
		int r = scan_records(opening, opening->bytes, (size_t)size, &segment);

		if (r < 0)
			return r;
	}
	return add_segment(opening->disk, &segment);
}

/* Without a head, the first segment that knows its spool tells. */
static bool find_id(struct opening *opening, const uint32_t *ordinals, size_t count)
{
	struct segment_header header;

	for (size_t i = 0; i < count; i++) {
		ssize_t n = load_segment(opening, ordinals[i]);

		if (n > 0 && segment_header_decode(opening->bytes, (size_t)n, &header)) {
			memcpy(opening->disk->head.id, header.id, SPOOL_ID_BYTES);
			return true;
		}
	}
	return false;
}

static int load_head(struct opening *opening, const uint32_t *ordinals, size_t count)
{
	struct disk *disk = opening->disk;
	struct shelf_state *state = opening->state;
	bool is_empty, is_found = folder_read_head(&disk->folder, &disk->head, &is_empty);

	if (!is_found) {
		disk->head = (struct head){ .next = 1, .life = 1 };
		state->findings.is_head_lost = !is_empty || count > 0;
		state->is_fresh = !find_id(opening, ordinals, count);
	}
	if (opening->options->is_fresh_only && !state->is_fresh)
		return -EEXIST;
	if (state->is_fresh) {
		memcpy(disk->head.id, opening->options->id, SPOOL_ID_BYTES);
		disk->head.next = opening->options->next;
		disk->head.floor = disk->head.next - 1;
		disk->head.is_clean = true;
	}
	memcpy(state->id, disk->head.id, SPOOL_ID_BYTES);
	state->marks = (struct shelf_marks){ disk->head.floor, disk->head.next, disk->head.floor_ms,
		disk->head.until_ms, disk->head.loss };
	return 0;
}

static uint64_t first_number(const struct disk *disk, bool is_head_lost)
{
	uint64_t next = disk->head.next, stride = is_head_lost ? LOST_STRIDE : LIFE_STRIDE;

	for (size_t i = 0; i < disk->count; i++)
		next = MAX_OF(next, disk->segments[i].last + 1);
	if (disk->head.is_clean)
		return next;
	return (MAX_OF(next, disk->head.life) / stride + 1) * stride + 1;
}

/* From here on this life counts: durably, in both copies, before its first number is used. */
static int begin_life(struct opening *opening)
{
	struct disk *disk = opening->disk;
	int r = 0;

	opening->state->next = first_number(disk, opening->state->findings.is_head_lost);
	disk->head.is_clean = false;
	disk->head.life = opening->state->next;
	for (int copy = 0; r == 0 && copy < HEAD_COPIES; copy++) {
		r = folder_write_head(&disk->folder, &disk->head);
		if (r == 0)
			r = folder_sync_head(&disk->folder);
	}
	return r == 0 ? folder_sync(&disk->folder) : r;
}

static int recover(struct opening *opening, struct error *err)
{
	uint32_t *ordinals = NULL;
	size_t count = 0;
	int r = folder_list(&opening->disk->folder, &ordinals, &count, err);

	if (r == 0)
		r = load_head(opening, ordinals, count);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = scan_segment(opening, ordinals[i]);
	free(ordinals);
	if (r == 0)
		r = begin_life(opening);
	if (r < 0 && r != -EEXIST && err && !*err->text)
		error_set(err, r, "cannot use the spool in '%s': %s", opening->options->directory,
			strerror(-r));
	return r;
}

static void free_disk(struct disk *disk)
{
	close_reading(disk);
	if (disk->active_fd >= 0)
		close(disk->active_fd);
	folder_close(&disk->folder);
	free(disk->segments);
	free(disk);
}

static int disk_open(const struct shelf_options *options, struct shelf **ret_shelf,
	struct shelf_state *ret_state, struct error *err)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	struct opening opening = { disk, options, ret_state, malloc(SEGMENT_BYTES_MAX) };
	int r = disk && opening.bytes ? 0 : -ENOMEM;

	*ret_state = (struct shelf_state){ 0 };
	if (r == 0) {
		disk->active_fd = disk->read_fd = disk->folder.fd = disk->folder.head_fd = -1;
		disk->segment_bytes =
			MIN_OF(MAX_OF(options->bytes_max / SEGMENT_PART, (uint64_t)SEGMENT_MIN),
				(uint64_t)SEGMENT_MAX);
		r = folder_open(options->directory, &disk->folder, err);
	}
	if (r == 0)
		r = recover(&opening, err);
	free(opening.bytes);
	if (r == 0)
		*ret_shelf = (struct shelf *)disk;
	else if (disk)
		free_disk(disk);
	return r;
}

/* Writing. */

static int sync_active(struct disk *disk)
{
	if (disk->is_dirty && fdatasync(disk->active_fd) < 0)
		return -errno;
	disk->is_dirty = false;
	if (disk->active_fd >= 0)
		disk->synced_size = disk->segments[disk->count - 1].size;
	if (disk->is_folder_dirty && fsync(disk->folder.fd) < 0)
		return -errno;
	disk->is_folder_dirty = false;
	return 0;
}

static int begin_segment(struct disk *disk)
{
	CLEANUP(buffer_deinit) struct buffer bytes;
	struct segment_header header = { .ordinal = disk->next_ordinal };
	struct segment segment = { disk->next_ordinal, SEGMENT_HEADER_SIZE, 0 };
	int fd, r;

	memcpy(header.id, disk->head.id, SPOOL_ID_BYTES);
	buffer_init(&bytes, SEGMENT_HEADER_SIZE);
	segment_header_encode(&bytes, &header);
	r = buffer_check(&bytes);
	if (r < 0)
		return r;
	fd = open_segment(disk, header.ordinal, O_RDWR | O_CREAT | O_EXCL);
	if (fd < 0)
		return fd;
	disk->next_ordinal++; /* also if it fails: a name is used once */
	r = write_at(fd, bytes.bytes, bytes.size, 0);
	if (r == 0)
		r = add_segment(disk, &segment);
	if (r < 0) {
		char name[SEGMENT_NAME_SIZE];

		segment_name(header.ordinal, name);
		(void)unlinkat(disk->folder.fd, name, 0);
		close(fd);
		return r;
	}
	disk->active_fd = fd;
	disk->synced_size = 0;
	disk->is_dirty = disk->is_folder_dirty = true;
	return 0;
}

static int end_segment(struct disk *disk)
{
	int r = sync_active(disk);

	if (r < 0)
		return r;
	close(disk->active_fd);
	disk->active_fd = -1;
	return 0;
}

static int prepare_segment(struct disk *disk)
{
	if (disk->active_fd >= 0 && disk->segments[disk->count - 1].size >= disk->segment_bytes) {
		int r = end_segment(disk);

		if (r < 0)
			return r;
	}
	return disk->active_fd < 0 ? begin_segment(disk) : 0;
}

static int disk_append(struct shelf *shelf, const struct record *record, const void *bytes,
	struct shelf_place *ret_place)
{
	CLEANUP(buffer_deinit) struct buffer whole;
	struct disk *disk = disk_of(shelf);
	struct segment *segment;
	int r = prepare_segment(disk);

	buffer_init(&whole, RECORD_HEADER_SIZE + RECORD_PAYLOAD_MAX);
	record_encode(&whole, record, bytes);
	if (r == 0)
		r = buffer_check(&whole);
	if (r < 0)
		return r;
	segment = &disk->segments[disk->count - 1];
	disk->is_dirty = true;
	r = write_at(disk->active_fd, whole.bytes, whole.size, (off_t)segment->size);
	if (r < 0)
		return r;
	*ret_place = (struct shelf_place){ segment->ordinal, (uint32_t)segment->size };
	segment->size += whole.size;
	segment->last = record->sequence;
	return 0;
}

static void set_marks(struct disk *disk, const struct shelf_marks *marks)
{
	disk->head.floor = marks->floor;
	disk->head.next = MAX_OF(MAX_OF(disk->head.next, marks->next), marks->floor + 1);
	disk->head.floor_ms = marks->floor_ms;
	disk->head.until_ms = marks->until_ms;
	disk->head.loss = marks->loss;
}

static int disk_sync(struct shelf *shelf, const struct shelf_marks *marks)
{
	struct disk *disk = disk_of(shelf);
	int r = sync_active(disk);

	if (r < 0)
		return r;
	set_marks(disk, marks);
	return folder_write_head(&disk->folder, &disk->head);
}

/* Whether its end can still be trusted is not known after an error: it is cut back to what was
 * synced, and the next append begins another segment. */
static void disk_rewind(struct shelf *shelf)
{
	struct disk *disk = disk_of(shelf);
	struct segment *segment = disk->count ? &disk->segments[disk->count - 1] : NULL;
	uint64_t size = MAX_OF(disk->synced_size, (uint64_t)SEGMENT_HEADER_SIZE);

	if (disk->active_fd < 0)
		return;
	if (ftruncate(disk->active_fd, (off_t)size) == 0)
		segment->size = size;
	close(disk->active_fd);
	disk->active_fd = -1;
	disk->is_dirty = false;
}

/* Reading and deleting. */

static int open_reading(struct disk *disk, uint32_t ordinal)
{
	int fd;

	if (disk->read_fd >= 0 && disk->read_ordinal == ordinal)
		return 0;
	fd = open_segment(disk, ordinal, O_RDONLY);
	if (fd < 0)
		return fd;
	close_reading(disk);
	disk->read_fd = fd;
	disk->read_ordinal = ordinal;
	return 0;
}

static int disk_read(
	struct shelf *shelf, const struct record *record, struct shelf_place place, void *to)
{
	struct disk *disk = disk_of(shelf);
	size_t size = RECORD_HEADER_SIZE + record->size;
	uint8_t *whole = malloc(size);
	struct record found;
	ssize_t n;
	int r = whole ? open_reading(disk, place.segment) : -ENOMEM;

	if (r == 0) {
		n = read_at(disk->read_fd, whole, size, place.offset);
		r = n < 0 ? (int)n : 0;
	}
	if (r == 0 && (record_decode(whole, size, &found) != 0 ||
			      found.sequence != record->sequence || found.size != record->size))
		r = -EBADMSG;
	if (r == 0)
		memcpy(to, whole + RECORD_HEADER_SIZE, record->size);
	free(whole);
	return r;
}

static int disk_pin(struct shelf *shelf, struct shelf_place place)
{
	int fd = open_segment(disk_of(shelf), place.segment, O_WRONLY);
	int r;

	if (fd < 0)
		return fd;
	r = write_at(fd, "\1", 1, (off_t)place.offset + RECORD_PIN_OFFSET);
	close(fd);
	return r;
}

static bool is_active(const struct disk *disk, size_t i)
{
	return disk->active_fd >= 0 && i == disk->count - 1;
}

static int delete_segment(struct disk *disk, size_t i)
{
	char name[SEGMENT_NAME_SIZE];

	if (disk->read_ordinal == disk->segments[i].ordinal)
		close_reading(disk);
	segment_name(disk->segments[i].ordinal, name);
	if (unlinkat(disk->folder.fd, name, 0) < 0 && errno != ENOENT)
		return -errno;
	disk->is_folder_dirty = true;
	memmove(&disk->segments[i], &disk->segments[i + 1],
		(disk->count - i - 1) * sizeof(*disk->segments));
	disk->count--;
	return 0;
}

static bool is_empty_above(const struct disk *disk, size_t i, uint64_t floor)
{
	return !is_active(disk, i) && disk->segments[i].last <= floor;
}

static int disk_forget(struct shelf *shelf, const struct shelf_marks *marks)
{
	struct disk *disk = disk_of(shelf);
	bool is_any = false;
	int r;

	for (size_t i = 0; i < disk->count; i++)
		is_any = is_any || is_empty_above(disk, i, marks->floor);
	if (!is_any)
		return 0;
	set_marks(disk, marks);
	r = folder_write_head(&disk->folder, &disk->head);
	if (r == 0)
		r = folder_sync_head(&disk->folder);
	for (size_t i = 0; r == 0 && i < disk->count;)
		if (is_empty_above(disk, i, marks->floor))
			r = delete_segment(disk, i);
		else
			i++;
	return r == 0 ? sync_active(disk) : r;
}

static uint32_t disk_active(const struct shelf *shelf)
{
	const struct disk *disk = (const struct disk *)shelf;

	return disk->count ? disk->segments[disk->count - 1].ordinal : 0;
}

static uint64_t disk_bytes(const struct shelf *shelf)
{
	const struct disk *disk = (const struct disk *)shelf;
	uint64_t bytes = 0;

	for (size_t i = 0; i < disk->count; i++)
		bytes += disk->segments[i].size;
	return bytes;
}

/* Rewriting. */

static int copy_records(struct disk *disk, const struct shelf_item *items, size_t count,
	struct buffer *to, struct shelf_place *places)
{
	uint8_t *payload = malloc(RECORD_PAYLOAD_MAX);
	int r = payload ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++) {
		r = disk_read((struct shelf *)disk, items[i].record, *items[i].place, payload);
		places[i] = (struct shelf_place){ items[i].place->segment, (uint32_t)to->size };
		if (r == 0)
			record_encode(to, items[i].record, payload);
	}
	free(payload);
	return r == 0 ? buffer_check(to) : r;
}

static int disk_rewrite(
	struct shelf *shelf, uint32_t ordinal, const struct shelf_item *items, size_t count)
{
	CLEANUP(buffer_deinit) struct buffer bytes;
	struct disk *disk = disk_of(shelf);
	struct segment *segment = find_segment(disk, ordinal);
	struct segment_header header = { .ordinal = ordinal };
	char name[SEGMENT_NAME_SIZE];
	struct shelf_place *places = calloc(count + 1, sizeof(*places));
	int r = places && segment ? 0 : -ENOMEM;

	memcpy(header.id, disk->head.id, SPOOL_ID_BYTES);
	buffer_init(&bytes, SEGMENT_BYTES_MAX);
	segment_header_encode(&bytes, &header);
	if (r == 0)
		r = copy_records(disk, items, count, &bytes, places);
	segment_name(ordinal, name);
	if (r == 0)
		r = file_replace_at(disk->folder.fd, name, bytes.bytes, bytes.size);
	if (r == 0) {
		close_reading(disk);
		segment->size = bytes.size;
		disk->is_folder_dirty = true;
		for (size_t i = 0; i < count; i++)
			*items[i].place = places[i];
		r = sync_active(disk);
	}
	free(places);
	return r;
}

static void disk_close(struct shelf *shelf, const struct shelf_marks *marks, bool is_clean)
{
	struct disk *disk = disk_of(shelf);

	if (is_clean && (disk->active_fd < 0 || end_segment(disk) == 0) &&
		disk_forget(shelf, marks) == 0) {
		disk->head.is_clean = true;
		set_marks(disk, marks);
		if (folder_write_head(&disk->folder, &disk->head) == 0)
			(void)!folder_sync_head(&disk->folder);
	}
	free_disk(disk);
}

const struct shelf_ops disk_shelf = {
	.open = disk_open,
	.close = disk_close,
	.append = disk_append,
	.sync = disk_sync,
	.rewind = disk_rewind,
	.read = disk_read,
	.pin = disk_pin,
	.forget = disk_forget,
	.rewrite = disk_rewrite,
	.active = disk_active,
	.bytes = disk_bytes,
};
