/* requests.c - from an exchange on a connection to a request with a key, and back.
 *
 * What can be refused without the body is refused before it is read: route, method,
 * content type, key.
 *
 * SPDX-License-Identifier: MIT
 */
#include "gateway/requests.h"

#include "base/mem.h"
#include "base/metric.h"
#include "gateway/answer.h"
#include "gateway/gateway.h"
#include "gateway/inside.h"
#include "gateway/stages.h"
#include "guard/guard.h"
#include "key/stage.h"
#include "plugin/visit.h"

/* ---- birth ---- */

/* Time first, so that ids sort as they come; then a sequence that one worker never
 * repeats, scrambled by a bijection. */
static void
make_id(struct worker *w, struct request *r)
{
	uint64_t ms = (uint64_t)r->began.unix_ms, z = w->id_state += 0x9e3779b97f4a7c15u;

	for (int i = 0; i < 6; i++)
		r->id[i] = (uint8_t)(ms >> (40 - 8 * i));
	r->id[6] = (uint8_t)(0x70 | (w->number >> 8 & 0xf));
	r->id[7] = (uint8_t)w->number;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	memcpy(r->id + 8, &z, 8);
	crypto_hex(r->id, sizeof r->id, r->id_hex);
}

static struct arena *
take_arena(struct worker *w)
{
	return w->spare_count > 0 ? w->spare_arena[--w->spare_count]
				  : arena_new(REQUEST_ARENA_BYTES);
}

struct request *
requests_make(struct worker *w, struct exchange *x, const struct moment *began)
{
	struct arena *a = take_arena(w);
	struct request *r = a != NULL ? arena_room(a, sizeof *r) : NULL;

	if (r == NULL) {
		arena_free(a);
		return NULL;
	}
	memset(r, 0, sizeof *r);
	r->scan = &request_unscanned;
	r->arena = a;
	r->worker = w;
	r->x = x;
	r->ops = &stages_ops;
	r->config = w->config;
	config_ref(r->config);
	r->began = *began;
	r->rate_limit = r->rate_remaining = r->max_tokens_sent = r->output_limit =
	    r->max_tokens = -1;
	make_id(w, r);
	if (x != NULL)
		x->user = r;
	w->in_flight++;
	metric_add(METRIC_IN_FLIGHT, 1);
	return r;
}

static void
free_request(struct request *r)
{
	struct worker *w = r->worker;
	struct arena *a = r->arena;

	buf_free(&r->body);
	guard_free(r);
	buf_free(&r->answer);
	buf_free(&r->answer_for_trace);
	buf_free(&r->answer_text);
	buf_free(&r->answer_tools);
	key_let_go(r);
	config_unref(r->config);
	w->in_flight--;
	metric_add(METRIC_IN_FLIGHT, -1);
	if (w->spare_count < sizeof w->spare_arena / sizeof w->spare_arena[0]) {
		arena_reset(a);
		w->spare_arena[w->spare_count++] = a;
	} else
		arena_free(a);
}

void
requests_done(struct request *r)
{
	r->x = NULL;
	r->is_done = true;
	if (r->holds == 0)
		free_request(r);
}

void
requests_let_go(struct request *r)
{
	if (r->is_done && r->holds == 0)
		free_request(r);
}

void
requests_start(void)
{
	visit_on_release(requests_let_go);
}

/* ---- what needs no body ---- */

static bool
is_json(lz_str type)
{
	lz_str word = type;
	ptrdiff_t semicolon = str_find(type, ';');

	if (semicolon >= 0)
		word = str_trim(str_cut(type, 0, (size_t)semicolon));
	return str_is_nocase(word, "application/json");
}

static bool
is_once(const struct request *r, const char *name)
{
	return http1_field_count(&r->x->head, name) == 1;
}

static enum step
check_media(struct request *r)
{
	lz_str coding = request_header(r, "content-encoding");

	if (!r->route->needs_json)
		return STEP_NEXT;
	if (coding.ptr != NULL &&
	    (!is_once(r, "content-encoding") || !str_is_nocase(coding, "identity")))
		return request_fail(r, FAULT_MEDIA_TYPE, "content-encoding",
		    "compressed request bodies are not accepted");
	if (!is_once(r, "content-type") || !is_json(request_header(r, "content-type")))
		return request_fail(r, FAULT_MEDIA_TYPE, "content-type",
		    "'content-type' must be application/json");
	return STEP_NEXT;
}

