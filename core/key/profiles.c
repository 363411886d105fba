/* profiles.c - organisations and assistants: put and removed by [main], taken by workers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key/profiles.h"

#include <stdio.h>
#include "base/mem.h"
#include "key/pack.h"
#include "key/purse.h"

enum {
	FIRST_PLACES = 64,
	SETTINGS_BYTES = 4 << 20, /* of one profile while it is parsed */
	SCOPE_BYTES = PROFILES_ID_BYTES + 32
};

struct profiles {
	struct ledger *ledger;
	struct grace *grace;
	struct arena *scratch;
	struct profile_place **place; /* open addressing by id */
	size_t mask, count;
};

struct kept {
	struct grace_item leaving;
	struct profile profile;
	lz_str room[]; /* what the settings point to, then the id */
};

static struct kept *
kept_of(struct profile *p)
{
	return (struct kept *)(void *)((char *)p - offsetof(struct kept, profile));
}

void
profile_unref(struct profile *p)
{
	if (p != NULL &&
	    atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1)
		mem_free(kept_of(p));
}

struct profile *
profile_take(struct profile_place *place)
{
	struct profile *p = atomic_load_explicit(&place->now, memory_order_acquire);

	if (p != NULL)
		(void)atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

bool
profiles_split(lz_str id, lz_str *organization, lz_str *assistant)
{
	ptrdiff_t slash = str_find(id, '/');

	*organization = slash < 0 ? id : str_cut(id, 0, (size_t)slash);
	*assistant = slash < 0 ? STR_NONE : str_cut(id, (size_t)slash + 1, id.len);
	return key_is_profile_name(*organization) &&
	       (slash < 0 || key_is_profile_name(*assistant));
}

/* ---- places ---- */

/* FNV-1a over the id that the two names make. */
static size_t
hash(lz_str organization, lz_str assistant)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < organization.len; i++)
		h = (h ^ (unsigned char)organization.ptr[i]) * UINT64_C(0x100000001b3);
	h = (h ^ '/') * UINT64_C(0x100000001b3);
	for (size_t i = 0; i < assistant.len; i++)
		h = (h ^ (unsigned char)assistant.ptr[i]) * UINT64_C(0x100000001b3);
	return (size_t)(h ^ h >> 32);
}

static bool
is_named(const struct profile_place *at, lz_str organization, lz_str assistant)
{
	size_t n = organization.len;

	if (strncmp(at->id, organization.ptr, n) != 0)
		return false;
	if (assistant.len == 0)
		return at->id[n] == '\0';
	return at->id[n] == '/' && str_is(assistant, at->id + n + 1);
}

/* Where the place is, or would be. */
static struct profile_place **
find(const struct profiles *p, lz_str organization, lz_str assistant, size_t h)
{
	size_t i = h & p->mask;

	while (
	    p->place[i] != NULL &&
	    (p->place[i]->hash != h || !is_named(p->place[i], organization, assistant)))
		i = (i + 1) & p->mask;
	return &p->place[i];
}

static bool
make_room(struct profiles *p)
{
	size_t mask = p->mask * 2 + 1;
	struct profile_place **place;

	if (p->count < (p->mask + 1) / 4 * 3)
		return true;
	place = mem_calloc(mask + 1, sizeof(*place));
	if (place == NULL)
		return false;
	for (size_t i = 0; i <= p->mask; i++) {
		struct profile_place *one = p->place[i];
		size_t to = one != NULL ? one->hash & mask : 0;

		while (one != NULL && place[to] != NULL)
			to = (to + 1) & mask;
		if (one != NULL)
			place[to] = one;
	}
	mem_free(p->place);
	p->place = place;
	p->mask = mask;
	return true;
}

struct profile_place *
profiles_place(struct profiles *p, lz_str organization, lz_str assistant)
{
	size_t h = hash(organization, assistant);
	struct profile_place **at = find(p, organization, assistant, h);
	size_t n = organization.len + assistant.len + 2;

	if (*at != NULL)
		return *at;
	if (p->count >= PROFILES_MOST || !make_room(p))
		return NULL;
	at = find(p, organization, assistant, h);
	*at = mem_zalloc(sizeof(**at) + n);
	if (*at == NULL)
		return NULL;
	(void)snprintf((*at)->id, n, "%.*s%s%.*s", STR_ARG(organization),
	    assistant.len > 0 ? "/" : "", STR_ARG(assistant));
	(*at)->hash = h;
	p->count++;
	return *at;
}

const struct profile *
profiles_get(struct profiles *p, lz_str id)
{
	lz_str organization, assistant;
	const struct profile_place *at;

	if (!profiles_split(id, &organization, &assistant))
		return NULL;
	at = *find(p, organization, assistant, hash(organization, assistant));
	return at != NULL ? atomic_load(&at->now) : NULL;
}

void
profiles_each(
    struct profiles *p, void (*fn)(void *arg, const struct profile *one), void *arg)
{
	for (size_t i = 0; i <= p->mask; i++) {
		const struct profile *one =
		    p->place[i] != NULL ? atomic_load(&p->place[i]->now) : NULL;

		if (one != NULL)
			fn(arg, one);
	}
}

/* ---- changes ---- */

