/* host.c - the table that plugins call: who is calling, and the services that need no
 * call.
 *
 * Each plugin has a copy of its own. The functions that carry an lz_call know the plugin
 * by it; for the few that do not (metric(), log() from init()) the thread remembers whom
 * it entered last.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plugin/host.h"

#include "base/crypto.h"
#include "base/fold.h"
#include "base/log.h"

enum {
	LOG_BYTES = 600
};

static _Thread_local const struct plugin *entered;

const struct plugin *
host_enter(const struct plugin *p)
{
	const struct plugin *before = entered;

	entered = p;
	return before;
}

void
host_leave(const struct plugin *before)
{
	entered = before;
}

static const void *
host_extension(const char *id)
{
	(void)id;
	return NULL;
}

/* Quotes and backslashes would end the value early; log_line() sees to the control
 * characters. */
static void
quote(lz_str text, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len && n + 3 < LOG_BYTES; i++) {
		if (text.ptr[i] == '"' || text.ptr[i] == '\\')
			out[n++] = '\\';
		out[n++] = text.ptr[i];
	}
	out[n] = '\0';
}

static void
host_log(lz_call *c, int32_t level, lz_str text)
{
	static const enum log_level levels[] = { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO,
		LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
	const struct visit *v = visit_behind(c);
	const struct plugin *p = v != NULL ? v->component->plugin : entered;
	enum log_level l =
	    level >= LZ_DEBUG && level <= LZ_ERROR ? levels[level] : LOG_LEVEL_INFO;
	char quoted[LOG_BYTES];

	if (text.ptr == NULL)
		return;
	quote(text, quoted);
	log_line(l, "plugin.says", "plugin=%s request=%s text=\"%s\"",
	    p != NULL ? p->name : "unknown", v != NULL ? v->r->id_hex : "", quoted);
}

static uint32_t
host_metric(int32_t kind, const char *name, const char *help)
{
	return entered != NULL ? meter_add(entered->name, kind, name, help) : 0;
}

static void
host_random(void *out, size_t n)
{
	if (out != NULL)
		crypto_random(out, n);
}

static int32_t
host_hmac(lz_str key, lz_str data, uint8_t out[32])
{
	if (out == NULL)
		return LZ_E_INVALID;
	crypto_hmac(key, data, out);
	return LZ_OK;
}

void
host_fill(lz_host *h, struct plugin *p)
{
	*h = (lz_host){
		.size = sizeof(*h), .abi_major = LZ_ABI_MAJOR, .abi_minor = LZ_ABI_MINOR
	};
	h->version = LATENZA_VERSION;
	h->impl = p;
	h->extension = host_extension;
	h->log = host_log;
	h->metric = host_metric;
	h->observe = meter_observe;
	h->now_unix_ms = clock_unix_ms;
	h->random = host_random;
	h->hmac_sha256 = host_hmac;
	h->plain = fold_plain;
	h->shared_add = shared_add;
	value_fill(h);
	offer_fill(h);
}
