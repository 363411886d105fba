/* from_litellm_guardrail.h - between the files that convert guardrails of LiteLLM.
 * Private to them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_FROM_LITELLM_GUARDRAIL_H
#define CLI_FROM_LITELLM_GUARDRAIL_H

#include "cli/from_litellm.h"

#define LITELLM_NO_GUARDRAIL                                                             \
	"has no twin and was left out; what it stopped is not stopped here. A plugin "   \
	"or a script under guardrails: may do it"

/* An entry of `guardrails`, and what it becomes: one instance or several, all of which
 * get the entry's phases; whoever named the entry names them all. */
struct litellm_guardrail {
	struct from *f;
	const json_t *object, *params;
	const char *name;                              /* theirs */
	char outer[FROM_WHERE / 2], where[FROM_WHERE]; /* of the entry, of its params */
	json_t *on;                                    /* a list; owned */
	json_t *mine;                                  /* the instances' names; owned */
	bool is_default;
	const char *member; /* of params, which is all of it; NULL: they are */
};

/* ---- from_litellm_guardrails.c ---- */
/* One more instance for the entry. action: NULL: of a component that has none. borrowed
 */
json_t *litellm_add_guardrail(
    const struct litellm_guardrail *e, const char *use, const char *action);
bool litellm_has_text(const json_t *list, const char *text);
/* Says that somebody has to name it, unless it holds for all. member: of its object. */
void litellm_tell_for_whom(const struct litellm_guardrail *e, const char *member);
/* A member of a list of them: { guardrail_name, litellm_params }. outer: where it is. */
void litellm_read_guardrail(
    struct from *f, const json_t *list, const json_t *object, const char *outer);

/* ---- from_litellm_find.c ---- */
void litellm_find_personal(const struct litellm_guardrail *e);
void litellm_find_secrets(const struct litellm_guardrail *e);
void litellm_find_words(const struct litellm_guardrail *e);
/* All that has a form, masked; said with the parameters. */
void litellm_mask_personal(const struct litellm_guardrail *e);
/* What was masked comes back in the answer: `output_parse_pii` of object. */
void litellm_restore(
    const struct litellm_guardrail *e, const json_t *object, const char *where);

/* ---- from_litellm_ask.c ---- */
void litellm_ask_moderation(const struct litellm_guardrail *e);
/* OpenAI's own endpoint, with the variable that everybody's key is in. */
void litellm_ask_openai(const struct litellm_guardrail *e);
void litellm_ask_hook(const struct litellm_guardrail *e);

/* ---- from_litellm_callbacks.c ---- */
/* Those of litellm_settings: `guardrails` of the old form, and `callbacks`. */
void litellm_callbacks(struct from *f);

#endif
