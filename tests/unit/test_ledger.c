/* test_ledger.c - money: admission, settlement, periods that end, alerts; a model to
 * compare with, and threads.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/metric.h"
#include "key/ledger.h"
#include "told.h"

static const int64_t day_ms = INT64_C(86400000);
static const int64_t start_ms = INT64_C(1792540800000); /* 2026-10-21T00:00:00Z */
static int64_t now_ms;

static void
read_clock(struct moment *m)
{
	*m = (struct moment){ .mono_us = now_ms * 1000, .unix_ms = now_ms };
}

static int
set_up(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	now_ms = start_ms;
	clock_set_source(read_clock);
	told_start();
	*state = ledger_new();
	return *state == NULL;
}

static int
tear_down(void **state)
{
	mem_set_fault(NULL, NULL);
	ledger_free(*state);
	clock_set_source(NULL);
	told_stop();
	return 0;
}

static struct budget *
budget(struct ledger *l, const char *scope, enum key_period kind, int64_t limit)
{
	struct budget *b = ledger_budget(l, lz_strz(scope), kind, NULL);
	const uint8_t alerts[] = { 50, 80 };

	assert_non_null(b);
	ledger_set_limit(b, limit, alerts, 2);
	return b;
}

static enum status
reserve(struct budget *b, int64_t nano, struct reservation *r)
{
	struct budget *who = NULL;
	enum status st = ledger_reserve(&b, 1, nano, now_ms, r, &who);

	assert_true((st == ST_OK) == (who == NULL));
	return st;
}

static void
spend(struct budget *b, int64_t nano)
{
	struct reservation r;

	assert_int_equal(reserve(b, nano, &r), ST_OK);
	ledger_settle(&r, nano);
}

static struct budget_view
view(struct budget *b)
{
	struct budget_view v;

	ledger_view(b, now_ms, &v);
	return v;
}

static void
a_reservation_holds_money_until_it_is_settled(void **state)
{
	struct budget *b = budget(*state, "key:a", PERIOD_MONTH, 1000);
	struct reservation r;

	assert_int_equal(reserve(b, 600, &r), ST_OK);
	assert_int_equal(view(b).reserved_nano_eur, 600);
	assert_int_equal(view(b).spent_nano_eur, 0);
	ledger_settle(&r, 250);
	assert_int_equal(view(b).reserved_nano_eur, 0);
	assert_int_equal(view(b).spent_nano_eur, 250);
	assert_int_equal(ledger_reserved_total(*state), 0);
	ledger_settle(&r, 250); /* again: nothing happens */
	assert_int_equal(view(b).spent_nano_eur, 250);
}

static void
what_waiting_can_help_is_told_from_what_it_cannot(void **state)
{
	struct budget *b = budget(*state, "key:a", PERIOD_MONTH, 1000);
	struct reservation r, other;

	spend(b, 300);
	assert_int_equal(reserve(b, 500, &r), ST_OK);
	assert_int_equal(reserve(b, 200, &other), ST_OK); /* to the last nano-euro */
	assert_int_equal(reserve(b, 1, &other), ST_LIMIT);
	assert_int_equal(reserve(b, 700, &other), ST_LIMIT);
	assert_int_equal(reserve(b, 701, &other), ST_DENIED);
	assert_int_equal(reserve(b, INT64_MAX, &other), ST_DENIED);
	assert_false(ledger_is_spent(b, now_ms));
}

static void
a_limit_of_zero_refuses_and_none_admits(void **state)
{
	struct budget *b = budget(*state, "key:a", PERIOD_DAY, 0);
	struct reservation r;

	assert_true(ledger_is_spent(b, now_ms));
	assert_int_equal(reserve(b, 1, &r), ST_DENIED);
	ledger_set_limit(b, -1, NULL, 0);
	assert_false(ledger_is_spent(b, now_ms));
	assert_int_equal(reserve(b, LEDGER_AMOUNT_MAX, &r), ST_OK);
	ledger_settle(&r, 1);
	assert_int_equal(view(b).limit_nano_eur, -1);
	assert_int_equal(view(b).spent_nano_eur, 1);
}

