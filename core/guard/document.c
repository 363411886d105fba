/* document.c - the texts of a document: found.
 *
 * The walk is over bytes that the scanner has passed, so that it only looks at brackets
 * and quotes. take.c makes texts of what it finds, splice.c puts back what was made of
 * them. A segment of arguments stands inside the decoded string of its container.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/jscan.h"
#include "guard/loose.h"
#include "guard/names.h"
#include "guard/take.h"

bool
document_is_name(lz_str text)
{
	return names_look_like(text, NAME_BYTES);
}

/* May a number begin so? Those of JSON do not begin with all of these. */
static bool
begins_number(char c)
{
	return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.';
}

static size_t
number_end(lz_str s, size_t at)
{
	while (at < s.len &&
	       (begins_number(s.ptr[at]) || s.ptr[at] == 'e' || s.ptr[at] == 'E'))
		at++;
	return at;
}

/* ---- everything that nobody knows ---- */

static void take_value(struct walk *w, const struct place *p, lz_str value);

/* What should be no text is one where it does not look like it. */
static void
take_name(struct walk *w, const struct place *p, lz_str value, size_t max)
{
	lz_str item;

	if (value.ptr[0] == '"' && !names_look_like(take_inside(value), max))
		take_string(w, p, value, NULL);
	else if (value.ptr[0] == '{')
		take_value(w, p, value);
	else if (value.ptr[0] == '[')
		while (jscan_next_item(&value, &item))
			take_name(w, p, item, max);
}

static void
take_member(struct walk *w, const struct place *p, const struct jscan_member *m)
{
	if (!names_look_like(m->key, NAME_BYTES))
		take_string(w, p, lz_strn(m->key.ptr - 1, m->key.len + 2), NULL);
	if (jscan_key_is(m->key, "role") && m->type == JSCAN_STRING &&
	    !names_a_role(take_inside(m->value)))
		take_string(w, p, m->value, NULL);
	else if (m->type == JSCAN_STRING && names_a_file(m->key) &&
		 take_attached(w, p, m->value, jscan_key_is(m->key, "file_data")))
		return;
	else if (names_no_text(m->key))
		take_name(w, p, m->value, SIZE_MAX);
	else
		take_value(w, p, m->value);
}

static void
take_value(struct walk *w, const struct place *p, lz_str value)
{
	struct jscan_member m;
	lz_str item;

	if (value.ptr[0] == '"')
		take_string(w, p, value, NULL);
	else if (value.ptr[0] == '{')
		while (jscan_next(&value, &m))
			take_member(w, p, &m);
	else if (value.ptr[0] == '[')
		while (jscan_next_item(&value, &item))
			take_value(w, p, item);
	else if (p->kind == LZ_TOOL_ARGUMENTS && begins_number(value.ptr[0]))
		take_number(w, p, value, NULL);
}

/* ---- arguments: JSON inside a string ---- */

/* Every string of it, keys too, and every number. */
static void
take_leaves(struct walk *w, const struct place *p, lz_str rest, struct container *in)
{
	size_t at = 0, end;
	lz_str s;

	while (at < rest.len) {
		if (rest.ptr[at] == '"') {
			rest = str_cut(rest, at, rest.len);
			if (!jscan_next_string(&rest, &s))
				return;
			take_string(w, p, lz_strn(s.ptr - 1, s.len + 2), in);
			at = 0;
			continue;
		}
		end = begins_number(rest.ptr[at]) ? number_end(rest, at) : at + 1;
		take_number(w, p, str_cut(rest, at, end), in);
		at = end;
	}
}

static void
take_arguments(struct walk *w, const struct place *p, lz_str raw)
{
	struct place inside = *p;
	struct container *in;

	if (raw.ptr == NULL || raw.len <= 2 || raw.ptr[0] != '"')
		return;
	inside.kind = LZ_TOOL_ARGUMENTS;
	in = arena_alloc(w->d->texts.arena, sizeof(*in));
	if (in == NULL) {
		w->is_dry = true;
		return;
	}
	in->raw = raw;
	in->decoded = take_decoded(w, raw);
	if (jscan_value(in->decoded, NULL) != ST_OK && !loose_is_json(in->decoded)) {
		take_string(w, &inside, raw, NULL); /* no JSON: as it stands */
		return;
	}
	w->d->has_inner = true;
	take_leaves(w, &inside, in->decoded, in);
}

/* {"name", "arguments"} of a function, {"name", "input"} of a custom tool. */
static void
take_function(struct walk *w, const struct place *p, lz_str function, lz_str id)
{
	struct place its = *p;
	struct jscan_member m;
	lz_str rest = function;

	if (jscan_inner(function, "name", &m) && m.type == JSCAN_STRING)
		its.name = take_decoded(w, m.value);
	if (id.ptr != NULL && its.name.ptr != NULL && w->call_count < TAKE_CALLS) {
		w->call[w->call_count].id = id;
		w->call[w->call_count++].name = its.name;
	}
	its.kind = LZ_TOOL_ARGUMENTS;
	while (jscan_next(&rest, &m)) {
		if (jscan_key_is(m.key, "arguments") && m.type == JSCAN_STRING)
			take_arguments(w, &its, m.value);
		else if (jscan_key_is(m.key, "name"))
			take_name(w, &its, m.value, NAME_BYTES);
		else
			take_member(w, &its, &m);
	}
}

