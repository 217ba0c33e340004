/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "worker/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "http/scrape.h"
#include "worker/dialects.h"

enum {
	LABELS_MAX = 12,
	ROUNDS_LATE_MAX = 3, /* after that many intervals without a round libvirt counts as down */
	LATE_MS_MIN = 10 * 1000,
	PERCENT_PLACES = 4,
};

/* virDomainState */
enum { STATE_NONE = 0, STATE_SHUTOFF = 5, STATE_CRASHED = 6 };

/* The spool as the loop last saw it. */
struct spool_state {
	_Atomic uint64_t messages, in_memory, thinned, dropped, oldest, next;
	_Atomic int64_t oldest_ms; /* the first reading that waits; 0: none */
	atomic_bool is_failing;
};

struct watch {
	struct watch_options options;
	enum dialect dialect;
	bool has_nova_labels;
	struct board *board;
	struct spool_state spool;
	struct scrape *scrape;
};

/* One scrape. */
struct writing {
	const struct watch *watch;
	const struct board_view *view;
	struct exposition *to;
};

/* Labels of one sample. */
struct labels {
	struct exposition_label items[LABELS_MAX];
	size_t count;
};

static void add_label(struct labels *labels, const char *name, const char *value)
{
	labels->items[labels->count++] = (struct exposition_label){ name, value };
}

/* Which domain, as the configuration wants it said. */
static struct labels labels_of(const struct writing *writing, const struct board_instance *instance)
{
	struct labels labels = { 0 };

	add_label(&labels, "domain", instance->name);
	if (!writing->watch->has_nova_labels)
		return labels;
	add_label(&labels, "project_id", instance->info ? instance->info->project_id : "");
	add_label(&labels, "instance_id", instance->uuid_text);
	return labels;
}

static void write_integer(const struct writing *writing, const struct labels *labels, int64_t value)
{
	exposition_integer(writing->to, labels->items, labels->count, value);
}

/* In the unit of the exposition: seconds and bytes. */
static void write_value(const struct writing *writing, const struct labels *labels,
	const struct metric *metric, int64_t value)
{
	unsigned int places = metric->unit == METRIC_UNIT_NS ? 9 : 0;

	if (metric->unit == METRIC_UNIT_KIB && __builtin_mul_overflow(value, 1024, &value))
		return;
	exposition_decimal(writing->to, labels->items, labels->count, value, places);
}

static void write_column(const struct writing *writing, const struct dialect_family *family,
	const struct metric *metric, const struct board_instance *instance)
{
	const struct board_part *part = instance->parts[family->group];
	struct labels labels;

	for (size_t i = 0; part && i < part->count; i++) {
		const struct tuple *tuple = &part->tuples[i];

		if (!tuple_has(tuple, family->column))
			continue;
		labels = labels_of(writing, instance);
		if (family->device)
			add_label(&labels, family->device, tuple->parameter);
		if (family->group == METRIC_GROUP_STATE &&
			writing->watch->dialect == DIALECT_INOVEX)
			add_label(&labels, "state_desc",
				dialect_state_text(tuple->values[family->column]));
		write_value(writing, &labels, metric, tuple->values[family->column]);
	}
}

static void write_columns(const struct writing *writing)
{
	for (size_t i = 0; i < dialect_family_count; i++) {
		const struct dialect_family *family = &dialect_families[i];
		const struct metric *metric = metric_of_column(family->group, family->column);
		const char *name = family->names[writing->watch->dialect];

		if (!name)
			continue;
		exposition_family(writing->to, name, family->type, family->help);
		for (size_t k = 0; k < writing->view->count; k++)
			write_column(writing, family, metric, writing->view->instances[k]);
	}
}

/* A gauge that is written by a function for each domain. */
struct gauge {
	const char *names[_DIALECT_COUNT]; /* NULL: not in this dialect */
	const char *help;
	void (*write)(const struct writing *writing, const struct board_instance *instance);
};

static void write_vcpus(const struct writing *writing, const struct board_instance *instance)
{
	const struct labels labels = labels_of(writing, instance);

	if (instance->info && instance->info->vcpus >= 0)
		write_integer(writing, &labels, instance->info->vcpus);
}

/* libvirt tells of those that are online only. */
static void write_online_vcpus(const struct writing *writing, const struct board_instance *instance)
{
	const struct board_part *part = instance->parts[METRIC_GROUP_VCPU];
	const struct labels labels = labels_of(writing, instance);

	if (part)
		write_integer(writing, &labels, (int64_t)part->count);
}

