/* message.c - the conversation: system prompts, turns, tool calls and their results.
 *
 * Anthropic takes user's and assistant's turns in alternation, and all results of one
 * round of tools at the beginning of one user's turn; so neighbours of one role are one
 * turn. The thinking that belongs to an assistant's turn comes back in extra_content,
 * where answer.c and stream.c put it, and goes in again where it stood.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include "make.h"

enum {
	ID_ROOM = 3, /* bytes that one of an id may become */
	POINTER_BYTES = 48
};

static const char user[] = "user", assistant[] = "assistant";

lz_json *
message_block(struct making *m, const char *type)
{
	lz_json *block = make_object(m);

	make_set(m, block, "type", make_text(m, lz_strz(type)));
	return block;
}

void
message_mark(struct making *m, lz_json *block, const lz_json *from)
{
	const lz_json *mark = lz->json_at(from, "/cache_control");

	if (lz->json_type(mark) == LZ_OBJECT)
		make_set(m, block, "cache_control", mark);
}

/* ---- turns ---- */

static void
close_turn(struct making *m)
{
	lz_json *turn;

	if (m->role != NULL && lz->json_len(m->blocks) > 0) {
		turn = make_object(m);
		make_set(m, turn, "role", make_text(m, lz_strz(m->role)));
		make_set(m, turn, "content", m->blocks);
		make_add(m, m->messages, turn);
	}
	m->role = NULL;
	m->blocks = NULL;
}

/* The blocks of the turn at hand, if it is of this role; else of a new one. */
static lz_json *
turn_of(struct making *m, const char *role)
{
	if (m->role != role) {
		close_turn(m);
		m->role = role;
		m->blocks = make_array(m);
	}
	return m->blocks;
}

/* A mark beside the content means all of it: it goes to its last block. */
static void
mark_last(struct making *m, lz_json *blocks, const lz_json *message)
{
	const lz_json *mark = lz->json_at(message, "/cache_control");
	size_t n = lz->json_len(blocks);
	char pointer[POINTER_BYTES];

	if (n == 0 || lz->json_type(mark) != LZ_OBJECT)
		return;
	(void)snprintf(pointer, sizeof(pointer), "/%zu/cache_control", n - 1);
	m->failed |= lz->json_put(m->c, blocks, pointer, mark) != LZ_OK;
}

/* ---- system ---- */

/* One in the middle of a conversation is said by the user, marked as what it is. */
static void
fold_system(struct making *m, const lz_json *content)
{
	static const char before[] = "<system>\n", after[] = "\n</system>";
	lz_json *blocks = make_array(m);

	part_content(m, blocks, content);
	for (size_t i = 0, n = lz->json_len(blocks); i < n; i++) {
		const lz_json *block = lz->json_item(blocks, i, NULL);
		lz_str text = make_word(lz->json_at(block, "/text"));
		char *p = lz->alloc(m->c, text.len + sizeof(before) + sizeof(after));
		lz_json *said;

		m->failed |= p == NULL;
		if (p == NULL)
			return;
		memcpy(p, before, sizeof(before) - 1);
		memcpy(p + sizeof(before) - 1, text.ptr, text.len);
		memcpy(p + sizeof(before) - 1 + text.len, after, sizeof(after) - 1);
		said = make_text(
		    m, lz_strn(p, sizeof(before) + sizeof(after) - 2 + text.len));
		part_text(m, turn_of(m, user), said, block);
	}
}

static void
add_system(struct making *m, const lz_json *message)
{
	const lz_json *content = lz->json_at(message, "/content");
	int is_first = m->role == NULL;

	if (is_first)
		part_content(m, m->system, content);
	else
		fold_system(m, content);
	mark_last(m, is_first ? m->system : m->blocks, message);
}

/* ---- user ---- */

static void
add_user(struct making *m, const lz_json *message)
{
	lz_json *blocks = turn_of(m, user);

	part_content(m, blocks, lz->json_at(message, "/content"));
	mark_last(m, blocks, message);
}

/* ---- tools ---- */

static int
is_id_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* Anthropic takes letters, digits, _ and -; any other byte becomes _ and its hex, the
 * same in the call and in its result. */
static lz_json *
make_id(struct making *m, const lz_json *id)
{
	static const char hex[] = "0123456789abcdef";
	lz_str s = make_word(id);
	char *p = lz->alloc(m->c, s.len * ID_ROOM + 1);
	size_t n = 0;

	m->failed |= p == NULL;
	for (size_t i = 0; i < s.len && p != NULL; i++) {
		unsigned char byte = (unsigned char)s.ptr[i];

		p[n++] = is_id_byte(s.ptr[i]) ? s.ptr[i] : '_';
		if (is_id_byte(s.ptr[i]))
			continue;
		p[n++] = hex[byte >> 4];
		p[n++] = hex[byte & 15];
	}
	if (n == 0)
		make_refuse(m, LZ_UPSTREAM_CALLER, "messages",
		    "a tool call and its result must have an id");
	return make_text(m, lz_strn(p, n));
}