static void
take_calls(struct walk *w, const struct place *p, lz_str list)
{
	struct jscan_member m;
	lz_str call, id, rest;

	if (list.ptr[0] != '[') {
		take_value(w, p, list);
		return;
	}
	while (jscan_next_item(&list, &call)) {
		if (call.ptr[0] != '{') {
			take_value(w, p, call);
			continue;
		}
		id = jscan_inner(call, "id", &m) && m.type == JSCAN_STRING
			 ? take_decoded(w, m.value)
			 : STR_NONE;
		rest = call;
		while (jscan_next(&rest, &m)) {
			if (m.type == JSCAN_OBJECT && !names_no_text(m.key) &&
			    !jscan_key_is(m.key, "extra_content"))
				take_function(w, p, m.value, id);
			else
				take_member(w, p, &m);
		}
	}
}

/* ---- messages ---- */

/* Which member of a part goes on with the text of the parts before it: absent, where it
 * is none of text. What else is called so is a text of its own, so that nothing that a
 * provider passes over stands between two halves of a word. */
static lz_str
text_of_part(struct walk *w, lz_str part)
{
	lz_str found[3] = { STR_NONE, STR_NONE, STR_NONE };
	static const char *const names[] = { "type", "text", "refusal" };
	struct jscan_member m;

	while (jscan_next(&part, &m))
		for (unsigned i = 0; i < 3; i++) {
			if (!jscan_key_is(m.key, names[i]))
				continue;
			w->d->has_twice |= found[i].ptr != NULL;
			found[i] = m.value;
		}
	if (found[0].len > 2 && found[0].ptr[0] == '"') {
		if (jscan_key_is(take_inside(found[0]), "refusal"))
			return found[2];
		if (names_media(take_inside(found[0])))
			return STR_NONE;
	}
	return found[1].ptr != NULL ? found[1] : found[2];
}

/* The parts that are text are one text, whatever stands between them. */
static void
take_content(struct walk *w, const struct place *p, lz_str content)
{
	struct joining j = { -1, { 0 } };
	struct jscan_member m;
	lz_str part, rest, text;

	if (content.ptr[0] != '[') {
		take_value(w, p, content);
		return;
	}
	buf_init(&j.text, SIZE_MAX);
	while (jscan_next_item(&content, &part)) {
		if (part.ptr[0] == '"') {
			take_part(w, p, part, &j);
			continue;
		}
		if (part.ptr[0] != '{')
			take_value(w, p, part);
		rest = part;
		text = part.ptr[0] == '{' ? text_of_part(w, part) : STR_NONE;
		while (part.ptr[0] == '{' && jscan_next(&rest, &m)) {
			if (m.type == JSCAN_STRING && m.value.ptr == text.ptr)
				take_part(w, p, m.value, &j);
			else
				take_member(w, p, &m);
		}
	}
	take_parts_end(w, &j);
}

static lz_str
name_of_call(struct walk *w, lz_str raw_id)
{
	lz_str id = take_decoded(w, raw_id);

	for (size_t i = w->call_count; i-- > 0;)
		if (str_eq(w->call[i].id, id))
			return w->call[i].name;
	return STR_NONE;
}

bool
document_is_text(lz_str key, uint32_t *kind)
{
	*kind = names_reasoning(key) ? LZ_REASONING : LZ_PROSE;
	return names_look_like(key, NAME_BYTES) && !names_no_text(key);
}

static void
take_message(struct walk *w, const struct place *where, lz_str message)
{
	static const char *const names[] = { "role", "name", "tool_call_id" };
	struct place p = *where, other;
	struct jscan_member m, said[3];
	unsigned roles = 0;

	if (message.ptr[0] != '{') {
		take_value(w, where, message);
		return;
	}
	jscan_pick(message, names, 3, said);
	if (said[0].value.ptr != NULL && said[0].type == JSCAN_STRING)
		p.role = take_decoded(w, said[0].value);
	if (str_is(p.role, "tool") || str_is(p.role, "function")) {
		p.kind = LZ_TOOL_RESULT;
		if (said[2].value.ptr != NULL && said[2].type == JSCAN_STRING)
			p.name = name_of_call(w, said[2].value);
		else if (said[1].value.ptr != NULL && said[1].type == JSCAN_STRING)
			p.name = take_decoded(w, said[1].value);
	}
	while (jscan_next(&message, &m)) {
		other = p;
		/* Guardrails go by roles, and nobody knows which one is taken. */
		if (jscan_key_is(m.key, "role") && ++roles > 1)
			w->d->has_twice = true;
		if (jscan_key_is(m.key, "content"))
			take_content(w, &p, m.value);
		else if (jscan_key_is(m.key, "tool_calls"))
			take_calls(w, &p, m.value);
		else if (jscan_key_is(m.key, "function_call") && m.type == JSCAN_OBJECT)
			take_function(w, &p, m.value, STR_NONE);
		else if (names_reasoning(m.key)) {
			other.kind = LZ_REASONING;
			take_value(w, &other, m.value);
		} else {
			take_member(w, &p, &m);
		}
	}
}

