/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "api/http/focus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/http/asking.h"
#include "api/projects.h"
#include "base/time-text.h"
#include "http/accept.h"

enum { LABEL_MAX = 255, DECIMAL_SIZE = 32 };

/* In alphabetical order; our own behind them. */
#define COLUMN(name)                                                                               \
	{                                                                                          \
		name, FIELD_PLAIN, NULL, false                                                     \
	}
#define NUMBER(name)                                                                               \
	{                                                                                          \
		name, FIELD_AMOUNT, NULL, false                                                    \
	}
static const struct field columns[] = {
	COLUMN("BilledCost"),
	COLUMN("BillingAccountId"),
	COLUMN("BillingAccountName"),
	COLUMN("BillingCurrency"),
	COLUMN("BillingPeriodEnd"),
	COLUMN("BillingPeriodStart"),
	COLUMN("ChargeCategory"),
	COLUMN("ChargeClass"),
	COLUMN("ChargeDescription"),
	COLUMN("ChargeFrequency"),
	COLUMN("ChargePeriodEnd"),
	COLUMN("ChargePeriodStart"),
	NUMBER("ConsumedQuantity"),
	COLUMN("ConsumedUnit"),
	COLUMN("ContractedCost"),
	COLUMN("EffectiveCost"),
	COLUMN("InvoiceIssuerName"),
	COLUMN("ListCost"),
	NUMBER("PricingQuantity"),
	COLUMN("PricingUnit"),
	COLUMN("ProviderName"),
	COLUMN("PublisherName"),
	COLUMN("ResourceId"),
	COLUMN("ResourceName"),
	COLUMN("ResourceType"),
	COLUMN("ServiceCategory"),
	COLUMN("ServiceName"),
	COLUMN("ServiceSubcategory"),
	COLUMN("SubAccountId"),
	COLUMN("SubAccountName"),
	COLUMN("x_Metric"),
	COLUMN("x_Value"),
	COLUMN("x_Unit"),
	COLUMN("x_Uncertainty"),
	COLUMN("x_Coverage"),
	COLUMN("x_Complete"),
	{ "x_Reasons", FIELD_LIST, "reason", false },
	COLUMN("x_FlavorId"),
	COLUMN("x_FlavorName"),
};
static const struct table table = { NULL, false, columns, ARRAY_SIZE(columns) };

/* FOCUS's units, which have no parts of a second: an amount has so many places after the point. */
static const struct {
	const char *name;
	int places;
} units[] = {
	[METRIC_UNIT_NS] = { "Seconds", 9 },
	[METRIC_UNIT_BYTES] = { "B", 0 },
	[METRIC_UNIT_KIB] = { "KiB", 0 },
	[METRIC_UNIT_COUNT] = { "Count", 0 },
	[METRIC_UNIT_SECONDS] = { "Seconds", 0 },
	[METRIC_UNIT_MILLIPERCENT] = { "Percent", 3 },
	[METRIC_UNIT_CODE] = { "Count", 0 },
	[METRIC_UNIT_MS] = { "Seconds", 3 },
	[METRIC_UNIT_VCPU_MS] = { "Core-Seconds", 3 },
	[METRIC_UNIT_MIB_MS] = { "MiB-Seconds", 3 },
	[METRIC_UNIT_GIB_MS] = { "GiB-Seconds", 3 },
};

/* The body's context. */
struct focus {
	struct asking *asking;
	int64_t from_ms, to_ms;
	json_t *constants; /* what is the same in all rows */
};

static void focus_free(void *context)
{
	struct focus *focus = context;

	if (!focus)
		return;
	asking_free(focus->asking);
	json_decref(focus->constants);
	free(focus);
}

static void set_text(json_t *object, const char *name, const char *text)
{
	json_object_set_new(object, name, *text ? json_string(text) : json_null());
}

static void set_time(json_t *object, const char *name, int64_t ms)
{
	char text[TIME_TEXT_SIZE];

	set_text(object, name, time_text_format(ms, text));
}

