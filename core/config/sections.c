/* sections.c - the file's plain sections: rows, the struct they land in, and where their
 * values go.
 *
 * A new option is a row, a member of the struct above it, and a line in settle_*().
 * Sections that a later release brings have a sentence instead of rows.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "base/json.h"
#include "config/build.h"

/* ---- where the values land ---- */

struct top {
	lz_list listen, trusted_proxies;
	lz_str data, catalogue;
	const lz_json *plugins;
	int32_t plugin_files;
	int64_t workers;
};

struct admin {
	lz_str listen;
	int32_t insecure;
};

struct secrets {
	lz_str master;
};

struct fx {
	int64_t eur_per_usd;
	lz_str date;
};

struct routing {
	lz_str strategy;
	int64_t attempts, timeout_ms, first_byte_timeout_ms, idle_timeout_ms;
	int64_t stream_timeout_ms, backoff_ms, retry_wait_ms, hedge_after_ms, sticky_ms;
};

struct retention {
	int64_t traces, content;
};

struct ledger {
	int32_t uncertain;
	int64_t sync_ms;
	lz_str timezone;
};

struct log {
	int32_t level, content;
};

struct sections {
	struct top top;
	struct config_limits limits;
	struct admin admin;
	struct secrets secrets;
	struct fx fx;
	struct routing routing;
	struct retention retention;
	struct ledger ledger;
	struct log log;
};

/* ---- rows ---- */

enum {
	SECOND = 1000,
	HOUR = 3600 * SECOND,
	ONE_GIB = 1 << 30
};
#define DAY ((double)24 * HOUR)

static const lz_option top_rows[] = {
	LZ_OPT_LIST(struct top, listen, "[\"127.0.0.1:8080\"]", "address",
	    "where /v1, /healthz and /readyz are served, up to 8 addresses"),
	LZ_OPT_LIST(struct top, trusted_proxies, "[]", "range",
	    "proxies whose x-forwarded-for is believed, up to 64 ranges"),
	LZ_OPT_TEXT(struct top, data, "/var/lib/latenza", NULL,
	    "folder of the database, the spool and the keyring"),
	LZ_OPT_TEXT(struct top, catalogue, "", NULL,
	    "a file of models of your own, merged over the catalogue that is built in"),
	LZ_OPT_JSON(struct top, plugins,
	    "{\"type\":\"array\",\"maxItems\":200,\"items\":{\"type\":[\"string\","
	    "\"object\"],"
	    "\"required\":[\"path\"],\"additionalProperties\":false,\"properties\":{"
	    "\"path\":{\"type\":\"string\",\"minLength\":1},"
	    "\"sha256\":{\"type\":\"string\",\"minLength\":64,\"maxLength\":64}}}}",
	    "plugins to open, NAME, PATH or { path, sha256 }; absent: all shipped ones"),
	LZ_OPT_CHOICE(struct top, plugin_files, "strict", "strict|warn",
	    "what a plugin's file with a foreign owner or loose permissions is"),
	LZ_OPT_INT(struct top, workers, "0", 0, 256, NULL, "event loops; 0: one per CPU"),
};

#define L struct config_limits
static const lz_option limit_rows[] = {
	LZ_OPT_INT(L, body_bytes, "32MiB", 1024, ONE_GIB, "bytes", "a request's body"),
	LZ_OPT_INT(L, in_flight, "10000", 1, 1000000, NULL, "requests at the same time"),
	LZ_OPT_INT(L, head_bytes, "16KiB", 1024, 1 << 20, "bytes", "a request's head"),
	LZ_OPT_INT(L, connections, "10000", 1, 1000000, NULL,
	    "client connections, divided among the workers"),
	LZ_OPT_INT(L, connections_per_address, "0", 0, 1000000, NULL,
	    "client connections from one address; 0: no limit"),
	LZ_OPT_INT(L, answer_bytes, "4MiB", 1024, ONE_GIB, "bytes",
	    "an answer that must be held whole"),
	LZ_OPT_INT(L, head_timeout_ms, "10s", 100, HOUR, "duration",
	    "a head from its first byte to its end"),
	LZ_OPT_INT(L, body_timeout_ms, "10s", 100, HOUR, "duration",
	    "the longest silence inside a body"),
	LZ_OPT_INT(L, idle_timeout_ms, "75s", 100, HOUR, "duration",
	    "between two requests of a connection"),
	LZ_OPT_INT(L, write_timeout_ms, "30s", 100, HOUR, "duration",
	    "a client that takes nothing of its answer"),
};
#undef L

