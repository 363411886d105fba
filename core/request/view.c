/* view.c - the request as plugins and scripts may see it: views, and never a secret.
 *
 * SPDX-License-Identifier: MIT
 */
#include "request/view.h"

#include "base/json.h"
#include "request/credential.h"
#include "request/live.h"

enum {
	HEADER_NAME_BYTES = 128,
	TAG_KEY_BYTES = 64,
	TAG_VALUE_BYTES = 512,
	TAGS = 64,
	TAGS_BYTES = 65536
};

/* Whatever route a key may come in by. */
static const char *const secret_headers[] = { "authorization", "proxy-authorization",
	"cookie", "x-api-key", "api-key", "x-goog-api-key" };

static const char key_prefix[] = "key."; /* of metadata that is the key's */

static int64_t
deadline_left_ms(const struct request *r)
{
	int64_t us = r->deadline_us - loop_now(r->worker->loop)->mono_us;

	return us > 0 ? us / 1000 : 0;
}

static void
view_attempt(const struct request *r, lz_request *out)
{
	const struct attempt *a;

	if (r->attempt_count == 0)
		return;
	a = r->attempt[r->attempt_count - 1];
	out->attempt = a->number;
	out->output_bound = a->output_bound;
}

void
request_view(struct request *r, lz_request *out, uint32_t phase)
{
	int64_t left_ms = deadline_left_ms(r);

	*out = (lz_request){ .size = sizeof(*out),
		.phase = phase,
		.output_bound = -1,
		.output_limit = -1 };
	out->stream = r->is_stream;
	out->deadline_ms = left_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)left_ms;
	out->capabilities = r->capabilities;
	out->prompt_tokens = r->prompt_tokens;
	out->max_output_tokens = r->max_tokens;
	out->id = lz_strz(r->id_hex);
	out->route = request_kind(r)->name;
	out->model = r->model;
	out->key = r->caller.key;
	out->organization = r->caller.organization;
	out->assistant = r->caller.assistant;
	out->user = r->user;
	out->session = r->session;
	view_attempt(r, out);
}

static double
average_ms(const _Atomic uint64_t *cell)
{
	return (double)atomic_load_explicit(cell, memory_order_relaxed) / 1000.0;
}

/* Averages of the request's own mode. What no call has told yet is unknown, not 0. */
static void
view_live(const struct request *r, struct live *l, lz_target *out)
{
	unsigned mode = r->is_stream ? 1 : 0;

	int64_t measured =
	    atomic_load_explicit(&l->measured_us[mode], memory_order_relaxed);
	int64_t now_us = loop_now(r->worker->loop)->mono_us;

	out->samples = atomic_load_explicit(&l->samples[mode], memory_order_relaxed);
	out->silent_ms = measured > 0 ? (now_us - measured) / 1000 : -1;
	out->in_flight = atomic_load_explicit(&l->in_flight, memory_order_relaxed);
	out->ttft_ms = out->ms_per_token = out->latency_ms = -1;
	out->load = -1;
	out->error_rate =
	    atomic_load_explicit(&l->error_permille, memory_order_relaxed) / 1000.0;
	out->healthy = live_is_healthy(l, loop_now(r->worker->loop)->mono_us);
	if (out->samples == 0) {
		if (out->error_rate == 0)
			out->error_rate = -1;
		return;
	}
	out->latency_ms = average_ms(&l->total_us[mode]);
	if (atomic_load_explicit(&l->ttft_us[mode], memory_order_relaxed) > 0)
		out->ttft_ms = average_ms(&l->ttft_us[mode]);
	if (atomic_load_explicit(&l->us_per_token[mode], memory_order_relaxed) > 0)
		out->ms_per_token = average_ms(&l->us_per_token[mode]);
}