/* Arguments are text at OpenAI and an object here. What is none goes in as one. */
static const lz_json *
make_input(struct making *m, const lz_json *arguments)
{
	lz_str text = make_word(arguments);
	const lz_json *parsed;
	lz_json *wrapped;

	if (part_is_blank(text))
		return make_object(m);
	parsed = lz->json_parse(m->c, text);
	if (lz->json_type(parsed) == LZ_OBJECT)
		return parsed;
	wrapped = make_object(m);
	make_set(m, wrapped, "arguments", arguments);
	return wrapped;
}

static void
add_call(struct making *m, lz_json *blocks, const lz_json *call)
{
	const lz_json *name = lz->json_at(call, "/function/name");
	lz_json *block = message_block(m, "tool_use");

	if (lz->json_type(name) != LZ_STRING) {
		make_refuse(m, LZ_UPSTREAM_UNABLE, "messages",
		    "Anthropic takes tool calls of type function, with a name");
		return;
	}
	make_set(m, block, "id", make_id(m, lz->json_at(call, "/id")));
	make_set(m, block, "name", name);
	make_set(
	    m, block, "input", make_input(m, lz->json_at(call, "/function/arguments")));
	message_mark(m, block, call);
	make_add(m, blocks, block);
	m->has_tool_use = 1;
}

static void
add_result(struct making *m, const lz_json *message)
{
	const lz_json *content = lz->json_at(message, "/content");
	lz_json *block = message_block(m, "tool_result"), *inner = make_array(m);

	make_set(
	    m, block, "tool_use_id", make_id(m, lz->json_at(message, "/tool_call_id")));
	part_content(m, inner, content);
	if (lz->json_len(inner) > 0)
		make_set(m, block, "content", inner);
	message_mark(m, block, message);
	make_add(m, turn_of(m, user), block);
	m->has_tool_use = 1;
	m->ends_in_tools = 1;
}

void
message_declare_used(struct making *m, lz_json *tools)
{
	lz_json *seen = make_object(m);
	const lz_json *messages = lz->json_at(m->body, "/messages");

	for (size_t i = 0, n = lz->json_len(messages); i < n; i++) {
		const lz_json *calls =
		    lz->json_at(lz->json_item(messages, i, NULL), "/tool_calls");

		for (size_t k = 0; k < lz->json_len(calls); k++) {
			const lz_json *name =
			    lz->json_at(lz->json_item(calls, k, NULL), "/function/name");
			lz_json *tool, *schema;
			size_t known = lz->json_len(seen);

			m->failed |= lz->json_set(m->c, seen, make_word(name), name);
			if (lz->json_len(seen) == known)
				continue;
			tool = make_object(m);
			schema = message_block(m, "object");
			make_set(m, tool, "name", name);
			make_set(m, tool, "input_schema", schema);
			make_add(m, tools, tool);
		}
	}
}

/* ---- assistant ---- */

/* What came back of thinking: {"at":12,"type":"thinking",...}, at being the byte of the
 * text before which it stood. */
static const lz_json *
blocks_of(const lz_json *j)
{
	return lz->json_at(j, "/extra_content/anthropic/blocks");
}

static const struct {
	const char *type;
	const char *members[2]; /* what it must come back with, unchanged */
} thoughts[] = {
	{ "thinking", { "thinking", "signature" } },
	{ "redacted_thinking", { "data", NULL } },
};

/* 0: it is no such block. */
static int
add_thinking(struct making *m, lz_json *blocks, const lz_json *block)
{
	const lz_json *type = lz->json_at(block, "/type");
	lz_json *copy;
	size_t k = 0;

	while (k < 2 && !lz_eq(make_word(type), thoughts[k].type))
		k++;
	if (k == 2)
		return 0;
	copy = make_object(m);
	make_set(m, copy, "type", type);
	for (size_t i = 0; i < 2 && thoughts[k].members[i] != NULL; i++) {
		const char *name = thoughts[k].members[i];
		char pointer[POINTER_BYTES];
		const lz_json *value;

		(void)snprintf(pointer, sizeof(pointer), "/%s", name);
		value = lz->json_at(block, pointer);
		if (lz->json_type(value) != LZ_STRING)
			return 0;
		make_set(m, copy, name, value);
	}
	make_add(m, blocks, copy);
	return 1;
}