/* Rows. */

static void set_service(json_t *row, const struct metric *metric)
{
	bool is_storage = metric->group == METRIC_GROUP_BLK || metric->unit == METRIC_UNIT_GIB_MS;
	bool is_external = metric->group == METRIC_GROUP_VMNETWORK;

	set_text(row, "ServiceName", is_external ? "Neutron" : "Nova");
	if (is_storage) {
		set_text(row, "ServiceCategory", "Storage");
		set_text(row, "ServiceSubcategory", "Block Storage");
	} else if (is_external || metric->group == METRIC_GROUP_NIC) {
		set_text(row, "ServiceCategory", "Networking");
		set_text(row, "ServiceSubcategory", "Other (Networking)");
	} else {
		set_text(row, "ServiceCategory", "Compute");
		set_text(row, "ServiceSubcategory", "Virtual Machines");
	}
}

/* Exactly, without zeros at the end. Amounts are not negative. */
static void format_decimal(json_int_t value, int places, char text[DECIMAL_SIZE])
{
	json_int_t scale = 1, rest;
	size_t size;

	for (int i = 0; i < places; i++)
		scale *= 10;
	rest = value % scale;
	snprintf(text, DECIMAL_SIZE, "%" JSON_INTEGER_FORMAT "%s", value / scale, rest ? "." : "");
	size = strlen(text);
	for (; rest; rest %= scale) {
		scale /= 10;
		text[size++] = (char)('0' + rest / scale);
	}
	text[size] = '\0';
}

static void set_quantity(json_t *row, const struct metric *metric, const json_t *value)
{
	char text[DECIMAL_SIZE];

	format_decimal(json_integer_value(value), units[metric->unit].places, text);
	set_text(row, "ConsumedQuantity", text);
	set_text(row, "ConsumedUnit", units[metric->unit].name);
	set_text(row, "PricingQuantity", text);
	set_text(row, "PricingUnit", units[metric->unit].name);
}

static void set_usage(json_t *row, const struct metric *metric, const json_t *usage)
{
	static const struct {
		const char *column, *from;
	} copied[] = {
		{ "x_Metric", "metric" },
		{ "x_Value", "value" },
		{ "x_Unit", "unit" },
		{ "x_Uncertainty", "uncertainty" },
		{ "x_Coverage", "coverage" },
		{ "x_Complete", "complete" },
		{ "x_Reasons", "reasons" },
	};

	set_text(row, "ChargeDescription", metric->help);
	set_service(row, metric);
	set_quantity(row, metric, json_object_get(usage, "value"));
	for (size_t i = 0; i < ARRAY_SIZE(copied); i++)
		json_object_set(row, copied[i].column, json_object_get(usage, copied[i].from));
}

static void set_info(json_t *row, const struct identity *identity, const struct instance_info *info)
{
	const char *name = info && *info->display_name ? info->display_name : identity->name;

	set_text(row, "ResourceId", identity->id);
	set_text(row, "ResourceName", name);
	if (!info)
		return;
	set_text(row, "SubAccountId", info->project_id);
	set_text(row, "SubAccountName", info->project_name);
	set_text(row, "x_FlavorId", info->flavor_id);
	set_text(row, "x_FlavorName", info->flavor_name);
}

/* Of one whose first sample is later, only what its start says that it used before. */
static bool is_of_month(
	const struct focus *focus, const struct identity *identity, const json_t *usage)
{
	return identity->first_ms < focus->to_ms ||
	       json_integer_value(json_object_get(usage, "value"));
}

/* What one instance used while its project and flavor were the same. */
static bool write_span(struct focus *focus, const struct identity *identity,
	const struct instance_info *info, struct span span, struct http_response *response,
	struct buffer *to)
{
	struct asking *asking = focus->asking;
	json_t *of_span = json_object(), *data = NULL, *usage;
	struct error err = { 0 };
	enum answer_code code;
	size_t i;

