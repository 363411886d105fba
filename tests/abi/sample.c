/* sample.c - components of every kind that keep their promises, and one guardrail that
 * breaks the promise that its options name; for tests of the testhost.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <latenza/plugin.h>

/* ---- digits: runs of digits, of any length, masked, flagged or blocked ---- */

enum {
	MASK,
	FLAG,
	BLOCK
};
struct digits {
	int32_t action;
	int64_t least;
	uint32_t found;
};

static int
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int32_t
digits_check(void *self, lz_call *c)
{
	const struct digits *g = self;
	int32_t verdict = LZ_OK;

	for (size_t i = 0; i < lz->texts(c); i++) {
		const lz_text *t = lz->text(c, i);
		size_t from, to;

		for (from = t->seen; from < t->text.len; from = to + 1) {
			for (to = from; to < t->text.len && is_digit(t->text.ptr[to]);)
				to++;
			if (to == from)
				continue;
			if (to == t->text.len && !t->final) {
				lz->hold(c, i, from);
				break;
			}
			if (to - from < (size_t)g->least)
				continue;
			lz->observe(g->found, 1);
			lz->reason(c, lz_strz("digits.run"), lz_strz("a run of digits"));
			if (g->action == BLOCK)
				return LZ_BLOCK;
			if (g->action == FLAG)
				verdict = LZ_FLAG;
			else if (lz->replace(c, i, from, to, lz_strz("#")) < 0)
				return LZ_E_FAIL;
		}
	}
	return verdict;
}

static int32_t
digits_init(void *self, char *err, size_t err_len)
{
	struct digits *g = self;

	if (g->least == 13) {
		snprintf(err, err_len, "13 brings bad luck");
		return LZ_E_INVALID;
	}
	g->found = lz->metric(LZ_COUNTER, "runs_found", "Runs of digits seen");
	return LZ_OK;
}

static const lz_option digits_options[] = {
	LZ_OPT_CHOICE(struct digits, action, "mask", "mask|flag|block", "what is done"),
	LZ_OPT_INT(struct digits, least, "4", 1, 100, NULL, "the shortest run"),
};
static const lz_guardrail digits = { .size = sizeof(digits),
	.phases = LZ_REQUEST | LZ_RESPONSE,
	.needs = LZ_NEEDS_TEXTS,
	.streams = 1,
	.check = digits_check };

/* ---- remote: asks a server, three times at most ---- */

struct remote {
	lz_str url;
};
struct asking {
	const struct remote *g;
	int tries;
};

static void ask_again(lz_call *c, int32_t error, void *ud);

static void
answered(lz_call *c, const lz_reply *r, void *ud)
{
	struct asking *a = ud;
	const lz_json *j = lz->json_parse(c, r->body);

	if (r->error == LZ_E_GONE)
		return;
	if (r->error == LZ_OK && r->status == 200)
		lz->finish(
		    c, lz->json_bool(lz->json_at(j, "/flagged"), 0) ? LZ_BLOCK : LZ_OK);
	else if (++a->tries < 3)
		lz->after(c, 100, ask_again, a);
	else
		lz->finish(c, LZ_E_FAIL);
}

static void
ask_again(lz_call *c, int32_t error, void *ud)
{
	struct asking *a = ud;
	lz_http q = lz_http_to("POST", a->g->url);

	if (error != LZ_OK)
		return;
	q.body = lz->json_text(c, lz->json_of_str(c, lz->text(c, 0)->text));
	if (lz->http(c, &q, answered, a) < 0)
		lz->finish(c, LZ_E_FAIL);
}

static int32_t
remote_check(void *self, lz_call *c)
{
	struct asking *a = lz->alloc(c, sizeof(*a));

	a->g = self;
	ask_again(c, LZ_OK, a);
	return LZ_PENDING;
}

static const lz_option remote_options[] = {
	LZ_OPT_TEXT(struct remote, url, NULL, "url", "who is asked"),
};
static const lz_guardrail remote = { .size = sizeof(remote),
	.phases = LZ_REQUEST,
	.needs = LZ_NEEDS_TEXTS,
	.check = remote_check };

/* ---- liar: breaks one promise ---- */

