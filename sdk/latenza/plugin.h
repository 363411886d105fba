/* latenza/plugin.h - the whole plugin ABI of the Latenza gateway.
 *
 * A plugin is one .so that exports one function and offers any number of components: providers,
 * routers, guardrails, sinks, sites. Include this file, fill in tables, end with LZ_PLUGIN(). Build:
 *     cc -std=c11 -fPIC -shared -fvisibility=hidden $(pkg-config --cflags latenza) -o mine.so mine.c
 * Link nothing of Latenza. The host hands you a table of functions; `lz` points at it.
 *
 * SIX RULES
 *  1 Text     lz_str is UTF-8 with a length, not NUL-terminated. const char * is NUL-terminated, static,
 *             and used only for fixed names. What you hand to a host function is copied before it returns.
 *  2 Lifetime A call is one entry into one of your functions. What the host shows you, and lz->alloc(),
 *             live until that call is over (for a PENDING call: until its last callback returned).
 *             lz->keep() and lz->slot() live as long as the request (providers: as long as the attempt).
 *             Nobody frees what the other side allocated.
 *  3 Threads  Each function says where it runs:
 *               [main]   the configuration thread, one at a time, may take its time
 *               [worker] the event loop that owns the request; never block, sleep or wait
 *               [any]    every thread, at any moment, also your own
 *             One instance serves all workers at once: it is read-only after init(), but for what you
 *             guard yourself (atomics, a mutex held for a few instructions).
 *  4 Results  0 is success, > 0 a decision, < 0 an error. A decision or error that the other side does not
 *             know is an error. Nothing throws, longjmps or exits across this boundary.
 *  5 Money    Always nano-EUR in int64_t. Averages that are not known yet are negative.
 *  6 Growth   A struct that crosses starts with its size, has no padding, and only ever grows at its end;
 *             lz_str and lz_header never change. What came after 1.0 is marked "since 1.n": ask LZ_HAS().
 *             A host function may be NULL where a build leaves its service out.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LATENZA_PLUGIN_H
#define LATENZA_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LZ_MAGIC     0x305a4c7fu /* 7f 'L' 'Z' '0' */
#define LZ_ABI_MAJOR 0           /* 0: a draft, host and plugin must have the same minor. 1: frozen */
#define LZ_ABI_MINOR 4
#define LZ_EXPORT    __attribute__((visibility("default")))

/* Does the other side's *p reach as far as member m? */
#define LZ_HAS(p, m)                                                                               \
    ((size_t)((const char *)&(p)->m - (const char *)(p)) + sizeof((p)->m) <= (p)->size)

typedef struct lz_str { const char *ptr; size_t len; } lz_str; /* ptr NULL: absent */
typedef struct lz_call lz_call;   /* opaque */
typedef struct lz_json lz_json;   /* a JSON value owned by the host; opaque; NULL is "absent" */
typedef uint64_t lz_token;        /* a name for a call that is safe to keep; 0 is none */

