/* part.c - the parts of a message's content: texts, images, documents.
 *
 * A text of white space alone is left out: Anthropic refuses such blocks, and they say
 * nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#include "make.h"

int
part_is_blank(lz_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] != ' ' && s.ptr[i] != '\t' && s.ptr[i] != '\n' &&
		    s.ptr[i] != '\r')
			return 0;
	return 1;
}

static int
has_prefix(lz_str s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.len >= n && memcmp(s.ptr, prefix, n) == 0;
}

static lz_str
cut(lz_str s, size_t from, size_t to)
{
	return lz_strn(s.ptr + from, to - from);
}

void
part_text(struct making *m, lz_json *blocks, const lz_json *text, const lz_json *marked)
{
	lz_json *block;

	if (lz->json_type(text) != LZ_STRING || part_is_blank(make_word(text)))
		return;
	block = message_block(m, "text");
	make_set(m, block, "text", text);
	message_mark(m, block, marked);
	make_add(m, blocks, block);
}

/* "data:image/png;base64,AAAA": its type and its base64. 0: it is not one. */
static int
data_url(lz_str url, lz_str *type, lz_str *data)
{
	static const char head[] = "data:", tail[] = ";base64";
	const char *comma = url.len > 0 ? memchr(url.ptr, ',', url.len) : NULL;
	size_t at, end;

	if (!has_prefix(url, head) || comma == NULL)
		return 0;
	at = (size_t)(comma - url.ptr);
	if (at < sizeof(head) + sizeof(tail) - 2 ||
	    memcmp(comma - (sizeof(tail) - 1), tail, sizeof(tail) - 1) != 0)
		return 0;
	*data = cut(url, at + 1, url.len);
	*type = cut(url, sizeof(head) - 1, at - (sizeof(tail) - 1));
	for (end = 0; end < type->len && type->ptr[end] != ';';)
		end++;
	type->len = end;
	return type->len > 0;
}

/* NULL: the URL is neither base64 nor the web's. */
static lz_json *
source_of(struct making *m, lz_str url)
{
	lz_str type, data;
	lz_json *source;

	if (data_url(url, &type, &data)) {
		source = message_block(m, "base64");
		make_set(m, source, "media_type", make_text(m, type));
		make_set(m, source, "data", make_text(m, data));
		return source;
	}
	if (!has_prefix(url, "https://") && !has_prefix(url, "http://"))
		return NULL;
	source = message_block(m, "url");
	make_set(m, source, "url", make_text(m, url));
	return source;
}

static void
add_image(struct making *m, lz_json *blocks, const lz_json *part)
{
	const lz_json *image = lz->json_at(part, "/image_url");
	lz_str url = make_word(lz->json_at(image, "/url"));
	lz_str detail = make_word(lz->json_at(image, "/detail"));
	lz_json *block, *source = source_of(m, url.len > 0 ? url : make_word(image));

	if (source == NULL) {
		make_refuse(m, LZ_UPSTREAM_CALLER, "messages",
		    "'image_url.url' must be an http URL, or a data URL in base64");
		return;
	}
	if (detail.len > 0 && !lz_eq(detail, "auto"))
		make_dropped(m, "image_url.detail");
	block = message_block(m, "image");
	make_set(m, block, "source", source);
	message_mark(m, block, part);
	make_add(m, blocks, block);
}

static int
digit_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The bytes that base64 stands for; ptr NULL: it is none, or memory is out. */
static lz_str
decoded(struct making *m, lz_str s)
{
	uint32_t bits = 0;
	size_t n = 0, count = 0;
	char *p;

	while (s.len > 0 && s.ptr[s.len - 1] == '=')
		s.len--;
	p = lz->alloc(m->c, s.len / 4 * 3 + 3);
	m->failed |= p == NULL;
	for (size_t i = 0; i < s.len && p != NULL; i++) {
		int digit = digit_of(s.ptr[i]);

		if (digit < 0)
			return lz_strn(NULL, 0);
		bits = bits << 6 | (uint32_t)digit;
		if (++count % 4 != 1)
			p[n++] = (char)(bits >> (6 - 2 * ((count - 1) % 4)) & 0xff);
	}
	return lz_strn(p, n);
}

/* A text goes in as what it says. NULL: the bytes are no text. */
static lz_json *
text_source(struct making *m, lz_str data)
{
	lz_str bytes = decoded(m, data);
	lz_json *said = bytes.ptr != NULL ? lz->json_of_str(m->c, bytes) : NULL;
	lz_json *source;

	if (said == NULL)
		return NULL;
	source = message_block(m, "text");
	make_set(m, source, "media_type", make_text(m, lz_strz("text/plain")));
	make_set(m, source, "data", said);
	return source;
}

static lz_json *
document_source(struct making *m, lz_str url)
{
	lz_str type, data;

	if (!data_url(url, &type, &data) || lz_eq(type, "application/pdf"))
		return source_of(m, url);
	return lz_eq(type, "text/plain") ? text_source(m, data) : NULL;
}

/* Documents are PDFs and plain texts. A file_id is another vendor's. */
static void
add_file(struct making *m, lz_json *blocks, const lz_json *part)
{
	const lz_json *name = lz->json_at(part, "/file/filename");
	lz_str url = make_word(lz->json_at(part, "/file/file_data"));
	lz_json *block, *source = document_source(m, url);

	if (source == NULL) {
		make_refuse(m, LZ_UPSTREAM_UNABLE, "messages",
		    "Anthropic takes files as 'file.file_data': a PDF or a text in UTF-8 "
		    "(text/plain), in base64, or the URL of a PDF");
		return;
	}
	block = message_block(m, "document");
	make_set(m, block, "source", source);
	if (lz->json_type(name) == LZ_STRING && make_word(name).len > 0)
		make_set(m, block, "title", name);
	message_mark(m, block, part);
	make_add(m, blocks, block);
}

static void
add_text(struct making *m, lz_json *blocks, const lz_json *part)
{
	part_text(m, blocks, lz->json_at(part, "/text"), part);
}

static void
add_refusal(struct making *m, lz_json *blocks, const lz_json *part)
{
	part_text(m, blocks, lz->json_at(part, "/refusal"), part);
}

static const struct {
	const char *type;
	void (*add)(struct making *m, lz_json *blocks, const lz_json *part);
} kinds[] = {
	{ "text", add_text },
	{ "image_url", add_image },
	{ "file", add_file },
	{ "refusal", add_refusal },
};

static void
add_part(struct making *m, lz_json *blocks, const lz_json *part)
{
	lz_str type = make_word(lz->json_at(part, "/type"));

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (lz_eq(type, kinds[i].type)) {
			kinds[i].add(m, blocks, part);
			return;
		}
	make_refuse(m, LZ_UPSTREAM_UNABLE, "messages",
	    "Anthropic takes parts of type text, image_url and file");
}

void
part_content(struct making *m, lz_json *blocks, const lz_json *content)
{
	if (lz->json_type(content) == LZ_STRING)
		part_text(m, blocks, content, NULL);
	else if (lz->json_type(content) == LZ_ARRAY)
		for (size_t i = 0, n = lz->json_len(content); i < n; i++)
			add_part(m, blocks, lz->json_item(content, i, NULL));
	else if (lz->json_type(content) != LZ_NULL)
		make_refuse(m, LZ_UPSTREAM_CALLER, "messages",
		    "'messages[].content' must be a string or a list of parts");
}
