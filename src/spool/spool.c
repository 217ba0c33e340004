/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Which messages are kept, where, and in which order they may go.
 *
 *                 spool_sync, the disk works
 *     in memory ------------------------------> on the shelf --+
 *     (pushed)                                                 |  spool_acknowledge: forgotten
 *         \---- the disk fails: sent from here ----------------+  thinned: bridged
 *                                                                 dropped, damaged: a loss
 *
 * 1. While the disk works, nothing is sent that is not synced: spool_find passes over what is in
 *    memory (nothing_is_sent_before_it_is_on_disk).
 * 2. Numbers only grow, and each is used for one message, in every life of the spool
 *    (numbers_go_on_after_a_clean_end, after_a_crash_no_number_comes_again).
 * 3. A number that is missing between two messages is bridged by `previous` only if it was thinned
 *    out, or if no message ever had it; what was lost never is, and is a loss besides
 *    (thinning_keeps_what_must_stay, a_full_disk_drops_the_oldest_as_a_loss,
 *    a_damaged_message_is_a_loss_and_the_others_stay).
 * 4. A loss stands in the head, on disk, before anything of it is deleted, and stays there until
 * what was pushed after it was taken is synced (a_loss_outlives_a_crash_until_it_was_told).
 * 5. The last message of a segment, and what was pushed in the last RECENT numbers, is never
 * thinned: whether it holds a last reading is not known yet (the_newest_are_never_thinned). */

#include "spool/spool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "spool/index.h"

enum {
	RECENT = 64,
	LOSSES_MAX = 64,
	/* Of the disk, for what is deleted a little later, and for rewriting. */
	RESERVE_PART = 8,
	RESERVE_MAX = SEGMENT_BYTES_MAX,
	PAUSE_MIN_MS = 1000,
	PAUSE_MAX_MS = 60 * 1000,
};

struct spool {
	struct spool_options options;
	uint8_t id_bytes[SPOOL_ID_BYTES];
	char id[SPOOL_ID_SIZE];
	struct index index;
	uint64_t next, last;   /* the next number, and the one that stands before it */
	uint64_t pinned_until; /* numbers up to it are of an earlier life's end */
	size_t memory_bytes;
	unsigned char *reading; /* what spool_find gave last */
	struct shelf *shelf;    /* NULL: none, or it could not be opened yet */
	struct shelf_marks marks;
	struct shelf_marks told;    /* as they were before the losses that were not taken yet */
	bool is_marked;             /* marks have changed since the last sync */
	int64_t retry_ms, pause_ms; /* CLOCK_BOOTTIME; 0: the disk works */
	struct error trouble;
	struct spool_findings findings;
	int64_t earlier_until_ms;
	struct spool_loss losses[LOSSES_MAX];
	size_t loss_count;
	uint64_t dropped, thinned;
};

static void set_id(struct spool *spool, const uint8_t *bytes)
{
	static const char digits[] = "0123456789abcdef";

	memmove(spool->id_bytes, bytes, SPOOL_ID_BYTES);
	for (size_t i = 0; i < SPOOL_ID_BYTES; i++) {
		spool->id[2 * i] = digits[bytes[i] >> 4];
		spool->id[2 * i + 1] = digits[bytes[i] & 15];
	}
	spool->id[SPOOL_ID_SIZE - 1] = '\0';
}

/* Losses. */

static void widen(struct spool_loss *loss, const struct spool_loss *by)
{
	loss->from_ms = loss->to_ms ? MIN_OF(loss->from_ms, by->from_ms) : by->from_ms;
	loss->to_ms = MAX_OF(loss->to_ms, by->to_ms);
	loss->count += by->count;
}

void spool_add_loss(struct spool *spool, const struct spool_loss *loss)
{
	widen(&spool->marks.loss, loss);
	spool->is_marked = true;
	if (spool->loss_count < LOSSES_MAX)
		spool->losses[spool->loss_count++] = *loss;
	else
		widen(&spool->losses[LOSSES_MAX - 1], loss);
}

static void extend_last_loss(struct spool *spool, int64_t to_ms)
{
	struct spool_loss *loss = &spool->losses[spool->loss_count - 1];

	loss->to_ms = MAX_OF(loss->to_ms, to_ms);
	spool->marks.loss.to_ms = MAX_OF(spool->marks.loss.to_ms, to_ms);
}

