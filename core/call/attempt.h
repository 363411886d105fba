/* attempt.h - what the files of call/ share: the state of one attempt under way.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CALL_ATTEMPT_H
#define CALL_ATTEMPT_H

#include "call/call.h"
#include "guard/guard.h"
#include "net/upstream.h"
#include "plugin/frame.h"
#include "plugin/visit.h"

enum {
	CALL_FIELDS = 40, /* fields of an answer kept for the provider's reply() and
			     classify() */
	CALL_HELD_BYTES = 65536, /* start-up events held back before the first content */
	CALL_ERROR_BYTES = 256 << 10, /* of a refusal's body */
	CALL_CHOICES = 128,           /* as many as a request may ask for */
	/* Of a vector in an answer: 4,096 numbers of 16 bytes, or 3,072 that are indented
	 * line by line. */
	CALL_VECTOR_BYTES = 64 << 10
};

/* What is known of one choice of a stream. */
enum {
	CHOICE_SEEN = 1,
	CHOICE_HAS_TOOLS = 2,
	CHOICE_IS_FINISHED = 4,
	CHOICE_IS_BEGUN = 8 /* its role was said */
};

struct call {
	struct request *r;
	struct attempt *a;
	struct visit *visit;
	const lz_provider *table;
	struct upstream_call *upstream; /* NULL: not running */
	int status;
	lz_header *field; /* arena */
	size_t field_count;
	struct buf body;  /* a whole answer, or an error's */
	json_t *emitted;  /* a whole answer as the plugin gave it; owned */
	bool has_run_dry; /* it lacks something */
	lz_str answer_id; /* "chatcmpl-...", for answers that come without one */
	/* Set as long as the call lives: the request's deadline until the client sees
	 * bytes, and what a stream's end waits for at last. */
	struct loop_timer limit;
	struct rewriting *rewriting; /* vectors.c's; NULL: none under way */
	bool is_hurried; /* the caller waits for less than the provider is used to */
	bool is_over;    /* nothing more is taken from the provider */
	enum step ended; /* how it ended, once is_over; STEP_WAIT: it has not */

	/* streams */
	bool is_stream;     /* the answer comes as events */
	bool is_feeding;    /* inside a feed: out is flushed at its end */
	lz_str usage_chunk; /* as the provider sent it, or we made it; arena */
	bool has_done;      /* [DONE] came */
	bool is_paused;
	uint8_t choice[CALL_CHOICES];
	struct guarded *guarded; /* guarded.c's; NULL: no guardrail looks */
	bool is_checking;        /* a guardrail is waited for */
	bool is_concluding;      /* and behind it nothing more comes */
	struct tools *tools;     /* tools.c's; NULL: no tool was called yet */
	struct frame frame;
	struct buf out; /* events for the client since the last flush */
	struct loop_timer ping;
};

/* ---- dialect.c: OpenAI's own requests, for providers that say nothing else ---- */
/* Fills in what build() left empty: URL, headers, body with model, limits and usage
 * spliced. */
enum status dialect_complete(struct call *c, const lz_http *built,
    const char *base_url_sent, struct upstream_request *q);

/* ---- verdict.c: whose fault an error is ---- */
/* How the host judges status, headers and body: out is filled. */
void verdict_judge(struct call *c, lz_fault *out);
/* An error object inside a 200: the status that it stands for. */
int verdict_status(lz_str error);
/* What a provider said, fit for callers and traces: one line of at most `max` bytes,
 * without the credential that it was asked with. [worker], in the arena */
lz_str verdict_words(struct call *c, lz_str said, size_t max);

/* ---- chunk.c: what OpenAI's answers say ---- */
struct chunk {
	lz_str usage;       /* absent: none */
	lz_str error;       /* likewise */
	bool is_usage_only; /* no choices */
	/* Content, a tool call, a refusal, a finish: the client has something to see. */
	bool has_substance;
};
/* Reads one chunk of a stream and weighs what it brings. ST_INVALID, ST_LIMIT: it is not
 * a JSON object. */
