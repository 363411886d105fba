/* facts.c - the facts of one model: the options that they are written by, what those
 * cannot see, and what an object that leaves something out starts from.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/json.h"
#include "config/build.h"

#define M          struct model_entry
#define PRICE_MAX  100000
#define TIER_PRICE "{\"type\":\"number\",\"minimum\":0,\"maximum\":100000}"
#define TIERS_SCHEMA                                                                     \
	"{\"type\":\"array\",\"maxItems\":8,\"items\":{\"type\":\"object\","             \
	"\"required\":["                                                                 \
	"\"above\"],\"additionalProperties\":false,\"properties\":{\"above\":{\"type\":" \
	"\"integer\",\"minimum\":1,\"maximum\":100000000},"                              \
	"\"price_input_per_mtok\":" TIER_PRICE ",\"price_output_per_mtok\":" TIER_PRICE  \
	",\"price_cached_input_per_mtok\":" TIER_PRICE                                   \
	",\"price_cache_write_per_mtok\":" TIER_PRICE                                    \
	",\"price_cache_write_1h_per_mtok\":" TIER_PRICE "}}}"
const lz_option model_rows[] = {
	LZ_OPT_TEXT(
	    M, id, NULL, NULL, "the model's name, as requests and allowlists write it"),
	LZ_OPT_TEXT(
	    M, upstream_model, "", NULL, "what the provider calls it, when that differs"),
	LZ_OPT_TEXT(M, base_model, "", NULL,
	    "start from the catalogue's facts of this model, ID or VENDOR/ID"),
	LZ_OPT_LIST(
	    M, aliases, "", NULL, "its other names, for example the one without a date"),
	LZ_OPT_CHOICE(M, mode, "chat", "chat|embedding", "what it does"),
	LZ_OPT_INT(M, context_window, "", 1, 100000000, NULL,
	    "tokens of input and output together"),
	LZ_OPT_INT(
	    M, max_output_tokens, "", 1, 100000000, NULL, "tokens of one answer at most"),
	LZ_OPT_CHOICE(M, price, "listed", "listed|free", "free: costs nothing"),
	LZ_OPT_REAL(
	    M, price_input_per_mtok, "", 0, PRICE_MAX, "USD per million input tokens"),
	LZ_OPT_REAL(
	    M, price_output_per_mtok, "", 0, PRICE_MAX, "USD per million output tokens"),
	LZ_OPT_REAL(M, price_cached_input_per_mtok, "", 0, PRICE_MAX,
	    "USD per million input tokens that were read from the provider's cache"),
	LZ_OPT_REAL(M, price_cache_write_per_mtok, "", 0, PRICE_MAX,
	    "USD per million input tokens that were written to the provider's cache"),
	LZ_OPT_REAL(M, price_cache_write_1h_per_mtok, "", 0, PRICE_MAX,
	    "the same of those that are kept there for an hour, where that costs more"),
	LZ_OPT_JSON(M, price_tiers, TIERS_SCHEMA,
	    "prices of a prompt of more than `above` tokens, rising; what a tier leaves "
	    "out stays; [] takes them away"),
	LZ_OPT_TEXT(M, price_date, "", "date", "the day the prices were right"),
	LZ_OPT_TEXT(M, price_source, "", NULL, "where they were read"),
	LZ_OPT_LIST(M, capabilities, "",
	    "streaming|tools|vision|schema|reasoning|audio|files",
	    "what the model can; absent: nothing is held against it"),
	LZ_OPT_REAL(M, quality, "", 0, 1, "a score from 0 to 1, for the router quality"),
	LZ_OPT_TEXT(M, quality_source, "", NULL, "who measured it, and when"),
	LZ_OPT_BOOL(
	    M, deprecated, "", "its vendor ends it: latenza/<strategy> leaves it out"),
};
#undef M
const uint32_t model_row_count = sizeof(model_rows) / sizeof(model_rows[0]);

static const struct {
	const char *name;
	uint32_t bit;
} capabilities[] = {
	{ "streaming", LZ_CAN_STREAM },
	{ "tools", LZ_CAN_TOOLS },
	{ "vision", LZ_CAN_VISION },
	{ "schema", LZ_CAN_SCHEMA },
	{ "reasoning", LZ_CAN_REASON },
	{ "audio", LZ_CAN_AUDIO },
	{ "files", LZ_CAN_FILES },
};

enum {
	ENTRY_FREE = 1,
	MODE_EMBEDDING = 1,
	MODEL_ID_BYTES = 200,
	ALIASES_MAX = 16
};

/* USD per million tokens is millionths of a USD per token: 6 decimals are exact in
 * pico-USD. */
static int64_t
pico_of(double usd_per_mtok)
{
	return usd_per_mtok < 0 ? -1 : llround(usd_per_mtok * 1e6);
}

static double
usd_of(int64_t pico)
{
	return pico < 0 ? -1 : (double)pico / 1e6;
}

