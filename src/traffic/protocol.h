/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What the worker and kanyun-traffic say to each other, over two pipes. The worker tells which
 * addresses are behind which taps, as often as it reads; the helper makes the kernel count those
 * and no others, and answers what was counted. Each message is a length (u32) and that many bytes;
 * neither side trusts the other's. */

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/macros.h"

enum {
	TRAFFIC_MESSAGE_MAX = 8 * 1024 * 1024,
	TRAFFIC_PORTS_MAX = 16384, /* addresses on one host */
	TRAFFIC_PREFIXES_MAX = 64,
	TRAFFIC_LABEL_MAX = INET6_ADDRSTRLEN - 1,
	TRAFFIC_LIFE_MAX = 63,
	TRAFFIC_PROBLEM_MAX = ERROR_TEXT_MAX - 1,
};

struct traffic_address {
	uint8_t family;    /* 4 or 6 */
	uint8_t bytes[16]; /* in network order; what is not used is 0 */
};

struct traffic_prefix {
	struct traffic_address address;
	uint8_t length;
};

/* An address behind a tap. */
struct traffic_port {
	char nic[IFNAMSIZ];
	uint32_t index; /* the kernel's number of the tap, which does not come back */
	struct traffic_address address;
	char label[TRAFFIC_LABEL_MAX + 1]; /* what its traffic is told under, "": the address */
};

enum traffic_question {
	TRAFFIC_METER,      /* make the kernel count, and read */
	TRAFFIC_READ,       /* only read what an earlier worker set up */
	TRAFFIC_ACCOUNTING, /* read the accounting rules of iptables */
	_TRAFFIC_QUESTIONS,
};

struct traffic_wish {
	enum traffic_question question;
	const struct traffic_prefix *internal;
	size_t internal_count;
	const struct traffic_port *ports;
	size_t port_count;
};

enum traffic_kind {
	TRAFFIC_EXTERNAL_IN,
	TRAFFIC_EXTERNAL_OUT,
	TRAFFIC_INTERNAL_IN,
	TRAFFIC_INTERNAL_OUT,
	_TRAFFIC_KINDS,
};

/* One life of one address' counters; bytes of IP packets. */
struct traffic_counter {
	uint32_t index;
	struct traffic_address address;
	char label[TRAFFIC_LABEL_MAX + 1];
	char life[TRAFFIC_LIFE_MAX + 1]; /* "BOOT.TABLE.MS"; "" of an accounting rule */
	bool is_whole;                   /* nothing passed the tap before it */
	bool is_final;                   /* it does not count any more */
	bool has[_TRAFFIC_KINDS];
	int64_t bytes[_TRAFFIC_KINDS];
	int64_t number; /* of an accounting rule: the instance's; else 0 */
};

struct traffic_answer {
	char problem[TRAFFIC_PROBLEM_MAX + 1]; /* "": none; the counters are right all the same */
	bool is_one_way;  /* the kernel cannot count what goes to an instance */
	uint32_t refused; /* rules that say less than they must */
	struct traffic_counter *counters;
	size_t count;
};

/* "10.0.0.2" or "2001:db8::2". 0 or -EINVAL. */
MUST_CHECK int traffic_address_parse(const char *text, struct traffic_address *ret_address);
char *traffic_address_format(
	const struct traffic_address *address, char text[TRAFFIC_LABEL_MAX + 1]);

/* "10.0.0.0/8"; bits behind the length must be 0. */
MUST_CHECK int traffic_prefix_parse(const char *text, struct traffic_prefix *ret_prefix);

/* When it was made, CLOCK_BOOTTIME; -EINVAL: it does not say. */
MUST_CHECK int traffic_life_ms(const char *life, int64_t *ret_ms);

/* Whether the kernel's tools take the name as it is: no blank, quote, slash or asterisk. */
bool traffic_nic_is_plain(const char *nic);

/* Encoding replaces the buffer's content by a whole message; decoding begins behind the length,
 * and takes from the arena. -EPROTO: it is none; -ENOMEM. */
void traffic_encode_wish(struct buffer *to, const struct traffic_wish *wish);
MUST_CHECK int traffic_decode_wish(
	struct cursor *from, struct arena *arena, struct traffic_wish *ret_wish);
void traffic_encode_answer(struct buffer *to, const struct traffic_answer *answer);
MUST_CHECK int traffic_decode_answer(
	struct cursor *from, struct arena *arena, struct traffic_answer *ret_answer);
