/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What a method answers, as a body: JSON or rows, in pieces. Each takes asking. */

#include "api/http/asking.h"

/* Asks about each of the ids. {"instances": [one answer each]}, or the rows of all. */
void bodies_each(struct asking *asking, struct http_response *response);

/* Asks about each of the ids for its groups. {"groups": [rows]}, or the rows. */
void bodies_groups(struct asking *asking, struct http_response *response);

/* Asks once. {"member": the answer}, or its rows. member NULL: the answer is all, and has none. */
void bodies_once(struct asking *asking, const char *member, struct http_response *response);
