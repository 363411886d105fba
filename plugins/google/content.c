/* content.c - the conversation: OpenAI's messages become systemInstruction and contents,
 * their parts parts.c's.
 *
 * Google tells a function's result by the function's name, OpenAI by the id of the call:
 * the names are kept in a table, by id. Signatures of thoughts, which the answer carried
 * in extra_content.google, go back to where they came from.
 *
 * SPDX-License-Identifier: MIT
 */
#include "content.h"

static const char messages_param[] = "messages";

void
content_wrong(struct conversation *v, const char *message)
{
	work_refuse(v->w, LZ_UPSTREAM_CALLER, messages_param, message);
}

void
content_unable(struct conversation *v, const char *message)
{
	work_refuse(v->w, LZ_UPSTREAM_UNABLE, messages_param, message);
}

/* ---- the names of calls, by id ---- */

/* The slot of this id, or the free one where it belongs. Seeded: ids are the caller's. */
static struct known *
slot_of(struct conversation *v, lz_str id)
{
	uint32_t h = v->seed;
	size_t at;

	for (size_t i = 0; i < id.len; i++)
		h = ((h ^ (unsigned char)id.ptr[i]) * 16777619u) + (h >> 15);
	h ^= h >> 13;
	for (at = h & (v->size - 1); v->table[at].id.ptr != NULL;
	     at = (at + 1) & (v->size - 1))
		if (v->table[at].id.len == id.len &&
		    memcmp(v->table[at].id.ptr, id.ptr, id.len) == 0)
			break;
	return &v->table[at];
}

static void
make_table(struct conversation *v, const lz_json *messages)
{
	size_t calls = 0, n = lz->json_len(messages);

	for (size_t i = 0; i < n; i++)
		calls += lz->json_len(
		    lz->json_at(lz->json_item(messages, i, NULL), "/tool_calls"));
	for (v->size = 4; v->size < 2 * calls;)
		v->size *= 2;
	lz->random(&v->seed, sizeof(v->seed));
	v->table = lz->alloc(v->w->c, v->size * sizeof(*v->table));
	v->w->is_short |= v->table == NULL;
}

/* ---- messages ---- */

/* Parts of a new content, which stands in the list once it has one. */
static void
begin(struct conversation *v)
{
	v->parts = work_array(v->w);
	v->results = NULL;
}

static void
close_content(struct conversation *v, const char *role)
{
	lz_json *content;

	if (lz->json_len(v->parts) == 0)
		return;
	content = work_object(v->w);
	work_set_word(v->w, content, "role", role);
	work_set(v->w, content, "parts", v->parts);
	work_append(v->w, v->contents, content);
}

static void
add_user(struct conversation *v, const lz_json *message)
{
	begin(v);
	parts_of(v, lz->json_at(message, "/content"));
	if (lz->json_len(v->parts) == 0)
		content_unable(v, "Gemini takes no message without content");
	close_content(v, "user");
}

/* What leads the conversation is the system's. Later on Gemini knows two roles alone: it
 * becomes a turn of the user, in its place. */
static void
add_system(struct conversation *v, const lz_json *message)
{
	if (lz->json_len(v->contents) > 0) {
		work_drop(v->w, lz_strz("messages.role"));
		add_user(v, message);
		return;
	}
	if (v->system == NULL)
		v->system = work_array(v->w);
	v->parts = v->system;
	parts_of(v, lz->json_at(message, "/content"));
}

static lz_str
signature_of(const lz_json *j)
{
	return string_at(j, "/extra_content/google/thought_signature");
}

/* Gemini 3 refuses a call of its history that it has not signed; calls that another model
 * made have no signature. This word of Google's own documentation stands for one. */
static const char unsigned_call[] = "skip_thought_signature_validator";

static void
add_call(struct conversation *v, const lz_json *call, lz_str signature)
{
	struct work *w = v->w;
	lz_str id = string_at(call, "/id"), name = string_at(call, "/function/name");
	lz_str text = string_at(call, "/function/arguments");
	lz_json *function = work_object(w), *part;
	const lz_json *args = NULL;
	struct known *slot;

	if (id.len == 0 || name.len == 0) {
		content_unable(v, "a tool call must have an id and a function's name");
		return;
	}
	if (text.len > 0)
		args = lz->json_parse(w->c, text);
	if (text.len > 0 && lz->json_type(args) != LZ_OBJECT) {
		content_unable(v,
		    "the arguments of a tool call are no JSON object, and Gemini "
		    "takes no others");
		return;
	}
	work_set_str(w, function, "name", name);
	work_set(w, function, "args", args != NULL ? args : work_object(w));
	work_set_str(w, function, "id", id);
	part = part_new(v);
	work_set(w, part, "functionCall", function);
	if (signature.len > 0)
		work_set_str(w, part, "thoughtSignature", signature);
	if (!work_goes_on(w))
		return;
	slot = slot_of(v, id);
	slot->id = id;
	slot->name = name;
}

static int
is_signed(const lz_json *calls)
{
	for (size_t i = 0, n = lz->json_len(calls); i < n; i++)
		if (signature_of(lz->json_item(calls, i, NULL)).len > 0)
			return 1;
	return 0;
}

