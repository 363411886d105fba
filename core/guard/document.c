/* document.c - the texts of a document: found, changed, and put back.
 *
 * The walk is over bytes that the scanner has passed, so that it only looks at brackets
 * and quotes. Each string that is (a part of) a text becomes a segment: where it stands,
 * and where it ends in the text. A segment of arguments stands inside the decoded string
 * of its container, which is written anew when one of its segments changed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guard/document.h"

#include <stdlib.h>

#include "base/jscan.h"
#include "guard/attached.h"

enum {
	CALLS = 128 /* tool calls whose names are remembered for their results */
};

/* Arguments of a tool call: JSON inside a string. */
struct container {
	lz_str raw;     /* in the document, with its quotes */
	lz_str decoded; /* in the arena */
	struct container *next;
};

struct segment {
	lz_str raw; /* with its quotes; in the document, or in its container */
	size_t end; /* in the text as it is now */
	struct container *container; /* NULL: it stands in the document */
	lz_str attached;             /* it is base64, behind this; absent: it is not */
};

struct text_source {
	struct segment *item;
	size_t count, room;
	lz_str logprobs; /* of its choice: a value in the document */
};

/* What is known of the place that the walk is at. */
struct place {
	uint32_t kind, message, choice;
	lz_str role, name;
	lz_str logprobs;
};

struct walk {
	struct document *d;
	struct {
		lz_str id, name;
	} call[CALLS];
	size_t call_count;
	bool is_dry;
};

/* ---- what is no text ---- */

struct word {
	size_t len;
	const char *text;
};
#define WORD(s)                                                                          \
	{                                                                                \
		sizeof(s) - 1, s                                                         \
	}

/* Names, ids, media: no text, as long as they look like it. */
static const struct word no_texts[] = { WORD("role"), WORD("type"), WORD("id"),
	WORD("tool_call_id"), WORD("call_id"), WORD("model"), WORD("object"),
	WORD("created"), WORD("index"), WORD("finish_reason"),
	WORD("native_finish_reason"), WORD("system_fingerprint"), WORD("service_tier"),
	WORD("url"), WORD("image_url"), WORD("detail"), WORD("format"),
	WORD("media_type"), WORD("mime_type"), WORD("data"), WORD("file_id"),
	WORD("file_data"), WORD("b64_json"), WORD("signature"), WORD("thought_signature"),
	WORD("thoughtSignature"), WORD("encrypted_content"), WORD("redacted_thinking"),
	WORD("voice"), WORD("stream_options"), WORD("tool_choice"),
	WORD("reasoning_effort"), WORD("verbosity"), WORD("modalities"), WORD("user"),
	WORD("safety_identifier"), WORD("prompt_cache_key"),
	WORD("prompt_cache_retention"), WORD("encoding_format"), WORD("cache_control"),
	WORD("provider"), WORD("$schema"), WORD("$ref"), WORD("strict"), WORD("required"),
	WORD("additionalProperties"), WORD("content_filter_results"),
	WORD("prompt_filter_results") };
/* Where a data URL may stand: the file that is in it may be a text. */
static const struct word files[] = { WORD("file_data"), WORD("url"), WORD("image_url"),
	WORD("document_url"), WORD("file_url") };
/* Parts of a message whose text is elsewhere: a `text` of theirs nobody reads. */
static const struct word media_parts[] = { WORD("image_url"), WORD("input_image"),
	WORD("image"), WORD("input_audio"), WORD("audio"), WORD("video_url"),
	WORD("input_video"), WORD("file"), WORD("input_file"), WORD("document_url") };
static const struct word roles[] = { WORD("system"), WORD("developer"), WORD("user"),
	WORD("assistant"), WORD("tool"), WORD("function"), WORD("model") };
enum {
	NAME_BYTES = 128 /* of a key, or the name of a tool; what is longer is a text */
};

