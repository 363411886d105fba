/* load.c - options become entries; what is wrong with them is said with its place.
 *
 * SPDX-License-Identifier: MIT
 */
#include "patterns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where we are, for a complaint. */
struct place {
	char *err;
	size_t err_len;
	const char *list; /* "words", "expressions"; a path: the words' file */
	size_t at;        /* counts from 0; lines from 1 */
};

static int32_t __attribute__((format(printf, 2, 3)))
complain(const struct place *at, const char *format, ...)
{
	va_list args;
	int n = snprintf(at->err, at->err_len, "%s[%zu]: ", at->list, at->at);

	if (n < 0 || (size_t)n >= at->err_len)
		return LZ_E_INVALID;
	va_start(args, format);
	(void)vsnprintf(at->err + n, at->err_len - (size_t)n, format, args);
	va_end(args);
	return LZ_E_INVALID;
}

static struct entry *
new_entry(struct patterns *p, const struct place *at)
{
	struct entry *e;

	if (p->count == ENTRIES) {
		(void)complain(at, "more than %d entries", ENTRIES);
		return NULL;
	}
	if (p->count == p->room) {
		size_t room = p->room > 0 ? p->room * 2 : 64;

		e = realloc(p->entries, room * sizeof(*e));
		if (e == NULL) {
			(void)complain(at, "no memory");
			return NULL;
		}
		p->entries = e;
		p->room = room;
	}
	e = &p->entries[p->count++];
	*e = (struct entry){ .code = p->code,
		.replacement = p->replacement,
		.action = (enum action)p->action };
	return e;
}

/* ---- words ---- */

static bool
is_utf8(lz_str s)
{
	const uint8_t *p = (const uint8_t *)s.ptr, *end = p + s.len;

	while (p < end) {
		size_t n = *p < 0x80                 ? 1
			   : *p >= 0xc2 && *p < 0xe0 ? 2
			   : *p >= 0xe0 && *p < 0xf0 ? 3
			   : *p >= 0xf0 && *p < 0xf5 ? 4
						     : 0;

		if (n == 0 || (size_t)(end - p) < n ||
		    (n == 3 && p[0] == 0xe0 && p[1] < 0xa0) ||
		    (n == 3 && p[0] == 0xed && p[1] > 0x9f) ||
		    (n == 4 &&
			((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))))
			return false;
		for (size_t i = 1; i < n; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return false;
		}
		p += n;
	}
	return true;
}

/* Takes text, and writes over it. */
static int32_t
shape_word(const struct patterns *p, struct entry *e, char *text, size_t n, bool is_whole,
    const struct place *at)
{
	n = words_shape(lz_strn(text, n), p->ignore_case, text);
	e->word = lz_strn(text, n);
	if (n == 0)
		return complain(at, "the word is empty; leave it out or write one");
	e->left_edge = is_whole && words_begins(text, text + n);
	e->right_edge = is_whole && words_ends(text, text + n);
	return LZ_OK;
}

static bool
is_ascii(lz_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] > 0x7f)
			return false;
	return true;
}

/* In disguise a word with other letters than ASCII reads as its plain form does: an entry
 * more, which stands for the one at `of`. */
static int32_t
add_plain(
    struct patterns *p, size_t of, lz_str word, bool is_whole, const struct place *at)
{
	size_t n = lz->plain(word, NULL, 0);
	char *text = n < SIZE_MAX ? malloc(n + 1) : NULL;
	struct entry *e;

	if (text == NULL || lz->plain(word, text, n) != n)
		n = SIZE_MAX;
	if (n == 0 || (n == word.len && memcmp(text, word.ptr, n) == 0)) {
		free(text);
		return LZ_OK;
	}
	e = n < SIZE_MAX ? new_entry(p, at) : NULL;
	if (e == NULL) {
		free(text);
		return n < SIZE_MAX ? LZ_E_INVALID : complain(at, "no memory");
	}
	*e = p->entries[of];
	e->is_plain = true;
	e->of = (uint32_t)of;
	return shape_word(p, e, text, n, is_whole, at);
}

/* of: the entry's place, because another may move them. */
static int32_t
set_word(
    struct patterns *p, size_t of, lz_str word, bool is_whole, const struct place *at)
{
	char *text;
	int32_t rc;

	if (!is_utf8(word))
		return complain(at, "the word is not UTF-8");
	text = malloc(word.len + 1);
	if (text == NULL)
		return complain(at, "no memory");
	memcpy(text, word.ptr, word.len);
	rc = shape_word(p, &p->entries[of], text, word.len, is_whole, at);
	return rc == LZ_OK && !is_ascii(word) ? add_plain(p, of, word, is_whole, at) : rc;
}

/* ---- expressions ---- */

/* Forgets what it matched so far: then nobody knows where it begins. */
static bool
has_reset(lz_str s)
{
	for (size_t i = 0; i + 1 < s.len; i++) {
		if (s.ptr[i] != '\\')
			continue;
		if (s.ptr[i + 1] == 'K')
			return true;
		i++;
	}
	return false;
}

