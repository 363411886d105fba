/* hostile.c - plugins as nobody should write them, one for each -DCASE. Not run on
 * purpose: only refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <latenza/plugin.h>

/* For #if, so no enum. */
#define GOOD                 0
#define WRONG_SYMBOL         1
#define NEXT_MAJOR           2
#define NO_SYMBOL            3
#define WRONG_MAGIC          4
#define WRONG_SIZE           5
#define WRONG_MINOR          6
#define WRONG_MAJOR          7
#define NULL_ENTRY           8
#define CRASHING_CONSTRUCTOR 9
#define LOOPING_CONSTRUCTOR  10
#define CRASHING_ENTRY       11
#define LOOPING_ENTRY        12
#define EXITING_ENTRY        13
#define SILENT_FORK          14
#define FAILING_INIT         15
#define MUTE_INIT            16
#define CRASHING_INIT        17
#define BAD_NAME             18
#define NO_COMPONENTS        19
#define HUGE_COUNT           20
#define NO_TABLE             21
#define SMALL_TABLE          22
#define NO_PICK              23
#define OPTION_OUTSIDE       24
#define OPTION_TYPE          25
#define OPTION_DEFAULT       26
#define UNKNOWN_KIND         27
#define TWICE                28
#define MISSING_SYMBOL       29
#define NOT_UTF8             30
#define LONG_VERSION         31
#define LEAKING_INIT         32
#define OPENING_INIT         33
#define MORE_SYMBOLS         34
#define NEEDS_OURS           35
#define SLOW_CHECK           36
#define CUT_DEPENDENT        37
#define KEPT_VIEW            38
#define CRASHING_CHECK       39
/* what follows has no guardrail again */
#define NEEDS_NEWER      40
#define NO_KIND          41
#define SMALL_COMPONENTS 42
#define NO_LICENSE       43

#ifndef NAME /* the plugin's */
#define NAME "hostile"
#endif
#ifndef PART_NAME /* its router's */
#define PART_NAME "hostile"
#endif

struct own {
	int64_t number;
};

static int32_t
pick(void *self, lz_call *c)
{
	(void)self;
	(void)c;
	return LZ_OK;
}

#if CASE == MISSING_SYMBOL
int nobody_has_this(void);
int (*use)(void) = nobody_has_this;
#endif

#if CASE == CRASHING_CONSTRUCTOR
__attribute__((constructor)) static void
start(void)
{
	raise(SIGSEGV);
}
#elif CASE == LOOPING_CONSTRUCTOR
__attribute__((constructor)) static void
start(void)
{
	for (;;)
		pause();
}
#elif CASE == SILENT_FORK
/* A grandchild that keeps the pipe open, a child that is gone. */
__attribute__((constructor)) static void
start(void)
{
	if (fork() == 0) {
		sleep(5);
		_exit(0);
	}
	_exit(3);
}
#endif

static int32_t
init(void *self, char *err, size_t err_len)
{
	(void)self;
#if CASE == FAILING_INIT
	strncpy(err, "the moon is in the wrong house", err_len);
	return LZ_E_FAIL;
#elif CASE == MUTE_INIT
	memset(err, 0xff, err_len);
	return 77;
#elif CASE == LEAKING_INIT
	static void *volatile lost;

	lost = malloc(100);
#elif CASE == OPENING_INIT
	(void)!dup(0);
#elif CASE == CRASHING_INIT
	abort();
#endif
	(void)err;
	(void)err_len;
	return LZ_OK;
}

static const lz_option options[] = {
#if CASE == OPTION_OUTSIDE
	{ "number", "a number", "1", NULL, 0, 0, LZ_INT_OPTION, 4096 },
#elif CASE == OPTION_TYPE
	{ "number", "a number", "1", NULL, 0, 0, 99, 0 },
#elif CASE == OPTION_DEFAULT
	{ "number", "a number", "many", NULL, 0, 0, LZ_INT_OPTION, 0 },
#else
	LZ_OPT_INT(struct own, number, "1", 0, 10, NULL, "a number"),
#endif
};

static const lz_router router = {
	.size = CASE == SMALL_TABLE ? 8 : sizeof(router),
	.pick = CASE == NO_PICK ? NULL : pick,
};

