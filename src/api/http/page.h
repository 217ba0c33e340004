/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The dashboard (docs/page.md): the files of web/, which the build makes a table of. They hold no
 * data, so everybody may have them; the page asks for data as any other client does. */

#include "http/request.h"
#include "http/response.h"

/* The handler of "/", and of a file by its name. */
void page_get(void *context, const struct http_request *request, struct http_response *response);
