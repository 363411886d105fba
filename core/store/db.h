/* db.h - latenza.db: schema, migrations, and every statement that the gateway and its
 * commands need.
 *
 * One struct db is one SQLite connection and belongs to one thread at a time. WAL, STRICT
 * tables, user_version = schema version, application_id = 'LTNZ'. A newer or foreign file
 * is refused and left as it is.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "store/record.h"

struct db;

enum db_mode {
	DB_CREATE, /* make or migrate */
	DB_OPEN,   /* must exist; migrated when older */
	DB_READ    /* must exist, nothing is changed */
};
struct db *db_open(
    const char *path, enum db_mode mode, struct err *e); /* owned: db_close() */
void db_close(struct db *d);
enum status db_start(struct err *e)
    MUST_CHECK; /* seats SQLite's allocator; db_open() does it too. [any] */
int db_schema_version(void);

/* Transactions; nested calls are our bug. A commit that fails was rolled back, unless it
 * failed while it was made durable: then it may stand, so ask db_position_get() what is
 * there. */
enum status db_begin(struct db *d, struct err *e) MUST_CHECK;
enum status db_commit(
    struct db *d, bool durable, struct err *e) MUST_CHECK; /* durable: synchronous=FULL */
void db_rollback(struct db *d);
/* The last transaction failed because the database does not accept a row, and never will;
 * not because it cannot write. */
bool db_has_refused(const struct db *d);
/* Moves the log into the file as far as readers allow. Nothing depends on it. */
void db_checkpoint(struct db *d);

/* ---- keys ---- */
struct db_key {
	lz_str id; /* slug */
	lz_str name;
	lz_str hint;               /* "lz_live_…a1b2": what may be shown */
	lz_str hash;               /* 32 bytes HMAC(pepper, secret), or absent */
	lz_str sha256;             /* 32 bytes of an imported key, or absent */
	lz_str old_hash;           /* the secret before a roll, or absent */
	int64_t old_until_unix_ms; /* until when the old one works */
	lz_str settings; /* JSON object: the key's fields as interfaces §5 names them */
	lz_str source;   /* "command" or "file" */
	bool is_test, is_disabled;
	int64_t created_unix_ms, changed_unix_ms;
};
/* Inserts, or replaces the key of that id. ST_EXISTS names the other key that has the
 * same secret. */
enum status db_key_put(struct db *d, const struct db_key *k, struct err *e) MUST_CHECK;
enum status db_key_remove(
    struct db *d, lz_str id, struct err *e) MUST_CHECK; /* ST_NOT_FOUND */
/* By age, oldest first. fn returns false to stop. Views live during the call. */
enum status db_key_each(struct db *d, bool (*fn)(void *arg, const struct db_key *k),
    void *arg, struct err *e) MUST_CHECK;

/* ---- organisations and assistants ---- */
struct db_profile {
	lz_str id;       /* "acme", "acme/support" */
	lz_str settings; /* JSON object */
	lz_str source;   /* "command" or "file" */
	bool is_disabled;
	int64_t created_unix_ms, changed_unix_ms;
};
/* Inserts, or replaces the one of that id, whose created_unix_ms stays. */
enum status db_profile_put(
    struct db *d, const struct db_profile *p, struct err *e) MUST_CHECK;
enum status db_profile_remove(
    struct db *d, lz_str id, struct err *e) MUST_CHECK; /* ST_NOT_FOUND */
/* By id: an organisation comes before its assistants. fn returns false to stop. */
enum status db_profile_each(struct db *d,
    bool (*fn)(void *arg, const struct db_profile *p), void *arg,
    struct err *e) MUST_CHECK;
/* How many keys belong to it, those that left the file aside. assistant absent: to the
 * organisation. */
enum status db_profile_keys(struct db *d, lz_str organization, lz_str assistant,
    int64_t *keys, struct err *e) MUST_CHECK;

/* ---- money ---- */
enum status db_spend_each(struct db *d,
    bool (*fn)(void *arg, lz_str scope, lz_str period, int64_t spent_nano_eur), void *arg,
    struct err *e) MUST_CHECK;
/* One scope and period; 0 when there is none. */
enum status db_spend_get(
    struct db *d, lz_str scope, lz_str period, int64_t *nano, struct err *e) MUST_CHECK;

