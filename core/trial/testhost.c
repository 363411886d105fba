/* testhost.c - a fake host for tests: opens a plugin, makes one instance, and holds what
 * its calls are shown.
 *
 * `latenza-testhost` installs it for authors; the gateway carries it for `plugin run` and
 * `plugin check`. JSON, options and their errors are the gateway's own code, so that a
 * test meets the sentences that an operator will.
 *
 * SPDX-License-Identifier: MIT
 */
#include "trial/inside.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "config/options.h"
#include "trial/trial.h"

enum {
	INIT_ERR_BYTES = 300,
	OPTIONS_BYTES = 16 << 20,
	LOG_BYTES = 16 << 20,
	FILL = 0xa5 /* freed memory reads like this, where the C library can */
};
static const int64_t first_ms = INT64_C(1700000000000);

/* The plugin that is linked into the program, if one is. */
#pragma weak latenza_plugin_v0

static struct testhost *_Atomic now; /* whose component runs, or ran last */
static void (*on_problem)(void *arg, const char *sentence);
static void *on_problem_arg;

struct testhost *
trial_now(void)
{
	return atomic_load(&now);
}

void
trial_is_now(struct testhost *h)
{
	atomic_store(&now, h);
}

/* ---- problems ---- */

static void
tell(const char *sentence)
{
	if (on_problem != NULL) {
		on_problem(on_problem_arg, sentence);
		return;
	}
	(void)fprintf(stderr, "testhost: %s\n", sentence);
	abort();
}

void
trial_problem(const struct testhost *h, const char *fmt, ...)
{
	char sentence[700];
	va_list args;
	int n = 0;

	if (h != NULL && h->plugin != NULL)
		n = snprintf(sentence, sizeof(sentence),
		    "%.100s, %.100s: ", h->plugin->name, h->component.name);
	va_start(args, fmt);
	(void)vsnprintf(sentence + n, sizeof(sentence) - (size_t)n, fmt, args);
	va_end(args);
	tell(sentence);
}

void
testhost_on_problem(void (*fn)(void *arg, const char *sentence), void *arg)
{
	on_problem = fn;
	on_problem_arg = arg;
}

/* ---- opening ---- */

typedef const lz_plugin *entry_fn(const lz_host *host);

static entry_fn *
find_entry(struct testhost *h, const char *file, struct err *e)
{
	union {
		void *object;
		entry_fn *function;
	} symbol;

	if (file == NULL) {
		if (latenza_plugin_v0 == NULL)
			(void)err_fail(e, ST_NOT_FOUND,
			    "no plugin is linked into this program: link its source, or "
			    "name its file");
		return latenza_plugin_v0;
	}
	h->library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (h->library == NULL) {
		(void)err_fail(e, ST_INVALID, "%s", dlerror());
		return NULL;
	}
	symbol.object = dlsym(h->library, "latenza_plugin_v0");
	if (symbol.object == NULL)
		(void)err_fail(e, ST_INVALID,
		    "%s: exports no latenza_plugin_v0; end a source with LZ_PLUGIN()",
		    file);
	return symbol.function;
}

static const lz_plugin *
enter(struct testhost *h, const char *file, struct err *e)
{
	entry_fn *entry = find_entry(h, file, e);
	const lz_plugin *p;

	if (entry == NULL)
		return NULL;
	p = entry(trial_table());
	if (p == NULL)
		(void)err_fail(e, ST_INVALID, "its entry returned NULL");
	else if (p->magic != LZ_MAGIC || p->size < sizeof(*p))
		(void)err_fail(e, ST_INVALID, "what its entry returned is no lz_plugin");
	else if (p->abi_major != LZ_ABI_MAJOR || p->abi_minor != LZ_ABI_MINOR)
		(void)err_fail(e, ST_INVALID,
		    "it was built for ABI %u.%u, and this testhost is %d.%d",
		    p->abi_major, p->abi_minor, LZ_ABI_MAJOR, LZ_ABI_MINOR);
	else
		return p;
	return NULL;
}

static void
copy_grown(void *to, size_t room, const void *from, size_t size)
{
	memset(to, 0, room);
	memcpy(to, from, size < room ? size : room);
}

static bool
is_kind(const lz_component *c, const char *kind)
{
	size_t n = kind != NULL ? strlen(kind) : 0;

	return kind == NULL || (strncmp(c->kind, kind, n) == 0 && c->kind[n] == '/');
}

static bool
take_component(struct testhost *h, const char *kind, const char *name, struct err *e)
{
	const lz_plugin *p = h->plugin;
	unsigned found = 0;

	for (uint32_t i = 0; i < p->component_count; i++) {
		const void *at =
		    (const char *)p->components + (size_t)i * p->component_size;
		const lz_component *c = at;

		if (!is_kind(c, kind) || (name != NULL && strcmp(c->name, name) != 0))
			continue;
		copy_grown(&h->component, sizeof(h->component), at, p->component_size);
		found++;
	}
	if (found == 0)
		(void)err_fail(e, ST_NOT_FOUND, "%s: offers no %s%s%s", p->name,
		    kind != NULL ? kind : "component", name != NULL ? " " : "",
		    name != NULL ? name : "");
	else if (found > 1)
		(void)err_fail(e, ST_INVALID, "%s: offers %u components%s; name one",
		    p->name, found, name != NULL ? " of this name" : "");
	return found == 1;
}

