/* test_options.c - one row parses, checks, defaults, documents and describes one option.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "config/options.h"
#include "config/yaml.h"

struct thing {
	int32_t on, mode;
	int64_t count, wait, size;
	double share;
	lz_str name, url, secret, zone;
	lz_list tags, phases;
	const lz_json *shape;
};

#define T struct thing
static const lz_option rows[] = {
	LZ_OPT_BOOL(T, on, "true", "is it on"),
	LZ_OPT_CHOICE(T, mode, "open", "closed|open|ajar", "how it stands"),
	LZ_OPT_INT(T, count, "3", 1, 10, NULL, "how many"),
	LZ_OPT_INT(T, wait, "30s", 0, 60000, "duration", "how long"),
	LZ_OPT_INT(T, size, "1KiB", 0, 0, "bytes", "how much"),
	LZ_OPT_REAL(T, share, "0.8", 0, 1, "which part"),
	LZ_OPT_TEXT(T, name, "nobody", NULL, "who"),
	LZ_OPT_TEXT(T, url, "", "url", "where"),
	LZ_OPT_TEXT(T, secret, "", "secret", "a secret"),
	LZ_OPT_TEXT(T, zone, "UTC", "timezone", "a zone"),
	LZ_OPT_LIST(T, tags, "[a, b]", NULL, "words"),
	LZ_OPT_LIST(T, phases, "[]", "request|response", "when"),
	LZ_OPT_JSON(T, shape,
	    "{\"type\":\"object\",\"required\":[\"x\"],\"properties\":{\"x\":{\"type\":"
	    "\"integer\",\"minimum\":1}}}",
	    "a shape"),
};
#undef T
enum {
	ROWS = sizeof(rows) / sizeof(rows[0])
};

static struct arena *memory;
static json_t *keep;

static enum status
apply(const char *yaml, struct thing *t, struct options_context c, struct err *e)
{
	struct yaml_source *source;
	json_t *j = yaml_parse(lz_strz(yaml), "f.yaml", &source, e);
	enum status st;

	assert_non_null(j);
	memset(t, 0, sizeof(*t));
	c.memory = memory;
	c.keep = keep;
	c.source = source;
	if (c.where == NULL)
		c.where = "thing";
	st = options_apply(rows, ROWS, sizeof(rows[0]), j, t, &c, e);
	json_decref(j);
	yaml_source_free(source);
	return st;
}

static void
expect_fine(const char *yaml, struct thing *t)
{
	struct err e = { "" };

	if (apply(yaml, t, (struct options_context){ .where = NULL }, &e) != ST_OK)
		fail_msg("%s: %s", yaml, e.text);
}

static void
defaults_are_written_as_the_file_would(void **state)
{
	struct thing t;

	(void)state;
	expect_fine("{}", &t);
	assert_int_equal(t.on, 1);
	assert_int_equal(t.mode, 1);
	assert_int_equal(t.count, 3);
	assert_int_equal(t.wait, 30000);
	assert_int_equal(t.size, 1024);
	assert_true(t.share == 0.8);
	assert_true(str_is(t.name, "nobody"));
	assert_null(t.url.ptr);
	assert_int_equal(t.tags.count, 2);
	assert_true(str_is(t.tags.items[1], "b"));
	assert_int_equal(t.phases.count, 0);
	assert_null(t.shape);
	expect_fine("on: null\ncount: ~\n", &t);
	assert_int_equal(t.count, 3);
}

static void
values_are_written_by_type(void **state)
{
	struct thing t;

	(void)state;
	expect_fine(
	    "on: false\nmode: ajar\ncount: 10\nwait: 1m\nsize: 2MB\nshare: 1\nname: ''\n"
	    "url: https://x.eu/v1\ntags: one\nphases: [response, request]\nshape: {x: "
	    "4}\n",
	    &t);
	assert_int_equal(t.on, 0);
	assert_int_equal(t.mode, 2);
	assert_int_equal(t.count, 10);
	assert_int_equal(t.wait, 60000);
	assert_int_equal(t.size, 2000000);
	assert_true(t.share == 1);
	assert_int_equal(t.name.len, 0);
	assert_true(str_is(t.url, "https://x.eu/v1"));
	assert_int_equal(t.tags.count, 1);
	assert_int_equal(t.phases.count, 2);
	assert_int_equal(json_get_int((const json_t *)(const void *)t.shape, "x", 0), 4);
	expect_fine("wait: 250\nsize: 4096\n", &t);
	assert_int_equal(t.wait, 250);
	assert_int_equal(t.size, 4096);
}

static void
nonsense_is_named_with_line_member_and_what_would_be_right(void **state)
{
	static const struct {
		const char *yaml, *sentence;
	} cases[] = {
		{ "[]", "f.yaml:1: thing: a list is not a map" },
		{ "x", "f.yaml:1: thing: \"x\" is not a map" },
		{ "on: 1",
		    "f.yaml:1: thing.on: 1 is not a yes or no; write true or false" },
		{ "on: yes",
		    "thing.on: \"yes\" is not a yes or no; write true or false" },
		{ "a: 1", "thing.a: is not known here" },
		{ "cuont: 1", "thing.cuont: is not known; did you mean \"count\"?" },
		{ "mode: opne", "thing.mode: \"opne\" is not a choice; it must be one of "
				"closed, open, ajar" },
		{ "mode: 1", "thing.mode: 1 is not a choice" },
		{ "on: true\ncount: 11", "f.yaml:2: thing.count: 11 is out of range; it "
					 "must be from 1 to 10" },
		{ "count: 0", "thing.count: 0 is out of range" },
		{ "count: 1.5", "thing.count: 1.5 is not a whole number" },
		{ "count: '3'", "thing.count: \"3\" is not a whole number" },
		{ "wait: 5 years",
		    "thing.wait: \"5 years\" is not a duration; write 250ms, 30s" },
		{ "wait: 2h", "thing.wait: \"2h\" is out of range" },
		{ "wait: -1", "thing.wait: -1 is out of range" },
		{ "wait: 99999999999999999d", "is not a duration" },
		{ "size: 3XB", "thing.size: \"3XB\" is not a size; write 32MiB, 1GB" },
		{ "share: 1.01",
		    "thing.share: 1.01 is out of range; it must be from 0 to 1" },
		{ "share: half", "thing.share: \"half\" is not a number" },
		{ "name: 5", "thing.name: 5 is not a text; put it in quotes" },
		{ "name: {}", "thing.name: a map is not a text" },
		{ "url: ftp://x",
		    "thing.url: \"ftp://x\" is not a URL; write http://host/path" },
		{ "url: http://", "is not a URL" },
		{ "url: http:///x", "is not a URL" },
		{ "url: 'http://a b'", "is not a URL" },
		{ "zone: Mars/Phobos", "thing.zone: \"Mars/Phobos\" is not a time zone" },
		{ "zone: ../../../etc/passwd", "is not a time zone" },
		{ "tags: [1]", "thing.tags: 1 is not a text" },
		{ "tags: {}", "thing.tags: a map is not a text" },
		{ "phases: [request, never]", "thing.phases: \"never\" is not a choice; "
					      "it must be one of request, response" },
		{ "shape: []", "thing.shape: a list is not of the type object" },
		{ "shape: {}", "thing.shape: the member x is missing" },
		{ "shape: {x: 0}", "thing.shape: x: 0 is below the least, 1" },
		{ "shape: {x: a}", "thing.shape: x: \"a\" is not of the type integer" },
		{ "secret: [s3cret-canary]", "thing.secret: a list is not a text" },
		{ "name: env:LZ_UNSET", "f.yaml:1: thing.name: the environment variable "
					"LZ_UNSET is not set" },
		{ "name: ${LZ_UNSET}", "the environment variable LZ_UNSET is not set" },
		{ "name: 'env:'", "thing.name: env: needs the name of a variable" },
		{ "name: file:/nonexistent/x", "thing.name: the file /nonexistent/x "
					       "cannot be opened: No such file" },
		{ "name: 'file:'", "file: needs a path" },
		{ "name: credential:x", "systemd gave no credentials" },
		{ "name: credential:../x", "credential: needs a name" },
		{ "count: env:LZ_WORD", "thing.count: \"seven\" is not a whole number" },
	};

	(void)state;
	(void)setenv("LZ_WORD", "seven", 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = { "" };
		struct thing t;

		assert_int_not_equal(apply(cases[i].yaml, &t,
					 (struct options_context){ .where = NULL }, &e),
		    ST_OK);
		if (strstr(e.text, cases[i].sentence) == NULL)
			fail_msg("%s: \"%s\" is not said: %s", cases[i].yaml,
			    cases[i].sentence, e.text);
	}
}

static void
list_lengths_have_bounds(void **state)
{
	static const lz_option row[] = { { "tags", "words", "[]", NULL, 0, 2,
	    LZ_LIST_OPTION, offsetof(struct thing, tags) } };
	struct options_context c = { .memory = memory, .keep = keep };
	json_t *j = json_pack("{s:[sss]}", "tags", "a", "b", "c");
	struct err e = { "" };
	struct thing t = { .on = 0 };

	(void)state;
	assert_int_equal(
	    options_apply(row, 1, sizeof(row[0]), j, &t, &c, &e), ST_INVALID);
	assert_string_equal(e.text, "tags: 3 items; it must be from 0 to 2");
	json_decref(j);
}

static void
a_required_option_says_what_it_is(void **state)
{
	static const lz_option row[] = { { "id", "the model's name", NULL, NULL, 0, 0,
	    LZ_TEXT_OPTION, 0 } };
	struct options_context c = { .memory = memory, .keep = keep, .where = "x" };
	struct err e = { "" };
	lz_str id;

	(void)state;
	assert_int_equal(
	    options_apply(row, 1, sizeof(row[0]), NULL, &id, &c, &e), ST_INVALID);
	assert_string_equal(e.text, "x.id: is missing; it is the model's name");
}

/* ---- references ---- */

