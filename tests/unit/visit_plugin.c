/* visit_plugin.c - a plugin for test_visit: one provider and one router, whose `act`
 * option says what they do.
 *
 * What happens after the test has let go of a visit is counted with shared_add(), which
 * the test can read.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <latenza/plugin.h>

struct own {
	lz_str act;
	lz_str url;
};

static void
count(const char *what)
{
	(void)lz->shared_add(lz_strz(what), 1, 0);
}

static void
say(lz_call *c, const char *what)
{
	lz_json *j = lz->json_new(c, LZ_OBJECT);

	(void)lz->json_put(c, j, "/said", lz->json_of_str(c, lz_strz(what)));
	(void)lz->emit(c, j);
}

static void
called(lz_call *c, int32_t error, void *ud)
{
	(void)ud;
	count(error == LZ_OK       ? "called.ok"
	      : error == LZ_E_GONE ? "called.gone"
				   : "called.other");
	if (error == LZ_OK) {
		say(c, "later");
		(void)lz->finish(c, LZ_ANSWERED);
		if (lz->finish(c, LZ_ANSWERED) == LZ_E_INVALID)
			count("finish.twice.refused");
	} else if (lz->after(c, 0, called, NULL) == LZ_E_GONE && lz->token(c) == 0) {
		count("ask.refused");
	}
}

static void
picked(lz_call *c, int32_t error, void *ud)
{
	(void)ud;
	count(error == LZ_OK ? "picked.ok" : "picked.gone");
	if (error != LZ_OK)
		return;
	(void)lz->prefer(c, 1, 1.5, lz_strz("later"));
	(void)lz->finish(c, LZ_OK);
}

static void
first_of_two(lz_call *c, int32_t error, void *ud)
{
	(void)ud;
	(void)error;
	(void)lz->finish(c, LZ_OK);
}

static void
no_finish(lz_call *c, int32_t error, void *ud)
{
	(void)c;
	(void)ud;
	count(error == LZ_OK ? "nofinish.ok" : "nofinish.gone");
}

static void
work(void *ud)
{
	(void)ud;
	count("worked");
}

static void
slow_work(void *ud)
{
	(void)ud;
	count("begun");
	usleep(50000);
	count("worked");
}

static void *
poster(void *arg)
{
	lz_token t = *(lz_token *)arg;

	free(arg);
	usleep(10000);
	count(lz->post(t, called, NULL) == LZ_OK ? "posted" : "post.gone");
	return NULL;
}

static int32_t
post_later(lz_call *c)
{
	lz_token *t = malloc(sizeof(*t));
	pthread_t thread;

	if (t == NULL)
		return LZ_E_NOMEM;
	*t = lz->token(c);
	if (*t == 0 || pthread_create(&thread, NULL, poster, t) != 0) {
		free(t);
		return LZ_E_FAIL;
	}
	pthread_detach(thread);
	return LZ_PENDING;
}

static void
answered(lz_call *c, const lz_reply *r, void *ud)
{
	char text[64];

	(void)ud;
	(void)snprintf(text, sizeof(text), "http %d %d", (int)r->error, (int)r->status);
	count(r->error == LZ_E_GONE ? "http.gone" : "http.home");
	say(c, text);
	(void)lz->finish(c, LZ_ANSWERED);
}

static int32_t
ask_http(const struct own *o, lz_call *c)
{
	lz_http q = lz_http_to("GET", o->url);
	int32_t e = lz->http(c, &q, answered, NULL);

	return e == LZ_OK ? LZ_PENDING : e;
}

/* Three callbacks and a reply, of which the last one finishes. */
static void
numbered(lz_call *c, int32_t error, void *ud)
{
	count(error == LZ_OK ? "numbered.ok" : "numbered.gone");
	if (error != LZ_OK)
		return;
	say(c, ud);
	if (strcmp(ud, "third") == 0)
		(void)lz->finish(c, LZ_ANSWERED);
}

