/* key.h - private to keys: one key, from what is wanted to what is published.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef KEY_KEY_H
#define KEY_KEY_H

#include "key/grace.h"
#include "key/keys.h"

/* A key of one reference, without live state and budgets. Everything is copied into one
 * piece of memory. NULL: out of memory. */
struct key *key_new(const struct key_wanted *w, const struct key_settings *settings);
/* Gives up the reference that the table had, once nobody can be about to take one. The
 * key is unpublished. */
void key_leave(struct key *k, struct grace *grace);

#endif