enum status chunk_read(struct call *c, lz_str data, struct chunk *out) MUST_CHECK;
/* {"prompt_tokens":...} to disjoint buckets. false: not a usage object. */
bool chunk_usage(lz_str object, struct record_usage *out);
bool chunk_has_items(const struct jscan_member *array); /* false: no array, or empty */
/* Who the provider says has answered: noted if that is another model. */
void chunk_note_model(struct call *c, const struct jscan_member *model);
/* Reads a whole answer's choices: the finish reason and what the text weighs. */
void chunk_read_whole(struct call *c, lz_str choices);
/* Is every choice that came finished, and did one come? */
bool chunk_all_finished(const struct call *c);

/* ---- arguments.c: are a call's arguments, as far as they came, a whole value? ---- */
struct arguments { /* zeroed: nothing came */
	int64_t depth;
	bool is_in_string, is_escaped, is_whole;
};
/* The next piece of them. What is no string is none. */
void arguments_take(struct arguments *a, const struct jscan_member *piece);
/* A value has begun and is not whole: what comes goes on with it. */
bool arguments_are_open(const struct arguments *a);
/* A value stands there whole, and the piece begins one: it cannot go on with it. */
bool arguments_begin_anew(const struct arguments *a, const struct jscan_member *piece);

/* ---- tools.c: tool calls are numbered from 0 in each choice ---- */
void tools_begin(struct call *c); /* before each chunk */
/* An item of tool_calls: is it an object that says something? */
bool tools_is_piece(lz_str item);
/* The place of the call that a piece belongs to. -1: there is no room for it. */
int64_t tools_place(struct call *c, int64_t choice, lz_str item);
/* The tool_calls of a delta that is part of the chunk at hand. */
void tools_read(struct call *c, int64_t choice, lz_str list);
/* The chunk, with the places that were read put right. */
void tools_put(const struct call *c, lz_str data, struct buf *out);

/* ---- growing.c: tool calls that come in pieces ---- */
struct growing_calls {
	struct arena *arena;
	struct growing *call;
	size_t count, bytes; /* bytes: of the arguments of those that are not complete */
	bool has_failed;     /* more than can be kept, or no memory */
};
/* Adds a member's decoded text. false: no memory. */
bool growing_add_text(struct buf *out, const struct jscan_member *string);
/* One piece: an object of tool_calls and its call's place, or function_call. */
void growing_take(struct growing_calls *g, unsigned choice, int64_t place, lz_str call);
void growing_take_function(struct growing_calls *g, unsigned choice, lz_str function);
/* Nothing more comes for the choice, or for all (-1): each call of it as a delta,
 * {"tool_calls":[{...}]}, whole. take: false is a failure. */
void growing_complete(struct growing_calls *g, int64_t choice,
    bool (*take)(void *arg, unsigned choice, lz_str delta), void *arg);
void growing_free(struct growing_calls *g);

/* ---- guarded.c: streams that guardrails look at ---- */
bool guarded_begin(struct call *c); /* false: out of memory */
/* Takes a chunk apart that chunk_read() passed. */
void guarded_take(struct call *c, lz_str data);
/* Shows what came to the guardrails; what they let through is in c->out. */
enum guard_run guarded_run(struct call *c, bool is_end);
/* Ends every choice that has not ended with finish_reason "content_filter". */
void guarded_end_filtered(struct call *c);
void guarded_free(struct call *c); /* cancels, too */

/* ---- answer.c: whole answers ---- */
enum step answer_whole(struct call *c);
/* The plugin gave its answer with emit(): the frame of an OpenAI answer around it. */
enum step answer_framed(struct call *c);
void answer_emit(struct call *c, const json_t *j);
/* The provider refused: by status, or by an error object under a 200. */
enum step answer_refused(struct call *c);

