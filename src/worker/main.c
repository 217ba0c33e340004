/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun-worker: reads the VMs of this host and sends what it read.
 *
 *     collect/   reads, on threads and in a child process of its own
 *     inbox.c    from those threads to the loop
 *     packer.c   batches to messages in the spool
 *     sender.c   the spool to a server, acknowledgements back
 *
 * The loop never waits for libvirt or for a server, and neither of them ends it. The same binary is
 * the child that asks QEMU; that mode begins before anything of ZeroMQ does. */

#include <czmq.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/program.h"
#include "base/signals.h"
#include "collect/libvirt/child.h"
#include "model/settings.h"
#include "worker/inbox.h"
#include "worker/once.h"
#include "worker/packer.h"
#include "worker/sender.h"

enum { TIMER_MAX_MS = 1000, TIMER_BUSY_MS = 100, FLUSH_MS = 2000 };

struct worker {
	struct program *program;
	char host[INSTANCE_TEXT_MAX + 1];
	const char *id;
	zloop_t *loop;
	struct signals *signals;
	struct inbox *inbox;
	struct collector *collector;
	struct spool *spool;
	struct packer *packer;
	struct sender *sender;
	int64_t interval_ms, heartbeat_ms;
	int64_t next_tick_ms;      /* wall clock */
	int64_t next_heartbeat_ms; /* CLOCK_BOOTTIME */
};

static int on_inbox(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
	struct worker *worker = argument;
	struct batch *batch;

	while ((batch = inbox_take(worker->inbox)) != NULL) {
		packer_pack(worker->packer, batch);
		batch_free(batch);
	}
	sender_pump(worker->sender);
	return 0;
}

/* The first reading is at once and of no tick. A tick that passed is read late once, not as often
 * as it was missed; a wall clock that stepped back makes the next tick near again. */
static void tick(struct worker *worker)
{
	int64_t now_ms = clock_wall_ms(clock_system());

	if (now_ms >= worker->next_tick_ms)
		worker->collector->ops->collect(worker->collector,
			worker->next_tick_ms ? now_ms - now_ms % worker->interval_ms : 0);
	if (now_ms >= worker->next_tick_ms || worker->next_tick_ms - now_ms > worker->interval_ms)
		worker->next_tick_ms = now_ms - now_ms % worker->interval_ms + worker->interval_ms;
}

static void beat(struct worker *worker)
{
	int64_t now_ms = clock_monotonic_ms(clock_system());

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

	tick(worker);
	beat(worker);
	is_waiting = sender_pump(worker->sender);
	delay_ms = worker->next_tick_ms - clock_wall_ms(clock_system());
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
	const struct collector_context context = { .clock = clock_system(),
		.config = config,
		.host = worker->host,
		.deliver = inbox_deliver,
		.notice = inbox_notice,
		.worker = worker->inbox };

	return ops->start(&context, &worker->collector, err);
}

static int start_loop(struct worker *worker, struct error *err)
{
	const struct sender_options options = { worker->loop, clock_system(),
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

static int start(struct worker *worker, struct error *err)
{
	int r;

	configure(worker);
	worker->loop = zloop_new();
	r = worker->loop ? signals_new(worker->loop, NULL, NULL, &worker->signals, err) : -ENOMEM;
	if (r == 0)
		r = inbox_new(&worker->inbox);
	if (r == 0)
		r = start_collector(worker, err);
	if (r == 0)
		r = spool_memory_new(SPOOL_BYTES_MAX, &worker->spool);
	if (r == 0)
		r = packer_new(clock_system(), worker->spool, &worker->packer);
	return r;
}

/* The last batches, then the farewell. */
static void say_goodbye(struct worker *worker)
{
	on_inbox(worker->loop, NULL, worker);
	sender_flush(worker->sender, FLUSH_MS);
	sender_heartbeat(worker->sender, 0);
	sender_flush(worker->sender, TIMER_BUSY_MS);
}

static int run(struct worker *worker, struct error *err)
{
	int r = start_loop(worker, err);

	if (r < 0)
		return r;
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
