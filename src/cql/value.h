/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Values in CQL's encoding: made over storage of the caller, and read with their size checked.
 *
 * A reader of a fixed type fails on null; who expects one asks cql_is_null first. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cursor.h"
#include "base/macros.h"

/* Bytes or a text (without a NUL at its end) in somebody's buffer. */
struct cql_bytes {
	const uint8_t *bytes;
	size_t size;
};

bool cql_bytes_equal(struct cql_bytes bytes, const char *text);

enum {
	CQL_NULL = -1,  /* sizes of a value that has no bytes */
	CQL_UNSET = -2, /* leaves the column as it is, without a tombstone */
};

struct cql_value {
	const void *bytes;
	int32_t size;
};

/* Storage for the value of any of the fixed types. The macros' values live until the end of the
 * enclosing block. */
struct cql_storage {
	uint8_t bytes[8];
};

struct cql_value cql_null(void);
struct cql_value cql_unset(void);
struct cql_value cql_int(int32_t value, struct cql_storage *storage);
struct cql_value cql_bigint(int64_t value, struct cql_storage *storage); /* and timestamp, in ms */
struct cql_value cql_text(const char *text);
struct cql_value cql_blob(const void *bytes, size_t size); /* size at most CQL_REQUEST_MAX */

#define CQL_INT(value)    cql_int((value), &(struct cql_storage){ { 0 } })
#define CQL_BIGINT(value) cql_bigint((value), &(struct cql_storage){ { 0 } })

bool cql_is_null(struct cql_value value);

/* Each returns 0; -EPROTO if the value is null or has another size. */
MUST_CHECK int cql_read_int(struct cql_value value, int32_t *ret_value);
MUST_CHECK int cql_read_bigint(struct cql_value value, int64_t *ret_value); /* and timestamp */
MUST_CHECK int cql_read_boolean(struct cql_value value, bool *ret_value);
MUST_CHECK int cql_read_uuid(struct cql_value value, uint8_t ret_uuid[16]);

/* Copies a text and ends it with NUL. Returns 0; -EPROTO if it is null, not UTF-8 or holds a NUL;
 * -EMSGSIZE if it does not fit into `size` bytes. */
MUST_CHECK int cql_read_text(struct cql_value value, char *ret_text, size_t size);

/* The address of a node. */
struct cql_address {
	uint8_t bytes[16];
	uint8_t size;  /* 4 or 16 */
	uint16_t port; /* 0: not told */
};

enum { CQL_ADDRESS_TEXT_SIZE = 64 };

/* inet, whose port is 0. Returns as the other readers do. */
MUST_CHECK int cql_read_inet(struct cql_value value, struct cql_address *ret_address);

bool cql_address_equal(const struct cql_address *one, const struct cql_address *other);
/* "192.0.2.1" or "2001:db8::1", without the port. */
void cql_address_print(const struct cql_address *address, char text[CQL_ADDRESS_TEXT_SIZE]);

/* What is inside a list, a set or a map (a key and its value alternate). A null one is empty. */
struct cql_items {
	struct cursor cursor;
	uint32_t left;
};

/* Each returns 0; -EPROTO if the elements are not what the value holds. */
MUST_CHECK int cql_read_list(struct cql_value value, struct cql_items *ret_items); /* and set */
MUST_CHECK int cql_read_map(struct cql_value value, struct cql_items *ret_items);

/* false: that was the last. */
bool cql_items_next(struct cql_items *items, struct cql_value *ret_value);

/* Appends the partition key that these columns make, as tokens are computed from it: one column's
 * bytes as they are, several as a composite.
 * Returns 0; -EINVAL if there are none, one is null or unset, or they make
 * more than the 65,535 bytes of a key.
 */
MUST_CHECK int cql_key_write(struct buffer *to, const struct cql_value *values, size_t count);