static void
write_file(const char *path, const char *text, size_t n, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), (ssize_t)n);
	assert_int_equal(fchmod(fd, mode), 0);
	(void)close(fd);
}

static void
references_resolve_in_every_string_and_number(void **state)
{
	struct options_context c = { .where = NULL };
	char folder[] = "/tmp/latenza-options-XXXXXX", path[64];
	struct err e = { "" };
	struct thing t;

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/s", folder);
	write_file(path, "s3cret\r\n", 8, 0600);
	(void)setenv("LZ_NAME", "Ada", 1);
	(void)setenv("LZ_COUNT", "7", 1);
	(void)setenv("LZ_ON", "false", 1);
	(void)setenv("CREDENTIALS_DIRECTORY", folder, 1);
	c.folder = folder;
	assert_int_equal(
	    apply("name: env:LZ_NAME\ncount: ${LZ_COUNT}\non: env:LZ_ON\nsecret: file:s\n"
		  "tags: ['${LZ_NAME}', credential:s, '${LZ NAME}']\n",
		&t, c, &e),
	    ST_OK);
	assert_true(str_is(t.name, "Ada"));
	assert_int_equal(t.count, 7);
	assert_int_equal(t.on, 0);
	assert_true(str_is(t.secret, "s3cret"));
	assert_true(str_is(t.tags.items[0], "Ada"));
	assert_true(str_is(t.tags.items[1], "s3cret"));
	assert_true(str_is(t.tags.items[2], "${LZ NAME}"));
	(void)unlink(path);
	(void)rmdir(folder);
	(void)unsetenv("CREDENTIALS_DIRECTORY");
}

