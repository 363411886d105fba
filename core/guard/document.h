/* document.h - the texts inside a JSON document of an endpoint, and the document again
 * with what guardrails made of them.
 *
 * What is not known to be no text is one: a member that somebody invents tomorrow is
 * shown to guardrails, not passed by them. Names, ids, models, roles, media and what a
 * vendor signed are left out by a table. Neighbouring text parts of a message are one
 * text, since the model reads them so; the arguments of a tool call are one text for each
 * string in them. The document is never rebuilt: changed strings are spliced into its
 * bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GUARD_DOCUMENT_H
#define GUARD_DOCUMENT_H

#include "base/buf.h"
#include "request/texts.h"

enum document_kind {
	DOCUMENT_CHAT,       /* a request */
	DOCUMENT_EMBEDDINGS, /* a request */
	DOCUMENT_ANSWER,     /* a chat completion */
	DOCUMENT_DELTA       /* members of a stream's delta, or of its chunk */
};

struct document {
	enum document_kind kind;
	lz_str bytes; /* scanned: valid JSON, an object. Borrowed, as long as the texts */
	struct texts texts;
	uint32_t choice;  /* of a DOCUMENT_DELTA */
	bool has_numbers; /* embeddings of token ids: nobody can read them */
	bool has_inner;   /* arguments that hold JSON */
	bool has_unread;  /* a file of text that is not UTF-8 */
	bool has_twice;   /* a message's role, or a part's text or type, is there twice */
};

/* Finds the texts. a: where they and all that is asked of them live; borrowed. ST_NOMEM.
 */
enum status document_read(struct document *d, enum document_kind kind, lz_str bytes,
    struct arena *a) MUST_CHECK;
/* Carries out what a guardrail asked of texts that are final: each changed one is its new
 * text from here on. ST_NOMEM. */
enum status document_apply(struct document *d) MUST_CHECK;
bool document_is_changed(const struct document *d);
/* The document with its texts as they are now; is_for_client: and what was revealed to
 * the client alone. The log probabilities of a choice whose text was changed are left
 * out: they spell it. ST_NOMEM; ST_LIMIT: over the buffer's maximum. */
enum status document_write(
    struct document *d, bool is_for_client, struct buf *out) MUST_CHECK;

/* Is a string that is called so, in a message or a stream's delta, a text? Of which kind?
 */
bool document_is_text(lz_str key, uint32_t *kind);

/* Does a string look like a name, an id or a URL, and not like a text? */
bool document_is_name(lz_str text);

/* A chat request with two more messages: the answer's first choice as the assistant's,
 * `why` as the user's. false: one of them has no messages, or out of memory. */
bool document_add_turns(lz_str request, lz_str answer, lz_str why, struct buf *out);

#endif
