/* read.c - what a chat request says, read in one strict pass without building a tree.
 *
 * Only members that routing, money or policy need are looked at; everything else goes to
 * the provider as it came. What is looked at is checked for its type and range here, so
 * that what was checked is what is sent.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdio.h>
#include "base/crypto.h"
#include "base/json.h"
#include "request/read.h"

enum {
	MODEL_BYTES = 256,
	ID_BYTES = 256,      /* user, session */
	METADATA_PAIRS = 16, /* OpenAI's own limits */
	METADATA_KEY = 64,
	METADATA_VALUE = 512,
	TRACEPARENT = 55, /* bytes of one, in the version there is */
	CHOICES = 128,
	MEDIA_TOKENS =
	    2000 /* bound of one inline image, file or sound, whatever its bytes */
};

enum step
read_wrong(struct request *r, const char *param, const char *wanted)
{
	return request_fail(r, FAULT_BAD_REQUEST, param, "'%s' %s", param, wanted);
}

/* A string member, decoded into the arena; absent and null leave *out alone. */
enum step
read_string(struct request *r, const char *name, size_t max, lz_str *out)
{
	const struct jscan_member *m = jscan_find(r->scan, name);
	char *room;

	if (read_is_null(m))
		return STEP_NEXT;
	room = m->has_escape ? arena_alloc(r->arena, m->value.len) : NULL;
	if ((m->has_escape && room == NULL) || !jscan_string(m, room, out))
		return read_wrong(r, name, "must be a string");
	if (out->len > max)
		return read_wrong(r, name, "is too long");
	return STEP_NEXT;
}

static enum step
read_bool(struct request *r, const char *name, bool *out)
{
	const struct jscan_member *m = jscan_find(r->scan, name);

	if (read_is_null(m))
		return STEP_NEXT;
	if (m->type != JSCAN_TRUE && m->type != JSCAN_FALSE)
		return read_wrong(r, name, "must be true or false");
	*out = m->type == JSCAN_TRUE;
	return STEP_NEXT;
}

enum step
read_count(struct request *r, const char *name, int64_t max, int64_t *out)
{
	const struct jscan_member *m = jscan_find(r->scan, name);
	int64_t v;

	if (read_is_null(m))
		return STEP_NEXT;
	if (!jscan_int(m, &v) || v < 1 || v > max)
		return request_fail(r, FAULT_BAD_REQUEST, name,
		    "'%s' must be an integer from 1 to %" PRId64, name, max);
	*out = v;
	return STEP_NEXT;
}

bool
request_model_is_sane(lz_str s)
{
	size_t start = 0;

	if (s.len == 0 || s.ptr[0] == '/' || s.ptr[s.len - 1] == '/')
		return false;
	for (size_t i = 0; i <= s.len; i++) {
		if (i < s.len && ((unsigned char)s.ptr[i] <= 0x20 || s.ptr[i] == 0x7f ||
				     s.ptr[i] == '\\' || s.ptr[i] == '?' ||
				     s.ptr[i] == '#' || s.ptr[i] == '%'))
			return false;
		if (i == s.len || s.ptr[i] == '/') {
			lz_str part = str_cut(s, start, i);

			if (part.len == 0 || str_is(part, ".") || str_is(part, ".."))
				return false;
			start = i + 1;
		}
	}
	return true;
}

/* Vectors of different models cannot be compared, so that nobody is given a model for
 * them unasked. */
static bool
takes_default(struct request *r)
{
	if (r->default_model.ptr == NULL || r->kind != REQUEST_CHAT)
		return false;
	r->model = r->default_model;
	return true;
}

