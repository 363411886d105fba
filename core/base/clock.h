/* clock.h - the only source of time; tests inject their own.
 *
 * Timers use the monotonic half, periods and records the wall half. A loop reads the
 * clock once per turn (loop_now()); other threads call clock_read() themselves.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct moment {
	int64_t mono_us; /* CLOCK_MONOTONIC */
	int64_t unix_ms; /* CLOCK_REALTIME */
};

void clock_read(struct moment *m); /* [any] */
int64_t clock_mono_us(void);       /* [any] a fresh reading, for measuring overhead */
int64_t clock_unix_ms(void);       /* [any] */
/* NULL: the system's clock again. [start], tests */
void clock_set_source(void (*read)(struct moment *m));

/* "2026-11-22T16:01:10.123Z" into out[25]. [any] */
void clock_format(int64_t unix_ms, char out[25]);

#endif
