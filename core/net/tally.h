/* tally.h - how many connections each address has. Private to net/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NET_TALLY_H
#define NET_TALLY_H

#include "net/server.h"

struct tally;
struct tally_entry;

struct tally *tally_new(void); /* one reference; NULL: out of memory */
struct tally *tally_ref(struct tally *t);
/* The last one frees it; nobody may be counted any more. NULL is fine. */
void tally_unref(struct tally *t);
/* Counts one more. NULL: the address has `max` already, or memory is out. owned:
 * tally_leave(). [any] */
struct tally_entry *tally_join(struct tally *t, const uint8_t address[16], unsigned max);
void tally_leave(struct tally_entry *entry); /* NULL is fine. [any] */

#endif
