/* from.h - what the converters of other gateways' configurations share. Private to cli/.
 *
 * A converter reads one tree and fills a `struct from`: sections of a latenza.yaml as
 * trees, and sentences. Whatever the source says becomes a part of a section, or a
 * sentence of what has no twin, or an error: nothing is dropped without a word. Texts of
 * the source reach the file only through from_text(), which refuses what would be read as
 * a reference, and secrets only through from_secret(), which writes none of them down.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_FROM_H
#define CLI_FROM_H

#include <jansson.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"

struct cli;
struct yaml_source;

enum {
	FROM_WHERE = 300, /* bytes of a place such as model_list[3].litellm_params */
	FROM_NAME = 64,   /* of a provider or a key, with its NUL */
	FROM_VALUE = 300,
	FROM_GUARDRAIL = FROM_NAME + 16 /* of a guardrail's name */
};
#define FROM_EUR_PER_USD 0.92 /* what init writes as fx.eur_per_usd */
#define FROM_ALWAYS      "is always so here; there is nothing to set"

enum from_kind {
	FROM_ERROR,   /* the source is wrong: nothing is written */
	FROM_NO_TWIN, /* what the source says and this gateway does not do */
	FROM_REMARK,  /* it was converted, and somebody should know how */
	FROM_KINDS
};

struct from {
	const char *origin; /* "LiteLLM", for sentences */
	const char *path;   /* of the file that is being read */
	const json_t *root; /* its tree */
	struct yaml_source *source;
	json_t *said[FROM_KINDS]; /* sentences, in the order of the file */
	json_t *providers, *models, *guardrails, *organizations, *keys, *routing, *limits,
	    *log, *retention;
	json_t *guarded;   /* the other gateway's guardrails: names of ours, in lists */
	json_t *variables; /* names of the environment's that are in use */
	json_t *
	    literals; /* a secret that was written out: the variable that stands for it */
	json_t *reserved; /* what no provider may be named */
	json_t *access;   /* groups of models that keys may name; NULL */
	bool has_dollars; /* $NAME and ${NAME} are references there, too */
	bool has_shares;  /* the other gateway divides by weight, no router chooses */
	json_t *plugins;  /* the ones to open; NULL: all */
};

/* What a member of the source is. A table of them ends with a NULL name. */
struct from_member {
	const char *name;
	/* NULL: it was converted; FROM_ALWAYS: a remark; else what to do instead */
	const char *says;
};

/* One vendor, as another gateway calls it. */
struct from_vendor {
	const char *name;
	const char *plugin, *preset; /* both NULL: nobody here speaks to it */
	const char *base_url; /* where the preset has none; NULL: the vendor's own */
	const char *key_variable, *url_variable; /* what the other gateway reads; NULL */
	const char
	    *suffix; /* what an address of the source lacks: "/v1"; NULL: nothing */
	const char *instead; /* of nobody's: its address for OpenAI's dialect; NULL */
	bool needs_url;
};

/* ---- from.c ---- */
/* Reads what --from, FILE and --keys name. CLI_DONE, or an exit code after printing
 * everything that is wrong; f is to be freed in both cases. */
int from_read(const struct cli *c, struct from *f);
void from_free(struct from *f);
/* Prints what has no twin and the remarks, to standard error. */
void from_tell(const struct from *f);

/* ---- from_tree.c: reading ---- */
/* Says "FILE:LINE: WHERE.MEMBER: ..."; member NULL: of the object itself. */
void from_say(struct from *f, enum from_kind kind, const json_t *object,
    const char *member, const char *where, const char *fmt, ...) PRINTF_LIKE(6, 7);
/* Members of an object: NULL and false when absent or null, and, after an error was said,
 * when it is something else. */
const char *from_text(
    struct from *f, const json_t *object, const char *member, const char *where);
const json_t *from_map(
    struct from *f, const json_t *object, const char *member, const char *where);
const json_t *from_list(
    struct from *f, const json_t *object, const char *member, const char *where);
bool from_number(struct from *f, const json_t *object, const char *member,
    const char *where, double least, double *out);