static void
add_calls(struct conversation *v, const lz_json *calls)
{
	int stands_in = v->w->generation >= GENERATION_LEVELS && !is_signed(calls);

	for (size_t i = 0, n = lz->json_len(calls); i < n && work_goes_on(v->w); i++) {
		const lz_json *call = lz->json_item(calls, i, NULL);

		add_call(v, call,
		    stands_in && i == 0 ? lz_strz(unsigned_call) : signature_of(call));
	}
}

/* The last part of a text carries the signature; without a text there is one that says
 * nothing. */
static void
sign_text(struct conversation *v, lz_str signature)
{
	if (signature.len == 0)
		return;
	if (lz->json_len(v->parts) == 0)
		work_set_word(v->w, part_new(v), "text", "");
	work_set_str(v->w, v->last, "thoughtSignature", signature);
}

static void
add_assistant(struct conversation *v, const lz_json *message)
{
	const lz_json *refusal = lz->json_at(message, "/refusal");
	const lz_json *calls = lz->json_at(message, "/tool_calls");

	if (lz->json_type(lz->json_at(message, "/audio")) == LZ_OBJECT ||
	    lz->json_type(lz->json_at(message, "/function_call")) == LZ_OBJECT) {
		content_unable(
		    v, "Gemini cannot be shown a message with audio or function_call");
		return;
	}
	begin(v);
	parts_of(v, lz->json_at(message, "/content"));
	if (lz->json_type(refusal) == LZ_STRING)
		part_text(v, refusal);
	sign_text(v, signature_of(message));
	add_calls(v, calls);
	close_content(v, "model");
}

/* The texts of a tool's message, one behind the other. */
static lz_str
joined_text(struct conversation *v, const lz_json *content)
{
	size_t parts = lz->json_len(content), n = 0;
	char *text;

	if (lz->json_type(content) != LZ_ARRAY)
		return lz->json_str(content, lz_strz(""));
	for (size_t i = 0; i < parts; i++) {
		const lz_json *part = lz->json_item(content, i, NULL);

		if (!lz_eq(string_at(part, "/type"), "text"))
			content_unable(v, "a tool's message may hold text alone");
		n += string_at(part, "/text").len;
	}
	text = lz->alloc(v->w->c, n + 1);
	if (text == NULL) {
		v->w->is_short = 1;
		return lz_strz("");
	}
	n = 0;
	for (size_t i = 0; i < parts; i++) {
		lz_str s = string_at(lz->json_item(content, i, NULL), "/text");

		if (s.len > 0)
			memcpy(text + n, s.ptr, s.len);
		n += s.len;
	}
	return lz_strn(text, n);
}

/* {"output":...} is how Google's manual calls what a function gave; the text stays as it
 * is, since a reader of JSON might change its numbers. Results that follow each other are
 * one content, as their calls were. */
static void
add_result(struct conversation *v, const lz_json *message)
{
	struct work *w = v->w;
	lz_str id = string_at(message, "/tool_call_id");
	const struct known *call = id.len > 0 ? slot_of(v, id) : NULL;
	lz_json *response = work_object(w), *result = work_object(w), *results;

	if (call == NULL || call->id.ptr == NULL) {
		content_wrong(
		    v, "a tool's message must name, as tool_call_id, a call before it");
		return;
	}
	work_set_str(
	    w, response, "output", joined_text(v, lz->json_at(message, "/content")));
	work_set_str(w, result, "name", call->name);
	work_set(w, result, "response", response);
	work_set_str(w, result, "id", id);
	results = v->results;
	if (results != NULL) {
		v->parts = results;
	} else {
		begin(v);
	}
	work_set(w, part_new(v), "functionResponse", result);
	if (results == NULL)
		close_content(v, "user");
	v->results = v->parts;
}

static const struct {
	const char *role;
	void (*add)(struct conversation *v, const lz_json *message);
} roles[] = {
	{ "user", add_user },
	{ "assistant", add_assistant },
	{ "tool", add_result },
	{ "system", add_system },
	{ "developer", add_system },
};

static void
add_message(struct conversation *v, const lz_json *message)
{
	lz_str role = string_at(message, "/role");

	if (string_at(message, "/name").len > 0 && !lz_eq(role, "tool"))
		work_drop(v->w, lz_strz("messages.name"));
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		if (!lz_eq(role, roles[i].role))
			continue;
		roles[i].add(v, message);
		return;
	}
	if (lz_eq(role, "function"))
		content_unable(v, "Gemini is shown results of tools, not of functions");
	else
		content_wrong(
		    v, "a message's role is system, developer, user, assistant or tool");
}

void
content_translate(struct work *w, const lz_json *messages)
{
	struct conversation v = { .w = w };
	size_t n = lz->json_len(messages);

	v.contents = work_array(w);
	make_table(&v, messages);
	for (size_t i = 0; i < n && work_goes_on(w); i++)
		add_message(&v, lz->json_item(messages, i, NULL));
	/* Without a turn there is nothing to answer: what the system says is asked. */
	if (lz->json_len(v.contents) == 0 && v.system != NULL) {
		v.parts = v.system;
		v.system = NULL;
		close_content(&v, "user");
	}
	if (lz->json_len(v.contents) == 0)
		content_unable(&v, "Gemini takes no conversation without content");
	if (v.system != NULL && lz->json_len(v.system) > 0) {
		lz_json *system = work_object(w);

		work_set(w, system, "parts", v.system);
		work_set(w, w->out, "systemInstruction", system);
	}
	work_set(w, w->out, "contents", v.contents);
}
