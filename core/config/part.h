/* part.h - a configured thing that outlives reloads when its inputs did not change: a
 * plugin component's instance.
 *
 * config/ decides what is wanted (kind, component, name, options); plugin/ (and later
 * lua/) knows how to make it and registers part_ops. A part is immutable and counted; a
 * request holds the parts it uses through its config.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CONFIG_PART_H
#define CONFIG_PART_H

#include <jansson.h>
#include <stdatomic.h>
#include "base/status.h"
#include "base/str.h"

/* What a component is, as the configuration needs to know it. Static for the life of the
 * process. */
struct part_info {
	const char *kind; /* "provider", "router", ...: without the revision */
	const char *name; /* as the file writes it */
	const char *summary;
	const char *plugin; /* the plugin's name, version, licence and file */
	const char *version, *license, *file;
	const lz_option *options; /* stride option_size */
	uint32_t option_count, option_size;
	/* Of a provider: where its vendor is found; NULL: the file must say it. */
	const char *base_url;
	const char *routes; /* likewise: what it serves, by word; NULL: chat */
	uint32_t phases;    /* of a guardrail: LZ_REQUEST, LZ_RESPONSE */
	bool streams;       /* likewise: it works on a growing text */
	bool has_host;      /* false: this build has no host for the kind yet */
	void *component;    /* plugin/'s own */
};

struct part {
	atomic_uint refs;
	const struct part_info *info;
	char *name;      /* the instance's, NUL-terminated */
	json_t *options; /* as make() got them */
	void *instance;  /* what the plugin's functions get as `self` */
	void *own;       /* plugin/'s own */
};

struct part_want {
	lz_str path;             /* NAME or PATH */
	lz_str sha256;           /* hex; absent: unchecked */
	bool is_named_by_person; /* from the command line: file checks only warn */
};

struct part_ops {
	/* Opens plugins that are not open yet; `strict`: plugin_files: strict. On failure
	 * nothing of the list is forgotten that was open before. count 0: all shipped
	 * ones. [main] */
	enum status (*open)(
	    const struct part_want *want, size_t count, bool strict, struct err *e);
	/* NULL: there is none among the opened plugins. near (may be NULL): the nearest
	 * name. [main] */
	const struct part_info *(*find)(const char *kind, lz_str name, lz_str *near);
	/* i-th component opened, in order; NULL at the end. [main] */
	const struct part_info *(*at)(size_t i);
	/* Parses options by the rows, makes the instance, runs init. options: borrowed,
	 * an object; `where` prefixes errors ("providers.openai"). owned: one reference.
	 * [main] */
	struct part *(*make)(const struct part_info *info, const char *name,
	    const json_t *options, const char *where, struct err *e);
	/* The last reference is gone: fini. [main] */
	void (*destroy)(struct part *p);
};

void part_set_ops(const struct part_ops *ops); /* [start] */
const struct part_ops *part_get_ops(void);
void part_ref(struct part *p);
void part_unref(struct part *p); /* the last one: destroy(). [main]; NULL is fine */

#endif
