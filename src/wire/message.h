/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What workers send to the server: frames [type, JSON] as the specification has them, and [type,
 * JSON, envelope] from workers of ours (docs/protocol.md). Pure functions over buffers, no sockets.
 *
 * Decoding never trusts: every part that is wrong is refused with a reason and counted, and the
 * valid rest of the message is kept. */

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/macros.h"
#include "model/batch.h"

enum {
	WIRE_MESSAGE_MAX = 1024 * 1024, /* bytes of one frame; a larger one is refused unread */
	WIRE_TUPLES_MAX = 4096,         /* of one reading */
};

enum message_type {
	MESSAGE_HEART_BEAT,
	MESSAGE_LOCAL_INFO,
	MESSAGE_TRAFFIC_ACCOUNTING,
	MESSAGE_AGENT,
	_MESSAGE_TYPE_COUNT,
};

/* Why something was refused. */
enum refusal {
	REFUSAL_FRAMES,   /* not two or three frames, or an unknown type */
	REFUSAL_SIZE,     /* a frame or a part over a maximum */
	REFUSAL_JSON,     /* not JSON, not UTF-8, nested too deeply, a key twice */
	REFUSAL_SHAPE,    /* JSON of another shape than the message has */
	REFUSAL_NUMBER,   /* no number, not finite, or out of range */
	REFUSAL_TIME,     /* absurd, or further in the future than a clock may be wrong */
	REFUSAL_NAME,     /* an instance, metric, parameter or epoch without a usable name */
	REFUSAL_ENVELOPE, /* the third frame */
	_REFUSAL_COUNT,
};

const char *refusal_name(enum refusal refusal);

struct frame {
	const void *bytes;
	size_t size;
};

struct heartbeat {
	char worker[INSTANCE_TEXT_MAX + 1];
	int64_t time_ms;
	int status; /* 0: about to exit; else working */
};

struct message_options {
	bool cpu_is_percent; /* what an old worker's cpu tuple means */
	int64_t now_ms;      /* times more than a day after it are refused */
};

/* What decoding found wrong: how often each, and words about the first. */
struct message_report {
	uint32_t refused[_REFUSAL_COUNT];
	struct error first;
	bool is_legacy; /* an old worker's form */
};

struct message {
	enum message_type type;
	struct heartbeat heartbeat; /* MESSAGE_HEART_BEAT */
	struct batch *batch;        /* else; owned */
};

void message_deinit(struct message *message);
CLEANUP_DEFINE_VALUE(struct message, message_deinit)

/* Returns 0 if something of the message is usable (what was not is in the report); MESSAGE_REFUSED
 * if nothing is, though message->batch->envelope may be set, so that a refusal can be acknowledged;
 * -ENOMEM. */
enum { MESSAGE_REFUSED = 1 };
MUST_CHECK int message_decode(const struct frame *frames, size_t count,
	const struct message_options *options, struct message *ret_message,
	struct message_report *ret_report);

/* Only the third frame, so that a message whose number is known can be dropped unparsed. Texts live
 * in the arena. 0, MESSAGE_REFUSED or -ENOMEM. */
MUST_CHECK int message_decode_envelope(const struct frame *frame, struct arena *arena,
	struct envelope *ret_envelope, struct message_report *report);

/* The JSON of each message, appended to `to`. The batch's readings all go into one; the caller
 * splits so that they stay under WIRE_MESSAGE_MAX. */
void message_encode_heartbeat(struct buffer *to, const char *worker, int64_t time_ms, int status);
void message_encode_readings(
	struct buffer *to, const char *host, const struct reading *readings, size_t count);
void message_encode_infos(
	struct buffer *to, const char *host, const struct instance_info *infos, size_t count);
void message_encode_gaps(struct buffer *to, const char *host, const struct gap *gaps, size_t count);
void message_encode_envelope(struct buffer *to, const struct envelope *envelope);

/* The two frames of an acknowledgement on PUB: the topic a worker subscribes to, and {"ack": n}. */
void message_encode_ack_topic(struct buffer *to, const char *worker, const char *spool);
void message_encode_ack(struct buffer *to, uint64_t sequence);
MUST_CHECK int message_decode_ack(const struct frame *frame, uint64_t *ret_sequence);