bool spool_take_loss(struct spool *spool, struct spool_loss *ret_loss)
{
	if (!spool->loss_count)
		return false;
	*ret_loss = spool->losses[0];
	memmove(spool->losses, spool->losses + 1, --spool->loss_count * sizeof(*spool->losses));
	return true;
}

static int64_t end_of(const struct spool_note *note)
{
	return MAX_OF(note->last_ms, note->until_ms);
}

static int64_t begin_of(const struct spool_note *note)
{
	return note->first_ms ? note->first_ms : note->until_ms;
}

/* The times around what is missing before entry i. Where one side says no time, the other's. */
static void lose(struct spool *spool, int64_t from_ms, size_t i, int64_t to_ms, uint64_t count)
{
	struct spool_loss loss = { from_ms, to_ms, count };

	for (; !to_ms && i < spool->index.count; i++)
		to_ms = begin_of(&index_at(&spool->index, i)->record.note);
	loss.to_ms = to_ms ? to_ms : from_ms;
	if (!loss.from_ms)
		loss.from_ms = loss.to_ms;
	loss.to_ms = MAX_OF(loss.to_ms, loss.from_ms);
	spool->dropped += count;
	spool_add_loss(spool, &loss);
}

/* Opening. */

struct found {
	struct spool *spool;
	struct shelf_state *state;
	int64_t last_ms; /* of the message before */
	int64_t until_ms;
	bool is_any;
	bool has_open_loss; /* the end of the last loss is not known yet */
};

/* What stands before this record and is not there. Infos have no time of their own. */
static void note_hole(struct found *found, const struct record *record)
{
	struct spool *spool = found->spool;
	int64_t begin_ms = begin_of(&record->note);
	uint64_t count;

	if (found->has_open_loss && begin_ms) {
		extend_last_loss(spool, begin_ms);
		found->has_open_loss = false;
	}
	if (record->previous <= spool->last)
		return;
	count = record->previous - spool->last;
	found->state->findings.lost += count;
	lose(spool, found->last_ms, spool->index.count, begin_ms, count);
	found->has_open_loss = !begin_ms;
}

/* Numbers below one that came already are copies that an interrupted write left. */
static int on_record(void *context, const struct record *record, struct shelf_place place)
{
	struct found *found = context;
	struct spool *spool = found->spool;
	struct entry *entry;

	if (!found->is_any) {
		spool->last = found->state->marks.floor;
		found->last_ms = found->state->marks.floor_ms;
		if (found->state->findings.is_head_lost)
			spool->last = record->previous;
	}
	found->is_any = true;
	found->until_ms = MAX_OF(found->until_ms, record->note.until_ms);
	if (record->sequence <= spool->last)
		return 0;
	note_hole(found, record);
	spool->last = record->sequence;
	found->last_ms = MAX_OF(found->last_ms, end_of(&record->note));
	entry = index_add(&spool->index);
	if (!entry)
		return -ENOMEM;
	entry->record = *record;
	entry->place = place;
	return 0;
}

/* What the head says was there behind the last record that is. */
static void lose_end(struct found *found)
{
	struct spool *spool = found->spool;
	const struct shelf_marks *marks = &found->state->marks;
	uint64_t count;

	if (!found->is_any)
		spool->last = marks->floor;
	if (marks->next <= spool->last + 1)
		return;
	count = marks->next - 1 - spool->last;
	found->state->findings.lost += count;
	lose(spool, MAX_OF(found->last_ms, marks->floor_ms), spool->index.count, marks->until_ms,
		count);
	spool->last = marks->next - 1;
}

static void take_state(struct spool *spool, const struct shelf_state *state, int64_t until_ms)
{
	set_id(spool, state->id);
	spool->earlier_until_ms = MAX_OF(until_ms, state->marks.until_ms);
	spool->marks.floor = state->marks.floor;
	spool->marks.floor_ms = state->marks.floor_ms;
	spool->marks.until_ms = MAX_OF(spool->marks.until_ms, spool->earlier_until_ms);
	if (state->marks.loss.to_ms)
		spool_add_loss(spool, &state->marks.loss);
	spool->findings = state->findings;
	spool->findings.waiting = spool->index.count;
	spool->next = state->next;
	spool->pinned_until = spool->last;
}

/* With messages in memory, only a folder that no spool is in yet will do: they keep their numbers.
 * An older spool must wait until they were acknowledged. */