	set_time(asking->args, "from", span.from_ms);
	set_time(asking->args, "to", span.to_ms);
	code = methods_ask(asking->service->methods, "usage", asking->args, &data, &err);
	if (code != ANSWER_SUCCESS)
		asking_refuse(response, code, &err);
	set_info(of_span, identity, info);
	set_time(of_span, "ChargePeriodStart", span.from_ms);
	set_time(of_span, "ChargePeriodEnd", span.to_ms);
	json_array_foreach(json_object_get(data, "usages"), i, usage)
	{
		const struct metric *metric =
			metric_by_name(json_string_value(json_object_get(usage, "metric")));
		json_t *inner = json_copy(of_span);
		const struct row row = { .outer = focus->constants, .inner = inner };

		if (metric && is_of_month(focus, identity, usage)) {
			set_usage(inner, metric, usage);
			rows_write(&asking->presentation, &table, &row, to);
		}
		json_decref(inner);
	}
	json_decref(of_span);
	json_decref(data);
	return code == ANSWER_SUCCESS;
}

/* Spans. */

static bool is_same(const struct instance_info *a, const struct instance_info *b)
{
	return strcmp(a->project_id, b->project_id) == 0 &&
	       strcmp(a->flavor_id, b->flavor_id) == 0 &&
	       strcmp(a->flavor_name, b->flavor_name) == 0 && a->vcpus == b->vcpus &&
	       a->memory_mib == b->memory_mib && a->disk_gib == b->disk_gib;
}

/* From one info that changed something to before the next one that did; the first one also stands
 * before its time. */
static bool write_spans(struct focus *focus, const struct identity *identity,
	const struct projects *projects, struct http_response *response, struct buffer *to)
{
	struct span span = { focus->from_ms, focus->to_ms };

	for (size_t i = 0, next; i < identity->info_count; i = next) {
		const struct instance_info *infos = identity->infos;
		int64_t end_ms;

		next = i + 1;
		while (next < identity->info_count && is_same(&infos[i], &infos[next]))
			next++;
		end_ms = next < identity->info_count ? infos[next].since_ms : focus->to_ms;
		span.to_ms = MIN_OF(end_ms, focus->to_ms);
		if (span.from_ms < span.to_ms && projects_have(projects, infos[i].project_id) &&
			!write_span(focus, identity, &infos[next - 1], span, response, to))
			return false;
		span.from_ms = MAX_OF(span.from_ms, span.to_ms);
	}
	return identity->info_count || projects->ids ||
	       write_span(focus, identity, NULL, span, response, to);
}

static bool write_instance(struct focus *focus, struct http_response *response, struct buffer *to)
{
	struct asking *asking = focus->asking;
	CLEANUP(identity_deinit) struct identity identity = { 0 };
	const struct request request = { .args = asking->args };
	struct projects projects;
	struct error err = { 0 };
	int r = projects_parse(&request, &projects, &err);

	if (r == 0)
		r = method_identity(asking->service->methods, &request, &identity, &err);
	if (r != 0) {
		asking_refuse(response, method_code(r), &err);
		return false;
	}
	if (json_object_get(asking->seen, identity.id))
		return true;
	json_object_set_new(asking->seen, identity.id, json_true());
	json_object_set_new(asking->args, "id", json_string(identity.id));
	return write_spans(focus, &identity, &projects, response, to);
}

static bool next_instance(void *context, struct http_response *response, struct buffer *to)
{
	struct focus *focus = context;
	struct asking *asking = focus->asking;

	if (!asking->is_open)
		rows_write_header(&asking->presentation, &table, to);
	asking->is_open = true;
	if (asking->next == json_array_size(asking->ids))
		return false;
	json_object_set(asking->args, "id", json_array_get(asking->ids, asking->next++));
	return write_instance(focus, response, to);
}

/* Parameters. */

