/* inside.h - what the files of lua/ share: a script, a worker's state of it, a run.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LUA_INSIDE_H
#define LUA_INSIDE_H

#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "lua/script.h"

enum {
	HOOK_INTERVAL = 250, /* instructions between two looks at the budget */
	RUN_WHY_BYTES = 300,
	RUN_FILE_BYTES = 60 /* of a file's name in messages: LUA_IDSIZE */
};

/* ---- a script ---- */

struct compiled {
	char *name; /* of a module; NULL: the script itself */
	char *text; /* as it was written */
	size_t text_bytes;
	char *code; /* lua_dump()'s */
	size_t code_bytes;
};

struct grant {
	lz_str origin; /* "https://host:port", in lower case, the usual port left out */
	lz_str path;   /* "/a/b" */
};

struct script {
	atomic_uint refs;
	char *file;
	struct arena *memory; /* of what component points at */
	struct compiled *part;
	size_t part_count;
	struct grant *grant;
	size_t grant_count;
	struct script_limits limits;
	uint8_t digest[CRYPTO_HASH_BYTES];
	lz_component component;
	union {
		lz_guardrail guardrail;
		lz_router router;
	} table;
	struct wrongs *wrongs; /* while it is loaded; else NULL */
	bool is_router;
	bool is_test;       /* it has latenza.test, and returns nothing */
	bool is_checked;    /* its names are known to be there */
	bool holds_overlap; /* the script says how much: it counts beside replace() */
	struct counter {
		const char *name;
		_Atomic uint32_t id; /* lz->metric()'s */
	} * counter;
	size_t counter_count;
	_Atomic(struct state *) state; /* one per thread that visited; retired ones too */
	pthread_mutex_t lock;          /* of the stops */
	int64_t stop_us[SCRIPT_STOPS];
	unsigned stops;
	atomic_bool is_off;
	_Atomic int64_t log_minute; /* and how many lines there were in it */
	_Atomic unsigned log_lines, log_dropped;
};

/* What the host allocates: this, then the options by rows. */
struct instance {
	struct script *script;
	const lz_host *lz;
	uint64_t id;       /* never twice in a process: states remember options by it */
	bool calls_nobody; /* a fake host answers: no grant is asked for */
};

/* A test: compiled only. owned. (script.c) */
struct script *script_load_test(const struct script_source *q, struct err *e);

/* ---- a state: one thread's Lua of one script ---- */

struct state {
	struct state *next;
	const void *thread; /* address of a thread's own variable */
	struct script *script;
	lua_State *L;
	lua_State *idle; /* a coroutine that is done and may serve again; or NULL */
	int idle_anchor;
	size_t bytes;      /* allocated */
	size_t peak_bytes; /* the most that was; like steps of all its Luas */
	uint64_t steps;    /* of runs that ended */
	size_t refused;    /* the last growth that was refused, and nothing grew since */
	struct run *running; /* whose slice this is */
	struct run *spare;   /* memory of a run that ended; or NULL */
	/* References in the registry, a third of what a look-up by address takes: the
	 * script's function, its options by instance, latenza.pass()'s verdict.
	 * LUA_NOREF: not there yet. */
	int function, options, pass;
	unsigned runs;   /* under way */
	uint64_t serial; /* of the last run */
	bool is_retired; /* out of memory: its runs end, a new one takes over */
};

/* ---- a run: one visit ---- */

enum waiting {
	WAITS_NOT,
	WAITS_FOR_TURN,
	WAITS_FOR_REPLY
};

struct edit {
	size_t text, from, to;
	char *with;
	size_t with_bytes;
};

struct hold {
	bool is_set;
	size_t at;
};

struct run {
	struct state *state;
	const struct script_limits *limits;
	struct instance *self;
	const lz_host *lz;
	lz_call *c; /* NULL: a script is being loaded */
	lua_State *co;
	int anchor;
	uint64_t serial; /* of this run in its state: proxies carry it */
	uint64_t steps, slice;
	int64_t began_us, slice_us, slice_cpu_us;
	size_t slices;
	ptrdiff_t bytes; /* allocated less freed in its slices */
	bool is_armed;   /* the hook looks at every instruction */
	bool is_pending; /* the host was told LZ_PENDING */
	bool is_loaded;  /* the top level is through */
	enum waiting waits;
	int32_t stop;     /* LZ_E_*: it was stopped, why says why */
	const char *said; /* the text that error() was called with last */
	unsigned callouts;
	const lz_reply *reply;
	struct edit *edit; /* of texts: in their order, none overlaps another */
	size_t edit_count, edit_room;
	struct hold *hold; /* by text */
	size_t hold_count;
	lz_json *root;           /* of the body, once it was edited */
	bool has_slot;           /* req.slot was looked at */
	struct kept *kept;       /* lz->slot()'s; NULL until it was asked for */
	char why[RUN_WHY_BYTES]; /* last: of a new run only its first byte is written */
};

