/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* TLS 1.2 and later to servers whose certificate is checked: its authority, its time, and that it
 * is of the host that was meant. */

#include <openssl/ssl.h>

#include "base/error.h"
#include "base/macros.h"

struct cql_tls {
	SSL_CTX *context;
};

/* PEM files. ca_file NULL: the system's authorities. cert_file (a chain) and key_file: both or
 * neither. */
MUST_CHECK int cql_tls_new(const char *ca_file, const char *cert_file, const char *key_file,
	struct cql_tls **ret_tls, struct error *err);
struct cql_tls *cql_tls_free(struct cql_tls *tls);
CLEANUP_DEFINE(struct cql_tls, cql_tls_free)

/* A client's end on a connected socket, which stays the caller's. `name`: what must stand in the
 * certificate, a host name or an address. */
MUST_CHECK int cql_tls_begin(
	struct cql_tls *tls, int fd, const char *name, SSL **ret_ssl, struct error *err);

/* The text of what just failed in this thread. Returns -EACCES if the certificate was not accepted,
 * -ECONNRESET where the peer just went, else -EPROTO. */
int cql_tls_failure(const SSL *ssl, int ssl_error, struct error *err);
