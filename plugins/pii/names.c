/* names.c - the placeholders of one request: [EMAIL_1] is the same address in every
 * message, in every phase, and back again.
 *
 * Two open tables over the same names, by value and by number, in memory that lives as
 * long as the request.
 *
 * SPDX-License-Identifier: MIT
 */
#include "pii.h"

enum {
	ROOM_MIN = 32 /* a power of two */
};

struct names {
	uint32_t count[KINDS];
	size_t n, room;
	const struct name **by_value, **by_number;
};

size_t
value_canon(unsigned kind, lz_str value, char out[VALUE_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < value.len && n < VALUE_MAX; i++) {
		unsigned char c = (unsigned char)value.ptr[i];

		if (kind == EMAIL || kind == IPV4 || kind == IPV6 ||
		    scan_is(c, SCAN_ALNUM))
			out[n++] = (char)scan_lower(c);
	}
	return n;
}

static uint64_t
hash_bytes(unsigned kind, lz_str s)
{
	uint64_t h = 0xcbf29ce484222325u ^ kind;

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.ptr[i]) * 0x100000001b3u;
	return h ^ h >> 32;
}

static uint64_t
hash_number(unsigned kind, uint32_t number)
{
	return ((uint64_t)number * KINDS + kind) * 0x9e3779b97f4a7c15u >> 20;
}

/* ip is one kind to those who read it. */
static unsigned
tag_of(unsigned kind)
{
	return kind == IPV6 ? IPV4 : kind;
}

static size_t
place_by_value(const struct names *n, unsigned kind, lz_str canon)
{
	size_t i = hash_bytes(kind, canon) & (n->room - 1);

	for (; n->by_value[i] != NULL; i = (i + 1) & (n->room - 1)) {
		const struct name *e = n->by_value[i];

		if (e->kind == kind && e->canon.len == canon.len &&
		    memcmp(e->canon.ptr, canon.ptr, canon.len) == 0)
			break;
	}
	return i;
}

static size_t
place_by_number(const struct names *n, unsigned kind, uint32_t number)
{
	size_t i = hash_number(kind, number) & (n->room - 1);

	for (; n->by_number[i] != NULL; i = (i + 1) & (n->room - 1))
		if (n->by_number[i]->kind == kind && n->by_number[i]->number == number)
			break;
	return i;
}

static void
put(struct names *n, const struct name *e)
{
	n->by_value[place_by_value(n, e->kind, e->canon)] = e;
	n->by_number[place_by_number(n, e->kind, e->number)] = e;
}

/* Half of the places stay free. */
static int
grow(struct names *n, lz_call *c)
{
	struct names bigger = *n;

	if (n->room > 0 && n->n < n->room / 2)
		return 1;
	bigger.room = n->room > 0 ? n->room * 2 : ROOM_MIN;
	bigger.by_value = lz->keep(c, bigger.room * sizeof(struct name *));
	bigger.by_number = lz->keep(c, bigger.room * sizeof(struct name *));
	if (bigger.by_value == NULL || bigger.by_number == NULL)
		return 0;
	for (size_t i = 0; i < n->room; i++)
		if (n->by_value[i] != NULL)
			put(&bigger, n->by_value[i]);
	*n = bigger;
	return 1;
}

struct names *
names_of(lz_call *c)
{
	void **slot = lz->slot(c);

	if (slot == NULL)
		return NULL;
	if (*slot == NULL)
		*slot = lz->keep(c, sizeof(struct names));
	return *slot;
}

/* A copy of s that lives as long as the request; absent: no memory. */
static lz_str
keep(lz_call *c, lz_str s)
{
	char *p = lz->keep(c, s.len + 1);

	if (p == NULL)
		return lz_strn(NULL, 0);
	memcpy(p, s.ptr, s.len);
	return lz_strn(p, s.len);
}

static const struct name *
add(struct names *n, lz_call *c, unsigned kind, lz_str canon, lz_str written)
{
	struct name *e = lz->keep(c, sizeof(*e));

	if (e == NULL || !grow(n, c))
		return NULL;
	e->canon = keep(c, canon);
	e->written = keep(c, written);
	if (e->canon.ptr == NULL || e->written.ptr == NULL)
		return NULL;
	e->kind = kind;
	e->number = ++n->count[kind];
	n->n++;
	put(n, e);
	return e;
}

const struct name *
names_get(struct names *n, lz_call *c, unsigned kind, lz_str value, lz_str written)
{
	char b[VALUE_MAX];
	lz_str canon = lz_strn(b, value_canon(kind, value, b));
	const struct name *e = NULL;

	kind = tag_of(kind);
	if (n->room > 0)
		e = n->by_value[place_by_value(n, kind, canon)];
	return e != NULL ? e : add(n, c, kind, canon, written);
}

const struct name *
names_find(const struct names *n, unsigned kind, uint32_t number)
{
	return n->room > 0 ? n->by_number[place_by_number(n, tag_of(kind), number)]
			   : NULL;
}

/* The kind whose tag stands at `at`; KINDS: none. is_open: it may become one. */
static unsigned
tag_at(const struct scan_form *f, size_t at, size_t *to, int *is_open)
{
	*is_open = 0;
	for (unsigned k = 0; k < KINDS; k++) {
		const char *t = kinds[k].tag;
		size_t p = at;

		if (t == NULL)
			continue;
		while (*t != 0 && scan_at(f, p) == (unsigned char)*t)
			t++, p++;
		*is_open |= scan_is_open(f, p);
		if (*t == 0 && scan_at(f, p) == '_') {
			*to = p + 1;
			return k;
		}
	}
	return KINDS;
}

enum scan_verdict
placeholder_at(const struct names *names, const struct scan_form *f, size_t at,
    size_t *to, const struct name **name)
{
	uint32_t number = 0;
	size_t p = 0;
	int is_open;
	unsigned kind;

	if (names == NULL)
		return SCAN_NO;
	kind = tag_at(f, at + 1, &p, &is_open);
	if (kind == KINDS)
		return is_open ? SCAN_OPEN : SCAN_NO;
	for (size_t end = p + 8; p < end && scan_is(scan_at(f, p), SCAN_DIGIT); p++)
		number = number * 10 + f->s[p] - '0';
	if (scan_is_open(f, p))
		return SCAN_OPEN;
	if (scan_at(f, p) != ']')
		return SCAN_NO;
	*to = p + 1;
	*name = names_find(names, kind, number);
	return *name != NULL ? SCAN_YES : SCAN_NO;
}