enum {
	FINISH_TWICE,
	NOTHING_UNDER_WAY,
	EDIT_SEEN,
	EDIT_OVERLAPS,
	EDIT_OUTSIDE,
	CUT_CHARACTER,
	KEEP_VIEW,
	KEEP_MEMORY,
	KEEP_CALL,
	READ_BEYOND,
	WRONG_THREAD,
	BAD_RESULT,
	UNSCRIPTED,
	CUT_DEPENDENT,
	LEAK,
	METRIC_LATE,
	WRONG_KIND,
	LATE_FINISH,
	EDIT_ACROSS
};
struct liar {
	int32_t how;
	const char *view; /* kept */
	lz_call *call;
};

static void
touch_host(void *ud)
{
	(void)lz->alloc(ud, 8);
}

static void
touched(lz_call *c, int32_t error, void *ud)
{
	(void)ud;
	if (error == LZ_OK)
		lz->finish(c, LZ_OK);
}

static void
never(lz_call *c, const lz_reply *r, void *ud)
{
	(void)r;
	(void)ud;
	lz->finish(c, LZ_OK);
}

static int32_t
lie_later(const struct liar *l, lz_call *c)
{
	lz_http q = lz_http_to("GET", lz_strz("http://nobody.test/"));

	switch (l->how) {
	case FINISH_TWICE:
		lz->finish(c, LZ_OK);
		lz->finish(c, LZ_BLOCK);
		return LZ_PENDING;
	case WRONG_THREAD:
		lz->offload(c, touch_host, touched, c);
		return LZ_PENDING;
	case UNSCRIPTED:
		lz->http(c, &q, never, NULL);
		return LZ_PENDING;
	case LATE_FINISH:
		lz->finish(c, LZ_OK);
		return LZ_OK;
	case NOTHING_UNDER_WAY:
	default:
		return LZ_PENDING;
	}
}

static int32_t
lie_in_text(const struct liar *l, lz_call *c, const lz_text *t)
{
	switch (l->how) {
	case EDIT_SEEN:
		if (t->seen > 0)
			lz->replace(c, 0, t->seen - 1, t->seen, lz_strz("x"));
		return LZ_OK;
	case EDIT_OVERLAPS:
		lz->replace(c, 0, 0, 3, lz_strz("x"));
		lz->replace(c, 0, 2, 4, lz_strz("y"));
		return LZ_OK;
	case EDIT_OUTSIDE:
		lz->replace(c, 0, 0, t->text.len + 1, lz_strz("x"));
		return LZ_OK;
	case EDIT_ACROSS:
		lz->replace(c, 0, t->seen, t->text.len, lz_strz("x"));
		lz->hold(c, 0, t->text.len - 1);
		return LZ_OK;
	case CUT_CHARACTER: /* of a text that begins with one of two bytes */
		lz->replace(c, 0, 0, 1, lz_strz("x"));
		return LZ_OK;
	case READ_BEYOND:
		return t->text.ptr[t->text.len] == 'x' ? LZ_FLAG : LZ_OK;
	case CUT_DEPENDENT: /* masks what arrived last */
		lz->replace(c, 0, t->seen, t->text.len, lz_strz("x"));
		return LZ_OK;
	case LEAK: /* sees a whole secret only, and holds nothing */
		for (size_t i = 0; i + 6 <= t->text.len; i++)
			if (memcmp(t->text.ptr + i, "secret", 6) == 0)
				return LZ_BLOCK;
		return LZ_OK;
	default:
		return LZ_OK;
	}
}