enum { /* results and decisions: int32_t everywhere */
    LZ_OK = 0,        /* done; for a guardrail: let it pass */
    LZ_BLOCK = 1,     /* guardrail, router: refuse, see lz->reason() */
    LZ_FLAG = 2,      /* guardrail: let it pass, record a finding, see lz->reason() */
    LZ_PENDING = 3,   /* I answer later with lz->finish(); only where the vtable says so */
    LZ_REROUTE = 4,   /* guardrail on a request: serve it with the model named by lz->reason()'s code */
    LZ_AGAIN = 5,     /* guardrail on a whole answer: one more attempt with lz->reason()'s message as a user
                         turn; reserved, settled and traced like any other */
    LZ_ANSWERED = 6,  /* provider: build() gave the whole answer itself with emit() and usage(); nothing is sent */
    LZ_AS_IT_CAME = 7,/* provider: reply() has nothing to change: the answer is OpenAI's already and is passed on */
    LZ_E_FAIL = -1,   /* my fault; the operator's on_error (open or closed) decides */
    LZ_E_INVALID = -2,/* bad argument or option */
    LZ_E_NOMEM = -3,
    LZ_E_GONE = -4,   /* the call ended: client left, deadline, shutdown */
    LZ_E_RETRY = -5,  /* try again later, see lz->retry_after() */
    LZ_E_LIMIT = -6,  /* a host limit was hit (callouts per call, memory, ...) */
    LZ_E_TIMEOUT = -7,
    LZ_E_STOP = -8    /* sink: the receiver is gone for good, disable me */
};
enum { LZ_DEBUG, LZ_INFO, LZ_WARN, LZ_ERROR };                          /* log levels */
enum { LZ_COUNTER, LZ_GAUGE, LZ_HISTOGRAM };                            /* metric kinds */
enum { LZ_NULL, LZ_BOOL, LZ_INT, LZ_REAL, LZ_STRING, LZ_ARRAY, LZ_OBJECT }; /* JSON types */
enum { LZ_REQUEST = 1, LZ_RESPONSE = 2 };                               /* phases, tool calls included */
enum { LZ_PROSE, LZ_TOOL_ARGUMENTS, LZ_TOOL_RESULT, LZ_REASONING };     /* kinds of text */
enum { LZ_NEEDS_TEXTS = 1, LZ_NEEDS_BODY = 2, LZ_NEEDS_EDIT = 4 };      /* built before you are called */
enum { LZ_CAN_STREAM = 1, LZ_CAN_TOOLS = 2, LZ_CAN_VISION = 4, LZ_CAN_SCHEMA = 8, LZ_CAN_REASON = 16,
       LZ_CAN_AUDIO = 32, LZ_CAN_FILES = 64 };                          /* what a model can */
enum { LZ_UPSTREAM_OK, LZ_UPSTREAM_CALLER, LZ_UPSTREAM_AUTH, LZ_UPSTREAM_RATE, LZ_UPSTREAM_QUOTA,
       LZ_UPSTREAM_CONTEXT, LZ_UPSTREAM_FILTERED, LZ_UPSTREAM_DOWN,     /* whose fault an answer is */
       LZ_UPSTREAM_UNABLE };     /* this target cannot serve this request, another may; breaker untouched */
enum { LZ_SSE, LZ_JSON_LINES, LZ_JSON_ARRAY };                          /* how a stream is framed */

/* ---- what the host shows you (read only, host-owned) ------------------------------------- */

typedef struct lz_request {
    uint32_t size, phase;          /* phase: LZ_REQUEST or LZ_RESPONSE */
    uint32_t stream, attempt;      /* stream: the caller asked for one; attempt counts from 0 */
    uint32_t deadline_ms, capabilities;       /* time left for this call; LZ_CAN_* it asks for */
    int64_t  prompt_tokens, max_output_tokens; /* estimates; output < 0: caller set none */
    lz_str   id, route, model;     /* "chat", "embeddings", ...; model as asked for */
    lz_str   key, assistant, organization;    /* ids; never the secret */
    lz_str   user, session;
    int64_t  output_bound;         /* provider: tokens reserved for this attempt; a limit sent upstream is at most this */
    int64_t  output_limit;         /* provider: the limit that has to be sent upstream; < 0: none has to */
} lz_request;

typedef struct lz_text {           /* one piece of text, whatever the endpoint's JSON looks like */
    uint32_t size, kind;           /* LZ_PROSE, ... */
    uint32_t message, choice;      /* index of the message, of the choice */
    uint32_t seen, final;          /* stream: the first `seen` bytes are out already, as they were sent, context
                                      only; final: nothing follows this text */
    lz_str   role, name, text;     /* role: "system" "user" "assistant" "tool"; name: the tool */
    lz_str   plain;                /* text normalised: NFKC, invisible characters out, confusables folded; see origin() */
} lz_text;

