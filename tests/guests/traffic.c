/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* traffic ADDRESS SIZE COUNT: sends COUNT datagrams with SIZE bytes of payload, exactly. Runs in a
 * test guest, where nothing else sends any. */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT = 9, SIZE_MAX_BYTES = 1472, BURST = 32, PAUSE_US = 5000 };

int main(int argc, char **argv)
{
	static const char payload[SIZE_MAX_BYTES];
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	long size = argc == 4 ? strtol(argv[2], NULL, 10) : -1;
	long count = argc == 4 ? strtol(argv[3], NULL, 10) : -1;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || size < 0 || size > SIZE_MAX_BYTES || count < 0 ||
		inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fputs("usage: traffic ADDRESS SIZE COUNT\n", stderr);
		return 2;
	}
	for (long i = 0; i < count; i++) {
		if (sendto(fd, payload, (size_t)size, 0, (struct sockaddr *)&to, sizeof(to)) !=
			size) {
			perror("traffic");
			return 1;
		}
		if (i % BURST == BURST - 1)
			usleep(PAUSE_US); /* or the device's queue would drop some */
	}
	return 0;
}
