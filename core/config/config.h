/* config.h - latenza.yaml, built and checked: one immutable, counted snapshot.
 *
 * config_load() builds everything new before anything is swapped; a bad file changes
 * nothing. Parts whose inputs did not change are shared with the snapshot before. Workers
 * each hold a reference and pass it to their requests.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/buf.h"
#include "base/log.h"
#include "config/keyset.h"
#include "config/options.h"
#include "config/part.h"

/* Prices of a longer prompt, pico-USD per token; what the tier does not change is the
 * model's own. */
struct price_tier {
	int64_t above; /* tokens of prompt, cached ones included */
	int64_t input, output, cache_read, cache_write, cache_write_1h; /* -1: unknown */
};

/* A model's own facts, from the catalogue or the file. */
struct model_facts {
	lz_str id; /* canonical: "gpt-4o" */
	/* Of the catalogue: the plugin whose providers serve it; of the file: absent. */
	lz_str vendor;
	int64_t context_window, max_output_tokens; /* -1: unknown */
	/* pico-USD per token; -1: unknown. Free is 0. */
	int64_t price_input, price_output, price_cache_read, price_cache_write;
	int64_t price_cache_write_1h; /* of what is kept for an hour; -1: as the others */
	const struct price_tier *tier; /* rising */
	size_t tier_count;
	lz_str price_date, price_source; /* absent: not told */
	uint32_t capabilities;           /* LZ_CAN_* */
	bool knows_capabilities;         /* false: nothing is excluded for a capability */
	double quality;                  /* 0..1; -1 unknown */
	lz_str quality_source;           /* absent: not told */
	bool is_embedding;
	bool is_deprecated; /* its vendor ends it: reached by its name only */
	bool is_any_mode;   /* nobody described it: it may chat, and it may embed */
};

struct provider {
	lz_str name; /* the key in the map */
	unsigned line;
	const struct part_info *info; /* the plugin's component */
	struct part *part;            /* its instance; NULL when loaded with is_offline */
	uint8_t options_digest[32];   /* equal digest and info = equal part */
	lz_str base_url;              /* no trailing slash; never absent */
	lz_str path;        /* behind it; {model} stands for the model; absent: none */
	lz_str query;       /* "?a=b", escaped; absent: none */
	lz_str auth_header; /* the field that is the key; absent: authorization: Bearer */
	const lz_str *drop; /* members of a request that it does not take */
	size_t drop_count;
	const lz_str *api_keys; /* secrets */
	size_t api_key_count;
	/* As many; each is set once, by request/credential. NULL: looked up each time. */
	_Atomic(void *) *credential;
	const lz_header *headers; /* sent with every call; secrets */
	size_t header_count;
	bool is_test, is_free, wants_http2;
	bool is_local_only; /* base_url is "echo:": nothing is ever sent out */
	lz_str region;
	const char *proxy;   /* NULL: none */
	const char *ca_file; /* NULL: the system's */
	/* 0: routing's, or the gateway's own */
	unsigned connect_timeout_ms, first_byte_timeout_ms, idle_timeout_ms;
};

/* One candidate: a model at a provider. Immutable but for the last two members. */
struct target {
	const struct provider *provider;
	const struct model_facts *model; /* never NULL; its facts may be unknown */
	lz_str upstream_model;
	/* Under a name of `models:`; model->id is that name. Others weigh 1. */
	bool is_deployment;
	double weight;
	/* Has a name in `models:` taken its place? Then provider/model reaches it. */
	bool is_shadowed;
	bool is_any; /* latenza/<strategy> may choose it */
	/* The same model of the same provider at the same price under another name, which
	 * latenza/<strategy> takes instead where it is allowed. NULL: none. */
	const struct target *twin;
	_Atomic(void *) live;  /* set once by request/live */
	_Atomic uint32_t turn; /* of a name's first deployment: requests so far */
};

/* Who of a long list lives, as policy/standing.c saw it last; set after the fact. */
struct config_standing {
	atomic_flag is_busy;
	uint64_t changes;            /* live_changes() then; 0: not looked at yet */
	const struct target **order; /* the living, then the others */
	size_t living, next;         /* next: of the others */
};