static bool
is_one_of(const struct word *words, size_t n, lz_str key)
{
	bool is_plain = memchr(key.ptr, '\\', key.len) == NULL;

	for (size_t i = 0; i < n; i++)
		if (is_plain ? words[i].len == key.len &&
				   memcmp(words[i].text, key.ptr, key.len) == 0
			     : jscan_key_is(key, words[i].text))
			return true;
	return false;
}
#define IS_ONE_OF(words, key)                                                            \
	is_one_of((words), sizeof(words) / sizeof((words)[0]), (key))

/* Is there somebody's address in it? */
static bool
has_address(lz_str raw)
{
	const char *at = raw.len > 0 ? memchr(raw.ptr, '@', raw.len) : NULL;

	return at != NULL && memchr(at, '.', raw.len - (size_t)(at - raw.ptr)) != NULL;
}

/* Does a string, as written and without its quotes, look like a name, an id, a URL or
 * base64? Then it has no blank, and nothing but ASCII. */
static bool
is_like_a_name(lz_str raw, size_t max)
{
	for (size_t i = 0; i < raw.len; i++) {
		unsigned char c = (unsigned char)raw.ptr[i];

		if (c <= ' ' || c >= 0x7f || (c == '\\' && raw.ptr[++i] != '/'))
			return false;
	}
	return raw.len <= max && !has_address(raw);
}

bool
document_is_name(lz_str text)
{
	return is_like_a_name(text, NAME_BYTES);
}

static lz_str
without_quotes(lz_str raw)
{
	return str_cut(raw, 1, raw.len - 1);
}

/* ---- strings become segments ---- */

static lz_str
decoded(struct walk *w, lz_str raw)
{
	struct jscan_member m = { .value = raw,
		.type = JSCAN_STRING,
		.has_escape = memchr(raw.ptr, '\\', raw.len) != NULL };
	char *room = m.has_escape ? arena_room(w->d->texts.arena, raw.len) : NULL;
	lz_str out = STR_NONE;

	if (m.has_escape && room == NULL)
		w->is_dry = true;
	else if (!jscan_string(&m, room, &out))
		w->is_dry = true;
	return out.ptr != NULL ? out : STR_LIT("");
}

static bool
add_segment(struct walk *w, struct text *t, lz_str raw, struct container *in)
{
	struct text_source *s = t->source;
	struct arena *a = w->d->texts.arena;

	if (s->count == s->room) {
		size_t room = s->room > 0 ? 2 * s->room : 1;
		struct segment *item = arena_room(a, room * sizeof(*item));

		if (item == NULL)
			return false;
		if (s->count > 0)
			memcpy(item, s->item, s->count * sizeof(*item));
		s->item = item;
		s->room = room;
	}
	s->item[s->count++] = (struct segment){ raw, t->shown.text.len, in, STR_NONE };
	return true;
}

static struct text *
new_text(struct walk *w, const struct place *p)
{
	struct text *t = texts_add(&w->d->texts);

	if (t != NULL)
		t->source = arena_alloc(w->d->texts.arena, sizeof(*t->source));
	if (t == NULL || t->source == NULL) {
		w->is_dry = true;
		return NULL;
	}
	t->source->logprobs = p->logprobs;
	t->shown.kind = p->kind;
	t->shown.message = p->message;
	t->shown.choice = p->choice;
	t->shown.role = p->role;
	t->shown.name = p->name;
	t->shown.final = 1;
	t->shown.text = STR_LIT("");
	return t;
}

/* One string, one text. Empty ones say nothing. */
static void
take_string(struct walk *w, const struct place *p, lz_str raw, struct container *in)
{
	lz_str text;
	struct text *t;

	if (raw.len <= 2)
		return;
	text = decoded(w, raw);
	t = new_text(w, p);
	if (t == NULL)
		return;
	t->shown.text = text;
	w->is_dry |= !add_segment(w, t, raw, in);
}

