/* build.c - what a configuration under construction complains of, and small helpers of
 * its parts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/build.h"

#include <ctype.h>
#include <stdio.h>

#include "base/mem.h"
#include "config/places.h"

enum {
	HIDDEN_BYTES = 8 /* shorter ones are numbers and words, which every text holds */
};

static bool
complaints_grow(struct build *b)
{
	size_t cap = b->complaint_cap == 0 ? 16 : 2 * b->complaint_cap;
	struct complaint *bigger = mem_realloc(b->complaint, cap * sizeof(*bigger));

	if (bigger == NULL)
		return false;
	b->complaint = bigger;
	b->complaint_cap = cap;
	return true;
}

static void
note_found(void *arg, lz_str value)
{
	struct build *b = arg;
	struct found *f = arena_alloc(b->c->memory, sizeof(*f));

	if (f == NULL) {
		b->is_out_of_memory = true;
		return;
	}
	*f = (struct found){ value, b->found };
	b->found = f;
}

/* How much of the text at its beginning is what a reference led to; a sentence may have
 * cut it short. 0: too little to tell, or nothing. */
static size_t
length_of_found(const struct build *b, const char *text)
{
	size_t longest = 0;

	for (const struct found *f = b->found; f != NULL; f = f->next) {
		size_t n = 0;

		while (n < f->value.len && text[n] != '\0' && text[n] == f->value.ptr[n])
			n++;
		if (n >= HIDDEN_BYTES && n > longest)
			longest = n;
	}
	return longest;
}

/* A complaint is one line, whatever it quotes. */
static char
in_one_line(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f ? ' ' : c;
}

static lz_str
without_found(const struct build *b, const char *sentence)
{
	char *copy = arena_alloc(b->c->memory, strlen(sentence) + 1);
	size_t n = 0, hidden;

	if (copy == NULL)
		return STR_NONE;
	while (*sentence != '\0') {
		hidden = length_of_found(b, sentence);
		if (hidden > 0) {
			memcpy(copy + n, "***", 3);
			n += 3;
			sentence += hidden;
		} else {
			copy[n++] = in_one_line(*sentence++);
		}
	}
	copy[n] = '\0';
	return lz_strn(copy, n);
}

static void
complain(void *arg, enum options_severity how, const char *sentence)
{
	struct build *b = arg;
	lz_str copy = without_found(b, sentence);

	if (copy.ptr == NULL ||
	    (b->complaint_count == b->complaint_cap && !complaints_grow(b))) {
		b->is_out_of_memory = true;
		return;
	}
	b->complaint[b->complaint_count++] = (struct complaint){ how, copy.ptr };
}

struct options_context
build_context(struct build *b, const char *where)
{
	return (struct options_context){ .memory = b->c->memory,
		.keep = b->c->keep,
		.where = where,
		.is_offline = b->o->is_offline,
		.source = b->source,
		.folder = b->folder,
		.report = complain,
		.found = note_found,
		.report_arg = b };
}

bool
build_apply(const lz_option *rows, uint32_t count, const json_t *object, void *self,
    const struct options_context *c)
{
	return options_apply(rows, count, sizeof(*rows), object, self, c, NULL) == ST_OK;
}

static void
say(struct build *b, enum options_severity how, const char *where, const json_t *object,
    const char *member, const char *fmt, va_list args)
{
	struct options_context c = build_context(b, where);
	struct err e;

	(void)vsnprintf(e.text, sizeof(e.text), fmt, args);
	options_say(&c, how, object, member, &e);
}

void
build_wrong(struct build *b, const char *where, const json_t *object, const char *member,
    const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(b, OPTIONS_ERROR, where, object, member, fmt, args);
	va_end(args);
}

void
build_warn(struct build *b, const char *where, const json_t *object, const char *member,
    const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(b, OPTIONS_WARNING, where, object, member, fmt, args);
	va_end(args);
}

size_t
build_errors_since(const struct build *b, size_t mark)
{
	size_t n = b->is_out_of_memory;

	for (size_t i = mark; i < b->complaint_count; i++)
		n += b->complaint[i].how != OPTIONS_WARNING;
	return n;
}

static bool
is_only_unset(const struct build *b, size_t mark)
{
	size_t unset = 0;

	for (size_t i = mark; i < b->complaint_count; i++)
		unset += b->complaint[i].how == OPTIONS_UNSET;
	return unset > 0 && unset == build_errors_since(b, mark);
}

bool
build_forgive(struct build *b, size_t mark)
{
	if (!is_only_unset(b, mark))
		return false;
	for (size_t i = mark; i < b->complaint_count; i++) {
		struct complaint *k = &b->complaint[i];
		lz_str text;

		if (k->how != OPTIONS_UNSET)
			continue;
		text = arena_printf(
		    b->c->memory, "%s; it is optional and left out", k->text);
		if (text.ptr != NULL)
			k->text = text.ptr;
		k->how = OPTIONS_WARNING;
	}
	return true;
}

const json_t *
build_object(struct build *b, const json_t *parent, const char *name)
{
	const json_t *value = json_object_get(parent, name);
	json_t *empty;

	if (json_is_object(value))
		return value;
	if (!json_is_null(value))
		return NULL;
	empty = json_object();
	if (json_array_append_new(b->c->keep, empty) != 0 ||
	    !yaml_set_line(b->source, empty, yaml_line(b->source, parent, name)))
		b->is_out_of_memory = true;
	return empty;
}

json_t *
build_copy(struct build *b, const json_t *object, bool (*is_wanted)(const char *name))
{
	json_t *copy = json_object();
	const char *name;
	json_t *value;

	if (json_array_append_new(b->c->keep, copy) != 0 ||
	    !yaml_set_line(b->source, copy, yaml_line(b->source, object, NULL))) {
		b->is_out_of_memory = true;
		return NULL;
	}
	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		if (is_wanted(name) && (json_object_set(copy, name, value) != 0 ||
					   !places_add(b->source, copy, name,
					       yaml_line(b->source, object, name))))
			b->is_out_of_memory = true;
	}
	return copy;
}

void *
build_alloc(struct build *b, size_t n)
{
	void *p = arena_alloc(b->c->memory, n);

	if (p == NULL)
		b->is_out_of_memory = true;
	return p;
}

const char **
build_names(struct build *b, const json_t *object)
{
	const char **names =
	    build_alloc(b, (json_object_size(object) + 1) * sizeof(*names));
	const char *name;
	json_t *value;
	size_t n = 0;

	if (names == NULL)
		return NULL;
	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		names[n++] = name;
	}
	return names;
}

lz_str
build_path(struct build *b, lz_str path)
{
	lz_str whole;

	if (path.len == 0 || path.ptr[0] == '/' || b->folder == NULL)
		return path;
	if (path.len > 2 && memcmp(path.ptr, "./", 2) == 0)
		path = (lz_str){ path.ptr + 2, path.len - 2 };
	whole = arena_printf(b->c->memory, "%s/%.*s", b->folder, STR_ARG(path));
	if (whole.ptr == NULL)
		b->is_out_of_memory = true;
	return whole;
}

bool
build_is_slug(lz_str name, bool is_key)
{
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.ptr[i];

		if (!islower(c) && !isdigit(c) && c != '-' &&
		    !(is_key && (c == '_' || c == '.')))
			return false;
	}
	return name.len > 0 && name.len <= SLUG_BYTES;
}
