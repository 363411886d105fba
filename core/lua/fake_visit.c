/* fake_visit.c - one visit of a script that is tested, its text whole or in pieces, and
 * what is told of it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"
#include "config/options.h"
#include "lua/fake_inside.h"

enum {
	TEXT_BYTES = 16 << 20,
	TURNS_MAX = 1000000 /* callbacks of one visit */
};

static int64_t
wall_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int32_t
call_once(struct fake *f, const lz_component *c, void *instance)
{
	int64_t began_ns = wall_ns();
	struct fake *before = fake_enter(f);
	int32_t result;

	f->has_finished = false;
	f->hold = SIZE_MAX;
	f->change_count = 0;
	if (strcmp(c->kind, LZ_ROUTER) == 0)
		result = ((const lz_router *)c->vtable)->pick(instance, fake_call(f));
	else
		result = ((const lz_guardrail *)c->vtable)->check(instance, fake_call(f));
	for (int i = 0;
	     result == LZ_PENDING && !f->has_finished && fake_is_busy(f) && i < TURNS_MAX;
	     i++)
		fake_deliver(f);
	if (result == LZ_PENDING)
		result = f->has_finished ? f->result : LZ_E_FAIL;
	(void)fake_enter(before);
	f->spent_ns += wall_ns() - began_ns;
	return result;
}

static int
by_place(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

/* The text from..to with its changes. */
static void
add_changed(struct fake *f, size_t text, size_t from, size_t to, struct buf *out)
{
	lz_str s = f->text[text].text;

	if (f->change_count > 0)
		qsort(f->change, f->change_count, sizeof(f->change[0]), by_place);
	for (size_t i = 0; i < f->change_count; i++) {
		const struct change *c = &f->change[i];

		if (c->text != text || c->from < from || c->to > to)
			continue;
		buf_add_str(out, str_cut(s, from, c->from));
		buf_add_str(out, c->with);
		from = c->to;
	}
	buf_add_str(out, str_cut(s, from, to));
}

static size_t
next_cut(const json_t *d, lz_str whole, size_t at, size_t turn)
{
	const json_t *cuts = json_object_get(d, "stream_cuts");
	int64_t every = json_get_int(d, "stream_every", 0), cut = 0;

	if (cuts != NULL && turn < json_array_size(cuts))
		cut = json_integer_value(json_array_get(cuts, turn));
	else if (cuts == NULL && every > 0)
		cut = (int64_t)at + every;
	else
		cut = (int64_t)whole.len;
	if (cut < (int64_t)at)
		cut = (int64_t)at;
	while (cut < (int64_t)whole.len && ((unsigned char)whole.ptr[cut] & 0xc0) == 0x80)
		cut++;
	return cut > (int64_t)whole.len ? whole.len : (size_t)cut;
}

static size_t
at_character(lz_str s, size_t at)
{
	while (at > 0 && at < s.len && ((unsigned char)s.ptr[at] & 0xc0) == 0x80)
		at--;
	return at;
}

/* What is shown of a stream: the end of what is out, what is held, what is new. */
static lz_str
show(struct fake *f, const lz_guardrail *g, lz_str out, lz_str waiting, size_t *seen)
{
	size_t from = out.len > g->context ? at_character(out, out.len - g->context) : 0;
	char *room;

	*seen = out.len - from;
	room = arena_alloc(f->memory, *seen + waiting.len + 1);
	if (room == NULL)
		return STR_NONE;
	if (*seen > 0)
		memcpy(room, out.ptr + from, *seen);
	if (waiting.len > 0)
		memcpy(room + *seen, waiting.ptr, waiting.len);
	return lz_strn(room, *seen + waiting.len);
}

/* The first text arrives in pieces; `out` is all that left. */
static int32_t
stream(struct fake *f, const lz_component *c, void *instance, struct buf *out,
    size_t *checks)
{
	const lz_guardrail *g = c->vtable;
	lz_str whole = f->text[0].text;
	size_t released = 0, arrived = 0, seen, hold;
	int32_t result = LZ_OK, worst = LZ_OK;

	for (size_t turn = 0; worst != LZ_BLOCK; turn++) {
		arrived = next_cut(f->document, whole, arrived, turn);
		f->text[0].text =
		    show(f, g, buf_str(out), str_cut(whole, released, arrived), &seen);
		f->text[0].plain = f->text[0].text;
		f->text[0].seen = (uint32_t)seen;
		f->text[0].final = arrived == whole.len;
		result = call_once(f, c, instance);
		++*checks;
		if (result < LZ_OK || result == LZ_BLOCK)
			return result;
		if (result > worst)
			worst = result;
		hold = f->text[0].text.len;
		if (!f->text[0].final && f->hold != SIZE_MAX)
			hold = f->hold;
		else if (!f->text[0].final)
			hold = hold > g->overlap + seen
				   ? at_character(f->text[0].text, hold - g->overlap)
				   : seen;
		add_changed(f, 0, seen, hold, out);
		released += hold - seen;
		if (f->text[0].final)
			break;
	}
	return worst;
}

static const char *
verdict_name(int32_t result)
{
	switch (result) {
	case LZ_OK:
		return "pass";
	case LZ_BLOCK:
		return "block";
	case LZ_FLAG:
		return "flag";
	case LZ_REROUTE:
		return "use_model";
	default:
		return "error";
	}
}

static void
tell_texts(struct fake *f, json_t *result, const struct buf *streamed)
{
	json_t *texts = json_array();

	for (size_t i = 0; i < f->text_count; i++) {
		struct buf b;

		buf_init(&b, TEXT_BYTES);
		if (i == 0 && streamed != NULL)
			buf_add_str(&b, buf_str(streamed));
		else
			add_changed(f, i, 0, f->text[i].text.len, &b);
		(void)json_array_append_new(
		    texts, json_stringn(b.ptr != NULL ? b.ptr : "", b.len));
		buf_free(&b);
	}
	if (f->text_count > 0)
		(void)json_object_set(result, "text", json_array_get(texts, 0));
	(void)json_object_set_new(result, "texts", texts);
}

/* Of a stream they would be offsets into what was shown last. */
static json_t *
edits_told(const struct fake *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->change_count; i++) {
		const struct change *c = &f->change[i];

		(void)json_array_append_new(
		    list, json_pack("{s:I, s:I, s:I, s:o}", "text", (json_int_t)c->text,
			      "from", (json_int_t)c->from, "to", (json_int_t)c->to,
			      "with", json_stringn(c->with.ptr, c->with.len)));
	}
	return list;
}