typedef struct lz_target {         /* one candidate: a model at a provider */
    uint32_t size, healthy;
    uint32_t capabilities, sticky; /* sticky: this session was served here last */
    lz_str   provider, model;      /* model: its canonical id */
    lz_str   upstream_model, region; /* upstream_model: what the provider calls it */
    int64_t  context_tokens, max_output_tokens;
    int64_t  cost_estimate;        /* of this request, cache discount as seen; < 0: no price */
    double   weight, quality;      /* quality: 0..1, < 0 unknown */
    double   ttft_ms, ms_per_token, latency_ms, error_rate, load; /* moving averages over all workers, of this
                                      request's own mode (stream or not), < 0 unknown; load: 0 idle .. 1 full */
    uint64_t samples;              /* behind those averages */
    int64_t  silent_ms;            /* since the newest of them; < 0: there is none */
    uint64_t in_flight;            /* calls that are under way there, of both modes */
} lz_target;

typedef struct lz_budget { uint32_t size, scope; int64_t limit, spent, reserved, resets_at_unix; } lz_budget;
enum { LZ_OF_KEY, LZ_OF_ASSISTANT, LZ_OF_ORGANIZATION };                /* whose budget */

typedef struct lz_header { lz_str name, value; } lz_header;

typedef struct lz_http {           /* you fill it in: start from lz_http_to() or from build() */
    uint32_t size, timeout_ms;     /* 0: what is left of the call's deadline */
    lz_str   method, url, body;    /* what they point at lives in alloc() memory or in your instance */
    const lz_header *headers;
    size_t   header_count;
} lz_http;

typedef struct lz_reply {
    uint32_t size, elapsed_ms;
    int32_t  error, status;        /* LZ_OK, LZ_E_*; HTTP status, 0 if none arrived */
    lz_str   body;
    const lz_header *headers;      /* names in lower case */
    size_t   header_count;
} lz_reply;

typedef struct lz_usage {          /* disjoint, but for parts: reasoning of output, cache_write_1h of cache_write; unknown is 0 */
    uint32_t size, reserved;
    int64_t  input, cache_read, cache_write, output, reasoning;
    int64_t  cache_write_1h;       /* the part of cache_write that is kept for an hour, where that costs more */
} lz_usage;

typedef struct lz_fault {          /* why a provider did not answer */
    uint32_t size;
    int32_t  upstream;             /* LZ_UPSTREAM_* */
    uint32_t retry_after_ms;       /* 0: unknown */
    int32_t  status;               /* answer the caller with this; 0: by the host's fault table */
    lz_str   code, message, param; /* shown to the caller: no secrets, no provider internals */
} lz_fault;

typedef void lz_reply_fn(lz_call *c, const lz_reply *r, void *ud); /* [worker] */
typedef void lz_task_fn(void *ud);                                 /* [any]: a pool thread */
typedef void lz_call_fn(lz_call *c, int32_t error, void *ud);      /* [worker] LZ_OK; LZ_E_GONE: cancelled, the
                                                                      offloaded work may not have run */

/* ---- what the host does for you ---------------------------------------------------------- */

