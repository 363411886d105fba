/* yaml.c - libyaml's events to a JSON tree, by the core schema of YAML 1.2, with the line
 * of everything.
 *
 * libyaml reads the syntax and nothing else: what a scalar means is decided by
 * yaml_plain.c. The event interface is used because the
 * document interface builds all of a hostile text before anybody may say stop. Whatever
 * could mean two things to two readers (duplicate keys, merge keys, tags, several
 * documents) is refused with its line.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/yaml.h"

#include <stdio.h>
#include <yaml.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "config/places.h"
#include "config/yaml_plain.h"

enum {
	TEXT_BYTES = 1 << 20,
	JSON_BYTES = 6 * TEXT_BYTES, /* the same with every byte escaped */
	DEPTH = 64,
	ALIAS_NODES =
	    10000, /* made by following aliases, in all: stops the billion laughs */
	ANCHORS = 1000
};

struct anchor {
	char *name;
	json_t *node; /* NULL: still being built */
};

struct reader {
	yaml_parser_t parser;
	struct yaml_source *source;
	struct err *e;
	struct anchor anchor[ANCHORS];
	size_t anchor_count;
	unsigned depth, alias_nodes;
};

/* ---- failures ---- */

static unsigned
line_of(const yaml_event_t *ev)
{
	return (unsigned)ev->start_mark.line + 1;
}

