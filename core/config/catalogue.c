/* catalogue.c - the models that are known: the rows of models.json, and those of an
 * installation's own catalogue over them.
 *
 * An alias becomes a row of its own once everything is read, so that whoever looks a name
 * up has one list to look in.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/crypto.h"
#include "base/json.h"
#include "config/build.h"

/* models_data.c: made by embed.sh. */
extern const char models_json[];
extern const size_t models_json_len;

/* ---- what the program carries ---- */

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
	if (is_same && json_object_get(object, "aliases") == NULL)
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