typedef struct lz_host {
    uint32_t size, abi_major, abi_minor, reserved;
    const char *version;
    void *impl;                                                  /* the host's own; leave it */
    const void *(*extension)(const char *id);                    /* [any] NULL if unknown */

    /* telling the operator */
    void     (*log)(lz_call *c, int32_t level, lz_str text);     /* [any] c may be NULL: then a line from a thread of your own
                                                                    does not say which plugin spoke. No prompts, no secrets */
    uint32_t (*metric)(int32_t kind, const char *name, const char *help); /* [main] in init(); same name, same id; 0: none.
                                                                    Shown as latenza_plugin_PLUGIN_NAME */
    void     (*observe)(uint32_t metric, double value);          /* [any] */

    /* small services: [any] */
    int64_t  (*now_unix_ms)(void);
    void     (*random)(void *out, size_t n);                     /* from the system's source */
    int32_t  (*hmac_sha256)(lz_str key, lz_str data, uint8_t out[32]);

    /* the call at hand: [worker] */
    const lz_request *(*request)(lz_call *c);                    /* NULL in a sink */
    lz_str   (*header)(lz_call *c, lz_str name);                 /* lower case; never one that may carry a secret:
                                             authorization, proxy-authorization, cookie, x-api-key, api-key, x-goog-api-key */
    lz_str   (*metadata)(lz_call *c, lz_str key);                /* the request's; the key's under "key.NAME" */
    int32_t  (*tag)(lz_call *c, lz_str key, lz_str value);       /* in the trace and its search; same key: last value */
    int32_t  (*budget)(lz_call *c, uint32_t scope, lz_budget *out);      /* LZ_E_INVALID: none set */
    int64_t  (*shared_add)(lz_str key, int64_t by, uint32_t ttl_s);      /* [any] a counter for all workers and plugins: begin
                                             key with your name. 0 again ttl_s after its first addition; ttl_s 0: never */
    void    *(*alloc)(lz_call *c, size_t n);                     /* zeroed, NULL when over limit */
    void    *(*keep)(lz_call *c, size_t n);                      /* like alloc, lives as long as slot() */
    void   **(*slot)(lz_call *c);         /* one pointer per instance and request (attempt); starts NULL */
    void     (*reason)(lz_call *c, lz_str code, lz_str message); /* "pii.email", why; as often as there are findings */
    void     (*retry_after)(lz_call *c, uint32_t ms);            /* beside LZ_E_RETRY */

    /* bodies: [worker]. Declare what you need in the vtable; it is built before you are called, off the loop when
     * large. What you did not declare is built when you ask, up to 64 KiB; then it is NULL. raw() costs nothing; body() is
     * read-only; edit() is yours to change.
     *   guardrail  the request, or in LZ_RESPONSE the OpenAI-shaped answer (absent while a stream runs); its edits
     *              hold for all attempts
     *   provider   the request as the caller sent it, edited by guardrails; edit() is this attempt's own copy
     *   router     body() only          sink  the batch of events */
    lz_str         (*raw)(lz_call *c);
    const lz_json *(*body)(lz_call *c);
    lz_json       *(*edit)(lz_call *c);

    /* JSON: [worker], and [main] on option values. NULL in, fallback out: no checks between */
    lz_json *(*json_parse)(lz_call *c, lz_str text);             /* any JSON value; NULL: not JSON */
    const lz_json *(*json_at)(const lz_json *j, const char *pointer);    /* RFC 6901: "/messages/0/content" */
    const lz_json *(*json_item)(const lz_json *j, size_t i, lz_str *key); /* key may be NULL */
    size_t   (*json_len)(const lz_json *j);                      /* members, else 0 */
    int32_t  (*json_type)(const lz_json *j);
    lz_str   (*json_str)(const lz_json *j, lz_str otherwise);
    int64_t  (*json_int)(const lz_json *j, int64_t otherwise);
    double   (*json_num)(const lz_json *j, double otherwise);
    int32_t  (*json_bool)(const lz_json *j, int32_t otherwise);
    lz_str   (*json_text)(lz_call *c, const lz_json *j);         /* serialised, compact; absent for NULL */
    lz_json *(*json_new)(lz_call *c, int32_t type);              /* LZ_OBJECT, LZ_ARRAY, LZ_NULL */
    lz_json *(*json_of_str)(lz_call *c, lz_str s);               /* quoted for you */
    lz_json *(*json_of_int)(lz_call *c, int64_t v);
    lz_json *(*json_of_num)(lz_call *c, double v);
    lz_json *(*json_of_bool)(lz_call *c, int32_t v);
    int32_t  (*json_set)(lz_call *c, lz_json *object, lz_str key, const lz_json *value);
    int32_t  (*json_put)(lz_call *c, lz_json *root, const char *pointer, const lz_json *value);
            /* Both take the value by reference; NULL removes the member and makes no path. json_put's pointer need not be
             * static; "/a/-" appends; a missing parent becomes an array before 0 and -, else an object. What came by const
             * reference is copied when a path writes through it; what you made stays shared. */

    /* guardrails: [worker]. Offsets count bytes of the text as shown; edits must not overlap. On a stream an edit at or
     * after the hold point is forgotten and that text is shown again; an edit across it is LZ_E_INVALID; the smallest
     * hold() counts. Tool arguments are one text per string (keys too), decoded; the host escapes what you put in. */
    size_t   (*texts)(lz_call *c);
    const lz_text *(*text)(lz_call *c, size_t i);
    int32_t  (*replace)(lz_call *c, size_t i, size_t from, size_t to, lz_str with);
    int32_t  (*hold)(lz_call *c, size_t i, size_t from);         /* a match may begin there: release no more */
    size_t   (*origin)(lz_call *c, size_t i, size_t at);         /* byte of plain -> byte of text */
    int32_t  (*reveal)(lz_call *c, size_t i, size_t from, size_t to, lz_str with); /* as replace(), for the caller's eyes
                                             only: trace, logs and other guardrails keep the text */
    int32_t  (*limit_output)(lz_call *c, int64_t tokens);        /* routers too; only lowers */

    /* routers: [worker] */
    size_t   (*targets)(lz_call *c);
    const lz_target *(*target)(lz_call *c, size_t i);
    int32_t  (*prefer)(lz_call *c, size_t i, double score, lz_str why);  /* the order of calls is the order of attempts;
                                             score is for the trace; who is not preferred is not tried, unless nobody is */

    /* providers: [worker] */
    const lz_target *(*chosen)(lz_call *c);                      /* the target of this attempt */
    lz_str   (*credential)(lz_call *c);                          /* its key; rotation is the host's */
    int32_t  (*emit)(lz_call *c, const lz_json *j);              /* OpenAI-shaped: in reply() the answer, in event() and
            end() a chunk. The host fills in id, object, created, model, the first role, index 0, logprobs, refusal, usage,
            [DONE]; members it does not know (reasoning_content, extra_content) pass both ways. Embeddings: floats.
            LZ_E_GONE: nothing more is taken. A caller who reads slowly holds your callbacks back; see later */
    int32_t  (*usage)(lz_call *c, const lz_usage *u);            /* cumulative; the last one counts */
    int32_t  (*limit_as)(lz_call *c, lz_str name); /* in build(): the body that the host makes carries the output limit
                                                    under this name, whatever the caller called it */
    int32_t  (*leave_out)(lz_call *c, lz_str member); /* in build(): the body that the host makes is without this member of
                                                    messages and of their tool calls; 4 names at most */
    int32_t  (*dropped)(lz_call *c, lz_str param);               /* in build(): this parameter of the caller's, "seed", has no
                                                    twin here: left out, or cut to what the vendor takes. The caller is told */
    int32_t  (*fail)(lz_call *c, const lz_fault *f);             /* from build, reply, event, end: this attempt is over, also
                                                                    inside a 200; return what it returns */

    /* later: return LZ_PENDING, then finish() exactly once. A callback never runs inside the call
     * that asked for it, and runs exactly once even when the call is cancelled (LZ_E_GONE). While a stream's caller does
     * not keep up with emit(), callbacks wait; emit() a little in each. */
    int32_t  (*http)(lz_call *c, const lz_http *q, lz_reply_fn *fn, void *ud);   /* [worker] replies of up to 4 MiB */
    int32_t  (*offload)(lz_call *c, lz_task_fn *work, lz_call_fn *fn, void *ud); /* [worker] */
    int32_t  (*after)(lz_call *c, uint32_t ms, lz_call_fn *fn, void *ud);        /* [worker] */
    int32_t  (*finish)(lz_call *c, int32_t result);                              /* [worker] */
    lz_token (*token)(lz_call *c);                                               /* [worker] */
    int32_t  (*post)(lz_token t, lz_call_fn *fn, void *ud);      /* [any] < 0: fn won't run. LZ_E_GONE; LZ_E_LIMIT: too many wait */

    /* since 0.4 */
    size_t   (*plain)(lz_str text, char *out, size_t room);      /* [any] text as lz_text.plain has it, for words that are looked
                                             for there: the bytes that it takes, written where they are no more than room.
                                             At most 18 times the text's. SIZE_MAX: no memory */
    const lz_json *(*tool_calls)(lz_call *c);                    /* guardrail, LZ_RESPONSE: [worker] the calls that this check shows,
                                             complete: items as in OpenAI's tool_calls, each with its `choice`; a function_call is
                                             one of {choice, function}. Of a stream those that came since the last check. Built as
                                             body() is. NULL: none, or no memory */
} lz_host;

