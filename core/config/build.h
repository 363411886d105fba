/* build.h - a configuration being built: what the files of config/ share. Private to
 * config/.
 *
 * config_load() makes one `struct build`; each file adds its part and complains into it.
 * Nothing here is seen by a request; nothing outside of the new configuration is changed
 * before everything is found right.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CONFIG_BUILD_H
#define CONFIG_BUILD_H

#include "base/buf.h"
#include "config/config.h"
#include "config/rules.h"
#include "config/yaml.h"

enum {
	CONFIG_ARENA_BYTES = 256 << 20, /* 1 MiB of file cannot need more */
	PROVIDERS_MAX = 1000,
	KEYS_MAX = 10000,
	SLUG_BYTES = 64
};

/* A list of complaints; errors decide, warnings are kept with the configuration. */
struct complaint {
	enum options_severity how;
	const char *text; /* in the configuration's arena */
};

/* What a reference led to. It may be a secret in the wrong place, so no complaint shows
 * it. */
struct found {
	lz_str value; /* in the configuration's arena */
	struct found *next;
};

struct build {
	struct config *c;
	const struct config_options *o;
	struct yaml_source *source;
	const char *folder; /* of the file; NULL: the working directory */
	struct found *found;
	struct complaint *complaint;
	size_t complaint_count, complaint_cap;
	bool is_out_of_memory;
	/* A script of `policies` was refused, and told: what it would have been called is
	 * not known, so nobody is told that it is missing. */
	bool lacks_policies;
};

/* What option rows need, complaining into b. where must live as long as the context is
 * used. */
struct options_context build_context(struct build *b, const char *where);
/* options_apply() whose errors go to the build's list; false: there were some. */
bool build_apply(const lz_option *rows, uint32_t count, const json_t *object, void *self,
    const struct options_context *c);
/* One sentence about object's member (NULL: itself), "FILE:LINE: where.member: ...". */
void build_wrong(struct build *b, const char *where, const json_t *object,
    const char *member, const char *fmt, ...) PRINTF_LIKE(5, 6);
void build_warn(struct build *b, const char *where, const json_t *object,
    const char *member, const char *fmt, ...) PRINTF_LIKE(5, 6);
/* Errors that were added since `mark`, unset secrets included. */
size_t build_errors_since(const struct build *b, size_t mark);
/* What `optional: true` forgives: when nothing but unset secrets is wrong since `mark`,
 * they become warnings that the object is left out. true: it is. */
bool build_forgive(struct build *b, size_t mark);
/* The object, or for null an empty one that stands where `name` of `parent` does; NULL:
 * it is neither. */
const json_t *build_object(struct build *b, const json_t *parent, const char *name);
/* The members that are wanted, at their lines, kept by the configuration. NULL is noted.
 */
json_t *build_copy(
    struct build *b, const json_t *object, bool (*is_wanted)(const char *name));
/* The names of an object's members, NULL-terminated, for options_context.ignore; NULL is
 * noted. */
const char **build_names(struct build *b, const json_t *object);
/* From the configuration's arena, zeroed; NULL is noted. */
void *build_alloc(struct build *b, size_t n);
/* "a/b" relative to the file's folder. Absolute and absent ones stay. NUL-terminated. */
lz_str build_path(struct build *b, lz_str path);
/* Names of objects: [a-z0-9-]+, at most 64 bytes; keys also _ and '.'. */
bool build_is_slug(lz_str name, bool is_key);

/* ---- sections.c: everything but providers and keys ---- */
void sections_read(struct build *b, const json_t *root);
/* Name -> schema, of the sections and of the options beside them. */
json_t *sections_schema(void);
json_t *sections_shown(const json_t *root); /* the same with values */
/* Opens what `plugins` and --plugin name; before sections_read(), whose checks ask for
 * what is open. false: told. */
bool plugins_open(struct build *b, const json_t *root);

/* ---- providers.c, providers_shown.c, routers.c ---- */
extern const lz_option provider_rows[]; /* what the gateway owns of a provider */
extern const uint32_t provider_row_count;
void providers_read(struct build *b, const json_t *providers);
json_t *providers_schema(void);
json_t *providers_shown(const struct config *c);
/* One instance of every router component, the file's named ones, the default strategy. */
void routers_read(struct build *b, const json_t *root);
json_t *routers_schema(void);
json_t *routers_shown(const struct config *c); /* NULL: the file has none */
/* Is there a router of that name? Complains otherwise. */
bool routers_check(struct build *b, const char *where, const json_t *object,
    const char *member, lz_str name);

/* ---- policies.c; before routers_read() and guardrails_read() ---- */
void policies_read(struct build *b, const json_t *root);
void policies_free(struct config *c);
/* The script's component of that kind and name ("lua:canary"). NULL: there is none; near:
 * the nearest, or absent. */
const struct part_info *policies_find(
    const struct config *c, const char *kind, lz_str name, lz_str *near);
json_t *policies_schema(void);
json_t *policies_shown(const struct config *c); /* NULL: the file has none */

/* ---- guardrails.c; before organizations_read() ---- */
void guardrails_read(struct build *b, const json_t *root);
/* Gives each its number in the metrics: last, when nothing is wrong, since a number is
 * taken for the life of the process. */
