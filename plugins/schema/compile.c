/* compile.c - a JSON Schema becomes a struct that is quick to apply.
 *
 * Everything that could not be honoured later is refused here, with its place. A schema
 * is made once for each place that it stands at, so that references that lead back end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "compile.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	CHUNK_BYTES = 8192,
	CODES_FIRST = 8
};

struct chunk {
	struct chunk *next;
	max_align_t bytes[];
};

struct known {
	const lz_json *json;
	struct schema *schema;
};

struct compiled {
	const struct schema *root;
	struct chunk *chunk; /* the newest */
	size_t used, room;   /* of its bytes */
	pcre2_code **code;
	size_t code_count, code_room;
};

/* ---- memory ---- */

void *
compile_keep(struct compiled *c, size_t n)
{
	char *p;

	n = (n + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	if (c->chunk == NULL || n > c->room - c->used) {
		size_t room = n > CHUNK_BYTES ? n : CHUNK_BYTES;
		struct chunk *new = calloc(1, sizeof(*new) + room);

		if (new == NULL)
			return NULL;
		new->next = c->chunk;
		c->chunk = new;
		c->used = 0;
		c->room = room;
	}
	p = (char *)c->chunk->bytes + c->used;
	c->used += n;
	return p;
}

void
schema_free(struct compiled *c)
{
	struct chunk *next;

	if (c == NULL)
		return;
	for (size_t i = 0; i < c->code_count; i++)
		pcre2_code_free(c->code[i]);
	free(c->code);
	for (struct chunk *k = c->chunk; k != NULL; k = next) {
		next = k->next;
		free(k);
	}
	free(c);
}

const struct schema *
schema_root(const struct compiled *c)
{
	return c->root;
}

bool
compile_keep_code(struct compiled *c, pcre2_code *code)
{
	if (c->code_count == c->code_room) {
		size_t room = c->code_room > 0 ? 2 * c->code_room : CODES_FIRST;
		pcre2_code **more = realloc(c->code, room * sizeof(pcre2_code *));

		if (more == NULL) {
			pcre2_code_free(code);
			return false;
		}
		c->code = more;
		c->code_room = room;
	}
	c->code[c->code_count++] = code;
	return true;
}

/* ---- what is wrong ---- */

bool
compile_wrong(struct compiler *k, const struct place *at, const char *format, ...)
{
	char pointer[POINTER_BYTES];
	va_list args;
	int n;

	if (k->error != LZ_OK)
		return false;
	k->error = LZ_E_INVALID;
	place_print(at, pointer);
	n = snprintf(k->err, k->err_len, "%s: ", pointer);
	if (n < 0 || (size_t)n >= k->err_len)
		return false;
	va_start(args, format);
	(void)vsnprintf(k->err + n, k->err_len - (size_t)n, format, args);
	va_end(args);
	sentence_end(k->err, k->err_len);
	return false;
}

bool
compile_no_memory(struct compiler *k, const struct place *at)
{
	if (k->error == LZ_OK) {
		(void)compile_wrong(k, at, "out of memory");
		k->error = LZ_E_NOMEM;
	}
	return false;
}

/* ---- schemas that are known ---- */

static struct known *
slot_of(struct compiler *k, const lz_json *json)
{
	size_t i = ((uintptr_t)json >> 4) * 0x9e3779b1u % k->known_room;

	while (k->known[i].json != NULL && k->known[i].json != json)
		i = (i + 1) % k->known_room;
	return &k->known[i];
}

static bool
grow_known(struct compiler *k)
{
	struct known *old = k->known;
	size_t room = k->known_room;

	k->known_room = room > 0 ? 2 * room : 64;
	k->known = calloc(k->known_room, sizeof(*k->known));
	if (k->known == NULL) {
		k->known = old;
		k->known_room = room;
		return false;
	}
	for (size_t i = 0; i < room; i++)
		if (old[i].json != NULL)
			*slot_of(k, old[i].json) = old[i];
	free(old);
	return true;
}

/* ---- schemas ---- */

static struct schema *
new_schema(struct compiler *k, const lz_json *json, const struct place *at)
{
	struct schema *s;

	if (k->known_count == NODES) {
		(void)compile_wrong(k, at, "more than %d schemas in one", NODES);
		return NULL;
	}
	if (2 * k->known_count >= k->known_room && !grow_known(k)) {
		(void)compile_no_memory(k, at);
		return NULL;
	}
	s = compile_keep(k->out, sizeof(*s));
	if (s == NULL) {
		(void)compile_no_memory(k, at);
		return NULL;
	}
	s->length.max = s->items_count.max = s->members_count.max = SIZE_MAX;
	s->contains_count = (struct count){ 1, SIZE_MAX };
	*slot_of(k, json) = (struct known){ json, s };
	k->known_count++;
	return s;
}

const struct schema *
compile_schema(struct compiler *k, const lz_json *json, const struct place *at)
{
	static const struct schema always = { .length.max = SIZE_MAX,
		.items_count.max = SIZE_MAX,
		.members_count.max = SIZE_MAX,
		.contains_count = { 1, SIZE_MAX } };
	static const struct schema never = { .is_never = true };
	struct schema *s;
	bool is_fine = true;

	if (lz->json_type(json) == LZ_BOOL)
		return lz->json_bool(json, 0) ? &always : &never;
	if (lz->json_type(json) != LZ_OBJECT) {
		(void)compile_wrong(k, at, "a schema is an object, true or false");
		return NULL;
	}
	if (k->known_count > 0 && slot_of(k, json)->schema != NULL)
		return slot_of(k, json)->schema;
	if (k->depth == DEPTH) {
		(void)compile_wrong(k, at, "nests deeper than %d schemas", DEPTH);
		return NULL;
	}
	s = new_schema(k, json, at);
	if (s == NULL)
		return NULL;
	k->depth++;
	for (size_t i = 0; is_fine && i < lz->json_len(json); i++) {
		lz_str key;
		const lz_json *value = lz->json_item(json, i, &key);

		is_fine = read_keyword(k, s, key, value, at);
	}
	is_fine = is_fine && read_names(k, s, json, at);
	k->depth--;
	return is_fine ? s : NULL;
}

int32_t
schema_compile(
    const lz_json *root, bool is_strict, struct compiled **out, char *err, size_t err_len)
{
	struct compiler k = {
		.root = root, .is_strict = is_strict, .err = err, .err_len = err_len
	};
	struct place top = { NULL, { NULL, 0 }, 0, 0 };

	*out = NULL;
	k.out = calloc(1, sizeof(*k.out));
	if (k.out == NULL) {
		(void)compile_no_memory(&k, &top);
		return k.error;
	}
	k.out->root = compile_schema(&k, root, &top);
	free(k.known);
	if (k.out->root == NULL) {
		schema_free(k.out);
		return k.error;
	}
	*out = k.out;
	return LZ_OK;
}