static json_t *fail(struct reader *r, unsigned line, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

static json_t *
fail(struct reader *r, unsigned line, const char *fmt, ...)
{
	char what[300];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	(void)err_fail(r->e, ST_INVALID, "%s:%u: %s", yaml_file(r->source), line, what);
	return NULL;
}

static json_t *
fail_nomem(struct reader *r)
{
	(void)err_fail(r->e, ST_NOMEM, "%s: out of memory", yaml_file(r->source));
	return NULL;
}

static bool
next(struct reader *r, yaml_event_t *ev)
{
	const yaml_parser_t *p = &r->parser;

	if (yaml_parser_parse(&r->parser, ev))
		return true;
	if (p->error == YAML_MEMORY_ERROR)
		(void)fail_nomem(r);
	else
		(void)fail(r, (unsigned)p->problem_mark.line + 1, "not YAML: %s%s%s",
		    p->context != NULL ? p->context : "", p->context != NULL ? ", " : "",
		    p->problem != NULL ? p->problem : "cannot be read");
	return false;
}

/* ---- scalars ---- */

static json_t *
scalar(struct reader *r, const yaml_event_t *ev)
{
	const char *s = (const char *)ev->data.scalar.value;
	size_t n = ev->data.scalar.length;
	struct err why = { "" };
	json_t *j;

	if (memchr(s, '\0', n) != NULL)
		return fail(r, line_of(ev), "a string holds a NUL byte");
	if (ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		j = yaml_plain(s, n, &why);
	else
		j = json_stringn(s, n);
	if (j != NULL)
		return j;
	return why.text[0] != '\0' ? fail(r, line_of(ev), "%s", why.text) : fail_nomem(r);
}

/* ---- aliases ---- */

static struct anchor *
anchor_find(struct reader *r, const char *name)
{
	for (size_t i = r->anchor_count; i > 0; i--) {
		if (strcmp(r->anchor[i - 1].name, name) == 0)
			return &r->anchor[i - 1];
	}
	return NULL;
}

static struct anchor *
anchor_open(struct reader *r, const char *name, unsigned line)
{
	struct anchor *a = &r->anchor[r->anchor_count];

	if (r->anchor_count == ANCHORS) {
		(void)fail(r, line, "more than %d anchors", ANCHORS);
		return NULL;
	}
	if ((a->name = mem_strdup(name)) == NULL) {
		(void)fail_nomem(r);
		return NULL;
	}
	a->node = NULL;
	r->anchor_count++;
	return a;
}

/* A copy of its own for each use, so that a node has one place. Its members stand where
 * the original's do. */
static json_t *
copy_node(struct reader *r, const json_t *from, unsigned line)
{
	json_t *to, *inner;
	const char *key;
	void *at;
	size_t i;

	if (++r->alias_nodes > ALIAS_NODES)
		return fail(
		    r, line, "aliases expand to more than %d values", ALIAS_NODES);
	if (!json_is_object(from) && !json_is_array(from)) {
		to = json_copy((json_t *)(uintptr_t)from);
		if (to == NULL)
			return fail_nomem(r);
		return to;
	}
	to = json_is_object(from) ? json_object() : json_array();
	if (to == NULL || !places_add(r->source, to, NULL, line))
		goto nomem;
	if (json_is_array(from)) {
		json_array_foreach((json_t *)(uintptr_t)from, i, inner)
		{
			json_t *copy = copy_node(r, inner, line);

			if (copy == NULL || json_array_append_new(to, copy) != 0)
				goto failed;
		}
		return to;
	}
	json_object_foreach_safe((json_t *)(uintptr_t)from, at, key, inner)
	{
		json_t *copy = copy_node(r, inner, line);

		if (copy == NULL || json_object_set_new(to, key, copy) != 0)
			goto failed;
		if (!places_add(r->source, to, key, yaml_line(r->source, from, key)))
			goto nomem;
	}
	return to;
nomem:
	(void)fail_nomem(r);
failed:
	json_decref(to);
	return NULL;
}

static json_t *
alias(struct reader *r, const yaml_event_t *ev)
{
	const char *name = (const char *)ev->data.alias.anchor;
	const struct anchor *a = anchor_find(r, name);

	if (a == NULL)
		return fail(r, line_of(ev), "*%s: there is no &%s before it", name, name);
	if (a->node == NULL)
		return fail(r, line_of(ev), "*%s stands inside what it stands for", name);
	return copy_node(r, a->node, line_of(ev));
}

/* ---- collections ---- */

static json_t *node(struct reader *r, yaml_event_t *ev);

static json_t *
sequence(struct reader *r, json_t *array)
{
	yaml_event_t ev;

	for (;;) {
		json_t *item;

		if (!next(r, &ev))
			return NULL;
		if (ev.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&ev);
			return array;
		}
		item = node(r, &ev);
		yaml_event_delete(&ev);
		if (item == NULL)
			return NULL;
		if (json_array_append_new(array, item) != 0)
			return fail_nomem(r);
	}
}

/* Is the event a key that can be used? Says what is wrong otherwise. */
static bool
check_key(struct reader *r, const json_t *object, const yaml_event_t *ev)
{
	const char *key = (const char *)ev->data.scalar.value;
	unsigned line = line_of(ev);
	const char *wrong = NULL;

	if (ev->type != YAML_SCALAR_EVENT) {
		(void)fail(
		    r, line, "a key must be a word, not a list, a map or an alias");
		return false;
	}
	if (ev->data.scalar.length == 0)
		wrong = "a key is empty";
	else if (strlen(key) != ev->data.scalar.length)
		wrong = "a key holds a NUL byte";
	else if (ev->data.scalar.tag != NULL)
		wrong = "tags (!name) are not supported";
	else if (ev->data.scalar.anchor != NULL)
		wrong = "a key must not have an anchor";
	else if (strcmp(key, "<<") == 0 &&
		 ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		wrong = "merge keys (<<) are not supported; write the members out or use "
			"an alias";
	if (wrong != NULL) {
		(void)fail(r, line, "%s", wrong);
		return false;
	}
	if (json_object_get(object, key) != NULL) {
		(void)fail(r, line, "\"%s\" is there twice, first on line %u", key,
		    yaml_line(r->source, object, key));
		return false;
	}
	return true;
}

static bool
member(struct reader *r, json_t *object, const yaml_event_t *key_event)
{
	const char *key = (const char *)key_event->data.scalar.value;
	yaml_event_t ev;
	json_t *value;

	if (!check_key(r, object, key_event) || !next(r, &ev))
		return false;
	value = node(r, &ev);
	yaml_event_delete(&ev);
	if (value == NULL)
		return false;
	if (json_object_set_new(object, key, value) != 0 ||
	    !places_add(r->source, object, key, line_of(key_event))) {
		(void)fail_nomem(r);
		return false;
	}
	places_move(r->source, value, line_of(key_event));
	return true;
}

static json_t *
mapping(struct reader *r, json_t *object)
{
	yaml_event_t ev;

	for (;;) {
		bool is_fine;

		if (!next(r, &ev))
			return NULL;
		if (ev.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&ev);
			return object;
		}
		is_fine = member(r, object, &ev);
		yaml_event_delete(&ev);
		if (!is_fine)
			return NULL;
	}
}

static json_t *
collection(struct reader *r, const yaml_event_t *ev)
{
	bool is_map = ev->type == YAML_MAPPING_START_EVENT;
	json_t *j, *whole;

	if (r->depth == DEPTH)
		return fail(
		    r, line_of(ev), "more than %d levels of lists and maps", DEPTH);
	j = is_map ? json_object() : json_array();
	if (j == NULL)
		return fail_nomem(r);
	r->depth++;
	whole = is_map ? mapping(r, j) : sequence(r, j);
	r->depth--;
	if (whole == NULL)
		json_decref(j);
	return whole;
}

static const char *
anchor_of(const yaml_event_t *ev, const char **tag)
{
	const yaml_char_t *anchor = NULL, *t = NULL;

	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		anchor = ev->data.scalar.anchor;
		t = ev->data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = ev->data.sequence_start.anchor;
		t = ev->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = ev->data.mapping_start.anchor;
		t = ev->data.mapping_start.tag;
		break;
	default:
		break;
	}
	*tag = (const char *)t;
	return (const char *)anchor;
}

