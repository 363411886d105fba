/* parts.c - what a message holds: texts, pictures, sounds and files as parts of Gemini's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "content.h"

lz_json *
part_new(struct conversation *v)
{
	lz_json *part = work_object(v->w);

	work_append(v->w, v->parts, part);
	v->last = part;
	return part;
}

void
part_text(struct conversation *v, const lz_json *text)
{
	if (lz->json_str(text, lz_strz("")).len > 0)
		work_set(v->w, part_new(v), "text", text);
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
	work_set(v->w, part_new(v), "inlineData", blob);
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
		content_wrong(v, "a data: URL must be 'data:TYPE;base64,DATA'");
		return;
	}
	kind = lz_strn(url.ptr + head, (size_t)(comma - url.ptr) - head - n);
	for (size_t i = 0; i < kind.len; i++)
		if (kind.ptr[i] == ';')
			kind.len = i;
	if (kind.len == 0)
		content_wrong(v, "a data: URL must name its type");
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
		content_unable(v, "files of Google's account cannot be named here");
		return;
	}
	if (!has_prefix(url, "https://") && !has_prefix(url, "gs://")) {
		content_unable(v, "Gemini takes data: and https: URLs alone");
		return;
	}
	file = work_object(v->w);
	work_set_str(v->w, file, "fileUri", url);
	if (kind != NULL)
		work_set_word(v->w, file, "mimeType", kind);
	work_set(v->w, part_new(v), "fileData", file);
}

static void
add_url(struct conversation *v, lz_str url)
{
	if (has_prefix(url, "data:"))
		add_data_url(v, url);
	else if (url.len > 0)
		add_link(v, url);
	else
		content_wrong(v, "an image has no URL");
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
		content_wrong(v, "a sound must have data and format");
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
		content_wrong(
		    v, "file_data must be a data: URL, or filename tell its kind");
	else if (has_prefix(id, "https://") || has_prefix(id, "gs://"))
		add_link(v, id);
	else
		content_unable(
		    v, "a file that another provider keeps is not Gemini's to read");
}

static void
add_refusal(struct conversation *v, const lz_json *part)
{
	part_text(v, lz->json_at(part, "/refusal"));
}

static void
add_part_text(struct conversation *v, const lz_json *part)
{
	const lz_json *text = lz->json_at(part, "/text");

	if (lz->json_type(text) == LZ_STRING)
		part_text(v, text);
	else
		content_wrong(v, "a part of type text has no text");
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
	content_unable(v, "a message has a part of a kind that Gemini does not know");
}

void
parts_of(struct conversation *v, const lz_json *content)
{
	size_t n = lz->json_len(content);

	if (lz->json_type(content) == LZ_STRING) {
		part_text(v, content);
		return;
	}
	if (lz->json_type(content) != LZ_ARRAY && lz->json_type(content) != LZ_NULL) {
		content_wrong(v, "a message's content must be a text or a list of parts");
		return;
	}
	for (size_t i = 0; i < n && work_goes_on(v->w); i++)
		add_part(v, lz->json_item(content, i, NULL));
}