static void
a_refusal_undoes_what_other_budgets_gave(void **state)
{
	struct budget *b[3] = { budget(*state, "key:a", PERIOD_DAY, 1000),
		budget(*state, "key:a", PERIOD_MONTH, 500),
		budget(*state, "org:o", PERIOD_MONTH, 9) };
	struct budget *who = NULL;
	struct reservation r;

	assert_true(ledger_compare(b[0], b[1]) < 0 && ledger_compare(b[2], b[1]) > 0);
	assert_int_equal(ledger_compare(b[1], b[1]), 0);
	assert_int_equal(ledger_reserve(b, 3, 10, now_ms, &r, &who), ST_DENIED);
	assert_ptr_equal(who, b[2]);
	assert_int_equal(ledger_reserved_total(*state), 0);
	assert_int_equal(ledger_reserve(b, 2, 10, now_ms, &r, &who), ST_OK);
	assert_int_equal(ledger_reserved_total(*state), 20);
	ledger_settle(&r, 10);
	assert_int_equal(view(b[0]).spent_nano_eur, 10);
	assert_int_equal(view(b[1]).spent_nano_eur, 10);
}

static void
a_top_up_takes_from_what_is_left_in_every_budget(void **state)
{
	struct budget *b[2] = { budget(*state, "key:a", PERIOD_DAY, 1000),
		budget(*state, "key:a", PERIOD_MONTH, 500) };
	struct budget *who = NULL;
	struct reservation r;

	assert_int_equal(ledger_reserve(b, 2, 100, now_ms, &r, &who), ST_OK);
	assert_true(ledger_top_up(&r, 400));
	assert_false(ledger_top_up(&r, 1));
	assert_true(ledger_top_up(&r, 0));
	assert_int_equal(view(b[0]).reserved_nano_eur, 500);
	assert_int_equal(view(b[1]).reserved_nano_eur, 500);
	ledger_settle(&r, 450);
	assert_int_equal(ledger_reserved_total(*state), 0);
	assert_int_equal(view(b[1]).spent_nano_eur, 450);
}

static void
no_reservation_grows_beyond_what_an_attempt_may_cost(void **state)
{
	struct budget *b = budget(*state, "key:a", PERIOD_DAY, -1);
	struct reservation r;

	assert_int_equal(reserve(b, 10, &r), ST_OK);
	assert_false(ledger_top_up(&r, LEDGER_AMOUNT_MAX - 9));
	assert_false(ledger_top_up(&r, INT64_MAX));
	assert_int_equal(view(b).reserved_nano_eur, 10);
	assert_true(ledger_top_up(&r, LEDGER_AMOUNT_MAX - 10));
	assert_int_equal(view(b).reserved_nano_eur, LEDGER_AMOUNT_MAX);
	ledger_top_down(&r, LEDGER_AMOUNT_MAX - 10);
	ledger_top_down(&r, 0);
	assert_int_equal(view(b).reserved_nano_eur, 10);
	ledger_settle(&r, 0);
	assert_int_equal(ledger_reserved_total(*state), 0);
}

static void
a_charge_beyond_its_reservation_is_booked_and_counted(void **state)
{
	struct budget *b = budget(*state, "key:a", PERIOD_DAY, 1000);
	int64_t before = metric_sum(METRIC_OVERSPEND);
	struct reservation r;

	assert_int_equal(reserve(b, 900, &r), ST_OK);
	ledger_settle(&r, 1200);
	assert_int_equal(view(b).spent_nano_eur, 1200);
	assert_int_equal(view(b).reserved_nano_eur, 0);
	assert_int_equal(metric_sum(METRIC_OVERSPEND) - before, 300);
	assert_int_equal(reserve(b, 1, &r), ST_DENIED);
	assert_true(ledger_is_spent(b, now_ms));
}

static void
an_absurd_charge_is_booked_as_the_largest_possible(void **state)
{
	struct budget *b = budget(*state, "key:a", PERIOD_DAY, -1);
	struct reservation r;

	assert_int_equal(reserve(b, 1, &r), ST_OK);
	ledger_settle(&r, INT64_MAX);
	assert_int_equal(view(b).spent_nano_eur, LEDGER_AMOUNT_MAX);
	assert_int_equal(reserve(b, 1, &r), ST_OK);
	ledger_settle(&r, -5);
	assert_int_equal(view(b).spent_nano_eur, LEDGER_AMOUNT_MAX);
}