static bool read_month(
	struct focus *focus, const struct http_request *request, struct http_response *response)
{
	const char *month = http_request_query(request, "month", 0);

	if (month && time_text_parse_month(month, &focus->from_ms, &focus->to_ms) == 0)
		return true;
	http_refuse(response, 400, "parameter 'month' is %s; expected one like 2026-10 (in UTC)",
		month ? "no month" : "missing");
	return false;
}

/* What the cloud is called where it is billed, of which nothing here knows. */
static bool set_label(struct focus *focus, const struct http_request *request, const char *name,
	const char *fallback, const char *column, struct http_response *response)
{
	const char *text = http_request_query(request, name, 0);

	if (text && (!*text || strlen(text) > LABEL_MAX)) {
		http_refuse(response, 400, "parameter '%s' is empty, or longer than %d bytes", name,
			LABEL_MAX);
		return false;
	}
	set_text(focus->constants, column, text ? text : fallback);
	return true;
}

static bool set_currency(
	struct focus *focus, const struct http_request *request, struct http_response *response)
{
	static const char capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	const char *text = http_request_query(request, "currency", 0);

	if (!text)
		text = "XXX"; /* of ISO 4217: none */
	set_text(focus->constants, "BillingCurrency", text);
	if (strlen(text) == 3 && strspn(text, capitals) == 3)
		return true;
	http_refuse(response, 400, "parameter 'currency' is no code of ISO 4217, such as EUR");
	return false;
}

static bool set_constants(
	struct focus *focus, const struct http_request *request, struct http_response *response)
{
	static const char *const costs[] = { "BilledCost", "ContractedCost", "EffectiveCost",
		"ListCost" };
	json_t *to = focus->constants;

	for (size_t i = 0; i < ARRAY_SIZE(costs); i++)
		json_object_set_new(to, costs[i], json_integer(0));
	set_time(to, "BillingPeriodStart", focus->from_ms);
	set_time(to, "BillingPeriodEnd", focus->to_ms);
	set_text(to, "ChargeCategory", "Usage");
	set_text(to, "ChargeFrequency", "Usage-Based");
	set_text(to, "ResourceType", "Virtual Machine");
	if (!set_label(focus, request, "account", "default", "BillingAccountId", response) ||
		!set_label(focus, request, "provider", "OpenStack", "ProviderName", response) ||
		!set_currency(focus, request, response))
		return false;
	json_object_set(to, "InvoiceIssuerName", json_object_get(to, "ProviderName"));
	json_object_set(to, "PublisherName", json_object_get(to, "ProviderName"));
	return true;
}

static bool is_accepted(const struct http_request *request, struct http_response *response)
{
	static const char *const types[] = { "text/csv" };

	if (accept_choose(http_request_header(request, "Accept"), types, 1) == 0)
		return true;
	http_refuse(response, 406, "the answer is text/csv");
	return false;
}

static struct focus *focus_new(void *service, struct http_response *response)
{
	struct focus *focus = calloc(1, sizeof(*focus));

	if (!focus) {
		http_refuse(response, 500, "out of memory");
		return NULL;
	}
	focus->asking = asking_new(service, "usage", &table, response);
	focus->constants = json_object();
	if (focus->asking) {
		focus->asking->presentation = (struct presentation){ .form = FORM_CSV };
		json_object_set_new(focus->asking->args, "parameter", json_string("total"));
		return focus;
	}
	focus_free(focus);
	return NULL;
}

void focus_get(void *context, const struct http_request *request, struct http_response *response)
{
	struct focus *focus = focus_new(context, response);

	if (!focus)
		return;
	if (is_accepted(request, response) && read_month(focus, request, response) &&
		set_constants(focus, request, response) &&
		asking_set_projects(focus->asking, request, response) &&
		asking_list(focus->asking, focus->from_ms, response))
		http_respond_in_pieces(response, presentation_type(&focus->asking->presentation),
			next_instance, focus, focus_free);
	else
		focus_free(focus);
}