static uint32_t
bits_of(const lz_list *list)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < list->count; i++) {
		for (size_t k = 0; k < sizeof(capabilities) / sizeof(capabilities[0]);
		     k++) {
			if (str_is(list->items[i], capabilities[k].name))
				bits |= capabilities[k].bit;
		}
	}
	return bits;
}

/* An entry before its options are read: what is known already, else unknown. */
static struct model_entry
entry_of(const struct model_facts *known)
{
	struct model_entry m = { .context_window = -1,
		.max_output_tokens = -1,
		.price_input_per_mtok = -1,
		.price_output_per_mtok = -1,
		.price_cached_input_per_mtok = -1,
		.price_cache_write_per_mtok = -1,
		.price_cache_write_1h_per_mtok = -1,
		.quality = -1 };

	if (known == NULL)
		return m;
	m.price_date = known->price_date;
	m.price_source = known->price_source;
	m.context_window = known->context_window;
	m.max_output_tokens = known->max_output_tokens;
	m.price_input_per_mtok = usd_of(known->price_input);
	m.price_output_per_mtok = usd_of(known->price_output);
	m.price_cached_input_per_mtok = usd_of(known->price_cache_read);
	m.price_cache_write_per_mtok = usd_of(known->price_cache_write);
	m.price_cache_write_1h_per_mtok = usd_of(known->price_cache_write_1h);
	m.quality = known->quality;
	m.quality_source = known->quality_source;
	m.deprecated = known->is_deprecated;
	return m;
}

/* ---- what the options' own rules cannot see ---- */

static bool
is_printable(lz_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.ptr[i] <= ' ' || s.ptr[i] == 0x7f)
			return false;
	}
	return s.len > 0 && s.len <= MODEL_ID_BYTES;
}

bool
model_check_name(struct build *b, const char *where, const json_t *object,
    const char *member, lz_str name)
{
	if (!is_printable(name))
		build_wrong(b, where, object, member,
		    "a model's name has 1 to %d bytes and no blanks", MODEL_ID_BYTES);
	else if (str_find(name, '*') >= 0)
		build_wrong(b, where, object, member, "a model's name holds no *");
	else
		return true;
	return false;
}

static void
check_aliases(
    struct build *b, const json_t *object, const char *where, const struct model_entry *m)
{
	if (m->aliases.count > ALIASES_MAX)
		build_wrong(
		    b, where, object, "aliases", "has more than %d names", ALIASES_MAX);
	for (size_t i = 0; i < m->aliases.count; i++) {
		lz_str alias = m->aliases.items[i];

		if (model_check_name(b, where, object, "aliases", alias) &&
		    str_eq(alias, m->id))
			build_wrong(b, where, object, "aliases",
			    "\"%.*s\" is the model's name already", STR_ARG(alias));
	}
}

static void
check_tiers(struct build *b, const json_t *object, const char *where, const json_t *tiers)
{
	int64_t before = 0;
	json_t *tier;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)tiers, i, tier)
	{
		int64_t above = json_get_int(tier, "above", 0);

		if (above <= before)
			build_wrong(b, where, object, "price_tiers",
			    "item %zu: above, %lld, is not more than the one before it",
			    i, (long long)above);
		if (json_object_size(tier) < 2)
			build_wrong(b, where, object, "price_tiers",
			    "item %zu: has no price; write price_input_per_mtok and "
			    "price_output_per_mtok",
			    i);
		before = above;
	}
}

static bool
check_entry(
    struct build *b, const json_t *object, const char *where, const struct model_entry *m)
{
	size_t mark = b->complaint_count;

	(void)model_check_name(b, where, object, "id", m->id);
	check_aliases(b, object, where, m);
	check_tiers(b, object, where, (const json_t *)(const void *)m->price_tiers);
	if (m->context_window > 0 && m->max_output_tokens > m->context_window)
		build_warn(b, where, object, "max_output_tokens",
		    "%lld is larger than context_window, %lld; were they swapped?",
		    (long long)m->max_output_tokens, (long long)m->context_window);
	if (m->mode != MODE_EMBEDDING &&
	    (m->price_input_per_mtok < 0) != (m->price_output_per_mtok < 0))
		build_warn(b, where, object, NULL,
		    "has only one of price_input_per_mtok and price_output_per_mtok: it "
		    "counts as unpriced");
	return build_errors_since(b, mark) == 0;
}

/* ---- from the entry to the facts ---- */

static int64_t
tier_price(const json_t *tier, const char *member, int64_t otherwise)
{
	const json_t *value = json_object_get(tier, member);

	return json_is_number(value) ? pico_of(json_number_value(value)) : otherwise;
}

static void
set_tiers(struct build *b, const json_t *list, struct model_facts *f)
{
	struct price_tier *t = build_alloc(b, (json_array_size(list) + 1) * sizeof(*t));
	json_t *tier;
	size_t i;

	f->tier = t;
	f->tier_count = t != NULL ? json_array_size(list) : 0;
	if (t == NULL)
		return;
	json_array_foreach((json_t *)(uintptr_t)list, i, tier)
	{
		t[i] = (struct price_tier){ json_get_int(tier, "above", 0),
			tier_price(tier, "price_input_per_mtok", f->price_input),
			tier_price(tier, "price_output_per_mtok", f->price_output),
			tier_price(
			    tier, "price_cached_input_per_mtok", f->price_cache_read),
			tier_price(
			    tier, "price_cache_write_per_mtok", f->price_cache_write),
			tier_price(tier, "price_cache_write_1h_per_mtok",
			    f->price_cache_write_1h) };
	}
}

