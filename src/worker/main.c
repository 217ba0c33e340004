/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun-worker: reads the VMs of this host and sends what it read.
 *
 *     steady-clock.c  what time it is, whatever is done to the wall clock
 *     collect/        reads, on threads and in a child process of its own
 *     inbox.c         from those threads to the loop
 *     packer.c        batches to messages in the spool; latest.c and news.c: what it remembers
 *     sender.c        the spool to a server, acknowledgements back; servers.c: to which one,
 *                     probe.c: is a better one there again
 *     watch.c         HTTP: what Prometheus is told; board.c: what was last read, dialects.c: names
 *
 * The loop never waits for libvirt or for a server, and neither of them ends it. The same binary is
 * the child that asks QEMU; that mode begins before anything of ZeroMQ does. */

#include <czmq.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/program.h"
#include "base/signals.h"
#include "collect/libvirt/child.h"
#include "model/settings.h"
#include "worker/inbox.h"
#include "worker/once.h"
#include "worker/packer.h"
#include "worker/sender.h"
#include "worker/steady-clock.h"
#include "worker/watch.h"

enum {
	TIMER_MAX_MS = 1000,
	TIMER_BUSY_MS = 100,
	FLUSH_MS = 500,         /* what is left then waits on disk for the next start */
	FLUSH_MEMORY_MS = 3000, /* what is left then is lost */
	BOOT_ID_SIZE = 64,
};

/* Left to the end of the process: a collector's thread that hangs may still read it then. */
static struct steady_clock *steady;

struct worker {
	struct program *program;
	char host[INSTANCE_TEXT_MAX + 1];
	const char *id;
	const struct clock *clock;
	zloop_t *loop;
	struct signals *signals;
	struct inbox *inbox;
	struct collector *collector;
	struct spool *spool;
	struct packer *packer;
	struct sender *sender;
	struct watch *watch; /* NULL: off */
	bool is_in_trouble;  /* the spool's, which was told */
	uint64_t thinned;
	struct log_limit thin_limit;
	bool is_clock_unsaved;
	int64_t interval_ms, heartbeat_ms;
	int64_t next_tick_ms;      /* wall clock */
	int64_t next_heartbeat_ms; /* CLOCK_BOOTTIME */
};

/* Before anything of a new segment goes on: after a restart it must not be begun a second time. */
static void follow_clock(struct worker *worker)
{
	int64_t by_ms;
	int r = steady_clock_save(steady);

	if (r < 0 && !worker->is_clock_unsaved)
		log_warning("cannot keep the clock's state in '%s': %s; a step of the clock while "
			    "the worker does not run would not be noticed",
			config_text(worker->program->config, "worker", "spool_dir"), strerror(-r));
	worker->is_clock_unsaved = r < 0;
	if (!steady_clock_take_step(steady, &by_ms))
		return;
	if (by_ms < 0)
		log_warning("the wall clock stepped back by %" PRId64
			    " ms; readings go on in segment %" PRIu32,
			-by_ms, clock_read(worker->clock).segment);
	else
		log_warning("the wall clock stepped forward by %" PRId64 " ms", by_ms);
}

static void report_trouble(struct worker *worker)
{
	const char *trouble = spool_trouble(worker->spool);

	if (trouble && !worker->is_in_trouble)
		log_warning("%s; spooling in memory until it can be used, and what no server has "
			    "acknowledged when the worker ends is lost",
			trouble);
	else if (!trouble && worker->is_in_trouble)
		log_info("the spool is on disk again; %zu messages wait",
			spool_count(worker->spool));
	worker->is_in_trouble = trouble != NULL;
}

static void report_thinning(struct worker *worker)
{
	uint64_t thinned = spool_thinned(worker->spool), held_back;

	if (thinned != worker->thinned &&
		log_limit_pass(&worker->thin_limit, worker->clock, &held_back))
		log_warning("the spool is full: %" PRIu64 " messages were thinned out so far; no "
			    "counter loses by it",
			thinned);
	worker->thinned = thinned;
}

/* What was pushed goes to the disk, then to the server. */
static bool pump(struct worker *worker)
{
	bool is_waiting = sender_pump(worker->sender);

	packer_declare_losses(worker->packer);
	report_trouble(worker);
	report_thinning(worker);
	watch_note_spool(worker->watch, worker->spool);
	return is_waiting;
}

static void note_inbox_loss(struct worker *worker)
{
	struct spool_loss loss = { 0 };

	if (inbox_take_loss(worker->inbox, &loss.from_ms, &loss.to_ms))
		spool_add_loss(worker->spool, &loss);
}

