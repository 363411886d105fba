/* catalogue.c - the facts of models: the rows of models.json and those that the file
 * writes, by the same options.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "config/build.h"

/* models_data.c: made by embed.sh. */
extern const char models_json[];
extern const size_t models_json_len;

#define M         struct model_entry
#define PRICE_MAX 100000
const lz_option model_rows[] = {
	LZ_OPT_TEXT(
	    M, id, NULL, NULL, "the model's name, as requests and allowlists write it"),
	LZ_OPT_TEXT(
	    M, upstream_model, "", NULL, "what the provider calls it, when that differs"),
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
	LZ_OPT_TEXT(M, price_date, "", "date", "the day the prices were right"),
	LZ_OPT_LIST(M, capabilities, "",
	    "streaming|tools|vision|schema|reasoning|audio|files",
	    "what the model can; absent: nothing is held against it"),
	LZ_OPT_REAL(M, quality, "", 0, 1, "a score from 0 to 1, for the router quality"),
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
	MODEL_ID_BYTES = 200
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
entry_of(const struct catalogue_row *known)
{
	struct model_entry m = { .context_window = -1,
		.max_output_tokens = -1,
		.price_input_per_mtok = -1,
		.price_output_per_mtok = -1,
		.price_cached_input_per_mtok = -1,
		.price_cache_write_per_mtok = -1,
		.quality = -1 };

	if (known == NULL)
		return m;
	m.upstream_model = known->upstream_model;
	m.price_date = known->facts.price_date;
	m.context_window = known->facts.context_window;
	m.max_output_tokens = known->facts.max_output_tokens;
	m.price_input_per_mtok = usd_of(known->facts.price_input);
	m.price_output_per_mtok = usd_of(known->facts.price_output);
	m.price_cached_input_per_mtok = usd_of(known->facts.price_cache_read);
	m.price_cache_write_per_mtok = usd_of(known->facts.price_cache_write);
	m.quality = known->facts.quality;
	return m;
}

static bool
is_printable(lz_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.ptr[i] <= ' ' || s.ptr[i] == 0x7f)
			return false;
	}
	return s.len > 0 && s.len <= MODEL_ID_BYTES;
}

/* What the options' own rules cannot see. */
static bool
check_entry(
    struct build *b, const json_t *object, const char *where, const struct model_entry *m)
{
	size_t mark = b->complaint_count;

	if (!is_printable(m->id))
		build_wrong(b, where, object, "id",
		    "a model's name has 1 to %d bytes and no blanks", MODEL_ID_BYTES);
	else if (str_find(m->id, '*') >= 0)
		build_wrong(b, where, object, "id", "a model's name holds no *");
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

static void
facts_of(const struct model_entry *m, struct model_facts *f)
{
	f->id = m->id;
	f->context_window = m->context_window;
	f->max_output_tokens = m->max_output_tokens;
	f->price_input = pico_of(m->price_input_per_mtok);
	f->price_output = pico_of(m->price_output_per_mtok);
	f->price_cache_read = pico_of(m->price_cached_input_per_mtok);
	f->price_cache_write = pico_of(m->price_cache_write_per_mtok);
	f->price_date = m->price_date;
	f->quality = m->quality;
	f->is_embedding = m->mode == MODE_EMBEDDING;
	if (f->is_embedding && f->price_input >= 0 && f->price_output < 0)
		f->price_output = 0;
	if (m->price == ENTRY_FREE)
		f->price_input = f->price_output = f->price_cache_read =
		    f->price_cache_write = 0;
}

bool
model_read(struct build *b, const json_t *object, const char *where,
    const struct catalogue_row *known, struct catalogue_row *out)
{
	static const char *const catalogue_only[] = { "vendor", "source", NULL };
	struct options_context c = build_context(b, where);
	struct model_entry m = entry_of(known);

	c.ignore = where == NULL ? catalogue_only : NULL;
	*out = (struct catalogue_row){ .upstream_model = STR_NONE };
	if (!build_apply(model_rows, model_row_count, object, &m, &c) ||
	    !check_entry(b, object, where, &m))
		return false;
	if (known != NULL) {
		out->facts.vendor = known->facts.vendor;
		out->facts.capabilities = known->facts.capabilities;
		out->facts.knows_capabilities = known->facts.knows_capabilities;
		if (json_object_get(object, "mode") == NULL)
			m.mode = known->facts.is_embedding;
	}
	if (json_is_array(json_object_get(object, "capabilities")) ||
	    json_is_string(json_object_get(object, "capabilities"))) {
		out->facts.capabilities = bits_of(&m.capabilities);
		out->facts.knows_capabilities = true;
	}
	facts_of(&m, &out->facts);
	out->upstream_model = m.upstream_model.len > 0 ? m.upstream_model : m.id;
	return true;
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

static void
read_models(struct build *b, const json_t *models, struct catalogue *out)
{
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
		out->row_count++;
	}
	b->source = source;
}

void
catalogue_read(struct build *b, struct catalogue *out)
{
	struct err e = { "" };
	json_t *j = json_parse(lz_strn(models_json, models_json_len), &e);

	*out = (struct catalogue){ NULL, 0, NULL, 0 };
	if (j == NULL || json_array_append_new(b->c->keep, j) != 0) {
		b->is_out_of_memory = true; /* the build proved that it is JSON */
		return;
	}
	read_vendors(b, json_object_get(j, "vendors"), out);
	read_models(b, json_object_get(j, "models"), out);
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
