/* caller.h - a client that judges what it is told: the true answer, an honest failure, or
 * a lie.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTS_CALLER_H
#define FAULTS_CALLER_H

#include <stdbool.h>
#include <stddef.h>

enum verdict {
	VERDICT_RIGHT,  /* all of it, as it should be */
	VERDICT_FAILED, /* an answer, or an event in a stream, that says so */
	VERDICT_CUT,    /* closed before the end, and it shows */
	VERDICT_WRONG   /* anything else: why[] says what */
};

enum {
	CALLER_BYTES = 1 << 20
};

struct reply {
	int fd; /* -1: closed */
	char wire[CALLER_BYTES + 1];
	size_t len;
	int status; /* 0: no head came */
	char *body; /* decoded, NUL-terminated; in `decoded` */
	char decoded[CALLER_BYTES + 1];
	size_t body_len;
	bool is_complete, is_late;
	char id[33]; /* of the request, hex */
	char why[512];
};

enum verdict wrong(struct reply *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* TCP on this machine; -1. */
int caller_connect(unsigned port);
/* The control socket in a data directory; -1. */
int caller_connect_control(const char *data);
/* Sends a request and reads its answer to its end, the connection's end, or - for
 * `until`, not NULL - until this text came. fd: taken, left open in r->fd with `until`.
 */
void caller_ask(struct reply *r, int fd, const char *method, const char *path,
    const char *key, const char *body, const char *until);
void caller_close(struct reply *r);
void caller_reset(struct reply *r); /* the other side sees a reset */

/* What a chat completion should say: a text, or NULL for the call of a function. */
enum verdict caller_judge_chat(struct reply *r, const char *text);
enum verdict caller_judge_stream(struct reply *r, const char *text);
/* The status (0: any of 2xx) and a text that is in the body. */
enum verdict caller_judge(struct reply *r, int status, const char *holds);
/* Of the control socket: always 200, "status":"ok" or an error with a sentence. */
enum verdict caller_judge_command(struct reply *r, const char *holds);

#endif
