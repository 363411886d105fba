/* credential.h - what is known of each of a provider's keys right now, and whose turn it
 * is. Survives reloads.
 *
 * A key that its provider refused rests, and the others take its turns; how long depends
 * on why. What concerns the account (401, a quota) rests the key everywhere; what may
 * concern one model (403, a rate) rests it at that target only. Keyed by provider and
 * fingerprint, so a key that stays in the file keeps its story and a new one has none.
 * policy/ chooses, call/ says how it went.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef REQUEST_CREDENTIAL_H
#define REQUEST_CREDENTIAL_H

#include "request/request.h"

enum {
	CREDENTIAL_PRINT_BYTES = 13 /* 12 hex digits and a NUL */
};

/* A rest, at one target or at all. */
struct credential_rest {
	_Atomic int64_t until_us;  /* monotonic; 0: it does not rest */
	_Atomic int64_t at_us;     /* when it was refused last */
	_Atomic uint32_t in_a_row; /* refusals */
	_Atomic int32_t cause;     /* LZ_UPSTREAM_AUTH, QUOTA or RATE */
};

struct credential {
	char provider[72], print[CREDENTIAL_PRINT_BYTES];
	struct credential_rest rest; /* at all targets */
	_Atomic(void *) at_target;   /* rests at one target each; credential.c's own */
	_Atomic uint64_t attempts, refused, limited;
};

/* What a key may be called where secrets may not stand: a part of a hash of it. [any] */
void credential_print(lz_str secret, char out[CREDENTIAL_PRINT_BYTES]);
/* Does the target have a key that does not rest, or need none? [any] */
bool credential_is_ready(const struct target *t, int64_t now_us);
/* Gives r's newest attempt, whose target is set, the key whose turn it is; not one that
 * r tried there already, nor one that rests, as long as there is another. */
void credential_take(struct request *r, struct attempt *a, int64_t now_us);
/* Is there one more that neither rests nor was tried at t by r? */
bool credential_has_another(
    const struct request *r, const struct target *t, int64_t now_us);
/* How an attempt ended, as its blame says: the key rests, or does not any more. */
void credential_ended(const struct attempt *a, int64_t now_us);
/* The longest rest, at all targets or at one: why, and until when; 0: none. [any] */
int64_t credential_rests_until(const struct credential *c, int32_t *cause);
/* The cell of the provider's i-th key; never NULL. [any] */
struct credential *credential_of(const struct provider *p, size_t i);
void credential_each(void (*fn)(void *arg, struct credential *c), void *arg); /* [any] */

#endif
