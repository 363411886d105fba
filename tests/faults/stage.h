/* stage.h - a whole gateway in this process, with what is asked of it after every fault:
 * nothing in flight, nothing reserved, the books agree, and the next request is served.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTS_STAGE_H
#define FAULTS_STAGE_H

#include <pthread.h>
#include <semaphore.h>

#include "cli/running.h"
#include "faults/caller.h"

enum {
	STAGE_IDS = 256
};

struct stage {
	char dir[64], config[96], data[96];
	unsigned provider_port;

	struct running running;
	pthread_t main;
	sem_t started;
	int code; /* of running_start() */
	bool is_running;
	unsigned port, admin_port;
	unsigned turn; /* which of two configurations is in force: see stage_turn() */

	/* Answers that came whole and right: each must be in the books. */
	char id[STAGE_IDS][33];
	unsigned ids;

	bool is_made;        /* the scene's key was confirmed */
	unsigned serial;     /* of whatever needs a new name */
	struct reply *reply; /* the scene's */
	struct reply *probe; /* the checks' */
	char why[1200];      /* what is wrong */
};

#define STAGE_KEY  "survive-key-0123456789"
#define STAGE_POOR "survive-poor-0123456789"
/* With guardrails: `two` and `Count` are masked as 2, who says `forbidden` is refused. */
#define STAGE_WATCHED      "survive-watched-0123456789"
#define STAGE_WATCHED_TEXT "one 2 three"
/* The same of one who thinks about it; one who sends to the model `fresh` instead; one
 * who is content with no answer that says `two`. */
#define STAGE_PATIENT "survive-patient-0123456789"
#define STAGE_MOVED   "survive-moved-0123456789"
#define STAGE_AGAIN   "survive-again-0123456789"
extern const char *const stage_turn_key[2];

/* Once in a process: everything that main.c does before the command line. */
void stage_seat_libraries(void);
void stage_open(struct stage *s, unsigned provider_port); /* a directory, the file */
/* Ends it; from now on it stands in a new, empty directory. */
void stage_open_again(struct stage *s);
void stage_write_config(struct stage *s, unsigned turn);
bool stage_start(struct stage *s); /* false: it said that it cannot */
void stage_stop(struct stage *s);
/* Runs fn as the gateway's main thread would, and waits. */
void stage_as_main(void (*fn)(void *arg), void *arg);
/* The answer was right: it must be found in the books later. */
void stage_acknowledge(struct stage *s, const struct reply *r);
/* Waits for what goes on to end; then nothing may be in flight, reserved or open, and a
 * request must be served. false: why[]. */
bool stage_is_well(struct stage *s);
/* spent = charges = traces, and every acknowledged answer is among them. */
bool stage_books_agree(struct stage *s);
/* Which of the two configurations serves? -1: none, or both. */
int stage_turn(struct stage *s);
/* Requests of scenes: they fill in s->reply. */
enum verdict stage_chat(
    struct stage *s, struct reply *r, const char *key, const char *model, bool is_stream);
enum verdict stage_command(struct stage *s, struct reply *r, const char *name,
    const char *args, const char *holds);
/* Whatever the storage has waiting is in the database afterwards, if it can. */
void stage_store(struct stage *s);

#endif