static void
files_that_are_no_secrets_are_refused(void **state)
{
	char path[] = "/tmp/latenza-options-XXXXXX", text[64 * 1024 + 2], from[64];
	bool is_literal;
	lz_str value;
	struct err e;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	(void)close(fd);
	(void)snprintf(from, sizeof(from), "file:%s", path);
	assert_int_equal(options_resolve(lz_strz(from), memory, &value, &is_literal, &e),
	    ST_NOT_FOUND);
	assert_non_null(strstr(e.text, "is empty"));
	memset(text, 'x', sizeof(text));
	write_file(path, text, sizeof(text), 0600);
	assert_int_equal(
	    options_resolve(lz_strz(from), memory, &value, &is_literal, &e), ST_INVALID);
	assert_non_null(strstr(e.text, "is larger than 64 KiB"));
	write_file(path, text, 64 * 1024, 0600);
	assert_int_equal(
	    options_resolve(lz_strz(from), memory, &value, &is_literal, &e), ST_OK);
	assert_int_equal(value.len, 64 * 1024);
	write_file(path, "a\0b", 3, 0600);
	assert_int_equal(
	    options_resolve(lz_strz(from), memory, &value, &is_literal, &e), ST_INVALID);
	assert_non_null(strstr(e.text, "NUL"));
	assert_int_equal(
	    options_resolve(STR_LIT("file:/tmp"), memory, &value, &is_literal, &e),
	    ST_IO);
	(void)unlink(path);
}