static void
a_reservation_belongs_to_the_period_it_was_made_in(void **state)
{
	struct budget *b = budget(*state, "key:a", PERIOD_MONTH, 1000);
	struct record_scope scope[RECORD_SCOPES];
	struct reservation old, next;

	now_ms = INT64_C(1793491199999); /* 2026-10-31T23:59:59.999Z */
	assert_int_equal(reserve(b, 800, &old), ST_OK);
	now_ms++;
	assert_int_equal(reserve(b, 1000, &next), ST_OK);
	assert_int_equal(ledger_scopes(&old, scope), 1);
	assert_true(str_is(scope[0].scope, "key:a"));
	assert_true(str_is(scope[0].period, "month:2026-10"));
	assert_int_equal(ledger_scopes(&next, scope), 1);
	assert_true(str_is(scope[0].period, "month:2026-11"));
	ledger_settle(&old, 800);
	assert_int_equal(view(b).spent_nano_eur, 0);
	assert_int_equal(view(b).reserved_nano_eur, 1000);
	assert_int_equal(view(b).resets_at_unix_ms, INT64_C(1796083200000));
	ledger_settle(&next, 1);
	assert_int_equal(view(b).spent_nano_eur, 1);
	assert_int_equal(ledger_reserved_total(*state), 0);
}

static void
a_clock_that_steps_back_reopens_no_period(void **state)
{
	struct budget *b = budget(*state, "key:a", PERIOD_DAY, 1000);
	struct budget *other = budget(*state, "key:b", PERIOD_DAY, 1000);
	struct record_scope scope[RECORD_SCOPES];
	struct reservation r;

	spend(b, 900);
	now_ms += day_ms;
	spend(b, 600);
	now_ms -= day_ms;
	assert_int_equal(view(b).spent_nano_eur, 600);
	assert_int_equal(reserve(b, 500, &r), ST_DENIED);
	assert_int_equal(reserve(b, 400, &r), ST_OK);
	ledger_scopes(&r, scope);
	assert_true(str_is(scope[0].period, "day:2026-10-22"));
	ledger_settle(&r, 0);
	/* Who has not left the day yet goes on in it. */
	assert_int_equal(reserve(other, 1, &r), ST_OK);
	ledger_scopes(&r, scope);
	assert_true(str_is(scope[0].period, "day:2026-10-21"));
	ledger_settle(&r, 0);
}

static void
reservations_of_many_days_keep_their_own_cells(void **state)
{
	struct budget *b = budget(*state, "key:a", PERIOD_DAY, 1000);
	struct reservation r[20];
	struct record_scope scope[RECORD_SCOPES];

	for (int i = 0; i < 20; i++) {
		assert_int_equal(reserve(b, 1000, &r[i]), ST_OK);
		now_ms += day_ms;
	}
	assert_int_equal(ledger_reserved_total(*state), 20000);
	for (int i = 0; i < 20; i++) {
		ledger_scopes(&r[i], scope);
		assert_int_equal(scope[0].period.len, strlen("day:2026-10-21"));
		ledger_settle(&r[i], i);
	}
	assert_int_equal(ledger_reserved_total(*state), 0);
	assert_int_equal(view(b).spent_nano_eur, 0);
	/* Their cells serve again. */
	for (int i = 0; i < 40; i++) {
		spend(b, 10);
		assert_int_equal(view(b).spent_nano_eur, 10);
		now_ms += day_ms;
	}
}