static int open_shelf(struct spool *spool, struct error *err)
{
	bool is_holding = spool->index.count > 0;
	struct shelf_state state = { 0 };
	struct found found = { .spool = spool, .state = &state };
	const struct shelf_options options = { .directory = spool->options.directory,
		.bytes_max = spool->options.disk_bytes_max,
		.id = spool->id_bytes,
		.next = spool->next,
		.is_fresh_only = is_holding,
		.each = on_record,
		.context = &found };
	uint64_t last = spool->last;
	int r = spool->options.shelf->open(&options, &spool->shelf, &state, err);

	if (r == -EEXIST && is_holding)
		return error_set(err, r,
			"the spool in '%s' waits until what is in memory was acknowledged",
			spool->options.directory);
	if (r < 0 && !is_holding) {
		index_drop_first(&spool->index, spool->index.count);
		spool->loss_count = 0;
		spool->marks.loss = (struct spool_loss){ 0 };
		spool->dropped = 0;
		spool->last = last;
		return r;
	}
	if (r == 0 && !is_holding) {
		lose_end(&found);
		take_state(spool, &state, found.until_ms);
	}
	return r;
}

static int64_t now_ms(const struct spool *spool)
{
	return clock_monotonic_ms(spool->options.clock);
}

static void note_trouble(struct spool *spool, int code, const struct error *err)
{
	spool->pause_ms =
		MIN_OF(MAX_OF(2 * spool->pause_ms, (int64_t)PAUSE_MIN_MS), (int64_t)PAUSE_MAX_MS);
	spool->retry_ms = now_ms(spool) + spool->pause_ms;
	error_set(&spool->trouble, code, "%s", error_text(err, code));
}

static void end_trouble(struct spool *spool)
{
	spool->pause_ms = 0;
	spool->trouble.text[0] = '\0';
}

int spool_new(const struct spool_options *options, struct spool **ret_spool, struct error *err)
{
	CLEANUP(spool_free) struct spool *spool = calloc(1, sizeof(*spool));
	struct error trouble = { 0 };
	uint8_t id[SPOOL_ID_BYTES];
	int r = 0;

	if (!spool)
		return -ENOMEM;
	if (getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return -EIO;
	set_id(spool, id);
	spool->options = *options;
	if (!spool->options.shelf)
		spool->options.shelf = &disk_shelf;
	spool->next = 1;
	if (options->directory)
		r = open_shelf(spool, &trouble);
	if (r == -EWOULDBLOCK || r == -ENOMEM)
		return error_set(err, r, "%s", error_text(&trouble, r));
	if (r < 0)
		note_trouble(spool, r, &trouble);
	*ret_spool = spool;
	spool = NULL;
	return 0;
}

struct spool *spool_free(struct spool *spool)
{
	if (!spool)
		return NULL;
	if (spool->shelf) {
		spool->retry_ms = 0;
		spool_sync(spool);
		spool->options.shelf->close(spool->shelf, &spool->marks,
			!spool->pause_ms && !spool->index.in_memory && !spool->loss_count);
	}
	index_deinit(&spool->index);
	free(spool->reading);
	free(spool);
	return NULL;
}

/* What is kept. */

static size_t cost(const struct record *record)
{
	return record->size + sizeof(struct entry);
}

static size_t saved_count(const struct spool *spool)
{
	return spool->index.count - spool->index.in_memory;
}

static void drop_first(struct spool *spool, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct entry *entry = index_at(&spool->index, i);

		spool->marks.floor = MAX_OF(spool->marks.floor, entry->record.sequence);
		spool->marks.floor_ms = MAX_OF(spool->marks.floor_ms, end_of(&entry->record.note));
		if (entry->bytes)
			spool->memory_bytes -= cost(&entry->record);
	}
	index_drop_first(&spool->index, count);
	spool->is_marked = true;
}

/* Drops the oldest `count` as a loss. */
static void drop_oldest(struct spool *spool, size_t count)
{
	int64_t from_ms = spool->marks.floor_ms, last_ms = 0;

	for (size_t i = 0; i < count; i++) {
		const struct spool_note *note = &index_at(&spool->index, i)->record.note;

		if (begin_of(note))
			from_ms = from_ms ? MIN_OF(from_ms, begin_of(note)) : begin_of(note);
		last_ms = MAX_OF(last_ms, end_of(note));
	}
	drop_first(spool, count);
	lose(spool, from_ms, 0, 0, count);
	extend_last_loss(spool, last_ms);
}

