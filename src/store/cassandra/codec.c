/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Readings as bytes. One of them: a version, what all of it has in common (epoch, start, segment),
 * then its tuples: group, parameter, life, the mask of its columns with a bit above them if its
 * start is another, that start, and the values of these columns. A shape ends before the values:
 * readings of one shape belong to the same tracks and columns. A row of readings: a version, then
 * of each the instance's id, the size of its bytes, and these. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cql/murmur3.h"
#include "store/cassandra/private.h"

enum { READING_FORMAT = 1, BUNDLE_FORMAT = 1, HAS_START = 1 << METRIC_COLUMNS_MAX };

#define NAME_PREFIX "name:"

static void write_tuple(struct buffer *to, const struct tuple *tuple, bool has_values)
{
	buffer_write_varint(to, tuple->group);
	buffer_write_string(to, tuple->parameter);
	buffer_write_string(to, tuple->life);
	buffer_write_varint(to, tuple->present | (tuple->has_start ? (uint32_t)HAS_START : 0u));
	if (tuple->has_start)
		buffer_write_signed(to, tuple->start_ms);
	for (unsigned int i = 0; has_values && i < METRIC_COLUMNS_MAX; i++)
		if (tuple_has(tuple, i))
			buffer_write_signed(to, tuple->values[i]);
}

static void write(struct buffer *to, const struct reading *reading, bool has_values)
{
	buffer_write_u8(to, READING_FORMAT);
	buffer_write_string(to, reading->epoch);
	buffer_write_signed(to, reading->start_ms);
	buffer_write_varint(to, reading->segment);
	buffer_write_varint(to, reading->tuple_count);
	for (size_t i = 0; i < reading->tuple_count; i++)
		write_tuple(to, &reading->tuples[i], has_values);
}

void reading_write(struct buffer *to, const struct reading *reading)
{
	write(to, reading, true);
}

void shape_write(struct buffer *to, const struct reading *reading)
{
	write(to, reading, false);
}

/* The group, and how many columns it has; breaks the cursor if there is none. */
static unsigned int read_group(struct cursor *from, struct decoded *decoded)
{
	size_t group = cursor_read_size(from, _METRIC_GROUP_COUNT - 1);

	decoded->group = (enum metric_group)group;
	return metric_group_info(decoded->group)->columns;
}

static void read_tuple(
	struct cursor *from, int64_t start_ms, bool has_values, struct decoded *decoded)
{
	unsigned int columns = read_group(from, decoded);
	size_t mask;

	cursor_read_string(from, decoded->parameter, PARAMETER_TEXT_MAX);
	cursor_read_string(from, decoded->life, EPOCH_TEXT_MAX);
	mask = cursor_read_size(from, HAS_START | 0xffffu);
	decoded->present = (uint16_t)(mask & 0xffffu);
	if (decoded->present >> columns)
		from->is_broken = true;
	decoded->start_ms = mask & HAS_START ? cursor_read_signed(from) : start_ms;
	for (unsigned int i = 0; has_values && i < columns; i++)
		if (decoded->present >> i & 1)
			decoded->values[i] = cursor_read_signed(from);
}

static int read(const void *bytes, size_t size, bool has_values, decoded_fn each, void *context)
{
	struct cursor from = cursor_over(bytes, size);
	struct decoded decoded = { 0 };
	int64_t start_ms;
	size_t count;
	int r = 0;

	if (cursor_read_u8(&from) != READING_FORMAT)
		return -EBADMSG;
	cursor_read_string(&from, decoded.epoch, EPOCH_TEXT_MAX);
	start_ms = cursor_read_signed(&from);
	decoded.segment = (uint32_t)cursor_read_size(&from, UINT32_MAX);
	count = cursor_read_size(&from, TUPLES_MAX);
	for (size_t i = 0; i < count && r == 0; i++) {
		read_tuple(&from, start_ms, has_values, &decoded);
		r = from.is_broken ? -EBADMSG : each(context, &decoded);
	}
	return r == 0 && (from.is_broken || cursor_left(&from)) ? -EBADMSG : r;
}

int reading_read(const void *bytes, size_t size, decoded_fn each, void *context)
{
	return read(bytes, size, true, each, context);
}

int shape_read(const void *bytes, size_t size, decoded_fn each, void *context)
{
	return read(bytes, size, false, each, context);
}

int digester_init(struct digester *digester)
{
	digester->kind = EVP_MD_fetch(NULL, "SHA256", NULL);
	digester->context = EVP_MD_CTX_new();
	return digester->kind && digester->context ? 0 : -ENOMEM;
}

void digester_deinit(struct digester *digester)
{
	EVP_MD_free(digester->kind);
	EVP_MD_CTX_free(digester->context);
}

int digester_of(
	struct digester *digester, const void *bytes, size_t size, struct digest *ret_digest)
{
	unsigned char whole[EVP_MAX_MD_SIZE];