static void
what_the_database_knows_is_loaded_once_and_only_raises(void **state)
{
	struct ledger *l = *state;
	struct budget *b;

	/* Before the budget is asked for, and after. */
	assert_int_equal(
	    ledger_load(l, STR_LIT("key:a"), STR_LIT("month:2026-10"), 700), ST_OK);
	assert_int_equal(
	    ledger_load(l, STR_LIT("key:a"), STR_LIT("month:2026-09"), 999), ST_OK);
	b = budget(l, "key:a", PERIOD_MONTH, 1000);
	assert_int_equal(view(b).spent_nano_eur, 700);
	assert_int_equal(
	    ledger_load(l, STR_LIT("key:a"), STR_LIT("month:2026-10"), 500), ST_OK);
	assert_int_equal(view(b).spent_nano_eur, 700);
	assert_int_equal(
	    ledger_load(l, STR_LIT("key:a"), STR_LIT("month:2026-10"), 800), ST_OK);
	assert_int_equal(view(b).spent_nano_eur, 800);
	assert_int_equal(view(b).reserved_nano_eur, 0);
	/* Rows that mean nothing here. */
	assert_int_equal(
	    ledger_load(l, STR_LIT("key:a"), STR_LIT("year:2026"), 1), ST_OK);
	assert_int_equal(ledger_load(l, STR_LIT("key:a"), STR_LIT("month"), 1), ST_OK);
	assert_int_equal(ledger_load(l, STR_LIT("key:a"),
			     STR_LIT("month:2026-10 and much, much more of it"), 1),
	    ST_OK);
	assert_int_equal(ledger_load(l, STR_NONE, STR_LIT("month:2026-10"), 1), ST_OK);
	assert_int_equal(
	    ledger_load(l, STR_LIT("key:a"), STR_LIT("month:2026-10"), -1), ST_OK);
	assert_int_equal(view(b).spent_nano_eur, 800);
}

static void
what_was_spent_ahead_of_a_clock_that_went_back_waits_for_its_period(void **state)
{
	struct ledger *l = *state;
	struct budget *b;

	assert_int_equal(
	    ledger_load(l, STR_LIT("key:a"), STR_LIT("month:2026-11"), 700), ST_OK);
	assert_int_equal(
	    ledger_load(l, STR_LIT("key:a"), STR_LIT("month:2027-02"), 300), ST_OK);
	assert_int_equal(
	    ledger_load(l, STR_LIT("key:a"), STR_LIT("month:2026-11"), 600), ST_OK);
	b = budget(l, "key:a", PERIOD_MONTH, 1000);
	assert_int_equal(view(b).spent_nano_eur, 0);
	now_ms += 30 * day_ms;
	assert_int_equal(view(b).spent_nano_eur, 700);
	now_ms += 30 * day_ms;
	assert_int_equal(view(b).spent_nano_eur, 0);
	now_ms += 60 * day_ms;
	assert_int_equal(view(b).spent_nano_eur, 300);
}

static void
each_threshold_is_told_once_a_period(void **state)
{
	struct budget *b = budget(*state, "key:a", PERIOD_MONTH, 1000);

	spend(b, 499);
	assert_int_equal(told_count("budget.", ""), 0);
	spend(b, 1);
	assert_int_equal(told_count("budget.threshold", "\"50\""), 1);
	spend(b, 299);
	assert_int_equal(told_count("budget.", ""), 1);
	spend(b, 1);
	assert_int_equal(told_count("budget.threshold", "\"80\""), 1);
	assert_int_equal(told_count("budget.exceeded", ""), 0);
	spend(b, 200);
	assert_int_equal(told_count("budget.exceeded", "key:a"), 1);
	ledger_refused(b, now_ms);
	assert_int_equal(told_count("budget.", ""), 3);
	now_ms += 30 * day_ms;
	spend(b, 900); /* past both at once */
	assert_int_equal(told_count("budget.reset", "month:2026-11"), 1);
	assert_int_equal(told_count("budget.threshold", "month:2026-11"), 2);
	ledger_refused(
	    b, now_ms); /* not all is spent, but it was too little for somebody */
	ledger_refused(b, now_ms);
	assert_int_equal(told_count("budget.exceeded", "month:2026-11"), 1);
}

static void
what_was_told_before_a_restart_is_not_told_again(void **state)
{
	struct budget *a, *b = budget(*state, "key:b", PERIOD_MONTH, 1000);

	assert_int_equal(
	    ledger_load(*state, STR_LIT("key:a"), STR_LIT("month:2026-10"), 600), ST_OK);
	a = budget(*state, "key:a", PERIOD_MONTH, 1000);
	assert_int_equal(
	    ledger_load(*state, STR_LIT("key:b"), STR_LIT("month:2026-10"), 1000), ST_OK);
	spend(a, 1);
	ledger_refused(b, now_ms);
	assert_int_equal(told_count("budget.", ""), 0);
	spend(a, 199);
	assert_int_equal(told_count("budget.threshold", ""), 1);
}