/* ---- state.c ---- */
/* The calling thread's; made if there is none. NULL: out of memory, or the top level that
 * ran once does not run now: e. */
struct state *state_here(struct script *s, struct err *e);
/* A fresh one that nobody else finds. */
struct state *state_new(struct script *s, struct err *e);
void state_free(struct state *s); /* NULL is fine */
/* One run less; frees a retired state that has none. */
void state_leave(struct state *s);
struct state *state_of(lua_State *L);
struct run *run_of(lua_State *L); /* whose slice this is */
/* check() or pick(). */
void state_push_function(lua_State *L);
/* Runs script part i, "require"d or first; leaves its value on L's stack. Raises. */
void state_run_part(lua_State *L, size_t i);

/* ---- budget.c ---- */
/* Work of ours, in steps. Raises when the visit's are spent. */
void budget_charge(lua_State *L, uint64_t steps);
void budget_charge_bytes(lua_State *L, size_t n);
/* The same where nothing may be raised: from the allocator. */
void budget_note(struct run *r, uint64_t steps);
/* Are neighbours to be served now, and may L yield here? */
bool budget_must_yield(lua_State *L);
/* Begins a new slice; the first is when the run began. */
void budget_new_slice(struct run *r);
void budget_arm(struct run *r, int interval);
/* The run is to end: whatever the script does, its next instruction raises. */
void budget_stop(struct run *r, int32_t result, const char *why);
/* ... and raises now. */
int budget_raise(lua_State *L, int32_t result, const char *why);
/* Before a luaL_Buffer of n bytes. May raise. */
void budget_make_room(lua_State *L, size_t n);
void *budget_alloc(void *state, void *p, size_t old, size_t n);
/* What went wrong on top of co's stack, as may be logged. */
void budget_explain(struct run *r, lua_State *co, int status);

/* ---- run.c ---- */
int32_t run_check(void *self, lz_call *c);
int32_t run_pick(void *self, lz_call *c);
/* From a C function of the script's: waits for r->reply, then goes on with k. */
int run_wait(lua_State *L, lua_KFunction k);
/* lz->http()'s callback; ud is the run. */
void run_reply(lz_call *c, const lz_reply *reply, void *ud);
/* The run, which must be one with a call. Raises. */
struct run *run_with_call(lua_State *L, const char *what);
/* A line in the log, of which a script has 60 a minute. */
void run_log(struct run *r, int32_t level, const char *text);
/* Milliseconds that are left for waiting. */
uint32_t run_time_left(const struct run *r);

/* ---- proxies: what a script sees of its request (proxy.c) ---- */
enum proxy_kind {
	PROXY_REQUEST,
	PROXY_TEXTS,
	PROXY_TEXT,
	PROXY_TARGETS,
	PROXY_TARGET,
	PROXY_MAP, /* headers, metadata, key_metadata, tags: which is `index` */
	PROXY_BODY,
	PROXY_VERDICT,
	PROXY_KINDS
};

struct proxy {
	enum proxy_kind kind;
	uint64_t serial;     /* of its run; of a verdict: 0 */
	size_t index;        /* text, target, map; of a verdict: LZ_* */
	const lz_json *node; /* PROXY_BODY */
};

/* Pushes one; its user value is nil. */
struct proxy *proxy_push(lua_State *L, enum proxy_kind kind, size_t index);
/* The proxy at arg, of the run whose slice this is. Raises. */
struct proxy *proxy_check(lua_State *L, int arg, enum proxy_kind kind);
/* NULL: it is none of that kind. Raises nothing. */
struct proxy *proxy_at(lua_State *L, int arg, enum proxy_kind kind);
/* The i-th item of a list (from 0): made once, so that equal ones are the same. */
void proxy_push_item(lua_State *L, int list, enum proxy_kind kind, size_t index);
/* Makes the metatable of a kind: fields are looked up in the table of api.c. */
struct api_class;
void proxy_open(lua_State *L, enum proxy_kind kind, lua_CFunction index,
    lua_CFunction newindex, lua_CFunction len, lua_CFunction pairs);
