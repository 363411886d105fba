/* translate.c - what a provider's plugin costs beside passing through: the CPU of
 * OpenAI's request made the provider's, and of its answer made OpenAI's, as the host does
 * both.
 *
 * translate PLUGINS_FOLDER prints a line for each wire: microseconds for 1 KB both ways,
 * for an event of a stream, and 100 KB both ways as a multiple of jansson's own decoding
 * and encoding of the same texts. It fails when anything is not translated.
 *
 * SPDX-License-Identifier: MIT
 */
#include <time.h>

#include "visit_scene.h"

#include "base/jscan.h"
#include "call/attempt.h"

enum {
	SMALL = 1 << 10,
	LARGE = 100 << 10,
	PIECE = 500, /* of a text: about a message */
	ROUNDS = 5,
	ROUND_US = 60000
};

/* A wire: how an answer of so much text comes. %s: the text, as JSON without quotes. */
static const struct wire {
	const char *name, *model, *answer, *event_name, *event;
} wires[] = {
	{ "anthropic", "claude-haiku-4-5",
	    "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"
	    "\"m\","
	    "\"content\":[{\"type\":\"text\",\"text\":\"%s\"}],\"stop_reason\":\"end_"
	    "turn\","
	    "\"stop_sequence\":null,\"usage\":{\"input_tokens\":9,\"output_tokens\":7}}",
	    "content_block_delta",
	    "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
	    "\"text_delta\",\"text\":\"%s\"}}" },
	{ "google", "gemini-2.5-flash",
	    "{\"responseId\":\"r1\",\"modelVersion\":\"m\",\"usageMetadata\":{"
	    "\"promptTokenCount\":9,\"candidatesTokenCount\":7,\"totalTokenCount\":16},"
	    "\"candidates\":[{\"index\":0,\"finishReason\":\"STOP\",\"content\":{"
	    "\"role\":\"model\",\"parts\":[{\"text\":\"%s\"}]}}]}",
	    "",
	    "{\"responseId\":\"r1\",\"modelVersion\":\"m\",\"candidates\":[{\"index\":0,"
	    "\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"%s\"}]}}]}" },
	{ "mistral", "mistral-small-latest",
	    "{\"id\":\"a1\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\","
	    "\"usage\":{\"prompt_tokens\":9,\"total_tokens\":16,\"completion_tokens\":7},"
	    "\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":{\"role\":"
	    "\"assistant\",\"tool_calls\":null,\"content\":\"%s\"}}]}",
	    "",
	    "{\"id\":\"a1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":"
	    "\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"},"
	    "\"finish_reason\":null}],\"p\":\"abcdef\"}" },
};

static struct call shaped; /* what call/ knows of the attempt: enough to shape */
static size_t translated;  /* bytes that went out to the client */

/* As answer_emit() and answer_framed(), or stream_emit(), do. */
static int32_t
on_emit(void *arg, const json_t *j)
{
	json_t *whole = json_deep_copy(j);
	struct jscan scan;
	struct buf text;

	(void)arg;
	shaped.choice[0] = 0;
	whole = shaped.r->is_stream ? shape_chunk(&shaped, whole)
				    : shape_answer(&shaped, whole);
	buf_init(&text, 1 << 20);
	if (json_print(whole, &text) &&
	    jscan_object(buf_str(&text), &scan, NULL) == ST_OK)
		translated += text.len;
	buf_free(&text);
	json_decref(whole);
	return LZ_OK;
}

static const struct visit_provider_ops ops = { on_emit, scene_on_usage };

static double
cpu_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* One piece of work, again and again: the best round's microseconds for one. */
static double
measure(void (*work)(void *arg), void *arg)
{
	double best = 1e12;

	for (int round = 0; round < ROUNDS; round++) {
		double began = cpu_us(), spent = 0;
		int n = 0;

		while (spent < ROUND_US) {
			work(arg);
			n++;
			spent = cpu_us() - began;
		}
		best = spent / n < best ? spent / n : best;
	}
	return best;
}

/* ---- texts ---- */

static char *
prose(size_t n)
{
	static const char words[] =
	    "The gr\303\274ne fox said \\\"no\\\" to the keeper of the gate.\\n";
	char *p = mem_alloc(n + sizeof(words) + 1);
	size_t at = 0;

	for (; at < n; at += sizeof(words) - 1)
		memcpy(p + at, words, sizeof(words) - 1);
	p[at] = '\0';
	return p;
}

static char *
filled(const char *format, size_t n)
{
	char *text = prose(n), *out = NULL;
	const char *hole = strstr(format, "%s");
	size_t head = (size_t)(hole - format);

	out = mem_alloc(strlen(format) + strlen(text) + 1);
	memcpy(out, format, head);
	strcpy(out + head, text);
	strcat(out, hole + 2);
	mem_free(text);
	return out;
}