	if (EVP_DigestInit_ex2(digester->context, digester->kind, NULL) != 1 ||
		EVP_DigestUpdate(digester->context, bytes, size) != 1 ||
		EVP_DigestFinal_ex(digester->context, whole, NULL) != 1)
		return -EIO;
	memcpy(ret_digest->bytes, whole, DIGEST_SIZE);
	return 0;
}

int instance_id_write(const struct instance_key *key, char id[INSTANCE_ID_SIZE])
{
	int size;

	if (key->has_uuid) {
		uuid_format(&key->uuid, id);
		return 0;
	}
	size = snprintf(id, INSTANCE_ID_SIZE, NAME_PREFIX "%s", key->name);
	return size < 0 || size >= INSTANCE_ID_SIZE ? -EMSGSIZE : 0;
}

int instance_id_read(const char *id, struct instance_key *ret_key)
{
	struct instance_key key = { .has_uuid = true };

	if (strncmp(id, NAME_PREFIX, strlen(NAME_PREFIX)) == 0)
		key = (struct instance_key){ .name = id + strlen(NAME_PREFIX) };
	else if (uuid_parse(id, &key.uuid) < 0)
		return -EBADMSG;
	*ret_key = key;
	return 0;
}

int32_t instance_bucket(const char *id)
{
	return (int32_t)((uint64_t)cql_murmur3_token(id, strlen(id)) % BUCKETS);
}

int32_t instance_slot(const char *id)
{
	return (int32_t)(((uint64_t)cql_murmur3_token(id, strlen(id)) >> 32) % SLOTS);
}

void bundle_begin(struct buffer *to)
{
	buffer_clear(to);
	buffer_write_u8(to, BUNDLE_FORMAT);
}

void bundle_add(struct buffer *to, const char *id, const void *bytes, size_t size)
{
	buffer_write_string(to, id);
	buffer_write_varint(to, size);
	buffer_write(to, bytes, size);
}

int bundle_open(struct digester *digester, const struct cql_result *row, int64_t *ret_time_ms,
	struct cursor *ret_cursor)
{
	struct cql_value digest = cql_result_value(row, 1), bundle = cql_result_value(row, 2);
	struct digest of;

	if (cql_read_bigint(cql_result_value(row, 0), ret_time_ms) < 0 || bundle.size <= 0 ||
		digest.size != DIGEST_SIZE)
		return -EBADMSG;
	if (digester_of(digester, bundle.bytes, (size_t)bundle.size, &of) < 0)
		return -EIO;
	if (memcmp(of.bytes, digest.bytes, DIGEST_SIZE) != 0)
		return -EBADMSG;
	*ret_cursor = cursor_over(bundle.bytes, (size_t)bundle.size);
	return cursor_read_u8(ret_cursor) == BUNDLE_FORMAT ? 0 : -EBADMSG;
}

int bundle_next(struct cursor *cursor, struct bundled *ret_bundled)
{
	struct bundled bundled;

	if (cursor_left(cursor) == 0)
		return cursor->is_broken ? -EBADMSG : 0;
	bundled.id_size = cursor_read_size(cursor, INSTANCE_ID_SIZE - 1);
	bundled.id = (const char *)cursor_read_bytes(cursor, bundled.id_size);
	bundled.size = cursor_read_size(cursor, READING_BYTES_MAX);
	bundled.bytes = cursor_read_bytes(cursor, bundled.size);
	if (cursor->is_broken)
		return -EBADMSG;
	*ret_bundled = bundled;
	return 1;
}

int bundle_find(struct cursor *cursor, const char *id, struct bundled *ret_bundled)
{
	size_t size = strlen(id);
	int r;

	do
		r = bundle_next(cursor, ret_bundled);
	while (r == 1 && (ret_bundled->id_size != size || memcmp(ret_bundled->id, id, size) != 0));
	return r;
}

int bundled_resident(
	const struct bundled *bundled, const struct tracks *tracks, struct resident **ret_resident)
{
	char id[INSTANCE_ID_SIZE];
	struct instance_key key;

	memcpy(id, bundled->id, bundled->id_size);
	id[bundled->id_size] = '\0';
	if (instance_id_read(id, &key) < 0)
		return -EBADMSG;
	*ret_resident = tracks_find_resident(tracks, &key);
	return 0;
}

int row_readings(struct digester *digester, const struct cql_result *row, const char *id,
	int64_t *ret_time_ms, decoded_fn each, void *context)
{
	struct bundled bundled;
	struct cursor cursor;
	int r = bundle_open(digester, row, ret_time_ms, &cursor);

	while (r == 0 && (r = bundle_find(&cursor, id, &bundled)) == 1)
		r = reading_read(bundled.bytes, bundled.size, each, context);
	return r;
}