/* In __index: what field 2 of the stack is. A method is pushed: returns -1. 0: there is
 * no such field, which raises with the nearest name. */
int proxy_field(lua_State *L);
void push_str(lua_State *L, lz_str s);  /* absent: nil */
void push_text(lua_State *L, lz_str s); /* absent: "" */

void proxy_open_request(lua_State *L);     /* request.c */
void proxy_open_texts(lua_State *L);       /* texts.c */
void proxy_open_body(lua_State *L);        /* body.c */
void proxy_open_targets(lua_State *L);     /* targets.c */
void proxy_push_request(lua_State *L);     /* the request of the run */
void body_push(lua_State *L);              /* its body; nil: it has none */
lz_json *body_json(lua_State *L, int arg); /* what the part of a body at arg is; raises */
int body_refuse_both(lua_State *L); /* raises: a check() edits the body or its texts */
/* texts.c: tells the host what is to be done. LZ_OK or LZ_E_*. */
int32_t texts_finish(struct run *r);
/* targets.c: hands the order on top of co's stack to the host. LZ_OK, or LZ_E_FAIL and
 * r->why. */
int32_t targets_prefer(struct run *r);

/* ---- JSON (json_values.c) ---- */
extern const char values_null; /* its address, as light userdata, is latenza.json.null */
bool values_is_null(lua_State *L, int arg);
bool values_is_array(lua_State *L, int arg); /* marked as one */
void values_mark_array(lua_State *L);        /* the table on top */
/* The whole value as plain Lua values. Raises. */
void values_push(lua_State *L, const lz_json *j);
/* The same, read-only. */
void values_push_locked(lua_State *L, const lz_json *j);
/* The value at arg as JSON of the call's. Raises. */
lz_json *values_json(lua_State *L, int arg);

/* ---- req.slot (slot.c) ---- */
struct kept_text { /* what a stream's next check has to know of a text */
	uint32_t kind, message, choice;
	bool has_begun;       /* something of it is out */
	unsigned char before; /* the byte before what is shown next; 0: it was replaced */
};
struct kept {
	char *bytes;
	size_t len, room;
	struct kept_text *text;
	size_t text_count, text_room;
};
/* What was kept of this request; make: also when that is nothing. NULL: out of memory, or
 * nothing. */
struct kept *slot_kept(struct run *r, bool make);
void slot_push(lua_State *L); /* the table; remembered in L's registry */
/* Writes the table down. LZ_OK, or LZ_E_FAIL and r->why. */
int32_t slot_save(struct run *r);

/* ---- the API, as a table (api.c) ---- */
struct api_row {
	const char *where; /* "latenza", "latenza.http", a class of proxies */
	const char *name;
	const char *type; /* of a field; of a function its result */
	const char
	    *args; /* of a function: "name: type -- what" by lines; NULL: a field */
	const char *help;
	lua_CFunction fn; /* NULL: a field */
	int field;        /* FIELD_*, of a field of a proxy */
};
extern const struct api_row api_rows[];
extern const size_t api_row_count;

int api_test_case(lua_State *L);
int api_test_equal(lua_State *L);
int api_test_guardrail(lua_State *L);
int api_test_router(lua_State *L);
int api_pass(lua_State *L);
int api_block(lua_State *L);
int api_flag(lua_State *L);
int api_use_model(lua_State *L);
int api_budget(lua_State *L);
int api_hash01(lua_State *L);
int api_luhn(lua_State *L);
int api_plain(lua_State *L);
int api_time(lua_State *L);
int api_random(lua_State *L);
int api_count(lua_State *L);
int api_http_get(lua_State *L);
int api_http_post(lua_State *L);
int api_shared_add(lua_State *L);
int api_shared_get(lua_State *L);
int api_json_decode(lua_State *L);
int api_json_encode(lua_State *L);
int api_json_array(lua_State *L);
int api_log_info(lua_State *L);
int api_log_warn(lua_State *L);
int api_text_replace(lua_State *L);
int api_text_edit(lua_State *L);
int api_text_hold(lua_State *L);
int api_limit_output(lua_State *L);
int api_targets_of(lua_State *L);
int api_targets_sorted(lua_State *L);

