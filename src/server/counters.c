/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "server/counters.h"

static const char *const names[_COUNTER_COUNT] = {
	[COUNTER_RECEIVED] = "received",
	[COUNTER_BYTES] = "received_bytes",
	[COUNTER_HEARTBEATS] = "heartbeats",
	[COUNTER_LEGACY] = "legacy",
	[COUNTER_KNOWN] = "known",
	[COUNTER_TOO_FAR] = "too_far",
	[COUNTER_UNAVAILABLE] = "unavailable",
	[COUNTER_GONE] = "gone",
	[COUNTER_REFUSED] = "refused",
	[COUNTER_STORED] = "stored",
	[COUNTER_DUPLICATE] = "duplicate",
	[COUNTER_CONFLICTING] = "conflicting",
	[COUNTER_LATE] = "late",
	[COUNTER_ACKS] = "acks",
	[COUNTER_DISCONNECTED] = "disconnected",
	[COUNTER_PAUSES] = "pauses",
	[_COUNTER_REFUSAL + REFUSAL_FRAMES] = "refused_frames",
	[_COUNTER_REFUSAL + REFUSAL_SIZE] = "refused_size",
	[_COUNTER_REFUSAL + REFUSAL_JSON] = "refused_json",
	[_COUNTER_REFUSAL + REFUSAL_SHAPE] = "refused_shape",
	[_COUNTER_REFUSAL + REFUSAL_NUMBER] = "refused_number",
	[_COUNTER_REFUSAL + REFUSAL_TIME] = "refused_time",
	[_COUNTER_REFUSAL + REFUSAL_NAME] = "refused_name",
	[_COUNTER_REFUSAL + REFUSAL_ENVELOPE] = "refused_envelope",
};

const char *counter_name(unsigned int counter)
{
	return names[counter];
}