void guardrails_number(struct config *c);
json_t *guardrails_schema(void);
json_t *guardrails_shown(const struct config *c); /* NULL: the file has none */
/* Are there guardrails of the names that the settings have? Complains otherwise. */
void guardrails_check_names(struct build *b, const char *where, const json_t *object,
    const struct key_settings *s);

/* ---- organizations.c; before keys_read() ---- */
void organizations_read(struct build *b, const json_t *organizations);
json_t *organizations_schema(void);
json_t *organizations_shown(const struct config *c); /* NULL: the file has none */

/* ---- keys.c ---- */
/* What settings of any level say about the rest of the file: strategy, models, log,
 * money.
 */
void keys_check_settings(struct build *b, const char *where, const json_t *object,
    const struct key_settings *s);
/* What they may not say under those of `what`. */
void keys_check_under(struct build *b, const char *where, const json_t *object,
    const struct key_settings *s, const struct key_settings *above, const char *what);
/* False only for a name that nobody serves and nobody knows. */
bool keys_knows_model(const struct build *b, lz_str model);
void keys_read(struct build *b, const json_t *keys);
json_t *keys_file_schema(void);
json_t *keys_shown(const struct config *c);

/* ---- facts.c and catalogue.c ---- */
/* One row of the catalogue or of a provider's list, as the options write it. */
struct model_entry {
	lz_str id, upstream_model, base_model, price_date, price_source, quality_source;
	int64_t context_window, max_output_tokens;
	double price_input_per_mtok, price_output_per_mtok;
	double price_cached_input_per_mtok, price_cache_write_per_mtok,
	    price_cache_write_1h_per_mtok;
	double quality;
	const lz_json *price_tiers;
	lz_list capabilities, aliases;
	int32_t mode, price, deprecated;
};
extern const lz_option model_rows[];
extern const uint32_t model_row_count;

struct catalogue_row {
	struct model_facts facts;
	lz_str upstream_model;
	lz_list aliases; /* its other names; an alias is a row of its own, too */
};
struct vendor {
	lz_str name; /* the plugin's component */
	lz_str env;  /* the variable its key is usually in; absent: needs none */
	bool is_test;
};
struct catalogue {
	struct catalogue_row *row;
	size_t row_count;
	struct vendor *vendor;
	size_t vendor_count;
};
/* The catalogue that the program carries, and over it the file that `catalogue` names.
 * The strings are kept by the configuration. */
void catalogue_read(struct build *b, struct catalogue *out);
const struct vendor *catalogue_vendor(const struct catalogue *k, lz_str name);
const struct catalogue_row *catalogue_find(
    const struct catalogue *k, lz_str vendor, lz_str id);
/* Of any vendor, or of the one before the first slash: "gpt-4o", "openai/gpt-4o". */
const struct catalogue_row *catalogue_find_base(const struct catalogue *k, lz_str name);
/* Facts of one object; known: what the catalogue knows of the id already, may be NULL;
 * base_model takes its place. */
bool model_read(struct build *b, const json_t *object, const char *where,
    const struct catalogue_row *known, struct catalogue_row *out);
/* The name can be a model's: complains otherwise. */
bool model_check_name(struct build *b, const char *where, const json_t *object,
    const char *member, lz_str name);
/* Is it a member of model_rows? */
bool model_is_row(const char *name);
void model_make_free(struct model_facts *f); /* it costs nothing */

/* ---- models.c, model_index.c, model_lookup.c ---- */

struct model_table { /* open addressing, at most half full */
	struct model_name *slot;
	size_t cap; /* a power of two; 0: nothing is found */
};
struct model_index {
	struct catalogue catalogue;
	size_t target_room;
	struct model_name *given; /* names of `models:` */
	size_t given_count;
	struct model_table public; /* of these */
	struct model_table plain;  /* of what providers list and the catalogue knows */
};
/* Reserves room, then the targets of one provider at a time, in file order; then the
 * deployments; then the index. */
void models_begin(struct build *b, const json_t *providers);
void models_add(
    struct build *b, const struct provider *p, const json_t *list, const char *where);
void models_finish(struct build *b);
/* A target at the end of the list; NULL: no memory. Room for it was reserved. */
struct target *models_add_target(
    struct build *b, const struct provider *p, const struct catalogue_row *row);
/* What the provider lists or the catalogue knows under the id; may be NULL. */
const struct target *models_listed(
    const struct config *c, const struct provider *p, lz_str id);
const struct provider *provider_named(const struct config *c, lz_str name);
/* The name in the table; NULL: it is not there. [any] */
const struct model_name *models_find(const struct model_table *t, lz_str name);
/* The name's target of that provider; s may be NULL. [any] */
const struct target *models_target_at(
    const struct model_name *s, const struct provider *p);

/* ---- names.c: the section `models` ---- */
/* Deployments that it has, to reserve room. */
size_t names_count(const json_t *models);
void names_read(struct build *b, const json_t *models);
json_t *names_schema(void);
json_t *names_shown(const struct config *c);

/* ---- config.c ---- */
/* The text of a file of at most 1 MiB. */
enum status build_read_text(const char *path, struct buf *text, struct err *e) MUST_CHECK;

#endif
