/* scenes.h - what a gateway is asked to do while something fails.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTS_SCENES_H
#define FAULTS_SCENES_H

#include "faults/stage.h"

struct scene {
	const char *name;
	/* What happens while a call fails. Without failure: VERDICT_RIGHT. */
	enum verdict (*run)(struct stage *s, struct reply *r);
	/* After it, when nothing fails any more; NULL: nothing. false: s->why. */
	bool (*check)(struct stage *s, enum verdict v);
	bool is_cold;  /* starts, or ends, the gateway itself */
	bool is_first; /* needs a process in which it never happened */
};

extern const struct scene scenes[];
extern const unsigned scene_count;

#endif