static ssize_t
read_fails(int fd, void *p, size_t n)
{
	static int turn;

	(void)fd;
	(void)p;
	(void)n;
	errno = turn++ == 0 ? EINTR : EIO;
	return -1;
}

static void
a_disk_that_cannot_be_read_is_an_error_not_an_empty_secret(void **state)
{
	ssize_t (*before)(int, void *, size_t) = io.read;
	bool is_literal;
	lz_str value;
	struct err e;

	(void)state;
	io.read = read_fails;
	assert_int_equal(options_resolve(STR_LIT("file:/proc/self/stat"), memory, &value,
			     &is_literal, &e),
	    ST_IO);
	io.read = before;
	assert_non_null(strstr(e.text, "Input/output error"));
}

struct heard {
	unsigned errors, unset, warnings;
	char first[400];
};

static void
hear(void *arg, enum options_severity how, const char *sentence)
{
	struct heard *h = arg;

	h->errors += how == OPTIONS_ERROR;
	h->unset += how == OPTIONS_UNSET;
	h->warnings += how == OPTIONS_WARNING;
	if (h->first[0] == '\0')
		(void)snprintf(h->first, sizeof(h->first), "%s", sentence);
}

static void
a_report_hears_everything_and_the_work_goes_on(void **state)
{
	struct heard h = { .errors = 0 };
	struct options_context c = { .report = hear, .report_arg = &h };
	struct err e = { "" };
	struct thing t;

	(void)state;
	assert_int_equal(apply("on: 7\ncount: 99\nwhat: 1\nname: env:LZ_UNSET\nsecret: "
			       "literal\nwait: 5s\n",
			     &t, c, &e),
	    ST_INVALID);
	assert_int_equal(h.errors, 3);
	assert_int_equal(h.unset, 1);
	assert_int_equal(h.warnings, 1);
	assert_int_equal(t.wait, 5000);
	assert_string_equal(e.text, h.first);
}

static void
a_literal_secret_is_a_warning_that_does_not_show_it(void **state)
{
	struct heard h = { .errors = 0 };
	struct options_context c = { .report = hear, .report_arg = &h };
	struct err e;
	struct thing t;

	(void)state;
	assert_int_equal(apply("\nsecret: s3cret-canary\n", &t, c, &e), ST_OK);
	assert_int_equal(h.warnings, 1);
	assert_non_null(
	    strstr(h.first, "f.yaml:2: thing.secret: is written in the file"));
	assert_null(strstr(h.first, "canary"));
	assert_int_equal(apply("secret: 5\n", &t, c, &e), ST_INVALID);
}

