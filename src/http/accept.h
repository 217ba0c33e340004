/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* Which of several forms of an answer the client likes best (RFC 9110, Accept). */

#include <stddef.h>

/* header: Accept's value, or NULL without one. types[count]: "text/csv" and the like, the server's
 * favourite first. Returns an index, or -1 if none of them will do. A part of the header that is
 * not understood is passed over. */
int accept_choose(const char *header, const char *const *types, size_t count);