static int on_inbox(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
	struct worker *worker = argument;
	struct batch *batch;

	follow_clock(worker);
	note_inbox_loss(worker);
	while ((batch = inbox_take(worker->inbox)) != NULL) {
		watch_take(worker->watch, batch); /* whole, before only the news of it is left */
		packer_pack(worker->packer, batch);
		batch_free(batch);
	}
	pump(worker);
	return 0;
}

/* The first reading is at once and of no tick. A tick that passed is read late once, not as often
 * as it was missed; a wall clock that stepped back makes the next tick near again. */
static void tick(struct worker *worker)
{
	int64_t now_ms = clock_wall_ms(worker->clock);

	if (now_ms >= worker->next_tick_ms)
		worker->collector->ops->collect(worker->collector,
			worker->next_tick_ms ? now_ms - now_ms % worker->interval_ms : 0);
	if (now_ms >= worker->next_tick_ms || worker->next_tick_ms - now_ms > worker->interval_ms)
		worker->next_tick_ms = now_ms - now_ms % worker->interval_ms + worker->interval_ms;
}

static void beat(struct worker *worker)
{
	int64_t now_ms = clock_monotonic_ms(worker->clock);

	if (now_ms < worker->next_heartbeat_ms)
		return;
	sender_heartbeat(worker->sender, 1);
	worker->next_heartbeat_ms = now_ms + worker->heartbeat_ms;
}

/* One timer for everything; each time it sets itself anew. */
static int on_timer(zloop_t *loop, int timer, void *argument)
{
	struct worker *worker = argument;
	bool is_waiting;
	int64_t delay_ms;

	follow_clock(worker);
	tick(worker);
	beat(worker);
	is_waiting = pump(worker);
	delay_ms = MIN_OF(worker->next_tick_ms - clock_wall_ms(worker->clock),
		worker->next_heartbeat_ms - clock_monotonic_ms(worker->clock));
	delay_ms = MIN_OF(delay_ms, is_waiting ? TIMER_BUSY_MS : TIMER_MAX_MS);
	delay_ms = MAX_OF(delay_ms, 1);
	return zloop_timer(loop, (size_t)delay_ms, 1, on_timer, worker) < 0 ? -1 : 0;
}

static int start_collector(struct worker *worker, struct error *err)
{
	const struct config *config = worker->program->config;
	const char *name = config_text(config, "worker", "collector");
	const struct collector_ops *ops =
		strcmp(name, "fake") == 0 ? &fake_collector : &libvirt_collector;
	const struct collector_context context = { .clock = worker->clock,
		.config = config,
		.host = worker->host,
		.is_once = worker->program->has_flag,
		.deliver = inbox_deliver,
		.notice = inbox_notice,
		.worker = worker->inbox };

	return ops->start(&context, &worker->collector, err);
}

static int start_loop(struct worker *worker, struct error *err)
{
	const struct sender_options options = { worker->loop, worker->clock,
		worker->program->config, worker->id, worker->spool };
	zmq_pollitem_t item = { .fd = inbox_fd(worker->inbox), .events = ZMQ_POLLIN };
	int r = sender_new(&options, &worker->sender, err);

	if (r < 0)
		return r;
	if (zloop_poller(worker->loop, &item, on_inbox, worker) < 0 ||
		zloop_timer(worker->loop, 1, 1, on_timer, worker) < 0)
		return -ENOMEM;
	return 0;
}

static int start_watch(struct worker *worker, struct error *err)
{
	const struct watch_options options = { worker->clock, worker->program->config,
		worker->inbox, worker->interval_ms };

	return watch_new(&options, &worker->watch, err);
}

static void configure(struct worker *worker)
{
	const struct config *config = worker->program->config;

	if (gethostname(worker->host, sizeof(worker->host) - 1) < 0 || !*worker->host)
		memcpy(worker->host, "localhost", sizeof("localhost"));
	worker->id = config_text(config, "worker", "id");
	if (!*worker->id)
		worker->id = worker->host;
	worker->heartbeat_ms = config_integer(config, "worker", "worker_timeout") * 1000;
	worker->interval_ms = config_integer(config, "worker", "interval") * 1000;
	if (!worker->interval_ms)
		worker->interval_ms = worker->heartbeat_ms;
}