static void
unset_alone_is_not_found_and_offline_does_not_look(void **state)
{
	struct options_context offline = { .is_offline = true };
	struct err e = { "" };
	struct thing t;

	(void)state;
	assert_int_equal(apply("name: env:LZ_UNSET\n", &t,
			     (struct options_context){ .where = NULL }, &e),
	    ST_NOT_FOUND);
	assert_int_equal(apply("name: env:LZ_UNSET\nurl: env:U\ncount: env:N\nmode: "
			       "env:M\ntags: [file:/x]\n",
			     &t, offline, &e),
	    ST_OK);
	assert_int_equal(apply("count: 99\n", &t, offline, &e), ST_INVALID);
}

/* ---- rows ---- */

static void
rows_are_checked_themselves(void **state)
{
	static const struct {
		lz_option row;
		const char *sentence;
	} cases[] = {
		{ { "Big", "h", "", NULL, 0, 0, LZ_TEXT_OPTION, 0 },
		    "begins with a small letter" },
		{ { "a-b", "h", "", NULL, 0, 0, LZ_TEXT_OPTION, 0 },
		    "option a-b: a name is made of" },
		{ { "a", "", "", NULL, 0, 0, LZ_TEXT_OPTION, 0 },
		    "option a: has no help text" },
		{ { "a", "h", "", NULL, 0, 0, 99, 0 }, "option a: there is no type 99" },
		{ { "a", "h", "", NULL, 2, 1, LZ_INT_OPTION, 0 },
		    "its least is above its most" },
		{ { "a", "h", "", NULL, 0, 0, LZ_CHOICE_OPTION, 0 },
		    "does not fit its type" },
		{ { "a", "h", "", "nonsense", 0, 0, LZ_TEXT_OPTION, 0 },
		    "the rule \"nonsense\" does not fit" },
		{ { "a", "h", "", "{", 0, 0, LZ_JSON_OPTION, 0 }, "does not fit" },
		{ { "a", "h", "5", NULL, 1, 3, LZ_INT_OPTION, 0 },
		    "the default of option a is refused by its own rule" },
		{ { "a", "h", "d", "b|c", 0, 0, LZ_CHOICE_OPTION, 0 },
		    "the default of option a" },
		{ { "a", "h", "[d]", "b|c", 0, 0, LZ_LIST_OPTION, 0 },
		    "the default of option a" },
		{ { "a", "h", "maybe", NULL, 0, 0, LZ_BOOL_OPTION, 0 },
		    "the default of option a" },
	};
	lz_option twice[2] = { rows[0], rows[0] };
	struct err e = { "" };

	(void)state;
	assert_int_equal(options_check_rows(rows, ROWS, sizeof(rows[0]), &e), ST_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_not_equal(
		    options_check_rows(&cases[i].row, 1, sizeof(lz_option), &e), ST_OK);
		if (strstr(e.text, cases[i].sentence) == NULL)
			fail_msg("\"%s\" is not said: %s", cases[i].sentence, e.text);
	}
	assert_int_equal(options_check_rows(twice, 2, sizeof(lz_option), &e), ST_INVALID);
	assert_non_null(strstr(e.text, "option on: there are two"));
	assert_int_equal(options_check_rows(rows, 1, 8, &e), ST_INVALID);
}

static void
a_larger_stride_is_followed(void **state)
{
	struct {
		lz_option row;
		char since[24];
	} grown[2] = { { rows[0], "x" }, { rows[2], "y" } };
	struct options_context c = { .memory = memory, .keep = keep };
	json_t *j = json_pack("{s:i}", "count", 5);
	struct err e;
	struct thing t = { .on = 0 };

	(void)state;
	assert_int_equal(
	    options_apply(&grown[0].row, 2, sizeof(grown[0]), j, &t, &c, &e), ST_OK);
	assert_int_equal(t.count, 5);
	assert_int_equal(t.on, 1);
	json_decref(j);
}