void
model_make_free(struct model_facts *f)
{
	f->price_input = f->price_output = f->price_cache_read = f->price_cache_write = 0;
	f->price_cache_write_1h = 0;
	f->tier_count = 0;
}

static void
facts_of(struct build *b, const struct model_entry *m, struct model_facts *f)
{
	f->id = m->id;
	f->context_window = m->context_window;
	f->max_output_tokens = m->max_output_tokens;
	f->price_input = pico_of(m->price_input_per_mtok);
	f->price_output = pico_of(m->price_output_per_mtok);
	f->price_cache_read = pico_of(m->price_cached_input_per_mtok);
	f->price_cache_write = pico_of(m->price_cache_write_per_mtok);
	f->price_cache_write_1h = pico_of(m->price_cache_write_1h_per_mtok);
	f->price_date = m->price_date;
	f->price_source = m->price_source;
	f->quality = m->quality;
	f->quality_source = m->quality_source;
	f->is_embedding = m->mode == MODE_EMBEDDING;
	f->is_deprecated = m->deprecated != 0;
	if (f->is_embedding && f->price_input >= 0 && f->price_output < 0)
		f->price_output = 0;
	if (m->price_tiers != NULL)
		set_tiers(b, (const json_t *)(const void *)m->price_tiers, f);
	if (m->price == ENTRY_FREE)
		model_make_free(f);
}

/* What base_model names; without it, or when there is no such model, which is told, what
 * is known of the id. */
static const struct catalogue_row *
find_base(struct build *b, const json_t *object, const char *where,
    const struct catalogue_row *known)
{
	lz_str base = json_get_str(object, "base_model");
	const struct catalogue_row *found;

	if (base.len == 0)
		return known;
	found = catalogue_find_base(&b->c->models->catalogue, base);
	if (found == NULL)
		build_wrong(b, where, object, "base_model",
		    "the catalogue knows no model \"%.*s\"; write an id that `latenza "
		    "model list` shows, or VENDOR/ID",
		    STR_ARG(str_cut(base, 0, 100)));
	return found != NULL ? found : known;
}

static bool
has_capabilities(const json_t *object)
{
	const json_t *list = json_object_get(object, "capabilities");

	return json_is_array(list) || json_is_string(list);
}

static bool
has(const json_t *object, const char *member)
{
	return json_object_get(object, member) != NULL;
}

/* What an entry does not say starts from what is known. */
static void
inherit(const json_t *object, const struct model_facts *known, struct model_entry *m,
    struct model_facts *f)
{
	f->vendor = known->vendor;
	f->capabilities = known->capabilities;
	f->knows_capabilities = known->knows_capabilities;
	f->tier = known->tier;
	f->tier_count = known->tier_count;
	if (!has(object, "mode"))
		m->mode = known->is_embedding;
	/* The catalogue's date and sources do not speak for other numbers. */
	if (has(object, "quality") && !has(object, "quality_source"))
		m->quality_source = STR_NONE;
	if (!has(object, "price_input_per_mtok") && !has(object, "price_output_per_mtok"))
		return;
	if (!has(object, "price_date"))
		m->price_date = STR_NONE;
	if (!has(object, "price_source"))
		m->price_source = STR_NONE;
}

bool
model_read(struct build *b, const json_t *object, const char *where,
    const struct catalogue_row *known, struct catalogue_row *out)
{
	static const char *const catalogue_only[] = { "vendor", "source", NULL };
	const struct catalogue_row *itself = known;
	size_t mark = b->complaint_count;
	struct options_context c = build_context(b, where);
	struct model_entry m;

	*out = (struct catalogue_row){ .upstream_model = STR_NONE };
	known = find_base(b, object, where, known);
	m = entry_of(known != NULL ? &known->facts : NULL);
	if (itself != NULL)
		m.upstream_model = itself->upstream_model;
	c.ignore = where == NULL ? catalogue_only : NULL;
	if (!build_apply(model_rows, model_row_count, object, &m, &c) ||
	    !check_entry(b, object, where, &m) || build_errors_since(b, mark) > 0)
		return false;
	if (known != NULL)
		inherit(object, &known->facts, &m, &out->facts);
	if (has_capabilities(object)) {
		out->facts.capabilities = bits_of(&m.capabilities);
		out->facts.knows_capabilities = true;
	}
	facts_of(b, &m, &out->facts);
	out->upstream_model = m.upstream_model.len > 0 ? m.upstream_model : m.id;
	out->aliases = m.aliases;
	return true;
}

bool
model_is_row(const char *name)
{
	for (uint32_t i = 0; i < model_row_count; i++) {
		if (strcmp(model_rows[i].name, name) == 0)
			return true;
	}
	return false;
}
