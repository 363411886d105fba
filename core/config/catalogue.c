/* catalogue.c - the facts of models: the rows of models.json, those of an installation's
 * own catalogue over them, and those that the file writes, by the same options.
 *
 * An alias becomes a row of its own once everything is read, so that whoever looks a name
 * up has one list to look in.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>

#include "base/crypto.h"
#include "base/json.h"
#include "config/build.h"

/* models_data.c: made by embed.sh. */
extern const char models_json[];
extern const size_t models_json_len;

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

static void
make_free(struct model_facts *f)
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
		make_free(f);
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

/* ---- the data file ---- */

static void
read_vendors(struct build *b, const json_t *vendors, struct catalogue *out)
{
	const char *name;
	json_t *v;

	out->vendor =
	    build_alloc(b, (json_object_size(vendors) + 1) * sizeof(*out->vendor));
	if (out->vendor == NULL)
		return;
	json_object_foreach((json_t *)(uintptr_t)vendors, name, v)
	{
		out->vendor[out->vendor_count++] = (struct vendor){ lz_strz(name),
			json_get_str(v, "env"), json_get_bool(v, "test", false) };
	}
}

static lz_str
source_at(const json_t *root, const json_t *index)
{
	const json_t *text = json_array_get(
	    json_object_get(root, "sources"), (size_t)json_integer_value(index));

	return lz_strn(json_string_value(text), json_string_length(text));
}

/* The first source of a row is the one of its prices. */
static void
note_sources(const json_t *root, const json_t *m, struct model_facts *f)
{
	if (f->price_input >= 0 || f->price_output >= 0)
		f->price_source =
		    source_at(root, json_array_get(json_object_get(m, "source"), 0));
	if (f->quality >= 0)
		f->quality_source =
		    source_at(root, json_object_get(root, "quality_source"));
}

static void
read_models(struct build *b, const json_t *root, struct catalogue *out)
{
	const json_t *models = json_object_get(root, "models");
	struct yaml_source *source = b->source;
	json_t *m;
	size_t i;

	out->row = build_alloc(b, (json_array_size(models) + 1) * sizeof(*out->row));
	if (out->row == NULL)
		return;
	b->source = NULL; /* its lines are not the file's */
	json_array_foreach((json_t *)(uintptr_t)models, i, m)
	{
		if (!model_read(b, m, NULL, NULL, &out->row[i]))
			break;
		out->row[i].facts.vendor = json_get_str(m, "vendor");
		note_sources(root, m, &out->row[i].facts);
		out->row_count++;
	}
	b->source = source;
}

static void
read_built_in(struct build *b, struct catalogue *out)
{
	struct err e = { "" };
	json_t *j = json_parse(lz_strn(models_json, models_json_len), &e);

	if (j == NULL || json_array_append_new(b->c->keep, j) != 0) {
		b->is_out_of_memory = true; /* the build proved that it is JSON */
		return;
	}
	read_vendors(b, json_object_get(j, "vendors"), out);
	read_models(b, j, out);
}

/* Also before aliases are rows. */
static bool
is_called(const struct catalogue_row *row, lz_str name)
{
	bool is = str_eq(row->facts.id, name);

	for (size_t i = 0; i < row->aliases.count && !is; i++)
		is = str_eq(row->aliases.items[i], name);
	return is;
}

/* ---- the installation's own catalogue ---- */

/* Rows may be added now: as many as `more`. */
static bool
make_room(struct build *b, struct catalogue *k, size_t more)
{
	struct catalogue_row *row =
	    build_alloc(b, (k->row_count + more + 1) * sizeof(*row));

	if (row == NULL)
		return false;
	if (k->row_count > 0)
		memcpy(row, k->row, k->row_count * sizeof(*row));
	k->row = row;
	return true;
}

/* Every member but this one is of the model's rows. */
static bool
is_own(const char *name)
{
	return strcmp(name, "vendor") != 0;
}

static struct catalogue_row *
row_called(const struct catalogue *k, lz_str vendor, lz_str name)
{
	for (size_t i = 0; i < k->row_count; i++) {
		if (str_eq(k->row[i].facts.vendor, vendor) && is_called(&k->row[i], name))
			return &k->row[i];
	}
	return NULL;
}

/* A vendor is a provider's plugin: one that is neither carried nor opened serves nobody.
 */
static void
check_vendor(
    struct build *b, const json_t *object, const struct catalogue *k, lz_str vendor)
{
	const struct part_ops *parts = part_get_ops();
	lz_str near = STR_NONE;

	if (catalogue_vendor(k, vendor) != NULL || parts == NULL ||
	    parts->find("provider", vendor, &near) != NULL)
		return;
	if (near.len > 0)
		build_warn(b, "models", object, "vendor",
		    "no provider's plugin is called \"%.*s\"; did you mean \"%.*s\"?",
		    STR_ARG(vendor), STR_ARG(near));
	else
		build_warn(b, "models", object, "vendor",
		    "no provider's plugin is called \"%.*s\": nobody serves the model",
		    STR_ARG(vendor));
}