static void
a_raised_limit_can_be_reached_again(void **state)
{
	struct budget *b = budget(*state, "key:a", PERIOD_MONTH, 1000);

	spend(b, 1000);
	assert_int_equal(told_count("budget.", ""), 3);
	b = budget(*state, "key:a", PERIOD_MONTH, 2000); /* 50 % already, and told */
	told_forget();
	spend(b, 100);
	assert_int_equal(told_count("budget.", ""), 0);
	spend(b, 900);
	assert_int_equal(told_count("budget.threshold", "\"80\""), 1);
	assert_int_equal(told_count("budget.exceeded", ""), 1);
	told_forget();
	b = budget(*state, "key:a", PERIOD_MONTH, 500);
	ledger_refused(b, now_ms);
	assert_int_equal(told_count("budget.", ""), 0);
}

static void
scopes_and_kinds_are_found_again(void **state)
{
	struct budget *b[300][PERIOD_KINDS];
	char scope[LEDGER_SCOPE_BYTES + 2];
	struct err e = { "" };

	for (int i = 0; i < 300; i++)
		for (unsigned k = 0; k < PERIOD_KINDS; k++) {
			snprintf(scope, sizeof(scope), "key:%d", i);
			b[i][k] =
			    ledger_budget(*state, lz_strz(scope), (enum key_period)k, &e);
			assert_non_null(b[i][k]);
		}
	for (int i = 0; i < 300; i++)
		for (unsigned k = 0; k < PERIOD_KINDS; k++) {
			snprintf(scope, sizeof(scope), "key:%d", i);
			assert_ptr_equal(
			    ledger_budget(*state, lz_strz(scope), (enum key_period)k, &e),
			    b[i][k]);
		}
	memset(scope, 'x', sizeof(scope));
	assert_null(ledger_budget(
	    *state, lz_strn(scope, LEDGER_SCOPE_BYTES + 1), PERIOD_DAY, &e));
	assert_non_null(strstr(e.text, "251 bytes"));
	assert_null(ledger_budget(*state, STR_NONE, PERIOD_DAY, &e));
}

static int
fail_always(size_t n, void *arg)
{
	(void)n;
	(void)arg;
	return 1;
}

static void
without_memory_for_a_new_period_nothing_is_admitted_and_nothing_lost(void **state)
{
	struct budget *b = budget(*state, "key:a", PERIOD_DAY, 1000);
	struct reservation old, r;
	struct err e;

	assert_int_equal(reserve(b, 100, &old), ST_OK);
	now_ms += day_ms;
	mem_set_fault(fail_always, NULL);
	assert_int_equal(reserve(b, 100, &r), ST_NOMEM);
	assert_false(ledger_is_spent(b, now_ms));
	assert_int_equal(view(b).spent_nano_eur, 0);
	assert_null(ledger_budget(*state, STR_LIT("key:new"), PERIOD_DAY, &e));
	assert_non_null(strstr(e.text, "memory"));
	assert_int_equal(
	    ledger_load(*state, STR_LIT("key:new"), STR_LIT("day:2026-10-22"), 5),
	    ST_NOMEM);
	ledger_settle(&old, 100);
	mem_set_fault(NULL, NULL);
	assert_int_equal(reserve(b, 100, &r), ST_OK);
	ledger_settle(&r, 100);
	assert_int_equal(view(b).spent_nano_eur, 100);
}

/* More than the table of budgets first has room for. */
enum {
	MANY = 100
};

static int
fail_after(size_t n, void *arg)
{
	(void)n;
	return --*(int *)arg < 0;
}

