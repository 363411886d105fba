/* vendors.c - keys that say whose they are. A new vendor is a row.
 *
 * Rows of one first letter stand together. A key of more characters than the vendor makes
 * is found too: what is appended hides nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#include "secrets.h"

const struct vendor vendors[] = {
	{ "A3T", "U", 17, "secrets.aws" },
	{ "ABIA", "U", 16, "secrets.aws" },
	{ "ABSK", "A+/=", 109, "secrets.aws" },
	{ "AC", "H", 32, "secrets.twilio" },
	{ "ACCA", "U", 16, "secrets.aws" },
	{ "AGE-SECRET-KEY-1", "U", 58, "secrets.age" },
	{ "AIza", "A_-", 35, "secrets.google" },
	{ "AKIA", "U", 16, "secrets.aws" },
	{ "ASIA", "U", 16, "secrets.aws" },
	{ "ATATT3", "A_-=", 180, "secrets.atlassian" },
	{ "GOCSPX-", "A_-", 28, "secrets.google" },
	{ "HRKU-AA", "A_-", 58, "secrets.heroku" },
	{ "NRAK-", "A", 27, "secrets.newrelic" },
	{ "PMAK-", "H-", 59, "secrets.postman" },
	{ "SG.", "A_-.", 66, "secrets.sendgrid" },
	{ "SK", "H", 32, "secrets.twilio" },
	{ "api_org_", "A", 34, "secrets.huggingface" },
	{ "csk-", "A", 40, "secrets.cerebras" },
	{ "dapi", "H-", 32, "secrets.databricks" },
	{ "dckr_pat_", "A_-", 27, "secrets.docker" },
	{ "doo_v1_", "H", 64, "secrets.digitalocean" },
	{ "dop_v1_", "H", 64, "secrets.digitalocean" },
	{ "dor_v1_", "H", 64, "secrets.digitalocean" },
	{ "dp.pt.", "A", 40, "secrets.doppler" },
	{ "figd_", "A_-", 40, "secrets.figma" },
	{ "fm2_", "A+/=", 100, "secrets.fly" },
	{ "gho_", "A", 36, "secrets.github" },
	{ "ghp_", "A", 36, "secrets.github" },
	{ "ghr_", "A", 36, "secrets.github" },
	{ "ghs_", "A_-.", 36, "secrets.github" },
	{ "ghu_", "A", 36, "secrets.github" },
	{ "github_pat_", "A_", 40, "secrets.github" },
	{ "glagent-", "A_-", 50, "secrets.gitlab" },
	{ "glc_", "A+/=", 32, "secrets.grafana" },
	{ "glcbt-", "A_-", 22, "secrets.gitlab" },
	{ "gldt-", "A_-", 20, "secrets.gitlab" },
	{ "glft-", "A_-", 20, "secrets.gitlab" },
	{ "gloas-", "A_-", 64, "secrets.gitlab" },
	{ "glpat-", "A_-.", 20, "secrets.gitlab" },
	{ "glptt-", "H", 40, "secrets.gitlab" },
	{ "glrt-", "A_-.", 20, "secrets.gitlab" },
	{ "glsa_", "A_", 41, "secrets.grafana" },
	{ "glsoat-", "A_-", 20, "secrets.gitlab" },
	{ "gsk_", "A", 48, "secrets.groq" },
	{ "hf_", "A", 30, "secrets.huggingface" },
	{ "hvb.", "A_-", 90, "secrets.vault" },
	{ "hvs.", "A_-", 24, "secrets.vault" },
	{ "key-", "H", 32, "secrets.mailgun" },
	{ "lin_api_", "A", 40, "secrets.linear" },
	{ "lsv2_pt_", "H_", 42, "secrets.langsmith" },
	{ "lsv2_sk_", "H_", 42, "secrets.langsmith" },
	{ "lz_live_", "A", 32, "secrets.latenza" },
	{ "lz_test_", "A", 32, "secrets.latenza" },
	{ "npm_", "A", 36, "secrets.npm" },
	{ "ntn_", "A", 43, "secrets.notion" },
	{ "nvapi-", "A_-", 60, "secrets.nvidia" },
	{ "pplx-", "A", 48, "secrets.perplexity" },
	{ "pscale_", "A_.=-", 36, "secrets.planetscale" },
	{ "pul-", "H", 40, "secrets.pulumi" },
	{ "pypi-AgE", "A_-", 50, "secrets.pypi" },
	{ "r8_", "A", 37, "secrets.replicate" },
	{ "rk_live_", "A", 16, "secrets.stripe" },
	{ "rk_test_", "A", 16, "secrets.stripe" },
	{ "rubygems_", "H", 48, "secrets.rubygems" },
	{ "sbp_", "H", 40, "secrets.supabase" },
	{ "shpat_", "H", 32, "secrets.shopify" },
	{ "shpss_", "H", 32, "secrets.shopify" },
	{ "sk-admin-", "A_-", 40, "secrets.openai" },
	{ "sk-ant-", "A_-", 32, "secrets.anthropic" },
	{ "sk-or-", "A_-", 40, "secrets.openrouter" },
	{ "sk-proj-", "A_-", 40, "secrets.openai" },
	{ "sk-svcacct-", "A_-", 40, "secrets.openai" },
	{ "sk-", "A", 20, "secrets.openai" }, /* and many who speak its dialect */
	{ "sk_live_", "A", 16, "secrets.stripe" },
	{ "sk_test_", "A", 16, "secrets.stripe" },
	{ "sntryu_", "H", 64, "secrets.sentry" },
	{ "sntrys_", "A+/=_", 60, "secrets.sentry" },
	{ "tskey-", "A-", 20, "secrets.tailscale" },
	{ "whsec_", "A+/=", 32, "secrets.stripe" },
	{ "xai-", "A", 70, "secrets.xai" },
	{ "xapp-", "A-", 30, "secrets.slack" },
	{ "xkeysib-", "A-", 80, "secrets.brevo" },
	{ "xoxa-", "A-", 10, "secrets.slack" },
	{ "xoxb-", "A-", 10, "secrets.slack" },
	{ "xoxc-", "A-", 10, "secrets.slack" },
	{ "xoxd-", "A-%+/=", 10, "secrets.slack" },
	{ "xoxe-", "A-", 10, "secrets.slack" },
	{ "xoxe.", "A-.", 10, "secrets.slack" },
	{ "xoxo-", "A-", 10, "secrets.slack" },
	{ "xoxp-", "A-", 10, "secrets.slack" },
	{ "xoxr-", "A-", 10, "secrets.slack" },
	{ "xoxs-", "A-", 10, "secrets.slack" },
	{ "ya29.", "A_-", 30, "secrets.google" },
};
const size_t vendor_count = sizeof(vendors) / sizeof(vendors[0]);

