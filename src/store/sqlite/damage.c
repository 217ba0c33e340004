/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Days whose readings are lost.
 *
 *     day-YYYYMMDD.db.damaged  a file that could not be read when the store was opened, set aside
 *                              for whoever can repair it; empty, if the file was gone or empty
 *     day-YYYYMMDD.db.doubted  an empty file: this day's file is to be read as a whole when the
 *                              store is opened next, for something in it could not be read
 *
 * kanyun.db notes the days that have a file before their readings leave the journal (invariant 5),
 * so a file that is gone is noticed, too. Files are set aside only while the store is opened,
 * before anyone can ask: what an answer is based on does not vanish under it. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/directory.h"
#include "store/sqlite/private.h"

#define DAMAGED ".damaged"
#define DOUBTED ".doubted"

enum { NAMES_MAX = 100 };

static bool is_there(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0;
}

static int touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

bool damage_is_doubted(const struct sqlite_store *store, int64_t day)
{
	char path[DAY_PATH_SIZE];

	return is_there(day_path(store, day, DOUBTED, path));
}

void damage_doubt(struct sqlite_store *store, int64_t day)
{
	char path[DAY_PATH_SIZE];

	if (damage_is_doubted(store, day))
		return;
	(void)touch(day_path(store, day, DOUBTED, path));
	(void)!directory_sync(store->data_dir);
}

void damage_clear_doubt(struct sqlite_store *store, int64_t day)
{
	char path[DAY_PATH_SIZE];

	(void)unlink(day_path(store, day, DOUBTED, path));
}

/* A name that is free: the readings that came after the day was damaged may be damaged as well. */
static const char *free_path(
	const struct sqlite_store *store, int64_t day, char path[DAY_PATH_SIZE])
{
	char ending[32];

	day_path(store, day, DAMAGED, path);
	for (int i = 2; is_there(path) && i < NAMES_MAX; i++) {
		snprintf(ending, sizeof(ending), DAMAGED "-%d", i);
		day_path(store, day, ending, path);
	}
	return path;
}

static int move_aside(const char *from, const char *to)
{
	static const char *const endings[] = { "-wal", "" };
	char source[DAY_PATH_SIZE + 8], target[DAY_PATH_SIZE + 8];

	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		snprintf(source, sizeof(source), "%s%s", from, endings[i]);
		snprintf(target, sizeof(target), "%s%s", to, endings[i]);
		if (rename(source, target) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

int damage_set_aside(struct sqlite_store *store, int64_t day, struct error *err)
{
	char from[DAY_PATH_SIZE], to[DAY_PATH_SIZE], marker[DAY_PATH_SIZE];
	int r;

	day_path(store, day, DAMAGED, marker);
	r = move_aside(day_path(store, day, "", from), free_path(store, day, to));
	if (r == 0 && !is_there(marker))
		r = touch(marker);
	if (r == 0)
		r = directory_sync(store->data_dir);
	if (r < 0)
		return error_set(
			err, r, "cannot set '%s' aside, which is damaged: %s", from, strerror(-r));
	damage_clear_doubt(store, day);
	return 0;
}

bool damage_is_known(const struct sqlite_store *store, int64_t day)
{
	char path[DAY_PATH_SIZE];

	return is_there(day_path(store, day, DAMAGED, path));
}

int damage_delete_before(struct sqlite_store *store, int64_t before_day)
{
	static const char *const endings[] = { DAMAGED, DAMAGED "-wal", DOUBTED };
	int64_t *days = NULL;
	char path[DAY_PATH_SIZE];
	size_t count = 0;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(endings) && r == 0; i++) {
		r = days_list(store, endings[i], &days, &count);
		for (size_t j = 0; r == 0 && j < count && days[j] < before_day; j++)
			(void)unlink(day_path(store, days[j], endings[i], path));
		free(days);
		days = NULL;
	}
	return r;
}

int damage_each(struct sqlite_store *store, store_damage_fn each, void *context, struct error *err)
{
	int64_t *days = NULL;
	char path[DAY_PATH_SIZE];
	size_t count = 0;
	int r = days_list(store, DAMAGED, &days, &count);

	for (size_t i = 0; i < count && r == 0; i++)
		if (each(context, days[i] * DAY_MS, (days[i] + 1) * DAY_MS,
			    day_path(store, days[i], DAMAGED, path)) != 0)
			r = STORE_STOPPED;
	free(days);
	return r < 0 ? error_set(err, r, "cannot read '%s': %s", store->data_dir, strerror(-r)) : r;
}