void
request_view_target(const struct request *r, const struct candidate *c, lz_target *out)
{
	const struct target *t = c->target;

	*out = (lz_target){ .size = sizeof(*out), .weight = t->weight };
	out->capabilities = t->model->capabilities;
	out->provider = t->provider->name;
	out->model = t->model->id;
	out->upstream_model = t->upstream_model;
	out->region = t->provider->region;
	out->context_tokens = t->model->context_window;
	out->max_output_tokens = t->model->max_output_tokens;
	out->cost_estimate = c->bound_nano_eur < 0 ? -1 : c->estimate_nano_eur;
	out->quality = t->model->quality;
	out->sticky = c->is_sticky;
	view_live(r, live_of(t), out);
	if (!credential_is_ready(t, loop_now(r->worker->loop)->mono_us))
		out->healthy = 0;
}

lz_str
request_view_header(const struct request *r, lz_str name)
{
	char lower[HEADER_NAME_BYTES];

	if (name.len == 0 || name.len >= sizeof(lower))
		return STR_NONE;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		lower[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
	}
	lower[name.len] = '\0';
	for (size_t i = 0; i < sizeof(secret_headers) / sizeof(secret_headers[0]); i++)
		if (strcmp(lower, secret_headers[i]) == 0)
			return STR_NONE;
	return request_header(r, lower);
}

/* The key's own, as it was configured. Whoever sends a "key.NAME" of their own does not
 * reach this: what begins like that is asked of the key alone. */
static lz_str
key_metadata(const struct request *r, lz_str name)
{
	const json_t *value = json_object_getn(r->caller.metadata, name.ptr, name.len);

	return json_is_string(value)
		   ? lz_strn(json_string_value(value), json_string_length(value))
		   : STR_NONE;
}

lz_str
request_view_metadata(const struct request *r, lz_str key, struct arena *memory)
{
	json_t *tree;
	const json_t *value;
	lz_str found = STR_NONE;

	if (str_starts(key, key_prefix))
		return key_metadata(r, str_cut(key, sizeof(key_prefix) - 1, key.len));
	if (r->metadata.len == 0 || key.len == 0 || memory == NULL)
		return STR_NONE;
	tree = json_parse(r->metadata, NULL);
	value = json_object_getn(tree, key.ptr, key.len);
	if (json_is_string(value))
		found = arena_copy(
		    memory, lz_strn(json_string_value(value), json_string_length(value)));
	json_decref(tree);
	return found;
}

static bool
is_tag(lz_str s, size_t max)
{
	return s.len > 0 && s.len <= max && str_find(s, '\0') < 0 && str_is_utf8(s);
}

/* An object of strings, printed, gets one more. */
static enum status
add_pair(struct request *r, lz_str *to, lz_str key, lz_str value)
{
	json_t *tree = to->len > 0 ? json_parse(*to, NULL) : json_object();
	struct buf text;
	enum status st = ST_NOMEM;

	if (json_object_size(tree) >= TAGS &&
	    json_object_getn(tree, key.ptr, key.len) == NULL) {
		json_decref(tree);
		return ST_LIMIT;
	}
	buf_init(&text, TAGS_BYTES);
	if (json_object_setn_new(
		tree, key.ptr, key.len, json_stringn(value.ptr, value.len)) == 0 &&
	    json_print(tree, &text)) {
		lz_str copy = arena_copy(r->arena, buf_str(&text));

		if (copy.ptr != NULL) {
			*to = copy;
			st = ST_OK;
		}
	}
	buf_free(&text);
	json_decref(tree);
	return st;
}

enum status
request_view_tag(struct request *r, lz_str key, lz_str value)
{
	enum status st;

	if (!is_tag(key, TAG_KEY_BYTES) || !is_tag(value, TAG_VALUE_BYTES))
		return ST_INVALID;
	st = add_pair(r, &r->metadata, key, value);
	return st == ST_OK ? add_pair(r, &r->tags, key, value) : st;
}

enum status
request_view_keep_tags(struct request *r)
{
	json_t *tags = r->tags.len > 0 ? json_parse(r->tags, NULL) : NULL;
	enum status st = ST_OK;
	const char *key;
	json_t *value;

	json_object_foreach(tags, key, value)
	{
		lz_str text =
		    lz_strn(json_string_value(value), json_string_length(value));

		if (st == ST_OK)
			st = add_pair(r, &r->metadata, lz_strz(key), text);
	}
	json_decref(tags);
	return st == ST_LIMIT ? ST_OK : st;
}
