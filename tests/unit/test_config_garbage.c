/* test_config_garbage.c - a full configuration with bytes and tokens changed at random:
 * it loads, or every complaint has its place and a sentence; nothing is left over.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config_fixture.h"

static const char canary[] = "sk-canary-0123456789";

static const char whole[] =
    "listen: ['127.0.0.1:0', '[::1]:8080']\n"
    "trusted_proxies: [10.0.0.0/8, '::1']\n"
    "limits: { body_bytes: 32MiB, in_flight: 100, head_timeout_ms: 5s }\n"
    "admin: { listen: 127.0.0.1:8081, insecure: false }\n"
    "data: ./data\n"
    "fx: { eur_per_usd: 0.92, date: 2026-11-20 }\n"
    "workers: 2\n"
    "log: { level: warn, content: meta }\n"
    "ledger: { uncertain: bound, sync_ms: 20ms, timezone: Europe/Berlin }\n"
    "routing: { default: balanced, attempts: 2, timeout_ms: 30s }\n"
    "retention: { traces: 90d, content: 7d }\n"
    "plugins: [openai, { path: ./x.so }]\n"
    "providers:\n"
    "  openai: { api_keys: [env:LZ_KEY] }\n"
    "  local: &anchor\n"
    "    plugin: compatible\n"
    "    base_url: http://127.0.0.1:9/v1\n"
    "    price: free\n"
    "    headers: { x-team: a, x-secret: \"${LZ_KEY}\" }\n"
    "    models:\n"
    "      - Qwen/Qwen2.5-7B\n"
    "      - { id: big, context_window: 32768, price_input_per_mtok: 0.25,\n"
    "          price_output_per_mtok: 1.5, capabilities: [tools, vision] }\n"
    "  twin: { plugin: fancy, depth: 4, token: env:LZ_KEY, base_url: 'https://x.test' }\n"
    "keys:\n"
    "  backend:\n"
    "    name: \"Production backend\"\n"
    "    rate_limit: 120\n"
    "    routing_strategy: cheapest\n"
    "    model_allowlist: [gpt-4o, local/*]\n"
    "    budget_monthly_eur: 250\n"
    "    budgets: [{ period: day, eur: 9.5, alert_pct: [50, 80] }]\n"
    "    allowed_ips: [10.0.0.0/8]\n"
    "    metadata: { team: a }\n"
    "    secret: env:LZ_KEY\n"
    "  old: { secret_sha256: "
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08,\n"
    "    expires_at: 2027-03-01, max_in_flight: unlimited, test: true }\n";

static const char *const tokens[] = { "", "null", "~", "[]", "{}", "-1", "0", "1.5",
	"1e400", "99999999999999999999", "true", "'", "\"", "\\", "\n", "\t", ":", ": ",
	"- ", "&a ", "*anchor", "*x", "<<: *anchor", "!!binary ", "|", ">", "%", "@", "`",
	"#", "---\n", "...\n", "{", "}", "[", "]", ",", "? ", "\xff", "\xed\xa0\x80",
	"\xef\xbb\xbf", "\xe2\x80\xa8", "env:", "env:LZ_KEY", "env:NO_SUCH",
	"file:", "file:/", "file:/dev/null", "credential:x", "${", "${LZ_KEY",
	"${LZ_KEY}", "latenza", "../../x", "%s%n", "0x10", "2026-02-30", "1e3", ".inf",
	".nan", "off", "999999999GiB", "10q", "::", "1.2.3.4/99" };

static uint64_t state = 0x9e3779b97f4a7c15u;

static size_t
any(size_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (size_t)(state % below);
}

/* Replaces text[from, to) by `with`. */
static void
put(struct buf *text, size_t from, size_t to, const char *with)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	buf_add(&out, text->ptr, from);
	buf_add_z(&out, with);
	buf_add(&out, text->ptr + to, text->len - to);
	buf_free(text);
	*text = out;
}

static bool
is_word(char c)
{
	return c > ' ' && strchr("{}[],:'\"", c) == NULL;
}

static void
mutate(struct buf *text)
{
	size_t at = any(text->len), end = at;
	char one[2] = { (char)(1 + any(255)), '\0' };

	switch (any(5)) {
	case 0: /* another byte */
		text->ptr[at] = one[0];
		break;
	case 1: /* one more */
		put(text, at, at, one);
		break;
	case 2: /* a word becomes another */
		while (at > 0 && is_word(text->ptr[at - 1]))
			at--;
		while (end < text->len && is_word(text->ptr[end]))
			end++;
		put(text, at, end, tokens[any(sizeof(tokens) / sizeof(tokens[0]))]);
		break;
	case 3: /* a token comes in */
		put(text, at, at, tokens[any(sizeof(tokens) / sizeof(tokens[0]))]);
		break;
	default: /* a piece is gone */
		end = at + any(40);
		put(text, at, end < text->len ? end : text->len, "");
	}
}

/* Each line is FILE:LINE: sentence. */
static void
check_complaints(const char *lines)
{
	static const char file[] = "latenza.yaml:";
	const char *line = lines;

	assert_string_not_equal(lines, "");
	while (*line != '\0') {
		char *end;
		long number;

		if (strncmp(line, file, strlen(file)) != 0)
			fail_msg("no place: %s", line);
		number = strtol(line + strlen(file), &end, 10);
		if (number < 1 || strncmp(end, ": ", 2) != 0 || end[2] == '\n')
			fail_msg("no line, or no sentence: %s", line);
		line = strchr(line, '\n');
		if (line == NULL)
			break;
		line++;
	}
}

static void
a_changed_file_loads_or_is_complained_of_with_its_line(void **unused)
{
	unsigned fine = 0, wrong = 0;

	(void)unused;
	drop(load_fine(whole));
	for (unsigned i = 0; i < 6000; i++) {
		struct config *c;
		struct buf text;

		buf_init(&text, 1 << 20);
		buf_add_z(&text, whole);
		for (size_t n = 1 + any(3); n > 0 && text.len > 0; n--)
			mutate(&text);
		buf_add_char(&text, '\0');
		c = load(text.ptr);
		if (strstr(told.ptr, canary) != NULL)
			fail_msg("a secret is told: %s", told.ptr);
		if (c == NULL)
			check_complaints(told.ptr);
		buf_free(&text);
		fine += c != NULL;
		wrong += c == NULL;
		drop(c);
	}
	assert_true(fine > 100 && wrong > 100);
}

/* Cut off anywhere, as a file that is being written. */
static void
a_cut_file_loads_or_is_complained_of_with_its_line(void **unused)
{
	(void)unused;
	for (size_t n = 0; n < strlen(whole); n++) {
		char text[sizeof(whole)];
		struct config *c;

		memcpy(text, whole, n);
		text[n] = '\0';
		c = load(text);
		if (c == NULL)
			check_complaints(told.ptr);
		drop(c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_changed_file_loads_or_is_complained_of_with_its_line),
		cmocka_unit_test(a_cut_file_loads_or_is_complained_of_with_its_line),
	};

	return cmocka_run_group_tests(tests, config_set_up, config_tear_down);
}
