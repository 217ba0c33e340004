/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Runs in a test guest, and does exactly what it is told:
 *
 *     exact udp ADDRESS SIZE COUNT    sends COUNT datagrams with SIZE bytes of payload
 *     exact write DISK BLOCK COUNT    writes COUNT blocks from the disk's beginning
 *     exact read DISK BLOCK COUNT     reads them
 *
 * past the page cache, which would read ahead; BLOCK is a multiple of 512. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT = 9, DATAGRAM_MAX = 1472, BLOCK_MAX = 1 << 20, BURST = 32, PAUSE_US = 5000 };

static char bytes[BLOCK_MAX] __attribute__((aligned(4096)));

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int send_datagrams(const char *address, long size, long count)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || size > DATAGRAM_MAX || inet_pton(AF_INET, address, &to.sin_addr) != 1)
		return fail(address);
	for (long i = 0; i < count; i++) {
		if (sendto(fd, bytes, (size_t)size, 0, (struct sockaddr *)&to, sizeof(to)) != size)
			return fail(address);
		if (i % BURST == BURST - 1)
			usleep(PAUSE_US); /* or the device's queue would drop some */
	}
	return 0;
}

static int use_disk(const char *path, bool is_write, long size, long count)
{
	int fd = open(path, (is_write ? O_WRONLY : O_RDONLY) | O_DIRECT);

	if (fd < 0 || size > BLOCK_MAX)
		return fail(path);
	for (long i = 0; i < count; i++) {
		ssize_t n = is_write ? pwrite(fd, bytes, (size_t)size, i * size)
				     : pread(fd, bytes, (size_t)size, i * size);

		if (n != size)
			return fail(path);
	}
	return 0;
}

int main(int argc, char **argv)
{
	long size = argc == 5 ? strtol(argv[3], NULL, 10) : -1;
	long count = argc == 5 ? strtol(argv[4], NULL, 10) : -1;

	if (size >= 0 && count >= 0 && strcmp(argv[1], "udp") == 0)
		return send_datagrams(argv[2], size, count);
	if (size > 0 && count >= 0 && strcmp(argv[1], "write") == 0)
		return use_disk(argv[2], true, size, count);
	if (size > 0 && count >= 0 && strcmp(argv[1], "read") == 0)
		return use_disk(argv[2], false, size, count);
	fputs("usage: exact udp|write|read TARGET SIZE COUNT\n", stderr);
	return 2;
}
