/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Preloaded into a program under test: its CLOCK_REALTIME is the system's plus the milliseconds in
 * the file that CLOCK_SHIM_FILE names (a 64-bit integer of this machine), which the test changes
 * while the program runs. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset_ms;

__attribute__((constructor)) static void map_file(void)
{
	const char *path = getenv("CLOCK_SHIM_FILE");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *memory = fd < 0 ? MAP_FAILED : mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);

	if (memory != MAP_FAILED)
		offset_ms = memory;
	if (fd >= 0)
		close(fd);
}

int clock_gettime(clockid_t id, struct timespec *now)
{
	long r = syscall(SYS_clock_gettime, id, now);
	int64_t ms;

	if (r == 0 && id == CLOCK_REALTIME && offset_ms) {
		ms = (int64_t)now->tv_sec * 1000 + now->tv_nsec / 1000000 + *offset_ms;
		now->tv_sec = ms / 1000;
		now->tv_nsec = ms % 1000 * 1000000 + now->tv_nsec % 1000000;
	}
	return (int)r;
}