static int
is_in(unsigned char c, const char *alphabet)
{
	switch (*alphabet++) {
	case 'A':
		if (scan_is(c, SCAN_ALNUM))
			return 1;
		break;
	case 'H':
		if (scan_is(c, SCAN_DIGIT) || (c >= 'a' && c <= 'f'))
			return 1;
		break;
	default:
		if (scan_is(c, SCAN_DIGIT) || (c >= 'A' && c <= 'Z'))
			return 1;
	}
	return c != 0 && strchr(alphabet, c) != NULL;
}

size_t
span(const struct scan_form *f, size_t at, const char *alphabet, size_t max)
{
	size_t p = at;

	while (p - at < max && p < f->len && is_in(f->s[p], alphabet))
		p++;
	return p;
}

enum scan_verdict
stands_at(const struct scan_form *f, size_t at, const char *s)
{
	for (; *s != 0; s++, at++) {
		if (scan_is_open(f, at))
			return SCAN_OPEN;
		if (scan_at(f, at) != (unsigned char)*s)
			return SCAN_NO;
	}
	return SCAN_YES;
}

static enum scan_verdict
row_find(const struct vendor *v, const struct scan_form *f, size_t at, size_t *to)
{
	enum scan_verdict verdict;
	size_t from;

	if (at + 1 < f->len && f->s[at + 1] != (unsigned char)v->prefix[1])
		return SCAN_NO;
	verdict = stands_at(f, at, v->prefix);
	if (verdict != SCAN_YES)
		return verdict;
	from = at + strlen(v->prefix);
	*to = span(f, from, v->alphabet, SECRET_MAX);
	if (*to - from < SECRET_MAX && scan_is_open(f, *to))
		return SCAN_OPEN;
	while (*to > from && f->s[*to - 1] == '.')
		--*to;
	return *to - from >= v->min ? SCAN_YES : SCAN_NO;
}

/* A client secret of Entra ID: three characters, a digit, Q~, and 31 to 34 more. */
static enum scan_verdict
azure_find(const struct scan_form *f, size_t at, size_t *to)
{
	static const char alphabet[] = "A_~.-";
	size_t from = at + 6;

	for (size_t i = 0; i < 6; i++) {
		unsigned char c = scan_at(f, at + i);

		if (scan_is_open(f, at + i))
			return SCAN_OPEN;
		if (i < 3
			? !is_in(c, alphabet)
			: (i == 3 ? !scan_is(c, SCAN_DIGIT) : c != (i == 4 ? 'Q' : '~')))
			return SCAN_NO;
	}
	*to = span(f, from, alphabet, SECRET_MAX);
	if (*to - from < SECRET_MAX && scan_is_open(f, *to))
		return SCAN_OPEN;
	return *to - from >= 31 ? SCAN_YES : SCAN_NO;
}

enum scan_verdict
vendor_find(
    const struct look *l, const struct scan_form *f, size_t at, struct scan_match *m)
{
	unsigned char c = f->s[at];
	enum scan_verdict v;

	for (unsigned row = l->first_row[c]; row < l->last_row[c]; row++) {
		v = row_find(&vendors[row], f, at, &m->to);
		m->kind = KINDS + row;
		if (v != SCAN_NO)
			return v;
	}
	m->kind = VENDOR;
	if (at + 3 < f->len && !scan_is(f->s[at + 3], SCAN_DIGIT))
		return SCAN_NO;
	return azure_find(f, at, &m->to);
}
