/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* A list in the order of the numbers, which have no holes: what is dropped or acknowledged is
 * always at its head. */

#include "spool/spool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct node {
	struct node *next;
	uint64_t sequence;
	size_t size;
	char type;
	unsigned char bytes[];
};

struct spool {
	char id[SPOOL_ID_SIZE];
	struct node *first, *last;
	uint64_t next_sequence;
	uint64_t dropped;
	size_t count, bytes, bytes_max;
};

int spool_memory_new(size_t bytes_max, struct spool **ret_spool)
{
	CLEANUP(spool_free) struct spool *spool = calloc(1, sizeof(*spool));
	unsigned char random[(SPOOL_ID_SIZE - 1) / 2];

	if (!spool)
		return -ENOMEM;
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -EIO;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(spool->id + 2 * i, 3, "%02x", random[i]);
	spool->bytes_max = bytes_max;
	spool->next_sequence = 1;
	*ret_spool = spool;
	spool = NULL;
	return 0;
}

static void drop_first(struct spool *spool)
{
	struct node *node = spool->first;

	spool->first = node->next;
	if (!spool->first)
		spool->last = NULL;
	spool->count--;
	spool->bytes -= sizeof(*node) + node->size;
	free(node);
}

struct spool *spool_free(struct spool *spool)
{
	while (spool && spool->first)
		drop_first(spool);
	free(spool);
	return NULL;
}

const char *spool_id(const struct spool *spool)
{
	return spool->id;
}

int spool_push(struct spool *spool, char type, const void *bytes, size_t size)
{
	struct node *node;

	if (size > spool->bytes_max || sizeof(*node) + size > spool->bytes_max)
		return -EMSGSIZE;
	node = malloc(sizeof(*node) + size);
	if (!node)
		return -ENOMEM;
	for (; spool->bytes + sizeof(*node) + size > spool->bytes_max; spool->dropped++)
		drop_first(spool);
	node->next = NULL;
	node->sequence = spool->next_sequence++;
	node->size = size;
	node->type = type;
	if (size)
		memcpy(node->bytes, bytes, size);
	if (spool->last)
		spool->last->next = node;
	else
		spool->first = node;
	spool->last = node;
	spool->count++;
	spool->bytes += sizeof(*node) + size;
	return 0;
}

bool spool_find(const struct spool *spool, uint64_t sequence, struct spool_message *ret_message)
{
	const struct node *node = spool->first;

	while (node && node->sequence < sequence)
		node = node->next;
	if (!node)
		return false;
	*ret_message =
		(struct spool_message){ node->sequence, node->type, node->bytes, node->size };
	return true;
}

size_t spool_acknowledge(struct spool *spool, uint64_t sequence)
{
	size_t count = 0;

	for (; spool->first && spool->first->sequence <= sequence; count++)
		drop_first(spool);
	return count;
}

uint64_t spool_oldest(const struct spool *spool)
{
	return spool->first ? spool->first->sequence : spool->next_sequence;
}

size_t spool_count(const struct spool *spool)
{
	return spool->count;
}

uint64_t spool_dropped(const struct spool *spool)
{
	return spool->dropped;
}