static void
merge_model(struct build *b, const json_t *object, struct catalogue *k)
{
	lz_str vendor = json_get_str(object, "vendor"), id = json_get_str(object, "id");
	struct catalogue_row *known, *row = build_alloc(b, sizeof(*row));
	const json_t *own;
	bool is_same;

	if (!json_is_object(object) || !build_is_slug(vendor, false)) {
		build_wrong(b, "models", object, "vendor",
		    "is missing or no name; write the plugin whose providers serve the "
		    "model: openai");
		return;
	}
	check_vendor(b, object, k, vendor);
	own = build_copy(b, object, is_own);
	known = row_called(k, vendor, id);
	if (row == NULL || own == NULL || !model_read(b, own, "models", known, row))
		return;
	row->facts.vendor = vendor;
	is_same = known != NULL && str_eq(known->facts.id, id);
	if (is_same && !has(object, "aliases"))
		row->aliases = known->aliases;
	if (is_same)
		*known = *row;
	else
		k->row[k->row_count++] = *row;
}

static void
merge_models(struct build *b, const json_t *root, struct catalogue *k)
{
	const json_t *models = json_object_get(root, "models");
	const char *name;
	json_t *value;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)root, name, value)
	{
		if (strcmp(name, "models") != 0)
			build_wrong(b, NULL, root, name,
			    "is not known; a catalogue holds models");
	}
	if (!json_is_array(models))
		build_wrong(b, NULL, root, json_is_object(root) ? "models" : NULL,
		    "is not a list of models; write models: [ { vendor: openai, id: "
		    "NAME, ... } ]");
	else if (make_room(b, k, json_array_size(models)))
		json_array_foreach((json_t *)(uintptr_t)models, i, value)
		    merge_model(b, value, k);
}

static void
read_own(struct build *b, struct catalogue *k)
{
	struct yaml_source *files = b->source;
	const char *path = b->c->catalogue.ptr;
	struct err e = { "" };
	struct buf text;
	json_t *root = NULL;

	buf_init(&text, 1 << 20);
	if (build_read_text(path, &text, &e) != ST_OK) {
		build_wrong(b, NULL, b->c->tree, "catalogue", "%s", e.text);
	} else {
		crypto_sha256(buf_str(&text), b->c->catalogue_digest);
		b->source = NULL;
		root = yaml_parse(buf_str(&text), path, &b->source, &e);
		if (root == NULL)
			build_wrong(b, NULL, NULL, NULL, "%s", e.text);
		else if (json_array_append_new(b->c->keep, root) != 0)
			b->is_out_of_memory = true;
		else
			merge_models(b, root, k);
		yaml_source_free(b->source);
		b->source = files;
	}
	buf_free(&text);
}

/* ---- aliases ---- */

static void
add_alias(struct catalogue *k, const struct catalogue_row *row, lz_str alias)
{
	if (catalogue_find(k, row->facts.vendor, alias) != NULL)
		return; /* a model of that name, or a later row's alias */
	k->row[k->row_count] = *row;
	k->row[k->row_count++].facts.id = alias;
}

/* From the last row, so that what an installation writes goes before what is carried. */
static void
add_aliases(struct build *b, struct catalogue *k)
{
	size_t n = k->row_count, more = 0;

	for (size_t i = 0; i < n; i++)
		more += k->row[i].aliases.count;
	if (!make_room(b, k, more))
		return;
	for (size_t i = n; i-- > 0;)
		for (size_t a = 0; a < k->row[i].aliases.count; a++)
			add_alias(k, &k->row[i], k->row[i].aliases.items[a]);
}

void
catalogue_read(struct build *b, struct catalogue *out)
{
	*out = (struct catalogue){ NULL, 0, NULL, 0 };
	read_built_in(b, out);
	if (b->c->catalogue.len > 0)
		read_own(b, out);
	add_aliases(b, out);
}

const struct vendor *
catalogue_vendor(const struct catalogue *k, lz_str name)
{
	for (size_t i = 0; i < k->vendor_count; i++) {
		if (str_eq(k->vendor[i].name, name))
			return &k->vendor[i];
	}
	return NULL;
}

const struct catalogue_row *
catalogue_find(const struct catalogue *k, lz_str vendor, lz_str id)
{
	for (size_t i = 0; i < k->row_count; i++) {
		if (str_eq(k->row[i].facts.id, id) &&
		    str_eq(k->row[i].facts.vendor, vendor))
			return &k->row[i];
	}
	return NULL;
}

const struct catalogue_row *
catalogue_find_base(const struct catalogue *k, lz_str name)
{
	ptrdiff_t slash = str_find(name, '/');
	lz_str vendor = slash > 0 ? str_cut(name, 0, (size_t)slash) : STR_NONE;
	lz_str rest = slash > 0 ? str_cut(name, (size_t)slash + 1, name.len) : name;

	for (size_t i = 0; i < k->row_count; i++) {
		const struct catalogue_row *row = &k->row[i];

		if (is_called(row, name) ||
		    (str_eq(row->facts.vendor, vendor) && is_called(row, rest)))
			return row;
	}
	return NULL;
}