static int32_t
liar_check(void *self, lz_call *c)
{
	struct liar *l = self;
	const lz_text *t = lz->text(c, 0);
	char *p;

	switch (l->how) {
	case FINISH_TWICE:
	case NOTHING_UNDER_WAY:
	case WRONG_THREAD:
	case UNSCRIPTED:
	case LATE_FINISH:
		return lie_later(l, c);
	case KEEP_VIEW:
		if (l->view == NULL)
			l->view = t->text.ptr;
		return *l->view == 'x' ? LZ_FLAG : LZ_OK;
	case KEEP_MEMORY:
		p = l->view != NULL ? (char *)(uintptr_t)l->view : lz->alloc(c, 100);
		l->view = p;
		return *p == 'x' ? LZ_FLAG : LZ_OK;
	case KEEP_CALL:
		if (l->call == NULL)
			l->call = c;
		(void)lz->text(l->call, 0);
		return LZ_OK;
	case BAD_RESULT:
		return 77;
	case METRIC_LATE:
		(void)lz->metric(LZ_COUNTER, "late", "Too late");
		return LZ_OK;
	case WRONG_KIND:
		(void)lz->credential(c);
		return LZ_OK;
	default:
		return lie_in_text(l, c, t);
	}
}

static const lz_option liar_options[] = {
	LZ_OPT_CHOICE(struct liar, how, NULL,
	    "finish-twice|nothing-under-way|edit-seen|edit-overlaps|edit-outside|"
	    "cut-character|keep-view|keep-memory|keep-call|read-beyond|wrong-thread|"
	    "bad-result|unscripted|cut-dependent|leak|metric-late|wrong-kind|late-finish|"
	    "edit-across",
	    "the promise that is broken"),
};
static const lz_guardrail liar = { .size = sizeof(liar),
	.phases = LZ_REQUEST | LZ_RESPONSE,
	.needs = LZ_NEEDS_TEXTS,
	.streams = 1,
	.context = 8,
	.check = liar_check };

/* ---- poster: a thread of its own posts ---- */

static void
posted(lz_call *c, int32_t error, void *ud)
{
	(void)ud;
	if (error == LZ_OK)
		lz->finish(c, LZ_FLAG);
}

static void *
post_from_thread(void *arg)
{
	lz_token t = (lz_token)(uintptr_t)arg;

	(void)lz->post(t, posted, NULL);
	return NULL;
}

static int32_t
poster_check(void *self, lz_call *c)
{
	pthread_t thread;

	(void)self;
	if (pthread_create(
		&thread, NULL, post_from_thread, (void *)(uintptr_t)lz->token(c)) != 0)
		return LZ_E_FAIL;
	(void)pthread_detach(thread);
	return LZ_PENDING;
}

static const lz_guardrail poster = {
	.size = sizeof(poster), .phases = LZ_REQUEST, .check = poster_check
};

/* ---- words: masks one word by overlap alone, and is shown in reveal ---- */

static int32_t
word_check(void *self, lz_call *c)
{
	const lz_text *t = lz->text(c, 0);

	(void)self;
	for (size_t i = t->seen; i + 5 <= t->text.len; i++) {
		if (memcmp(t->text.ptr + i, "hello", 5) == 0)
			lz->replace(c, 0, i, i + 5, lz_strz("HELLO"));
		else if (memcmp(t->text.ptr + i, "[NAME", 5) == 0)
			lz->reveal(c, 0, i, i + 5, lz_strz("[Anna"));
	}
	return LZ_OK;
}

static const lz_guardrail word = { .size = sizeof(word),
	.phases = LZ_RESPONSE,
	.streams = 1,
	.overlap = 4,
	.check = word_check };

/* ---- folded: the same word, however it is written ---- */

static int32_t
folded_check(void *self, lz_call *c)
{
	static const char name[] = "secret";
	const lz_text *t = lz->text(c, 0);

	(void)self;
	for (size_t i = 0; i < t->plain.len; i++) {
		size_t k = 0, from = lz->origin(c, 0, i);

		while (k < 6 && i + k < t->plain.len && t->plain.ptr[i + k] == name[k])
			k++;
		if (k == 6)
			lz->replace(c, 0, from, lz->origin(c, 0, i + k), lz_strz("***"));
		else if (k > 0 && i + k == t->plain.len && !t->final)
			lz->hold(c, 0, from);
	}
	return LZ_OK;
}

static const lz_guardrail folded = { .size = sizeof(folded),
	.phases = LZ_REQUEST | LZ_RESPONSE,
	.streams = 1,
	.check = folded_check };

/* ---- a router, a provider, a sink ---- */

