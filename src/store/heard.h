/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Records of workers, whose keys they are; the values are times in milliseconds, as text. */

/* When it was last heard; the store's sources may know better. */
#define HEARD_KIND "heard"

/* When it said goodbye, was forgotten or given up: it is not missed until it is heard after that.
 */
#define LEFT_KIND "left"