static void
rows_become_a_schema(void **state)
{
	json_t *s = options_schema(rows, ROWS, sizeof(rows[0]));
	const json_t *p = json_object_get(s, "properties");

	(void)state;
	assert_int_equal(json_object_size(p), ROWS);
	assert_true(json_is_false(json_object_get(s, "additionalProperties")));
	assert_true(str_is(json_get_str(json_object_get(p, "on"), "type"), "boolean"));
	assert_int_equal(json_get_int(json_object_get(p, "count"), "maximum", 0), 10);
	assert_int_equal(json_get_int(json_object_get(p, "count"), "default", 0), 3);
	assert_true(str_is(json_get_str(json_object_get(p, "wait"), "default"), "30s"));
	assert_int_equal(
	    json_array_size(json_object_get(json_object_get(p, "mode"), "enum")), 3);
	assert_true(
	    str_is(json_get_str(json_object_get(p, "name"), "description"), "who"));
	assert_true(json_get_bool(json_object_get(p, "secret"), "writeOnly", false));
	assert_non_null(json_object_get(json_object_get(p, "shape"), "required"));
	json_decref(s);
}

static void
what_is_shown_has_defaults_and_no_secret(void **state)
{
	json_t *j = json_pack("{s:s, s:i}", "secret", "s3cret", "count", 4);
	json_t *shown = options_shown(rows, ROWS, sizeof(rows[0]), j);

	(void)state;
	assert_true(str_is(json_get_str(shown, "secret"), "***"));
	assert_int_equal(json_get_int(shown, "count", 0), 4);
	assert_true(str_is(json_get_str(shown, "wait"), "30s"));
	assert_null(json_object_get(shown, "url"));
	json_decref(shown);
	json_object_set_new(j, "secret", json_string("env:S"));
	shown = options_shown(rows, ROWS, sizeof(rows[0]), j);
	assert_true(str_is(json_get_str(shown, "secret"), "env:S"));
	json_decref(shown);
	json_decref(j);
}

static void
what_a_header_carries_has_no_control_characters(void **state)
{
	static const lz_option sent[] = {
		LZ_OPT_TEXT(struct thing, name, "", "header", "sent"),
		LZ_OPT_TEXT(struct thing, secret, "", "token", "sent, and a secret"),
		LZ_OPT_LIST(struct thing, tags, "[]", "token", "sent in turn"),
	};
	static const char *const bad[] = { "name", "secret", "tags" };
	struct options_context c = { .memory = memory, .keep = keep };
	struct thing t;
	struct err e;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		json_t *j = json_pack("{s:s, s:s, s:[s]}", "name", "a\tb", "secret",
		    "sk-1", "tags", "sk-2");

		assert_int_equal(
		    options_apply(sent, 3, sizeof(sent[0]), j, &t, &c, &e), ST_OK);
		json_object_set_new(j, bad[i], json_string("sk-hidden\nx-evil: 1"));
		assert_int_equal(
		    options_apply(sent, 3, sizeof(sent[0]), j, &t, &c, &e), ST_INVALID);
		assert_non_null(strstr(e.text, bad[i]));
		assert_non_null(strstr(e.text, "holds a control character"));
		assert_true(i == 0 || strstr(e.text, "hidden") == NULL);
		json_decref(j);
	}
}

/* ---- units ---- */

