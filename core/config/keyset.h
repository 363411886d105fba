/* keyset.h - the settings of a virtual key, of an assistant and of an organisation, from
 * the file or from a command: one table of members and one parser for all.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CONFIG_KEYSET_H
#define CONFIG_KEYSET_H

#include <jansson.h>
#include "base/arena.h"
#include "base/status.h"
#include "config/options.h"
#include "net/addr.h"

enum {
	KEY_BUDGETS = 6,
	KEY_ALERTS = 8,
	KEY_IPS = 64,
	KEY_ALLOWED = 1000,
	KEY_GUARDRAILS = 32,
	KEY_NAME_BYTES = 200,
	KEY_METADATA = 16,     /* OpenAI's own bound */
	KEY_PROFILE_BYTES = 64 /* of an organisation's or an assistant's name */
};

/* What may be "unlimited": four numbers, and the monthly budget. */
enum key_counter {
	KEY_RATE_LIMIT,
	KEY_MAX_IN_FLIGHT,
	KEY_MAX_OUTPUT_TOKENS,
	KEY_TOKENS_PER_MINUTE,
	KEY_COUNTERS,
	KEY_MONTHLY = KEY_COUNTERS
};

enum key_period {
	PERIOD_DAY,
	PERIOD_WEEK, /* begins on Monday */
	PERIOD_MONTH,
	PERIOD_KINDS
};

enum key_log {
	LOG_CONTENT_INHERIT,
	LOG_CONTENT_FULL,
	LOG_CONTENT_META,
	LOG_CONTENT_OFF
};

struct key_budget {
	enum key_period period;
	int64_t limit_nano_eur;
	uint8_t alert_pct[KEY_ALERTS]; /* rising, 1..100 */
	uint8_t alert_count;
};

/* Whose settings. A key belongs to one organisation and at most one assistant of it. */
enum key_level {
	KEY_LEVEL_KEY,
	KEY_LEVEL_ASSISTANT,
	KEY_LEVEL_ORGANIZATION,
	KEY_LEVELS
};

/* Absent, null and "unlimited" are -1 for the counters: the level above decides, and
 * where none says a number there is no limit. */
struct key_settings {
	lz_str name;
	lz_str organization, assistant; /* of a key; absent: `default`, none */
	lz_str default_model;           /* of an assistant: for requests that name none */
	uint32_t unlimited;             /* says so: a bit for each enum key_counter */
	int64_t rate_limit;             /* requests per minute */
	int64_t rate_burst;             /* how many at once; -1: rate_limit */
	int64_t max_in_flight, max_output_tokens, tokens_per_minute;
	lz_str routing_strategy; /* absent: the file's routing.default */
	bool has_allowlist;
	const lz_str *allow; /* model names, may end in '*' */
	size_t allow_count;
	const lz_str *guardrail; /* names of them, beside those of the levels above */
	size_t guardrail_count;
	/* budget_monthly_eur is the first, when given. */
	struct key_budget budget[KEY_BUDGETS];
	size_t budget_count;
	int64_t expires_at_unix_ms; /* 0: never */
	const json_t *metadata;     /* flat object of strings, the tree's own; or NULL */
	enum key_log log_content;
	struct net_range ip[KEY_IPS]; /* allowed_ips; 0: all */
	size_t ip_count;
	bool show_budget; /* may the answers carry x-latenza-budget-remaining-eur */
};

/* Parses a key object. Members beyond the settings that the caller handles itself are
 * named in `ignore` (NULL-terminated). Errors name the member and, with a source,
 * file:line. Strings live in memory; the tree must live as long. */
enum status key_settings_parse(const json_t *object, const char *where,
    const char *const *ignore, struct arena *memory, struct yaml_source *source,
    struct key_settings *out, struct err *e) MUST_CHECK;
/* The same with a report, for who wants every error of it: c's memory, where, ignore,
 * source, report. [any] */
enum status key_settings_read(const json_t *object, const struct options_context *c,
    struct key_settings *out, struct err *e) MUST_CHECK;
/* The same two for an organisation or an assistant. */
enum status profile_settings_parse(enum key_level level, const json_t *object,
    const char *where, struct arena *memory, struct key_settings *out,
    struct err *e) MUST_CHECK;
enum status profile_settings_read(enum key_level level, const json_t *object,
    const struct options_context *c, struct key_settings *out, struct err *e) MUST_CHECK;
/* May the object's settings stand below `above` (what: "organizations.acme")? Returns the
 * next member, from *at on, that may not, with why; NULL: none is left. A lower level
 * only narrows: it neither lifts a number with "unlimited" nor logs more. */
const char *key_settings_clash(const struct key_settings *s,
    const struct key_settings *above, const char *what, unsigned *at, struct err *e);
/* Is the model in these settings' allowlist? A list that is absent allows all. [any] */
bool key_settings_allow(const struct key_settings *s, lz_str model);
json_t *key_settings_schema(enum key_level level); /* owned */
const char *key_period_name(enum key_period p);    /* "day" "week" "month" */
enum key_counter key_counter(const char *name);    /* must be one of them */
int64_t *key_counter_of(struct key_settings *s, unsigned counter); /* but KEY_MONTHLY */
/* Names of organisations and assistants: 1 to 64 of a-z, 0-9 and -. */
bool key_is_profile_name(lz_str name);

/* Euro as the file writes them (250, 0.5, at most 9 decimals, 0..1e9) to nano-EUR,
 * exactly. */
enum status key_money_parse(
    const json_t *number, int64_t *nano, struct err *e) MUST_CHECK;

#endif
