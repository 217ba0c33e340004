/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What instances.c and instance.c share. */

#include <jansson.h>

#include "model/instance.h"
#include "store/store.h"

/* All that is known by an info: names, host, project, user, flavor, image, ports. */
void instance_add_info(json_t *object, const struct instance_info *info);

/* An instance as it is listed, by the info that is to stand for it (NULL: none). */
json_t *instance_to_json(const struct store_instance *instance, const struct instance_info *info);