static bool is_recent(const struct spool *spool, size_t i)
{
	uint64_t sequence = index_at(&spool->index, i)->record.sequence;

	return i + RECENT >= spool->index.count ||
	       (sequence <= spool->pinned_until &&
		       i + RECENT >= index_find(&spool->index, spool->pinned_until + 1));
}

/* Thins what is in memory; returns whether there was something. */
static bool thin_memory(struct spool *spool)
{
	size_t begin = saved_count(spool), end = spool->index.count, count;
	bool *marks;

	while (end > begin && is_recent(spool, end - 1))
		end--;
	marks = calloc(end - begin + 1, sizeof(*marks));
	count = marks ? index_mark_thin(&spool->index, begin, end, marks) : 0;
	for (size_t i = begin; i < end && count; i++)
		if (marks[i - begin])
			spool->memory_bytes -= cost(&index_at(&spool->index, i)->record);
	if (count)
		index_thin(&spool->index, begin, end, marks);
	free(marks);
	spool->thinned += count;
	return count > 0;
}

static void make_room_in_memory(struct spool *spool, size_t size)
{
	size_t saved;

	while (spool->memory_bytes + size > spool->options.memory_bytes_max &&
		spool->index.in_memory) {
		if (thin_memory(spool))
			continue;
		saved = saved_count(spool);
		if (saved == 0) {
			drop_oldest(spool, 1);
		} else {
			const struct record record = index_at(&spool->index, saved)->record;

			spool->memory_bytes -= cost(&record);
			index_remove(&spool->index, saved);
			lose(spool, begin_of(&record.note), saved, 0, 1);
		}
	}
}

static void note_until(struct spool *spool, const struct spool_note *note)
{
	spool->marks.until_ms = MAX_OF(spool->marks.until_ms, note->until_ms);
}

static struct entry *add_entry(
	struct spool *spool, const struct spool_note *note, const void *bytes, size_t size)
{
	unsigned char *copy = malloc(size + 1);
	struct entry *entry = copy ? index_add(&spool->index) : NULL;

	if (!entry) {
		free(copy);
		return NULL;
	}
	if (size)
		memcpy(copy, bytes, size);
	entry->bytes = copy;
	entry->record = (struct record){ .sequence = spool->next,
		.previous = spool->last,
		.note = *note,
		.size = (uint32_t)size };
	spool->index.in_memory++;
	spool->memory_bytes += cost(&entry->record);
	return entry;
}

int spool_push(struct spool *spool, const struct spool_note *note, const void *bytes, size_t size,
	uint64_t *ret_sequence)
{
	size_t needed = size + sizeof(struct entry);

	if (size > RECORD_PAYLOAD_MAX || needed > spool->options.memory_bytes_max)
		return -EMSGSIZE;
	if (spool->memory_bytes + needed > spool->options.memory_bytes_max)
		spool_sync(spool);
	make_room_in_memory(spool, needed);
	if (!add_entry(spool, note, bytes, size))
		return -ENOMEM;
	note_until(spool, note);
	*ret_sequence = spool->last = spool->next++;
	return 0;
}

void spool_pin(struct spool *spool, uint64_t sequence)
{
	size_t i = index_find(&spool->index, sequence);
	struct entry *entry = i < spool->index.count ? index_at(&spool->index, i) : NULL;

	if (!entry || entry->record.sequence != sequence || !entry->record.note.is_thinnable)
		return;
	entry->record.note.is_thinnable = false;
	/* One that does not reach the disk is only forgotten by the next life. */
	if (!entry->bytes)
		(void)!spool->options.shelf->pin(spool->shelf, entry->place);
}

static bool load(struct spool *spool, struct entry *entry)
{
	int r;

	free(spool->reading);
	spool->reading = malloc(entry->record.size + 1);
	if (!spool->reading)
		return false;
	r = spool->options.shelf->read(spool->shelf, &entry->record, entry->place, spool->reading);
	if (r == 0)
		return true;
	free(spool->reading);
	spool->reading = NULL;
	return false;
}

/* One that cannot be read any more. */
static void lose_entry(struct spool *spool, size_t i)
{
	const struct spool_note note = index_at(&spool->index, i)->record.note;
	int64_t from_ms =
		i ? end_of(&index_at(&spool->index, i - 1)->record.note) : spool->marks.floor_ms;

	index_remove(&spool->index, i);
	lose(spool, from_ms ? from_ms : begin_of(&note), i, 0, 1);
	spool->findings.damaged++;
}

