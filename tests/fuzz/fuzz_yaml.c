/* fuzz_yaml.c - any text is a tree or a sentence with its line. Every member of a tree
 * has a line of the text; written as JSON the tree reads back the same; and a text that
 * is JSON means the same to both readers.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "base/json.h"
#include "config/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	NUMBER_BYTES = 64,
	KEY_BYTES =
	    150 /* libyaml takes 1,024, and what is escaped is six times as long */
};

static unsigned
count_lines(lz_str text)
{
	unsigned n = 1;

	for (size_t i = 0; i < text.len; i++)
		n += text.ptr[i] == '\n' || text.ptr[i] == '\r' ||
		     (unsigned char)text.ptr[i] >= 0x80; /* NEL, LS, PS end lines, too */
	return n;
}

static void
check_lines(const struct yaml_source *source, const json_t *tree, unsigned lines)
{
	const char *key;
	json_t *value;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)tree, key, value)
	{
		unsigned line = yaml_line(source, tree, key);

		must(line >= 1 && line <= lines);
		check_lines(source, value, lines);
	}
	json_array_foreach((json_t *)(uintptr_t)tree, i, value)
	{
		check_lines(source, value, lines);
	}
}

static json_t *
parse(lz_str text, struct yaml_source **source)
{
	struct err e = { "" };
	json_t *tree = yaml_parse(text, "fuzz.yaml", source, &e);

	must((tree == NULL) == (e.text[0] != '\0'));
	must(tree != NULL || str_starts(lz_strz(e.text), "fuzz.yaml:"));
	return tree;
}

/* An object comes back from JSON, unless libyaml finds a key too long; what else is
 * printed may be no YAML to it, but nothing different. */
static void
check_round_trip(const json_t *tree, size_t size)
{
	struct yaml_source *source;
	struct buf out;
	json_t *again;

	buf_init(&out, 64 << 20);
	must(json_print(tree, &out));
	again = parse(buf_str(&out), &source);
	must(again == NULL || json_equal(tree, again));
	must(again != NULL || size > KEY_BYTES || !json_is_object(tree));
	yaml_source_free(source);
	json_decref(again);
	buf_free(&out);
}

/* yaml.c takes a plain scalar this long for a string, whatever it looks like: a digest of
 * decimal digits. */
static bool
has_long_number(lz_str text)
{
	size_t run = 0;

	for (size_t i = 0; i < text.len && run < NUMBER_BYTES; i++)
		run =
		    text.ptr[i] != '\0' && strchr("0123456789+-.eE", text.ptr[i]) != NULL
			? run + 1
			: 0;
	return run == NUMBER_BYTES;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	lz_str text = lz_strn((const char *)data, size);
	struct yaml_source *source = NULL;
	json_t *tree, *json;

	tree = parse(text, &source);
	if (tree != NULL) {
		check_lines(source, tree, count_lines(text));
		check_round_trip(tree, size);
		json = has_long_number(text) ? NULL : json_parse(text, NULL);
		must(json == NULL || json_equal(tree, json));
		json_decref(json);
	}
	yaml_source_free(source);
	json_decref(tree);
	return 0;
}
