/* enter.h - a call begins, a function of the plugin runs, the call is closed: what every
 * visit does every time, and so without a function of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLUGIN_ENTER_H
#define PLUGIN_ENTER_H

#include "base/json.h"
#include "plugin/host.h"

static inline lz_call *
call_of(struct visit *v)
{
	return (lz_call *)(void *)v;
}

/* A new call. memory: what lives as long as the visit (build), or this call only. */
static inline void
visit_begin(struct visit *v, uint32_t phase, struct memory *memory)
{
	v->calls++;
	v->now = memory;
	v->phase = phase;
	v->is_closed = false;
	v->has_result = false;
	v->has_fault = false;
	v->is_shown = false;
}

/* A function of the plugin is about to run for v. now_us: what the clock says; 0: it is
 * read. */
static inline void
visit_enter_at(struct visit *v, int64_t now_us)
{
	if (v->depth++ > 0)
		return;
	v->before = host_enter(v->component->plugin);
	v->entered_us = now_us != 0 ? now_us : clock_mono_us();
	(void)json_ran_dry(); /* from here on it is about what the plugin builds */
	value_forget();
}

static inline void
visit_enter(struct visit *v)
{
	visit_enter_at(v, 0);
}

/* It came back. */
static inline void
visit_leave(struct visit *v)
{
	if (--v->depth > 0)
		return;
	host_leave(v->before);
	v->left_us = clock_mono_us();
	if (v->left_us - v->entered_us > PLUGIN_STALL_US)
		meter_stall(v->component->plugin, v->component->info.name,
		    v->left_us - v->entered_us);
}

/* Most calls ask for nothing that would have to end with them. */
static inline bool
visit_asked_for_nothing(const struct visit *v)
{
	return v->op == NULL && !v->took_token && v->deadline.place == 0 &&
	       memory_is_unused(&v->scratch);
}

static inline void
visit_close(struct visit *v)
{
	v->is_closed = true;
	if (!visit_asked_for_nothing(v))
		visit_end_what_was_asked_for(v);
}

#endif
