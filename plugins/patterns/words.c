/* words.c - many words at once: an Aho-Corasick automaton over bytes.
 *
 * Each node keeps only the edges it has; the root, where a text is most of the time, has
 * a table. Case is folded while reading, character by character, without changing their
 * lengths, so that places found are places in the text.
 *
 * SPDX-License-Identifier: MIT
 */
#include "patterns.h"

#include <stdlib.h>

struct node {
	uint32_t first_edge, edges; /* into edge[] */
	uint32_t fail, depth;
	uint32_t word;    /* an entry that ends here, + 1; 0: none */
	uint32_t shorter; /* the next node on the way of fail where one ends */
};

struct edge {
	uint8_t byte;
	uint32_t to;
};

struct words {
	struct node *nodes;
	struct edge *edge;
	uint32_t count;
	uint32_t root[256];
};

/* ---- characters ---- */

/* Letters of two bytes whose small form has two bytes as well; others stay. */
static uint32_t
lower(uint32_t c)
{
	if ((c >= 0xc0 && c <= 0xde && c != 0xd7) ||
	    (c >= 0x391 && c <= 0x3ab && c != 0x3a2) || (c >= 0x410 && c <= 0x42f))
		return c + 32;
	if ((c >= 0x100 && c <= 0x137 && c != 0x130 && c != 0x131) ||
	    (c >= 0x14a && c <= 0x177) || (c >= 0x460 && c <= 0x481) ||
	    (c >= 0x48a && c <= 0x4bf) || (c >= 0x4d0 && c <= 0x52f))
		return c | 1;
	if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e) ||
	    (c >= 0x4c1 && c <= 0x4ce))
		return c + (c & 1);
	if (c >= 0x400 && c <= 0x40f)
		return c + 80;
	if (c >= 0x531 && c <= 0x556)
		return c + 48;
	switch (c) {
	case 0x178:
		return 0xff;
	case 0x386:
		return 0x3ac;
	case 0x388:
	case 0x389:
	case 0x38a:
		return c + 37;
	case 0x38c:
		return 0x3cc;
	case 0x38e:
	case 0x38f:
		return c + 63;
	case 0x3c2: /* at the end of a word */
		return 0x3c3;
	default:
		return c;
	}
}

/* Writes the character at p, of two bytes at most, in lower case; returns its bytes. */
static size_t
lower_at(const char *p, const char *end, uint8_t out[2])
{
	uint8_t a = (uint8_t)*p;
	uint32_t c;

	out[0] = a >= 'A' && a <= 'Z' ? (uint8_t)(a + 32) : a;
	if (a < 0xc3 || a > 0xd5 || end - p < 2)
		return 1;
	c = lower((uint32_t)(a & 0x1f) << 6 | ((uint8_t)p[1] & 0x3f));
	out[0] = (uint8_t)(0xc0 | c >> 6);
	out[1] = (uint8_t)(0x80 | (c & 0x3f));
	return 2;
}

/* Scripts whose words have blanks between them. Elsewhere (Chinese, Japanese, Thai,
 * Korean with its endings) a word has no edge that could be asked for. */
static bool
is_word_char(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} letters[] = { { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' },
		{ 0xaa, 0xaa }, { 0xb5, 0xb5 }, { 0xba, 0xba }, { 0xc0, 0xd6 },
		{ 0xd8, 0xf6 }, { 0xf8, 0x2af }, { 0x300, 0x373 }, { 0x376, 0x377 },
		{ 0x37b, 0x37d }, { 0x37f, 0x37f }, { 0x386, 0x386 }, { 0x388, 0x481 },
		{ 0x483, 0x556 }, { 0x561, 0x587 }, { 0x591, 0x5bd }, { 0x5d0, 0x5f2 },
		{ 0x620, 0x669 }, { 0x66e, 0x6d3 }, { 0x6d5, 0x6dc }, { 0x6f0, 0x6fc },
		{ 0x904, 0x963 }, { 0x966, 0xdff }, { 0x10a0, 0x10ff },
		{ 0x13a0, 0x13fd }, { 0x1ab0, 0x1aff }, { 0x1dc0, 0x1fbc },
		{ 0x20d0, 0x20ff }, { 0xfe20, 0xfe2f } };
	size_t low = 0, high = sizeof(letters) / sizeof(letters[0]);

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (c > letters[middle].last)
			low = middle + 1;
		else if (c < letters[middle].first)
			high = middle;
		else
			return true;
	}
	return false;
}

