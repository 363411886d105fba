/* budget.c - which budgets there are: made once, found by scope and kind, given limits
 * and what was spent before.
 *
 * All of this is [main]'s, at start and when keys change; workers hold pointers to
 * budgets and never look one up. That is why a budget lives as long as the ledger: a
 * request may settle into it long after its key lost it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key/cell.h"

#include "base/mem.h"

enum {
	FIRST_SLOTS = 64
};

struct ledger *
ledger_new(void)
{
	struct ledger *l = mem_zalloc(sizeof(*l));

	if (l == NULL)
		return NULL;
	l->slot = mem_calloc(FIRST_SLOTS, sizeof(*l->slot));
	if (l->slot == NULL) {
		mem_free(l);
		return NULL;
	}
	l->mask = FIRST_SLOTS - 1;
	pthread_mutex_init(&l->rolling, NULL);
	return l;
}

static void
budget_free(struct budget *b)
{
	while (b->cells != NULL) {
		struct cell *c = b->cells;

		b->cells = c->next;
		mem_free(c->memory);
	}
	while (b->foreseen != NULL) {
		struct foreseen *f = b->foreseen;

		b->foreseen = f->next;
		mem_free(f);
	}
	mem_free(b);
}

void
ledger_free(struct ledger *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i <= l->mask; i++)
		if (l->slot[i] != NULL)
			budget_free(l->slot[i]);
	for (unsigned kind = 0; kind < PERIOD_KINDS; kind++)
		while (l->span[kind] != NULL) {
			struct span *s = l->span[kind];

			l->span[kind] = s->before;
			mem_free(s);
		}
	pthread_mutex_destroy(&l->rolling);
	mem_free(l->slot);
	mem_free(l);
}

/* FNV-1a. Scopes come from the operator, not from callers. */
static size_t
hash(lz_str scope, enum key_period kind)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) + (uint64_t)kind;

	for (size_t i = 0; i < scope.len; i++)
		h = (h ^ (unsigned char)scope.ptr[i]) * UINT64_C(0x100000001b3);
	return (size_t)(h ^ h >> 32);
}

/* Where the budget is, or would be. */
static struct budget **
place(struct budget **slot, size_t mask, lz_str scope, enum key_period kind)
{
	size_t i = hash(scope, kind) & mask;

	while (slot[i] != NULL &&
	       (slot[i]->kind != kind ||
		   !str_eq(lz_strn(slot[i]->scope, slot[i]->scope_len), scope)))
		i = (i + 1) & mask;
	return &slot[i];
}

/* Makes sure that one more budget leaves a quarter of the slots empty. */
static bool
make_room(struct ledger *l)
{
	size_t mask = l->mask * 2 + 1;
	struct budget **slot;

	if (l->count < (l->mask + 1) / 4 * 3)
		return true;
	slot = mem_calloc(mask + 1, sizeof(*slot));
	if (slot == NULL)
		return false;
	for (size_t i = 0; i <= l->mask; i++) {
		struct budget *b = l->slot[i];

		if (b != NULL)
			*place(slot, mask, lz_strn(b->scope, b->scope_len), b->kind) = b;
	}
	mem_free(l->slot);
	l->slot = slot;
	l->mask = mask;
	return true;
}

static struct budget *
budget_new(struct ledger *l, lz_str scope, enum key_period kind)
{
	struct budget *b = mem_zalloc(sizeof(*b) + scope.len + 1);

	if (b == NULL)
		return NULL;
	b->ledger = l;
	b->kind = kind;
	b->number = l->count;
	b->scope_len = scope.len;
	memcpy(b->scope, scope.ptr, scope.len);
	atomic_store(&b->limit, -1);
	if (cell_first(b, clock_unix_ms()))
		return b;
	budget_free(b);
	return NULL;
}

struct budget *
ledger_budget(struct ledger *l, lz_str scope, enum key_period period, struct err *e)
{
	struct budget **at = place(l->slot, l->mask, scope, period);

	if (*at != NULL)
		return *at;
	if (scope.len == 0 || scope.len > LEDGER_SCOPE_BYTES) {
		err_fail(e, ST_INVALID,
		    "budget: a scope of %zu bytes; 1 to %d are possible", scope.len,
		    LEDGER_SCOPE_BYTES);
		return NULL;
	}
	if (l->count >= LEDGER_BUDGETS) {
		err_fail(e, ST_LIMIT,
		    "budget %.*s: there are %d budgets already, the most possible",
		    STR_ARG(scope), LEDGER_BUDGETS);
		return NULL;
	}
	if (make_room(l)) {
		at = place(l->slot, l->mask, scope, period);
		*at = budget_new(l, scope, period);
	}
	if (*at == NULL) {
		err_fail(e, ST_NOMEM, "budget %.*s: out of memory", STR_ARG(scope));
		return NULL;
	}
	l->count++;
	return *at;
}