#if CASE == MORE_SYMBOLS
LZ_EXPORT int more_of_mine(void);
int
more_of_mine(void)
{
	return 1;
}
#elif CASE == NEEDS_OURS
void *json_object(void);
LZ_EXPORT void *use_json(void);
void *
use_json(void)
{
	return json_object();
}
#elif CASE >= SLOW_CHECK && CASE <= CRASHING_CHECK
static int32_t
check(void *self, lz_call *c)
{
	static const char *kept;
	const lz_text *t = lz->text(c, 0);

	(void)self;
	(void)kept;
#if CASE == SLOW_CHECK
	(void)usleep(7000);
#elif CASE == CUT_DEPENDENT
	if (t->text.len > t->seen)
		(void)lz->replace(c, 0, t->seen, t->text.len, lz_strz("x"));
#elif CASE == KEPT_VIEW
	if (kept != NULL && *kept == 'x')
		return LZ_FLAG;
	kept = t->text.ptr;
#elif CASE == CRASHING_CHECK
	abort();
#endif
	(void)t;
	return LZ_OK;
}

static const lz_guardrail guard = { .size = sizeof(guard),
	.phases = CASE == SLOW_CHECK ? LZ_REQUEST : LZ_REQUEST | LZ_RESPONSE,
	.streams = CASE != SLOW_CHECK,
	.check = check };
#endif

#define PART(KIND, NAME)                                                                 \
	{                                                                                \
		.kind = KIND, .name = NAME, .summary = "hostile",                        \
		.vtable = CASE == NO_TABLE ? NULL : &router, LZ_OPTIONS_OF(options),     \
		.instance_size = sizeof(struct own), .init = init                        \
	}

static const lz_component parts[] = {
#if CASE == UNKNOWN_KIND
	PART("teleporter/7", "beam"),
#endif
#if CASE == NO_KIND
	PART(NULL, PART_NAME),
#elif CASE == TWICE
	PART(LZ_ROUTER, PART_NAME),
#endif
	PART(LZ_ROUTER, PART_NAME),
#if CASE >= SLOW_CHECK && CASE <= CRASHING_CHECK
	{ .kind = LZ_GUARDRAIL,
	    .name = "hostile-guard",
	    .summary = "x",
	    .vtable = &guard },
#endif
};

static const lz_plugin plugin = {
	.magic = CASE == WRONG_MAGIC ? 0xdeadbeefu : LZ_MAGIC,
	.size = CASE == WRONG_SIZE ? 12 : sizeof(lz_plugin),
	.abi_major = CASE == WRONG_MAJOR ? 3 : LZ_ABI_MAJOR,
	.abi_minor = CASE == WRONG_MINOR ? LZ_ABI_MINOR + 1 : LZ_ABI_MINOR,
	.name = CASE == BAD_NAME   ? "../../etc"
		: CASE == NOT_UTF8 ? "caf\xe9"
				   : NAME,
	.version =
	    CASE == LONG_VERSION
		? "1.0.0-"
		  "0123456789012345678901234567890123456789012345678901234567890123456789"
		: "1.0.0",
	.license = CASE == NO_LICENSE ? NULL : "MIT",
	.components = CASE == NO_COMPONENTS ? NULL : parts,
	.component_size = CASE == SMALL_COMPONENTS ? 1 : sizeof(lz_component),
	.needs_minor = CASE == NEEDS_NEWER ? LZ_ABI_MINOR + 1 : 0,
	.component_count =
	    CASE == HUGE_COUNT ? 1u << 30 : sizeof(parts) / sizeof(parts[0]),
};

const lz_host *lz;

#if CASE == WRONG_SYMBOL
LZ_EXPORT const lz_plugin *latenza_plugin_v5(const lz_host *host);
#define latenza_plugin_v0 latenza_plugin_v5
#elif CASE == NO_SYMBOL
LZ_EXPORT const lz_plugin *somebody_elses_plugin(const lz_host *host);
#define latenza_plugin_v0 somebody_elses_plugin
#endif

const lz_plugin *
latenza_plugin_v0(const lz_host *host)
{
	lz = host;
#if CASE == NULL_ENTRY
	return NULL;
#elif CASE == CRASHING_ENTRY
	raise(SIGBUS);
#elif CASE == LOOPING_ENTRY
	for (;;)
		pause();
#elif CASE == EXITING_ENTRY
	exit(0);
#endif
	return &plugin;
}