static const lz_option admin_rows[] = {
	LZ_OPT_TEXT(struct admin, listen, NULL, "address", "where /metrics is served"),
	LZ_OPT_BOOL(struct admin, insecure, "false",
	    "allow an address that other machines reach, although this release asks for "
	    "no token"),
};

static const lz_option secret_rows[] = {
	LZ_OPT_TEXT(struct secrets, master, "", "secret",
	    "master secret instead of the keyring's own"),
};

static const lz_option fx_rows[] = {
	{ "eur_per_usd", "euro for one US dollar: prices are in USD, budgets in EUR",
	    NULL, "nano", 0.01, 100, LZ_REAL_OPTION,
	    LZ_AT(struct fx, eur_per_usd, int64_t) },
	LZ_OPT_TEXT(struct fx, date, "", "date", "the day of that rate"),
};

static const lz_option routing_rows[] = {
	{ "default",
	    "the router of requests and keys that name none; absent: balanced, if it is "
	    "there",
	    "", NULL, 0, 0, LZ_TEXT_OPTION, LZ_AT(struct routing, strategy, lz_str) },
	LZ_OPT_INT(struct routing, attempts, "3", 1, 8, NULL,
	    "provider calls for one request at most"),
	LZ_OPT_INT(struct routing, timeout_ms, "60s", 100, HOUR, "duration",
	    "a whole request that does not stream, and a stream up to its first byte"),
	LZ_OPT_INT(struct routing, first_byte_timeout_ms, "30s", 100, HOUR, "duration",
	    "a provider's first byte"),
	LZ_OPT_INT(struct routing, idle_timeout_ms, "60s", 100, HOUR, "duration",
	    "the longest silence inside a provider's answer"),
	LZ_OPT_INT(struct routing, stream_timeout_ms, "1h", 100, DAY, "duration",
	    "a provider's stream as a whole, however much still comes"),
	LZ_OPT_INT(struct routing, backoff_ms, "200ms", 1, 60000, "duration",
	    "before a target that failed is asked again when no other is left; twice as "
	    "long each time, at random between a half and the whole"),
	LZ_OPT_INT(struct routing, retry_wait_ms, "5s", 0, 60000, "duration",
	    "the longest that a request waits for that, or for a provider's Retry-After; "
	    "0: it does not wait"),
	LZ_OPT_INT(struct routing, hedge_after_ms, "0", 0, 600000, "duration",
	    "when an attempt has brought nothing by then, the next candidate is asked as "
	    "well, and who answers first serves; both are paid. 0: off"),
	LZ_OPT_INT(struct routing, sticky_ms, "0", 0, 24 * HOUR, "duration",
	    "a session that was served not longer ago than this goes where it was; it is "
	    "named by x-latenza-session, else by prompt_cache_key. 0: off"),
};

static const lz_option retention_rows[] = {
	LZ_OPT_INT(struct retention, traces, "90d", HOUR, 3660 * DAY, "duration",
	    "how long traces are kept"),
	LZ_OPT_INT(struct retention, content, "7d", HOUR, 3660 * DAY, "duration",
	    "how long prompts and answers are kept"),
};

static const lz_option ledger_rows[] = {
	LZ_OPT_CHOICE(struct ledger, uncertain, "input", "input|bound|zero",
	    "what an attempt is charged whose end nobody saw"),
	LZ_OPT_INT(struct ledger, sync_ms, "50ms", 0, 10 * SECOND, "duration",
	    "how much of the spool a power cut may take; 0: nothing, every write waits "
	    "for the device"),
	LZ_OPT_TEXT(struct ledger, timezone, "UTC", "timezone",
	    "the time zone in which days, weeks and months begin; read at start only"),
};

