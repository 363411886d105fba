/* record.h - what is written ahead: the records of the spool, as structs and as bytes.
 *
 * Encoded: u32 length of what follows the checksum, u32 CRC32C of it, u8 type, then the
 * fields in the order of the struct, little endian, strings as u16 length (0xffff:
 * absent) and bytes. A record is at most RECORD_BYTES.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"

enum {
	RECORD_BYTES = 8192,
	RECORD_ID_BYTES = 16,
	RECORD_SCOPES = 9 /* budgets that one attempt may touch: a day, week and month of
			    key, assistant and organisation */
};

enum record_type {
	RECORD_RESERVE = 1,
	RECORD_SETTLE = 2,
	RECORD_TRACE = 3,
	RECORD_FOLLOWS = 4,
	RECORD_RAISE = 5
};

/* One budget: whose ("key:backend") and which period of it ("month:2026-11"). */
struct record_scope {
	lz_str scope, period;
};

/* A trace id is the gateway's own and new for every request: an attempt is charged once
 * per (trace_id, attempt), so an id taken from a client would let it call twice and pay
 * once. */

/* Money is set aside for one attempt. Written before the provider is called. */
struct record_reserve {
	uint8_t trace_id[RECORD_ID_BYTES];
	uint8_t attempt; /* from 0 */
	int64_t at_unix_ms;
	int64_t bound_nano_eur; /* the reservation; 0 without price */
	int64_t input_nano_eur; /* estimate of the input's cost: what an uncertain attempt
				   owes by default */
	lz_str key, provider, model;
	uint8_t scope_count;
	struct record_scope scope[RECORD_SCOPES];
};

/* More was set aside for an attempt under way: what it may owe at most from here on. */
struct record_raise {
	uint8_t trace_id[RECORD_ID_BYTES];
	uint8_t attempt;
	int64_t bound_nano_eur;
};

enum charge_state {
	CHARGE_ACTUAL = 1, /* the provider said what it used */
	CHARGE_ESTIMATED,  /* no usage: from what was delivered */
	CHARGE_RELEASED,   /* surely not sent, or refused by the provider: owes nothing */
	CHARGE_UNCERTAIN,  /* sent, no answer; or a crash left it open */
	CHARGE_UNPRICED    /* used, but the model has no price: cost is NULL */
};

struct record_usage {
	int64_t input, cache_read, cache_write, output,
	    reasoning; /* tokens; reasoning is a part of output */
};

/* The one terminal state of an attempt. */
struct record_settle {
	uint8_t trace_id[RECORD_ID_BYTES];
	uint8_t attempt;
	uint8_t state; /* enum charge_state */
	int64_t at_unix_ms;
	int64_t cost_nano_eur; /* 0 when released; -1: unpriced */
	struct record_usage usage;
	/* The price used, pico-USD per token, -1 unknown; and nano-EUR per USD with its
	 * date ("2026-11-20"). */
	int64_t price_input, price_cache_read, price_cache_write, price_output, fx_nano;
	lz_str fx_date;
	lz_str key, provider, model;
	uint8_t scope_count;
	struct record_scope scope[RECORD_SCOPES];
};

enum {
	TRACE_DRY = 1,
	TRACE_STREAM = 2,
	TRACE_ESTIMATED = 4,
	TRACE_INTERRUPTED = 8, /* the gateway died inside it */
	TRACE_CLIENT_GONE = 16,
	TRACE_TEST = 32,
	TRACE_LOWERED = 64 /* max_tokens was lowered by a budget */
};

/* One request, slim. Strings that are absent are STR_NONE. */
struct record_trace {
	uint8_t trace_id[RECORD_ID_BYTES];
	int64_t at_unix_ms;                     /* first byte */
	int64_t total_us, overhead_us, ttft_us; /* ttft -1: none */
	int64_t cost_nano_eur;                  /* sum over attempts; -1: unknown */
	struct record_usage usage;              /* of all attempts */
	uint32_t flags;                         /* TRACE_* */
	uint16_t status; /* HTTP status the client got; 499: it left */
	uint8_t attempts;
	lz_str route;  /* "chat" */
	lz_str code;   /* fault code; absent: none */
	lz_str finish; /* finish_reason */
	lz_str key, organization, assistant, user, session;
	lz_str model_asked, model, provider, strategy;
	lz_str metadata; /* flat JSON object text */
	/* Of guardrails, as JSON array text: versions before verdict.h wrote that. What
	 * was written before there were any lacks the field. */
	lz_str guardrails;
	lz_str verdicts; /* the same by verdicts_write(); absent: none, or of before */
	lz_str
	    attempt_list; /* JSON array text:
			     [{"provider","model","status","end","at_ms","ms","ttft_ms","cost_nano_eur",...}];
			     what was written before at_ms was has none
			   */
};

/* The first record of a segment that follows another: how long that one is. */
struct record_follows {
	int64_t bytes;
};

/* Append one encoded record. false: out of memory, over the buffer's maximum (`b->failed`
 * is set), or larger than RECORD_BYTES. Before a trace is refused for its size, its free
 * texts give way: metadata, attempt_list and verdicts are dropped, session, finish,
 * model_asked and user are cut to 256 bytes, in this order until it fits. [worker] */
bool record_put_reserve(struct buf *b, const struct record_reserve *r);
bool record_put_settle(struct buf *b, const struct record_settle *r);
bool record_put_trace(struct buf *b, const struct record_trace *r);
bool record_put_follows(struct buf *b, const struct record_follows *r);
bool record_put_raise(struct buf *b, const struct record_raise *r);

struct record {
	enum record_type type;
	union {
		struct record_reserve reserve;
		struct record_settle settle;
		struct record_trace trace;
		struct record_follows follows;
		struct record_raise raise;
	};
};
/* Reads the record at the front of `bytes`. ST_OK: *used bytes belong to it, strings
 * point into `bytes`. ST_AGAIN: cut off, more may come. ST_INVALID: checksum or shape is
 * wrong. [any] */
enum status record_get(lz_str bytes, struct record *out, size_t *used) MUST_CHECK;
/* Type and size of the record at the front of bytes that record_put_* wrote: nothing is
 * checked. [any] */
enum record_type record_peek(lz_str bytes, size_t *used);

#endif