static enum step
read_model(struct request *r)
{
	enum step s;

	if (read_is_null(jscan_find(r->scan, "model")) && takes_default(r))
		return STEP_NEXT;
	if (read_is_null(jscan_find(r->scan, "model")))
		return request_fail(r, FAULT_BAD_REQUEST, "model",
		    "you must provide a 'model' parameter");
	s = read_string(r, "model", MODEL_BYTES, &r->model);
	if (s != STEP_NEXT)
		return s;
	if (!request_model_is_sane(r->model))
		return request_fail(
		    r, FAULT_BAD_REQUEST, "model", "'model' is not a model name");
	return STEP_NEXT;
}

static enum step
read_stream(struct request *r)
{
	const struct jscan_member *m = jscan_find(r->scan, "stream_options");
	struct jscan_member inner;
	enum step s = read_bool(r, "stream", &r->is_stream);

	if (s != STEP_NEXT || read_is_null(m))
		return s;
	if (m->type != JSCAN_OBJECT)
		return read_wrong(r, "stream_options", "must be an object");
	if (!r->is_stream)
		return read_wrong(
		    r, "stream_options", "is only allowed when 'stream' is true");
	if (!jscan_inner(m->value, "include_usage", &inner) || inner.type == JSCAN_NULL)
		return STEP_NEXT;
	if (inner.type != JSCAN_TRUE && inner.type != JSCAN_FALSE)
		return read_wrong(
		    r, "stream_options.include_usage", "must be true or false");
	r->wants_usage_chunk = inner.type == JSCAN_TRUE;
	return STEP_NEXT;
}

static enum step
read_limits(struct request *r)
{
	int64_t newer = -1;
	enum step s = read_count(r, "max_tokens", INT32_MAX, &r->max_tokens);

	if (s == STEP_NEXT)
		s = read_count(r, "max_completion_tokens", INT32_MAX, &newer);
	if (newer > 0 && (r->max_tokens < 0 || newer < r->max_tokens))
		r->max_tokens = newer;
	if (s == STEP_NEXT)
		s = read_count(r, "n", CHOICES, &r->choices);
	return s;
}

static void
wants(struct request *r, uint32_t capability, const char *param)
{
	r->capabilities |= capability;
	r->capability_param = param;
}

static bool
holds(lz_str text, const char *word)
{
	return text.len > 0 && memmem(text.ptr, text.len, word, strlen(word)) != NULL;
}

static bool
is_filled_array(const struct jscan_member *m)
{
	if (m == NULL || m->type != JSCAN_ARRAY)
		return false;
	for (size_t i = 1; i + 1 < m->value.len; i++)
		if ((unsigned char)m->value.ptr[i] > ' ')
			return true;
	return false;
}

/* Parts other than text are told by their type. Whole strings are compared, so that a
 * prompt that talks about "image_url" is not taken for one. */
static void
read_part_kinds(struct request *r, const struct jscan_member *messages)
{
	static const struct {
		const char *word;
		uint32_t capability;
		unsigned halves; /* its name is there as type and as member */
	} kinds[] = { { "image_url", LZ_CAN_VISION, 1 },
		{ "input_audio", LZ_CAN_AUDIO, 1 }, { "file_data", LZ_CAN_FILES, 2 },
		{ "file_id", LZ_CAN_FILES, 2 } };
	int64_t halves = 0;
	lz_str rest = messages->value, s;

	if (!messages->has_type)
		return;
	while (jscan_next_string(&rest, &s))
		for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
			if (str_is(s, kinds[i].word)) {
				wants(r, kinds[i].capability, "messages");
				halves += kinds[i].halves;
			}
	r->media_parts = (halves + 1) / 2;
}