static bool
is_singleton(const json_t *j)
{
	return json_is_boolean(j) || json_is_null(j);
}

/* The value that begins with the event. owned; NULL with the error written. */
static json_t *
node(struct reader *r, yaml_event_t *ev)
{
	const char *tag, *name = anchor_of(ev, &tag);
	struct anchor *a = NULL;
	json_t *j;

	if (tag != NULL)
		return fail(r, line_of(ev), "tags (%s) are not supported", tag);
	if (ev->type == YAML_ALIAS_EVENT)
		return alias(r, ev);
	if (name != NULL && (a = anchor_open(r, name, line_of(ev))) == NULL)
		return NULL;
	j = ev->type == YAML_SCALAR_EVENT ? scalar(r, ev) : collection(r, ev);
	if (j == NULL)
		return NULL;
	if (!is_singleton(j) && !places_add(r->source, j, NULL, line_of(ev))) {
		json_decref(j);
		return fail_nomem(r);
	}
	if (a != NULL)
		a->node = json_incref(j);
	return j;
}

/* ---- the document ---- */

/* Takes the event of that type. */
static bool
expect(struct reader *r, yaml_event_type_t type)
{
	yaml_event_t ev;
	bool is_it;

	if (!next(r, &ev))
		return false;
	is_it = ev.type == type;
	if (!is_it)
		(void)fail(
		    r, line_of(&ev), "a second document begins; one file holds one");
	yaml_event_delete(&ev);
	return is_it;
}

static json_t *
document(struct reader *r)
{
	yaml_event_t ev;
	json_t *j = NULL;

	if (!expect(r, YAML_STREAM_START_EVENT) || !next(r, &ev))
		return NULL;
	if (ev.type == YAML_STREAM_END_EVENT) {
		yaml_event_delete(&ev);
		return json_null();
	}
	yaml_event_delete(&ev); /* the document's start */
	if (!next(r, &ev))
		return NULL;
	j = node(r, &ev);
	yaml_event_delete(&ev);
	if (j == NULL)
		return NULL;
	if (!expect(r, YAML_DOCUMENT_END_EVENT) || !expect(r, YAML_STREAM_END_EVENT)) {
		json_decref(j);
		return NULL;
	}
	return j;
}

/* The first line that is not UTF-8; a character never goes over a line's end. */
static unsigned
line_of_bad_text(lz_str text)
{
	unsigned line = 1;
	ptrdiff_t n;

	while (
	    (n = str_find(text, '\n')) >= 0 && str_is_utf8(str_cut(text, 0, (size_t)n))) {
		text = str_cut(text, (size_t)n + 1, text.len);
		line++;
	}
	return line;
}

static enum status
check_text(lz_str text, const char *file, struct err *e)
{
	if (text.len > TEXT_BYTES)
		return err_fail(e, ST_LIMIT, "%s: is larger than 1 MiB", file);
	if (!str_is_utf8(text))
		return err_fail(
		    e, ST_INVALID, "%s:%u: is not UTF-8", file, line_of_bad_text(text));
	return ST_OK;
}

json_t *
yaml_parse(lz_str text, const char *file, struct yaml_source **source, struct err *e)
{
	struct err ours = { "" };
	struct reader *r;
	struct buf json;
	json_t *j = NULL;

	*source = NULL;
	if (check_text(text, file, e) != ST_OK)
		return NULL;
	buf_init(&json, JSON_BYTES);
	if (yaml_is_json(text)) {
		yaml_from_json(text, &json);
		text = buf_str(&json);
	}
	r = mem_zalloc(sizeof(*r));
	if (json.failed || r == NULL || (r->source = places_new(file)) == NULL ||
	    !yaml_parser_initialize(&r->parser)) {
		(void)err_fail(e, ST_NOMEM, "%s: out of memory", file);
		goto out;
	}
	r->e = &ours;
	yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(
	    &r->parser, (const unsigned char *)(text.len > 0 ? text.ptr : ""), text.len);
	j = document(r);
	if (j == NULL && e != NULL)
		*e = ours;
	yaml_parser_delete(&r->parser);
	for (size_t i = 0; i < r->anchor_count; i++) {
		mem_free(r->anchor[i].name);
		json_decref(r->anchor[i].node);
	}
out:
	if (j != NULL)
		*source = r->source;
	else if (r != NULL)
		yaml_source_free(r->source);
	mem_free(r);
	crypto_wipe(json.ptr, json.len); /* it may hold secrets */
	buf_free(&json);
	return j;
}
