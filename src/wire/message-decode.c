/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "wire/decoding.h"

/* How many numbers of one message may be out of range before the whole message is refused. */
enum { NUMBERS_BLANKED_MAX = 16 };

static const int64_t FUTURE_MAX_MS = INT64_C(24) * 3600 * 1000;

const char *refusal_name(enum refusal refusal)
{
	static const char *const names[_REFUSAL_COUNT] = {
		[REFUSAL_FRAMES] = "frames",
		[REFUSAL_SIZE] = "size",
		[REFUSAL_JSON] = "json",
		[REFUSAL_SHAPE] = "shape",
		[REFUSAL_NUMBER] = "number",
		[REFUSAL_TIME] = "time",
		[REFUSAL_NAME] = "name",
		[REFUSAL_ENVELOPE] = "envelope",
	};

	return names[refusal];
}

void refuse(struct message_report *report, enum refusal refusal, const char *format, ...)
{
	char text[ERROR_TEXT_MAX / 2];
	va_list args;

	report->refused[refusal]++;
	if (report->first.text[0])
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	error_set(&report->first, 0, "%s", text);
}

const char *decode_name(const json_t *json, size_t maximum)
{
	const char *text = json_string_value(json);
	size_t size = json_string_length(json);

	if (!text || size == 0 || size > maximum)
		return NULL;
	for (size_t i = 0; i < size; i++)
		if ((uint8_t)text[i] < 0x20 || text[i] == 0x7f)
			return NULL;
	return text;
}

bool decode_value(const json_t *json, int64_t *ret_value)
{
	int64_t value;

	if (json_is_integer(json)) {
		value = json_integer_value(json);
	} else if (json_is_string(json)) {
		if (text_to_i64(json_string_value(json), &value) < 0)
			return false;
	} else if (json_is_real(json)) {
		double real = json_real_value(json);

		/* Beyond 2^53 a real is no longer the number that was meant. */
		if (!(real >= 0 && real <= 9007199254740992.0) || real != floor(real))
			return false;
		value = (int64_t)real;
	} else {
		return false;
	}
	if (value < 0)
		return false;
	*ret_value = value;
	return true;
}

bool decode_scaled(const json_t *json, unsigned int scale, int64_t *ret_value)
{
	int64_t whole;
	double real;

	if (decode_value(json, &whole))
		return !__builtin_mul_overflow(whole, (int64_t)scale, ret_value);
	if (json_is_real(json)) {
		real = json_real_value(json);
	} else if (json_is_string(json)) {
		/* Nine digits after the point, of at most nine in front of it and more. */
		if (text_to_scaled(json_string_value(json), 6, &whole) < 0)
			return false;
		real = (double)whole / 1e6;
	} else {
		return false;
	}
	if (!(real >= 0 && real * scale < 9007199254740992.0))
		return false;
	*ret_value = llround(real * scale);
	return true;
}

bool decode_time_is_sane(const struct decoding *decoding, int64_t time_ms)
{
	return time_ms >= TIME_MS_MIN && time_ms <= TIME_MS_MAX &&
	       time_ms <= decoding->options->now_ms + FUTURE_MAX_MS;
}

void message_deinit(struct message *message)
{
	message->batch = batch_free(message->batch);
}

/* The JSON of a frame. A number that does not fit 64 bits (or a double) makes jansson refuse the
 * whole text, so such a number is overwritten by blanks with a null in it, and counted: one absurd
 * value must not take the others with it. */