static const lz_option log_rows[] = {
	LZ_OPT_CHOICE(struct log, level, "info", "debug|info|warn|error",
	    "the least that is logged"),
	LZ_OPT_CHOICE(struct log, content, "full", "full|meta|off",
	    "what traces keep of prompts and answers; a key may only lower it"),
};

#define ROWS(rows) (rows), sizeof(rows) / sizeof((rows)[0])
static const struct section {
	const char *name;
	const lz_option *rows;
	uint32_t row_count;
	size_t offset;
	bool is_optional; /* absent, its required options are not asked for */
} sections[] = {
	{ "limits", ROWS(limit_rows), offsetof(struct sections, limits), false },
	{ "admin", ROWS(admin_rows), offsetof(struct sections, admin), true },
	{ "secrets", ROWS(secret_rows), offsetof(struct sections, secrets), false },
	{ "fx", ROWS(fx_rows), offsetof(struct sections, fx), true },
	{ "routing", ROWS(routing_rows), offsetof(struct sections, routing), false },
	{ "retention", ROWS(retention_rows), offsetof(struct sections, retention),
	    false },
	{ "ledger", ROWS(ledger_rows), offsetof(struct sections, ledger), false },
	{ "log", ROWS(log_rows), offsetof(struct sections, log), false },
};

enum {
	SECTIONS = sizeof(sections) / sizeof(sections[0]),
	TOP_ROWS = sizeof(top_rows) / sizeof(top_rows[0])
};

static const struct {
	const char *name, *instead;
} later[] = {
	{ "tls", "let a proxy in front end TLS" },
	{ "sinks", "leave it out" },
};

enum {
	LATER = sizeof(later) / sizeof(later[0])
};

/* ---- reading ---- */

static void
refuse_later(struct build *b, const json_t *root)
{
	for (size_t i = 0; i < LATER; i++) {
		const json_t *value = json_object_get(root, later[i].name);

		if (value != NULL && !json_is_null(value))
			build_wrong(b, NULL, root, later[i].name,
			    "this release does not have it yet; %s", later[i].instead);
	}
}

static void
read_top(struct build *b, const json_t *root, struct top *out)
{
	const char *others[SECTIONS + LATER + 8] = { "providers", "models", "routers",
		"guardrails", "policies", "organizations", "keys" };
	struct options_context c = build_context(b, NULL);
	size_t n = 7;

	for (size_t i = 0; i < SECTIONS; i++)
		others[n++] = sections[i].name;
	for (size_t i = 0; i < LATER; i++)
		others[n++] = later[i].name;
	c.ignore = others;
	(void)build_apply(top_rows, TOP_ROWS, root, out, &c);
}

static void
read_section(
    struct build *b, const struct section *s, const json_t *root, struct sections *out)
{
	const json_t *object = json_object_get(root, s->name);
	struct options_context c = build_context(b, s->name);

	if (s->is_optional && (object == NULL || json_is_null(object)))
		return;
	(void)build_apply(s->rows, s->row_count, object, (char *)out + s->offset, &c);
}

/* ---- from the rows' structs to the configuration ---- */

static void
settle_listen(struct build *b, const json_t *root, const lz_list *list)
{
	enum {
		MOST = sizeof(b->c->listen) / sizeof(b->c->listen[0])
	};
	struct err why = { "" };

	if (b->o->listen != NULL) {
		b->c->listen_count = 1;
		if (net_addr_parse(lz_strz(b->o->listen), &b->c->listen[0], &why) !=
		    ST_OK)
			build_wrong(b, "--listen", NULL, NULL, "%s", why.text);
		return;
	}
	if (list->items == NULL)
		return; /* was refused already */
	if (list->count == 0 || list->count > MOST) {
		build_wrong(b, NULL, root, "listen", "%zu addresses; it must be 1 to %d",
		    list->count, MOST);
		return;
	}
	for (size_t i = 0; i < list->count; i++) {
		/* Offline a reference is not known, and was checked as far as it can be.
		 */
		if (net_addr_parse(list->items[i], &b->c->listen[i], &why) != ST_OK &&
		    !b->o->is_offline)
			build_wrong(b, NULL, root, "listen", "%s", why.text);
	}
	b->c->listen_count = list->count;
}