/* Makes what is not there yet and loads what each spent, up to what fails. */
static enum status
fill_ledger(struct ledger *l)
{
	char scope[16];
	struct err e;

	for (int i = 0; i < MANY; i++) {
		(void)snprintf(scope, sizeof(scope), "key:%d", i);
		if (ledger_budget(l, lz_strz(scope), PERIOD_DAY, &e) == NULL)
			return ST_NOMEM;
		if (ledger_load(l, lz_strz(scope), STR_LIT("day:2026-10-21"), i + 1) !=
		    ST_OK)
			return ST_NOMEM;
		/* After a restart with a clock that went back. */
		if (ledger_load(l, lz_strz(scope), STR_LIT("day:2026-10-22"), i + 2) !=
		    ST_OK)
			return ST_NOMEM;
	}
	return ST_OK;
}

static void
assert_filled(struct ledger *l)
{
	char scope[16];

	for (int i = 0; i < MANY; i++) {
		struct budget *b;

		(void)snprintf(scope, sizeof(scope), "key:%d", i);
		b = ledger_find(l, lz_strz(scope), PERIOD_DAY);
		assert_non_null(b);
		assert_int_equal(view(b).spent_nano_eur, i + 1);
		now_ms += day_ms;
		assert_int_equal(view(b).spent_nano_eur, i + 2);
		now_ms -= day_ms;
	}
}

/* Whichever allocation fails: what was made stays whole, and the rest is made later. */
static void
a_ledger_that_lacked_memory_once_is_filled_when_there_is_some(void **state)
{
	int left = -1, k;

	(void)state;
	for (k = 0; left < 0; k++) {
		struct ledger *l;
		enum status st = ST_NOMEM;

		now_ms = start_ms;
		left = k;
		mem_set_fault(fail_after, &left);
		l = ledger_new();
		if (l != NULL)
			st = fill_ledger(l);
		mem_set_fault(NULL, NULL);
		assert_int_equal(st, left < 0 ? ST_NOMEM : ST_OK);
		if (l == NULL)
			continue;
		assert_int_equal(fill_ledger(l), ST_OK);
		assert_filled(l);
		ledger_free(l);
	}
	assert_true(k > 2 * MANY);
	ledger_free(NULL);
}

/* ---- the model ---- */

enum {
	BUDGETS = 3,
	OPEN = 40,
	STEPS = 60000
};

/* The ledger in plain words: days are numbers, cells are a table. */
static struct model {
	int64_t limit[BUDGETS], spent[BUDGETS][400], reserved[BUDGETS][400];
	int day[BUDGETS], latest;
	struct {
		bool is_open;
		unsigned who; /* bits: budgets */
		int64_t nano;
		int day[BUDGETS];
		struct reservation real;
	} open[OPEN];
} m;

static void
model_roll(unsigned b, int today)
{
	if (today <= m.day[b])
		return;
	if (today > m.latest)
		m.latest = today;
	m.day[b] = m.latest;
}

static bool
model_fits(unsigned b, int day, int64_t nano)
{
	int64_t used = m.spent[b][day] + m.reserved[b][day];

	return nano == 0 || m.limit[b] < 0 || used + nano <= m.limit[b];
}

static enum status
model_reserve(unsigned who, int today, int64_t nano)
{
	for (unsigned b = 0; b < BUDGETS; b++) {
		if ((who & 1u << b) == 0)
			continue;
		model_roll(b, today);
		if (!model_fits(b, m.day[b], nano))
			return m.spent[b][m.day[b]] + nano > m.limit[b] ? ST_DENIED
									: ST_LIMIT;
	}
	return ST_OK;
}

static bool
model_add(unsigned i, int64_t nano, bool only_look)
{
	for (unsigned b = 0; b < BUDGETS; b++) {
		if ((m.open[i].who & 1u << b) == 0)
			continue;
		if (only_look && !model_fits(b, m.open[i].day[b], nano))
			return false;
		if (!only_look)
			m.reserved[b][m.open[i].day[b]] += nano;
	}
	if (!only_look)
		m.open[i].nano += nano;
	return true;
}

static void
model_settle(unsigned i, int64_t nano)
{
	for (unsigned b = 0; b < BUDGETS; b++)
		if ((m.open[i].who & 1u << b) != 0) {
			m.reserved[b][m.open[i].day[b]] -= m.open[i].nano;
			m.spent[b][m.open[i].day[b]] += nano;
		}
	m.open[i].is_open = false;
}