bool
words_begins(const char *p, const char *end)
{
	uint32_t c, n, i;

	if (p >= end)
		return false;
	c = (uint8_t)*p;
	n = c < 0xc0 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	if (end - p <= (ptrdiff_t)n)
		return false;
	if (n > 0)
		c &= 0x3fu >> n;
	for (i = 1; i <= n; i++)
		c = c << 6 | ((uint8_t)p[i] & 0x3f);
	return is_word_char(c);
}

bool
words_ends(const char *begin, const char *p)
{
	const char *end = p;

	while (p > begin && end - p < 4) {
		p--;
		if (((uint8_t)*p & 0xc0) != 0x80)
			return words_begins(p, end);
	}
	return false;
}

size_t
words_shape(lz_str word, bool ignore_case, char *out)
{
	const char *p = word.ptr, *end = word.ptr + word.len;
	size_t n = 0, step;
	uint8_t small[2];

	for (; p < end; p += step) {
		step = 1;
		if (*p == ' ' || (*p >= '\t' && *p <= '\r')) {
			if (n > 0 && out[n - 1] != ' ')
				out[n++] = ' ';
			continue;
		}
		if (!ignore_case) {
			out[n++] = *p;
			continue;
		}
		step = lower_at(p, end, small);
		memcpy(out + n, small, step);
		n += step;
	}
	return n > 0 && out[n - 1] == ' ' ? n - 1 : n;
}

/* ---- building ---- */

/* A node while words are added: children as a list, by rising byte. */
struct sprout {
	uint32_t child, sibling, word;
	uint8_t byte;
};

struct growing {
	struct sprout *node;
	uint32_t count, room;
};

/* The child of `from` under this byte, made if there is none; 0: no memory. */
static uint32_t
child_of(struct growing *g, uint32_t from, uint8_t byte)
{
	uint32_t last = 0, at = g->node[from].child;

	while (at != 0 && g->node[at].byte < byte) {
		last = at;
		at = g->node[at].sibling;
	}
	if (at != 0 && g->node[at].byte == byte)
		return at;
	if (g->count == g->room) {
		uint32_t room = g->room * 2;
		struct sprout *p = realloc(g->node, room * sizeof(*p));

		if (p == NULL)
			return 0;
		g->node = p;
		g->room = room;
	}
	g->node[g->count] = (struct sprout){ .sibling = at, .byte = byte };
	if (last != 0)
		g->node[last].sibling = g->count;
	else
		g->node[from].child = g->count;
	return g->count++;
}

static bool
add_word(struct growing *g, struct entry *entries, uint32_t i)
{
	lz_str w = entries[i].word;
	uint32_t at = 0;

	for (size_t k = 0; k < w.len; k++) {
		at = child_of(g, at, (uint8_t)w.ptr[k]);
		if (at == 0)
			return false;
	}
	entries[i].next = g->node[at].word;
	g->node[at].word = i + 1;
	return true;
}

static uint32_t
step(const struct words *w, uint32_t from, uint8_t byte)
{
	for (;;) {
		const struct node *n = &w->nodes[from];

		if (from == 0)
			return w->root[byte];
		for (uint32_t k = 0; k < n->edges; k++) {
			if (w->edge[n->first_edge + k].byte == byte)
				return w->edge[n->first_edge + k].to;
		}
		from = n->fail;
	}
}

/* Takes the nodes over in the order of their depth, so that `fail` leads to a lower
 * number that is complete already. order[i]: the sprout that becomes node i. */
