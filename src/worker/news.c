/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "worker/news.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "wire/message.h"

enum { REPEAT_MS = 3600 * 1000 };

struct known {
	struct uuid uuid;
	uint64_t hash;
	int64_t since_ms, sent_ms, seen_ms;
};

struct news {
	struct known *items;
	size_t count, room;
};

int news_new(struct news **ret_news)
{
	*ret_news = calloc(1, sizeof(**ret_news));
	return *ret_news ? 0 : -ENOMEM;
}

struct news *news_free(struct news *news)
{
	if (news)
		free(news->items);
	free(news);
	return NULL;
}

static struct known *known_of(struct news *news, const struct uuid *uuid)
{
	struct known *larger;

	for (size_t i = 0; i < news->count; i++)
		if (memcmp(&news->items[i].uuid, uuid, sizeof(*uuid)) == 0)
			return &news->items[i];
	if (news->count == news->room) {
		news->room = news->room ? news->room * 2 : 16;
		larger = realloc(news->items, news->room * sizeof(*larger));
		if (!larger) {
			news->room = news->count;
			return NULL;
		}
		news->items = larger;
	}
	news->items[news->count] = (struct known){ .uuid = *uuid };
	return &news->items[news->count++];
}

void news_forget_gone(struct news *news, int64_t now_ms)
{
	for (size_t i = 0; i < news->count;)
		if (now_ms - news->items[i].seen_ms > 2 * (int64_t)REPEAT_MS)
			news->items[i] = news->items[--news->count];
		else
			i++;
}

static uint64_t hash_of(const struct instance_info *info)
{
	CLEANUP(buffer_deinit) struct buffer buffer;
	struct instance_info timeless = *info;

	timeless.since_ms = 0;
	buffer_init(&buffer, WIRE_MESSAGE_MAX);
	message_encode_infos(&buffer, "", &timeless, 1);
	return buffer_check(&buffer) == 0 ? text_hash(TEXT_HASH_SEED, buffer.bytes, buffer.size)
					  : 0;
}

bool news_is_new(struct news *news, struct instance_info *info, int64_t now_ms)
{
	struct known *known = known_of(news, &info->uuid);
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
