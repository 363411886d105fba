/* verdict.c - whose fault an error is, from status, headers and an OpenAI-shaped body.
 *
 * The provider's plugin may correct it in classify(). Messages of the provider are kept
 * only for what the caller may see: policy/ shows them when the caller's request is at
 * fault, and never those about the gateway's own credentials.
 *
 * SPDX-License-Identifier: MIT
 */
#include <time.h>
#include "base/jscan.h"
#include "call/attempt.h"

enum {
	RETRY_AFTER_MOST_MS = 300000,
	UNSAID_STATUS = 500, /* of an error inside a 200 that names none */
	SECRET_BYTES = 8     /* a shorter credential is a word, not a secret */
};

static int32_t
blame_of(int status)
{
	switch (status) {
	case 401:
	case 403:
		return LZ_UPSTREAM_AUTH;
	case 402:
		return LZ_UPSTREAM_QUOTA;
	case 429:
		return LZ_UPSTREAM_RATE;
	case 404: /* the model, or the path, is not there; another target may have it */
	case 410:
		return LZ_UPSTREAM_UNABLE;
	case 408:
	case 409:
	case 425:
		return LZ_UPSTREAM_DOWN;
	default:
		return status >= 400 && status < 500 ? LZ_UPSTREAM_CALLER
						     : LZ_UPSTREAM_DOWN;
	}
}

/* Codes that say more than the status. */
static const struct {
	const char *code;
	int32_t blame;
} codes[] = {
	{ "context_length_exceeded", LZ_UPSTREAM_CONTEXT },
	{ "model_not_found", LZ_UPSTREAM_UNABLE }, /* here; another target may have it */
	{ "model_decommissioned", LZ_UPSTREAM_UNABLE },
	{ "insufficient_quota", LZ_UPSTREAM_QUOTA },
	{ "content_policy_violation", LZ_UPSTREAM_FILTERED },
	{ "content_filter", LZ_UPSTREAM_FILTERED },
};

/* ---- how long to wait ---- */

static bool
is_number(lz_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	return s.len > 0;
}

/* A number of any length in units of `ms`, cut at the most that is believed. */
static int64_t
number_ms(lz_str s, int64_t ms)
{
	int64_t v;

	if (s.len > 9 || !str_to_int(s, INT32_MAX, &v))
		return RETRY_AFTER_MOST_MS;
	return v * ms;
}

static int64_t
date_ms(const struct call *c, lz_str s)
{
	char text[64];
	struct tm t = { .tm_isdst = 0 };

	if (s.len >= sizeof(text) || s.len == 0)
		return 0;
	memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	if (strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &t) == NULL)
		return 0;
	return (int64_t)timegm(&t) * 1000 - loop_now(c->r->worker->loop)->unix_ms;
}

static unsigned
retry_after_ms(const struct call *c)
{
	lz_str ms = call_field(c, "retry-after-ms"), s = call_field(c, "retry-after");
	int64_t v = 0;

	if (is_number(ms))
		v = number_ms(ms, 1);
	else if (is_number(s))
		v = number_ms(s, 1000);
	else
		v = date_ms(c, s);
	if (v < 0)
		return 0;
	return (unsigned)(v < RETRY_AFTER_MOST_MS ? v : RETRY_AFTER_MOST_MS);
}

/* ---- the error object ---- */

static bool
begins_with(lz_str s, size_t at, lz_str word)
{
	return word.len <= s.len - at && memcmp(s.ptr + at, word.ptr, word.len) == 0;
}

lz_str
verdict_words(struct call *c, lz_str said, size_t max)
{
	static const char hidden[] = "***";
	lz_str secret = c->a->credential;
	bool may_tell = secret.len < SECRET_BYTES;
	char *out = arena_alloc(c->r->arena, max + sizeof hidden);
	size_t n = 0, at = 0;

	while (out != NULL && at < said.len && n < max) {
		if (!may_tell && begins_with(said, at, secret)) {
			memcpy(out + n, hidden, sizeof hidden - 1);
			n += sizeof hidden - 1;
			at += secret.len;
		} else {
			unsigned char byte = (unsigned char)said.ptr[at++];

			out[n++] = byte < ' ' || byte == 0x7f ? ' ' : (char)byte;
		}
	}
	return out == NULL ? STR_NONE : str_trim(lz_strn(out, n < max ? n : max));
}

/* A string, decoded into the arena; absent otherwise. */
static lz_str
decoded(struct call *c, const struct jscan_member *m)
{
	char *room;
	lz_str s;

	if (m->type != JSCAN_STRING)
		return STR_NONE;
	room = arena_alloc(c->r->arena, m->value.len + 1);
	if (room == NULL || !jscan_string(m, room, &s))
		return STR_NONE;
	return s.ptr == room ? s : arena_copy(c->r->arena, s);
}

static lz_str
member(struct call *c, lz_str object, const char *name)
{
	struct jscan_member m;

	return jscan_inner(object, name, &m) ? decoded(c, &m) : STR_NONE;
}

int
verdict_status(lz_str error)
{
	static const char *const names[] = { "status", "code" };
	struct jscan_member m;
	int64_t v;

	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
		if (jscan_inner(error, names[i], &m) && jscan_int(&m, &v) && v >= 400 &&
		    v < 600)
			return (int)v;
	return UNSAID_STATUS;
}

static void
read_error(struct call *c, const struct jscan_member *error, lz_fault *out)
{
	lz_str message;

	if (error->type == JSCAN_OBJECT) {
		message = member(c, error->value, "message");
		out->code = member(c, error->value, "code");
		out->param = member(c, error->value, "param");
	} else {
		message = decoded(c, error);
	}
	if (message.len > 0)
		out->message = message;
	for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (lz_eq(out->code, codes[i].code))
			out->upstream = codes[i].blame;
}

void
verdict_judge(struct call *c, lz_fault *out)
{
	struct jscan scan;
	const struct jscan_member *error;

	*out = (lz_fault){ .size = sizeof *out, .upstream = blame_of(c->status) };
	out->retry_after_ms = retry_after_ms(c);
	out->message = arena_printf(c->r->arena, "the provider answered %d", c->status);
	error = jscan_object(buf_str(&c->body), &scan, NULL) == ST_OK
		    ? jscan_find(&scan, "error")
		    : NULL;
	if (error != NULL)
		read_error(c, error, out);
	/* What the caller is told: only of faults that are its own, or the target's. */
	if (out->upstream == LZ_UPSTREAM_CALLER || out->upstream == LZ_UPSTREAM_UNABLE)
		out->status = c->status;
}
