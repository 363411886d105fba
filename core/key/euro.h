/* euro.h - private to key/: the sentences about money, for people.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef KEY_EURO_H
#define KEY_EURO_H

#include "key/stage.h"

/* Refuses for the sake of a budget, with its figures and, when it is spent, when it
 * begins anew. STEP_FAULT. */
enum step euro_refuse(struct request *r, struct budget *who, enum fault f);

#endif