static void
take_messages(struct walk *w, lz_str list)
{
	struct place p = { .kind = LZ_PROSE };
	lz_str message;

	if (list.ptr[0] != '[') {
		take_value(w, &p, list);
		return;
	}
	for (; jscan_next_item(&list, &message); p.message++)
		take_message(w, &p, message);
}

/* ---- documents ---- */

/* What stands beside the messages and reaches the model all the same: tools, schemas,
 * predictions. */
static const struct place beside = {
	.kind = LZ_PROSE, .message = (uint32_t)TEXT_NO_MESSAGE, .role = { "system", 6 }
};

static void
take_beside(struct walk *w, const struct jscan_member *m)
{
	take_member(w, &beside, m);
}

/* Its parts are one text, as a message's are: some providers' plugins join them. */
static void
take_prediction(struct walk *w, lz_str prediction)
{
	struct jscan_member m;

	while (jscan_next(&prediction, &m))
		if (jscan_key_is(m.key, "content"))
			take_content(w, &beside, m.value);
		else
			take_beside(w, &m);
}

static void
read_chat(struct walk *w)
{
	lz_str rest = w->d->bytes;
	struct jscan_member m;

	while (jscan_next(&rest, &m)) {
		if (jscan_key_is(m.key, "messages"))
			take_messages(w, m.value);
		else if (jscan_key_is(m.key, "prediction") && m.type == JSCAN_OBJECT)
			take_prediction(w, m.value);
		else
			take_beside(w, &m);
	}
}

/* A text, or a list of them; numbers are tokens, which nobody here can read. */
static void
read_embeddings(struct walk *w)
{
	struct place p = { .kind = LZ_PROSE, .role = STR_LIT("user") };
	lz_str rest = w->d->bytes, list, item;
	struct jscan_member m;

	while (jscan_next(&rest, &m)) {
		if (!jscan_key_is(m.key, "input")) {
			take_beside(w, &m);
			continue;
		}
		list = m.value;
		if (m.type == JSCAN_STRING)
			take_string(w, &p, m.value, NULL);
		else if (m.type == JSCAN_ARRAY)
			for (; jscan_next_item(&list, &item); p.message++) {
				if (item.ptr[0] == '"')
					take_string(w, &p, item, NULL);
				else
					w->d->has_numbers = true;
			}
	}
}

static void
take_choice(struct walk *w, lz_str choice, struct place p)
{
	static const char *const names[] = { "index", "logprobs" };
	struct jscan_member m, said[2];
	int64_t index;

	if (choice.ptr[0] != '{') {
		take_value(w, &p, choice);
		return;
	}
	jscan_pick(choice, names, 2, said);
	if (said[0].value.ptr != NULL && jscan_int(&said[0], &index) && index >= 0)
		p.choice = (uint32_t)index;
	if (said[1].value.ptr != NULL && said[1].type == JSCAN_OBJECT)
		p.logprobs = said[1].value;
	while (jscan_next(&choice, &m)) {
		if (jscan_key_is(m.key, "message") && m.type == JSCAN_OBJECT)
			take_message(w, &p, m.value);
		else if (!jscan_key_is(m.key, "logprobs") || m.type != JSCAN_OBJECT)
			take_member(w, &p, &m); /* they spell what is judged here */
	}
}

static void
read_answer(struct walk *w)
{
	struct place p = { .kind = LZ_PROSE, .role = STR_LIT("assistant") };
	lz_str rest = w->d->bytes, list, choice;
	struct jscan_member m;

	while (jscan_next(&rest, &m)) {
		list = m.value;
		if (!jscan_key_is(m.key, "choices") || m.type != JSCAN_ARRAY) {
			take_member(w, &p, &m);
			continue;
		}
		for (uint32_t i = 0; jscan_next_item(&list, &choice); i++) {
			p.choice = i;
			take_choice(w, choice, p);
		}
	}
}

static void
read_delta(struct walk *w)
{
	struct place p = {
		.kind = LZ_PROSE, .choice = w->d->choice, .role = STR_LIT("assistant")
	};

	take_message(w, &p, w->d->bytes);
}

enum status
document_read(struct document *d, enum document_kind kind, lz_str bytes, struct arena *a)
{
	static void (*const readers[])(
	    struct walk *) = { read_chat, read_embeddings, read_answer, read_delta };
	struct walk w = { .d = d };
	uint32_t choice = d->choice;

	*d = (struct document){ .kind = kind, .bytes = bytes, .choice = choice };
	d->texts.arena = a;
	readers[kind](&w);
	return w.is_dry ? ST_NOMEM : ST_OK;
}
