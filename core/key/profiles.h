/* profiles.h - organisations and assistants in memory: what their keys inherit, and the
 * budgets that bind all of them together.
 *
 * Published one by one, like keys: a change of an organisation touches none of its keys.
 * A key points to a place of that name, which stays; a worker takes what stands there
 * now.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef KEY_PROFILES_H
#define KEY_PROFILES_H

#include <stdatomic.h>
#include "key/grace.h"
#include "key/ledger.h"

enum {
	PROFILES_MOST = 100000,                       /* names ever */
	PROFILES_ID_BYTES = 2 * KEY_PROFILE_BYTES + 1 /* "acme/support" */
};
#define PROFILES_DEFAULT "default" /* always there, with or without settings */

struct profiles;

struct profile {
	atomic_uint refs;
	lz_str id;           /* "acme", "acme/support" */
	lz_str organization; /* "acme" */
	lz_str assistant;    /* "support"; absent: it is the organisation itself */
	struct key_settings settings;
	bool is_disabled, is_from_file;
	bool is_built_in; /* `default`, which nobody declared */
	/* In ledger order; [1]: play money, that test keys spend. */
	struct budget *budget[2][KEY_BUDGETS];
	size_t budget_count;
};

struct profile_place {                 /* never freed while the process runs */
	_Atomic(struct profile *) now; /* NULL: there is none of that name */
	size_t hash;
	char id[];
};

/* grace: borrowed. NULL: out of memory. [main] */
struct profiles *profiles_new(struct ledger *ledger, struct grace *grace);
void profiles_free(struct profiles *p); /* after grace_free() */
/* The place of that name, made at first asking. NULL: out of memory, or too many. [main]
 */
struct profile_place *profiles_place(
    struct profiles *p, lz_str organization, lz_str assistant);
/* What stands there, with a reference taken; NULL: nothing. [worker] */
struct profile *profile_take(struct profile_place *place);
void profile_unref(struct profile *p); /* [any]; NULL is fine */

struct profile_wanted {
	lz_str organization, assistant; /* assistant absent: the organisation */
	const json_t *settings;         /* object as profile_settings_parse() takes it */
	bool is_disabled, is_from_file, is_built_in;
};
/* Adds or replaces one; takes effect with the next request, and not at all on failure.
 * Its budgets have the scopes "org:ACME", "assistant:ACME/SUPPORT", and the same with
 * "test-" before them. ST_INVALID: name or settings; ST_LIMIT; ST_NOMEM. [main] */
enum status profiles_put(
    struct profiles *p, const struct profile_wanted *w, struct err *e) MUST_CHECK;
/* Keys of it are refused from now on; `default` loses its settings only. ST_NOT_FOUND,
 * ST_NOMEM. id: "acme", "acme/support". [main] */
enum status profiles_remove(struct profiles *p, lz_str id) MUST_CHECK;
/* NULL: none. Until the next change. [main] */
const struct profile *profiles_get(struct profiles *p, lz_str id);
/* All of them, in no order. [main] */
void profiles_each(
    struct profiles *p, void (*fn)(void *arg, const struct profile *one), void *arg);
/* "acme/support" to its two names. false: it is no such id. [any] */
bool profiles_split(lz_str id, lz_str *organization, lz_str *assistant);

#endif
