/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <limits.h>
#include <string.h>

#include "base/child.h"
#include "cli/doctor.h"
#include "traffic/program.h"

enum { CHECK_MS = 5000, OUTPUT_MAX = 128 * 1024, LINE_MAX_SIZE = 1024 };

/* The line that kanyun-traffic says of itself, "": none; 0 if it can do its work. */
static int ask_program(char *path, char text[LINE_MAX_SIZE])
{
	char option[] = "--check";
	char *const arguments[] = { path, option, NULL };
	CLEANUP(buffer_deinit) struct buffer output;
	struct child child = { 0 };
	size_t size;
	int r;

	buffer_init(&output, OUTPUT_MAX);
	r = child_start(&child, path, arguments);
	if (r == 0)
		r = child_finish(&child, &output, CHECK_MS);
	size = MIN_OF(output.size, LINE_MAX_SIZE - 1);
	if (size)
		memcpy(text, output.bytes, size);
	text[size] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return r;
}

void doctor_check_traffic(struct doctor *doctor, const struct config *config)
{
	const char *source = config_text(config, "traffic", "source");
	char path[PATH_MAX], text[LINE_MAX_SIZE];
	int r;

	if (strcmp(source, "none") == 0) {
		doctor_find(doctor, FINDING_OK, "traffic", "", "is not metered: [traffic] source");
		return;
	}
	if (strcmp(source, "iptables") == 0) {
		doctor_find(doctor, FINDING_OK, "traffic", "",
			"is read from accounting rules of iptables");
		return;
	}
	traffic_program(config_text(config, "traffic", "helper"), path, sizeof(path));
	r = ask_program(path, text);
	if (r == 0)
		doctor_find(doctor, FINDING_OK, "traffic", "", "%s %s", path, text);
	else if (*text)
		doctor_find(doctor, FINDING_WARNING, "traffic",
			"run kanyun-worker as root, or: setcap cap_net_admin=p FILE; see "
			"kanyun-traffic(8)",
			"as this user, %s cannot meter external traffic: %s", path, text);
	else
		doctor_find(doctor, FINDING_WARNING, "traffic",
			"on a compute host: install it, or set [traffic] helper. Elsewhere: "
			"nothing",
			"%s cannot be run: %s", path, strerror(-r));
}
