/* db_sql.h - every statement that is prepared once and kept, one row each.
 *
 * Private to store/. What is asked once, or made from a filter, stands where it is asked.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STORE_DB_SQL_H
#define STORE_DB_SQL_H

/* The formatter would break the texts wherever a line is full. */
/* clang-format off */
#define KEY_COLUMNS \
	"id, name, hint, hash, sha256, old_hash, old_until_unix_ms, settings, source, is_test, " \
	"is_disabled, created_unix_ms, changed_unix_ms"
#define CHARGE_COLUMNS \
	"trace_id, attempt, state, at_unix_ms, cost_nano_eur, input, cache_read, " \
	"cache_write, output, reasoning, price_input, price_cache_read, " \
	"price_cache_write, price_output, fx_nano, fx_date, key, provider, model, scope_set"
#define TRACE_COLUMNS \
	"id, at_unix_ms, total_us, overhead_us, ttft_us, cost_nano_eur, input, cache_read, " \
	"cache_write, output, reasoning, flags, status, attempts, route, code, finish, key, " \
	"organization, assistant, user, session, model_asked, model, provider, strategy, " \
	"metadata, attempt_list, guardrails, verdicts"

/* Parameters are bound in the order of their first mention. */
#define DB_STATEMENTS(X) \
	X(BEGIN, "BEGIN IMMEDIATE") \
	X(COMMIT, "COMMIT") \
	X(ROLLBACK, "ROLLBACK") \
	X(SYNC_NORMAL, "PRAGMA synchronous = NORMAL") \
	X(SYNC_FULL, "PRAGMA synchronous = FULL") \
	X(SYNC_MARK, "UPDATE durable SET commits = commits + 1") \
	X(KEY_PUT, \
	    "INSERT INTO virtual_key (" KEY_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) " \
	    "ON CONFLICT (id) DO UPDATE SET name = excluded.name, hint = excluded.hint, " \
	    "hash = excluded.hash, sha256 = excluded.sha256, old_hash = excluded.old_hash, " \
	    "old_until_unix_ms = excluded.old_until_unix_ms, settings = excluded.settings, " \
	    "source = excluded.source, is_test = excluded.is_test, " \
	    "is_disabled = excluded.is_disabled, created_unix_ms = excluded.created_unix_ms, " \
	    "changed_unix_ms = excluded.changed_unix_ms") \
	X(KEY_SAME_SECRET, \
	    "SELECT id FROM virtual_key WHERE id <> ?1 AND (hash IN (?2, ?4) OR " \
	    "old_hash IN (?2, ?4) OR sha256 = ?3) LIMIT 1") \
	X(KEY_REMOVE, "DELETE FROM virtual_key WHERE id = ?") \
	X(KEY_EACH, "SELECT " KEY_COLUMNS " FROM virtual_key ORDER BY created_unix_ms, id") \
	X(PROFILE_PUT, \
	    "INSERT INTO profile (id, settings, source, is_disabled, created_unix_ms, " \
	    "changed_unix_ms) VALUES (?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET " \
	    "settings = excluded.settings, source = excluded.source, " \
	    "is_disabled = excluded.is_disabled, changed_unix_ms = excluded.changed_unix_ms") \
	X(PROFILE_REMOVE, "DELETE FROM profile WHERE id = ?") \
	X(PROFILE_EACH, \
	    "SELECT id, settings, source, is_disabled, created_unix_ms, changed_unix_ms " \
	    "FROM profile ORDER BY id") \
	X(PROFILE_KEYS, \
	    "SELECT count(*) FROM virtual_key WHERE NOT (source = 'file' AND is_disabled) AND " \
	    "coalesce(json_extract(settings, '$.organization'), 'default') = ?1 AND " \
	    "(?2 IS NULL OR json_extract(settings, '$.assistant') = ?2)") \
	X(SPEND_EACH, \
	    "SELECT scope, period, spent_nano_eur FROM budget_spend ORDER BY scope, period") \
	X(SPEND_GET, "SELECT spent_nano_eur FROM budget_spend WHERE scope = ? AND period = ?") \
	/* Saturates: an impossible sum would be a REAL, which the column refuses for ever. */ \
	X(SPEND_ADD, \
	    "INSERT INTO budget_spend (scope, period, spent_nano_eur, pruned_nano_eur) " \
	    "VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET " \
	    "spent_nano_eur = min(spent_nano_eur, 9223372036854775807 - ?3) + ?3, " \
	    "pruned_nano_eur = min(pruned_nano_eur, 9223372036854775807 - ?4) + ?4") \
	X(SET_FIND, "SELECT id FROM scope_set WHERE list = ?") \
	X(SET_ADD, "INSERT INTO scope_set (list) VALUES (?)") \
	X(SET_ITEM_ADD, \
	    "INSERT INTO scope_item (set_id, position, scope, period) VALUES (?,?,?,?)") \
	X(CHARGE_ADD, \
	    "INSERT INTO charge (" CHARGE_COLUMNS ") " \
	    "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING") \
	X(CHARGE_EACH, \
	    "SELECT " CHARGE_COLUMNS " FROM charge WHERE trace_id = ? ORDER BY attempt") \
	X(CHARGE_SUMS, \
	    "SELECT s.list, c.cost_nano_eur FROM charge c " \
	    "JOIN scope_set s ON s.id = c.scope_set WHERE c.trace_id = ?") \
	X(CHARGE_REMOVE, "DELETE FROM charge WHERE trace_id = ?") \
	X(OPEN_ADD, \
	    "INSERT OR REPLACE INTO reservation (trace_id, attempt, is_settled, is_traced, " \
	    "at_unix_ms, bound_nano_eur, input_nano_eur, key, provider, model, scope_set) " \
	    "VALUES (?,?,?,?,?,?,?,?,?,?,?)") \
	X(OPEN_RAISE, \
	    "UPDATE reservation SET bound_nano_eur = max(bound_nano_eur, ?3) " \
	    "WHERE trace_id = ?1 AND attempt = ?2") \
	X(OPEN_SETTLED, \
	    "UPDATE reservation SET is_settled = 1 WHERE trace_id = ? AND attempt = ?") \
	X(OPEN_REMOVE, "DELETE FROM reservation WHERE trace_id = ? AND attempt = ?") \
	X(OPEN_TRACED, "UPDATE reservation SET is_traced = 1 WHERE trace_id = ?") \
	X(OPEN_DONE, "DELETE FROM reservation WHERE trace_id = ? AND is_settled AND is_traced") \
	X(OPEN_EACH, \
	    "SELECT r.trace_id, r.attempt, r.at_unix_ms, r.bound_nano_eur, " \
	    "r.input_nano_eur, r.key, r.provider, r.model, r.scope_set, s.list " \
	    "FROM reservation r " \
	    "LEFT JOIN scope_set s ON s.id = r.scope_set WHERE NOT r.is_settled") \
	X(OPEN_CLEAR, "DELETE FROM reservation") \
	/* The columns beside max(attempt) are those of the row that has it. */ \
	X(TRACE_INTERRUPTED, \
	    "WITH lost AS (SELECT trace_id AS id, max(attempt), key, provider, model, " \
	    "(SELECT min(f.at_unix_ms) FROM reservation f WHERE f.trace_id = r.trace_id) AS at " \
	    "FROM reservation r WHERE NOT is_traced GROUP BY trace_id), " \
	    "paid AS (SELECT trace_id AS id, count(*) AS attempts, min(at_unix_ms) AS at, " \
	    "CASE WHEN count(*) = count(cost_nano_eur) THEN sum(cost_nano_eur) END AS cost, " \
	    "sum(input) AS input, sum(cache_read) AS cache_read, " \
	    "sum(cache_write) AS cache_write, sum(output) AS output, " \
	    "sum(reasoning) AS reasoning, " \
	    "json_group_array(json_object('provider', provider, 'model', model, 'end', " \
	    "CASE state WHEN 1 THEN 'ok' WHEN 2 THEN 'estimated' WHEN 3 THEN 'released' " \
	    "WHEN 4 THEN 'uncertain' ELSE 'unpriced' END, " \
	    "'cost_nano_eur', cost_nano_eur)) AS list FROM charge " \
	    "WHERE trace_id IN (SELECT id FROM lost) GROUP BY trace_id) " \
	    "INSERT INTO trace (" TRACE_COLUMNS ") " \
	    "SELECT lost.id, min(lost.at, paid.at), 0, 0, NULL, paid.cost, paid.input, " \
	    "paid.cache_read, paid.cache_write, paid.output, paid.reasoning, ?1, 0, " \
	    "paid.attempts, NULL, 'interrupted', NULL, lost.key, " \
	    "CASE WHEN v.id IS NOT NULL THEN " \
	    "coalesce(json_extract(v.settings, '$.organization'), 'default') END, " \
	    "json_extract(v.settings, '$.assistant'), NULL, NULL, " \
	    "NULL, lost.model, " \
	    "lost.provider, NULL, NULL, paid.list, NULL, NULL FROM lost JOIN paid USING (id) " \
	    "LEFT JOIN virtual_key v ON v.id = lost.key " \
	    "WHERE true ON CONFLICT DO NOTHING") \
	X(POSITION_SET, \
	    "INSERT INTO spool_position (segment, offset) VALUES (?, ?) " \
	    "ON CONFLICT DO UPDATE SET offset = excluded.offset") \
	X(POSITION_GET, "SELECT offset FROM spool_position WHERE segment = ?") \
	X(POSITION_FORGET, "DELETE FROM spool_position WHERE segment = ?") \
	X(POSITION_CLEAR, "DELETE FROM spool_position") \
	X(TRACE_ADD, \
	    "INSERT INTO trace (" TRACE_COLUMNS ") " \
	    "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) " \
	    "ON CONFLICT DO NOTHING") \
	X(TRACE_BETWEEN, \
	    "SELECT rowid, " TRACE_COLUMNS " FROM trace WHERE id >= ? AND id <= ? LIMIT 2") \
	X(TRACE_OLD, \
	    "SELECT rowid, id FROM trace WHERE id < ? ORDER BY id LIMIT ?") \
	X(TRACE_REMOVE, "DELETE FROM trace WHERE rowid = ?") \
	X(TRACE_FORGET, \
	    "UPDATE trace SET user = NULL, session = NULL, metadata = NULL WHERE user = ?") \
	X(TRACE_OF, "SELECT id FROM trace WHERE user = ?") \
	X(PACK_ADD, \
	    "INSERT INTO content_pack (file, offset, bytes, first_id, last_id) " \
	    "VALUES (?,?,?,?,?)") \
	X(PACK_WITH, \
	    "SELECT file, offset, bytes FROM content_pack WHERE last_id >= ?1 AND " \
	    "last_id < ?2 AND first_id <= ?1 ORDER BY file DESC, offset DESC") \
	X(PACK_EACH, "SELECT file, offset, bytes FROM content_pack ORDER BY file, offset") \
	X(PACK_NEXT, "SELECT min(file) FROM content_pack WHERE file > ?") \
	X(PACK_END, "SELECT max(offset + bytes) FROM content_pack WHERE file = ?") \
	X(PACK_LOST, "DELETE FROM content_pack WHERE file = ? AND offset + bytes > ?") \
	X(PACK_OLD, \
	    "DELETE FROM content_pack WHERE (file, offset) IN (SELECT file, offset FROM " \
	    "content_pack WHERE last_id < ? ORDER BY last_id LIMIT ?)") \
	X(PACK_CLEAR, "DELETE FROM content_pack") \
	X(CONTENT_PUT, \
	    "INSERT INTO content (trace_id, at_unix_ms, request, answer, candidates) " \
	    "VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET request = excluded.request, " \
	    "answer = excluded.answer, candidates = excluded.candidates") \
	X(CONTENT_GET, "SELECT request, answer, candidates FROM content WHERE trace_id = ?") \
	X(CONTENT_OLD, \
	    "DELETE FROM content WHERE rowid IN (SELECT rowid FROM content WHERE trace_id < ? " \
	    "ORDER BY trace_id LIMIT ?)") \
	X(CONTENT_FORGET, \
	    "DELETE FROM content WHERE trace_id IN (SELECT id FROM trace WHERE user = ?)") \
	X(VACUUM_SOME, "PRAGMA incremental_vacuum(64)")
/* clang-format on */

#endif