/* A file of text is shown as one. false: the string is none. */
static bool
take_attached(struct walk *w, const struct place *p, lz_str raw, bool is_file)
{
	lz_str head, text = STR_NONE;
	struct text *t;

	if (!is_file && !attached_may_be(without_quotes(raw)))
		return false;
	switch (
	    attached_read(decoded(w, raw), is_file, w->d->texts.arena, &head, &text)) {
	case ATTACHED_NOT:
		return false;
	case ATTACHED_PLAIN:
		take_string(w, p, raw, NULL);
		return true;
	case ATTACHED_UNREADABLE:
		w->d->has_unread = true;
		return true;
	case ATTACHED_DRY:
		w->is_dry = true;
		return true;
	case ATTACHED_TEXT:
		break;
	}
	t = new_text(w, p);
	if (t == NULL)
		return true;
	t->shown.text = text;
	w->is_dry |= !add_segment(w, t, raw, NULL);
	if (!w->is_dry)
		t->source->item[0].attached = head;
	return true;
}

/* A text that grows part by part: `begun` is its place in the list, -1: there is none. */
struct joining {
	ptrdiff_t begun;
	struct buf text;
};

static void
take_part(struct walk *w, const struct place *p, lz_str raw, struct joining *j)
{
	struct text *t;

	if (raw.len <= 2)
		return;
	if (j->begun < 0) {
		j->begun = (ptrdiff_t)w->d->texts.count;
		if (new_text(w, p) == NULL)
			return;
	}
	t = &w->d->texts.item[j->begun];
	buf_add_str(&j->text, decoded(w, raw));
	t->shown.text.len = j->text.len; /* where the segment ends */
	w->is_dry |= j->text.failed || !add_segment(w, t, raw, NULL);
}

static void
end_parts(struct walk *w, struct joining *j)
{
	struct text *t = j->begun >= 0 ? &w->d->texts.item[j->begun] : NULL;

	if (t != NULL && !w->is_dry) {
		t->shown.text = j->text.len > 0
				    ? arena_copy(w->d->texts.arena, buf_str(&j->text))
				    : STR_LIT("");
		w->is_dry |= t->shown.text.ptr == NULL;
	}
	buf_free(&j->text);
}

/* ---- everything that nobody knows ---- */

static void take_value(struct walk *w, const struct place *p, lz_str value);

/* What should be no text is one where it does not look like it. */
static void
take_name(struct walk *w, const struct place *p, lz_str value, size_t max)
{
	lz_str item;

	if (value.ptr[0] == '"' && !is_like_a_name(without_quotes(value), max))
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
	if (!is_like_a_name(m->key, NAME_BYTES))
		take_string(w, p, lz_strn(m->key.ptr - 1, m->key.len + 2), NULL);
	if (jscan_key_is(m->key, "role") && m->type == JSCAN_STRING &&
	    !IS_ONE_OF(roles, without_quotes(m->value)))
		take_string(w, p, m->value, NULL);
	else if (m->type == JSCAN_STRING && IS_ONE_OF(files, m->key) &&
		 take_attached(w, p, m->value, jscan_key_is(m->key, "file_data")))
		return;
	else if (IS_ONE_OF(no_texts, m->key))
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
}

/* ---- arguments: JSON inside a string ---- */

/* Every string of it, keys too. */
static void
take_arguments(struct walk *w, const struct place *p, lz_str raw)
{
	struct place inside = *p;
	struct container *in;
	lz_str rest, s;

	if (raw.ptr == NULL || raw.len <= 2 || raw.ptr[0] != '"')
		return;
	inside.kind = LZ_TOOL_ARGUMENTS;
	in = arena_alloc(w->d->texts.arena, sizeof(*in));
	if (in == NULL) {
		w->is_dry = true;
		return;
	}
	in->raw = raw;
	in->decoded = decoded(w, raw);
	if (jscan_value(in->decoded, NULL) != ST_OK) {
		take_string(w, &inside, raw, NULL); /* no JSON: as it stands */
		return;
	}
	w->d->has_inner = true;
	rest = in->decoded;
	while (jscan_next_string(&rest, &s))
		take_string(w, &inside, lz_strn(s.ptr - 1, s.len + 2), in);
}