/* ---- vectors.c: answers of embeddings ---- */
/* A whole answer in OpenAI's shape, scanned: takes the text over, with its vectors as the
 * caller wants them written. STEP_WAIT: many are rewritten in the pool, and the call ends
 * when they come home. */
enum step vectors_taken(struct call *c, struct buf *text, const struct jscan *scan);
void vectors_forget(struct call *c); /* nobody waits for them any more */

/* ---- shape.c: what a translation leaves to the host ---- */
/* A translated answer, or chunk, with everything that OpenAI's has, in OpenAI's order. j:
 * taken; NULL: out of memory. */
json_t *shape_answer(struct call *c, json_t *j);
json_t *shape_chunk(struct call *c, json_t *j);
json_t *shape_vectors(struct call *c, json_t *j);
json_t *shape_usage(const struct record_usage *u); /* OpenAI's usage object; owned */

/* ---- stream.c: streamed answers ---- */
void stream_begin(struct call *c);
/* c->out holds something for the client to see: from here on it has the stream. */
void stream_has_content(struct call *c);
/* ... and is to go now. */
void stream_flush(struct call *c);
/* Adds an event of JSON. */
void stream_put(const struct call *c, lz_str data, struct buf *out);
/* JSON that came in several data lines leaves in one. */
void stream_make_one_line(char *p, size_t n);
/* A guardrail that was waited for has spoken. From an event. */
void stream_checked(struct call *c);
void stream_data(struct call *c, lz_str bytes);
/* The transport ended. */
enum step stream_end(struct call *c, const struct upstream_result *res);
/* false: it is over, nothing more is taken. */
bool stream_emit(struct call *c, const json_t *j);
/* A stream whose provider answered by itself (LZ_ANSWERED). */
enum step stream_answered(struct call *c);
void stream_stop(struct call *c); /* timers off, memory back */

/* ---- stream_end.c: how a stream ends ---- */
/* Is there money for what has been delivered? More is asked for before it is passed. */
bool stream_is_funded(struct call *c);
enum step stream_out_of_money(struct call *c);
/* Ends a stream that cannot go on: error object when something went out, else a failed
 * attempt. */
enum step stream_fail(struct call *c, const char *end, int32_t blame, lz_str message);
/* A guardrail refused what was to go out. */
enum step stream_filtered(struct call *c);
/* Nothing more comes of the provider's. STEP_WAIT: stream_checked() follows. */
enum step stream_conclude(struct call *c);
/* It ended so: nothing more is taken. */
void stream_close(struct call *c, enum step s);

/* ---- outcome.c: how it ended; each attempt ends by one of these ---- */
/* The attempt failed: notes how, tells the live cells. The message is copied. STEP_RETRY.
 */
enum step call_failed(struct call *c, const char *end, int32_t blame, lz_str message);
/* Takes over what lz->fail() or classify() said. */
enum step call_fault(struct call *c, const lz_fault *f, const char *end);
/* It ended for a reason of ours: nothing is learnt of the provider. */
void call_given_up(struct call *c, const char *end);
/* It worked: tells the live cells. */
void call_succeeded(struct call *c);

/* ---- call.c ---- */
/* The attempt is over: gives its memory back, then tells the stage table. From events
 * only. */
void call_finish(struct call *c, enum step s);
/* As call_finish() with c->ended; a connection that lingers is given up. */
void call_stop(struct call *c);
/* The client does not keep up: provider and plugin wait until call_drained(). */
void call_pause(struct call *c);
/* A guardrail thinks: they wait, until call_go_on(). */
void call_hold_up(struct call *c);
void call_go_on(struct call *c);
lz_str call_field(const struct call *c, const char *name);
/* Bytes of a whole answer at most: limits.answer_bytes, and as much as the vectors that
 * were asked for may take. */
size_t call_answer_max(const struct request *r);
int64_t call_now_us(const struct call *c);

#endif
