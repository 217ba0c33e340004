/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "base/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

int directory_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return r;
}

/* One that is there may be the work of a process that died before it could sync the name, so the
 * parent is synced all the same; where that is not possible, it was there before all of us. */
static int make_one(const char *path, const char *parent, mode_t mode, struct error *err)
{
	bool is_new = mkdir(path, mode) == 0;
	struct stat status;
	int r = is_new ? 0 : -errno;

	if (r < 0 && (stat(path, &status) < 0 || !S_ISDIR(status.st_mode)))
		return error_set(err, r, "cannot make '%s': %s", path, strerror(-r));
	r = directory_sync(parent);
	return r < 0 && is_new ? error_set(err, r, "cannot sync '%s': %s", parent, strerror(-r))
			       : 0;
}

int directory_make(const char *path, mode_t mode, struct error *err)
{
	char part[DIRECTORY_PATH_MAX], parent[DIRECTORY_PATH_MAX];
	int r = 0;

	if (!*path || !text_copy(part, sizeof(part), path))
		return error_set(
			err, *path ? -ENAMETOOLONG : -EINVAL, "'%.80s' is no directory", path);
	memcpy(parent, *path == '/' ? "/" : ".", 2);
	for (char *slash = part + 1; r == 0 && (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		r = make_one(part, parent, 0755, err);
		memcpy(parent, part, strlen(part) + 1);
		*slash = '/';
	}
	return r == 0 ? make_one(part, parent, mode, err) : r;
}
