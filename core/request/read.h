/* read.h - what the readers of requests share. Private to request/.
 *
 * Each function notes the fault and says STEP_FAULT, or fills in its part and says
 * STEP_NEXT.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef REQUEST_READ_H
#define REQUEST_READ_H

#include "request/request.h"

/* Scans the body, and reads the model. Before everything else. */
enum step read_begin(struct request *r);
/* What every request may say besides its own: headers, user, metadata. */
enum step read_around(struct request *r);
/* A string member, decoded into the arena; absent and null leave *out alone. */
enum step read_string(struct request *r, const char *name, size_t max, lz_str *out);
/* An integer from 1 to max; absent and null leave *out alone. */
enum step read_count(struct request *r, const char *name, int64_t max, int64_t *out);
/* "'param' wanted" */
enum step read_wrong(struct request *r, const char *param, const char *wanted);

static inline bool
read_is_null(const struct jscan_member *m)
{
	return m == NULL || m->type == JSCAN_NULL;
}

#endif