static int32_t
set_expression(
    const struct patterns *p, struct entry *e, lz_str pattern, const struct place *at)
{
	uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C |
			   PCRE2_MATCH_INVALID_UTF |
			   (p->ignore_case ? PCRE2_CASELESS : 0);
	PCRE2_UCHAR why[160];
	uint32_t behind = 0;
	size_t offset;
	int error;

	if (pattern.len == 0)
		return complain(at, "pattern: empty; write a PCRE2 expression");
	if (has_reset(pattern))
		return complain(at, "pattern: \\K is not taken; use a lookbehind");
	e->expression = pcre2_compile(
	    (PCRE2_SPTR)pattern.ptr, pattern.len, options, &error, &offset, NULL);
	if (e->expression == NULL) {
		(void)pcre2_get_error_message(error, why, sizeof(why));
		return complain(at, "pattern: %s at offset %zu", (char *)why, offset);
	}
	(void)pcre2_pattern_info(e->expression, PCRE2_INFO_MAXLOOKBEHIND, &behind);
	if (behind > LOOK_BEHIND_CHARS)
		return complain(at, "pattern: looks %u characters back; %d are possible",
		    behind, LOOK_BEHIND_CHARS);
	/* Where the processor or the system's rules have no just-in-time compiler, it
	 * runs without. */
	(void)pcre2_jit_compile(
	    e->expression, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
	return LZ_OK;
}

/* ---- entries ---- */

static int32_t
set_action(struct entry *e, const lz_json *value, const struct place *at)
{
	static const char *const names[] = { "block", "mask", "flag" };
	lz_str s = lz->json_str(value, lz_strn(NULL, 0));

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (s.ptr != NULL && lz_eq(s, names[i])) {
			e->action = (enum action)i;
			return LZ_OK;
		}
	}
	return complain(at, "action: one of block, mask, flag is wanted");
}

/* One member of an entry, but for its word or pattern. */
static int32_t
set_member(struct entry *e, lz_str key, const lz_json *value, const struct place *at)
{
	lz_str s = lz->json_str(value, lz_strn(NULL, 0));

	if (lz_eq(key, "action"))
		return set_action(e, value, at);
	if (!lz_eq(key, "code") && !lz_eq(key, "replacement"))
		return complain(at,
		    "%.*s: no such member; there are %s, code, action, replacement",
		    (int)key.len, key.ptr,
		    strcmp(at->list, "words") == 0 ? "word, whole_word" : "pattern");
	if (s.ptr == NULL)
		return complain(at, "%.*s: a text is wanted", (int)key.len, key.ptr);
	if (lz_eq(key, "replacement")) {
		e->replacement = s;
		return LZ_OK;
	}
	if (s.len == 0)
		return complain(at, "code: empty; leave it out or write one");
	e->code = s;
	return LZ_OK;
}

/* A word alone, or an object. */
static int32_t
load_word(struct patterns *p, const lz_json *item, const struct place *at)
{
	struct entry *e = new_entry(p, at);
	lz_str word = lz->json_str(item, lz_strn(NULL, 0)), key;
	bool is_whole = p->whole_words;
	int32_t rc = LZ_OK;

	if (e == NULL)
		return LZ_E_INVALID;
	if (word.ptr == NULL && lz->json_type(item) != LZ_OBJECT)
		return complain(at, "a word or a map with `word` is wanted");
	for (size_t i = 0; i < lz->json_len(item) && rc == LZ_OK; i++) {
		const lz_json *value = lz->json_item(item, i, &key);

		if (lz_eq(key, "word"))
			word = lz->json_str(value, lz_strn(NULL, 0));
		else if (lz_eq(key, "whole_word") && lz->json_type(value) == LZ_BOOL)
			is_whole = lz->json_bool(value, 0);
		else if (lz_eq(key, "whole_word"))
			rc = complain(at, "whole_word: true or false is wanted");
		else
			rc = set_member(e, key, value, at);
	}
	if (rc == LZ_OK && word.ptr == NULL)
		rc = complain(at, "word: a text is wanted");
	return rc == LZ_OK ? set_word(p, (size_t)(e - p->entries), word, is_whole, at)
			   : rc;
}

static int32_t
load_expression(struct patterns *p, const lz_json *item, const struct place *at)
{
	struct entry *e = new_entry(p, at);
	lz_str pattern = lz->json_str(item, lz_strn(NULL, 0)), key;
	int32_t rc = LZ_OK;

	if (e == NULL)
		return LZ_E_INVALID;
	if (pattern.ptr == NULL && lz->json_type(item) != LZ_OBJECT)
		return complain(at, "an expression or a map with `pattern` is wanted");
	for (size_t i = 0; i < lz->json_len(item) && rc == LZ_OK; i++) {
		const lz_json *value = lz->json_item(item, i, &key);

		if (lz_eq(key, "pattern"))
			pattern = lz->json_str(value, lz_strn(NULL, 0));
		else
			rc = set_member(e, key, value, at);
	}
	if (rc == LZ_OK && pattern.ptr == NULL)
		rc = complain(at, "pattern: a text is wanted");
	p->has_expressions = true;
	return rc == LZ_OK ? set_expression(p, e, pattern, at) : rc;
}

