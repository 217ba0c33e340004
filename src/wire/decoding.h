/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What the decoders of the several messages share; private to this folder. */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire/message.h"

struct decoding {
	const struct message_options *options;
	struct message_report *report;
	struct batch *batch;
};

/* Counts a refusal and keeps the words about the first. */
void refuse(struct message_report *report, enum refusal refusal, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* The text of a name, id or host: not empty, not too long, no control characters. NULL: not so. It
 * lives as long as the JSON. */
const char *decode_name(const json_t *json, size_t maximum);

/* A whole number of zero or more, as a JSON number or in a text; reals are accepted if they are
 * whole. false: not so. */
bool decode_value(const json_t *json, int64_t *ret_value);

/* A number scaled by `scale` and rounded: seconds to milliseconds, KB to bytes. */
bool decode_scaled(const json_t *json, unsigned int scale, int64_t *ret_value);

/* Is this a time that readings may have? */
bool decode_time_is_sane(const struct decoding *decoding, int64_t time_ms);

/* Each fills decoding->batch with what is valid. -ENOMEM, or 0. */
MUST_CHECK int decode_readings(struct decoding *decoding, const json_t *root);
MUST_CHECK int decode_infos(struct decoding *decoding, const json_t *root);
MUST_CHECK int decode_gaps(struct decoding *decoding, const json_t *root);
MUST_CHECK int decode_legacy(struct decoding *decoding, const json_t *root);
