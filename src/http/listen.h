/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* The socket of a server, and what its address is called. */

#include <stdint.h>

#include "base/error.h"
#include "base/macros.h"

enum { LISTEN_ADDRESS_SIZE = 128 };

/* host: a name, an address, or "*"; port 0: any that is free. Returns the descriptor and the real
 * "HOST:PORT" (brackets around an IPv6 address), or negative with a text. */
MUST_CHECK int listen_open(
	const char *host, uint16_t port, char ret_address[LISTEN_ADDRESS_SIZE], struct error *err);
