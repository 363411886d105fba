/* seam.h - makes the k-th call of a kind fail, in one kind of the gateway's threads.
 *
 * The calls are those of base/mem.h (and with it libcurl's, SQLite's, jansson's and
 * libevent's allocations), of base/io.h, of SQLite's own table of system calls, and the
 * allocations of libyaml and OpenSSL, which ask nobody but malloc(): this program has one
 * of its own, which looks who calls.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTS_SEAM_H
#define FAULTS_SEAM_H

#include <stdbool.h>

enum seam_call {
	SEAM_MEMORY,
	SEAM_LIBRARY, /* an allocation of libyaml's or OpenSSL's */
	SEAM_READ,    /* read, pread: EIO */
	SEAM_WRITE,   /* write, writev, pwrite: ENOSPC */
	SEAM_SYNC,    /* fsync, fdatasync: EIO */
	SEAM_OPEN,    /* EMFILE */
	SEAM_FILE,    /* ftruncate, rename, unlink: EIO */
	SEAM_ACCEPT,  /* EMFILE */
	SEAM_RECV,    /* ECONNRESET */
	SEAM_SEND,    /* sendmsg: ECONNRESET */
	SEAM_CALLS
};

enum seam_thread {
	SEAM_WORKER,
	SEAM_MAIN, /* and whatever has no name of its own */
	SEAM_STORAGE,
	SEAM_POOL,
	SEAM_THREADS
};

struct seam_plan {
	enum seam_call call;
	enum seam_thread thread;
	unsigned k;      /* from 1; 0: nothing fails, all is counted */
	bool is_lasting; /* once reached, every later call of the kind fails, in any
			    thread; of accept, the next two */
};

const char *seam_call_name(enum seam_call c);
const char *seam_thread_name(enum seam_thread t);
/* Before the gateway's threads start. */
void seam_install(void);
/* The calling thread is the test's own: nothing of it fails or counts. */
void seam_exempt(void);
void seam_arm(const struct seam_plan *p);
/* true: something failed. */
bool seam_disarm(void);
/* Since seam_arm(). */
unsigned seam_count(enum seam_call c, enum seam_thread t);

#endif
