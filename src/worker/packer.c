/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "worker/packer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "wire/message.h"

enum {
	/* Room for what the transport adds. */
	PART_BYTES_MAX = WIRE_MESSAGE_MAX - 4096,
	REPEAT_MS = 3600 * 1000,
	STEP_BACK_MS = 1000, /* of the wall clock, that counts as a step */
};

struct known {
	struct uuid uuid;
	uint64_t hash;
	int64_t since_ms, sent_ms, seen_ms;
};

struct packer {
	const struct clock *clock;
	struct spool *spool;
	struct known *known;
	size_t known_count, known_room;
	int64_t offset_ms; /* wall clock minus CLOCK_BOOTTIME */
	uint32_t segment;
};

int packer_new(const struct clock *clock, struct spool *spool, struct packer **ret_packer)
{
	struct packer *packer = calloc(1, sizeof(*packer));

	if (!packer)
		return -ENOMEM;
	packer->clock = clock;
	packer->spool = spool;
	packer->offset_ms = clock_wall_ms(clock) - clock_monotonic_ms(clock);
	*ret_packer = packer;
	return 0;
}

struct packer *packer_free(struct packer *packer)
{
	if (packer)
		free(packer->known);
	free(packer);
	return NULL;
}

static void push(struct packer *packer, char type, const struct buffer *buffer)
{
	uint64_t dropped = spool_dropped(packer->spool);
	int r = spool_push(packer->spool, type, buffer->bytes, buffer->size);

	if (r < 0)
		log_error("a message is lost: %s", strerror(-r));
	if (spool_dropped(packer->spool) != dropped)
		log_warning("the spool is full; its oldest messages are dropped");
}

/* Halves until a part fits; one reading alone that does not is lost. */
static void pack_readings(
	struct packer *packer, const char *host, const struct reading *readings, size_t count)
{
	CLEANUP(buffer_deinit) struct buffer buffer;
	int r;

	buffer_init(&buffer, PART_BYTES_MAX);
	if (count == 0)
		return;
	message_encode_readings(&buffer, host, readings, count);
	r = buffer_check(&buffer);
	if (r == -EMSGSIZE && count > 1) {
		pack_readings(packer, host, readings, count / 2);
		pack_readings(packer, host, readings + count / 2, count - count / 2);
	} else if (r < 0) {
		log_error("%zu readings are lost: %s", count, strerror(-r));
	} else {
		push(packer, '3', &buffer);
	}
}

static void pack_infos(
	struct packer *packer, const char *host, const struct instance_info *infos, size_t count)
{
	CLEANUP(buffer_deinit) struct buffer buffer;
	int r;

	buffer_init(&buffer, PART_BYTES_MAX);
	if (count == 0)
		return;
	message_encode_infos(&buffer, host, infos, count);
	r = buffer_check(&buffer);
	if (r == -EMSGSIZE && count > 1) {
		pack_infos(packer, host, infos, count / 2);
		pack_infos(packer, host, infos + count / 2, count - count / 2);
	} else if (r < 0) {
		log_error("%zu descriptions are lost: %s", count, strerror(-r));
	} else {
		push(packer, '1', &buffer);
	}
}

static struct known *known_of(struct packer *packer, const struct uuid *uuid)
{
	struct known *larger;

	for (size_t i = 0; i < packer->known_count; i++)
		if (memcmp(&packer->known[i].uuid, uuid, sizeof(*uuid)) == 0)
			return &packer->known[i];
	if (packer->known_count == packer->known_room) {
		packer->known_room = packer->known_room ? packer->known_room * 2 : 16;
		larger = realloc(packer->known, packer->known_room * sizeof(*larger));
		if (!larger) {
			packer->known_room = packer->known_count;
			return NULL;
		}
		packer->known = larger;
	}
	packer->known[packer->known_count] = (struct known){ .uuid = *uuid };
	return &packer->known[packer->known_count++];
}

static void forget_gone(struct packer *packer, int64_t now_ms)
{
	for (size_t i = 0; i < packer->known_count;)
		if (now_ms - packer->known[i].seen_ms > 2 * (int64_t)REPEAT_MS)
			packer->known[i] = packer->known[--packer->known_count];
		else
			i++;
}

static uint64_t hash_of(const struct instance_info *info)
{
	CLEANUP(buffer_deinit) struct buffer buffer;
	struct instance_info timeless = *info;

	timeless.since_ms = 0;
	buffer_init(&buffer, PART_BYTES_MAX);
	message_encode_infos(&buffer, "", &timeless, 1);
	return buffer_check(&buffer) == 0 ? text_hash(TEXT_HASH_SEED, buffer.bytes, buffer.size)
					  : 0;
}

/* Is this to be sent now? Sets since_ms to when it was first seen like this. */
static bool is_news(struct packer *packer, struct instance_info *info, int64_t now_ms)
{
	struct known *known = known_of(packer, &info->uuid);
	uint64_t hash = hash_of(info);

	if (!known)
		return true;
	if (!known->seen_ms || known->hash != hash) {
		known->since_ms = info->since_ms;
		known->sent_ms = 0;
	}
	known->hash = hash;
	known->seen_ms = now_ms;
	info->since_ms = known->since_ms;
	if (known->sent_ms && now_ms - known->sent_ms < REPEAT_MS)
		return false;
	known->sent_ms = now_ms;
	return true;
}

static void note_clock(struct packer *packer)
{
	int64_t offset_ms = clock_wall_ms(packer->clock) - clock_monotonic_ms(packer->clock);

	if (packer->offset_ms - offset_ms > STEP_BACK_MS) {
		packer->segment++;
		log_warning("the wall clock stepped back by %lld ms",
			(long long)(packer->offset_ms - offset_ms));
	}
	packer->offset_ms = offset_ms;
}

void packer_pack(struct packer *packer, struct batch *batch)
{
	int64_t now_ms = clock_monotonic_ms(packer->clock);
	size_t news = 0;

	note_clock(packer);
	for (size_t i = 0; i < batch->info_count; i++)
		if (is_news(packer, &batch->infos[i], now_ms))
			batch->infos[news++] = batch->infos[i];
	forget_gone(packer, now_ms);
	for (size_t i = 0; i < batch->reading_count; i++)
		batch->readings[i].segment = packer->segment;
	pack_infos(packer, batch->host, batch->infos, news);
	pack_readings(packer, batch->host, batch->readings, batch->reading_count);
}
