/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "store/imprint.h"

#include <errno.h>
#include <string.h>

#include "store/packed.h"

enum { TOLD_MAX = 2 * 1024 * 1024, TOLD_AT_ONCE = 64 * 1024 };

/* What follows. */
enum { INFO, SERIES, SAMPLE };

int imprint_init(struct imprint *imprint)
{
	*imprint = (struct imprint){ .context = EVP_MD_CTX_new() };
	buffer_init(&imprint->told, TOLD_MAX);
	if (!imprint->context)
		return -ENOMEM;
	return EVP_DigestInit_ex2(imprint->context, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
}

void imprint_deinit(struct imprint *imprint)
{
	EVP_MD_CTX_free(imprint->context);
	buffer_deinit(&imprint->told);
}

static void digest_told(struct imprint *imprint)
{
	if (imprint->r == 0)
		imprint->r = buffer_check(&imprint->told);
	if (imprint->r == 0 && imprint->told.size &&
		EVP_DigestUpdate(imprint->context, imprint->told.bytes, imprint->told.size) != 1)
		imprint->r = -EIO;
	buffer_clear(&imprint->told);
}

void imprint_add_info(struct imprint *imprint, const struct instance_info *info)
{
	buffer_write_u8(&imprint->told, INFO);
	packed_write_info(&imprint->told, info);
	digest_told(imprint);
}

static void add_name(struct imprint *imprint, const struct store_series *series)
{
	struct buffer *told = &imprint->told;

	buffer_write_u8(told, SERIES);
	buffer_write_u8(told, (uint8_t)series->metric->group);
	buffer_write_u8(told, series->metric->column);
	buffer_write_string(told, series->parameter);
	buffer_write_string(told, series->epoch);
	buffer_write_string(told, series->life);
	buffer_write_varint(told, series->segment);
	buffer_write_signed(told, series->start_ms);
}

void imprint_add_series(
	struct imprint *imprint, const struct store_series *series, int64_t from_ms, int64_t to_ms)
{
	bool is_named = false;

	for (size_t i = 0; i < series->count; i++) {
		const struct sample *sample = &series->samples[i];

		if (sample->time_ms < from_ms || sample->time_ms >= to_ms)
			continue;
		if (!is_named)
			add_name(imprint, series);
		is_named = true;
		buffer_write_u8(&imprint->told, SAMPLE);
		buffer_write_signed(&imprint->told, sample->time_ms);
		buffer_write_signed(&imprint->told, sample->value);
		if (imprint->told.size >= TOLD_AT_ONCE)
			digest_told(imprint);
	}
}

int imprint_finish(struct imprint *imprint, uint8_t ret_digest[IMPRINT_SIZE])
{
	uint8_t whole[EVP_MAX_MD_SIZE];

	digest_told(imprint);
	if (imprint->r == 0 && EVP_DigestFinal_ex(imprint->context, whole, NULL) != 1)
		imprint->r = -EIO;
	if (imprint->r == 0)
		memcpy(ret_digest, whole, IMPRINT_SIZE);
	return imprint->r;
}
