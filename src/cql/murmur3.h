/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Where a partition lies on Cassandra's ring: Murmur3Partitioner's token of its key. */

#include <stddef.h>
#include <stdint.h>

/* As token() of CQL gives it: MurmurHash3 x64 128, first half, in Cassandra's variant (bytes of the
 * tail are signed), INT64_MAX in place of INT64_MIN, which only an empty key has. The key is
 * serialized (cql_key_write). */
int64_t cql_murmur3_token(const void *key, size_t size);