static int32_t
number(lz_call *c)
{
	static char first[] = "first", second[] = "second", third[] = "third";

	(void)lz->after(c, 9, numbered, third);
	(void)lz->after(c, 5, numbered, second);
	return lz->after(c, 1, numbered, first) == LZ_OK ? LZ_PENDING : LZ_E_FAIL;
}

static int32_t
use_nulls(lz_call *c)
{
	uint8_t hash[32];

	(void)lz->request(NULL);
	(void)lz->header(NULL, lz_strn(NULL, 0));
	(void)lz->header(c, lz_strn(NULL, 0));
	(void)lz->metadata(c, lz_strn(NULL, 0));
	(void)lz->tag(c, lz_strn(NULL, 0), lz_strn(NULL, 0));
	(void)lz->budget(c, 99, NULL);
	(void)lz->alloc(NULL, 10);
	(void)lz->slot(NULL);
	lz->reason(NULL, lz_strn(NULL, 0), lz_strn(NULL, 0));
	lz->reason(c, lz_strn(NULL, 0), lz_strn(NULL, 0));
	(void)lz->raw(NULL);
	(void)lz->body(NULL);
	(void)lz->edit(NULL);
	(void)lz->json_parse(NULL, lz_strn(NULL, 0));
	(void)lz->json_text(c, NULL);
	(void)lz->json_put(c, NULL, "/a", NULL);
	(void)lz->json_set(c, NULL, lz_strn(NULL, 0), NULL);
	(void)lz->json_of_str(c, lz_strn(NULL, 0));
	(void)lz->texts(c);
	(void)lz->text(c, 0);
	(void)lz->target(c, 5);
	(void)lz->prefer(c, 5, 0, lz_strn(NULL, 0));
	(void)lz->emit(c, NULL);
	(void)lz->usage(c, NULL);
	(void)lz->fail(c, NULL);
	(void)lz->http(c, NULL, NULL, NULL);
	(void)lz->offload(c, NULL, NULL, NULL);
	(void)lz->after(c, 1, NULL, NULL);
	(void)lz->finish(NULL, 0);
	(void)lz->post(0, NULL, NULL);
	(void)lz->post(12345, called, NULL);
	(void)lz->hmac_sha256(lz_strz("k"), lz_strn(NULL, 0), hash);
	lz->observe(99999, 1);
	lz->log(NULL, 99, lz_strn(NULL, 0));
	lz->random(NULL, 0);
	return lz->extension("nothing/1") == NULL ? LZ_OK : LZ_E_FAIL;
}

/* "KEY/ORGANIZATION team=TEAM mine=MINE NAMELESS ASSISTANT", with "-" for what is absent.
 */
static void
say_who_asks(lz_call *c)
{
	const lz_request *r = lz->request(c);
	lz_str shown[] = { r->key, r->organization, lz->metadata(c, lz_strz("key.team")),
		lz->metadata(c, lz_strz("key.mine")), lz->metadata(c, lz_strz("key.")),
		r->assistant };
	char text[256];

	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (shown[i].ptr == NULL)
			shown[i] = lz_strz("-");
	(void)snprintf(text, sizeof(text), "%.*s/%.*s team=%.*s mine=%.*s %.*s %.*s",
	    (int)shown[0].len, shown[0].ptr, (int)shown[1].len, shown[1].ptr,
	    (int)shown[2].len, shown[2].ptr, (int)shown[3].len, shown[3].ptr,
	    (int)shown[4].len, shown[4].ptr, (int)shown[5].len, shown[5].ptr);
	say(c, text);
}