static enum step
check_room(struct request *r)
{
	const struct config *c = r->config;
	unsigned workers = inside_worker_count(r->worker->gateway);
	int64_t mine =
	    c->limits.in_flight / workers + (c->limits.in_flight % workers != 0);

	if (c->limits.in_flight > 0 && r->worker->in_flight > mine)
		return request_fail(r, FAULT_OVERLOADED, NULL,
		    "the gateway serves as many requests as it may; try again");
	return STEP_NEXT;
}

static enum step
open_request(struct request *r)
{
	enum fault f = FAULT_NONE;
	enum step s = STEP_NEXT;

	r->route = routes_find(&r->x->head, &f);
	if (r->route == NULL && f == FAULT_METHOD)
		return request_fail(r, f, NULL, "this URL does not answer this method");
	if (r->route == NULL)
		return request_fail(r, f, NULL, "unknown request URL: %.*s",
		    STR_ARG(str_cut(r->x->head.path, 0, 200)));
	r->kind = r->route->kind;
	if (r->route->needs_key)
		s = key_authenticate(r, inside_keys(r->worker->gateway));
	if (s == STEP_NEXT && r->route->needs_key) /* who asks for health is answered */
		s = check_room(r);
	return s == STEP_NEXT ? check_media(r) : s;
}

/* ---- the server's calls ---- */

static void
answer_nothing(struct exchange *x)
{
	static const char body[] = "{\"error\":{\"message\":\"out of "
				   "memory\",\"type\":\"server_error\",\"param\":null,"
				   "\"code\":\"overloaded\"}}";

	exchange_reply(x, fault_row(FAULT_OVERLOADED)->status, NULL, 0, STR_LIT(body));
}

/* A refusal under a known key is traced, and its answer waits for that: the body is read
 * meanwhile, as much of it as comes. Any other refusal is out already. */
static bool
on_head(void *arg, struct exchange *x)
{
	struct request *r = requests_make(arg, x, &x->began);

	if (r == NULL) {
		answer_nothing(x);
		return false;
	}
	if (open_request(r) != STEP_NEXT)
		stages_end(r);
	return !x->is_over;
}

/* Reading the body is the client's time, also where it never came. */
static void
stop_reading(struct request *r)
{
	if (r->read_us == 0)
		r->read_us = loop_now(r->worker->loop)->mono_us;
}

static void
on_request(void *arg, struct exchange *x)
{
	struct request *r = x->user;

	if (r == NULL) { /* no body was announced: on_head() was not asked */
		if (!on_head(arg, x))
			return;
		r = x->user;
	}
	if (r->is_finished) /* refused; the answer is on its way */
		return;
	r->body = x->body; /* moved: the request owns the bytes from here on */
	buf_init(&x->body, x->body.max_bytes);
	stop_reading(r);
	if (r->route->stages != NULL)
		stages_start(r);
	else {
		r->route->answer(r);
		stages_end(r);
	}
}

static void
on_gone(void *arg, struct exchange *x)
{
	(void)arg;
	if (x->user == NULL)
		return;
	stop_reading(x->user);
	stages_client_gone(x->user);
}

/* A refusal that is on its way already is what the client hears, and what is traced. */
static void
on_body_failed(void *arg, struct exchange *x, const struct http_refusal *why)
{
	struct request *r = x->user;

	(void)arg;
	if (r->is_finished)
		return;
	stop_reading(r);
	request_fail(r, fault_of_wire(why->status), NULL, "%s", why->why);
	stages_end(r);
}

static void
on_drained(void *arg, struct exchange *x)
{
	(void)arg;
	if (x->user != NULL)
		inside_drained(x->user);
}

/* The wire was wrong before there was a request: the same error shape, with an id of its
 * own. */
static void
on_refuse(void *arg, const struct http_refusal *why, struct buf *body, struct buf *extra)
{
	const struct fault_row *row = fault_row(fault_of_wire(why->status));
	struct worker *w = arg;
	struct request r = { .began = *loop_now(w->loop) };

	make_id(w, &r);
	buf_addf(extra, "x-request-id: %s\r\n", r.id_hex);
	buf_add_z(body, "{\"error\":{\"message\":");
	buf_add_json(body, lz_strz(why->why));
	buf_addf(body, ",\"type\":\"%s\",\"param\":null,\"code\":", row->type);
	if (row->code != NULL)
		buf_add_json(body, lz_strz(row->code));
	else
		buf_add_z(body, "null");
	buf_add_z(body, "}}");
}

const struct server_ops requests_ops = { on_head, on_request, on_gone, on_drained,
	on_refuse, on_body_failed };