/* Returns whether there were any. */
static bool lose_damaged(struct spool *spool, size_t begin, size_t end)
{
	bool is_any = false;

	for (size_t i = end; i-- > begin;) {
		if (load(spool, index_at(&spool->index, i)))
			continue;
		lose_entry(spool, i);
		is_any = true;
	}
	return is_any;
}

/* To the disk. */

/* Where the entries of the segment that begins at `begin` end. */
static size_t segment_end(const struct spool *spool, size_t begin)
{
	uint32_t segment = index_at(&spool->index, begin)->place.segment;
	size_t end = begin;

	while (end < saved_count(spool) && index_at(&spool->index, end)->place.segment == segment)
		end++;
	return end;
}

/* The segment in which thinning takes most: so all become thin alike, the older ones first. */
static size_t find_densest(const struct spool *spool, bool *marks, size_t *ret_end)
{
	size_t best = 0, best_begin = 0;

	*ret_end = 0;
	for (size_t begin = 0, end; begin < saved_count(spool); begin = end) {
		size_t count;

		end = segment_end(spool, begin);
		if (index_at(&spool->index, begin)->place.segment ==
				spool->options.shelf->active(spool->shelf) ||
			is_recent(spool, end - 1))
			continue;
		count = index_mark_thin(&spool->index, begin, end, marks);
		if (count <= best)
			continue;
		best = count;
		best_begin = begin;
		*ret_end = end;
	}
	return best_begin;
}

/* Writes the segment of these entries without the marked ones. */
static int rewrite_segment(struct spool *spool, size_t begin, size_t end, const bool *marks)
{
	struct shelf_item *items = calloc(end - begin, sizeof(*items));
	struct record *records = calloc(end - begin, sizeof(*records));
	uint64_t previous = index_at(&spool->index, begin)->record.previous;
	size_t count = 0;
	int r = items && records ? 0 : -ENOMEM;

	for (size_t i = begin; r == 0 && i < end; i++) {
		struct entry *entry = index_at(&spool->index, i);

		if (i == begin || !marks[i - begin - 1])
			previous = entry->record.previous;
		if (marks[i - begin])
			continue;
		records[count] = entry->record;
		records[count].previous = previous;
		items[count] = (struct shelf_item){ &records[count], &entry->place };
		count++;
	}
	if (r == 0)
		r = spool->options.shelf->rewrite(
			spool->shelf, index_at(&spool->index, begin)->place.segment, items, count);
	free(items);
	free(records);
	return r;
}

enum { NOTHING_TO_THIN = 1 };

static int thin_disk(struct spool *spool)
{
	bool *marks = calloc(spool->index.count + 1, sizeof(*marks));
	size_t begin, end, count = 0;
	int r = marks ? NOTHING_TO_THIN : -ENOMEM;

	if (marks) {
		begin = find_densest(spool, marks, &end);
		count = end ? index_mark_thin(&spool->index, begin, end, marks) : 0;
	}
	if (count)
		r = rewrite_segment(spool, begin, end, marks);
	if (r == -EBADMSG) {
		r = lose_damaged(spool, begin, end) ? 0 : r;
	} else if (r == 0) {
		index_thin(&spool->index, begin, end, marks);
		spool->thinned += count;
	}
	free(marks);
	return r;
}

static bool is_disk_full(const struct spool *spool, size_t size)
{
	uint64_t maximum = spool->options.disk_bytes_max;
	uint64_t reserve = MIN_OF(maximum / RESERVE_PART, (uint64_t)RESERVE_MAX);

	return spool->options.shelf->bytes(spool->shelf) + RECORD_HEADER_SIZE + size + reserve >
		       maximum ||
	       spool->index.count > SPOOL_MESSAGES_MAX;
}

/* Thins, and drops a segment when nothing is left to thin. */
static int make_room_on_disk(struct spool *spool, size_t size)
{
	int r = 0;

	while (r == 0 && is_disk_full(spool, size) && saved_count(spool)) {
		r = thin_disk(spool);
		if (r != NOTHING_TO_THIN && r != -ENOSPC)
			continue;
		drop_oldest(spool, segment_end(spool, 0));
		r = spool->options.shelf->forget(spool->shelf, &spool->marks);
	}
	return r;
}

