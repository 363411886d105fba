/* script.h - a Lua script as a component: loaded, checked, and then called like a
 * plugin's.
 *
 * The engine talks to the gateway through the SDK's host table only, so a script has
 * exactly the powers of a plugin. What a script may cost is counted in steps (of the
 * virtual machine, and of our functions by the work they do), not in time, so that the
 * same script stops at the same place on every machine.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LUA_SCRIPT_H
#define LUA_SCRIPT_H

#include "base/buf.h"
#include "base/crypto.h"
#include "base/status.h"
#include "base/str.h"

enum {
	/* What a 2-core development machine does in a millisecond: see the README. */
	SCRIPT_STEPS_PER_MS = 100000,
	SCRIPT_SOURCE_BYTES = 256 << 10, /* of one file */
	SCRIPT_TREE_BYTES = 1 << 20,     /* of a script with its modules */
	SCRIPT_MODULES = 64,
	SCRIPT_GRANTS = 64,
	SCRIPT_NAME_BYTES = 60,
	SCRIPT_STOPS = 5,           /* as many stops ... */
	SCRIPT_STOPS_WITHIN_S = 60, /* ... within so long switch a script off */
	SCRIPT_SLOT_BYTES = 64 << 10
};

#define SCRIPT_NO_HELP "an option of this script" /* the help of one that has none */

struct script_limits {
	uint64_t slice_steps;   /* until neighbours are served */
	uint64_t visit_steps;   /* until the script is stopped */
	uint64_t pattern_steps; /* of one call of string.find() and its like; longer texts
				   get more */
	uint32_t wall_ms;       /* of a visit, waiting included */
	uint32_t
	    watchdog_ms; /* processor time of a slice that no count explains; 0: none */
	size_t memory_bytes; /* of a state: one worker's of one script */
	size_t string_bytes; /* of one string */
	size_t reply_bytes;  /* of one callout's answer */
	uint32_t callouts;   /* per visit */
};

extern const struct script_limits script_limits_usual, script_limits_most;

struct script_module {
	lz_str name; /* as require() gets it: a-z, A-Z, 0-9, _ */
	lz_str text;
};

struct script_source {
	const char *file; /* "canary.lua": what messages begin with */
	lz_str text;
	const struct script_module *module; /* siblings that require() finds */
	size_t module_count;
	const lz_str
	    *http; /* URL prefixes that the script may call: "https://host/path" */
	size_t http_count;
	const struct script_limits *limits; /* NULL: script_limits_usual */
	/* Hears of all that is wrong, each a sentence with FILE:LINE, of which e has the
	 * first: syntax of every file; then names that are not there, what the top level
	 * raises, the table that it returns, its options. NULL: nobody. */
	void (*wrong)(void *arg, const char *sentence);
	void *wrong_arg;
};

struct script;

/* The library that is linked: "Lua 5.4.4". */
lz_str script_lua(void);

/* Compiles, runs the top level under the limits, checks what it returns. Everything is
 * copied. owned: one reference. NULL: e says FILE:LINE and what would be right. [main] */
struct script *script_load(const struct script_source *q, struct err *e) MUST_CHECK;
/* Reads a file whole into an empty buffer; a sentence if it cannot. */
typedef enum status script_read_fn(const char *path, struct buf *text, struct err *e);
/* The same from a file, with those of its neighbours that it requires by a name in
 * quotes. like: grants and limits. [main] */
struct script *script_open(const char *path, script_read_fn *read,
    const struct script_source *like, struct err *e) MUST_CHECK;
void script_ref(struct script *s); /* [any] */
/* The last one frees it. No visit of it may be under way. NULL is fine. [main] */
void script_unref(struct script *s);

/* Its name, kind, options and functions. Lives as long as the script. [any] */
const lz_component *script_component(const struct script *s);
/* Of the source, its modules, its grants and limits: equal digests behave equally. */
const uint8_t *script_digest(const struct script *s);
const char *script_file(const struct script *s);
/* Its i-th part as it was written; name: of a module, absent for the script itself.
 * false: there are no more. */
bool script_part(const struct script *s, size_t i, lz_str *name, lz_str *text);

/* Whoever allocated an instance (zeroed, of instance_size) calls this before it writes
 * the options and calls init(), which takes a reference that fini() gives back. host:
 * kept; the table that this component calls. [main] */
void script_seat(struct script *s, void *instance, const lz_host *host);

/* Was it switched off after SCRIPT_STOPS stops? Every visit fails at once then, until a
 * new version is loaded. [any] */
bool script_is_off(const struct script *s);

/* ---- tests beside scripts: NAME_test.lua ---- */
/* Hears of each case; why NULL: it passed. */
typedef void script_said_fn(void *arg, const char *name, const char *why);
/* Runs a test's cases, each in a host of documents (fake.h), against these scripts, under
 * its own limits and theirs. host: the real one, whose JSON is used. ST_OK:
 * all ran, and `failed` of them failed. Else e: FILE:LINE and what. [main] */
enum status script_test(const struct script_source *test, struct script *const *scripts,
    size_t count, const lz_host *host, script_said_fn *say, void *arg, unsigned *failed,
    struct err *e) MUST_CHECK;
/* The same from a file, with those of its neighbours that it requires, and with the most
 * that a script may cost: what visits cost counts in the case that makes them. [main] */
enum status script_test_open(const char *path, script_read_fn *read,
    struct script *const *scripts, size_t count, const lz_host *host, script_said_fn *say,
    void *arg, unsigned *failed, struct err *e) MUST_CHECK;
/* "dir/NAME_test.lua" of "dir/NAME.lua". false: it is no script's name, or too long. */
bool script_test_path(const char *path, char *out, size_t n);

/* What visits on this thread cost so far. [any] */
struct script_cost {
	uint64_t steps;
	size_t peak_bytes; /* of its state */
};
struct script_cost script_cost(const struct script *s);

#endif