/* The text from byte `from` to `to`, both moved on to the next character. */
static size_t
add_text_until(struct making *m, lz_json *blocks, lz_str text, size_t from, size_t to)
{
	if (to > text.len)
		to = text.len;
	while (to < text.len && ((unsigned char)text.ptr[to] & 0xc0) == 0x80)
		to++;
	if (to <= from)
		return from;
	part_text(m, blocks, make_text(m, lz_strn(text.ptr + from, to - from)), NULL);
	return to;
}

/* Thinking and text as they stood. 0: there was no thinking. */
static int
add_thought(
    struct making *m, lz_json *blocks, const lz_json *stored, lz_str text, size_t *at)
{
	int is_any = 0;

	for (size_t i = 0, n = lz->json_len(stored); i < n; i++) {
		const lz_json *block = lz->json_item(stored, i, NULL);
		int64_t place = lz->json_int(lz->json_at(block, "/at"), 0);

		*at = add_text_until(m, blocks, text, *at, place > 0 ? (size_t)place : 0);
		is_any |= add_thinking(m, blocks, block);
	}
	return is_any;
}

/* Parts other than one text have no places in between: thinking goes first. */
static void
add_said(struct making *m, lz_json *blocks, const lz_json *content, size_t at)
{
	lz_str text = make_word(content);

	if (lz->json_type(content) == LZ_STRING && at > 0)
		(void)add_text_until(m, blocks, text, at, text.len);
	else
		part_content(m, blocks, content);
}

static void
add_assistant(struct making *m, const lz_json *message)
{
	const lz_json *content = lz->json_at(message, "/content");
	const lz_json *calls = lz->json_at(message, "/tool_calls");
	size_t n = lz->json_len(calls), at = 0;
	lz_json *blocks = turn_of(m, assistant);
	lz_str text = make_word(content);
	int has_thought = add_thought(m, blocks, blocks_of(message), text, &at);

	if (n > 0)
		has_thought |= add_thought(
		    m, blocks, blocks_of(lz->json_item(calls, 0, NULL)), text, &at);
	add_said(m, blocks, content, at);
	if (lz->json_type(content) == LZ_NULL)
		part_text(m, blocks, lz->json_at(message, "/refusal"), NULL);
	for (size_t i = 0; i < n; i++) {
		const lz_json *call = lz->json_item(calls, i, NULL);

		if (i > 0)
			(void)add_thought(m, blocks, blocks_of(call), lz_strz(""), &at);
		add_call(m, blocks, call);
	}
	mark_last(m, blocks, message);
	m->lacks_signed = n > 0 && !has_thought;
}

static void
refuse_function(struct making *m, const lz_json *message)
{
	(void)message;
	make_refuse(m, LZ_UPSTREAM_UNABLE, "messages",
	    "results of functions are served as those of tools only");
}

static const struct {
	const char *role;
	void (*add)(struct making *m, const lz_json *message);
} roles[] = {
	{ "user", add_user },
	{ "assistant", add_assistant },
	{ "tool", add_result },
	{ "system", add_system },
	{ "developer", add_system },
	{ "function", refuse_function },
};

static void
add_message(struct making *m, const lz_json *message)
{
	lz_str role = make_word(lz->json_at(message, "/role"));

	m->ends_in_tools = 0;
	if (lz->json_type(lz->json_at(message, "/name")) == LZ_STRING &&
	    !lz_eq(role, "tool"))
		make_dropped(m, "messages.name");
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (lz_eq(role, roles[i].role)) {
			roles[i].add(m, message);
			return;
		}
	make_refuse(m, LZ_UPSTREAM_CALLER, "messages",
	    "'messages[].role' must be system, developer, user, assistant or tool");
}

/* A conversation that is a system prompt alone is said by the user: there must be a
 * turn. */
void
message_all(struct making *m)
{
	const lz_json *all = lz->json_at(m->body, "/messages");

	m->system = make_array(m);
	m->messages = make_array(m);
	for (size_t i = 0, n = lz->json_len(all); i < n; i++)
		add_message(m, lz->json_item(all, i, NULL));
	close_turn(m);
	if (lz->json_len(m->messages) == 0 && lz->json_len(m->system) > 0) {
		m->role = user;
		m->blocks = m->system;
		close_turn(m);
	} else if (lz->json_len(m->system) > 0) {
		make_set(m, m->out, "system", m->system);
	}
	if (lz->json_len(m->messages) == 0)
		make_refuse(
		    m, LZ_UPSTREAM_CALLER, "messages", "'messages' must say something");
	make_set(m, m->out, "messages", m->messages);
}
