/* secrets.c - keys, tokens and passwords: found in prompts and answers, and masked,
 * refused or flagged.
 *
 * Which keys there are is vendors.c's table; keys and tokens with a form of their own are
 * pem.c's, what is only known by the word before it generic.c's. How texts and streams
 * are gone through is ../scan's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "secrets.h"

struct secrets {
	lz_list kinds, allow;
	int32_t action;
	int64_t min_length;
	double entropy;
	uint32_t wanted; /* kinds, as bits */
	uint32_t found;  /* the metric */
	unsigned char first_row[256], last_row[256];
};

struct job {
	struct look look; /* first: secrets_next() is given a job */
	const struct secrets *g;
};

static const struct {
	const char *option, *code, *message;
} kinds[KINDS] = {
	[PRIVATE_KEY] = { "private_key", "secrets.private_key", "a private key" },
	[JWT] = { "jwt", "secrets.jwt", "a JSON Web Token" },
	[VENDOR] = { "vendor", "secrets.azure", "an API key" },
	[URL_PASSWORD] = { "url_password", "secrets.url_password",
	    "a password in a URL" },
	[GENERIC] = { "generic", "secrets.generic", "a password or token" },
};

static int
is_allowed(const struct secrets *g, lz_str value)
{
	for (size_t i = 0; i < g->allow.count; i++)
		if (g->allow.items[i].len == value.len &&
		    memcmp(g->allow.items[i].ptr, value.ptr, value.len) == 0)
			return 1;
	return 0;
}

static int32_t
found(void *job, lz_call *c, const struct scan_form *f, const struct scan_match *m,
    lz_str written, lz_str *with)
{
	const struct secrets *g = ((const struct job *)job)->g;
	unsigned kind = m->kind < KINDS ? m->kind : VENDOR;
	const char *code =
	    m->kind < KINDS ? kinds[kind].code : vendors[m->kind - KINDS].code;

	(void)written;
	if (is_allowed(g, lz_strn((const char *)f->s + m->from, m->to - m->from)))
		return SCAN_LEAVE;
	lz->observe(g->found, 1);
	lz->reason(c, lz_strz(code), lz_strz(kinds[kind].message));
	*with = lz_strz("[SECRET]");
	return scan_deed_of(g->action);
}

static int32_t
check(void *self, lz_call *c)
{
	static const struct scan_rules rules = { secrets_next, found };
	const struct secrets *g = self;
	struct job j = {
		.look = { .c = c,
		    .kinds = g->wanted,
		    .first_row = g->first_row,
		    .last_row = g->last_row,
		    .entropy = g->entropy,
		    .min_length = g->min_length },
		.g = g,
	};

	return scan_call(&rules, &j, c);
}

/* Rows of one first byte stand together. */
static void
index_rows(struct secrets *g)
{
	for (size_t row = 0; row < vendor_count; row++) {
		unsigned char c = (unsigned char)vendors[row].prefix[0];

		if (g->last_row[c] == 0)
			g->first_row[c] = (unsigned char)row;
		g->last_row[c] = (unsigned char)(row + 1);
	}
}

static int32_t
init(void *self, char *err, size_t err_len)
{
	struct secrets *g = self;

	(void)err;
	(void)err_len;
	for (unsigned k = 0; k < KINDS; k++)
		if (scan_wants(&g->kinds, kinds[k].option))
			g->wanted |= 1u << k;
	index_rows(g);
	g->found = lz->metric(LZ_COUNTER, "found", "Secrets found");
	return LZ_OK;
}

static const lz_option options[] = {
	LZ_OPT_LIST(struct secrets, kinds, "",
	    "private_key|jwt|vendor|url_password|generic",
	    "what is looked for; absent: all"),
	SCAN_OPT_ACTION(struct secrets,
	    "put [SECRET] in its place, refuse the request or answer, or only say so"),
	LZ_OPT_REAL(struct secrets, entropy, "2.5", 0, 8,
	    "generic: bits per character from which a value is a secret"),
	LZ_OPT_INT(struct secrets, min_length, "8", 1, 4096, NULL,
	    "generic: characters from which a value is a secret"),
	SCAN_OPT_ALLOW(struct secrets, "values that are no secrets"),
};
static const lz_guardrail guardrail = SCAN_GUARDRAIL(check);
static const lz_component parts[] = { {
    .kind = LZ_GUARDRAIL,
    .name = "secrets",
    .summary = "Keys, tokens, passwords and private keys",
    .vtable = &guardrail,
    LZ_OPTIONS_OF(options),
    .instance_size = sizeof(struct secrets),
    .init = init,
} };
LZ_PLUGIN("secrets", "0.1.0", "MIT", parts)