static void
settle_proxies(struct build *b, const json_t *root, const lz_list *list)
{
	enum {
		MOST = sizeof(b->c->trusted_proxy) / sizeof(b->c->trusted_proxy[0])
	};

	if (list->count > MOST) {
		build_wrong(
		    b, NULL, root, "trusted_proxies", "has more than %d entries", MOST);
		return;
	}
	for (size_t i = 0; i < list->count; i++) {
		if (net_range_parse(list->items[i], &b->c->trusted_proxy[i], NULL) ==
		    ST_OK)
			b->c->trusted_proxy_count++;
	}
}

static bool
is_loopback(const struct net_addr *a)
{
	struct net_range v4, v6;

	if (net_range_parse(STR_LIT("127.0.0.0/8"), &v4, NULL) != ST_OK ||
	    net_range_parse(STR_LIT("::1"), &v6, NULL) != ST_OK)
		return false;
	return net_range_holds(&v4, a) || net_range_holds(&v6, a);
}

static bool
is_same_address(const struct net_addr *a, const struct net_addr *b)
{
	return a->len == b->len && memcmp(&a->sa, &b->sa, a->len) == 0;
}

static void
settle_admin(struct build *b, const json_t *root, const struct admin *admin)
{
	const json_t *object = json_object_get(root, "admin");
	struct config *c = b->c;

	if (admin->listen.ptr == NULL ||
	    net_addr_parse(admin->listen, &c->admin_listen, NULL) != ST_OK)
		return;
	c->has_admin = true;
	if (!is_loopback(&c->admin_listen) && !admin->insecure)
		build_wrong(b, "admin", object, "listen",
		    "other machines reach this address and no token is asked for; use "
		    "127.0.0.1, or say "
		    "insecure: true");
	for (size_t i = 0; i < c->listen_count; i++) {
		if (is_same_address(&c->listen[i], &c->admin_listen) &&
		    net_addr_port(&c->admin_listen) != 0)
			build_wrong(
			    b, "admin", object, "listen", "is the address of listen too");
	}
}

static void
settle_fx(struct build *b, const json_t *root, const struct fx *fx)
{
	const json_t *object = json_object_get(root, "fx");

	b->c->fx_nano_eur_per_usd = fx->eur_per_usd;
	b->c->fx_date = fx->date;
	if (fx->eur_per_usd > 0 && fx->date.ptr == NULL)
		build_warn(b, "fx", object, NULL,
		    "has no date; traces cannot tell how old the rate is");
}

static void
settle_routing(struct config *c, const struct routing *r)
{
	c->attempts = (unsigned)r->attempts;
	c->timeout_ms = (unsigned)r->timeout_ms;
	c->first_byte_timeout_ms = (unsigned)r->first_byte_timeout_ms;
	c->idle_timeout_ms = (unsigned)r->idle_timeout_ms;
	c->stream_timeout_ms = (unsigned)r->stream_timeout_ms;
	c->backoff_ms = (unsigned)r->backoff_ms;
	c->retry_wait_ms = (unsigned)r->retry_wait_ms;
	c->hedge_after_ms = (unsigned)r->hedge_after_ms;
	c->sticky_ms = (unsigned)r->sticky_ms;
	c->default_strategy = r->strategy;
}

static void
settle_rest(struct build *b, const struct sections *s)
{
	struct config *c = b->c;

	c->limits = s->limits;
	c->data = build_path(b, s->top.data);
	c->catalogue = build_path(b, s->top.catalogue);
	c->plugin_files_strict = s->top.plugin_files == 0;
	c->workers = (unsigned)s->top.workers;
	c->master_secret = s->secrets.master;
	c->keep_traces_ms = s->retention.traces;
	c->keep_content_ms = s->retention.content;
	c->ledger_uncertain = (unsigned)s->ledger.uncertain;
	c->ledger_sync_ms = (unsigned)s->ledger.sync_ms;
	c->timezone = s->ledger.timezone;
	c->log_level = b->o->is_quiet ? LOG_LEVEL_ERROR : (enum log_level)s->log.level;
	c->log_content = (enum key_log)(LOG_CONTENT_FULL + s->log.content);
}

