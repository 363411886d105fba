/* datadir.h - the data directory: one process at a time, and the keyring.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STORE_DATADIR_H
#define STORE_DATADIR_H

#include "base/crypto.h"

struct datadir {
	char path[3800];
	int lock_fd;
	uint64_t boot; /* this run's number: one more than the last, durable before
			  datadir_open() returns */
};

enum datadir_use {
	DATADIR_SERVE,  /* take the lock; create what is missing, parents and spool/ too
			   (0700); count the boot */
	DATADIR_COMMAND /* take the lock until datadir_close(); the directory must exist;
			   boot is 0 */
};
/* ST_EXISTS: another process holds it, named by its pid. ST_NOT_FOUND, ST_DENIED (others
 * may write to it), ST_INVALID, ST_IO: as the sentence says. [main] */
enum status datadir_open(const char *path, enum datadir_use use, struct datadir *out,
    struct err *e) MUST_CHECK;
void datadir_close(struct datadir *d);
/* "<path>/<name>" into out; ST_LIMIT when too long. */
enum status datadir_file(
    const struct datadir *d, const char *name, char *out, size_t n) MUST_CHECK;

/* <data>/keyring, 0600, made at first use: pepper of key hashes and master key. Refused
 * with a sentence: one that others may read (ST_DENIED), that is damaged (ST_INVALID), or
 * that is missing while the database holds keys made with it (ST_NOT_FOUND). [main] */
struct keyring {
	uint8_t pepper[32], master[32];
};
enum status keyring_open(
    const struct datadir *d, struct keyring *out, struct err *e) MUST_CHECK;

#endif
