/* providers_read.h - one provider while it is read, for providers.c and
 * providers_settle.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CONFIG_PROVIDERS_READ_H
#define CONFIG_PROVIDERS_READ_H

#include "config/build.h"

enum {
	PROVIDER_WHERE_BYTES = 160
};

/* By provider_rows. */
struct provider_values {
	lz_str plugin, preset, base_url, url_path, auth_header, region, proxy, ca_file;
	lz_list api_keys, drop;
	const lz_json *models, *headers, *url_query;
	int32_t price, test, http2, optional;
	int64_t connect_timeout_ms, first_byte_timeout_ms, idle_timeout_ms;
};

struct provider_reading {
	struct build *b;
	const json_t *object;
	char where[PROVIDER_WHERE_BYTES];
	struct provider_values v;
	struct provider *p;
	const struct vendor *vendor; /* NULL: the catalogue does not know the plugin */
	json_t *preset;              /* NULL: none; owned */
	bool has_own_url;            /* the file's, not the preset's */
	json_t *own;                 /* the plugin's members */
};

#define WRONG(r, member, ...)                                                            \
	build_wrong((r)->b, (r)->where, (r)->object, (member), __VA_ARGS__)

/* Fills in what the gateway owns of r->p, of r->v and the plugin's usual ways. Complains
 * of what cannot be. (providers_settle.c) */
void provider_settle(struct provider_reading *r);

#endif