struct budget *
ledger_find(struct ledger *l, lz_str scope, enum key_period period)
{
	return *place(l->slot, l->mask, scope, period);
}

void
ledger_set_limit(struct budget *b, int64_t limit_nano_eur, const uint8_t *alert_pct,
    size_t alert_count)
{
	int64_t limit = limit_nano_eur >= 0 ? limit_nano_eur : -1, before;
	struct cell *c = cell_pin_current(b);
	uint64_t alerts = 0;

	must(alert_count <= sizeof(alerts));
	for (size_t i = alert_count; i > 0; i--)
		alerts = alerts << 8 | alert_pct[i - 1];
	atomic_store(&b->alerts, alerts);
	before = atomic_exchange(&b->limit, limit);
	if (before < 0)
		cell_mark_reached(c);
	else if (limit > before)
		cell_forget_told(c);
	cell_unpin(c);
}

/* The kind of a period's label. false: unknown. */
static bool
kind_of(lz_str label, enum key_period *kind)
{
	for (unsigned k = 0; k < PERIOD_KINDS; k++) {
		const char *name = key_period_name((enum key_period)k);
		size_t n = strlen(name);

		if (str_starts(label, name) && label.len > n && label.ptr[n] == ':') {
			*kind = (enum key_period)k;
			return true;
		}
	}
	return false;
}

static enum status
foresee(struct budget *b, const char *label, int64_t spent)
{
	struct foreseen *f = b->foreseen;

	while (f != NULL && strcmp(f->label, label) != 0)
		f = f->next;
	if (f == NULL) {
		f = mem_zalloc(sizeof(*f));
		if (f == NULL)
			return ST_NOMEM;
		memcpy(f->label, label, strlen(label) + 1);
		f->next = b->foreseen;
		b->foreseen = f;
	}
	f->spent = spent > f->spent ? spent : f->spent;
	return ST_OK;
}

static enum status
load(struct cell *c, const char *label, int64_t spent)
{
	int order = strcmp(label, c->span->at.label);
	struct ledger *l = c->budget->ledger;
	enum status st = ST_OK;

	if (order == 0) {
		cell_raise(c, spent);
		cell_mark_reached(c);
	} else if (order > 0) {
		pthread_mutex_lock(&l->rolling);
		st = foresee(c->budget, label, spent);
		pthread_mutex_unlock(&l->rolling);
	}
	return st;
}

enum status
ledger_load(struct ledger *l, lz_str scope, lz_str period, int64_t spent_nano_eur)
{
	char label[sizeof(((struct period *)NULL)->label)];
	int64_t now = clock_unix_ms();
	const struct span *at_hand;
	enum key_period kind;
	struct budget *b;
	struct cell *c;
	enum status st;

	if (spent_nano_eur <= 0 || scope.len == 0 || scope.len > LEDGER_SCOPE_BYTES)
		return ST_OK;
	if (period.len >= sizeof(label) || !kind_of(period, &kind))
		return ST_OK;
	memcpy(label, period.ptr, period.len);
	label[period.len] = '\0';
	at_hand = cell_span(l, kind, now);
	if (at_hand == NULL)
		return ST_NOMEM;
	/* Years of history make no budgets. */
	if (strcmp(label, at_hand->at.label) < 0)
		return ST_OK;
	b = ledger_budget(l, scope, kind, NULL);
	c = b != NULL ? cell_pin(b, now) : NULL;
	if (c == NULL)
		return ST_NOMEM;
	st = load(c, label, spent_nano_eur);
	cell_unpin(c);
	return st;
}

int
ledger_compare(const struct budget *a, const struct budget *b)
{
	return (a->number > b->number) - (a->number < b->number);
}

int64_t
ledger_reserved_total(struct ledger *l)
{
	int64_t sum = 0;

	pthread_mutex_lock(&l->rolling);
	for (size_t i = 0; i <= l->mask; i++)
		for (struct cell *c = l->slot[i] != NULL ? l->slot[i]->cells : NULL;
		     c != NULL; c = c->next) {
			int64_t spent = atomic_load(&c->spent);

			sum += atomic_load(&c->used) - spent;
		}
	pthread_mutex_unlock(&l->rolling);
	return sum;
}