/* By the columns of mem: 5 is available, 4 usable. */
static void write_used_percent(const struct writing *writing, const struct board_instance *instance)
{
	const struct board_part *part = instance->parts[METRIC_GROUP_MEM];
	const struct tuple *tuple = part ? &part->tuples[0] : NULL;
	const struct labels labels = labels_of(writing, instance);
	int64_t available, scaled;

	if (!tuple || !tuple_has(tuple, 4) || !tuple_has(tuple, 5))
		return;
	available = tuple->values[5];
	if (tuple->values[4] < 0 || tuple->values[4] > available || available == 0 ||
		__builtin_mul_overflow(available - tuple->values[4], 100 * 10000, &scaled))
		return;
	exposition_decimal(
		writing->to, labels.items, labels.count, scaled / available, PERCENT_PLACES);
}

static void write_timed_out(const struct writing *writing, const struct board_instance *instance)
{
	const struct labels labels = labels_of(writing, instance);

	write_integer(writing, &labels,
		inbox_is_in_trouble(writing->watch->options.inbox, instance->name));
}

static void write_openstack_info(
	const struct writing *writing, const struct board_instance *instance)
{
	const struct instance_info *info = instance->info;
	struct labels labels = { 0 };

	if (!info)
		return;
	add_label(&labels, "domain", instance->name);
	add_label(&labels, "instance_name", info->display_name);
	add_label(&labels, "instance_id", instance->uuid_text);
	add_label(&labels, "flavor_name", info->flavor_name);
	add_label(&labels, "user_name", info->user_name);
	add_label(&labels, "user_id", info->user_id);
	add_label(&labels, "project_name", info->project_name);
	add_label(&labels, "project_id", info->project_id);
	write_integer(writing, &labels, 1);
}

static void write_meta(const struct writing *writing, const struct board_instance *instance)
{
	const struct instance_info *info = instance->info;
	struct labels labels = { 0 };

	if (!info)
		return;
	add_label(&labels, "domain", instance->name);
	add_label(&labels, "uuid", instance->uuid_text);
	add_label(&labels, "instance_name", info->display_name);
	add_label(&labels, "flavor", info->flavor_name);
	add_label(&labels, "user_name", info->user_name);
	add_label(&labels, "user_uuid", info->user_id);
	add_label(&labels, "project_name", info->project_name);
	add_label(&labels, "project_uuid", info->project_id);
	add_label(&labels, "root_type", *info->image_id ? "image" : "");
	add_label(&labels, "root_uuid", info->image_id);
	write_integer(writing, &labels, 1);
}

static const char *mac_of(const struct instance_info *info, const char *nic)
{
	for (size_t i = 0; info && i < info->port_count; i++)
		if (strcmp(info->ports[i].nic, nic) == 0)
			return info->ports[i].mac;
	return "";
}

static void write_interfaces(const struct writing *writing, const struct board_instance *instance)
{
	const struct board_part *part = instance->parts[METRIC_GROUP_NIC];
	struct labels labels;

	for (size_t i = 0; part && i < part->count; i++) {
		const char *nic = part->tuples[i].parameter;

		labels = labels_of(writing, instance);
		add_label(&labels, "target_device", nic);
		if (writing->watch->dialect == DIALECT_INOVEX)
			add_label(&labels, "mac_address", mac_of(instance->info, nic));
		write_integer(writing, &labels, 1);
	}
}

static void write_disks(const struct writing *writing, const struct board_instance *instance)
{
	const struct board_part *part = instance->parts[METRIC_GROUP_BLK];
	struct labels labels;

	for (size_t i = 0; part && i < part->count; i++) {
		labels = labels_of(writing, instance);
		add_label(&labels, "target_device", part->tuples[i].parameter);
		write_integer(writing, &labels, 1);
	}
}

static void write_ages(const struct writing *writing, const struct board_instance *instance)
{
	int64_t now_ms = clock_monotonic_ms(writing->watch->options.clock);

	for (unsigned int i = 0; i < _METRIC_GROUP_COUNT; i++) {
		struct labels labels = labels_of(writing, instance);

		if (!instance->parts[i])
			continue;
		add_label(&labels, "group", metric_group_info((enum metric_group)i)->name);
		exposition_decimal(writing->to, labels.items, labels.count,
			now_ms - instance->parts[i]->taken_ms, 3);
	}
}

