/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "collect/libvirt/hangs.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/macros.h"
#include "base/text.h"
#include "collect/libvirt/epoch.h"

static void find_life(char life[HANGS_LIFE_SIZE])
{
	static const char *const files[] = { "/run/virtqemud.pid", "/run/libvirtd.pid",
		"/run/libvirt/virtqemud.pid", "/run/libvirt/libvirtd.pid" };

	*life = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(files) && !*life; i++)
		epoch_of_pid_file(files[i], life, HANGS_LIFE_SIZE);
}

static void save(const struct hangs *hangs)
{
	char line[HANGS_LIFE_SIZE + 16];
	int size = snprintf(line, sizeof(line), "%s %d\n", hangs->life, hangs->count);

	if (*hangs->path)
		(void)!file_replace(hangs->path, line, (size_t)size);
}

void hangs_load(struct hangs *hangs, const char *directory)
{
	char line[HANGS_LIFE_SIZE + 16] = "", *blank;
	FILE *file;
	int64_t count;

	*hangs = (struct hangs){ 0 };
	find_life(hangs->life);
	if (snprintf(hangs->path, sizeof(hangs->path), "%s/hung-calls", directory) >=
		(int)sizeof(hangs->path))
		hangs->path[0] = '\0';
	(void)mkdir(directory, 0700);
	file = fopen(hangs->path, "re");
	if (!file)
		return;
	if (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		blank = strchr(line, ' ');
		if (blank)
			*blank++ = '\0';
		if (blank && strcmp(line, hangs->life) == 0 && text_to_i64(blank, &count) == 0)
			hangs->count = (int)MIN_OF(MAX_OF(count, 0), HANGS_MAX);
	}
	fclose(file);
}

bool hangs_refresh(struct hangs *hangs)
{
	char life[HANGS_LIFE_SIZE];

	find_life(life);
	if (!*life || strcmp(life, hangs->life) == 0)
		return false;
	memcpy(hangs->life, life, sizeof(life));
	hangs->count = 0;
	save(hangs);
	return true;
}

void hangs_change(struct hangs *hangs, int by)
{
	hangs->count = MAX_OF(hangs->count + by, 0);
	save(hangs);
}