void
sections_read(struct build *b, const json_t *root)
{
	struct sections s;

	memset(&s, 0, sizeof(s));
	refuse_later(b, root);
	read_top(b, root, &s.top);
	for (size_t i = 0; i < SECTIONS; i++)
		read_section(b, &sections[i], root, &s);
	settle_listen(b, root, &s.top.listen);
	settle_proxies(b, root, &s.top.trusted_proxies);
	settle_admin(b, root, &s.admin);
	settle_fx(b, root, &s.fx);
	settle_routing(b->c, &s.routing);
	settle_rest(b, &s);
	if (s.retention.traces > 0 && s.retention.content > s.retention.traces)
		build_wrong(b, "retention", json_object_get(root, "retention"), "content",
		    "is longer than traces; content cannot outlive its trace");
	if (b->c->data.ptr != NULL && b->c->data.len == 0)
		build_wrong(
		    b, NULL, root, "data", "is empty; it is the path of a folder");
}

/* ---- plugins ---- */

static bool
read_want(struct build *b, const json_t *item, struct part_want *out)
{
	lz_str path = json_is_string(item) ? lz_strz(json_string_value(item))
					   : json_get_str(item, "path");
	lz_str digest = json_get_str(item, "sha256");

	*out = (struct part_want){ .path = path, .sha256 = digest };
	if (path.len == 0)
		return false;
	if (digest.ptr != NULL && !rule_find("digest")->check(digest))
		return false;
	/* A name is looked for in the plugin folders; a path starts at the file's folder.
	 */
	if (str_find(path, '/') >= 0)
		out->path = build_path(b, path);
	return true;
}

static bool
open_wanted(struct build *b, const json_t *root, const struct part_want *want, size_t n,
    bool strict)
{
	struct err why = { "" };

	if (part_get_ops()->open(want, n, strict, &why) == ST_OK)
		return true;
	build_wrong(b, NULL, root, "plugins", "%s", why.text);
	return false;
}

/* The file's list, or all shipped ones; then what the command line adds. */
bool
plugins_open(struct build *b, const json_t *root)
{
	const json_t *list = json_object_get(root, "plugins");
	bool strict = !str_is(json_get_str(root, "plugin_files"), "warn");
	size_t n = json_array_size(list);
	struct part_want *want;

	if (part_get_ops() == NULL)
		return true;
	want = build_alloc(b, (n + 1) * sizeof(*want));
	if (want == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!read_want(b, json_array_get(list, i), &want[i])) {
			build_wrong(b, NULL, root, "plugins",
			    "item %zu is not a plugin; write NAME, PATH or { path: PATH, "
			    "sha256: 64 digits }",
			    i);
			return false;
		}
	}
	if ((n > 0 || !json_is_array(list)) && !open_wanted(b, root, want, n, strict))
		return false;
	return b->o->plugin_count == 0 ||
	       open_wanted(b, root, b->o->plugins, b->o->plugin_count, strict);
}

/* ---- told to others ---- */

json_t *
sections_schema(void)
{
	json_t *top = options_schema(top_rows, TOP_ROWS, sizeof(lz_option));
	json_t *all = json_incref(json_object_get(top, "properties"));

	json_decref(top);
	for (size_t i = 0; i < SECTIONS; i++)
		(void)json_object_set_new(all, sections[i].name,
		    options_schema(
			sections[i].rows, sections[i].row_count, sizeof(lz_option)));
	return all;
}

json_t *
sections_shown(const json_t *root)
{
	json_t *out = options_shown(top_rows, TOP_ROWS, sizeof(lz_option), root);

	for (size_t i = 0; i < SECTIONS; i++) {
		const json_t *object = json_object_get(root, sections[i].name);

		if (sections[i].is_optional && (object == NULL || json_is_null(object)))
			continue;
		(void)json_object_set_new(out, sections[i].name,
		    options_shown(sections[i].rows, sections[i].row_count,
			sizeof(lz_option), object));
	}
	return out;
}
