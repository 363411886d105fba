/* pii.c - personal data: found in prompts and answers, and masked, refused or flagged.
 *
 * Here is the table of kinds and what becomes of a match; where matches begin is
 * find.c's, what they look like each kind's own file, placeholders are names.c's. How
 * texts and streams are gone through is ../scan's.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "pii.h"

enum {
	DIGITS = AT_DIGIT | AT_LETTER /* what may begin with a letter, too */
};

/* In the order in which they are asked: who has a check digit before who has none. */
const struct kind kinds[KINDS] = {
	[EMAIL] = { "email", "EMAIL", "pii.email", "an e-mail address", email_find,
	    AT_DIGIT | AT_LETTER | AT_WIDE | CONTINUED },
	[UUID] = { NULL, NULL, NULL, NULL, uuid_find, AT_DIGIT | AT_LETTER | CONTINUED },
	[IBAN] = { "iban", "IBAN", "pii.iban", "an IBAN", iban_find, AT_LETTER },
	[IT_CF] = { "it_cf", "IT_CF", "pii.it_cf", "an Italian codice fiscale",
	    it_cf_find, AT_LETTER },
	[FR_NIR] = { "fr_nir", "FR_NIR", "pii.fr_nir", "a French NIR", fr_nir_find,
	    AT_DIGIT },
	[ES_NIE] = { "es_nie", "ES_NIE", "pii.es_nie", "a Spanish NIE", es_nie_find,
	    AT_LETTER },
	[ES_DNI] = { "es_dni", "ES_DNI", "pii.es_dni", "a Spanish DNI", es_dni_find,
	    AT_DIGIT },
	[UK_NINO] = { "uk_nino", "UK_NINO", "pii.uk_nino", "a British NINO", uk_nino_find,
	    AT_LETTER },
	[CARD] = { "card", "CARD", "pii.card", "a payment card number", card_find,
	    AT_DIGIT | GLUED | CONTINUED },
	[DE_TAX_ID] = { "de_tax_id", "DE_TAX_ID", "pii.de_tax_id", "a German tax number",
	    de_tax_id_find, AT_DIGIT },
	[US_SSN] = { "us_ssn", "US_SSN", "pii.us_ssn", "a US social security number",
	    us_ssn_find, AT_DIGIT },
	[UK_NHS] = { "uk_nhs", "UK_NHS", "pii.uk_nhs", "a British NHS number",
	    uk_nhs_find, AT_DIGIT },
	[IPV6] = { "ip", "IP", "pii.ip", "an IP address", ipv6_find,
	    DIGITS | AT_COLON | CONTINUED },
	[IPV4] = { "ip", "IP", "pii.ip", "an IP address", ipv4_find,
	    AT_DIGIT | CONTINUED },
	[PHONE] = { "phone", "PHONE", "pii.phone", "a telephone number", phone_find,
	    AT_DIGIT | AT_PHONE },
};

enum {
	PLACEHOLDERS,
	TAGS,
	STARS
};

struct pii {
	lz_list kinds, allow;
	int32_t action, mask_with, restore;
	uint32_t wanted; /* kinds, as bits */
	uint32_t found;  /* the metric */
};

/* One check. */
struct job {
	struct look look; /* first: pii_next() is given a job */
	const struct pii *g;
};

/* ---- what is not personal ---- */

static int
is_same(unsigned kind, lz_str a, lz_str b)
{
	char x[VALUE_MAX], y[VALUE_MAX];
	size_t n = value_canon(kind, a, x);

	return n > 0 && value_canon(kind, b, y) == n && memcmp(x, y, n) == 0;
}

/* example.com and @example.com: its own addresses; *.example.com: those below it. */
static int
is_at_domain(lz_str mail, lz_str domain)
{
	size_t at = mail.len;
	int is_below = domain.len > 2 && domain.ptr[0] == '*' && domain.ptr[1] == '.';

	while (at > 0 && mail.ptr[at - 1] != '@')
		at--;
	mail = lz_strn(mail.ptr + at, mail.len - at);
	if (is_below || (domain.len > 0 && domain.ptr[0] == '@'))
		domain = lz_strn(domain.ptr + 1, domain.len - 1);
	if (is_below && mail.len > domain.len)
		mail = lz_strn(mail.ptr + mail.len - domain.len, domain.len);
	return is_same(EMAIL, mail, domain);
}

static int
is_allowed(const struct pii *g, unsigned kind, lz_str value)
{
	for (size_t i = 0; i < g->allow.count; i++)
		if (is_same(kind, value, g->allow.items[i]) ||
		    (kind == EMAIL && is_at_domain(value, g->allow.items[i])))
			return 1;
	return 0;
}

/* ---- what becomes of a match ---- */

static lz_str
stars(lz_call *c, lz_str written)
{
	char *p = lz->alloc(c, written.len + 1);
	size_t n = 0;

	if (p == NULL)
		return lz_strn(NULL, 0);
	for (size_t i = 0; i < written.len; i++)
		if (!scan_is((unsigned char)written.ptr[i], SCAN_TAIL))
			p[n++] = '*';
	return lz_strn(p, n);
}

/* "[EMAIL_2]", or "[EMAIL]" without a name; by hand: snprintf() takes 800 instructions
 * for it. Returns its length. */
