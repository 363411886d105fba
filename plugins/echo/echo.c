/* echo.c - a provider without a network: deterministic answers for demos, tests and
 * benchmarks.
 *
 * build() answers by itself (LZ_ANSWERED), at once or, when the model is slow or breaks
 * off, from timers. What a model does is its row in `models`; what it says is
 * compose.c's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "echo.h"

enum {
	PIECES_MAX = 1000,  /* of a stream; longer texts come in longer pieces, */
	PIECE_BYTES = 4096, /* up to this, and then in more of them */
	STEP_BYTES = 65536, /* of one callback; the host holds the next one back */
	CHUNK_BYTES = 256,  /* about what a chunk has beside its piece */
	ARGUMENT_PIECE = 12 /* bytes of a tool's arguments per event */
};

static const struct model models[] = {
	{ "echo-1", REPEAT },
	{ "echo-large", REPEAT },
	{ "echo-slow", SLOW },
	{ "echo-cut", CUT },
	{ "echo-tools", TOOLS },
	{ "echo-fail-429", FAIL_RATE },
	{ "echo-fail-500", FAIL_DOWN },
	{ "echo-embed", EMBED },
};

/* ---- whole answers ---- */

static lz_json *
tool_call(lz_call *c, const struct answer *a, lz_str arguments, int is_first)
{
	lz_json *call = lz->json_new(c, LZ_OBJECT);

	(void)lz->json_put(c, call, "/index", lz->json_of_int(c, 0));
	(void)lz->json_put(c, call, "/function/arguments", lz->json_of_str(c, arguments));
	if (is_first) {
		(void)lz->json_put(
		    c, call, "/id", lz->json_of_str(c, lz_strz("call_echo_1")));
		(void)lz->json_put(
		    c, call, "/type", lz->json_of_str(c, lz_strz("function")));
		(void)lz->json_put(
		    c, call, "/function/name", lz->json_of_str(c, a->tool));
	}
	return call;
}

static int32_t
emit_whole(lz_call *c, const struct answer *a)
{
	lz_json *answer = lz->json_new(c, LZ_OBJECT);

	for (int64_t i = 0; i < a->choices; i++) {
		lz_json *choice = lz->json_new(c, LZ_OBJECT);

		if (a->tool.len > 0) {
			lz_json *call = tool_call(c, a, a->text, 1);

			(void)lz->json_put(
			    c, call, "/index", NULL); /* only deltas have one */
			(void)lz->json_put(c, choice, "/message/tool_calls/0", call);
		} else {
			(void)lz->json_put(
			    c, choice, "/message/content", lz->json_of_str(c, a->text));
		}
		(void)lz->json_put(c, choice, "/index", lz->json_of_int(c, i));
		(void)lz->json_put(
		    c, choice, "/finish_reason", lz->json_of_str(c, lz_strz(a->finish)));
		(void)lz->json_put(c, answer, "/choices/-", choice);
	}
	(void)lz->usage(c, &a->usage);
	return lz->emit(c, answer);
}

/* ---- streams ---- */

/* As much of the text from `at` on, but no half character. */
static lz_str
piece_of(const struct answer *a, size_t most)
{
	lz_str rest = lz_strn(a->text.ptr + a->at, a->text.len - a->at);

	rest.len = text_cut(rest, most);
	return rest;
}

/* A word with the blanks behind it; more words at once when the text is long. */
static lz_str
next_piece(const struct answer *a)
{
	size_t least = a->text.len / PIECES_MAX, end = a->at;

	if (a->tool.len > 0)
		return piece_of(a, ARGUMENT_PIECE);
	do {
		while (end < a->text.len && a->text.ptr[end] != ' ' &&
		       a->text.ptr[end] != '\n')
			end++;
		while (end < a->text.len &&
		       (a->text.ptr[end] == ' ' || a->text.ptr[end] == '\n'))
			end++;
	} while (end < a->text.len && end - a->at < least && end - a->at < PIECE_BYTES);
	return piece_of(a, end - a->at < PIECE_BYTES ? end - a->at : PIECE_BYTES);
}

static int32_t
emit_delta(lz_call *c, const struct answer *a, lz_str piece, const char *finish)
{
	int32_t result = LZ_OK;

	for (int64_t i = 0; i < a->choices && result == LZ_OK; i++) {
		lz_json *chunk = lz->json_new(c, LZ_OBJECT);

		(void)lz->json_put(c, chunk, "/choices/0/index", lz->json_of_int(c, i));
		(void)lz->json_put(
		    c, chunk, "/choices/0/delta", lz->json_new(c, LZ_OBJECT));
		if (finish != NULL)
			(void)lz->json_put(c, chunk, "/choices/0/finish_reason",
			    lz->json_of_str(c, lz_strz(finish)));
		else if (a->tool.len > 0)
			(void)lz->json_put(c, chunk, "/choices/0/delta/tool_calls/0",
			    tool_call(c, a, piece, a->at == 0));
		else
			(void)lz->json_put(c, chunk, "/choices/0/delta/content",
			    lz->json_of_str(c, piece));
		result = lz->emit(c, chunk);
	}
	return result;
}

static int32_t
break_off(lz_call *c)
{
	lz_fault f = { .size = sizeof(f), .upstream = LZ_UPSTREAM_DOWN };

	f.message = lz_strz("echo-cut breaks off, as it always does");
	return lz->fail(c, &f);
}

