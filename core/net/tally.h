/* tally.h - how many connections each address has. Private to net/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NET_TALLY_H
#define NET_TALLY_H

#include "net/server.h"

struct tally;
struct tally_entry;

struct tally *tally_new(void); /* owned: tally_free(); NULL: out of memory */
void tally_free(struct tally *t);
/* Counts one more. NULL: the address has `max` already, or memory is out. owned:
 * tally_leave() */
struct tally_entry *tally_join(struct tally *t, const uint8_t address[16], unsigned max);
void tally_leave(struct tally_entry *entry); /* NULL is fine */

#endif
