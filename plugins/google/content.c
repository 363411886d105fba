/* content.c - the conversation: OpenAI's messages become systemInstruction and contents.
 *
 * Google tells a function's result by the function's name, OpenAI by the id of the call:
 * the names are kept in a table, by id. Signatures of thoughts, which the answer carried
 * in extra_content.google, go back to where they came from.
 *
 * SPDX-License-Identifier: MIT
 */
#include "google.h"

/* One call of the history. */
struct known {
	lz_str id, name;
};

struct conversation {
	struct work *w;
	lz_json *system; /* parts; NULL: none yet */
	lz_json *contents;
	lz_json *parts;   /* of the content at hand */
	lz_json *last;    /* of these */
	lz_json *results; /* parts of the last content, if results of tools are in it */
	struct known *table; /* open addressing; size is a power of 2 */
	size_t size;
	uint32_t seed;
};

static const char messages_param[] = "messages";

static void
wrong(struct conversation *v, const char *message)
{
	work_refuse(v->w, LZ_UPSTREAM_CALLER, messages_param, message);
}

static void
unable(struct conversation *v, const char *message)
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

/* ---- parts ---- */

static lz_json *
new_part(struct conversation *v)
{
	lz_json *part = work_object(v->w);

	work_append(v->w, v->parts, part);
	v->last = part;
	return part;
}

/* A part that says nothing is none. */
static void
add_text(struct conversation *v, const lz_json *text)
{
	if (lz->json_str(text, lz_strz("")).len > 0)
		work_set(v->w, new_part(v), "text", text);
}

/* What a file's name, or a URL's path, says of its kind; NULL: nothing. */
static const char *
kind_of(lz_str url)
{
	static const char *const kinds[][2] = { { ".png", "image/png" },
		{ ".jpg", "image/jpeg" }, { ".jpeg", "image/jpeg" },
		{ ".webp", "image/webp" }, { ".gif", "image/gif" },
		{ ".heic", "image/heic" }, { ".heif", "image/heif" },
		{ ".pdf", "application/pdf" }, { ".txt", "text/plain" },
		{ ".html", "text/html" }, { ".csv", "text/csv" }, { ".mp3", "audio/mp3" },
		{ ".wav", "audio/wav" }, { ".mp4", "video/mp4" } };

	for (size_t i = 0; i < url.len; i++)
		if (url.ptr[i] == '?' || url.ptr[i] == '#')
			url.len = i;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t n = strlen(kinds[i][0]);

		if (url.len > n && memcmp(url.ptr + url.len - n, kinds[i][0], n) == 0)
			return kinds[i][1];
	}
	return NULL;
}

static void
add_inline(struct conversation *v, lz_str kind, lz_str data)
{
	lz_json *blob = work_object(v->w);

	work_set_str(v->w, blob, "mimeType", kind);
	work_set_str(v->w, blob, "data", data);
	work_set(v->w, new_part(v), "inlineData", blob);
}

/* "data:image/png;base64,iVBO..." */
static void
add_data_url(struct conversation *v, lz_str url)
{
	static const char base64[] = ";base64";
	size_t head = strlen("data:"), n = sizeof(base64) - 1;
	const char *comma = memchr(url.ptr, ',', url.len);
	lz_str kind;

	if (comma == NULL || (size_t)(comma - url.ptr) <= head + n ||
	    memcmp(comma - n, base64, n) != 0) {
		wrong(v, "a data: URL must be 'data:TYPE;base64,DATA'");
		return;
	}
	kind = lz_strn(url.ptr + head, (size_t)(comma - url.ptr) - head - n);
	for (size_t i = 0; i < kind.len; i++)
		if (kind.ptr[i] == ';')
			kind.len = i;
	if (kind.len == 0)
		wrong(v, "a data: URL must name its type");
	else
		add_inline(
		    v, kind, lz_strn(comma + 1, url.len - (size_t)(comma + 1 - url.ptr)));
}

/* A file of the account behind the key is not the caller's to name, unless it is said. */
static int
is_of_account(lz_str url)
{
	return has_prefix(url, "gs://") ||
	       has_prefix(url, "https://generativelanguage.googleapis.com/") ||
	       has_prefix(url, "https://storage.googleapis.com/") ||
	       has_prefix(url, "https://storage.cloud.google.com/");
}

static void
add_link(struct conversation *v, lz_str url)
{
	lz_json *file;
	const char *kind = kind_of(url);

	if (is_of_account(url) && !v->w->self->account_files) {
		unable(v, "files of Google's account cannot be named here");
		return;
	}
	if (!has_prefix(url, "https://") && !has_prefix(url, "gs://")) {
		unable(v, "Gemini takes data: and https: URLs alone");
		return;
	}
	file = work_object(v->w);
	work_set_str(v->w, file, "fileUri", url);
	if (kind != NULL)
		work_set_word(v->w, file, "mimeType", kind);
	work_set(v->w, new_part(v), "fileData", file);
}

static void
add_url(struct conversation *v, lz_str url)
{
	if (has_prefix(url, "data:"))
		add_data_url(v, url);
	else if (url.len > 0)
		add_link(v, url);
	else
		wrong(v, "an image has no URL");
}