static void
durations_and_sizes_have_units(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} durations[] = { { "0", 0 }, { "250ms", 250 }, { "30s", 30000 },
		{ "5m", 300000 }, { "24h", 86400000 }, { "90d", 7776000000 },
		{ "2w", 1209600000 }, { "1 s", 1000 } };
	static const char *const wrong[] = { "", "s", "-1s", "1.5s", "1S", "1 s x",
		"9223372036854775807w", "1y" };
	int64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
		assert_true(options_duration(lz_strz(durations[i].text), &v));
		assert_int_equal(v, durations[i].ms);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(options_duration(lz_strz(wrong[i]), &v));
	assert_true(options_bytes(STR_LIT("32MiB"), &v));
	assert_int_equal(v, 32 << 20);
	assert_true(options_bytes(STR_LIT("1GB"), &v));
	assert_int_equal(v, 1000000000);
	assert_false(options_bytes(STR_LIT("1mb"), &v));
}

static void
dates_are_read_to_the_millisecond_of_the_epoch(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} dates[] = { { "1970-01-01", 0 }, { "2026-11-22", 1795305600000 },
		{ "2000-02-29", 951782400000 }, { "2027-03-01T12:00:00Z", 1803902400000 },
		{ "2027-03-01T12:00:00+01:00", 1803898800000 },
		{ "2027-03-01T12:00:00.999-01:30", 1803907800000 },
		{ "2027-03-01 12:00:00Z", 1803902400000 } };
	static const char *const wrong[] = { "", "2026", "2026-13-01", "2026-00-01",
		"2026-02-29", "2026-01-32", "1969-12-31", "2026-1-1", "2026-01-01T",
		"2026-01-01T12:00", "2026-01-01T12:00:00", "2026-01-01T24:00:00Z",
		"2026-01-01T12:60:00Z", "2026-01-01T12:00:00+1:00",
		"2026-01-01T12:00:00.Z", "2026-01-01T12:00:00Zx" };
	int64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
		assert_true(options_date(lz_strz(dates[i].text), &v));
		assert_int_equal(v, dates[i].ms);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (options_date(lz_strz(wrong[i]), &v))
			fail_msg("accepted: %s", wrong[i]);
	}
}

static void
amounts_are_exact_to_nine_places(void **state)
{
	static const struct {
		const char *json;
		int64_t nano;
	} rows_[] = { { "250", 250000000000 }, { "0", 0 }, { "0.1", 100000000 },
		{ "0.000000001", 1 }, { "1e-9", 1 }, { "0.3", 300000000 },
		{ "19.99", 19990000000 }, { "1000000000", 1000000000000000000 },
		{ "123456.789012345", 123456789012345 }, { "\"0.92\"", 920000000 },
		{ "1e3", 1000000000000 } };
	static const char *const wrong[] = { "-1", "-0.1", "1000000001", "1e300",
		"0.0000000001", "0.1234567891", "true", "null", "[]", "\"\"", "\"1,5\"",
		"\"-1\"", "\"1.\"", "\"1e3\"" };
	int64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof(rows_) / sizeof(rows_[0]); i++) {
		json_t *j = json_parse(lz_strz(rows_[i].json), NULL);

		assert_true(options_nano(j, &v));
		assert_int_equal(v, rows_[i].nano);
		json_decref(j);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		json_t *j = json_parse(lz_strz(wrong[i]), NULL);

		if (options_nano(j, &v))
			fail_msg("accepted: %s", wrong[i]);
		json_decref(j);
	}
}

/* As they are written with nine places; of the doubles beside them none is an amount. */
static void
amounts_of_any_size_are_read_as_they_are_written(void **state)
{
	uint64_t random = 20261201;

	(void)state;
	for (int i = 0; i < 60000; i++) {
		int64_t nano, read = -1;
		char text[40];
		json_t *j;
		double v;

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
		nano = (int64_t)((random >> 10) >> i % 50);
		nano %= INT64_C(4000000) * 1000000000;
		(void)snprintf(text, sizeof(text), "%lld.%09lld",
		    (long long)(nano / 1000000000), (long long)(nano % 1000000000));
		j = json_parse(lz_strz(text), NULL);
		if (!options_nano(j, &read) || read != nano)
			fail_msg("%s is read as %lld", text, (long long)read);
		v = json_real_value(j);
		for (int side = 0; side < 2; side++) {
			json_real_set(j, nextafter(v, side == 0 ? -1 : 1e9));
			if (options_nano(j, &read))
				fail_msg("%a beside %s is read as %lld",
				    json_real_value(j), text, (long long)read);
		}
		json_decref(j);
	}
}

