/* sign.c - signatures as Standard Webhooks has them: HMAC-SHA256 over
 * "ID.TIMESTAMP.BODY", in base64.
 *
 * SPDX-License-Identifier: MIT
 */
#include "hook.h"

#include <stdio.h>
#include <stdlib.h>

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Three bytes are four digits; the rest is filled with =. */
static void
encode(const uint8_t *in, size_t n, char *out)
{
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16;

		if (i + 1 < n)
			v |= (uint32_t)in[i + 1] << 8;
		if (i + 2 < n)
			v |= in[i + 2];
		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = '=';
		*out++ = '=';
		if (i + 1 < n)
			out[-2] = digits[v >> 6 & 63];
		if (i + 2 < n)
			out[-1] = digits[v & 63];
	}
	*out = '\0';
}

/* The bytes that are in the text; 0: it is no base64. out has room for text.len. */
static size_t
decode(lz_str text, uint8_t *out)
{
	uint32_t v = 0;
	unsigned bits = 0;
	size_t n = 0;

	if (text.len % 4 == 0)
		for (int i = 0; i < 2 && text.len > 0 && text.ptr[text.len - 1] == '=';
		     i++)
			text.len--;
	if (text.len % 4 == 1)
		return 0;
	for (size_t i = 0; i < text.len; i++) {
		const char *d = memchr(digits, text.ptr[i], 64);

		if (d == NULL)
			return 0;
		v = v << 6 | (uint32_t)(d - digits);
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		out[n++] = (uint8_t)(v >> bits);
		v &= (1u << bits) - 1;
	}
	return v == 0 ? n : 0;
}

/* "whsec_" and base64, or the bytes as they stand. */
int32_t
sign_key(struct hook *h, char *err, size_t err_len)
{
	static const char prefix[] = "whsec_";
	const size_t n = sizeof(prefix) - 1;
	lz_str s = h->secret;

	if (s.len == 0)
		return LZ_OK;
	h->key = malloc(s.len);
	if (h->key == NULL)
		return LZ_E_NOMEM;
	if (s.len < n || memcmp(s.ptr, prefix, n) != 0) {
		memcpy(h->key, s.ptr, s.len);
		h->key_len = s.len;
		return LZ_OK;
	}
	h->key_len = decode(lz_strn(s.ptr + n, s.len - n), h->key);
	if (h->key_len > 0)
		return LZ_OK;
	(void)snprintf(err, err_len, "secret: what follows whsec_ is no base64");
	return LZ_E_INVALID;
}

void
sign_id(char out[ID_BYTES])
{
	uint8_t random[12];

	lz->random(random, sizeof(random));
	memcpy(out, "msg_", 4);
	for (size_t i = 0; i < sizeof(random); i++)
		(void)snprintf(out + 4 + 2 * i, 3, "%02x", random[i]);
}

int32_t
sign(const struct hook *h, lz_call *c, const char *id, const char *timestamp, lz_str body,
    char out[SIGNATURE_BYTES])
{
	size_t a = strlen(id), b = strlen(timestamp);
	char *text = lz->alloc(c, a + b + 2 + body.len);
	uint8_t mac[32];
	int32_t rc;

	if (text == NULL)
		return LZ_E_NOMEM;
	memcpy(text, id, a);
	text[a] = '.';
	memcpy(text + a + 1, timestamp, b);
	text[a + 1 + b] = '.';
	memcpy(text + a + b + 2, body.ptr, body.len);
	rc = lz->hmac_sha256(lz_strn((const char *)h->key, h->key_len),
	    lz_strn(text, a + b + 2 + body.len), mac);
	if (rc != LZ_OK)
		return rc;
	memcpy(out, "v1,", 3);
	encode(mac, sizeof(mac), out + 3);
	return LZ_OK;
}