static int32_t
load_list(struct patterns *p, const lz_json *list,
    int32_t (*load)(struct patterns *p, const lz_json *item, const struct place *at),
    struct place *at)
{
	int32_t rc = LZ_OK;

	for (at->at = 0; at->at < lz->json_len(list) && rc == LZ_OK; at->at++) {
		rc = load(p, lz->json_item(list, at->at, NULL), at);
		if (rc != LZ_OK)
			break;
	}
	return rc;
}

/* ---- the file of words ---- */

/* Lines: a word each; blank ones, and those that begin with #, are none. */
static int32_t
load_lines(struct patterns *p, char *text, size_t len, struct place *at)
{
	char *end = text + len;
	int32_t rc = LZ_OK;

	for (at->at = 1; text < end && rc == LZ_OK; at->at++) {
		char *stop = memchr(text, '\n', (size_t)(end - text));
		char *next = stop != NULL ? stop + 1 : end, *from = text;

		if (stop == NULL)
			stop = end;
		text = next;
		while (from < stop && (*from == ' ' || *from == '\t'))
			from++;
		while (stop > from &&
		       (stop[-1] == ' ' || stop[-1] == '\t' || stop[-1] == '\r'))
			stop--;
		if (from < stop && *from != '#') {
			struct entry *e = new_entry(p, at);

			rc = e == NULL ? LZ_E_INVALID
				       : set_word(p, (size_t)(e - p->entries),
					     lz_strn(from, (size_t)(stop - from)),
					     p->whole_words, at);
		}
	}
	return rc;
}

/* NULL: at->err. Opening a pipe does not wait for who writes to it. */
static FILE *
open_words(const char *path, const struct place *at)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat is = { 0 };
	FILE *file = NULL;

	if (fd >= 0 && fstat(fd, &is) == 0 && S_ISREG(is.st_mode))
		file = fdopen(fd, "r");
	if (file == NULL)
		(void)snprintf(at->err, at->err_len, "words_file: %s: %s", path,
		    is.st_mode != 0 && !S_ISREG(is.st_mode) ? "is no regular file"
							    : strerror(errno));
	if (file == NULL && fd >= 0)
		(void)close(fd);
	return file;
}

static int32_t
load_file(struct patterns *p, struct place *at)
{
	char path[4096], *text = NULL;
	FILE *file;
	size_t n;
	int32_t rc;

	if (p->words_file.len >= sizeof(path))
		return complain(at, "the path is too long");
	memcpy(path, p->words_file.ptr, p->words_file.len);
	path[p->words_file.len] = '\0';
	at->list = path;
	file = open_words(path, at);
	if (file == NULL)
		return LZ_E_INVALID;
	text = malloc(WORDS_FILE_BYTES + 1);
	n = text != NULL ? fread(text, 1, WORDS_FILE_BYTES + 1, file) : 0;
	if (text == NULL || ferror(file) || n > WORDS_FILE_BYTES) {
		(void)snprintf(at->err, at->err_len, "words_file: %s: %s", path,
		    text == NULL   ? "no memory"
		    : ferror(file) ? strerror(errno)
				   : "more than 16 MiB");
		rc = LZ_E_INVALID;
	} else {
		rc = load_lines(p, text, n, at);
	}
	free(text);
	(void)fclose(file);
	return rc;
}

/* ---- all of it ---- */

static int32_t
load_limits(struct patterns *p, const struct place *at)
{
	p->limits = pcre2_match_context_create(NULL);
	if (p->limits == NULL)
		return complain(at, "no memory");
	(void)pcre2_set_match_limit(p->limits, (uint32_t)p->match_limit);
	(void)pcre2_set_depth_limit(p->limits, (uint32_t)p->depth_limit);
	(void)pcre2_set_heap_limit(p->limits, (uint32_t)(p->heap_limit / 1024));
	return LZ_OK;
}

int32_t
patterns_load(struct patterns *p, char *err, size_t err_len)
{
	struct place at = { err, err_len, "words", 0 };
	int32_t rc = load_list(p, p->words, load_word, &at);

	if (rc == LZ_OK && p->words_file.len > 0)
		rc = load_file(p, &at);
	at.list = "expressions";
	if (rc == LZ_OK)
		rc = load_list(p, p->expressions, load_expression, &at);
	at.at = 0;
	if (rc == LZ_OK && p->has_expressions)
		rc = load_limits(p, &at);
	if (rc == LZ_OK) {
		p->automaton = words_new(p->entries, p->count);
		if (p->automaton == NULL)
			rc = complain(&at, "no memory");
	}
	if (rc != LZ_OK)
		patterns_unload(p);
	return rc;
}

void
patterns_unload(struct patterns *p)
{
	for (size_t i = 0; i < p->count; i++) {
		pcre2_code_free(p->entries[i].expression);
		free((char *)(uintptr_t)p->entries[i].word.ptr);
	}
	free(p->entries);
	p->entries = NULL;
	p->count = p->room = 0;
	words_free(p->automaton);
	p->automaton = NULL;
	pcre2_match_context_free(p->limits);
	p->limits = NULL;
}