static int start_clock(struct worker *worker)
{
	char boot_id[BOOT_ID_SIZE], path[PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%s/clock",
		config_text(worker->program->config, "worker", "spool_dir"));
	file_read_line("/proc/sys/kernel/random/boot_id", boot_id, sizeof(boot_id));
	r = steady_clock_new(clock_system(), path, boot_id, &steady);
	if (r < 0)
		return r;
	worker->clock = steady_clock_clock(steady);
	if (steady_clock_is_state_lost(steady))
		log_warning("'%s' is damaged; a new segment begins", path);
	return 0;
}

static void report_findings(struct worker *worker)
{
	const struct spool_findings *findings = spool_findings(worker->spool);

	if (findings->waiting)
		log_info("%zu messages of an earlier life wait in the spool", findings->waiting);
	if (findings->is_head_lost)
		log_warning("the spool's head is damaged; what was acknowledged is sent again");
	if (findings->torn)
		log_warning("the ends of %u segments of the spool are torn", findings->torn);
	if (findings->damaged || findings->lost)
		log_warning("the spool is damaged in %u places: %" PRIu64
			    " messages are lost, the others are used",
			findings->damaged, findings->lost);
	if (findings->foreign)
		log_warning("%u segments of another spool are left alone", findings->foreign);
}

static int start_spool(struct worker *worker, struct error *err)
{
	const struct config *config = worker->program->config;
	const struct spool_options options = { .clock = worker->clock,
		.directory = config_text(config, "worker", "spool_dir"),
		.disk_bytes_max = (uint64_t)config_integer(config, "worker", "spool_max_mib") << 20,
		.memory_bytes_max = SPOOL_MEMORY_MAX };
	int r = spool_new(&options, &worker->spool, err);

	if (r < 0)
		return r;
	report_findings(worker);
	report_trouble(worker);
	return packer_new(worker->clock, worker->spool, worker->host, &worker->packer);
}

/* --once has no use for what outlives it. */
static int start(struct worker *worker, struct error *err)
{
	bool is_once = worker->program->has_flag;
	int r;

	configure(worker);
	worker->clock = clock_system();
	worker->loop = zloop_new();
	r = worker->loop ? signals_new(worker->loop, NULL, NULL, &worker->signals, err) : -ENOMEM;
	if (r == 0 && !is_once)
		r = start_clock(worker);
	if (r == 0 && !is_once)
		r = start_spool(worker, err);
	if (r == 0)
		r = inbox_new(&worker->inbox);
	if (r == 0 && !is_once)
		r = start_watch(worker, err);
	if (r == 0)
		r = start_collector(worker, err);
	return r;
}

/* The last batches, then the farewell. */
static void say_goodbye(struct worker *worker)
{
	on_inbox(worker->loop, NULL, worker);
	sender_flush(
		worker->sender, spool_count_in_memory(worker->spool) ? FLUSH_MEMORY_MS : FLUSH_MS);
	sender_heartbeat(worker->sender, 0);
	sender_flush(worker->sender, TIMER_BUSY_MS);
}

static int run(struct worker *worker, struct error *err)
{
	int r = start_loop(worker, err);

	if (r < 0)
		return r;
	if (worker->watch)
		program_tell(worker->program, "http", watch_url(worker->watch));
	program_ready(worker->program);
	zloop_start(worker->loop);
	worker->collector->ops->stop(worker->collector);
	worker->collector = NULL;
	say_goodbye(worker);
	return 0;
}

static void stop(struct worker *worker)
{
	if (worker->collector)
		worker->collector->ops->stop(worker->collector);
	watch_free(worker->watch);
	sender_free(worker->sender);
	packer_free(worker->packer);
	spool_free(worker->spool);
	inbox_free(worker->inbox);
	zloop_destroy(&worker->loop);
	signals_free(worker->signals);
}

int main(int argc, char **argv)
{
	struct program program = { .name = "kanyun-worker",
		.summary = "Reads the VMs of this host and sends what it read to kanyun-server.",
		.section = "worker",
		.flag = "once",
		.flag_help = "read once, print it as JSON, and exit" };
	struct worker worker = { .program = &program };
	struct error err = { 0 };
	int status, r;

	if (argc == 3 && strcmp(argv[1], MONITOR_CHILD_ARGUMENT) == 0)
		return monitor_child_main(argv[2]);
	if (!program_start(&program, argc, argv, settings_load, &status))
		return status;
	status = PROGRAM_OK;
	r = start(&worker, &err);
	if (r == 0 && program.has_flag)
		status = once_run(program.config, worker.collector, worker.inbox);
	else if (r == 0)
		r = run(&worker, &err);
	if (r < 0)
		log_error("%s", error_text(&err, r));
	stop(&worker);
	program_end(&program);
	return r < 0 ? PROGRAM_FAILED : status;
}