/* What a request may ask for by one word, and who serves it. */
struct model_name {
	lz_str id;
	const struct target *const *target; /* in file order */
	size_t count;
	struct config_standing *standing; /* NULL: the list is short */
};

/* How a guardrail takes a streamed answer. */
enum guardrail_stream {
	GUARDRAIL_PIECES, /* as it grows */
	GUARDRAIL_HOLD,   /* whole, held back until then */
	GUARDRAIL_AFTER   /* whole, when it is out */
};
enum {
	GUARDRAILS = 200
};

struct guardrail {
	lz_str name;
	unsigned counted_as; /* metric_name() of it */
	const struct part_info *info;
	struct part *part; /* NULL when loaded with is_offline */
	uint8_t options_digest[32];
	uint32_t phases; /* LZ_REQUEST, LZ_RESPONSE */
	bool is_open;    /* on_error */
	bool is_monitor;
	bool is_default; /* for every request */
	enum guardrail_stream stream;
	unsigned deadline_ms;
};

struct config_limits {
	int64_t body_bytes, in_flight, head_bytes, connections, connections_per_address,
	    answer_bytes;
	int64_t head_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms;
};

struct config_key {    /* declared in the file */
	lz_str id;     /* slug */
	lz_str secret; /* resolved; absent when secret_sha256 is used */
	uint8_t sha256[32];
	bool has_sha256, is_test;
	unsigned line;
	const json_t *tree; /* the object as written, secret members left out */
	struct key_settings settings;
};

struct config_profile { /* an organisation or an assistant, declared in the file */
	lz_str organization, assistant; /* assistant absent: the organisation itself */
	unsigned line;
	const json_t *tree; /* the object as written, without its assistants */
	struct key_settings settings;
};

struct config {
	atomic_uint refs;
	struct policy *policy; /* scripts: config/policy.h */
	size_t policy_count;
	struct arena *memory;
	json_t *tree; /* the file as JSON, secrets as written (env:… stays a reference) */
	char *path;   /* NULL: built-in */
	uint8_t digest[32]; /* of the file's bytes */
	struct net_addr listen[8];
	size_t listen_count;
	struct net_addr admin_listen;
	bool has_admin;
	struct net_range trusted_proxy[64];
	size_t trusted_proxy_count;
	struct config_limits limits;
	lz_str data;                 /* directory */
	lz_str master_secret;        /* absent: the keyring's */
	int64_t fx_nano_eur_per_usd; /* 0: not given: models count as unpriced */
	lz_str fx_date;
	bool plugin_files_strict;
	unsigned workers; /* 0: one per CPU */
	enum log_level log_level;
	struct provider *provider;
	size_t provider_count;
	/* Grouped by provider, in file order; then the deployments of `models:`. */
	struct target *target;
	size_t target_count;
	const struct target **any; /* those of latenza/<strategy> */
	size_t any_count;
	struct config_standing *any_standing; /* as a name's */
	const struct model_name *name; /* `models:` first; in file order, each once */
	size_t name_count;
	lz_str catalogue; /* path of the installation's own; absent: none */
	uint8_t catalogue_digest[32];
	struct guardrail *guardrail; /* in file order */
	size_t guardrail_count;
	/* Of each router component open one that is named as it is, then the file's
	 * named ones. Offline none is made, and only their names are known. */
	struct part **router;
	uint8_t (*router_digest)[32]; /* of the options that each was made with */
	lz_str *strategy;             /* the names */
	size_t router_count, strategy_count;
	lz_str default_strategy;
	unsigned attempts, timeout_ms, first_byte_timeout_ms, idle_timeout_ms,
	    stream_timeout_ms;
	unsigned backoff_ms, retry_wait_ms, hedge_after_ms,
	    sticky_ms; /* the last two 0: off */
	int64_t keep_traces_ms, keep_content_ms;
	unsigned ledger_uncertain; /* enum db_uncertain's values: input, bound, zero */
	unsigned ledger_sync_ms;
	lz_str timezone; /* IANA, of budget periods; read at start only */
	enum key_log log_content;
	struct config_profile *profile; /* an organisation before its assistants */
	size_t profile_count;
	struct config_key *key;
	size_t key_count;
	size_t warning_count;
	char **warning;             /* "latenza.yaml:12: …" */
	struct model_index *models; /* config/models' own */
	json_t *keep; /* what strings and JSON values of the structs above point into */
	struct config *next; /* config_reap()'s */
};

