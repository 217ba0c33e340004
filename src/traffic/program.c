/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "traffic/program.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void traffic_program(const char *configured, char *path, size_t size)
{
	char own[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);

	if (!*configured && length > 0) {
		own[length] = '\0';
		*strrchr(own, '/') = '\0';
		snprintf(path, size, "%s/../traffic/" TRAFFIC_PROGRAM, own);
		if (access(path, X_OK) == 0)
			return;
	}
	snprintf(
		path, size, "%s", *configured ? configured : KANYUN_LIBEXECDIR "/" TRAFFIC_PROGRAM);
}
