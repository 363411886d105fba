/* provider_tls.c - the provider's side of TLS: OpenSSL, blocking, one object per line.
 *
 * The certificate is made by the openssl command, as a person would make it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

#include <openssl/ssl.h>

struct tls {
	SSL_CTX *ctx;
	char dir[40], cert[64], key[64];
};

static int
choose_http2(SSL *ssl, const unsigned char **out, unsigned char *len,
    const unsigned char *in, unsigned in_len, void *arg)
{
	static const unsigned char h2[] = { 2, 'h', '2' };

	(void)ssl;
	(void)arg;
	return SSL_select_next_proto((unsigned char **)out, len, h2, sizeof(h2), in,
		   in_len) == OPENSSL_NPN_NEGOTIATED
		   ? SSL_TLSEXT_ERR_OK
		   : SSL_TLSEXT_ERR_ALERT_FATAL;
}

struct tls *
tls_new(bool is_http2)
{
	struct tls *t = calloc(1, sizeof(*t));
	char command[500];

	assert_non_null(t);
	strcpy(t->dir, "/tmp/upstream-tls-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	(void)snprintf(t->cert, sizeof(t->cert), "%s/cert.pem", t->dir);
	(void)snprintf(t->key, sizeof(t->key), "%s/key.pem", t->dir);
	(void)snprintf(command, sizeof(command),
	    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
	    "-days 2 -subj /CN=here.test "
	    "-addext subjectAltName=DNS:one.test,IP:127.0.0.1 "
	    "-keyout %s -out %s 2>/dev/null",
	    t->key, t->cert);
	if (system(command) != 0)
		fail_msg("the openssl command makes no certificate");
	t->ctx = SSL_CTX_new(TLS_server_method());
	assert_non_null(t->ctx);
	assert_int_equal(SSL_CTX_use_certificate_chain_file(t->ctx, t->cert), 1);
	assert_int_equal(
	    SSL_CTX_use_PrivateKey_file(t->ctx, t->key, SSL_FILETYPE_PEM), 1);
	if (is_http2)
		SSL_CTX_set_alpn_select_cb(t->ctx, choose_http2, NULL);
	return t;
}

void
tls_free(struct tls *t)
{
	SSL_CTX_free(t->ctx);
	(void)unlink(t->cert);
	(void)unlink(t->key);
	(void)rmdir(t->dir);
	free(t);
}

const char *
tls_ca(const struct tls *t)
{
	return t->cert;
}

void
tls_trust_more(struct tls *t, const char *file)
{
	char command[200];

	(void)snprintf(command, sizeof(command), "cat %s >>%s", file, t->cert);
	if (system(command) != 0)
		fail_msg("%s cannot be read", file);
}

const char *
tls_key(const struct tls *t)
{
	return t->key;
}

void *
tls_accept(struct tls *t, int fd)
{
	SSL *ssl = SSL_new(t->ctx);
	sigset_t pipe;

	/* OpenSSL writes without MSG_NOSIGNAL; only this thread is to be spared. */
	(void)sigemptyset(&pipe);
	(void)sigaddset(&pipe, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	assert_non_null(ssl);
	if (SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1)
		return ssl;
	SSL_free(ssl);
	return NULL;
}

ssize_t
tls_recv(void *tls, void *p, size_t n)
{
	return SSL_read(tls, p, (int)n);
}

ssize_t
tls_send(void *tls, const void *p, size_t n)
{
	return SSL_write(tls, p, (int)n);
}

void
say_goodbye(struct line *l)
{
	if (l->tls != NULL)
		(void)SSL_shutdown(l->tls);
}

void
tls_close(void *tls)
{
	SSL_free(tls);
}