struct config_options {
	/* NULL: no file: defaults. Relative paths in the file start at its folder. */
	const char *path;
	lz_str text;                     /* instead of a file, when ptr is set (demo) */
	const char *listen;              /* --listen replaces the file's */
	const struct part_want *plugins; /* --plugin adds to the file's */
	size_t plugin_count;
	bool is_offline; /* check form only: nothing is resolved, no part is made */
	/* The section `policies` alone, whatever else the file says; no script is loaded.
	 * For who opens scripts as this file would. */
	bool only_policies;
	bool is_quiet;               /* errors alone are logged, whatever the file says */
	const struct config *before; /* parts are shared with it; may be NULL */
	/* For a gateway: a script that is refused is an event, and where there is no
	 * `before`, its last good version from the data directory takes its place. */
	bool is_served;
	const char *data; /* the data directory instead of the file's; NULL: the file's */
};

/* Builds a configuration. The file is checked to its end even when it is wrong early.
 * NULL with a sentence "FILE:LINE: what; what would be right". `errors`, when not NULL,
 * receives every error found, one per line. owned: one reference. [main] */
struct config *config_load(
    const struct config_options *o, struct buf *errors, struct err *e);
void config_ref(struct config *c); /* [any] */
/* NULL is fine. After the last reference it waits for config_reap(). [any] */
void config_unref(struct config *c);
/* Frees what has no reference left and gives its parts back. [main] */
void config_reap(void);

/* Where the file is looked for: what is given, $LATENZA_CONFIG, ./latenza.yaml, XDG's,
 * /etc/latenza. false: nowhere; out then holds the places looked at. */
bool config_find(const char *given, char *out, size_t n);
/* NULL: there is none of that name. [any] */
const struct guardrail *config_guardrail(const struct config *c, lz_str name);
/* What it effectively does, as members of `out`: guardrail, component, plugin, on,
 * on_error, mode, deadline_ms, stream (null: it does not look at answers), default_on. */
void config_guardrail_facts(const struct guardrail *g, json_t *out);
/* JSON Schema of the whole file, with the options of the plugins that are open; owned. */
json_t *config_schema(void);
/* As used: defaults filled in, secrets as references or "***"; owned. */
json_t *config_shown(const struct config *c);
/* What a reload from `a` to `b` would change, one line each:
 * "+ providers.local", "~ keys.backend.rate_limit 120 -> 60". */
void config_diff(const struct config *a, const struct config *b, struct buf *out);

/* ---- models.c ---- */
/* Targets of a name, in file order: one of `models:`; else one that a provider lists or
 * the catalogue knows, dated or not; else provider/model. `made` gives room for a target
 * that nobody listed, whose facts go into memory; without both there is none. 0: unknown
 * name. [any] */
size_t config_targets(const struct config *c, lz_str model, const struct target **out,
    size_t max, struct target *made, struct arena *memory);
/* The name with its list, if that is how `model` is known. NULL: it is not. [any] */
const struct model_name *config_name(const struct config *c, lz_str model);
/* Names that are served and close to `model`, nearest first: up to max. [any] */
size_t config_near_models(const struct config *c, lz_str model, lz_str *out, size_t max);
/* Does the provider's plugin serve this route: "chat", "embeddings"? [any] */
bool config_serves(const struct provider *p, lz_str route);
/* NULL: the file declares none. assistant absent: the organisation. [any] */
const struct config_profile *config_profile(
    const struct config *c, lz_str organization, lz_str assistant);
/* NULL: none of that name. [any] */
const struct part *config_router(const struct config *c, lz_str name);
/* Is there a strategy of that name? Known offline, too. [any] */
bool config_has_strategy(const struct config *c, lz_str name);

#endif
