/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "cql/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>

static const char *newest_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return reason ? reason : "no reason is known";
}

static int load_authorities(SSL_CTX *context, const char *ca_file, struct error *err)
{
	if (!ca_file && SSL_CTX_set_default_verify_paths(context) != 1)
		return error_set(err, -EINVAL, "cannot read the system's certificate authorities");
	if (ca_file && SSL_CTX_load_verify_file(context, ca_file) != 1)
		return error_set(err, -EINVAL, "cannot read certificate authorities from '%s': %s",
			ca_file, newest_reason());
	return 0;
}

static int load_own(
	SSL_CTX *context, const char *cert_file, const char *key_file, struct error *err)
{
	if (!cert_file && !key_file)
		return 0;
	if (!cert_file || !key_file)
		return error_set(err, -EINVAL, "a certificate needs its key, and a key needs it");
	if (SSL_CTX_use_certificate_chain_file(context, cert_file) != 1)
		return error_set(err, -EINVAL, "cannot read a certificate from '%s': %s", cert_file,
			newest_reason());
	if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_check_private_key(context) != 1)
		return error_set(
			err, -EINVAL, "cannot use the key in '%s': %s", key_file, newest_reason());
	return 0;
}

/* A key with a passphrase is refused: nobody is there to be asked. */
static int no_passphrase(char *to, int size, int is_writing, void *context)
{
	return -1;
}

int cql_tls_new(const char *ca_file, const char *cert_file, const char *key_file,
	struct cql_tls **ret_tls, struct error *err)
{
	CLEANUP(cql_tls_free) struct cql_tls *tls = calloc(1, sizeof(*tls));
	int r;

	if (!tls)
		return -ENOMEM;
	ERR_clear_error();
	tls->context = SSL_CTX_new(TLS_client_method());
	if (!tls->context)
		return -ENOMEM;
	SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
	SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(
		tls->context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_default_passwd_cb(tls->context, no_passphrase);
	r = load_authorities(tls->context, ca_file, err);
	if (r == 0)
		r = load_own(tls->context, cert_file, key_file, err);
	if (r < 0)
		return r;
	*ret_tls = tls;
	tls = NULL;
	return 0;
}

struct cql_tls *cql_tls_free(struct cql_tls *tls)
{
	if (tls)
		SSL_CTX_free(tls->context);
	free(tls);
	return NULL;
}

static bool is_address(const char *name)
{
	uint8_t bytes[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

static bool expect_name(SSL *ssl, const char *name)
{
	if (is_address(name))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

int cql_tls_begin(struct cql_tls *tls, int fd, const char *name, SSL **ret_ssl, struct error *err)
{
	SSL *ssl = SSL_new(tls->context);

	if (!ssl)
		return -ENOMEM;
	if (!expect_name(ssl, name) || SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return error_set(err, -EINVAL, "no certificate can be of '%s'", name);
	}
	SSL_set_connect_state(ssl);
	*ret_ssl = ssl;
	return 0;
}

int cql_tls_failure(const SSL *ssl, int ssl_error, struct error *err)
{
	long verdict = SSL_get_verify_result(ssl);

	if (verdict != X509_V_OK)
		return error_set(err, -EACCES, "its certificate is not accepted: %s",
			X509_verify_cert_error_string(verdict));
	if (ssl_error == SSL_ERROR_ZERO_RETURN ||
		(ssl_error == SSL_ERROR_SYSCALL && ERR_peek_last_error() == 0))
		return error_set(err, -ECONNRESET, "the node closed the connection");
	return error_set(err, -EPROTO, "TLS: %s", newest_reason());
}
