/* fuzz_yaml.c - any text is a tree or a sentence; a tree prints.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "base/json.h"
#include "config/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct yaml_source *source = NULL;
	struct err e = { "" };
	struct buf out;
	json_t *tree =
	    yaml_parse(lz_strn((const char *)data, size), "fuzz.yaml", &source, &e);

	if (tree == NULL && e.text[0] == '\0')
		abort();
	if (tree != NULL) {
		buf_init(&out, 64 << 20);
		(void)json_print(tree, &out);
		(void)yaml_line(source, tree, NULL);
		buf_free(&out);
		json_decref(tree);
	}
	yaml_source_free(source);
	return 0;
}
