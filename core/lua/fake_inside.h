/* fake_inside.h - what the files of the host for tests share. Private to fake*.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LUA_FAKE_INSIDE_H
#define LUA_FAKE_INSIDE_H

#include "base/arena.h"
#include "base/json.h"
#include "lua/fake.h"
#include "lua/inside.h"
#include "plugin/host.h"

struct change {
	size_t text, from, to;
	lz_str with;
};

struct fake {
	/* First: what the functions of plugin/value.c know of a call. Its `keep` lasts as
	 * long as the host, which is for the cases of a test; `scratch` is a visit's. */
	struct visit visit;
	struct memory scratch;
	lz_host host;
	struct arena *memory; /* of the visit */
	json_t *keep;   /* of the visit: what its options and its body are made of */
	json_t *shared; /* counters */
	json_t *log;
	int64_t now_ms;
	/* the visit */
	const json_t *document;
	lz_request request;
	lz_text *text;
	size_t text_count;
	lz_target *target;
	size_t target_count;
	json_t *body, *edit;
	void *slot;
	/* what it did */
	struct change *change;
	size_t change_count, change_room;
	size_t hold; /* of the text that streams; SIZE_MAX: none */
	json_t *tags, *calls, *order, *chosen;
	int64_t output_limit;
	lz_str code, message;
	/* later */
	lz_reply_fn *reply_fn;
	lz_call_fn *call_fn;
	void *ud;
	lz_reply reply;
	bool has_finished;
	int32_t result;
	size_t turns; /* callbacks, in all of the visit */
	int64_t spent_ns;
	bool grants_all;
};

/* Reads a visit's document: what it shows, and nothing done yet. document: borrowed for
 * as long as the visit. ST_INVALID: e says which member is wrong. (fake_document.c) */
enum status fake_begin(struct fake *f, const json_t *document, struct err *e) MUST_CHECK;
/* Whose component runs on this thread from here on, for services that carry no call;
 * NULL: nobody's. Returns who was before. (fake.c) */
struct fake *fake_enter(struct fake *f);
/* Is a callback owed? And makes it. (fake.c) */
bool fake_is_busy(const struct fake *f);
void fake_deliver(struct fake *f);

#endif