static int32_t
build(void *self, lz_call *c, lz_http *out)
{
	const struct own *o = self;
	lz_str do_ = o->act;

	if (lz_eq(do_, "nothing"))
		return LZ_OK;
	if (lz_eq(do_, "url")) {
		char *p = lz->alloc(c, 64);

		if (p == NULL)
			return LZ_E_NOMEM;
		memcpy(p, "http://example.test/x", 21);
		out->url = lz_strn(p, 21);
		return lz->limit_as(c, lz_strz("max_completion_tokens"));
	}
	if (lz_eq(do_, "answer")) {
		say(c, "at once");
		return LZ_ANSWERED;
	}
	if (lz_eq(do_, "who")) {
		say_who_asks(c);
		return LZ_ANSWERED;
	}
	if (lz_eq(do_, "fail")) {
		lz_fault f = { .size = sizeof(f),
			.upstream = LZ_UPSTREAM_RATE,
			.retry_after_ms = 1500,
			.status = 7 };

		f.code = lz_strz("slow_down");
		f.message = lz_strz("too fast");
		return lz->fail(c, &f);
	}
	if (lz_eq(do_, "after"))
		return lz->after(c, 5, called, NULL) == LZ_OK ? LZ_PENDING : LZ_E_FAIL;
	if (lz_eq(do_, "number"))
		return number(c);
	if (lz_eq(do_, "forever"))
		return lz->after(c, 3600000, called, NULL) == LZ_OK ? LZ_PENDING
								    : LZ_E_FAIL;
	if (lz_eq(do_, "two")) {
		(void)lz->after(c, 3600000, no_finish, NULL);
		return lz->after(c, 1, first_of_two, NULL) == LZ_OK ? LZ_PENDING
								    : LZ_E_FAIL;
	}
	if (lz_eq(do_, "offload"))
		return lz->offload(c, work, called, NULL) == LZ_OK ? LZ_PENDING
								   : LZ_E_FAIL;
	if (lz_eq(do_, "slow offload"))
		return lz->offload(c, slow_work, called, NULL) == LZ_OK ? LZ_PENDING
									: LZ_E_FAIL;
	if (lz_eq(do_, "post"))
		return post_later(c);
	if (lz_eq(do_, "http"))
		return ask_http(o, c);
	if (lz_eq(do_, "hang"))
		return LZ_PENDING;
	if (lz_eq(do_, "hang later"))
		return lz->after(c, 1, no_finish, NULL) == LZ_OK ? LZ_PENDING : LZ_E_FAIL;
	if (lz_eq(do_, "finish inside")) {
		(void)lz->finish(c, LZ_ANSWERED);
		return LZ_PENDING;
	}
	if (lz_eq(do_, "many")) {
		int n = 0;

		while (n < 1000 && lz->after(c, 3600000, no_finish, NULL) == LZ_OK)
			n++;
		return n < 1000 ? LZ_OK : LZ_E_FAIL;
	}
	if (lz_eq(do_, "nonsense"))
		return 4711;
	if (lz_eq(do_, "stall")) {
		usleep(8000);
		return LZ_OK;
	}
	if (lz_eq(do_, "nulls"))
		return use_nulls(c);
	if (lz_eq(do_, "body")) {
		lz_str model =
		    lz->json_str(lz->json_at(lz->body(c), "/model"), lz_strz("none"));
		lz_json *mine = lz->edit(c);

		(void)lz->json_put(
		    c, mine, "/model", lz->json_of_str(c, lz_strz("changed")));
		out->body = lz->json_text(c, mine);
		return lz_eq(model, "m0") &&
			       lz_eq(lz->json_str(
					 lz->json_at(lz->body(c), "/model"), lz_strz("")),
				   "m0")
			   ? LZ_OK
			   : LZ_E_FAIL;
	}
	return LZ_E_FAIL;
}

static int32_t
reply(void *self, lz_call *c, const lz_reply *r)
{
	(void)self;
	(void)r;
	return lz->after(c, 1, no_finish, NULL) == LZ_OK ? LZ_OK : LZ_E_FAIL;
}