static enum step
read_capabilities(struct request *r)
{
	const struct jscan_member *m = jscan_find(r->scan, "messages");

	if (m == NULL || m->type != JSCAN_ARRAY)
		return read_wrong(r, "messages", "must be an array of messages");
	if (!is_filled_array(m))
		return read_wrong(r, "messages", "must hold at least one message");
	read_part_kinds(r, m);
	m = jscan_find(r->scan, "tools");
	if (!read_is_null(m) && m->type != JSCAN_ARRAY)
		return read_wrong(r, "tools", "must be an array");
	if (is_filled_array(m) || is_filled_array(jscan_find(r->scan, "functions")))
		wants(r, LZ_CAN_TOOLS, "tools");
	m = jscan_find(r->scan, "response_format");
	if (!read_is_null(m) && m->type != JSCAN_OBJECT)
		return read_wrong(r, "response_format", "must be an object");
	if (m != NULL && holds(m->value, "\"json_schema\""))
		wants(r, LZ_CAN_SCHEMA, "response_format");
	if (r->is_stream)
		r->capabilities |= LZ_CAN_STREAM;
	return STEP_NEXT;
}

/* What never is a part of the prompt. */
static bool
is_beside_prompt(lz_str key)
{
	static const char *const names[] = { "model", "metadata", "user",
		"safety_identifier", "prompt_cache_key", "stream_options" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (str_is(key, names[i]))
			return true;
	return false;
}

/* No provider counts more tokens than bytes of what it is shown; media count by item, not
 * by their base64. A member that nobody here knows may be shown, too (documents, a
 * prediction): it is in the bound, and not in what is likely. */
static void
estimate_prompt(struct request *r)
{
	static const char *const shown[] = { "messages", "tools", "functions",
		"response_format" };
	int64_t likely = 0, bound = 0, media = 0;

	for (size_t i = 0; i < r->scan->count; i++) {
		const struct jscan_member *m = &r->scan->member[i];
		int64_t bytes = (int64_t)m->value.len - m->media_bytes;
		bool is_shown = false;

		for (unsigned k = 0; k < sizeof shown / sizeof shown[0]; k++)
			is_shown |= str_is(m->key, shown[k]);
		if (is_shown)
			likely += bytes;
		if (is_shown || (m->type >= JSCAN_STRING && !is_beside_prompt(m->key))) {
			bound += bytes;
			media += m->media_items;
		}
	}
	if (media < r->media_parts) /* what is only pointed at weighs as much */
		media = r->media_parts;
	r->prompt_bound = bound + media * MEDIA_TOKENS;
	r->prompt_tokens = (likely + 3) / 4 + media * MEDIA_TOKENS / 2;
}

/* One flat object of strings into `into`; later ones win. */
static enum step
merge_metadata(struct request *r, lz_str text, const char *param, json_t *into)
{
	struct err e;
	json_t *j = json_parse(text, &e);
	const char *key;
	json_t *value;
	enum step s = STEP_NEXT;

	if (!json_is_object(j)) {
		json_decref(j);
		return request_fail(r, FAULT_BAD_REQUEST, param,
		    "'%s' must be a flat JSON object", param);
	}
	json_object_foreach(j, key, value)
	{
		if (!json_is_string(value))
			s = request_fail(r, FAULT_BAD_REQUEST, param,
			    "'%s.%.64s' must be a string", param, key);
		else if (strlen(key) > METADATA_KEY ||
			 json_string_length(value) > METADATA_VALUE)
			s = request_fail(r, FAULT_BAD_REQUEST, param,
			    "'%s.%.64s' is too long; keys hold at most 64 bytes, values "
			    "512",
			    param, key);
		if (s != STEP_NEXT)
			break;
		json_object_set(into, key, value);
	}
	if (s == STEP_NEXT && json_object_size(into) > METADATA_PAIRS)
		s = request_fail(
		    r, FAULT_BAD_REQUEST, param, "'%s' holds more than 16 pairs", param);
	json_decref(j);
	return s;
}

/* Hex digits that are not all 0. */
static bool
is_id(lz_str hex)
{
	uint8_t bytes[16], any = 0;

	if (!crypto_unhex(hex, bytes, hex.len / 2))
		return false;
	for (size_t i = 0; i < hex.len / 2; i++)
		any |= bytes[i];
	return any != 0;
}

/* The caller's own trace: kept as metadata. Our id stays unique, since one trace may hold
 * many requests. Versions to come may put more behind a fourth dash. */
static bool
is_traceparent(lz_str s)
{
	uint8_t version, flags;

	if (s.len < TRACEPARENT || s.ptr[2] != '-' || s.ptr[35] != '-' ||
	    s.ptr[52] != '-')
		return false;
	if (!crypto_unhex(str_cut(s, 0, 2), &version, 1) || version == 0xff ||
	    !crypto_unhex(str_cut(s, 53, 55), &flags, 1))
		return false;
	if (s.len > TRACEPARENT && (version == 0 || s.ptr[TRACEPARENT] != '-'))
		return false;
	return is_id(str_cut(s, 3, 35)) && is_id(str_cut(s, 36, 52));
}

/* The body's, and over it the headers'; null and absent ones are none. */
static enum step
take_metadata(struct request *r, const struct jscan_member *body, lz_str header,
    lz_str parent, lz_str *out)
{
	json_t *all;
	struct buf text;
	enum step s = STEP_NEXT;

	if (read_is_null(body) && header.ptr == NULL && parent.ptr == NULL)
		return STEP_NEXT;
	all = json_object();
	if (!read_is_null(body))
		s = merge_metadata(r, body->value, "metadata", all);
	if (s == STEP_NEXT && header.ptr != NULL)
		s = merge_metadata(r, header, "x-latenza-metadata", all);
	if (parent.ptr != NULL)
		json_object_set_new(
		    all, "traceparent", json_stringn(parent.ptr, TRACEPARENT));
	buf_init(&text, METADATA_PAIRS * (METADATA_KEY + METADATA_VALUE) * 6 + 256);
	if (s == STEP_NEXT && json_print(all, &text))
		*out = arena_copy(r->arena, buf_str(&text));
	buf_free(&text);
	json_decref(all);
	return s;
}

static enum step
read_metadata(struct request *r)
{
	const struct jscan_member *m = jscan_find(r->scan, "metadata");
	lz_str header = request_header(r, "x-latenza-metadata"),
	       parent = request_header(r, "traceparent");
	enum step s;

	if (!is_traceparent(parent))
		parent = STR_NONE;
	s = take_metadata(r, m, header, parent, &r->metadata);
	if (s == STEP_NEXT && read_is_null(m))
		r->metadata_headers = r->metadata;
	else if (s == STEP_NEXT)
		s = take_metadata(r, NULL, header, parent, &r->metadata_headers);
	return s;
}

/* A header of ours that names somebody or something: printable, bounded. */
static enum step
read_name_header(struct request *r, const char *name, lz_str *out)
{
	lz_str v = request_header(r, name);

	if (v.ptr == NULL)
		return STEP_NEXT;
	if (v.len == 0 || v.len > ID_BYTES || !str_is_utf8(v))
		return request_fail(r, FAULT_BAD_REQUEST, name,
		    "'%s' must hold 1 to 256 bytes of text", name);
	*out = arena_copy(r->arena, v);
	return STEP_NEXT;
}

/* Two that differ would be read differently here and by a proxy in front. */
static enum step
check_no_header_twice(struct request *r)
{
	const struct http_head *h = r->x != NULL ? &r->x->head : NULL;
	char name[64];

	for (size_t i = 0; h != NULL && i < h->field_count; i++) {
		if (!str_starts(h->field[i].name, "x-latenza-"))
			continue;
		for (size_t k = i + 1; k < h->field_count; k++) {
			if (!str_eq(h->field[i].name, h->field[k].name))
				continue;
			snprintf(name, sizeof name, "%.*s", STR_ARG(h->field[i].name));
			return request_fail(r, FAULT_BAD_REQUEST, name,
			    "'%s' was sent more than once", name);
		}
	}
	return STEP_NEXT;
}

static enum step
read_headers(struct request *r)
{
	lz_str v = request_header(r, "x-latenza-timeout-ms");
	int64_t ms = r->config->timeout_ms;
	enum step s = read_name_header(r, "x-latenza-user", &r->user);

	if (s == STEP_NEXT)
		s = read_name_header(r, "x-latenza-session", &r->session);
	if (s == STEP_NEXT)
		s = read_name_header(r, "x-latenza-strategy", &r->strategy_asked);
	if (s != STEP_NEXT)
		return s;
	if (v.ptr != NULL && (!str_to_int(v, 86400000, &ms) || ms < 1))
		return request_fail(r, FAULT_BAD_REQUEST, "x-latenza-timeout-ms",
		    "'x-latenza-timeout-ms' must be a number of milliseconds from 1 to "
		    "86400000");
	r->deadline_us = r->began.mono_us + ms * 1000;
	v = request_header(r, "x-latenza-usage");
	if (v.ptr != NULL && !str_is(v, "include"))
		return request_fail(r, FAULT_BAD_REQUEST, "x-latenza-usage",
		    "'x-latenza-usage' must be 'include'");
	r->wants_latenza_usage = v.ptr != NULL;
	v = request_header(r, "x-latenza-dry-run");
	if (v.ptr != NULL && !str_is(v, "route"))
		return request_fail(r, FAULT_BAD_REQUEST, "x-latenza-dry-run",
		    "'x-latenza-dry-run' must be 'route'");
	r->is_dry_run |= v.ptr != NULL;
	return STEP_NEXT;
}

static enum step
read_user(struct request *r)
{
	lz_str user = STR_NONE, safety = STR_NONE;
	enum step s = read_string(r, "user", ID_BYTES, &user);

	if (s == STEP_NEXT)
		s = read_string(r, "safety_identifier", ID_BYTES, &safety);
	r->user_header = r->user;
	if (r->user.ptr == NULL)
		r->user = safety.ptr != NULL ? safety : user;
	return s;
}

enum step
read_begin(struct request *r)
{
	struct jscan scan;
	struct err e;

	r->max_tokens = -1;
	r->choices = 1;
	if (!r->is_scanned) {
		r->scan_status = jscan_object(buf_str(&r->body), &scan, &e);
		r->scan_why = e.text;
		if (r->scan_status == ST_OK && !request_keep_scan(r, &scan))
			return request_fail(r, FAULT_OVERLOADED, NULL, "out of memory");
	}
	r->is_scanned = false; /* a body that is changed is scanned anew */
	if (r->scan_status != ST_OK)
		return request_fail(r, FAULT_BAD_REQUEST, NULL,
		    "the request body is not valid: %s", r->scan_why);
	return read_model(r);
}

enum step
read_around(struct request *r)
{
	static enum step (*const parts[])(struct request * r) = { check_no_header_twice,
		read_headers, read_user, read_metadata };
	enum step s = STEP_NEXT;

	for (unsigned i = 0; i < sizeof parts / sizeof parts[0] && s == STEP_NEXT; i++)
		s = parts[i](r);
	return s;
}

enum step
request_read(struct request *r)
{
	static enum step (*const parts[])(struct request * r) = { read_begin, read_stream,
		read_limits, read_capabilities, read_around };
	enum step s = STEP_NEXT;

	for (unsigned i = 0; i < sizeof parts / sizeof parts[0] && s == STEP_NEXT; i++)
		s = parts[i](r);
	if (s == STEP_NEXT)
		estimate_prompt(r);
	return s;
}

enum step
request_read_again(struct request *r)
{
	r->capabilities = 0;
	r->capability_param = NULL;
	r->is_stream = r->wants_usage_chunk = false;
	r->media_parts = r->inputs = r->longest_input = 0;
	r->prompt_tokens = r->prompt_bound = 0;
	r->metadata = r->user = STR_NONE;
	return r->kind == REQUEST_EMBEDDINGS ? request_read_embeddings(r)
					     : request_read(r);
}