enum field {
	FIELD_NONE,
	FIELD_ID,
	FIELD_PHASE,
	FIELD_STREAM,
	FIELD_ROUTE,
	FIELD_MODEL,
	FIELD_KEY,
	FIELD_ASSISTANT,
	FIELD_ORGANIZATION,
	FIELD_USER,
	FIELD_SESSION,
	FIELD_PROMPT_TOKENS,
	FIELD_MAX_OUTPUT_TOKENS,
	FIELD_HEADERS,
	FIELD_METADATA,
	FIELD_KEY_METADATA,
	FIELD_TAGS,
	FIELD_TEXTS,
	FIELD_BODY,
	FIELD_SLOT,
	FIELD_ROLE,
	FIELD_KIND,
	FIELD_NAME,
	FIELD_TEXT,
	FIELD_PLAIN,
	FIELD_SEEN,
	FIELD_FINAL,
	FIELD_PROVIDER,
	FIELD_REGION,
	FIELD_HEALTHY,
	FIELD_CAPABILITIES,
	FIELD_CONTEXT_TOKENS,
	FIELD_COST_EUR,
	FIELD_QUALITY,
	FIELD_WEIGHT,
	FIELD_TTFT_MS,
	FIELD_MS_PER_TOKEN,
	FIELD_ERROR_RATE,
	FIELD_LOAD
};

/* ---- the sandbox ---- */
void sandbox_open(
    lua_State *L, struct script *s);      /* leaves the environment on the stack */
void strings_open(lua_State *L, int env); /* strings.c */
void tables_open(lua_State *L, int env);  /* tables.c */
void api_open(lua_State *L, int env); /* api.c: latenza, and the metatables of proxies */
/* Makes the table on top a read-only view of itself, which nothing gets behind. */
void sandbox_lock(lua_State *L, const char *what);
/* A table of the script's own at arg, which may be written to. Raises. */
void sandbox_check_writable(lua_State *L, int arg);
/* As tostring(), without addresses. */
void sandbox_push_text(lua_State *L, int arg);
/* Wraps a function of the stock library: its arguments are charged for. */
void sandbox_push_metered(lua_State *L, lua_CFunction fn);

/* ---- names that are not there (names.c) ---- */
/* Reading a field that the table on top does not have is an error from now on, with the
 * nearest name. where: what it is called, as in "latenza.json"; "": the globals. */
void names_be_strict(lua_State *L, const char *where);
/* Says FILE:LINE and each name of the script's parts that is not in the environment on
 * top; of a test, raises the first. */
void names_check(lua_State *L);

/* ---- texts as arguments (strings.c) ---- */
lz_str strings_check(lua_State *L, int arg); /* raises */
/* 1-based, from the end when negative. Beyond the end: len + 1. */
size_t strings_place(lua_Integer at, size_t len);

/* ---- patterns (patterns.c), for texts too ---- */
extern const luaL_Reg patterns_functions[];
struct match;
void patterns_limit(lua_State *L, struct match *m, size_t text_bytes);
/* The first match at or after *at, which moves to it, or to where it is undecided.
 * Charged. *must_yield: neighbours come first, go on from *at. */
int patterns_search(lua_State *L, struct match *m, const char **at, bool *must_yield);
/* The text at `by` with %0 to %9 filled in. */
void patterns_push_expanded(
    lua_State *L, const struct match *m, const char *from, int by);
/* The i-th capture; the whole match if there is none. Raises. */
void patterns_push_capture(
    lua_State *L, const struct match *m, size_t i, const char *from, const char *to);
int patterns_push_captures(
    lua_State *L, const struct match *m, const char *from, bool or_whole);
/* Raises what m says went wrong. */
int patterns_raise(lua_State *L, const struct match *m);

/* Sorts the list at index 1 of the stack by the function at 2 (nil: by <), which are all
 * there is on it. Stable; lets neighbours go on meanwhile. Returns 1, the list, if
 * `returns_it`. To be returned from a C function. */
int tables_sort(lua_State *L, bool returns_it);

#endif