/* ---- the spool's way in; within one transaction ---- */
/* Applies a record: reserve opens, settle adds the charge and the spend of every scope
 * and closes, trace inserts. */
enum status db_apply(struct db *d, const struct record *r, struct err *e) MUST_CHECK;
enum status db_position_set(
    struct db *d, lz_str segment, uint64_t offset, struct err *e) MUST_CHECK;
/* Of a segment that is not known: 0. */
enum status db_position_get(struct db *d, lz_str segment, uint64_t *offset,
    bool *is_known, struct err *e) MUST_CHECK;
enum status db_position_forget(struct db *d, lz_str segment, struct err *e) MUST_CHECK;
enum status db_position_clear(
    struct db *d, struct err *e) MUST_CHECK; /* no segment is left */
enum db_uncertain {
	DB_UNCERTAIN_INPUT,
	DB_UNCERTAIN_BOUND,
	DB_UNCERTAIN_ZERO
};
/* Ends every reservation still open (they are of earlier boots: called before this boot's
 * first request): charges them by `how`, marks them uncertain, writes their traces as
 * interrupted. *count: how many. */
enum status db_settle_open(struct db *d, enum db_uncertain how, int64_t now_unix_ms,
    int64_t *count, struct err *e) MUST_CHECK;

/* ---- traces ---- */
/* What a run that was killed left half done of its texts: cuts off what has no row, and
 * forgets what its file has lost. Once, before the first is put. */
enum status db_content_recover(struct db *d, struct err *e) MUST_CHECK;
/* Within a transaction. */
enum status db_content_put(struct db *d, const uint8_t id[RECORD_ID_BYTES],
    int64_t at_unix_ms, lz_str request, lz_str answer, lz_str candidates,
    struct err *e) MUST_CHECK;
struct db_trace_filter {
	lz_str key, organization, assistant, model, provider, user, session, code,
	    metadata_key, metadata_value; /* absent: any */
	lz_str guardrail, verdict; /* of one guardrail's one verdict; absent: any */
	int64_t since_unix_ms, until_unix_ms; /* 0: open */
	int64_t after_rowid; /* only rows written later than this one; for tail */
	int64_t limit;       /* 0: 50 */
	bool oldest_first;
	bool errors_only;
};
struct db_trace {
	int64_t rowid;
	struct record_trace t;
};
enum status db_trace_each(struct db *d, const struct db_trace_filter *f,
    bool (*fn)(void *arg, const struct db_trace *t), void *arg, struct err *e) MUST_CHECK;
/* ST_NOT_FOUND. `fn` is called once with the views. Absent content: STR_NONE. `id` may be
 * a unique prefix in hex. */
enum status db_trace_show(struct db *d, lz_str id_hex,
    void (*fn)(void *arg, const struct db_trace *t, lz_str request, lz_str answer,
	lz_str candidates),
    void *arg, struct err *e) MUST_CHECK;
/* The charges of one trace, as record_settle. */
enum status db_charge_each(struct db *d, const uint8_t id[RECORD_ID_BYTES],
    bool (*fn)(void *arg, const struct record_settle *s), void *arg,
    struct err *e) MUST_CHECK;
/* Forgets a person: content deleted, user, session and metadata emptied; money stays. A
 * transaction of its own, durable. */
enum status db_trace_erase(
    struct db *d, lz_str user, int64_t *count, struct err *e) MUST_CHECK;
/* Deletes what is older, at most `rows` each call, in a transaction of its own; *more
 * says whether to call again. What pruned attempts had cost stays in their budgets'
 * spend. 0: keep all. */
enum status db_prune(struct db *d, int64_t traces_before_unix_ms,
    int64_t content_before_unix_ms, int64_t rows, bool *more, struct err *e) MUST_CHECK;

/* ---- care ---- */
/* A consistent copy while others write, and the keyring beside it as PATH.keyring (0600).
 * The target must not exist. */
enum status db_backup(
    struct db *d, const char *to, const char *keyring, struct err *e) MUST_CHECK;
struct db_check {
	int64_t keys, traces, charges, open_reservations;
	int64_t spend_differs;   /* scopes whose spend is not the sum of their charges */
	char first_problem[300]; /* empty: sound */
};
/* integrity_check, foreign keys, spent = sum of charges, files of content as long as they
 * should be. */
enum status db_check(struct db *d, struct db_check *out, struct err *e) MUST_CHECK;

#endif
