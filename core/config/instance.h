/* instance.h - a named instance of a plugin's component, as `routers` and `guardrails`
 * have them: found by `use`, its options checked, made, or taken over from the
 * configuration before.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CONFIG_INSTANCE_H
#define CONFIG_INSTANCE_H

#include "base/crypto.h"
#include "config/build.h"

struct instance {
	const struct part_info *info;
	const char *name, *where; /* "acme-mask", "guardrails.acme-mask" */
	const json_t
	    *object; /* as the file has it, for places; NULL: a component's own */
	json_t *own; /* its options alone; owned */
	uint8_t digest[CRYPTO_HASH_BYTES]; /* of the options as used */
};

/* The component of that name, a plugin's or ("lua:NAME") a script's. NULL: there is none;
 * near: the nearest name, or absent. */
const struct part_info *instance_component(
    const struct config *c, const char *kind, lz_str use, lz_str *near);
/* The component that `use` of the object names; NULL: told. kind: "router". */
const struct part_info *instance_find(
    struct build *b, const char *kind, const char *where, const json_t *object);
/* The object without the members that `ours` names, NULL-terminated; file: paths made
 * absolute, since the maker does not know the file's folder. NULL is noted. */
json_t *instance_own(struct build *b, const json_t *object, const char *const *ours);
/* Are the options right? Notes what they come to. object NULL: all defaults. */
enum status instance_check(struct instance *m, const json_t *object,
    struct options_context *c, struct err *e) MUST_CHECK;
/* before: its part of the configuration before, with the digest of its options; NULL:
 * there is none. The part, with a reference for the caller; NULL: told, or offline. */
struct part *instance_make(struct build *b, const json_t *root, const struct instance *m,
    struct part *before, const uint8_t *digest_before);
/* A name of an object of the section: complains otherwise. what: "router". */
bool instance_name_is_fine(struct build *b, const char *section, const char *what,
    const json_t *map, const char *name);

#endif