/* ---- what you offer ---------------------------------------------------------------------- */

/* A guardrail sees texts: prompts, answers, tool arguments and results, of every endpoint. It is asked again as
 * a stream grows: text = what is out already (seen) + what is held + what is new. Everything from hold() on, by
 * default the last `overlap` bytes, stays back; the rest goes out when check() is done. Tool arguments are shown
 * when they are complete. With streams = 0 the operator chooses: hold the whole answer, or check it afterwards.
 * Instances run in the configured order on requests and in reverse order on answers. */
#define LZ_GUARDRAIL "guardrail/0"
typedef struct lz_guardrail {
    uint32_t size, phases;         /* LZ_REQUEST | LZ_RESPONSE */
    uint32_t needs, streams;       /* LZ_NEEDS_*; streams: 1 if check() works on a growing text */
    uint32_t overlap, context;     /* bytes held back by default; bytes of `seen` wanted */
    int32_t (*check)(void *self, lz_call *c); /* [worker] LZ_OK BLOCK FLAG REROUTE PENDING, < 0 error */
} lz_guardrail;

#define LZ_ROUTER "router/0"
typedef struct lz_router {
    uint32_t size, needs;
    int32_t (*pick)(void *self, lz_call *c);  /* [worker] prefer()...; OK, BLOCK, PENDING. None preferred: as listed */
} lz_router;