static json_t *parse(const struct frame *frame, struct message_report *report)
{
	CLEANUP(string_free) char *copy = NULL;
	const char *text = frame->bytes;
	json_error_t error;
	json_t *root;

	if (frame->size > WIRE_MESSAGE_MAX) {
		refuse(report, REFUSAL_SIZE, "a frame of %zu bytes; the maximum is %d", frame->size,
			WIRE_MESSAGE_MAX);
		return NULL;
	}
	for (unsigned int tries = 0;; tries++) {
		size_t end, begin;

		root = json_loadb(text, frame->size, JSON_REJECT_DUPLICATES, &error);
		if (root)
			return root;
		if (json_error_code(&error) != json_error_numeric_overflow ||
			tries == NUMBERS_BLANKED_MAX)
			break;
		if (!copy) {
			copy = malloc(frame->size + 1);
			if (!copy)
				break;
			memcpy(copy, frame->bytes, frame->size);
			text = copy;
		}
		/* jansson's position is just behind the number. */
		end = MIN_OF((size_t)error.position, frame->size);
		while (end > 0 && !strchr("0123456789", copy[end - 1]))
			end--;
		begin = end;
		while (begin > 0 && copy[begin - 1] && strchr("0123456789+-.eE", copy[begin - 1]))
			begin--;
		if (end - begin < 4)
			break;
		memset(copy + begin, ' ', end - begin);
		memcpy(copy + begin, "null", 4);
		refuse(report, REFUSAL_NUMBER, "a number does not fit 64 bits");
	}
	refuse(report, REFUSAL_JSON, "not JSON: %s", error.text);
	return NULL;
}

static int decode_heartbeat(
	const json_t *root, struct message *message, struct message_report *report)
{
	const char *worker = decode_name(json_array_get(root, 0), INSTANCE_TEXT_MAX);
	int64_t status;

	if (!json_is_array(root) || json_array_size(root) < 3) {
		refuse(report, REFUSAL_SHAPE, "a heartbeat is [worker, time, status]");
		return MESSAGE_REFUSED;
	}
	if (!worker) {
		refuse(report, REFUSAL_NAME, "a heartbeat's worker has no usable name");
		return MESSAGE_REFUSED;
	}
	if (!decode_scaled(json_array_get(root, 1), 1000, &message->heartbeat.time_ms) ||
		!decode_value(json_array_get(root, 2), &status)) {
		refuse(report, REFUSAL_NUMBER, "a heartbeat's time or status is no number");
		return MESSAGE_REFUSED;
	}
	text_copy(message->heartbeat.worker, sizeof(message->heartbeat.worker), worker);
	message->heartbeat.status = status != 0;
	return 0;
}

/* What an envelope may say besides. */
static bool decode_envelope_details(const json_t *root, struct envelope *envelope)
{
	const json_t *previous = json_object_get(root, "previous"),
		     *times = json_object_get(root, "times"),
		     *until = json_object_get(root, "until");
	int64_t number = (int64_t)envelope->sequence - 1;

	if (previous && (!decode_value(previous, &number) || number >= (int64_t)envelope->sequence))
		return false;
	envelope->previous = (uint64_t)number;
	if (times &&
		(!decode_value(json_array_get(times, 0), &envelope->first_ms) ||
			!decode_value(json_array_get(times, 1), &envelope->last_ms) ||
			envelope->first_ms > envelope->last_ms || envelope->last_ms > TIME_MS_MAX))
		return false;
	return !until ||
	       (decode_value(until, &envelope->until_ms) && envelope->until_ms <= TIME_MS_MAX);
}

int message_decode_envelope(const struct frame *frame, struct arena *arena,
	struct envelope *ret_envelope, struct message_report *report)
{
	json_t *root = parse(frame, report);
	const char *worker = decode_name(json_object_get(root, "worker"), INSTANCE_TEXT_MAX);
	const char *spool = decode_name(json_object_get(root, "spool"), INSTANCE_TEXT_MAX);
	struct envelope envelope = { 0 };
	int64_t sequence, oldest;

	if (!worker || !spool || !decode_value(json_object_get(root, "seq"), &sequence) ||
		!decode_value(json_object_get(root, "oldest"), &oldest) || oldest < 1 ||
		oldest > sequence) {
		refuse(report, REFUSAL_ENVELOPE,
			"an envelope is {worker, spool, seq, oldest} with 1 <= oldest <= seq");
		json_decref(root);
		return MESSAGE_REFUSED;
	}
	envelope.sequence = (uint64_t)sequence;
	envelope.oldest = (uint64_t)oldest;
	if (!decode_envelope_details(root, &envelope)) {
		refuse(report, REFUSAL_ENVELOPE,
			"an envelope's previous is no number below seq, or times or until no time");
		json_decref(root);
		return MESSAGE_REFUSED;
	}
	envelope.worker = arena_copy_text(arena, worker, strlen(worker));
	envelope.spool = arena_copy_text(arena, spool, strlen(spool));
	json_decref(root);
	if (!envelope.worker || !envelope.spool)
		return -ENOMEM;
	*ret_envelope = envelope;
	return 0;
}

