/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "http/route.h"

#include <errno.h>
#include <string.h>

static bool is_argument(const char *segment, size_t size)
{
	return size > 2 && segment[0] == '{' && segment[size - 1] == '}';
}

static bool fits(const char *path, const struct uri *uri, const char **ret_argument)
{
	size_t i = 0;

	*ret_argument = NULL;
	while (*path == '/') {
		size_t size = strcspn(++path, "/");

		if (i == uri->segment_count)
			return false;
		if (is_argument(path, size) && *uri->segments[i])
			*ret_argument = uri->segments[i];
		else if (strlen(uri->segments[i]) != size ||
			 memcmp(uri->segments[i], path, size) != 0)
			return false;
		path += size;
		i++;
	}
	return i == uri->segment_count;
}

const struct http_route *route_find(const struct http_route *routes, size_t count,
	const struct uri *uri, const char **ret_argument)
{
	for (size_t i = 0; i < count; i++)
		if (fits(routes[i].path, uri, ret_argument))
			return &routes[i];
	return NULL;
}

static const struct http_parameter *find_parameter(const struct http_route *route, const char *name)
{
	for (const struct http_parameter *each = route->parameters; each && each->name; each++)
		if (strcmp(each->name, name) == 0)
			return each;
	return NULL;
}

int route_check(const struct http_route *route, const struct uri *uri, struct error *err)
{
	for (size_t i = 0; i < uri->query_count; i++) {
		const char *name = uri->query[i].name;
		const struct http_parameter *parameter = find_parameter(route, name);

		if (!parameter)
			return error_set(err, -EINVAL, "there is no parameter '%s' here", name);
		for (size_t j = 0; j < i && !parameter->is_list; j++)
			if (strcmp(uri->query[j].name, name) == 0)
				return error_set(
					err, -EINVAL, "parameter '%s' is given twice", name);
	}
	return 0;
}