/* {"image_url":{"url":"..."}}, or the URL at once, as some clients write. */
static void
add_image(struct conversation *v, const lz_json *part)
{
	const lz_json *image = lz->json_at(part, "/image_url");
	lz_str detail = string_at(image, "/detail");

	if (detail.len > 0 && !lz_eq(detail, "auto"))
		work_drop(v->w, lz_strz("image_url.detail"));
	add_url(v, lz->json_str(image, string_at(image, "/url")));
}

static void
add_sound(struct conversation *v, const lz_json *part)
{
	lz_str format = string_at(part, "/input_audio/format");
	lz_str data = string_at(part, "/input_audio/data");
	char *kind = lz->alloc(v->w->c, format.len + sizeof("audio/"));

	if (format.len == 0 || data.len == 0) {
		wrong(v, "a sound must have data and format");
		return;
	}
	if (kind == NULL) {
		v->w->is_short = 1;
		return;
	}
	memcpy(kind, "audio/", strlen("audio/"));
	memcpy(kind + strlen("audio/"), format.ptr, format.len);
	add_inline(v, lz_strn(kind, strlen("audio/") + format.len), data);
}

static void
add_file(struct conversation *v, const lz_json *part)
{
	lz_str data = string_at(part, "/file/file_data");
	lz_str id = string_at(part, "/file/file_id");
	const char *kind = kind_of(string_at(part, "/file/filename"));

	if (has_prefix(data, "data:") || has_prefix(data, "https://"))
		add_url(v, data);
	else if (data.len > 0 && kind != NULL) /* the bytes alone */
		add_inline(v, lz_strz(kind), data);
	else if (data.len > 0)
		wrong(v, "file_data must be a data: URL, or filename tell its kind");
	else if (has_prefix(id, "https://") || has_prefix(id, "gs://"))
		add_link(v, id);
	else
		unable(v, "a file that another provider keeps is not Gemini's to read");
}

static void
add_refusal(struct conversation *v, const lz_json *part)
{
	add_text(v, lz->json_at(part, "/refusal"));
}

static void
add_part_text(struct conversation *v, const lz_json *part)
{
	const lz_json *text = lz->json_at(part, "/text");

	if (lz->json_type(text) == LZ_STRING)
		add_text(v, text);
	else
		wrong(v, "a part of type text has no text");
}

static const struct {
	const char *type;
	void (*add)(struct conversation *v, const lz_json *part);
} kinds[] = {
	{ "text", add_part_text },
	{ "image_url", add_image },
	{ "input_audio", add_sound },
	{ "file", add_file },
	{ "refusal", add_refusal },
};

static void
add_part(struct conversation *v, const lz_json *part)
{
	lz_str type = string_at(part, "/type");

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!lz_eq(type, kinds[i].type))
			continue;
		kinds[i].add(v, part);
		return;
	}
	unable(v, "a message has a part of a kind that Gemini does not know");
}

/* A text, or a list of parts, as parts of what is at hand. */
static void
add_content(struct conversation *v, const lz_json *content)
{
	size_t n = lz->json_len(content);

	if (lz->json_type(content) == LZ_STRING) {
		add_text(v, content);
		return;
	}
	if (lz->json_type(content) != LZ_ARRAY && lz->json_type(content) != LZ_NULL) {
		wrong(v, "a message's content must be a text or a list of parts");
		return;
	}
	for (size_t i = 0; i < n && work_goes_on(v->w); i++)
		add_part(v, lz->json_item(content, i, NULL));
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
	add_content(v, lz->json_at(message, "/content"));
	if (lz->json_len(v->parts) == 0)
		unable(v, "Gemini takes no message without content");
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
	add_content(v, lz->json_at(message, "/content"));
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
		unable(v, "a tool call must have an id and a function's name");
		return;
	}
	if (text.len > 0)
		args = lz->json_parse(w->c, text);
	if (text.len > 0 && lz->json_type(args) != LZ_OBJECT) {
		unable(v, "the arguments of a tool call are no JSON object, and Gemini "
			  "takes no others");
		return;
	}
	work_set_str(w, function, "name", name);
	work_set(w, function, "args", args != NULL ? args : work_object(w));
	work_set_str(w, function, "id", id);
	part = new_part(v);
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
		work_set_word(v->w, new_part(v), "text", "");
	work_set_str(v->w, v->last, "thoughtSignature", signature);
}

static void
add_assistant(struct conversation *v, const lz_json *message)
{
	const lz_json *refusal = lz->json_at(message, "/refusal");
	const lz_json *calls = lz->json_at(message, "/tool_calls");

	if (lz->json_type(lz->json_at(message, "/audio")) == LZ_OBJECT ||
	    lz->json_type(lz->json_at(message, "/function_call")) == LZ_OBJECT) {
		unable(v, "Gemini cannot be shown a message with audio or function_call");
		return;
	}
	begin(v);
	add_content(v, lz->json_at(message, "/content"));
	if (lz->json_type(refusal) == LZ_STRING)
		add_text(v, refusal);
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
			unable(v, "a tool's message may hold text alone");
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
		wrong(v, "a tool's message must name, as tool_call_id, a call before it");
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
	work_set(w, new_part(v), "functionResponse", result);
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
		unable(v, "Gemini is shown results of tools, not of functions");
	else
		wrong(
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
		unable(&v, "Gemini takes no conversation without content");
	if (v.system != NULL && lz->json_len(v.system) > 0) {
		lz_json *system = work_object(w);

		work_set(w, system, "parts", v.system);
		work_set(w, w->out, "systemInstruction", system);
	}
	work_set(w, w->out, "contents", v.contents);
}