/* The host owns every provider's base_url, api_keys, models, headers, timeouts; your options are what is left. */
#define LZ_PROVIDER "provider/0"
typedef struct lz_provider {       /* a NULL member means: as OpenAI does it */
    uint32_t size, needs;
    uint32_t framing, reserved;    /* LZ_SSE, ... */
    const char *routes;            /* "chat embeddings models ...", space separated; NULL: chat */
    int32_t (*build)(void *self, lz_call *c, lz_http *out); /* [worker] out arrives as POST to base_url. Whatever you leave as
                                      it came the host makes: url + "/chat/completions"; headers content-type and
                                      authorization: Bearer KEY; the caller's body, its model and limits set for this target.
                                      Headers that you set are all there are, but for the operator's own. May be PENDING,
                                      or ANSWERED: nothing is sent */
    int32_t (*reply)(void *self, lz_call *c, const lz_reply *r);  /* [worker] whole answer: emit(), usage(); or AS_IT_CAME */
    int32_t (*event)(void *self, lz_call *c, lz_str name, lz_str data); /* [worker] one event, never [DONE] */
    int32_t (*end)(void *self, lz_call *c, int32_t clean);  /* [worker] stream over; clean: the transport ended properly,
                                      [DONE] seen where the framing has one. LZ_OK: the answer was complete. NULL: it was if
                                      clean and a finish_reason was emitted */
    int32_t (*classify)(void *self, lz_call *c, const lz_reply *r, lz_fault *out); /* [worker] status >= 400, or none. out
                                      arrives as the host judges status, headers and an OpenAI-shaped body: change what differs */
    const char *base_url;          /* where the vendor is found; NULL: the configuration must say it */
} lz_provider;

/* Events: {"id","type","at_unix_ms","attempt","organization","key","data":{}}; attempt: of this delivery, from 0. body() is an
 * array of max_batch at most. Type "trace" carries the whole record and goes only to a sink that names it. */
#define LZ_SINK "sink/0"
typedef struct lz_sink {
    uint32_t size, max_batch;
    int32_t (*deliver)(void *self, lz_call *c); /* [worker] OK, PENDING, E_RETRY, E_INVALID drops, E_STOP disables */
    const char *events;            /* default filter: "budget.* trace"; NULL: all but trace */
} lz_sink;

/* Files that the admin listener serves under /NAME/, NAME being the component's. No code: sessions and roles stay in the core.
 * path has no leading slash, index.html serves /NAME/ too; etag without quotes; gzip 1: data is compressed, the host unpacks
 * for who cannot. */
#define LZ_SITE "site/0"
typedef struct lz_file { const char *path, *type, *etag; const void *data; uint64_t len, gzip; } lz_file;
typedef struct lz_site { uint32_t size, file_size; uint64_t file_count; const lz_file *files; } lz_site;

/* One option is one row. The host reads the value from the configuration, checks it, applies the default and writes
 * it into the instance before init() runs; from the same rows it makes the JSON Schema, the help and the console form. */
