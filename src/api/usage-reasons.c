/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Why an answer is not complete, and the subtractions behind it, as JSON. */

#include <string.h>

#include "api/usages.h"

static void set_time(json_t *object, const char *name, int64_t time_ms)
{
	json_object_set_new(object, name,
		time_ms == INT64_MIN || time_ms == TIME_OPEN ? json_null()
							     : seconds_to_json(time_ms));
}

static void set_text(json_t *object, const char *name, const char *text)
{
	if (*text)
		json_object_set_new(object, name, json_string(text));
}

static json_t *reason_to_json(const struct reason *reason)
{
	json_t *object = json_pack("{s:s}", "reason", reason_kind_name(reason->kind));

	switch (reason->kind) {
	case REASON_TAIL_UNMEASURED:
	case REASON_GAP:
		set_time(object, "from", reason->from_ms);
		set_time(object, "to", reason->to_ms);
		break;
	case REASON_BEGIN_UNMEASURED:
		set_time(object, "to", reason->to_ms);
		break;
	case REASON_FALL:
		set_time(object, "at", reason->to_ms);
		break;
	case REASON_LEGACY_WORKER:
	case REASON_NO_FLAVOR:
		break;
	default:
		set_time(object, "since", reason->from_ms);
		break;
	}
	set_text(object, "epoch", reason->epoch);
	set_text(object, "host", reason->host);
	set_text(object, "cause", reason->cause);
	return object;
}

json_t *reasons_to_json(const struct account *account)
{
	json_t *array = json_array();

	for (size_t i = 0; i < account->reason_count; i++)
		json_array_append_new(array, reason_to_json(&account->reasons[i]));
	return array;
}

static json_t *sample_to_json(const struct sample *sample)
{
	return sample ? json_pack("[o, I]", seconds_to_json(sample->time_ms),
				(json_int_t)sample->value)
		      : json_null();
}

/* The samples around an edge, and what the counter is taken to have been. */
static json_t *edge_to_json(const struct usage_epoch *epoch, int64_t base, int64_t t_ms)
{
	const struct sample *before = NULL, *after = NULL;

	for (size_t i = 0; i < epoch->count && !after; i++)
		if (epoch->samples[i].time_ms <= t_ms)
			before = &epoch->samples[i];
		else
			after = &epoch->samples[i];
	return json_pack("{s:o, s:o, s:o, s:I}", "at", seconds_to_json(t_ms), "before",
		sample_to_json(before), "after", sample_to_json(after), "counter",
		(json_int_t)(base + usage_until(epoch, t_ms)));
}

static json_t *subtraction_to_json(const struct gathered *series, int64_t from_ms, int64_t to_ms)
{
	const struct usage_epoch *epoch = &series->epoch;
	int64_t base = epoch->start_ms == EPOCH_START_UNKNOWN ? epoch->samples[0].value
							      : epoch->start_value;
	json_t *object = json_pack("{s:s, s:s, s:s, s:I}", "parameter", series->parameter, "epoch",
		series->epoch_name, "life", series->life, "segment", (json_int_t)series->segment);

	set_time(object, "start", epoch->start_ms);
	json_object_set_new(object, "from", edge_to_json(epoch, base, from_ms));
	json_object_set_new(object, "to", edge_to_json(epoch, base, to_ms));
	json_object_set_new(object, "usage", json_integer(usage_between(epoch, from_ms, to_ms)));
	return object;
}

/* Does it say anything about the window? */
static bool is_inside(const struct gathered *series, int64_t from_ms, int64_t to_ms)
{
	const struct usage_epoch *epoch = &series->epoch;

	return usage_between(epoch, from_ms, to_ms) > 0 ||
	       (epoch->samples[0].time_ms < to_ms &&
		       epoch->samples[epoch->count - 1].time_ms >= from_ms);
}

json_t *explanation_to_json(const struct summary_question *question)
{
	json_t *array = json_array();

	for (size_t i = 0; i < question->count; i++) {
		const struct gathered *series = &question->series[i];

		if (series->metric->kind == METRIC_COUNTER &&
			summary_wants(question, series->parameter) &&
			is_inside(series, question->from_ms, question->to_ms))
			json_array_append_new(array,
				subtraction_to_json(series, question->from_ms, question->to_ms));
	}
	return array;
}