static size_t
placeholder_write(char *p, const char *tag, const struct name *name)
{
	unsigned number = name != NULL ? name->number : 0;
	char digits[10];
	size_t n = 0, count = 0;

	p[n++] = '[';
	for (; *tag != '\0'; tag++)
		p[n++] = *tag;
	if (name != NULL) {
		p[n++] = '_';
		do {
			digits[count++] = (char)('0' + number % 10);
			number /= 10;
		} while (number > 0);
		while (count > 0)
			p[n++] = digits[--count];
	}
	p[n++] = ']';
	return n;
}

/* absent: no memory */
static lz_str
mask(const struct pii *g, lz_call *c, unsigned kind, lz_str value, lz_str written)
{
	struct names *names = NULL;
	const struct name *name = NULL;
	char *p;

	if (g->mask_with == STARS)
		return stars(c, written);
	if (g->mask_with == PLACEHOLDERS) {
		names = names_of(c);
		name = names != NULL ? names_get(names, c, kind, value, written) : NULL;
		if (name == NULL)
			return lz_strn(NULL, 0);
	}
	p = lz->alloc(c, PLACEHOLDER_MAX);
	if (p == NULL)
		return lz_strn(NULL, 0);
	return lz_strn(p, placeholder_write(p, kinds[kind].tag, name));
}

static int32_t
reveal(const struct job *j, const struct scan_form *f, const struct scan_match *m,
    lz_str *with)
{
	const struct name *name = NULL;
	size_t to;

	if (placeholder_at(j->look.names, f, m->from, &to, &name) != SCAN_YES)
		return SCAN_LEAVE;
	*with = name->written;
	return SCAN_REVEAL;
}

static int32_t
found(void *job, lz_call *c, const struct scan_form *f, const struct scan_match *m,
    lz_str written, lz_str *with)
{
	const struct job *j = job;
	const struct pii *g = j->g;
	lz_str value = lz_strn((const char *)f->s + m->from, m->to - m->from);

	if (m->kind == PLACEHOLDER)
		return reveal(j, f, m, with);
	if (kinds[m->kind].option == NULL || is_allowed(g, m->kind, value))
		return SCAN_LEAVE;
	lz->observe(g->found, 1);
	lz->reason(c, lz_strz(kinds[m->kind].code), lz_strz(kinds[m->kind].message));
	if (g->action != SCAN_MASKS)
		return scan_deed_of(g->action);
	*with = mask(g, c, m->kind, value, written);
	return with->ptr != NULL ? SCAN_REPLACE : LZ_E_NOMEM;
}

static int32_t
check(void *self, lz_call *c)
{
	static const struct scan_rules rules = { pii_next, found };
	const struct pii *g = self;
	struct job j = { .look = { .kinds = g->wanted }, .g = g };

	if (g->restore && lz->request(c)->phase == LZ_RESPONSE) {
		j.look.names = names_of(c);
		if (j.look.names == NULL)
			return LZ_E_NOMEM;
	}
	return scan_call(&rules, &j, c);
}

/* ---- the component ---- */

static int32_t
init(void *self, char *err, size_t err_len)
{
	struct pii *g = self;

	if (g->restore && (g->action != SCAN_MASKS || g->mask_with != PLACEHOLDERS)) {
		(void)snprintf(err, err_len,
		    "restore: wants action: mask and mask_with: placeholder, whose "
		    "places are "
		    "known again");
		return LZ_E_INVALID;
	}
	for (unsigned k = 0; k < KINDS; k++)
		if (kinds[k].option == NULL || scan_wants(&g->kinds, kinds[k].option))
			g->wanted |= 1u << k;
	g->found = lz->metric(LZ_COUNTER, "found", "Personal data found");
	return LZ_OK;
}

static const lz_option options[] = {
	LZ_OPT_LIST(struct pii, kinds, "",
	    "email|phone|iban|card|ip|fr_nir|us_ssn|uk_nhs|uk_nino|de_tax_id|es_dni|es_"
	    "nie|it_cf",
	    "what is looked for; absent: all"),
	SCAN_OPT_ACTION(
	    struct pii, "replace it, refuse the request or answer, or only say so"),
	LZ_OPT_CHOICE(struct pii, mask_with, "placeholder", "placeholder|kind|stars",
	    "[EMAIL_1], the same for the same value; [EMAIL]; or a star per character"),
	LZ_OPT_BOOL(struct pii, restore, "false",
	    "placeholders in the answer become the values again, for the caller alone"),
	SCAN_OPT_ALLOW(struct pii,
	    "values that are not personal; of e-mail domains, too: example.com, "
	    "*.example.com"),
};
static const lz_guardrail guardrail = SCAN_GUARDRAIL(check);
static const lz_component parts[] = { {
    .kind = LZ_GUARDRAIL,
    .name = "pii",
    .summary =
	"Personal data: e-mail, phone, IBAN, cards, IP addresses, national numbers",
    .vtable = &guardrail,
    LZ_OPTIONS_OF(options),
    .instance_size = sizeof(struct pii),
    .init = init,
} };
LZ_PLUGIN("pii", "0.1.0", "MIT", parts)