static int append_all(struct spool *spool, size_t *ret_end)
{
	int r = 0;
	size_t left = spool->index.in_memory;

	for (; r == 0 && left; left--) {
		struct entry *entry = index_at(&spool->index, spool->index.count - left);

		r = make_room_on_disk(spool, entry->record.size);
		entry = index_at(&spool->index, spool->index.count - left);
		if (r == 0)
			r = spool->options.shelf->append(
				spool->shelf, &entry->record, entry->bytes, &entry->place);
	}
	*ret_end = spool->index.in_memory;
	return r;
}

static void release_saved(struct spool *spool, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct entry *entry =
			index_at(&spool->index, spool->index.count - spool->index.in_memory);

		spool->memory_bytes -= cost(&entry->record);
		free(entry->bytes);
		entry->bytes = NULL;
		spool->index.in_memory--;
	}
}

static int save(struct spool *spool)
{
	size_t count = 0;
	int r = append_all(spool, &count);

	spool->marks.next = spool->last + 1;
	if (r == 0)
		r = spool->options.shelf->sync(spool->shelf, &spool->marks);
	if (r < 0) {
		spool->options.shelf->rewind(spool->shelf);
		return r;
	}
	release_saved(spool, count);
	spool->is_marked = false;
	/* What declares them was pushed before, and is on disk now. */
	if (!spool->loss_count && spool->marks.loss.to_ms) {
		spool->marks.loss = (struct spool_loss){ 0 };
		spool->is_marked = true;
	}
	return spool->options.shelf->forget(spool->shelf, &spool->marks);
}

void spool_sync(struct spool *spool)
{
	struct error err = { 0 };
	int r = 0;

	if (!spool->options.directory || (spool->pause_ms && now_ms(spool) < spool->retry_ms))
		return;
	if (!spool->pause_ms && !spool->index.in_memory && !spool->is_marked)
		return;
	if (!spool->shelf)
		r = open_shelf(spool, &err);
	if (r == 0)
		r = save(spool);
	if (r < 0 && spool->shelf && !*err.text)
		error_set(&err, r, "cannot write in '%s': %s", spool->options.directory,
			strerror(-r));
	if (r < 0)
		note_trouble(spool, r, &err);
	else
		end_trouble(spool);
}

/* What may be sent. */

static bool is_sendable(const struct spool *spool, size_t i)
{
	return i < saved_count(spool) || !spool->options.directory || spool->pause_ms;
}

bool spool_find(struct spool *spool, uint64_t sequence, struct spool_message *ret_message)
{
	size_t i = index_find(&spool->index, sequence);

	while (i < spool->index.count && is_sendable(spool, i)) {
		struct entry *entry = index_at(&spool->index, i);

		if (entry->bytes || load(spool, entry)) {
			*ret_message = (struct spool_message){ entry->record.sequence,
				entry->record.previous, entry->record.note,
				entry->bytes ? entry->bytes : spool->reading, entry->record.size };
			return true;
		}
		lose_entry(spool, i);
	}
	return false;
}

size_t spool_acknowledge(struct spool *spool, uint64_t sequence)
{
	size_t count = index_find(&spool->index, sequence + 1);

	if (count)
		drop_first(spool, count);
	return count;
}

const char *spool_id(const struct spool *spool)
{
	return spool->id;
}

uint64_t spool_oldest(const struct spool *spool)
{
	return spool->index.count ? index_at(&spool->index, 0)->record.sequence : spool->next;
}

uint64_t spool_begin(const struct spool *spool)
{
	return (spool->index.count ? index_at(&spool->index, 0)->record.previous : spool->last) + 1;
}

uint64_t spool_next(const struct spool *spool)
{
	return spool->next;
}

size_t spool_count(const struct spool *spool)
{
	return spool->index.count;
}

size_t spool_count_in_memory(const struct spool *spool)
{
	return spool->index.in_memory;
}

uint64_t spool_dropped(const struct spool *spool)
{
	return spool->dropped;
}

uint64_t spool_thinned(const struct spool *spool)
{
	return spool->thinned;
}

const char *spool_trouble(const struct spool *spool)
{
	return spool->pause_ms ? spool->trouble.text : NULL;
}

const struct spool_findings *spool_findings(const struct spool *spool)
{
	return &spool->findings;
}

int64_t spool_take_earlier_until(struct spool *spool)
{
	int64_t until_ms = spool->earlier_until_ms;

	spool->earlier_until_ms = 0;
	return until_ms;
}
