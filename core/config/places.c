/* places.c - which line of the file a node of the tree came from.
 *
 * A hash table by the node's address: the tree itself stays plain jansson, and nodes are
 * never freed before the table.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/places.h"

#include "base/mem.h"

/* Where a node or a member stands. Singletons (true, false, null) are one node for all of
 * jansson, so members are kept under their object and key. */
struct place {
	const json_t *node;
	char *key; /* NULL: the node itself */
	unsigned line;
};

struct yaml_source {
	char *file;
	struct place *place; /* open addressing, never more than half full */
	size_t cap, count;
};

static size_t
hash_of(const json_t *node, const char *key)
{
	uint64_t h = (uint64_t)(uintptr_t)node * 0x9e3779b97f4a7c15u;

	for (; key != NULL && *key != '\0'; key++)
		h = (h ^ (unsigned char)*key) * 0x100000001b3u;
	return (size_t)(h ^ (h >> 29));
}

static struct place *
find(struct place *table, size_t cap, const json_t *node, const char *key)
{
	size_t i = hash_of(node, key) & (cap - 1);

	for (; table[i].node != NULL; i = (i + 1) & (cap - 1)) {
		if (table[i].node != node || (table[i].key == NULL) != (key == NULL))
			continue;
		if (key == NULL || strcmp(table[i].key, key) == 0)
			break;
	}
	return &table[i];
}

static bool
grow(struct yaml_source *s)
{
	size_t cap = s->cap == 0 ? 256 : s->cap * 2;
	struct place *bigger = mem_calloc(cap, sizeof(*bigger));

	if (bigger == NULL)
		return false;
	for (size_t i = 0; i < s->cap; i++) {
		if (s->place[i].node != NULL)
			*find(bigger, cap, s->place[i].node, s->place[i].key) =
			    s->place[i];
	}
	mem_free(s->place);
	s->place = bigger;
	s->cap = cap;
	return true;
}

bool
places_add(struct yaml_source *s, const json_t *node, const char *key, unsigned line)
{
	struct place *p;
	char *copy = NULL;

	if (2 * (s->count + 1) > s->cap && !grow(s))
		return false;
	p = find(s->place, s->cap, node, key);
	if (p->node != NULL)
		return true;
	if (key != NULL && (copy = mem_strdup(key)) == NULL)
		return false;
	*p = (struct place){ node, copy, line };
	s->count++;
	return true;
}

unsigned
yaml_line(const struct yaml_source *s, const json_t *node, const char *key)
{
	if (s == NULL || s->cap == 0 || node == NULL)
		return 0;
	return find(s->place, s->cap, node, key)->line;
}

bool
yaml_set_line(struct yaml_source *s, const json_t *node, unsigned line)
{
	return s == NULL || places_add(s, node, NULL, line);
}

const char *
yaml_file(const struct yaml_source *s)
{
	return s->file;
}

void
yaml_source_free(struct yaml_source *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->cap; i++)
		mem_free(s->place[i].key);
	mem_free(s->place);
	mem_free(s->file);
	mem_free(s);
}

struct yaml_source *
places_new(const char *file)
{
	struct yaml_source *s = mem_zalloc(sizeof(*s));

	if (s == NULL)
		return NULL;
	s->file = mem_strdup(file);
	if (s->file == NULL || !grow(s)) {
		yaml_source_free(s);
		return NULL;
	}
	return s;
}

void
places_move(struct yaml_source *s, const json_t *node, unsigned line)
{
	struct place *p = find(s->place, s->cap, node, NULL);

	if (p->node != NULL)
		p->line = line;
}