static void
open_one(struct budget *const *all, unsigned i, int today)
{
	struct budget *some[BUDGETS], *who;
	int64_t nano = rand() % 8 == 0 ? 0 : rand() % 400;
	unsigned which = (unsigned)rand() % (1u << BUDGETS);
	enum status want = model_reserve(which, today, nano);
	size_t n = 0;

	for (unsigned b = 0; b < BUDGETS; b++)
		if ((which & 1u << b) != 0)
			some[n++] = all[b];
	assert_int_equal(
	    ledger_reserve(some, n, nano, now_ms, &m.open[i].real, &who), want);
	if (want != ST_OK)
		return;
	m.open[i].is_open = true;
	m.open[i].who = which;
	m.open[i].nano = 0;
	memcpy(m.open[i].day, m.day, sizeof(m.day));
	model_add(i, nano, false);
}

static void
change_one(unsigned i)
{
	int64_t nano = rand() % 300;

	if (rand() % 4 == 0) {
		bool want = model_add(i, nano, true);

		assert_int_equal(ledger_top_up(&m.open[i].real, nano), want);
		if (want)
			model_add(i, nano, false);
		return;
	}
	nano = rand() % 3 == 0    ? 0
	       : rand() % 10 == 0 ? m.open[i].nano + nano
				  : m.open[i].nano / 2;
	model_settle(i, nano);
	ledger_settle(&m.open[i].real, nano);
}

static void
compare(struct ledger *l, struct budget *const *all, int today)
{
	int64_t reserved = 0;

	for (unsigned b = 0; b < BUDGETS; b++) {
		struct budget_view v = view(all[b]);

		model_roll(b, today);
		assert_int_equal(v.spent_nano_eur, m.spent[b][m.day[b]]);
		assert_int_equal(v.reserved_nano_eur, m.reserved[b][m.day[b]]);
		assert_int_equal(v.resets_at_unix_ms, start_ms + (m.day[b] + 1) * day_ms);
		for (unsigned d = 0; d < 400; d++)
			reserved += m.reserved[b][d];
	}
	assert_int_equal(ledger_reserved_total(l), reserved);
}

static void
random_sequences_end_as_the_model_says(void **state)
{
	struct budget *all[BUDGETS] = { budget(*state, "key:a", PERIOD_DAY, 2000),
		budget(*state, "key:b", PERIOD_DAY, 3000),
		budget(*state, "org:o", PERIOD_DAY, -1) };
	int today = 0;

	srand(20261122);
	memset(&m, 0, sizeof(m));
	m.limit[0] = 2000, m.limit[1] = 3000, m.limit[2] = -1;
	for (int step = 0; step < STEPS; step++) {
		unsigned i = (unsigned)rand() % OPEN, b = (unsigned)rand() % BUDGETS;

		if (rand() % 300 == 0 && today < 390)
			today += 1 + rand() % 3;
		else if (rand() % 300 == 0 && today > 3)
			today -= 1 + rand() % 3;
		else if (rand() % 100 == 0) {
			m.limit[b] = rand() % 5 == 0 ? -1 : rand() % 5000;
			budget(*state,
			    b == 2   ? "org:o"
			    : b == 1 ? "key:b"
				     : "key:a",
			    PERIOD_DAY, m.limit[b]);
		}
		now_ms = start_ms + today * day_ms + rand() % 1000;
		if (m.open[i].is_open)
			change_one(i);
		else
			open_one(all, i, today);
		if (step % 16 == 0)
			compare(*state, all, today);
	}
	for (unsigned i = 0; i < OPEN; i++)
		if (m.open[i].is_open)
			ledger_settle(&m.open[i].real, 0);
	assert_int_equal(ledger_reserved_total(*state), 0);
}

/* ---- threads ---- */

enum {
	THREADS = 8,
	ROUNDS = 20000
};

static struct hammering {
	struct budget *budget[2];
	int64_t limit;
	_Atomic int64_t day, charged;
	_Atomic bool is_over;
	bool does_roll;
} h;

