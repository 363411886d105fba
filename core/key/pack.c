/* pack.c - settings and their texts in one piece of memory.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key/pack.h"

#include <stddef.h>

/* The texts that settings have beside their lists. */
static const size_t texts[] = {
	offsetof(struct key_settings, name),
	offsetof(struct key_settings, organization),
	offsetof(struct key_settings, assistant),
	offsetof(struct key_settings, default_model),
	offsetof(struct key_settings, routing_strategy),
};

enum {
	TEXTS = sizeof(texts) / sizeof(texts[0])
};

static lz_str *
text_of(struct key_settings *s, size_t i)
{
	return (lz_str *)(void *)((char *)s + texts[i]);
}

size_t
pack_bytes(const struct key_settings *s)
{
	size_t n = (s->allow_count + s->guardrail_count) * sizeof(lz_str);

	for (size_t i = 0; i < TEXTS; i++)
		n += text_of((struct key_settings *)(uintptr_t)s, i)->len + 1;
	for (size_t i = 0; i < s->allow_count; i++)
		n += s->allow[i].len + 1;
	for (size_t i = 0; i < s->guardrail_count; i++)
		n += s->guardrail[i].len + 1;
	return n;
}

lz_str
pack_text(char **to, lz_str s)
{
	lz_str kept = lz_strn(*to, s.len);

	if (s.ptr == NULL)
		return s;
	if (s.len > 0)
		memcpy(*to, s.ptr, s.len);
	(*to)[s.len] = '\0';
	*to += s.len + 1;
	return kept;
}

void
pack_settings(struct key_settings *to, const struct key_settings *s, void *memory)
{
	lz_str *allow = memory, *guardrail = allow + s->allow_count;
	char *text = (char *)(guardrail + s->guardrail_count);

	*to = *s;
	for (size_t i = 0; i < TEXTS; i++)
		*text_of(to, i) = pack_text(&text, *text_of(to, i));
	for (size_t i = 0; i < s->allow_count; i++)
		allow[i] = pack_text(&text, s->allow[i]);
	for (size_t i = 0; i < s->guardrail_count; i++)
		guardrail[i] = pack_text(&text, s->guardrail[i]);
	to->allow = allow;
	to->guardrail = guardrail;
}
