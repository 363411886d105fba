/* from_portkey.h - between the files that convert a gateway config of Portkey. Private to
 * them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_FROM_PORTKEY_H
#define CLI_FROM_PORTKEY_H

#include "cli/from.h"

/* Of a table of members: it was converted. */
#define PORTKEY_TAKEN(name)                                                              \
	{                                                                                \
		name, NULL                                                               \
	}
#define PORTKEY_PARAMS                                                                   \
	"is sent with every request there and not here; callers send it themselves"

struct portkey_walk {
	struct from *f;
	const char *name; /* in models:; the config's, or a target's of conditions */
	double share;     /* of what comes first; 0: only after others */
	double retries, timeout_ms;
};

/* ---- from_portkey.c ---- */
/* Members may be written either way: virtual_key, virtualKey. */
/* The name that stands there. */
const char *portkey_written(const json_t *object, const char *name, char out[FROM_NAME]);
const char *portkey_text(
    struct from *f, const json_t *object, const char *name, const char *where);
json_t *portkey_value(const json_t *object, const char *name);
/* from_members() for such. */
void portkey_members(struct from *f, const json_t *object, const char *where,
    const struct from_member *table);

/* One guardrail of a list. */
struct portkey_hook {
	struct from *f;
	const json_t *object;
	const char *phase; /* "request", "response" */
	char where[FROM_WHERE], name[FROM_NAME];
	bool denies, is_async;
};

/* ---- from_portkey_checks.c ---- */
/* Where a check stands: the member of an object that names it, and its parameters. */
struct portkey_place {
	const json_t *object;
	const char *member, *where; /* of the object */
	const char *parameters;     /* under where */
};
/* Becomes an instance, or is told. check: its parameters. */
void portkey_check(const struct portkey_hook *h, const char *id, const json_t *check,
    const struct portkey_place *p);

/* ---- from_portkey_guardrails.c ---- */
/* Those of a node become instances, or are told. */
void portkey_guardrails(struct from *f, const json_t *node, const char *where);

/* ---- from_portkey_target.c ---- */
/* A node without targets: its provider, and its model as a deployment of w->name. */
void portkey_target(struct portkey_walk *w, const json_t *node, const char *where);

#endif
