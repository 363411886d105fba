/* object.c - what a loaded shared object exports, and which libraries it wants.
 *
 * The dynamic section of an object that the loader took is sound enough to be walked. The
 * number of its symbols stands nowhere: DT_HASH has it, and DT_GNU_HASH, which has
 * replaced it, leads to the last one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plugin/object.h"

#include <dlfcn.h>
#include <link.h>
#include <stdint.h>
#include <string.h>

struct tables {
	const ElfW(Dyn) * dynamic;
	const ElfW(Sym) * symbols;
	const char *strings;
	const uint32_t *hash, *gnu_hash;
};

static int
find_tables(void *handle, struct tables *t)
{
	struct link_map *map;

	*t = (struct tables){ 0 };
	if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0)
		return 0;
	t->dynamic = map->l_ld;
	for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
		/* glibc has made addresses of these already. */
		const void *at = (const void *)(uintptr_t)d->d_un.d_ptr;

		if (d->d_tag == DT_SYMTAB)
			t->symbols = at;
		else if (d->d_tag == DT_STRTAB)
			t->strings = at;
		else if (d->d_tag == DT_HASH)
			t->hash = at;
		else if (d->d_tag == DT_GNU_HASH)
			t->gnu_hash = at;
	}
	return t->symbols != NULL && t->strings != NULL;
}

/* The table: buckets, index of the first hashed symbol, words of the filter, a shift;
 * then the filter, the buckets, and for each hashed symbol a hash whose lowest bit ends
 * its chain. */
static uint32_t
count_by_gnu_hash(const uint32_t *hash)
{
	uint32_t buckets = hash[0], first = hash[1], words = hash[2], last = 0;
	const uint32_t *bucket =
	    (const uint32_t *)((const ElfW(Addr) *)(const void *)(hash + 4) + words);
	const uint32_t *chain = bucket + buckets;

	for (uint32_t i = 0; i < buckets; i++)
		if (bucket[i] > last)
			last = bucket[i];
	if (last < first)
		return first;
	while ((chain[last - first] & 1) == 0)
		last++;
	return last + 1;
}

void
object_each_export(void *handle, void (*fn)(void *arg, const char *name), void *arg)
{
	struct tables t;
	uint32_t count = 0;

	if (!find_tables(handle, &t))
		return;
	if (t.hash != NULL)
		count = t.hash[1];
	else if (t.gnu_hash != NULL)
		count = count_by_gnu_hash(t.gnu_hash);
	for (uint32_t i = 1; i < count; i++) {
		const ElfW(Sym) *s = &t.symbols[i];
		const char *name = t.strings + s->st_name;

		if (s->st_shndx != SHN_UNDEF && ELF64_ST_BIND(s->st_info) != STB_LOCAL &&
		    *name != '_')
			fn(arg, name);
	}
}

void
object_each_needed(void *handle, void (*fn)(void *arg, const char *name), void *arg)
{
	struct tables t;

	if (!find_tables(handle, &t))
		return;
	for (const ElfW(Dyn) *d = t.dynamic; d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_NEEDED)
			fn(arg, t.strings + d->d_un.d_val);
}