/* The table, as far as both sides know it. */
static void
take_table(struct testhost *h)
{
	const void *table = h->component.vtable;
	const uint32_t *size = table; /* the first member of all but a site's */

	if (table != NULL && strcmp(h->component.kind, LZ_SITE) != 0)
		copy_grown(&h->table, sizeof(h->table), table, *size);
}

/* ---- making ---- */

static bool
apply_options(struct testhost *h, const json_t *options, struct err *e)
{
	struct options_context context = {
		.memory = h->memory, .keep = h->option_values, .where = h->component.name
	};
	const lz_component *c = &h->component;

	return options_apply(c->options, c->option_count, c->option_size, options,
		   h->self, &context, e) == ST_OK;
}

static bool
init(struct testhost *h, struct err *e)
{
	char said[INIT_ERR_BYTES] = "";
	int32_t result;

	if (h->component.init == NULL)
		return true;
	value_forget();
	result = h->component.init(h->self, said, sizeof(said));
	if (result == LZ_OK)
		return true;
	(void)err_fail(e, ST_INVALID, "init() returned %d%s%.*s", (int)result,
	    said[0] != '\0' ? ": " : "", (int)strnlen(said, sizeof(said)), said);
	h->component.fini = NULL; /* what did not begin does not end */
	return false;
}

static void
start(void)
{
	static bool is_started;

	if (is_started)
		return;
	is_started = true;
	json_start();
#ifdef M_PERTURB
	(void)mallopt(M_PERTURB, FILL);
#endif
}

static struct testhost *
host_new(void)
{
	struct testhost *h;

	start();
	trial_region_watch();
	h = mem_zalloc(sizeof(*h));
	if (h == NULL)
		abort();
	h->memory = arena_new(OPTIONS_BYTES);
	h->option_values = json_array();
	h->now_ms = first_ms;
	h->leaves_after_ms = -1;
	buf_init(&h->log, LOG_BYTES);
	h->request = (lz_request){ .size = sizeof(h->request),
		.phase = LZ_REQUEST,
		.max_output_tokens = -1,
		.output_bound = 4096,
		.output_limit = -1,
		.prompt_tokens = 10,
		.id = STR_LIT("req-1"),
		.route = STR_LIT("chat"),
		.model = STR_LIT("test-model"),
		.key = STR_LIT("test-key"),
		.organization = STR_LIT("default") };
	h->credential = mem_strdup("sk-test");
	trial_forget(h);
	return h;
}

struct testhost *
trial_new(const char *file, const char *kind, const char *component,
    const json_t *options, struct err *e)
{
	struct testhost *h = host_new();

	trial_is_now(h);
	h->plugin = enter(h, file, e);
	if (h->plugin == NULL || !take_component(h, kind, component, e))
		goto failed;
	take_table(h);
	/* Beyond the instance nothing is its own. */
	h->self = mem_zalloc(h->component.instance_size + 1);
	if (h->self != NULL && apply_options(h, options, e) && init(h, e))
		return h;
failed:
	h->component.fini = NULL;
	testhost_free(h);
	return NULL;
}

const lz_component *
trial_component(const struct testhost *h)
{
	return &h->component;
}

const lz_plugin *
trial_plugin(const struct testhost *h)
{
	return h->plugin;
}

static struct testhost *
make(const char *file, const char *component, const char *options, struct err *e)
{
	struct testhost *h;
	json_t *object = NULL;

	start();
	if (options != NULL && (object = json_parse(lz_strz(options), e)) == NULL) {
		err_prefix(e, "options");
		return NULL;
	}
	h = trial_new(file, NULL, component, object, e);
	json_decref(object);
	return h;
}

struct testhost *
testhost_new(const char *file, const char *component, const char *options)
{
	struct err e = { "" };
	struct testhost *h = make(file, component, options, &e);

	if (h == NULL)
		trial_problem(NULL, "%s", e.text);
	return h;
}

const char *
testhost_refusal(const char *file, const char *component, const char *options)
{
	static struct err e;
	struct testhost *h;

	e.text[0] = '\0';
	h = make(file, component, options, &e);
	if (h == NULL)
		return e.text;
	testhost_free(h);
	return NULL;
}

static void
free_pairs(struct pair *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		mem_free(p[i].name);
		mem_free(p[i].value);
	}
	mem_free(p);
}

static void
free_state(struct testhost *h)
{
	free_pairs(h->headers, h->header_count);
	free_pairs(h->metadata, h->metadata_count);
	free_pairs(h->tags, h->tag_count);
	for (size_t i = 0; i < h->script_count; i++) {
		mem_free(h->scripts[i].url);
		mem_free(h->scripts[i].body);
	}
	mem_free(h->scripts);
	for (size_t i = 0; i < h->gauge_count; i++)
		mem_free(h->gauges[i].name);
	mem_free(h->gauges);
	mem_free(h->credential);
	mem_free(h->body);
	mem_free(h->calls);
	buf_free(&h->log);
}

