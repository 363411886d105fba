/* messages.c - the conversation as Mistral takes it: closed messages, short ids, and an
 * order of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#include "mistral.h"

enum {
	UUID_BYTES = 36
};

static lz_json *
string(struct job *j, const char *s)
{
	return lz->json_of_str(j->c, lz_strz(s));
}

/* ---- ids of tool calls ---- */

static int
is_short(lz_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!((s.ptr[i] >= 'a' && s.ptr[i] <= 'z') ||
			(s.ptr[i] >= 'A' && s.ptr[i] <= 'Z') ||
			(s.ptr[i] >= '0' && s.ptr[i] <= '9')))
			return 0;
	return s.len == ID_BYTES;
}

/* FNV-1a. */
static uint64_t
hash(lz_str s, uint64_t round)
{
	uint64_t h = 14695981039346656037u + round;

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.ptr[i]) * 1099511628211u;
	return h;
}

void
id_shorten(lz_str s, uint64_t round, char out[ID_BYTES])
{
	static const char digits[] =
	    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	uint64_t h = hash(s, round);

	for (size_t i = 0; i < ID_BYTES; i++, h /= 62)
		out[i] = digits[h % 62];
}

static lz_str
key_of(const struct id *id, int is_ours)
{
	return is_ours ? lz_strn(id->ours, ID_BYTES) : id->theirs;
}

