/* live.h - what is known of each target right now: breaker, averages, in-flight. Survives
 * reloads.
 *
 * Keyed by "provider/model"; all workers add to the same atomic cells; policy/ reads,
 * call/ writes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef REQUEST_LIVE_H
#define REQUEST_LIVE_H

#include <stdatomic.h>
#include "config/config.h"

enum {
	LIVE_MODES = 2
}; /* 0 whole answers, 1 streams */

struct live {
	_Atomic int64_t
	    open_until_us;         /* breaker: not tried before (monotonic); 0 closed */
	_Atomic int64_t open_us;   /* for so long it opened the last time; 0: closed */
	_Atomic int64_t shut_us;   /* when it opened last */
	_Atomic int64_t probe_us;  /* open: since when one probe is out; 0 none */
	_Atomic uint32_t failures; /* in a row */
	_Atomic int32_t retries;   /* that are left of its budget, in thousandths */
	_Atomic uint32_t in_flight;
	_Atomic uint64_t samples[LIVE_MODES];
	_Atomic uint64_t ttft_us[LIVE_MODES], us_per_token[LIVE_MODES],
	    total_us[LIVE_MODES];                /* moving averages */
	_Atomic int64_t measured_us[LIVE_MODES]; /* when those were renewed; 0: never */
	/* Averages of what was used: tokens of prompts, and of these from a cache. */
	_Atomic uint64_t prompt_tokens, cached_tokens;
	_Atomic uint32_t error_permille;
	_Atomic uint32_t next_credential;
	char name[200];
};

/* The cells of a target; made at first sight, never freed (their number is the number of
 * names ever configured, and targets that nobody listed share their provider's cell).
 * Never NULL: out of memory gives a shared spare. [any] */
struct live *live_of(const struct target *t);
bool live_is_healthy(
    struct live *l, int64_t now_us); /* closed, or half-open and this caller may probe */
/* Nobody is healthy: may it be probed all the same, before its time? Ten times a second
 * at most. */
bool live_is_last_resort(struct live *l, int64_t now_us);
/* How often any breaker has opened or closed, from 1. [any] */
uint64_t live_changes(void);
int64_t live_open_until_us(struct live *l); /* 0: it is not open */

enum live_start {
	LIVE_BEGUN,
	LIVE_PROBES,    /* begun, and everybody else waits for how it goes */
	LIVE_BUSY,      /* not begun: its breaker is open and another one probes */
	LIVE_NO_RETRIES /* not begun: it fails, its budget of retries is spent, and
			   another one probes */
};
/* An attempt begins: counts it in flight. is_retry: the request has failed somewhere
 * before; at a target that fails, such attempts draw from a budget of a tenth of what it
 * is asked first, and 10 (an outage is not to double its own load). When that is spent
 * they go one at a time, each a probe, until one succeeds: a target that is nobody's
 * first choice earns nothing. */
enum live_start live_begin(struct live *l, int64_t now_us, bool is_retry) MUST_CHECK;
/* LIVE_NO_RETRIES was said: would it be now? */
bool live_may_retry(struct live *l, int64_t now_us);
/* The attempt that probes has brought something: its target is well, however long its
 * stream goes on. */
void live_probe_answers(struct live *l);
/* The attempt that probed is over, whatever live_ended() or live_dropped() is told. */
void live_probe_ended(struct live *l, int64_t now_us, bool has_failed);
/* How an attempt ended, once per live_begin(). is_fault: the target's (5xx, network,
 * timeout), not the caller's. total_us -1: it lives, but the time says nothing (it
 * refused the request). */
void live_ended(struct live *l, int64_t now_us, bool is_fault, bool is_stream,
    int64_t ttft_us, int64_t total_us, int64_t output_tokens);
/* What a prompt counted, cache reads being a part of it. */
void live_used(struct live *l, int64_t prompt_tokens, int64_t cached_tokens);
/* It had not brought a byte after elapsed_us when another one answered: it is at least
 * that slow, and five in a row open its breaker like any failure, or one that hangs would
 * be hedged for ever. Beside live_dropped(). */
void live_overtaken(struct live *l, int64_t now_us, bool is_stream, int64_t elapsed_us);
/* The attempt was given up for reasons of ours or the client's: nothing is learnt. */
void live_dropped(struct live *l);
void live_each(void (*fn)(void *arg, struct live *l),
    void *arg); /* [any] for metrics and `provider list` */

#endif