/* Is there nothing said: null, false, "", an empty list or map? */
bool from_is_empty(const json_t *value);
/* Of a member that is not empty. */
void from_say_member(struct from *f, const json_t *object, const char *member,
    const char *where, const struct from_member *known);
/* Says what the table knows of every member, and of the others that they are unknown. */
void from_members(struct from *f, const json_t *object, const char *where,
    const struct from_member *table);
/* Is it a name that a header field may have? Says so if not. */
bool from_is_header(struct from *f, const json_t *object, const char *member,
    const char *where, const char *name);
/* A text as out: a reference to the environment as env:NAME, anything else as it is.
 * false: it is not a reference. */
bool from_reference(struct from *f, const char *text, char out[FROM_VALUE]);
/* All variables that the tree refers to are in use, before any name is made up. */
void from_note_variables(struct from *f, const json_t *value);
/* The same for a secret: one that is written out becomes a variable to set, named after
 * `name`. */
void from_secret(struct from *f, const json_t *object, const char *member,
    const char *where, const char *text, const char *name, char out[FROM_VALUE]);
/* The variable that stands for one secret, by what tells it from others; made up after
 * `name` the first time, and then *is_new. */
const char *from_variable(
    struct from *f, const char *identity, const char *name, bool *is_new);
/* Does the text stand for "no key" with servers that want none? */
bool from_is_no_key(const char *text);
/* a-z, 0-9, - and whatever is in `more`; never empty. */
void from_slug(const char *text, const char *more, char out[FROM_NAME]);

/* ---- from_parts.c: sections ---- */
const struct from_vendor *from_vendor(const struct from_vendor *table, const char *name);
/* Says that `text` is left out, since no plugin is for that vendor, and what to do. v:
 * NULL: nobody knows it. */
void from_say_nobody(struct from *f, const json_t *object, const char *member,
    const char *where, const char *text, const char *vendor, const struct from_vendor *v);
/* The name of a provider that is like this object; added as `name`, `name-2`, ... when
 * there is none. object: taken. The name is the tree's. */
const char *from_provider(struct from *f, const char *name, json_t *object);
/* May it be a name in `models:`? Says so if not; member: where it stands. */
bool from_is_name(struct from *f, const json_t *object, const char *member,
    const char *where, const char *name);
/* Sets plugin or preset, and base_url: url, an address or a reference, or NULL for the
 * vendor's own. false: said. */
bool from_address(struct from *f, const json_t *object, const char *member,
    const char *where, const struct from_vendor *v, const char *url, json_t *provider);
/* Adds a deployment; one that is there gets its weight on top. facts: taken, may be NULL.
 */
void from_deployment(struct from *f, const char *name, const char *provider,
    const char *model, double weight, json_t *facts);
/* Attempts, timeouts: into routing, within its bounds, which is said. */
void from_attempts(struct from *f, const json_t *object, const char *member,
    const char *where, double attempts);
void from_timeout(struct from *f, const json_t *object, const char *member,
    const char *where, double ms);

/* Does it begin as one does? */
bool from_is_address(const char *url);

/* ---- from_guardrails.c ---- */
/* One more instance, under a free name after `text`: of `use`, on these phases (taken).
 * borrowed */
json_t *from_guardrail(struct from *f, const char *text, const char *use, json_t *on,
    char name[FROM_GUARDRAIL]);
/* Sets `url`: the address or reference `base`, with the suffix at its end. false: said.
 */
bool from_endpoint(struct from *f, const json_t *object, const char *member,
    const char *where, const char *base, const char *suffix, json_t *one);
/* Sets a hook's `token` by what is sent as Authorization, and says which fields are not
 * sent. name: of the variable that would stand for a token that is written out. */
void from_hook_headers(struct from *f, const json_t *headers, const json_t *object,
    const char *member, const char *where, const char *name, json_t *one);

/* ---- from_write.c ---- */
void from_write(
    const struct from *f, const char *listen, const char *data, struct buf *out);

/* ---- the origins ---- */
void from_litellm(struct from *f);
void from_litellm_keys(struct from *f);
void from_portkey(struct from *f);
void from_portkey_keys(struct from *f); /* before from_portkey() */

#endif
