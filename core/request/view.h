/* view.h - the request as plugins and scripts may see it, beyond the structs that
 * request.h shows.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef REQUEST_VIEW_H
#define REQUEST_VIEW_H

#include "request/request.h"

/* A header of the client's, by any case of its name; absent for those that may carry a
 * secret. */
lz_str request_view_header(const struct request *r, lz_str name);
/* A member of the request's metadata, decoded into memory; absent if there is none.
 * "key.NAME" is NAME of the key's own, and of nobody else's; it lives as long as r. */
lz_str request_view_metadata(const struct request *r, lz_str key, struct arena *memory);
/* Adds or replaces a member of the metadata that the trace carries. ST_INVALID: not
 * UTF-8, or too long. ST_LIMIT: there are too many. */
enum status request_view_tag(struct request *r, lz_str key, lz_str value) MUST_CHECK;
/* Puts them back into metadata that was read anew. ST_NOMEM. */
enum status request_view_keep_tags(struct request *r) MUST_CHECK;

#endif