static const struct gauge gauges[] = {
	{ { "libvirt_domain_openstack_info", NULL }, "1, with what nova says of the domain.",
		write_openstack_info },
	{ { NULL, "libvirt_domain_info_meta" }, "1, with what nova says of the domain.",
		write_meta },
	{ { "libvirt_domain_info_virtual_cpus", "libvirt_domain_info_virtual_cpus" },
		"Number of virtual CPUs of the domain.", write_vcpus },
	{ { "libvirt_domain_vcpu_current", NULL }, "Number of current online vCPUs.",
		write_online_vcpus },
	{ { "libvirt_domain_vcpu_maximum", NULL }, "Number of maximum online vCPUs.", write_vcpus },
	{ { "libvirt_domain_memory_stats_used_percent",
		  "libvirt_domain_memory_stats_used_percent" },
		"Memory used by the domain, in percent.", write_used_percent },
	{ { "libvirt_domain_timed_out", NULL }, "1 while the domain's QEMU does not answer.",
		write_timed_out },
	{ { "libvirt_domain_interface_stats_info", "libvirt_domain_interface_meta" },
		"1, with what is known of a network interface.", write_interfaces },
	{ { "libvirt_domain_block_stats_info", "libvirt_domain_block_meta" },
		"1, with what is known of a block device.", write_disks },
	{ { "kanyun_domain_reading_age_seconds", "kanyun_domain_reading_age_seconds" },
		"How long ago each group of the domain's values was read.", write_ages },
};

static void write_gauges(const struct writing *writing)
{
	for (size_t i = 0; i < ARRAY_SIZE(gauges); i++) {
		const char *name = gauges[i].names[writing->watch->dialect];

		if (!name)
			continue;
		exposition_family(writing->to, name, EXPOSITION_GAUGE, gauges[i].help);
		for (size_t k = 0; k < writing->view->count; k++)
			gauges[i].write(writing, writing->view->instances[k]);
	}
}

static bool is_active(const struct board_instance *instance)
{
	const struct board_part *part = instance->parts[METRIC_GROUP_STATE];
	int64_t state = part && tuple_has(&part->tuples[0], 0) ? part->tuples[0].values[0] : -1;

	return state != STATE_NONE && state != STATE_SHUTOFF && state != STATE_CRASHED;
}

static void write_domain_count(const struct writing *writing)
{
	int64_t count = 0;

	for (size_t i = 0; i < writing->view->count; i++)
		count += is_active(writing->view->instances[i]);
	exposition_single(writing->to, "libvirt_domains", EXPOSITION_GAUGE,
		"Number of active domains.", count);
}

/* Without a round nobody knows yet. */
static void write_libvirt(const struct writing *writing)
{
	const struct watch_options *options = &writing->watch->options;
	const struct board_view *view = writing->view;
	bool is_down = inbox_is_in_trouble(options->inbox, "libvirt");
	int64_t age_ms = clock_monotonic_ms(options->clock) - view->round_ended_ms;
	int64_t late_ms = MAX_OF(options->interval_ms * ROUNDS_LATE_MAX, (int64_t)LATE_MS_MIN);

	if (is_down || view->rounds)
		exposition_single(writing->to, "libvirt_up", EXPOSITION_GAUGE,
			"1 while libvirt is read in time.", !is_down && age_ms < late_ms);
	if (!view->rounds)
		return;
	if (writing->watch->dialect == DIALECT_INOVEX)
		write_domain_count(writing);
	exposition_family(writing->to, "kanyun_worker_round_age_seconds", EXPOSITION_GAUGE,
		"How long ago the last round of readings ended.");
	exposition_decimal(writing->to, NULL, 0, age_ms, 3);
}

static void write_spool(const struct writing *writing)
{
	const struct spool_state *spool = &writing->watch->spool;
	struct exposition *to = writing->to;

	exposition_single(to, "kanyun_worker_spool_messages", EXPOSITION_GAUGE,
		"Messages that no server has acknowledged.", (int64_t)spool->messages);
	exposition_single(to, "kanyun_worker_spool_memory_messages", EXPOSITION_GAUGE,
		"Of these: those that are not on disk.", (int64_t)spool->in_memory);
	exposition_single(to, "kanyun_worker_spool_is_failing", EXPOSITION_GAUGE,
		"1 while the spool's disk cannot be used.", spool->is_failing);
	exposition_single(to, "kanyun_worker_spool_oldest_number", EXPOSITION_GAUGE,
		"Number of the oldest message; of the next one if there is none.",
		(int64_t)spool->oldest);
	exposition_single(to, "kanyun_worker_spool_next_number", EXPOSITION_GAUGE,
		"Number of the next message.", (int64_t)spool->next);
	exposition_single(to, "kanyun_worker_thinned_messages_total", EXPOSITION_COUNTER,
		"Messages that were thinned out of a full spool.", (int64_t)spool->thinned);
	exposition_single(to, "kanyun_worker_dropped_messages_total", EXPOSITION_COUNTER,
		"Messages that were dropped, and declared as gaps.", (int64_t)spool->dropped);
	if (!spool->oldest_ms)
		return;
	exposition_family(to, "kanyun_worker_spool_age_seconds", EXPOSITION_GAUGE,
		"How old the oldest reading is that waits in the spool.");
	exposition_decimal(
		to, NULL, 0, clock_wall_ms(writing->watch->options.clock) - spool->oldest_ms, 3);
}