static int decode_type(const struct frame *frame, enum message_type *ret_type)
{
	const char *bytes = frame->bytes;

	if (frame->size != 1 || bytes[0] < '0' || bytes[0] >= '0' + _MESSAGE_TYPE_COUNT)
		return -EINVAL;
	*ret_type = (enum message_type)(bytes[0] - '0');
	return 0;
}

/* By its shape, whatever its type says: the specification's own example sends what an agent read as
 * traffic. */
static int decode_data(struct decoding *decoding, enum message_type type, const json_t *root)
{
	if (json_is_array(json_object_get(root, "readings")))
		return decode_readings(decoding, root);
	if (json_is_array(json_object_get(root, "instances")))
		return decode_infos(decoding, root);
	if (json_is_array(json_object_get(root, "gaps")))
		return decode_gaps(decoding, root);
	decoding->report->is_legacy = true;
	if (type == MESSAGE_LOCAL_INFO)
		return 0;
	return decode_legacy(decoding, root);
}

static bool is_anything_refused(const struct message_report *report)
{
	for (size_t i = 0; i < _REFUSAL_COUNT; i++)
		if (report->refused[i])
			return true;
	return false;
}

static int decode_batch(const struct frame *frames, size_t count,
	const struct message_options *options, struct message *message,
	struct message_report *report)
{
	struct decoding decoding = { .options = options, .report = report };
	json_t *root;
	int r;

	r = batch_new(&message->batch);
	if (r < 0)
		return r;
	decoding.batch = message->batch;
	if (count == 3)
		r = message_decode_envelope(
			&frames[2], &message->batch->arena, &message->batch->envelope, report);
	if (r != 0)
		return r;
	root = parse(&frames[1], report);
	if (!root)
		return MESSAGE_REFUSED;
	r = decode_data(&decoding, message->type, root);
	json_decref(root);
	if (r < 0)
		return r;
	if (message->batch->reading_count || message->batch->info_count ||
		message->batch->gap_count)
		return 0;
	return is_anything_refused(report) ? MESSAGE_REFUSED : 0;
}

static int decode_message(const struct frame *frames, size_t count,
	const struct message_options *options, struct message *message,
	struct message_report *report)
{
	json_t *root;
	int r;

	if ((count != 2 && count != 3) || decode_type(&frames[0], &message->type) < 0) {
		refuse(report, REFUSAL_FRAMES,
			"%zu frames; expected a type from '0' to '3', JSON, and perhaps an "
			"envelope",
			count);
		return MESSAGE_REFUSED;
	}
	if (message->type != MESSAGE_HEART_BEAT)
		return decode_batch(frames, count, options, message, report);
	root = parse(&frames[1], report);
	if (!root)
		return MESSAGE_REFUSED;
	r = decode_heartbeat(root, message, report);
	json_decref(root);
	return r;
}

int message_decode(const struct frame *frames, size_t count, const struct message_options *options,
	struct message *ret_message, struct message_report *ret_report)
{
	int r;

	*ret_message = (struct message){ 0 };
	*ret_report = (struct message_report){ 0 };
	r = decode_message(frames, count, options, ret_message, ret_report);
	if (r < 0)
		message_deinit(ret_message);
	return r;
}

int message_decode_ack(const struct frame *frame, uint64_t *ret_sequence)
{
	json_t *root;
	int64_t sequence;
	bool valid;

	if (frame->size > 256)
		return -EINVAL;
	root = json_loadb(frame->bytes, frame->size, JSON_REJECT_DUPLICATES, NULL);
	valid = decode_value(json_object_get(root, "ack"), &sequence);
	json_decref(root);
	if (!valid)
		return -EINVAL;
	*ret_sequence = (uint64_t)sequence;
	return 0;
}