enum { LZ_BOOL_OPTION, LZ_INT_OPTION, LZ_REAL_OPTION, LZ_TEXT_OPTION, LZ_CHOICE_OPTION, LZ_LIST_OPTION, LZ_JSON_OPTION };
typedef struct lz_list { const lz_str *items; size_t count; } lz_list;
typedef struct lz_option {
    const char *name, *help;
    const char *otherwise;         /* the default as the file would write it; NULL: required; "": may be absent */
    const char *rule;              /* text, list: NULL "url" "secret" "token" (a secret for a header) "header" (a text for one: no
                                      control characters); int: NULL "duration" (arrives in ms) "bytes"; choice,
                                      list: "a|b|c"; JSON: a JSON Schema. env: and file: resolve in every string */
    double   min, max;             /* numbers, and lengths of lists; unused when equal */
    uint32_t type, offset;         /* where in the instance: see the macros */
} lz_option;
#define LZ_AT(T, m, type)          /* the offset of T.m; a wrong type is a warning in C, an error in C++ */ \
    ((uint32_t)(offsetof(T, m) + 0 * sizeof(&((T *)0)->m == (type *)0)))
#define LZ_OPT_BOOL(T, m, dflt, help)          { #m, help, dflt, NULL, 0, 0, LZ_BOOL_OPTION, LZ_AT(T, m, int32_t) }
#define LZ_OPT_INT(T, m, dflt, lo, hi, rule, help) { #m, help, dflt, rule, lo, hi, LZ_INT_OPTION, LZ_AT(T, m, int64_t) }
#define LZ_OPT_REAL(T, m, dflt, lo, hi, help)  { #m, help, dflt, NULL, lo, hi, LZ_REAL_OPTION, LZ_AT(T, m, double) }
#define LZ_OPT_TEXT(T, m, dflt, rule, help)    { #m, help, dflt, rule, 0, 0, LZ_TEXT_OPTION, LZ_AT(T, m, lz_str) }
#define LZ_OPT_CHOICE(T, m, dflt, list, help)  { #m, help, dflt, list, 0, 0, LZ_CHOICE_OPTION, LZ_AT(T, m, int32_t) }
#define LZ_OPT_LIST(T, m, dflt, list, help)    { #m, help, dflt, list, 0, 0, LZ_LIST_OPTION, LZ_AT(T, m, lz_list) }
#define LZ_OPT_JSON(T, m, schema, help)        { #m, help, "", schema, 0, 0, LZ_JSON_OPTION, LZ_AT(T, m, const lz_json *) }

typedef struct lz_component {
    const char *kind, *name;       /* LZ_GUARDRAIL, ...; name as the configuration writes it */
    const char *summary;           /* one line for `latenza plugin list` and the console */
    const void *vtable;            /* an lz_guardrail, lz_router, ... per kind; static */
    const lz_option *options;      /* NULL: takes none */
    uint32_t option_count, option_size;   /* the stride lets lz_option grow */
    uint32_t instance_size, reserved;     /* the host allocates the instance, zeroed; option values in it live as long */
    int32_t (*init)(void *self, char *err, size_t err_len); /* [main] after the options; may be NULL */
    void    (*fini)(void *self);   /* [main] after the last call came home; may be NULL */
} lz_component;
/* The three members at once: in their place (LZ_OPTIONS, C and C++) or by name (LZ_OPTIONS_OF, C). */
#define LZ_OPTIONS(rows) (rows), sizeof(rows) / sizeof((rows)[0]), sizeof(lz_option)
#define LZ_OPTIONS_OF(rows)                                                                        \
    .options = (rows), .option_count = sizeof(rows) / sizeof((rows)[0]), .option_size = sizeof(lz_option)

typedef struct lz_plugin {
    uint32_t magic, size, abi_major, abi_minor;
    const char *name, *version, *license;
    const lz_component *components;
    uint32_t component_size, component_count; /* the stride lets lz_component grow too */
    uint32_t needs_minor, reserved;           /* oldest host minor I can live with */
} lz_plugin;