/* {"name", "arguments"} of a function, {"name", "input"} of a custom tool. */
static void
take_function(struct walk *w, const struct place *p, lz_str function, lz_str id)
{
	struct place its = *p;
	struct jscan_member m;
	lz_str rest = function;

	if (jscan_inner(function, "name", &m) && m.type == JSCAN_STRING)
		its.name = decoded(w, m.value);
	if (id.ptr != NULL && its.name.ptr != NULL && w->call_count < CALLS) {
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
			 ? decoded(w, m.value)
			 : STR_NONE;
		rest = call;
		while (jscan_next(&rest, &m)) {
			if (m.type == JSCAN_OBJECT && !IS_ONE_OF(no_texts, m.key) &&
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
		if (jscan_key_is(without_quotes(found[0]), "refusal"))
			return found[2];
		if (IS_ONE_OF(media_parts, without_quotes(found[0])))
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
	end_parts(w, &j);
}

static lz_str
name_of_call(struct walk *w, lz_str raw_id)
{
	lz_str id = decoded(w, raw_id);

	for (size_t i = w->call_count; i-- > 0;)
		if (str_eq(w->call[i].id, id))
			return w->call[i].name;
	return STR_NONE;
}

static bool
is_reasoning(lz_str key)
{
	return jscan_key_is(key, "reasoning_content") || jscan_key_is(key, "reasoning") ||
	       jscan_key_is(key, "thinking") || jscan_key_is(key, "reasoning_details") ||
	       jscan_key_is(key, "thinking_blocks");
}

bool
document_is_text(lz_str key, uint32_t *kind)
{
	*kind = is_reasoning(key) ? LZ_REASONING : LZ_PROSE;
	return is_like_a_name(key, NAME_BYTES) && !IS_ONE_OF(no_texts, key);
}

static void
take_message(struct walk *w, const struct place *where, lz_str message)
{
	static const char *const names[] = { "role", "name", "tool_call_id" };
	struct place p = *where, other;
	struct jscan_member m, said[3];

	if (message.ptr[0] != '{') {
		take_value(w, where, message);
		return;
	}
	jscan_pick(message, names, 3, said);
	if (said[0].value.ptr != NULL && said[0].type == JSCAN_STRING)
		p.role = decoded(w, said[0].value);
	if (str_is(p.role, "tool") || str_is(p.role, "function")) {
		p.kind = LZ_TOOL_RESULT;
		if (said[2].value.ptr != NULL && said[2].type == JSCAN_STRING)
			p.name = name_of_call(w, said[2].value);
		else if (said[1].value.ptr != NULL && said[1].type == JSCAN_STRING)
			p.name = decoded(w, said[1].value);
	}
	while (jscan_next(&message, &m)) {
		other = p;
		if (jscan_key_is(m.key, "content"))
			take_content(w, &p, m.value);
		else if (jscan_key_is(m.key, "tool_calls"))
			take_calls(w, &p, m.value);
		else if (jscan_key_is(m.key, "function_call") && m.type == JSCAN_OBJECT)
			take_function(w, &p, m.value, STR_NONE);
		else if (is_reasoning(m.key)) {
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
static void
take_beside(struct walk *w, const struct jscan_member *m)
{
	struct place p = { .kind = LZ_PROSE,
		.message = (uint32_t)TEXT_NO_MESSAGE,
		.role = STR_LIT("system") };

	take_member(w, &p, m);
}

static void
read_chat(struct walk *w)
{
	lz_str rest = w->d->bytes;
	struct jscan_member m;

	while (jscan_next(&rest, &m)) {
		if (jscan_key_is(m.key, "messages"))
			take_messages(w, m.value);
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

/* ---- changed ---- */

/* Where the boundaries of segments stand after the edits: inside one, behind what it put
 * there. Both rise, so that one walk is enough. */
static void
move_ends(struct text_source *s, const struct text_edits *edits)
{
	ptrdiff_t shift = 0;
	size_t next = 0, to = 0; /* of the last edit that began before */

	for (size_t i = 0; i < s->count; i++) {
		size_t at = s->item[i].end;

		for (; next < edits->count && edits->item[next].from < at; next++) {
			const struct text_edit *e = &edits->item[next];

			if (e->is_reveal)
				continue;
			shift += (ptrdiff_t)e->with.len - (ptrdiff_t)(e->to - e->from);
			to = e->to;
		}
		s->item[i].end = (size_t)((ptrdiff_t)(to > at ? to : at) + shift);
	}
}

static enum status
apply(struct document *d, struct text *t)
{
	struct text_edits marks = { NULL, 0, 0 };
	lz_str new = text_apply(&d->texts, t, 0, t->shown.text.len, &marks);

	if (new.ptr == NULL)
		return ST_NOMEM;
	move_ends(t->source, &t->edits);
	t->shown.text = new;
	t->marks = marks;
	t->shown.plain = STR_NONE;
	t->has_plain = false;
	t->origin = NULL;
	t->is_changed = true;
	t->edits.count = 0;
	return ST_OK;
}

enum status
document_apply(struct document *d)
{
	for (size_t i = 0; i < d->texts.count; i++) {
		if (d->texts.item[i].edits.count == 0)
			continue;
		if (apply(d, &d->texts.item[i]) != ST_OK)
			return ST_NOMEM;
	}
	return ST_OK;
}

bool
document_is_changed(const struct document *d)
{
	for (size_t i = 0; i < d->texts.count; i++)
		if (d->texts.item[i].is_changed)
			return true;
	return false;
}

/* ---- put back ---- */

/* A range of bytes and what stands there now. */
struct patch {
	lz_str raw;
	lz_str with; /* JSON */
	struct container *container;
};

struct patches {
	struct arena *arena;
	struct patch *item;
	size_t count, room;
	bool is_for_client, is_dry;
};

static void
add_patch(struct patches *all, struct patch p)
{
	if (all->count == all->room) {
		size_t room = all->room > 0 ? 2 * all->room : 16;
		struct patch *item = arena_room(all->arena, room * sizeof(*item));

		if (item == NULL) {
			all->is_dry = true;
			return;
		}
		if (all->count > 0)
			memcpy(item, all->item, all->count * sizeof(*item));
		all->item = item;
		all->room = room;
	}
	all->item[all->count++] = p;
}

/* attached: see struct segment. */
static lz_str
as_json(struct patches *all, lz_str attached, lz_str text)
{
	struct buf b;
	lz_str out;

	buf_init(&b, SIZE_MAX);
	if (attached.ptr != NULL)
		attached_write(attached, text, &b);
	else
		buf_add_json(&b, text);
	out = b.failed ? STR_NONE : arena_copy(all->arena, buf_str(&b));
	buf_free(&b);
	all->is_dry |= out.ptr == NULL;
	return out;
}

static void
patch_text(struct patches *all, const struct text *t)
{
	struct text_edits marks = { NULL, 0, 0 };
	size_t from = 0;

	if (all->is_for_client)
		marks = t->marks;
	for (size_t i = 0; i < t->source->count; i++) {
		const struct segment *s = &t->source->item[i];
		lz_str text =
		    text_revealed(all->arena, t->shown.text, &marks, from, s->end);

		/* Those that end before what follows are done. */
		for (; marks.count > 0 && marks.item->to <= s->end; marks.count--)
			marks.item++;

		if (text.ptr == NULL)
			all->is_dry = true;
		else
			add_patch(
			    all, (struct patch){ s->raw, as_json(all, s->attached, text),
				     s->container });
		from = s->end;
	}
	if (t->source->logprobs.ptr != NULL)
		add_patch(
		    all, (struct patch){ t->source->logprobs, STR_LIT("null"), NULL });
}

static int
by_place(const void *a, const void *b)
{
	const struct patch *x = a, *y = b;

	return (x->raw.ptr > y->raw.ptr) - (x->raw.ptr < y->raw.ptr);
}

/* Those of the container that lie one behind the other from the first on. */
static void
splice(lz_str bytes, const struct patch *item, size_t count,
    const struct container *inside, struct buf *out)
{
	const char *at = bytes.ptr, *end = bytes.ptr + bytes.len;

	for (size_t i = 0; i < count; i++) {
		const struct patch *p = &item[i];

		if (inside != NULL && p->container != inside)
			break;
		/* One choice's log probabilities are there for each of its texts. */
		if (p->container != inside || p->raw.ptr < at)
			continue;
		buf_add(out, at, (size_t)(p->raw.ptr - at));
		buf_add_str(out, p->with);
		at = p->raw.ptr + p->raw.len;
	}
	buf_add(out, at, (size_t)(end - at));
}

/* Containers whose segments changed are patches themselves. In the order of places those
 * of one container, which was decoded into a piece of memory, stand together. */
static void
patch_containers(struct patches *all)
{
	const struct container *before = NULL;
	size_t inner = all->count;

	for (size_t i = 0; i < inner; i++) {
		const struct container *c = all->item[i].container;
		struct buf b;

		if (c == before || c == NULL)
			continue;
		before = c;
		buf_init(&b, SIZE_MAX);
		splice(c->decoded, all->item + i, inner - i, c, &b);
		all->is_dry |= b.failed;
		add_patch(all,
		    (struct patch){ c->raw, as_json(all, STR_NONE, buf_str(&b)), NULL });
		buf_free(&b);
	}
}

enum status
document_write(struct document *d, bool is_for_client, struct buf *out)
{
	struct patches all = { .arena = d->texts.arena, .is_for_client = is_for_client };

	for (size_t i = 0; i < d->texts.count; i++)
		if (d->texts.item[i].is_changed)
			patch_text(&all, &d->texts.item[i]);
	if (all.count > 1)
		qsort(all.item, all.count, sizeof(*all.item), by_place);
	patch_containers(&all);
	if (all.count > 1)
		qsort(all.item, all.count, sizeof(*all.item), by_place);
	if (all.is_dry)
		return ST_NOMEM;
	splice(d->bytes, all.item, all.count, NULL, out);
	return out->failed ? ST_LIMIT : ST_OK;
}

/* ---- one more turn ---- */

bool
document_add_turns(lz_str request, lz_str answer, lz_str why, struct buf *out)
{
	static const char *const names[] = { "message" };
	struct jscan_member messages, choices, message, content;
	lz_str list, choice, end;

	if (!jscan_inner(request, "messages", &messages) ||
	    messages.type != JSCAN_ARRAY || !jscan_inner(answer, "choices", &choices) ||
	    choices.type != JSCAN_ARRAY)
		return false;
	list = choices.value;
	if (!jscan_next_item(&list, &choice) || choice.ptr[0] != '{')
		return false;
	jscan_pick(choice, names, 1, &message);
	if (message.value.ptr == NULL || message.type != JSCAN_OBJECT ||
	    !jscan_inner(message.value, "content", &content))
		return false;
	end = str_cut(messages.value, messages.value.len - 1, messages.value.len);
	buf_add(out, request.ptr, (size_t)(end.ptr - request.ptr));
	buf_add_z(out, ",{\"role\":\"assistant\",\"content\":");
	buf_add_str(out, content.value);
	buf_add_z(out, "},{\"role\":\"user\",\"content\":");
	buf_add_json(out, why);
	buf_add_char(out, '}');
	buf_add(out, end.ptr, (size_t)(request.ptr + request.len - end.ptr));
	return !out->failed;
}