static void
settle(struct words *w, const struct growing *g, uint32_t *order)
{
	uint32_t done = 1, edges = 0;

	order[0] = 0;
	for (uint32_t i = 0; i < g->count; i++) {
		struct node *n = &w->nodes[i];

		n->first_edge = edges;
		n->word = g->node[order[i]].word;
		for (uint32_t k = g->node[order[i]].child; k != 0;
		     k = g->node[k].sibling) {
			struct node *child = &w->nodes[done];
			uint8_t byte = g->node[k].byte;

			child->fail = i == 0 ? 0 : step(w, n->fail, byte);
			child->depth = n->depth + 1;
			w->edge[edges++] = (struct edge){ byte, done };
			if (i == 0)
				w->root[byte] = done;
			order[done++] = k;
		}
		n->edges = edges - n->first_edge;
		n->shorter =
		    w->nodes[n->fail].word != 0 ? n->fail : w->nodes[n->fail].shorter;
	}
}

struct words *
words_new(struct entry *entries, size_t count)
{
	struct growing g = { .count = 1, .room = 1024 };
	struct words *w = calloc(1, sizeof(*w));
	uint32_t *order = NULL;
	bool is_done = false;
	uint32_t i;

	g.node = malloc(g.room * sizeof(*g.node));
	if (w == NULL || g.node == NULL)
		goto out;
	g.node[0] = (struct sprout){ 0 };
	/* From the last, so that the first of equal words is told first. */
	for (i = (uint32_t)count; i-- > 0;) {
		if (entries[i].expression == NULL && !add_word(&g, entries, i))
			goto out;
	}
	w->count = g.count;
	w->nodes = calloc(g.count, sizeof(*w->nodes));
	w->edge = calloc(g.count, sizeof(*w->edge));
	order = calloc(g.count, sizeof(*order));
	if (w->nodes == NULL || w->edge == NULL || order == NULL)
		goto out;
	settle(w, &g, order);
	is_done = true;
out:
	free(order);
	free(g.node);
	if (is_done)
		return w;
	words_free(w);
	return NULL;
}

void
words_free(struct words *w)
{
	if (w == NULL)
		return;
	free(w->nodes);
	free(w->edge);
	free(w);
}

/* ---- looking ---- */

struct look {
	const struct words *w;
	const struct entry *entries;
	const char *begin, *text;
	size_t end;
	bool is_end;
	void (*each)(void *arg, struct found f, bool is_open);
	void *arg;
};

static void
tell(const struct look *l, uint32_t word, size_t to)
{
	for (; word != 0; word = l->entries[word - 1].next) {
		const struct entry *e = &l->entries[word - 1];
		struct found f = { to - e->word.len, to, word - 1 };
		bool is_open = to == l->end && !l->is_end;

		if (e->left_edge && words_ends(l->begin, l->text + f.from))
			continue;
		if (e->right_edge && !is_open &&
		    words_begins(l->text + to, l->text + l->end))
			continue;
		l->each(l->arg, f, is_open);
	}
}

size_t
words_find(const struct words *w, const struct entry *entries, bool ignore_case,
    const char *begin, const char *text, size_t at, size_t end, bool is_end,
    void (*each)(void *arg, struct found f, bool is_open), void *arg)
{
	struct look l = { w, entries, begin, text, end, is_end, each, arg };
	uint32_t s = 0;

	if (w->count == 1)
		return end; /* no words */
	while (at < end) {
		uint8_t bytes[2] = { (uint8_t)text[at], 0 };
		size_t n = ignore_case ? lower_at(text + at, text + end, bytes) : 1;

		for (size_t k = 0; k < n; k++) {
			s = step(w, s, bytes[k]);
			at++;
			if (w->nodes[s].word != 0)
				tell(&l, w->nodes[s].word, at);
			for (uint32_t m = w->nodes[s].shorter; m != 0;
			     m = w->nodes[m].shorter)
				tell(&l, w->nodes[m].word, at);
		}
	}
	return is_end ? end : end - w->nodes[s].depth;
}