#ifndef LZ_NEEDS_MINOR             /* define before the include if you use something "since 1.n" */
#define LZ_NEEDS_MINOR 0
#endif

/* The entry. LZ_PLUGIN defines it; `lz` is set before any other function of yours runs.
 * A plugin of several source files puts LZ_PLUGIN in one of them; all see the same hidden `lz`. */
LZ_EXPORT const lz_plugin *latenza_plugin_v0(const lz_host *host); /* [main] NULL: not today */

#ifndef LZ_HOST_SIDE
extern const lz_host *lz __attribute__((visibility("hidden")));
#endif
#define LZ_PLUGIN(NAME, VERSION, LICENSE, PARTS)                                                   \
    const lz_host *lz;                                                                             \
    const lz_plugin *latenza_plugin_v0(const lz_host *host)                                        \
    {                                                                                              \
        static const lz_plugin self = { LZ_MAGIC, sizeof(lz_plugin), LZ_ABI_MAJOR, LZ_ABI_MINOR,   \
            NAME, VERSION, LICENSE, PARTS, sizeof(lz_component), sizeof(PARTS) / sizeof((PARTS)[0]), \
            LZ_NEEDS_MINOR, 0 };                                                                   \
        lz = host;                                                                                 \
        return &self;                                                                              \
    }

/* ---- conveniences: compiled into you, no part of the ABI ------------------------------------ */

static inline lz_str lz_strn(const char *p, size_t n) { lz_str s; s.ptr = p; s.len = n; return s; }
static inline lz_str lz_strz(const char *p) { return lz_strn(p, p ? strlen(p) : 0); }
static inline int lz_eq(lz_str a, const char *b)
{
    return a.len == strlen(b) && (a.len == 0 || memcmp(a.ptr, b, a.len) == 0);
}
static inline lz_header lz_head(lz_str name, lz_str value)
{
    lz_header h; h.name = name; h.value = value; return h;
}
static inline lz_http lz_http_to(const char *method, lz_str url)
{
    lz_http q;
    memset(&q, 0, sizeof q);
    q.size = sizeof q; q.method = lz_strz(method); q.url = url;
    return q;
}

#ifndef LZ_HOST_SIDE
/* What a router expects of a target: the time to `tokens` tokens of output, failures paid for; < 0: not known. */
static inline double lz_expected_ms(const lz_target *t, double tokens)
{
    double ok = t->error_rate > 0 ? 1 - t->error_rate : 1;
    double ms = t->ttft_ms >= 0 && t->ms_per_token >= 0 ? t->ttft_ms + t->ms_per_token * tokens
        : t->latency_ms >= 0 ? t->latency_ms : t->ttft_ms;
    return ms < 0 ? -1 : ms / (ok > 0.05 ? ok : 0.05);
}
/* Prefers all targets: the healthy before the others, then by rising score, then by rising tie, then as listed.
 * score, tie (may be NULL) and why have an entry for each target. */
typedef struct lz_rank { double key[3]; size_t i; } lz_rank;
static inline int lz_rank_before(const lz_rank *a, const lz_rank *b)
{
    int k;
    for (k = 0; k < 3; k++)
        if (a->key[k] < b->key[k] || a->key[k] > b->key[k]) return a->key[k] < b->key[k];
    return 0;
}
static inline int32_t lz_prefer_rising(lz_call *c, const double *score, const double *tie, const lz_str *why)
{
    size_t n = lz->targets(c), i, k;
    lz_rank *order = (lz_rank *)lz->alloc(c, n * sizeof *order), r;
    if (!order) return LZ_E_NOMEM;
    for (i = 0; i < n; i++) {
        r.key[0] = !lz->target(c, i)->healthy; r.key[1] = score[i]; r.key[2] = tie ? tie[i] : 0; r.i = i;
        for (k = i; k > 0 && lz_rank_before(&r, &order[k - 1]); k--) order[k] = order[k - 1];
        order[k] = r;
    }
    for (i = 0; i < n; i++) lz->prefer(c, order[i].i, score[order[i].i], why[order[i].i]);
    return LZ_OK;
}
#endif

#ifdef __cplusplus
}
#endif
#endif
