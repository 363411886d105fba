/* patterns.h - what the files of this plugin share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PATTERNS_H
#define PATTERNS_H

#include <latenza/plugin.h>
#include <stdatomic.h>
#include <stdbool.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
	LOOK_BEHIND_CHARS = 60, /* an expression may look so far back */
	CONTEXT = 256,          /* bytes of what is out already that we want for it */
	WORDS_FILE_BYTES = 16 << 20,
	ENTRIES = 1000000
};

enum action {
	BLOCK,
	MASK,
	FLAG
};

/* A word or an expression. */
struct entry {
	lz_str code, replacement; /* live as long as the instance */
	enum action action;
	pcre2_code *expression;     /* NULL: a word */
	lz_str word;                /* as it is looked for */
	bool left_edge, right_edge; /* a word: no letter or digit may stand there */
	uint32_t next;              /* another word of the same text, + 1; 0: none */
	bool is_plain;              /* the plain form of the word of entry `of` */
	uint32_t of;
};

/* Found in bytes [from, to) of what was looked through. */
struct found {
	size_t from, to;
	uint32_t entry;
};

/* ---- words.c: the automaton ---- */

struct words;
/* Of the entries without an expression. NULL: no memory. owned: words_free() */
struct words *words_new(struct entry *entries, size_t count);
void words_free(struct words *w);
/* Calls `each` for every word that ends in text[at..end); what lies before `at` is looked
 * at as a neighbour only, back to `begin`. Whether letters may stand around it is looked
 * at, too, except at `end` of a text that goes on: a word that ends there is told with
 * is_open. Returns from where on a word may have begun that ends later, `end` for none.
 */
size_t words_find(const struct words *w, const struct entry *entries, bool ignore_case,
    const char *begin, const char *text, size_t at, size_t end, bool is_end,
    void (*each)(void *arg, struct found f, bool is_open), void *arg);
/* Writes `word` as it is looked for: blanks as one, lower case if that is ignored.
 * Returns the bytes, at most those of word. */
size_t words_shape(lz_str word, bool ignore_case, char *out);
/* Is the character that begins (or ends) the word one that belongs to words? */
bool words_begins(const char *p, const char *end);
bool words_ends(const char *begin, const char *p);

/* ---- load.c: options become entries ---- */

struct patterns {
	/* options */
	const lz_json *words, *expressions;
	lz_str words_file, code, replacement;
	int32_t action, ignore_case, whole_words;
	int64_t match_limit, depth_limit, heap_limit;
	/* ours */
	struct entry *entries;
	size_t count, room;
	struct words *automaton;
	pcre2_match_context *limits;
	bool has_expressions;
	atomic_flag has_warned;
};
int32_t patterns_load(struct patterns *p, char *err, size_t err_len);
void patterns_unload(struct patterns *p);

/* ---- scan.c ---- */

int32_t patterns_check(void *self, lz_call *c);

#endif