static void
hammer_once(unsigned *seed)
{
	int64_t today = start_ms + atomic_load(&h.day) * day_ms,
		nano = rand_r(seed) % 500;
	struct reservation r;
	struct budget *who;
	int64_t charge;

	if (h.does_roll && rand_r(seed) % 200 == 0)
		atomic_fetch_add(&h.day, 1);
	if (ledger_reserve(h.budget, 2, nano, today, &r, &who) != ST_OK)
		return;
	if (rand_r(seed) % 4 == 0)
		ledger_top_up(&r, rand_r(seed) % 100);
	charge = rand_r(seed) % 8 == 0 ? r.nano_eur : 0;
	if (!h.does_roll)
		charge = charge / 200;
	atomic_fetch_add(&h.charged, charge);
	ledger_settle(&r, charge);
}

static void *
hammer(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (int i = 0; i < ROUNDS; i++)
		hammer_once(&seed);
	return NULL;
}

/* Looks on all the while. What it adds up is the one number that admission compares. */
static void *
watch(void *arg)
{
	bool *was_exceeded = arg;

	while (!atomic_load(&h.is_over))
		for (int i = 0; i < 2; i++) {
			struct budget_view v;

			ledger_view(
			    h.budget[i], start_ms + atomic_load(&h.day) * day_ms, &v);
			if (v.spent_nano_eur + v.reserved_nano_eur > v.limit_nano_eur)
				*was_exceeded = true;
		}
	return NULL;
}

static void
hammer_all(struct ledger *l, bool does_roll)
{
	pthread_t t[THREADS], watcher;
	bool was_exceeded = false;

	h = (struct hammering){ .limit = 1500, .does_roll = does_roll };
	h.budget[0] = budget(l, "key:a", PERIOD_DAY, h.limit);
	h.budget[1] = budget(l, "org:o", PERIOD_DAY, h.limit + 500);
	assert_int_equal(pthread_create(&watcher, NULL, watch, &was_exceeded), 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, hammer, (void *)(i + 1)), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	atomic_store(&h.is_over, true);
	pthread_join(watcher, NULL);
	assert_false(was_exceeded);
	assert_int_equal(ledger_reserved_total(l), 0);
}

static void
eight_threads_never_pass_the_limit_and_lose_nothing(void **state)
{
	hammer_all(*state, false);
	assert_int_equal(view(h.budget[0]).spent_nano_eur, atomic_load(&h.charged));
	assert_int_equal(view(h.budget[1]).spent_nano_eur, atomic_load(&h.charged));
	assert_true(atomic_load(&h.charged) <= h.limit);
}

static void
days_that_end_under_eight_threads_leave_nothing_reserved(void **state)
{
	hammer_all(*state, true);
	assert_true(atomic_load(&h.day) > 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_reservation_holds_money_until_it_is_settled),
		TEST(what_waiting_can_help_is_told_from_what_it_cannot),
		TEST(a_limit_of_zero_refuses_and_none_admits),
		TEST(a_refusal_undoes_what_other_budgets_gave),
		TEST(a_top_up_takes_from_what_is_left_in_every_budget),
		TEST(no_reservation_grows_beyond_what_an_attempt_may_cost),
		TEST(a_charge_beyond_its_reservation_is_booked_and_counted),
		TEST(an_absurd_charge_is_booked_as_the_largest_possible),
		TEST(a_reservation_belongs_to_the_period_it_was_made_in),
		TEST(a_clock_that_steps_back_reopens_no_period),
		TEST(reservations_of_many_days_keep_their_own_cells),
		TEST(what_the_database_knows_is_loaded_once_and_only_raises),
		TEST(what_was_spent_ahead_of_a_clock_that_went_back_waits_for_its_period),
		TEST(each_threshold_is_told_once_a_period),
		TEST(what_was_told_before_a_restart_is_not_told_again),
		TEST(a_raised_limit_can_be_reached_again),
		TEST(scopes_and_kinds_are_found_again),
		TEST(
		    without_memory_for_a_new_period_nothing_is_admitted_and_nothing_lost),
		TEST(a_ledger_that_lacked_memory_once_is_filled_when_there_is_some),
		TEST(random_sequences_end_as_the_model_says),
		TEST(eight_threads_never_pass_the_limit_and_lose_nothing),
		TEST(days_that_end_under_eight_threads_leave_nothing_reserved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