/* A conversation of about n bytes. */
static char *
conversation(size_t n)
{
	static const char head[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"system\","
				   "\"content\":\"Be brief.\"}",
			  tail[] = "],\"temperature\":0.5,\"max_tokens\":100}";
	char *text = prose(n < PIECE * 2 ? n / 2 : PIECE);
	char *out = mem_zalloc(n * 2 + sizeof(head) + sizeof(tail) + PIECE * 4);
	size_t at = sizeof(head) - 1;

	memcpy(out, head, at);
	for (int i = 0; at < n; i++)
		at += (size_t)sprintf(out + at, ",{\"role\":\"%s\",\"content\":\"%s\"}",
		    i % 2 ? "assistant" : "user", text);
	strcpy(out + at, tail);
	mem_free(text);
	return out;
}

/* ---- the work ---- */

struct work {
	struct scene *s;
	const char *name, *text;
};

/* Outlives the request's memory, which begins anew with each measured call. */
static struct attempt attempt;

static void
open_scene(struct scene *s, const struct wire *wire, const char *request)
{
	scene_open(s, scene_part("provider", wire->name, json_object()));
	s->target[0].upstream_model = lz_strz(wire->model);
	attempt = *s->r.attempt[0];
	s->r.attempt[0] = &attempt;
	scene_body(s, request, strlen(request));
	shaped = (struct call){
		.r = &s->r, .a = &attempt, .answer_id = STR_LIT("chatcmpl-x")
	};
}

static void
make_request(void *arg)
{
	struct work *w = arg;
	int32_t result;

	/* A visit lives as long as its request. */
	visit_end_all(w->s->visit);
	arena_reset(w->s->r.arena);
	w->s->visit = visit_provider(&w->s->r, w->s->r.attempt[0], &ops, w->s);
	w->s->http = lz_http_to("POST", STR_LIT("http://base"));
	w->s->done = 0;
	result = visit_build(w->s->visit, &w->s->http, scene_on_done, w->s);
	if (result == LZ_PENDING) /* a large body is parsed in the pool */
		result = scene_wait(w->s);
	if (result != LZ_OK)
		fail_msg("the request was not built");
}

static void
take_answer(void *arg)
{
	struct work *w = arg;
	lz_reply r = { .size = sizeof(r), .status = 200 };
	size_t before = translated;

	r.body = lz_strz(w->text);
	if (visit_reply(w->s->visit, &r) != LZ_OK || translated == before)
		fail_msg("the answer was not translated");
}

static void
take_event(void *arg)
{
	struct work *w = arg;
	size_t before = translated;

	if (visit_event(w->s->visit, lz_strz(w->name), lz_strz(w->text)) != LZ_OK ||
	    translated == before)
		fail_msg("the event was not translated");
}

static void
decode_and_encode(void *arg)
{
	struct work *w = arg;
	json_t *j = json_loads(w->text, 0, NULL);
	char *text = json_dumps(j, JSON_COMPACT);

	if (text == NULL)
		fail_msg("jansson cannot");
	free(text);
	json_decref(j);
}

static double
both_ways(const struct wire *wire, size_t n, double *jansson)
{
	char *request = conversation(n), *answer = filled(wire->answer, n);
	struct scene s;
	struct work w = { &s, NULL, request };
	double us;

	open_scene(&s, wire, request);
	us = measure(make_request, &w);
	*jansson = measure(decode_and_encode, &w);
	w.text = answer;
	us += measure(take_answer, &w);
	*jansson += measure(decode_and_encode, &w);
	scene_close(&s);
	mem_free(request);
	mem_free(answer);
	return us;
}

static double
an_event(const struct wire *wire)
{
	char *request = conversation(SMALL), *event = filled(wire->event, 20);
	struct scene s;
	struct work w = { &s, wire->event_name, event };
	double us;

	open_scene(&s, wire, request);
	s.r.is_stream = true;
	make_request(&w);
	us = measure(take_event, &w);
	scene_close(&s);
	mem_free(request);
	mem_free(event);
	return us;
}

int
main(int argc, char **argv)
{
	char path[PATH_MAX];
	struct err e = { "" };

	if (argc != 2 || scene_start() != 0) {
		(void)fprintf(stderr, "usage: translate PLUGINS_FOLDER\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(wires) / sizeof(wires[0]); i++) {
		double small, large, by_jansson, unused;

		(void)snprintf(path, sizeof(path), "%s/%s.so", argv[1], wires[i].name);
		if (registry_open(lz_strz(path), STR_NONE, true, false, &e) != ST_OK) {
			(void)fprintf(stderr, "%s\n", e.text);
			return 1;
		}
		small = both_ways(&wires[i], SMALL, &unused);
		large = both_ways(&wires[i], LARGE, &by_jansson);
		printf("%s: 1 KB both ways %.1f us; an event %.2f us; 100 KB both ways "
		       "%.0f us, %.2f x jansson\n",
		    wires[i].name, small, an_event(&wires[i]), large, large / by_jansson);
	}
	return scene_stop();
}
