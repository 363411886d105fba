/* from_guardrails.c - guardrails that converters write: instances under names that are
 * free, and how those that ask somebody else reach him.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "cli/from.h"

json_t *
from_guardrail(struct from *f, const char *text, const char *use, json_t *on,
    char name[FROM_GUARDRAIL])
{
	char stem[FROM_NAME];
	json_t *one;

	from_slug(text, "", stem);
	stem[FROM_NAME - 12] = '\0';
	(void)snprintf(name, FROM_GUARDRAIL, "%s", stem);
	for (unsigned i = 2; json_object_get(f->guardrails, name) != NULL; i++)
		(void)snprintf(name, FROM_GUARDRAIL, "%s-%u", stem, i);
	one = json_object_in(f->guardrails, name);
	(void)json_object_set_new(one, "use", json_string(use));
	(void)json_object_set_new(one, "on", on);
	return one;
}

bool
from_endpoint(struct from *f, const json_t *object, const char *member, const char *where,
    const char *base, const char *suffix, json_t *one)
{
	char url[FROM_VALUE + 64];
	size_t n = strlen(base);

	if (n >= FROM_VALUE) {
		from_say(f, FROM_ERROR, object, member, where, "is longer than %d bytes",
		    FROM_VALUE - 1);
		return false;
	}
	if (from_reference(f, base, url)) {
		if (*suffix != '\0')
			from_say(f, FROM_REMARK, object, member, where,
			    "the address in %s must end in %s here", url + 4, suffix);
	} else if (!from_is_address(base)) {
		from_say(f, FROM_ERROR, object, member, where,
		    "is not an address; it must begin with http:// or https://");
		return false;
	} else {
		while (*suffix != '\0' && n > 0 && base[n - 1] == '/')
			n--;
		(void)snprintf(url, sizeof(url), "%.*s%s", (int)n, base,
		    str_ends(lz_strn(base, n), suffix) ? "" : suffix);
	}
	(void)json_object_set_new(one, "url", json_string(url));
	return true;
}

/* A token behind "Bearer ", or NULL. */
static const char *
bearer_of(const char *name, const json_t *value)
{
	const char *text = json_string_value(value);

	return strcasecmp(name, "authorization") == 0 && text != NULL &&
		       strncasecmp(text, "bearer ", 7) == 0 && text[7] != '\0' &&
		       strlen(text) == json_string_length(value)
		   ? text + 7
		   : NULL;
}

void
from_hook_headers(struct from *f, const json_t *headers, const json_t *object,
    const char *member, const char *where, const char *name, json_t *one)
{
	const char *field, *token;
	char value[FROM_VALUE];
	json_t *content;

	json_object_foreach((json_t *)(uintptr_t)headers, field, content)
	{
		token = bearer_of(field, content);
		if (token != NULL && strlen(token) < FROM_VALUE) {
			from_secret(f, object, member, where, token, name, value);
			(void)json_object_set_new(one, "token", json_string(value));
		} else if (strcasecmp(field, "content-type") != 0) {
			from_say(f, FROM_NO_TWIN, object, member, where,
			    "the header \"%.100s\" was left out: a hook is sent token "
			    "as Authorization: Bearer, and a signature by secret",
			    field);
		}
	}
}
