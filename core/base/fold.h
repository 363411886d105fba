/* fold.h - the form of a text in which guardrails judge it.
 *
 * What looks alike becomes alike: a word in Cyrillic lookalikes, in mathematical bold,
 * with characters between its letters that nobody sees, is the word again, and a
 * guardrail need not know of Unicode. What was found there is edited in the text as it
 * was written, so every byte of the plain form knows where it came from.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_FOLD_H
#define BASE_FOLD_H

#include "base/buf.h"

/* The rules, character by character:
 *
 *   invisible       nothing: controls, format and default-ignorable characters (zero
 * width, soft hyphen, joiners, bidi controls, variation selectors, fillers) combining
 * marks nothing, alone or in a precomposed letter tag characters  the ASCII they hide;
 * likewise variation selectors that number ASCII white space     a run of any kinds is
 * one blank, which stands for the whole run digits          0 to 9 of any script,
 * circled, in brackets, full-width letters         NFKC; circled, squared, regional
 * indicators; then what looks like an ASCII letter or sign is that. Upper and lower case
 * stay apart. Hangul          jamo that make a syllable are that syllable not UTF-8
 * U+FFFD for each byte U+202E          (shows what follows backwards, up to its U+202C,
 * the line's end or the text's): the passage as it is written, a blank, and the passage
 * backwards
 *
 * A text cut between characters gives a prefix of the whole text's form, so a growing
 * text may be folded again and again. What a later byte may still change is left out: see
 * `decided`. */
struct fold {
	lz_str plain; /* the text itself, borrowed, where that is plain already */
	/* The bytes of text that `plain` speaks for: all of a final text. Where an open
	 * passage or half a syllable ends a text that still grows, its start: what lies
	 * behind must not be taken for judged. */
	size_t decided;
	lz_str text;
	struct buf bytes, runs; /* private */
};

/* max_bytes: of the plain form; the map takes at most eight times as much beside it. */
void fold_init(struct fold *f, size_t max_bytes);
void fold_free(struct fold *f);
/* Folds `text`, which is kept until the next call or fold_free(). What the last call made
 * is forgotten, its memory used again. ST_NOMEM; ST_LIMIT: the text has 2 GiB or more.
 * Both leave plain empty and nothing decided. [any] */
enum status fold_text(struct fold *f, lz_str text, bool is_final) MUST_CHECK;
/* Where in the text the character begins that byte `at` of plain is made of; `decided`
 * for plain's end and beyond. Never falls as `at` rises. Characters that left nothing
 * belong to the one before them, so [origin(from), origin(to)) is what [from, to) was
 * read from - but where `to` is inside of what one character became ("fi" of a ligature,
 * a passage of U+202E) both may be the same: then go on to the first `to` of a greater
 * origin. */
size_t fold_origin(const struct fold *f, size_t at);
/* All of them in one walk, where each one is looked for alone otherwise: origin[0 ..
 * plain.len]. */
void fold_origins(const struct fold *f, uint32_t *origin);
/* The plain form of a text that is final: the bytes that it takes, written to `out` where
 * they are no more than `room`. SIZE_MAX: no memory, or 2 GiB. [any] */
size_t fold_plain(lz_str text, char *out, size_t room);

#endif