/* The next piece. LZ_PENDING: there is more; LZ_ANSWERED: that was all; < 0: it broke. */
static int32_t
emit_next(lz_call *c, struct answer *a)
{
	int32_t result = LZ_OK;

	if (a->at < a->breaks_at) {
		lz_str piece = next_piece(a);

		result = emit_delta(c, a, piece, NULL);
		a->at += piece.len;
		if (result == LZ_OK)
			result = LZ_PENDING;
		return result;
	}
	if (a->model->does == CUT)
		return break_off(c);
	(void)lz->usage(c, &a->usage);
	result = emit_delta(c, a, lz_strz(""), a->finish);
	return result == LZ_OK ? LZ_ANSWERED : result;
}

/* As many pieces as one callback may write; results as above. */
static int32_t
emit_some(lz_call *c, struct answer *a)
{
	size_t bytes = 0, at;
	int32_t result;

	do {
		at = a->at;
		result = emit_next(c, a);
		bytes += (a->at - at + CHUNK_BYTES) * (size_t)a->choices;
	} while (result == LZ_PENDING && bytes < STEP_BYTES);
	return result;
}

/* ---- from callbacks: slowly, or as fast as the caller reads ---- */

static int
is_slow(const struct answer *a)
{
	return a->model->does == SLOW || a->model->does == CUT;
}

static void tick(lz_call *c, int32_t error, void *ud);

/* LZ_PENDING: tick() follows. */
static int32_t
go_on(lz_call *c, struct answer *a)
{
	uint32_t ms = is_slow(a) ? (uint32_t)a->self->next_token : 0;
	int32_t result = lz->after(c, ms, tick, a);

	return result == LZ_OK ? LZ_PENDING : result;
}

static void
tick(lz_call *c, int32_t error, void *ud)
{
	struct answer *a = ud;
	int32_t result;

	if (error != LZ_OK)
		return; /* the caller left */
	if (lz->request(c)->stream)
		result = is_slow(a) ? emit_next(c, a) : emit_some(c, a);
	else if (a->model->does == CUT)
		result = break_off(c);
	else
		result = emit_whole(c, a) == LZ_OK ? LZ_ANSWERED : LZ_E_FAIL;
	if (result == LZ_PENDING)
		result = go_on(c, a);
	if (result != LZ_PENDING)
		(void)lz->finish(c, result);
}

static int32_t
answer_fast(lz_call *c, struct answer *a)
{
	int32_t result = emit_some(c, a);

	return result == LZ_PENDING ? go_on(c, a) : result;
}

static int32_t
answer_slowly(lz_call *c, struct answer *a)
{
	int32_t result = lz->after(c, (uint32_t)a->self->first_token, tick, a);

	return result == LZ_OK ? LZ_PENDING : result;
}

/* ---- build ---- */

static int32_t
fail(lz_call *c, int32_t upstream, int32_t status, const char *code, const char *message)
{
	lz_fault f = { .size = sizeof(f), .upstream = upstream, .status = status };

	f.retry_after_ms = upstream == LZ_UPSTREAM_RATE ? 1000 : 0;
	f.code = lz_strz(code);
	f.message = lz_strz(message);
	return lz->fail(c, &f);
}

static const struct model *
find_model(lz_str name)
{
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		if (lz_eq(name, models[i].name))
			return &models[i];
	return NULL;
}

static int32_t
build(void *self, lz_call *c, lz_http *out)
{
	const struct model *m = find_model(lz->chosen(c)->upstream_model);
	struct answer *a;

	(void)out;
	if (m == NULL)
		return fail(c, LZ_UPSTREAM_UNABLE, 404, "model_not_found",
		    "echo has no such model");
	if (m->does == FAIL_RATE)
		return fail(c, LZ_UPSTREAM_RATE, 0, "rate_limit_exceeded",
		    "echo-fail-429 limits its rate, as it always does");
	if (m->does == FAIL_DOWN)
		return fail(c, LZ_UPSTREAM_DOWN, 0, "server_error",
		    "echo-fail-500 is down, as it always is");
	if ((m->does == EMBED) != lz_eq(lz->request(c)->route, "embeddings"))
		return fail(c, LZ_UPSTREAM_CALLER, 400, NULL,
		    "echo-embed makes embeddings, and the others chat");
	if (m->does == EMBED)
		return embed_answer(c);
	a = lz->keep(c, sizeof(*a));
	if (a == NULL)
		return LZ_E_NOMEM;
	a->self = self;
	a->model = m;
	a->finish = "stop";
	if (!compose(c, a))
		return LZ_E_NOMEM;
	if (is_slow(a))
		return answer_slowly(c, a);
	if (lz->request(c)->stream)
		return answer_fast(c, a);
	return emit_whole(c, a) == LZ_OK ? LZ_ANSWERED : LZ_E_FAIL;
}

static const lz_option options[] = {
	LZ_OPT_INT(struct echo, first_token, "300ms", 0, 600000, "duration",
	    "echo-slow and echo-cut wait so long at first"),
	LZ_OPT_INT(struct echo, next_token, "50ms", 0, 600000, "duration",
	    "and so long between words"),
};
static const lz_provider provider = {
	.size = sizeof(provider),
	.needs = LZ_NEEDS_BODY,
	.routes = "chat embeddings",
	.build = build,
	.base_url = "echo:",
};
static const lz_component parts[] = { {
    .kind = LZ_PROVIDER,
    .name = "echo",
    .summary = "Answers by itself, deterministically: for demos and tests",
    .vtable = &provider,
    LZ_OPTIONS_OF(options),
    .instance_size = sizeof(struct echo),
} };
LZ_PLUGIN("echo", "0.1.0", "MIT", parts)