void
testhost_free(struct testhost *h)
{
	struct testhost *me = h;

	if (h == NULL)
		return;
	testhost_begin(h);
	if (h->component.fini != NULL) {
		trial_is_now(h);
		h->component.fini(h->self);
	}
	free_state(h);
	trial_forget(h);
	arena_free(h->said.memory);
	arena_free(h->memory);
	json_decref(h->option_values);
	mem_free(h->texts);
	mem_free(h->targets);
	mem_free(h->self);
	(void)atomic_compare_exchange_strong(&now, &me, NULL);
	mem_free(h);
}

/* ---- what a call is shown ---- */

lz_request *
testhost_request(struct testhost *h)
{
	return &h->request;
}

static void
set_pair(struct pair **list, size_t *count, const char *name, const char *value)
{
	struct pair p = { mem_strdup(name), mem_strdup(value) };

	for (size_t i = 0; i < *count; i++) {
		if (strcmp((*list)[i].name, name) == 0) {
			mem_free((*list)[i].name);
			mem_free((*list)[i].value);
			(*list)[i] = p;
			return;
		}
	}
	LIST_ADD(*list, *count, p);
}

void
testhost_set_header(struct testhost *h, const char *name, const char *value)
{
	set_pair(&h->headers, &h->header_count, name, value);
}

void
testhost_set_metadata(struct testhost *h, const char *key, const char *value)
{
	set_pair(&h->metadata, &h->metadata_count, key, value);
}

void
testhost_set_budget(struct testhost *h, uint32_t scope, int64_t limit, int64_t spent)
{
	if (scope > LZ_OF_ORGANIZATION)
		trial_problem(h, "testhost_set_budget(): there is no scope %u", scope);
	else
		h->budget[scope] = (lz_budget){ .size = sizeof(lz_budget),
			.scope = scope,
			.limit = limit,
			.spent = spent };
}

void
testhost_set_credential(struct testhost *h, const char *credential)
{
	mem_free(h->credential);
	h->credential = mem_strdup(credential);
}

static void
set_json(struct testhost *h, const char *function, char **to, const char *json)
{
	struct err e = { "" };
	json_t *j = json_parse(lz_strz(json), &e);

	if (j == NULL)
		trial_problem(h, "%s(): %s", function, e.text);
	json_decref(j);
	mem_free(h->body);
	mem_free(h->calls);
	h->body = h->calls = NULL;
	*to = mem_strdup(json);
}

void
testhost_set_body(struct testhost *h, const char *json)
{
	set_json(h, "testhost_set_body", &h->body, json);
}

void
testhost_set_calls(struct testhost *h, const char *json)
{
	set_json(h, "testhost_set_calls", &h->calls, json);
}

void
testhost_begin(struct testhost *h)
{
	for (size_t i = 0; i < h->target_count; i++)
		mem_free(h->targets[i]);
	h->target_count = h->text_count = 0;
	trial_region_retire(&h->keep);
	h->slot = NULL;
	h->request.stream = 0;
}

/* ---- what happens meanwhile ---- */

static void
add_script(struct testhost *h, struct script s, const char *url, const char *body)
{
	s.url = mem_strdup(url);
	s.body = mem_strdup(body);
	LIST_ADD(h->scripts, h->script_count, s);
}

void
testhost_script(struct testhost *h, const char *url, int32_t status, const char *body,
    uint32_t delay_ms)
{
	add_script(
	    h, (struct script){ .status = status, .delay_ms = delay_ms }, url, body);
}

void
testhost_script_error(
    struct testhost *h, const char *url, int32_t error, uint32_t delay_ms)
{
	add_script(h, (struct script){ .error = error, .delay_ms = delay_ms }, url, "");
}

void
testhost_leave_after(struct testhost *h, int64_t ms)
{
	h->leaves_after_ms = ms;
}

void
testhost_advance(struct testhost *h, int64_t ms)
{
	h->now_ms += ms;
}

int64_t
testhost_now_unix_ms(const struct testhost *h)
{
	return h->now_ms;
}

double
testhost_metric(const struct testhost *h, const char *name)
{
	for (size_t i = 0; i < h->gauge_count; i++)
		if (strcmp(h->gauges[i].name, name) == 0)
			return h->gauges[i].value;
	return 0;
}

lz_str
testhost_tag(const struct testhost *h, const char *key)
{
	for (size_t i = h->tag_count; i > 0; i--)
		if (strcmp(h->tags[i - 1].name, key) == 0)
			return lz_strz(h->tags[i - 1].value);
	return STR_NONE;
}

const char *
testhost_log(const struct testhost *h)
{
	struct buf *log = (struct buf *)(uintptr_t)&h->log;

	if (log->len == 0)
		return "";
	buf_add_char(log, '\0');
	log->len--;
	return log->ptr;
}

int
testhost_found(const struct testhost_result *r, const char *code)
{
	for (size_t i = 0; i < r->finding_count; i++)
		if (str_is(r->findings[i].code, code))
			return 1;
	return 0;
}
