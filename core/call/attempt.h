/* attempt.h - what the files of call/ share: the state of one attempt under way.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CALL_ATTEMPT_H
#define CALL_ATTEMPT_H

#include "call/call.h"
#include "net/sse.h"
#include "net/upstream.h"
#include "plugin/visit.h"

enum {
	CALL_FIELDS =
	    40, /* fields of an answer kept for the provider's reply() and classify() */
	CALL_HELD_BYTES = 65536 /* start-up events held back before the first content */
};

struct call {
	struct request *r;
	struct attempt *a;
	struct visit *visit;
	const lz_provider *table;
	struct upstream_call *upstream; /* NULL: not running */
	int status;
	lz_header field[CALL_FIELDS]; /* arena */
	size_t field_count;
	struct buf body; /* a whole answer, or an error's */

	/* streams */
	bool is_stream;  /* the provider answers with events */
	bool is_feeding; /* inside a feed: out is flushed at its end */
	bool has_done, has_finish, has_tool_calls;
	bool is_paused;
	bool is_over; /* nothing more is taken from the provider */
	bool sent_role;
	bool is_answered; /* build() gave the answer itself */
	json_t *emitted;  /* a whole answer as the provider's plugin gave it; owned */
	enum step ended;  /* what to say when the feed is over; STEP_WAIT: not ended */
	struct sse sse;
	struct buf out; /* events for the client since the last flush */
	struct loop_timer ping, linger;
};

/* ---- dialect.c: OpenAI's own wire, for providers that say nothing else ---- */
/* Fills in what build() left empty: URL, headers, body with model, limits and usage
 * spliced. */
enum status dialect_complete(struct call *c, const lz_http *built,
    const char *base_url_sent, struct upstream_request *q);
/* Whose fault an answer of `status` is, as the host judges it: out is filled. */
void dialect_judge(struct call *c, lz_fault *out);
/* {"prompt_tokens":…} to disjoint buckets. false: not a usage object. */
bool dialect_usage(lz_str object, struct record_usage *out);
/* The text of the first JSON string that follows `word` (a key with its quotes), still
 * escaped; absent: null, empty or another type. Inside strings the quotes of such a word
 * would be escaped. */
lz_str dialect_string_after(lz_str text, const char *word);
lz_str call_field(const struct call *c, const char *name);

/* ---- answer.c: whole answers ---- */
enum step answer_whole(struct call *c);
/* The plugin gave its answer with emit(): the frame of an OpenAI answer around it. */
enum step answer_framed(struct call *c);
void answer_emit(struct call *c, const json_t *j);
/* Sets a member unless it is there. The value is taken. */
void answer_default(json_t *object, const char *key, json_t *value);
void answer_default_string(json_t *object, const char *key, lz_str value);
json_t *answer_usage(const struct record_usage *u); /* OpenAI's usage object; owned */

/* ---- stream.c: streamed answers ---- */
void stream_begin(struct call *c);
void stream_data(struct call *c, lz_str bytes);
/* The transport ended. */
enum step stream_end(struct call *c, const struct upstream_result *res);
void stream_emit(struct call *c, const json_t *j);
/* Ends a stream that cannot go on: error object when something went out, else a failed
 * attempt. */
enum step stream_fail(struct call *c, const char *end, int32_t blame, lz_str message);
/* A stream whose provider answered by itself (LZ_ANSWERED). */
enum step stream_answered(struct call *c);
void stream_stop(struct call *c); /* timers off, memory back */

/* ---- call.c ---- */
/* The attempt failed: notes how, tells the live cells. STEP_RETRY. */
enum step call_failed(struct call *c, const char *end, int32_t blame, lz_str message);
/* Takes over what lz->fail() or classify() said. */
enum step call_fault(struct call *c, const lz_fault *f, const char *end);
/* It worked: tells the live cells. */
void call_succeeded(struct call *c);
/* The attempt is over: gives its memory back, then tells the stage table. From events
 * only. */
void call_finish(struct call *c, enum step s);
int64_t call_now_us(const struct call *c);

#endif