static int
is_same(lz_str a, lz_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* The place of a key in one of the two tables: where it stands, or may. */
static struct id **
place(const struct job *j, int is_ours, lz_str key)
{
	struct id **table = is_ours ? j->by_ours : j->by_theirs;
	size_t at = (size_t)hash(key, 0);

	while (table[at % j->id_room] != NULL &&
	       !is_same(key_of(table[at % j->id_room], is_ours), key))
		at++;
	return &table[at % j->id_room];
}

/* Tables of at most half as many ids as places. 0: out of memory. */
static int
make_room(struct job *j)
{
	struct job more = *j;

	if (j->id_count * 2 < j->id_room)
		return 1;
	more.id_room = j->id_room * 2 + 32;
	more.by_ours = lz->alloc(j->c, more.id_room * sizeof(struct id *));
	more.by_theirs = lz->alloc(j->c, more.id_room * sizeof(struct id *));
	if (more.by_ours == NULL || more.by_theirs == NULL)
		return 0;
	for (size_t i = 0; i < j->id_room; i++) {
		struct id *id = j->by_ours[i];

		if (id == NULL)
			continue;
		*place(&more, 1, key_of(id, 1)) = id;
		*place(&more, 0, key_of(id, 0)) = id;
	}
	*j = more;
	return 1;
}

/* The id that goes out for one of the caller's. What is short enough stays; the rest is
 * told by its hash. A conversation only grows at its end, so going by the order of first
 * appearance each id stays what it was, whichever other it collides with. */
static lz_str
short_id(struct job *j, lz_str theirs)
{
	struct id **known, *id;

	if (!make_room(j))
		return theirs;
	known = place(j, 0, theirs);
	if (*known != NULL)
		return key_of(*known, 1);
	id = lz->alloc(j->c, sizeof(*id));
	if (id == NULL)
		return theirs;
	id->theirs = theirs;
	if (is_short(theirs))
		memcpy(id->ours, theirs.ptr, ID_BYTES);
	else
		id_shorten(theirs, 0, id->ours);
	for (uint64_t round = 1; *place(j, 1, key_of(id, 1)) != NULL; round++)
		id_shorten(theirs, round, id->ours);
	*known = id;
	*place(j, 1, key_of(id, 1)) = id;
	j->id_count++;
	return key_of(id, 1);
}

/* ---- parts of a content ---- */

static lz_json *
text_chunk(struct job *j, lz_str text)
{
	lz_json *chunk = lz->json_new(j->c, LZ_OBJECT);

	set(j->c, chunk, "type", string(j, "text"));
	set(j->c, chunk, "text", lz->json_of_str(j->c, text));
	return chunk;
}

static const lz_json *
image_chunk(struct job *j, const lz_json *part)
{
	const lz_json *image = lz->json_at(part, "/image_url");
	const lz_json *detail = lz->json_at(image, "/detail");
	lz_json *chunk = lz->json_new(j->c, LZ_OBJECT), *copy;

	set(j->c, chunk, "type", string(j, "image_url"));
	if (lz->json_type(image) != LZ_OBJECT) {
		set(j->c, chunk, "image_url", image);
		return chunk;
	}
	copy = lz->json_new(j->c, LZ_OBJECT);
	set(j->c, copy, "url", lz->json_at(image, "/url"));
	if (detail != NULL && lz->json_type(detail) == LZ_STRING)
		set(j->c, copy, "detail", detail);
	set(j->c, chunk, "image_url", copy);
	return chunk;
}

static const lz_json *
audio_chunk(struct job *j, const lz_json *part)
{
	const lz_json *data = lz->json_at(part, "/input_audio/data");
	lz_json *chunk = lz->json_new(j->c, LZ_OBJECT);

	set(j->c, chunk, "type", string(j, "input_audio"));
	set(j->c, chunk, "input_audio",
	    data != NULL ? data : lz->json_at(part, "/input_audio"));
	return chunk;
}

/* A file inside the request is a document by its data: URL. An id is one of Mistral's, or
 * nobody here knows it. */
static const lz_json *
file_chunk(struct job *j, const lz_json *part)
{
	const lz_json *data = lz->json_at(part, "/file/file_data");
	const lz_json *name = lz->json_at(part, "/file/filename");
	const lz_json *id = lz->json_at(part, "/file/file_id");
	lz_json *chunk = lz->json_new(j->c, LZ_OBJECT);

	if (lz->json_at(part, "/file") == NULL)
		return part; /* Mistral's own */
	if (data != NULL) {
		set(j->c, chunk, "type", string(j, "document_url"));
		set(j->c, chunk, "document_url", data);
		if (name != NULL)
			set(j->c, chunk, "document_name", name);
		return chunk;
	}
	if (lz->json_str(id, lz_strz("")).len != UUID_BYTES)
		refuse(j, "messages", "the file is not known at Mistral");
	set(j->c, chunk, "type", string(j, "file"));
	set(j->c, chunk, "file_id", id);
	return chunk;
}

static const lz_json *
text_part(struct job *j, const lz_json *part)
{
	return text_chunk(j, text_at(part, "/text"));
}

static const lz_json *
refusal_part(struct job *j, const lz_json *part)
{
	return text_chunk(j, text_at(part, "/refusal"));
}

static const lz_json *
own_part(struct job *j, const lz_json *part)
{
	(void)j;
	return part;
}

static const struct {
	const char *type;
	const lz_json *(*chunk)(struct job *j, const lz_json *part);
} part_types[] = {
	{ "text", text_part },
	{ "image_url", image_chunk },
	{ "input_audio", audio_chunk },
	{ "file", file_chunk },
	{ "refusal", refusal_part },
	{ "document_url", own_part },
	{ "thinking", own_part },
	{ "reference", own_part },
};

static void
append_part(struct job *j, lz_json *list, const lz_json *part)
{
	for (size_t i = 0; i < sizeof(part_types) / sizeof(part_types[0]); i++)
		if (is_type_at(part, "/type", part_types[i].type)) {
			append(j->c, list, part_types[i].chunk(j, part));
			return;
		}
	refuse(j, "messages", "a content part is of a type that Mistral does not take");
}

static const lz_json *
content_of(struct job *j, const lz_json *content)
{
	lz_json *list;

	if (lz->json_type(content) != LZ_ARRAY)
		return content;
	list = lz->json_new(j->c, LZ_ARRAY);
	for (size_t i = 0, n = lz->json_len(content); i < n; i++)
		append_part(j, list, lz->json_item(content, i, NULL));
	return list;
}

/* ---- messages ---- */

static lz_json *
message_of(struct job *j, const char *role, const lz_json *content)
{
	lz_json *m = lz->json_new(j->c, LZ_OBJECT);

	set(j->c, m, "role", string(j, role));
	set(j->c, m, "content", content != NULL ? content : string(j, ""));
	return m;
}

static lz_json *
call_of(struct job *j, const lz_json *call)
{
	const lz_json *arguments = lz->json_at(call, "/function/arguments");
	lz_json *copy = lz->json_new(j->c, LZ_OBJECT),
		*function = lz->json_new(j->c, LZ_OBJECT);

	if (is_type_at(call, "/type", "custom"))
		refuse(j, "messages", "Mistral has no custom tools, only functions");
	if (lz->json_str(arguments, lz_strz("")).len == 0 &&
	    lz->json_type(arguments) != LZ_OBJECT)
		arguments = string(j, "{}");
	set(j->c, function, "name", lz->json_at(call, "/function/name"));
	set(j->c, function, "arguments", arguments);
	set(j->c, copy, "id", lz->json_of_str(j->c, short_id(j, text_at(call, "/id"))));
	set(j->c, copy, "type", string(j, "function"));
	set(j->c, copy, "function", function);
	return copy;
}

/* Thinking that an answer brought as reasoning_content goes back where it stood, with its
 * signature. Models that neither signed it nor are known to reason get the words they
 * said alone. */
static lz_json *
thinking_of(struct job *j, const lz_json *m)
{
	const lz_json *signature = lz->json_at(m, "/extra_content/mistral/signature");
	lz_str text = text_at(m, "/reasoning_content");
	lz_json *chunk, *inner;

	if (text.len == 0 || (!j->can_reason && lz->json_type(signature) != LZ_STRING))
		return NULL;
	chunk = lz->json_new(j->c, LZ_OBJECT);
	inner = lz->json_new(j->c, LZ_ARRAY);
	append(j->c, inner, text_chunk(j, text));
	set(j->c, chunk, "type", string(j, "thinking"));
	set(j->c, chunk, "thinking", inner);
	if (signature != NULL && lz->json_type(signature) == LZ_STRING)
		set(j->c, chunk, "signature", signature);
	return chunk;
}

static const lz_json *
said_by_assistant(struct job *j, const lz_json *m)
{
	const lz_json *content = lz->json_at(m, "/content");
	lz_json *thinking = thinking_of(j, m), *list;
	lz_str text = lz->json_str(content, text_at(m, "/refusal"));

	if (thinking == NULL && lz->json_type(content) == LZ_ARRAY)
		return content_of(j, content);
	if (thinking == NULL)
		return lz->json_of_str(j->c, text.ptr != NULL ? text : lz_strz(""));
	list = lz->json_new(j->c, LZ_ARRAY);
	append(j->c, list, thinking);
	for (size_t i = 0, n = lz->json_len(content); i < n; i++)
		append_part(j, list, lz->json_item(content, i, NULL));
	if (text.len > 0)
		append(j->c, list, text_chunk(j, text));
	return list;
}

/* The last message may be the beginning of the answer: Mistral wants that said. */
static lz_json *
assistant_message(struct job *j, const lz_json *m, int is_last)
{
	const lz_json *calls = lz->json_at(m, "/tool_calls");
	lz_json *out = message_of(j, "assistant", said_by_assistant(j, m)), *list;
	size_t n = lz->json_len(calls);

	if (lz->json_type(lz->json_at(m, "/function_call")) == LZ_OBJECT)
		refuse(j, "messages", "functions are taken as tools only");
	if (n == 0) {
		if (is_last)
			set(j->c, out, "prefix", lz->json_of_bool(j->c, 1));
		return out;
	}
	list = lz->json_new(j->c, LZ_ARRAY);
	for (size_t i = 0; i < n; i++)
		append(j->c, list, call_of(j, lz->json_item(calls, i, NULL)));
	set(j->c, out, "tool_calls", list);
	return out;
}

static lz_json *
tool_message(struct job *j, const lz_json *m)
{
	const lz_json *name = lz->json_at(m, "/name");
	lz_json *out = message_of(j, "tool", content_of(j, lz->json_at(m, "/content")));

	set(j->c, out, "tool_call_id",
	    lz->json_of_str(j->c, short_id(j, text_at(m, "/tool_call_id"))));
	if (name != NULL && lz->json_type(name) == LZ_STRING)
		set(j->c, out, "name", name);
	return out;
}

static lz_json *
one_message(struct job *j, const lz_json *m, int is_last)
{
	lz_str role = text_at(m, "/role");
	const lz_json *content = lz->json_at(m, "/content");

	if (lz_eq(role, "assistant"))
		return assistant_message(j, m, is_last);
	if (lz_eq(role, "tool"))
		return tool_message(j, m);
	if (lz_eq(role, "system") || lz_eq(role, "developer"))
		return message_of(j, "system", content_of(j, content));
	if (!lz_eq(role, "user"))
		refuse(j, "messages", "a message has a role that Mistral does not know");
	return message_of(j, "user", content_of(j, content));
}

/* Behind a tool's result it is the assistant's turn: when the caller goes on without one,
 * a word stands for it. */
static int
lacks_turn(lz_str before, lz_str role)
{
	return lz_eq(before, "tool") && !lz_eq(role, "tool") && !lz_eq(role, "assistant");
}

lz_json *
messages_of(struct job *j, const lz_json *messages)
{
	lz_json *list = lz->json_new(j->c, LZ_ARRAY);
	lz_str before = lz_strn(NULL, 0);

	for (size_t i = 0, n = lz->json_len(messages); i < n; i++) {
		const lz_json *m = lz->json_item(messages, i, NULL);
		lz_str role = text_at(m, "/role");

		if (lacks_turn(before, role))
			append(j->c, list, message_of(j, "assistant", string(j, "OK")));
		append(j->c, list, one_message(j, m, i + 1 == n));
		before = role;
	}
	return list;
}