static struct profile *
profile_new(const struct profile_wanted *w, const struct key_settings *settings)
{
	size_t room = pack_bytes(settings);
	size_t n = w->organization.len + w->assistant.len + 2;
	struct kept *kept = mem_zalloc(sizeof(*kept) + room + n);
	struct profile *p = kept != NULL ? &kept->profile : NULL;
	char *text;

	if (kept == NULL)
		return NULL;
	atomic_store(&p->refs, 1);
	pack_settings(&p->settings, settings, kept->room);
	text = (char *)kept->room + room;
	p->organization = lz_strn(text, w->organization.len);
	p->id = p->organization;
	memcpy(text, w->organization.ptr, w->organization.len);
	if (w->assistant.len > 0) {
		p->id.len += 1 + w->assistant.len;
		text[w->organization.len] = '/';
		p->assistant = lz_strn(text + w->organization.len + 1, w->assistant.len);
		memcpy(
		    text + w->organization.len + 1, w->assistant.ptr, w->assistant.len);
	}
	p->is_disabled = w->is_disabled;
	p->is_from_file = w->is_from_file;
	p->is_built_in = w->is_built_in;
	return p;
}

static void
left(struct grace_item *item)
{
	profile_unref(&((struct kept *)(void *)item)->profile);
}

static void
publish(struct profiles *p, struct profile_place *at, struct profile *profile)
{
	struct profile *old = atomic_exchange(&at->now, profile);

	if (old != NULL)
		grace_put(p->grace, &kept_of(old)->leaving, left);
}

/* The budgets of live keys, and of test keys beside them. */
static enum status
fill(struct purse purse[2], struct profiles *p, const struct profile_place *at,
    const struct key_settings *s, struct err *e)
{
	const char *kind = strchr(at->id, '/') != NULL ? "assistant" : "org";
	char scope[SCOPE_BYTES];
	enum status st;

	(void)snprintf(scope, sizeof(scope), "%s:%s", kind, at->id);
	st = purse_fill(&purse[0], p->ledger, scope, s, e);
	(void)snprintf(scope, sizeof(scope), "test-%s:%s", kind, at->id);
	return st == ST_OK ? purse_fill(&purse[1], p->ledger, scope, s, e) : st;
}

static void
set_limits(const struct purse purse[2], struct profile *to, const struct profile *old)
{
	for (unsigned i = 0; i < 2; i++) {
		purse_set_limits(&purse[i], old != NULL ? old->budget[i] : NULL,
		    old != NULL ? old->budget_count : 0);
		memcpy(to->budget[i], purse[i].budget, sizeof(to->budget[i]));
	}
	to->budget_count = purse[0].count;
}

enum status
profiles_put(struct profiles *p, const struct profile_wanted *w, struct err *e)
{
	bool is_assistant = w->assistant.ptr != NULL;
	const char *what = is_assistant ? "assistant" : "organization";
	lz_str name = is_assistant ? w->assistant : w->organization;
	struct profile_place *at = NULL;
	struct key_settings settings;
	struct profile *profile;
	struct purse purse[2];
	enum status st;

	if (!key_is_profile_name(w->organization) ||
	    (is_assistant && !key_is_profile_name(w->assistant)))
		return err_fail(e, ST_INVALID,
		    "organization or assistant: its name must be 1 to %d of a-z, 0-9 "
		    "and -",
		    KEY_PROFILE_BYTES);
	arena_reset(p->scratch);
	st = profile_settings_parse(
	    is_assistant ? KEY_LEVEL_ASSISTANT : KEY_LEVEL_ORGANIZATION, w->settings,
	    is_assistant ? "assistants" : "organizations", p->scratch, &settings, e);
	if (st != ST_OK)
		return st;
	at = profiles_place(p, w->organization, w->assistant);
	if (at == NULL && p->count >= PROFILES_MOST)
		return err_fail(e, ST_LIMIT,
		    "%s \"%.*s\": there are %d organizations and assistants already, the "
		    "most possible",
		    what, STR_ARG(name), PROFILES_MOST);
	st = at != NULL ? fill(purse, p, at, &settings, e) : ST_NOMEM;
	profile = st == ST_OK ? profile_new(w, &settings) : NULL;
	if (profile == NULL)
		return err_fail(
		    e, ST_NOMEM, "%s \"%.*s\": out of memory", what, STR_ARG(name));
	set_limits(purse, profile, atomic_load(&at->now));
	publish(p, at, profile);
	return ST_OK;
}

/* `default` without settings of its own. */
static enum status
put_default(struct profiles *p)
{
	json_t *none = json_object();
	struct profile_wanted w = { .organization = STR_LIT(PROFILES_DEFAULT),
		.settings = none,
		.is_built_in = true };
	enum status st = none != NULL ? profiles_put(p, &w, NULL) : ST_NOMEM;

	json_decref(none);
	return st;
}

enum status
profiles_remove(struct profiles *p, lz_str id)
{
	lz_str organization, assistant;

	if (profiles_get(p, id) == NULL)
		return ST_NOT_FOUND;
	if (str_is(id, PROFILES_DEFAULT))
		return put_default(p);
	(void)profiles_split(id, &organization, &assistant);
	publish(p, profiles_place(p, organization, assistant), NULL);
	return ST_OK;
}

struct profiles *
profiles_new(struct ledger *ledger, struct grace *grace)
{
	struct profiles *p = mem_zalloc(sizeof(*p));

	if (p == NULL)
		return NULL;
	p->ledger = ledger;
	p->grace = grace;
	p->scratch = arena_new(SETTINGS_BYTES);
	p->place = mem_calloc(FIRST_PLACES, sizeof(struct profile_place *));
	p->mask = FIRST_PLACES - 1;
	if (p->scratch != NULL && p->place != NULL && put_default(p) == ST_OK)
		return p;
	profiles_free(p);
	return NULL;
}

void
profiles_free(struct profiles *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; p->place != NULL && i <= p->mask; i++) {
		if (p->place[i] != NULL)
			profile_unref(atomic_load(&p->place[i]->now));
		mem_free(p->place[i]);
	}
	mem_free(p->place);
	arena_free(p->scratch);
	mem_free(p);
}