static json_t *
tell(struct fake *f, int32_t verdict, const struct buf *streamed, size_t checks)
{
	json_t *result = json_pack("{s:s, s:O, s:O, s:O, s:I, s:I}", "verdict",
	    verdict_name(verdict), "tags", f->tags, "calls", f->calls, "order", f->order,
	    "checks", (json_int_t)checks, "turns", (json_int_t)f->turns);
	size_t logged = json_array_size(f->log);

	if (verdict > LZ_OK && f->code.ptr != NULL)
		(void)json_object_update_new(
		    result, json_pack("{s:o, s:o}", "code",
				json_stringn(f->code.ptr, f->code.len), "message",
				json_stringn(f->message.ptr, f->message.len)));
	if (verdict < LZ_OK)
		(void)json_object_update_new(result,
		    json_pack("{s:I, s:O}", "result", (json_int_t)verdict, "error",
			logged > 0 ? json_array_get(f->log, logged - 1) : json_null()));
	if (f->output_limit >= 0)
		(void)json_object_set_new(
		    result, "output_limit", json_integer(f->output_limit));
	if (f->edit != NULL || f->body != NULL)
		(void)json_object_set(
		    result, "body", f->edit != NULL ? f->edit : f->body);
	(void)json_object_set(result, "log", f->log);
	(void)json_object_set(result, "chosen", f->chosen);
	if (streamed == NULL && f->change_count > 0)
		(void)json_object_set_new(result, "edits", edits_told(f));
	tell_texts(f, result, streamed);
	return result;
}

static json_t *
visit(struct fake *f, const lz_component *c, void *instance)
{
	const json_t *d = f->document;
	bool is_stream = strcmp(c->kind, LZ_GUARDRAIL) == 0 && f->text_count > 0 &&
			 (json_object_get(d, "stream_every") != NULL ||
			     json_object_get(d, "stream_cuts") != NULL);
	size_t checks = 0;
	struct buf out;
	int32_t result;
	json_t *told;

	buf_init(&out, TEXT_BYTES);
	f->tags = json_object();
	f->calls = json_array();
	f->order = json_array();
	f->chosen = json_array();
	if (is_stream) {
		result = stream(f, c, instance, &out, &checks);
	} else {
		result = call_once(f, c, instance);
		checks = 1;
	}
	told = tell(f, result, is_stream ? &out : NULL, checks);
	json_decref(f->tags);
	json_decref(f->calls);
	json_decref(f->order);
	json_decref(f->chosen);
	buf_free(&out);
	return told;
}

/* An instance with the document's options, visited. */
static json_t *
visit_instance(struct fake *f, struct script *s, struct err *e)
{
	const lz_component *c = script_component(s);
	struct options_context context = { .memory = f->memory, .keep = f->keep };
	void *instance = mem_zalloc(c->instance_size);
	json_t *told = NULL;
	char why[8];

	if (instance == NULL) {
		(void)err_fail(e, ST_NOMEM, "out of memory");
		return NULL;
	}
	script_seat(s, instance, &f->host);
	((struct instance *)instance)->calls_nobody = f->grants_all;
	if (options_apply(c->options, c->option_count, c->option_size,
		json_object_get(f->document, "options"), instance, &context,
		e) == ST_OK &&
	    c->init(instance, why, sizeof(why)) == LZ_OK) {
		told = visit(f, c, instance);
		c->fini(instance);
	}
	mem_free(instance);
	return told;
}

json_t *
fake_visit(struct fake *f, struct script *s, const json_t *document, struct err *e)
{
	struct memory *before = f->visit.now;
	json_t *told = NULL;

	f->visit.now = &f->scratch;
	if (fake_begin(f, document, e) == ST_OK)
		told = visit_instance(f, s, e);
	memory_reset(&f->scratch);
	(void)json_array_clear(f->keep);
	value_forget();
	f->visit.now = before;
	return told;
}