static int32_t
pick(void *self, lz_call *c)
{
	double score[8];
	lz_str why[8];
	size_t n = lz->targets(c);

	(void)self;
	for (size_t i = 0; i < n && i < 8; i++) {
		score[i] = lz->target(c, i)->ttft_ms;
		why[i] = lz->target(c, i)->provider;
	}
	return lz_prefer_rising(c, score, NULL, why);
}

static const lz_router router = { .size = sizeof(router), .pick = pick };

static int32_t
build(void *self, lz_call *c, lz_http *out)
{
	lz_header *h = lz->alloc(c, sizeof(*h));

	(void)self;
	h[0] = lz_head(lz_strz("x-key"), lz->credential(c));
	out->headers = h;
	out->header_count = 1;
	lz->limit_as(c, lz_strz("most"));
	lz->dropped(c, lz_strz("seed"));
	*(int *)lz->keep(c, sizeof(int)) = 7;
	*lz->slot(c) = lz->keep(c, sizeof(int));
	return LZ_OK;
}

static int32_t
event(void *self, lz_call *c, lz_str name, lz_str data)
{
	lz_json *chunk = lz->json_new(c, LZ_OBJECT);
	lz_usage u = { .size = sizeof(u), .output = ++*(int *)*lz->slot(c) };
	lz_fault f = { .size = sizeof(f), .upstream = LZ_UPSTREAM_DOWN };

	(void)self;
	if (lz_eq(name, "error"))
		return lz->fail(c, &f);
	lz->json_put(c, chunk, "/choices/0/delta/content", lz->json_of_str(c, data));
	lz->usage(c, &u);
	return lz->emit(c, chunk);
}

static int32_t
classify(void *self, lz_call *c, const lz_reply *r, lz_fault *out)
{
	(void)self;
	(void)c;
	if (r->status == 529)
		out->upstream = LZ_UPSTREAM_RATE;
	return LZ_OK;
}

static const lz_provider provider = { .size = sizeof(provider),
	.needs = LZ_NEEDS_BODY,
	.build = build,
	.event = event,
	.classify = classify };

static int32_t
deliver(void *self, lz_call *c)
{
	(void)self;
	lz->log(
	    c, LZ_INFO, lz->json_str(lz->json_at(lz->body(c), "/0/type"), lz_strz("?")));
	lz->retry_after(c, 500);
	return lz->json_len(lz->body(c)) > 1 ? LZ_E_RETRY : LZ_OK;
}

static const lz_sink sink = { .size = sizeof(sink), .max_batch = 10, .deliver = deliver };

static const lz_component parts[] = {
	{ .kind = LZ_GUARDRAIL,
	    .name = "digits",
	    .summary = "Runs of digits",
	    .vtable = &digits,
	    LZ_OPTIONS_OF(digits_options),
	    .instance_size = sizeof(struct digits),
	    .init = digits_init },
	{ .kind = LZ_GUARDRAIL,
	    .name = "remote",
	    .summary = "Asks a server",
	    .vtable = &remote,
	    LZ_OPTIONS_OF(remote_options),
	    .instance_size = sizeof(struct remote) },
	{ .kind = LZ_GUARDRAIL,
	    .name = "liar",
	    .summary = "Breaks a promise",
	    .vtable = &liar,
	    LZ_OPTIONS_OF(liar_options),
	    .instance_size = sizeof(struct liar) },
	{ .kind = LZ_GUARDRAIL,
	    .name = "poster",
	    .summary = "Posts from a thread",
	    .vtable = &poster },
	{ .kind = LZ_GUARDRAIL,
	    .name = "word",
	    .summary = "Masks one word",
	    .vtable = &word },
	{ .kind = LZ_GUARDRAIL,
	    .name = "folded",
	    .summary = "One word in any letters",
	    .vtable = &folded },
	{ .kind = LZ_ROUTER,
	    .name = "first",
	    .summary = "By time to the first token",
	    .vtable = &router },
	{ .kind = LZ_PROVIDER,
	    .name = "vendor",
	    .summary = "A vendor",
	    .vtable = &provider },
	{ .kind = LZ_SINK, .name = "teller", .summary = "Tells", .vtable = &sink },
};
LZ_PLUGIN("latenza.sample", "1.0.0", "MIT", parts)