static void write_board(void *context, const struct board_view *view)
{
	struct writing *writing = context;

	writing->view = view;
	write_libvirt(writing);
	exposition_single(writing->to, "kanyun_worker_rounds_total", EXPOSITION_COUNTER,
		"Rounds of readings that ended.", (int64_t)view->rounds);
	exposition_single(writing->to, "kanyun_worker_unexposed_total", EXPOSITION_COUNTER,
		"What was read and is not shown here for want of memory.", (int64_t)view->left_out);
	write_gauges(writing);
	write_columns(writing);
}

static void write_all(void *context, struct exposition *to)
{
	struct writing writing = { .watch = context, .to = to };

	write_spool(&writing);
	board_look(writing.watch->board, write_board, &writing);
}

static int listen_for_scrapes(struct watch *watch, uint16_t port, struct error *err)
{
	const struct watch_options *options = &watch->options;
	const struct scrape_options scrape = { .self = { "kanyun_build_info", "kanyun-worker",
						       KANYUN_VERSION,
						       clock_wall_ms(options->clock) },
		.host = config_text(options->config, "worker", "http_host"),
		.port = port,
		.clock = options->clock,
		.write = write_all,
		.context = watch };

	return scrape_new(&scrape, &watch->scrape, err);
}

int watch_new(const struct watch_options *options, struct watch **ret_watch, struct error *err)
{
	const struct config *config = options->config;
	uint16_t port = (uint16_t)config_integer(config, "worker", "http_port");
	CLEANUP(watch_free) struct watch *watch = port ? calloc(1, sizeof(*watch)) : NULL;
	int r;

	*ret_watch = NULL;
	if (!watch)
		return port ? -ENOMEM : 0;
	watch->options = *options;
	watch->dialect = strcmp(config_text(config, "worker", "metrics_dialect"), "tinkoff") == 0
				 ? DIALECT_TINKOFF
				 : DIALECT_INOVEX;
	watch->has_nova_labels =
		strcmp(config_text(config, "worker", "metrics_labels"), "nova") == 0;
	r = board_new(options->clock, &watch->board);
	if (r == 0)
		r = listen_for_scrapes(watch, port, err);
	if (r < 0)
		return r;
	*ret_watch = watch;
	watch = NULL;
	return 0;
}

struct watch *watch_free(struct watch *watch)
{
	if (!watch)
		return NULL;
	scrape_free(watch->scrape);
	board_free(watch->board);
	free(watch);
	return NULL;
}

const char *watch_url(const struct watch *watch)
{
	return scrape_url(watch->scrape);
}

void watch_take(struct watch *watch, const struct batch *batch)
{
	if (watch)
		board_take(watch->board, batch);
}

/* Looks for the oldest message only when that is another one. */
static int64_t first_time(struct watch *watch, struct spool *spool)
{
	struct spool_message message;

	if (watch->spool.oldest_ms && watch->spool.oldest == spool_oldest(spool))
		return watch->spool.oldest_ms;
	return spool_find(spool, 0, &message) ? message.note.first_ms : 0;
}

void watch_note_spool(struct watch *watch, struct spool *spool)
{
	if (!watch)
		return;
	watch->spool.messages = spool_count(spool);
	watch->spool.in_memory = spool_count_in_memory(spool);
	watch->spool.thinned = spool_thinned(spool);
	watch->spool.dropped = spool_dropped(spool);
	watch->spool.next = spool_next(spool);
	watch->spool.is_failing = spool_trouble(spool) != NULL;
	watch->spool.oldest_ms = spool_count(spool) ? first_time(watch, spool) : 0;
	watch->spool.oldest = spool_oldest(spool);
}
