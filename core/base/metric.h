/* metric.h - every metric is a row here; /metrics, its help texts and the reference are
 * made from the rows.
 *
 * Counting is an addition to the calling thread's own cells, so it costs no shared cache
 * line; reading sums the threads. A row may have one label dimension whose values are
 * fixed small numbers (a fault, an outcome); a METRIC_NAMED row has names of the
 * configuration beside it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include "base/buf.h"

enum metric_kind {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_NANO,    /* a counter kept in nano-units, shown in units */
	METRIC_SECONDS, /* a histogram of microseconds, shown in seconds */
	METRIC_NAMED    /* a counter for each guardrail and value of the row's label */
};

/* id, kind, name, label, help */
#define METRIC_ROWS(X)                                                                   \
	X(REQUESTS, METRIC_COUNTER, "latenza_requests_total", "outcome",                 \
	    "Requests, by how they ended: ok or a fault's code")                         \
	X(REQUEST_TIME, METRIC_SECONDS, "latenza_request_duration_seconds", NULL,        \
	    "From the first byte of a request to the last byte of its answer")           \
	X(OVERHEAD_TIME, METRIC_SECONDS, "latenza_overhead_seconds", NULL,               \
	    "The gateway's own part of a request's time")                                \
	X(TTFT_TIME, METRIC_SECONDS, "latenza_time_to_first_token_seconds", NULL,        \
	    "From sending to the provider to its first content")                         \
	X(IN_FLIGHT, METRIC_GAUGE, "latenza_requests_in_flight", NULL,                   \
	    "Requests being served")                                                     \
	X(CONNECTIONS, METRIC_GAUGE, "latenza_connections", NULL,                        \
	    "Open client connections")                                                   \
	X(ACCEPT_PAUSED, METRIC_COUNTER, "latenza_accept_paused_total", NULL,            \
	    "Times that accepting paused for lack of file descriptors")                  \
	X(HTTP_REFUSED, METRIC_COUNTER, "latenza_http_refused_total", NULL,              \
	    "Connections closed for a malformed or oversized request")                   \
	X(UNAUTHENTICATED, METRIC_COUNTER, "latenza_unauthenticated_total", NULL,        \
	    "Requests refused for want of a valid key")                                  \
	X(ATTEMPTS, METRIC_COUNTER, "latenza_attempts_total", "outcome",                 \
	    "Provider calls, by outcome")                                                \
	X(GUARDRAIL_VERDICTS, METRIC_NAMED, "latenza_guardrail_verdicts_total",          \
	    "verdict", "What each guardrail came to; of a stream each change of it")     \
	X(HEDGES, METRIC_COUNTER, "latenza_hedges_total", NULL,                          \
	    "Second attempts because the first had brought nothing in time")             \
	X(TOKENS_INPUT, METRIC_COUNTER, "latenza_tokens_input_total", NULL,              \
	    "Uncached input tokens, as charged")                                         \
	X(TOKENS_CACHE_READ, METRIC_COUNTER, "latenza_tokens_cache_read_total", NULL,    \
	    "Input tokens read from a provider's cache")                                 \
	X(TOKENS_CACHE_WRITE, METRIC_COUNTER, "latenza_tokens_cache_write_total", NULL,  \
	    "Input tokens written to a provider's cache")                                \
	X(TOKENS_OUTPUT, METRIC_COUNTER, "latenza_tokens_output_total", NULL,            \
	    "Output tokens, reasoning included")                                         \
	X(COST, METRIC_NANO, "latenza_cost_eur_total", NULL,                             \
	    "What the calls cost, in euro")                                              \
	X(OVERSPEND, METRIC_COUNTER, "latenza_overspend_nano_eur_total", NULL,           \
	    "What providers counted beyond a reservation, in nano-euro")                 \
	X(ESTIMATED, METRIC_COUNTER, "latenza_cost_estimated_total", NULL,               \
	    "Attempts whose cost was estimated because no usage came")                   \
	X(UNCERTAIN, METRIC_COUNTER, "latenza_attempts_uncertain_total", NULL,           \
	    "Attempts that a crash left open, settled at start")                         \
	X(SPOOL_BYTES, METRIC_COUNTER, "latenza_spool_bytes_total", NULL,                \
	    "Bytes appended to the spool")                                               \
	X(SPOOL_FAILURES, METRIC_COUNTER, "latenza_spool_failures_total", NULL,          \
	    "Spool writes that failed")                                                  \
	X(TRACES_DROPPED, METRIC_COUNTER, "latenza_traces_dropped_total", NULL,          \
	    "Traces of refused requests not kept while storage failed")                  \
	X(CONTENT_DROPPED, METRIC_COUNTER, "latenza_content_dropped_total", NULL,        \
	    "Prompts and answers not stored because the queue was full")                 \
	X(DB_ROWS, METRIC_COUNTER, "latenza_db_rows_total", NULL,                        \
	    "Rows written to the database")                                              \
	X(DB_FAILURES, METRIC_COUNTER, "latenza_db_failures_total", NULL,                \
	    "Database transactions that failed and were tried again")                    \
	X(DB_REFUSED, METRIC_COUNTER, "latenza_db_refused_total", NULL,                  \
	    "Records that the database refused, kept in a .refused file")                \
	X(RELOADS, METRIC_COUNTER, "latenza_reloads_total", NULL,                        \
	    "Configurations taken over")                                                 \
	X(RELOADS_REFUSED, METRIC_COUNTER, "latenza_reloads_refused_total", NULL,        \
	    "Configurations refused; the last good one stayed")

enum metric {
#define METRIC_ID(id, kind, name, label, help) METRIC_##id,
	METRIC_ROWS(METRIC_ID)
#undef METRIC_ID
	METRIC_COUNT
};

enum {
	METRIC_THREADS = 130, /* workers, storage, main */
	METRIC_LABELS = 48,   /* values of a row's label */
	METRIC_NAMES = 512,   /* of the process's life, the first for all that are more */
	METRIC_NAME_BYTES = 64, /* the longest name */
	METRIC_NAME_LABELS = 8  /* values of a METRIC_NAMED row's label: one cache line */
};

/* Once in each thread that counts often; all others share one thread's cells. */
void metric_thread_start(void);
void metric_add(enum metric m, int64_t by); /* [any] */
void metric_add_label(enum metric m, unsigned label, int64_t by);
void metric_time(enum metric m, int64_t us);
/* The number of a guardrail's name; the same one for as long as the process runs, since a
 * counter must not begin again when a configuration comes back. 0, shown as "_other":
 * there have been METRIC_NAMES already. name is copied. [main] */
unsigned metric_name(lz_str name);
void metric_add_named(unsigned name, unsigned label, int64_t by); /* [any] */
/* Over threads and labels; a histogram's count. Of no METRIC_NAMED row. */
int64_t metric_sum(enum metric m);
/* The names behind a row's label numbers, registered by the room that owns them (static
 * strings). [start] */
void metric_label_names(enum metric m, const char *const *names, unsigned count);
/* Prometheus text 0.0.4 of every row. */
void metric_print(struct buf *out);

#endif
