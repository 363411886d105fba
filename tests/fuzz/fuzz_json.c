/* fuzz_json.c - the lazy scanner and the strict parser agree on what is JSON, and a
 * member that the scanner names is the one that the tree holds.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "base/jscan.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
compare_string(const struct jscan_member *m, const json_t *value)
{
	char *room = malloc(m->value.len + 1);
	lz_str text;

	if (room == NULL)
		return;
	if (!jscan_string(m, room, &text) || !json_is_string(value) ||
	    text.len != json_string_length(value) ||
	    memcmp(text.ptr, json_string_value(value), text.len) != 0)
		abort();
	free(room);
}

static void
compare(const struct jscan *s, const json_t *tree)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct jscan_member *m = &s->member[i];
		const json_t *value;
		char key[200];

		if (m->key.len >= sizeof(key))
			continue;
		memcpy(key, m->key.ptr, m->key.len);
		key[m->key.len] = '\0';
		value = json_object_get(tree, key);
		if (value == NULL)
			abort();
		if (m->type == JSCAN_STRING)
			compare_string(m, value);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	lz_str text = lz_strn((const char *)data, size);
	static struct jscan s;
	json_t *tree;

	tree = json_parse(text, NULL);
	if (jscan_object(text, &s, NULL) == ST_OK && tree != NULL)
		compare(&s, tree);
	if (tree != NULL && jscan_value(text, NULL) != ST_OK)
		abort();
	json_decref(tree);
	return 0;
}