static void
schemas_are_matched(void **state)
{
	static const struct {
		const char *schema, *value;
		bool fits;
	} cases[] = {
		{ "{}", "1", true },
		{ "false", "1", false },
		{ "{\"type\":\"number\"}", "1", true },
		{ "{\"type\":\"integer\"}", "1.5", false },
		{ "{\"type\":[\"string\",\"null\"]}", "null", true },
		{ "{\"type\":[\"string\",\"null\"]}", "1", false },
		{ "{\"enum\":[1,\"a\"]}", "\"a\"", true },
		{ "{\"enum\":[1,\"a\"]}", "\"b\"", false },
		{ "{\"const\":2}", "3", false },
		{ "{\"minLength\":2}", "\"a\"", false },
		{ "{\"maxItems\":1}", "[1,2]", false },
		{ "{\"maximum\":1.5}", "1.6", false },
		{ "{\"items\":{\"type\":\"string\"}}", "[\"a\",1]", false },
		{ "{\"additionalProperties\":false,\"properties\":{\"a\":{}}}",
		    "{\"a\":1}", true },
		{ "{\"additionalProperties\":false,\"properties\":{\"a\":{}}}",
		    "{\"b\":1}", false },
		{ "{\"additionalProperties\":{\"type\":\"string\"}}", "{\"b\":1}",
		    false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *schema = json_parse(lz_strz(cases[i].schema), NULL);
		json_t *value = json_parse(lz_strz(cases[i].value), NULL);
		struct err e = { "" };

		if ((options_match(schema, value, &e) == ST_OK) != cases[i].fits)
			fail_msg(
			    "%s with %s: %s", cases[i].schema, cases[i].value, e.text);
		json_decref(schema);
		json_decref(value);
	}
}

static int
set_up(void **state)
{
	(void)state;
	memory = arena_new(64 << 20);
	keep = json_array();
	log_set_level(LOG_LEVEL_ERROR);
	return memory == NULL || keep == NULL;
}

static int
tear_down(void **state)
{
	(void)state;
	json_decref(keep);
	arena_free(memory);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_written_as_the_file_would),
		cmocka_unit_test(values_are_written_by_type),
		cmocka_unit_test(
		    nonsense_is_named_with_line_member_and_what_would_be_right),
		cmocka_unit_test(list_lengths_have_bounds),
		cmocka_unit_test(a_required_option_says_what_it_is),
		cmocka_unit_test(references_resolve_in_every_string_and_number),
		cmocka_unit_test(files_that_are_no_secrets_are_refused),
		cmocka_unit_test(
		    a_disk_that_cannot_be_read_is_an_error_not_an_empty_secret),
		cmocka_unit_test(a_report_hears_everything_and_the_work_goes_on),
		cmocka_unit_test(a_literal_secret_is_a_warning_that_does_not_show_it),
		cmocka_unit_test(unset_alone_is_not_found_and_offline_does_not_look),
		cmocka_unit_test(rows_are_checked_themselves),
		cmocka_unit_test(a_larger_stride_is_followed),
		cmocka_unit_test(rows_become_a_schema),
		cmocka_unit_test(what_is_shown_has_defaults_and_no_secret),
		cmocka_unit_test(what_a_header_carries_has_no_control_characters),
		cmocka_unit_test(durations_and_sizes_have_units),
		cmocka_unit_test(dates_are_read_to_the_millisecond_of_the_epoch),
		cmocka_unit_test(amounts_are_exact_to_nine_places),
		cmocka_unit_test(amounts_of_any_size_are_read_as_they_are_written),
		cmocka_unit_test(schemas_are_matched),
	};

	json_start();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