static int32_t
event(void *self, lz_call *c, lz_str name, lz_str data)
{
	void **slot = lz->slot(c);
	lz_json *j = lz->json_parse(c, data);
	int *seen;

	(void)self;
	if (*slot == NULL)
		*slot = lz->keep(c, sizeof(int));
	seen = *slot;
	if (seen == NULL)
		return LZ_E_NOMEM;
	(*seen)++;
	if (lz_eq(name, "pending"))
		return LZ_PENDING;
	(void)lz->json_put(c, j, "/seen", lz->json_of_int(c, *seen));
	return lz->emit(c, j);
}

static int32_t
classify(void *self, lz_call *c, const lz_reply *r, lz_fault *out)
{
	char *p = lz->alloc(c, 8);

	(void)self;
	(void)r;
	if (p == NULL)
		return LZ_E_NOMEM;
	memcpy(p, "copied", 6);
	out->message = lz_strn(p, 6);
	out->upstream = 4711;
	return LZ_OK;
}

static int32_t
pick(void *self, lz_call *c)
{
	const struct own *o = self;

	if (lz_eq(o->act, "order")) {
		if (lz->targets(c) != 2 || lz->target(c, 2) != NULL)
			return LZ_E_FAIL;
		(void)lz->prefer(c, 1, 0.5, lz_strz("the second"));
		(void)lz->prefer(c, 0, 0.7, lz_strz("the first"));
		(void)lz->limit_output(c, 100);
		(void)lz->limit_output(c, 200);
		return lz->prefer(c, 1, 0, lz_strz("again")) == LZ_E_INVALID ? LZ_OK
									     : LZ_E_FAIL;
	}
	if (lz_eq(o->act, "after"))
		return lz->after(c, 5, picked, NULL) == LZ_OK ? LZ_PENDING : LZ_E_FAIL;
	if (lz_eq(o->act, "forever"))
		return lz->after(c, 3600000, picked, NULL) == LZ_OK ? LZ_PENDING
								    : LZ_E_FAIL;
	if (lz_eq(o->act, "block")) {
		lz->reason(c, lz_strz("policy.eu"), lz_strz("data must stay in the EU"));
		return LZ_BLOCK;
	}
	(void)lz->prefer(c, 1, 0.5, lz_strz("then it fails"));
	return LZ_E_FAIL;
}

static int32_t
init(void *self, char *err, size_t err_len)
{
	uint32_t id = lz->metric(LZ_COUNTER, "made", "Instances made");

	(void)self;
	(void)err;
	(void)err_len;
	lz->observe(id, 1);
	return id != 0 && id == lz->metric(LZ_COUNTER, "made", "Instances made")
		   ? LZ_OK
		   : LZ_E_FAIL;
}

static void
fini(void *self)
{
	(void)self;
	count("fini");
}

static const lz_option options[] = {
	LZ_OPT_TEXT(struct own, act, "nothing", NULL, "what to do"),
	LZ_OPT_TEXT(struct own, url, "", NULL, "whom to call"),
};
static const lz_provider provider = { .size = sizeof(provider),
	.build = build,
	.reply = reply,
	.event = event,
	.classify = classify };
static const lz_provider trees = {
	.size = sizeof(trees), .needs = LZ_NEEDS_BODY | LZ_NEEDS_EDIT, .build = build
};
static const lz_router router = { .size = sizeof(router), .pick = pick };
#define PART(KIND, NAME, TABLE)                                                          \
	{                                                                                \
		.kind = KIND, .name = NAME, .summary = "test", .vtable = TABLE,          \
		LZ_OPTIONS_OF(options), .instance_size = sizeof(struct own),             \
		.init = init, .fini = fini                                               \
	}
static const lz_component parts[] = {
	PART(LZ_PROVIDER, "acting", &provider),
	PART(LZ_PROVIDER, "trees", &trees),
	PART(LZ_ROUTER, "acting", &router),
};
LZ_PLUGIN("visit-test", "1.0.0", "MIT", parts)
