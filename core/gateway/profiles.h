/* profiles.h - which organisations and assistants are in force: those of the database and
 * those of the file. Private to gateway/; publish.c calls it before it does the keys.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GATEWAY_PROFILES_H
#define GATEWAY_PROFILES_H

#include "gateway/whole.h"

/* At start: those that commands made. */
enum status profiles_load(struct gateway *g, struct db *db, struct err *e) MUST_CHECK;
/* The file's as of g->config; those that it had before and has no more leave. Nothing is
 * changed when one of them was made by command. */
enum status profiles_of_file(
    struct gateway *g, const struct config *before, struct err *e) MUST_CHECK;
/* Writes the file's as rows, and those that left it as disabled; inside a transaction. */
enum status profiles_remember(struct gateway *g, struct db *db, struct err *e) MUST_CHECK;

#endif
