/* ledger_play_owners.h - who has budgets in a play: the keys, an assistant, the
 * organisation of both; their settings, made anew at a reload, and a look at what is
 * spent and reserved.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_LEDGER_PLAY_OWNERS_H
#define TESTS_LEDGER_PLAY_OWNERS_H

#include "ledger_play_state.h"

static inline int
play_first_budget(int owner)
{
	return owner * 2;
}

static inline const char *
play_scope(int b)
{
	return play.scope[b / 2];
}

/* As the gateway knows it: of an assistant, its organisation's name and its own. */
static inline lz_str
play_id(int owner)
{
	return lz_strz(strchr(play.scope[owner], ':') + 1);
}

static inline const char *
play_assistant_name(void)
{
	return strchr(play.scope[PLAY_ASSISTANT], '/') + 1;
}

static inline struct budget *
play_budget(int b)
{
	if (play.budget[b] != NULL)
		return play.budget[b];
	play.budget[b] =
	    ledger_budget(play.ledger, lz_strz(play_scope(b)), play_kinds[b], NULL);
	PLAY_MUST(play.budget[b] != NULL);
	return play.budget[b];
}

/* Looks at one budget on both sides. */
static inline void
play_look(int b)
{
	struct model_budget *want = &model.budget[b];
	const struct model_period *p = model_at(want, play_label(want->kind));
	struct budget_view v;

	ledger_view(play_budget(b), play.now_ms, &v);
	if (v.spent_nano_eur != p->spent || v.reserved_nano_eur != p->held ||
	    v.limit_nano_eur != want->limit)
		(void)fprintf(stderr,
		    "budget %d, %s: limit %lld, spent %lld, reserved %lld; the model "
		    "says %lld, %lld, %lld\n",
		    b, p->label.text, (long long)v.limit_nano_eur,
		    (long long)v.spent_nano_eur, (long long)v.reserved_nano_eur,
		    (long long)want->limit, (long long)p->spent, (long long)p->held);
	PLAY_MUST(v.spent_nano_eur == p->spent);
	PLAY_MUST(v.reserved_nano_eur == p->held);
	PLAY_MUST(v.limit_nano_eur == want->limit);
}

static inline void
play_look_at_all(void)
{
	int64_t held = 0;

	for (int b = 0; b < MODEL_BUDGETS; b++) {
		play_look(b);
		for (int i = 0; i < model.budget[b].count; i++)
			held += model.budget[b].period[i].held;
	}
	PLAY_MUST(ledger_reserved_total(play.ledger) == held);
}

/* The settings of a key, an assistant, an organisation; made once, since making them took
 * longer than all that a play does with them. */
static struct {
	json_t *of[PLAY_OWNERS], *budgets[PLAY_OWNERS], *budget[MODEL_BUDGETS],
	    *organization, *assistant;
} play_json;

static inline void
play_make_settings(void)
{
	play_json.organization = json_string("");
	play_json.assistant = json_string("");
	for (int b = 0; b < MODEL_BUDGETS; b++) {
		play_json.budget[b] = json_pack("{s:s, s:f, s:[i, i]}", "period",
		    key_period_name(play_kinds[b]), "eur", 0.0, "alert_pct", 50, 80);
		PLAY_MUST(play_json.budget[b] != NULL);
	}
	for (int owner = 0; owner < PLAY_OWNERS; owner++) {
		play_json.budgets[owner] = json_array();
		play_json.of[owner] =
		    json_pack("{s:O}", "budgets", play_json.budgets[owner]);
		PLAY_MUST(play_json.of[owner] != NULL);
		if (owner < PLAY_KEYS)
			json_object_set(
			    play_json.of[owner], "organization", play_json.organization);
	}
	json_object_set(play_json.of[0], "assistant", play_json.assistant);
}

static inline void
play_free_settings(void)
{
	for (int owner = 0; owner < PLAY_OWNERS; owner++) {
		json_decref(play_json.of[owner]);
		json_decref(play_json.budgets[owner]);
	}
	for (int b = 0; b < MODEL_BUDGETS; b++)
		json_decref(play_json.budget[b]);
	json_decref(play_json.organization);
	json_decref(play_json.assistant);
}

static inline void
play_name_owners(void)
{
	unsigned long n = play.number;
	size_t room = sizeof play.scope[0];

	for (int key = 0; key < PLAY_KEYS; key++)
		(void)snprintf(play.scope[key], room, "key:k%d-%lu", key, n);
	(void)snprintf(play.scope[PLAY_ASSISTANT], room, "assistant:o-%lu/a-%lu", n, n);
	(void)snprintf(play.scope[PLAY_ORGANIZATION], room, "org:o-%lu", n);
	json_string_set(play_json.organization, play_id(PLAY_ORGANIZATION).ptr);
	json_string_set(play_json.assistant, play_assistant_name());
}

/* With the limits that the model has. */
static inline const json_t *
play_settings(int owner)
{
	json_t *list = play_json.budgets[owner];

	json_array_clear(list);
	for (int b = owner * 2; b < owner * 2 + 2; b++) {
		int64_t limit = model.budget[b].limit;

		if (limit < 0)
			continue;
		json_real_set(
		    json_object_get(play_json.budget[b], "eur"), (double)limit / 1e9);
		json_array_append(list, play_json.budget[b]);
	}
	return play_json.of[owner];
}

/* Makes it anew. */
static inline void
play_put(int owner)
{
	uint8_t hash[CRYPTO_HASH_BYTES] = { (uint8_t)(owner + 1) };
	const json_t *settings = play_settings(owner);
	struct key_wanted key = {
		.id = play_id(owner), .hash = hash, .settings = settings
	};
	struct profile_wanted profile = { .organization = play_id(PLAY_ORGANIZATION),
		.settings = settings };
	struct err e = { "" };
	enum status st;

	if (owner == PLAY_ASSISTANT)
		profile.assistant = lz_strz(play_assistant_name());
	if (owner < PLAY_KEYS)
		st = keys_put(play.keys, &key, &e);
	else
		st = profiles_put(keys_profiles(play.keys), &profile, &e);
	if (st != ST_OK)
		(void)fprintf(stderr, "%s\n", e.text);
	PLAY_MUST(st == ST_OK);
	play.is_there[owner] = true;
}

static inline void
play_remove(int owner)
{
	lz_str id = play_id(owner);

	PLAY_SAY("%s goes", play.scope[owner]);
	PLAY_MUST(
	    (owner < PLAY_KEYS ? keys_remove(play.keys, id)
			       : profiles_remove(keys_profiles(play.keys), id)) == ST_OK);
	play.is_there[owner] = false;
}

static inline int64_t
play_new_limit(void)
{
	unsigned byte = play_byte();

	if (byte < 24)
		return -1;
	return byte < 32 ? 0 : (int64_t)byte * 8000;
}

static inline void
play_reload(void)
{
	int owner = (int)(play_byte() % PLAY_OWNERS), b = play_first_budget(owner);

	if (play.is_there[owner] && play_byte() % 8 == 0) {
		play_remove(owner);
		return;
	}
	for (int i = b; i < b + 2; i++) {
		int64_t limit = play_new_limit();

		/* Who was removed left its limits to what it had under way. */
		if (limit >= 0 || play.is_there[owner])
			model.budget[i].limit = limit;
	}
	PLAY_SAY("owner %d: limits %lld, %lld", owner, (long long)model.budget[b].limit,
	    (long long)model.budget[b + 1].limit);
	play_put(owner);
}

#endif
