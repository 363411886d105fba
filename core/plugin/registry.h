/* registry.h - plugins: found, checked, opened, listed; their components made into parts.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLUGIN_REGISTRY_H
#define PLUGIN_REGISTRY_H

#include "base/buf.h"
#include "config/part.h"

/* Registers plugin/ as the maker of parts. dirs: where plugins are looked for by name, in
 * order, NULL-terminated, kept: registry_default_dirs() as a rule. [start] */
void registry_start(const char *const *dirs);
/* $LATENZA_PLUGIN_PATH, the build tree when the program runs from one, libdir. Owned by
 * the process. [start] */
const char *const *registry_default_dirs(const char *argv0);

/* Opens one file and says what is wrong with it, each refusal in its own sentence. A name
 * is looked for in the directories; what has a slash or ends in ".so" is a path, and is
 * tried in a child process first. sha256: hex; absent: unchecked. is_named_by_person:
 * owner and mode only warn. ST_OK: opened (or was open). [main] */
enum status registry_open(lz_str name_or_path, lz_str sha256, bool strict,
    bool is_named_by_person, struct err *e) MUST_CHECK;
/* A component that is no plugin's file: a script. It is one plugin by name, in logs,
 * metrics and the stall meter. */
struct offer {
	const lz_component *component; /* kept until release() */
	/* "lua:canary": also the name by which it is used. These are copied. */
	const char *name, *version, *license, *file;
	void *origin;
	/* An instance (zeroed) is about to get its options and init(). [main] */
	void (*seat)(void *origin, void *instance, const lz_host *host);
	/* Neither anybody who asked for it nor an instance refers to it any more. [main]
	 */
	void (*release)(void *origin);
};
/* owned: one reference, registry_offer_unref(). It is in no list: who has it uses it.
 * NULL: its tables are refused, e; origin is still the caller's. [main] */
const struct part_info *registry_offer(const struct offer *o, struct err *e) MUST_CHECK;
void registry_offer_ref(const struct part_info *info);   /* [main] */
void registry_offer_unref(const struct part_info *info); /* [main] */
void *registry_origin(const struct part_info *info);     /* of an offered one */
/* The file behind a name or a path: absolute, not resolved itself. [main] */
enum status registry_path(
    lz_str name_or_path, char *out, size_t n, struct err *e) MUST_CHECK;
/* All plugins in the directories; for `plugin list`. Nothing of them runs. problem: why
 * it would not be opened under `plugin_files: strict`; NULL: it would be. [main] */
void registry_each_file(
    void (*fn)(void *arg, const char *path, const char *problem), void *arg);
/* The metrics of all plugins, in Prometheus text; to be printed behind metric_print().
 * [any] */
void registry_print_metrics(struct buf *out);

#endif
