/* test_commands.c - the rows behind the command line, on a database of their own.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store_fixture.h"

#include "admin/commands.h"
#include "base/crypto.h"
#include "base/json.h"

static struct db *db;
static struct err e;
static struct keyring keyring = { { 1 }, { 2 } };
static struct datadir data;
static struct command_context context;

static int
set_up(void **state)
{
	if (fixture_set_up(state) != 0)
		return 1;
	db = db_open(in_dir("latenza.db"), DB_CREATE, &e);
	(void)snprintf(data.path, sizeof(data.path), "%s", test_dir);
	context = (struct command_context){
		.db = db, .data = &data, .keyring = &keyring, .now_unix_ms = 1795366958000
	};
	return db == NULL;
}

static int
tear_down(void **state)
{
	db_close(db);
	return fixture_tear_down(state);
}

/* Runs a row on arguments as JSON text; *result is the caller's. */
static enum status
run(const char *name, const char *args, json_t **result)
{
	const struct command *row = command_find(lz_strz(name));
	json_t *tree = json_parse(lz_strz(args), &e);
	enum status st;

	assert_non_null(row);
	assert_non_null(tree);
	st = command_run(&context, row, tree, result, &e);
	json_decref(tree);
	return st;
}

static void
assert_fails(enum status wanted, const char *name, const char *args, const char *words)
{
	json_t *result;

	assert_int_equal(run(name, args, &result), wanted);
	json_decref(result);
	if (strstr(e.text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", e.text, words);
	assert_string_equal(context.changed_key, "");
}

static json_t *
done(const char *name, const char *args)
{
	json_t *result;

	if (run(name, args, &result) != ST_OK)
		fail_msg("%s: %s", name, e.text);
	return result;
}

#define MAKE(id) "{\"id\":\"" id "\",\"settings\":{\"name\":\"A key\"}}"

static void
a_key_gets_its_id_from_its_name_and_a_secret_that_is_stored_as_a_hash(void **state)
{
	json_t *key = done("key.create",
	    "{\"settings\":{\"name\":\"Production backend (EU)\",\"rate_limit\":120}}");
	lz_str secret = json_get_str(key, "secret");
	json_t *shown;

	(void)state;
	assert_true(str_is(json_get_str(key, "id"), "production-backend-eu"));
	assert_true(crypto_key_is_wellformed(secret));
	assert_string_equal(context.changed_key, "production-backend-eu");
	shown = done("key.show", "{\"id\":\"production-backend-eu\"}");
	assert_null(json_object_get(shown, "secret"));
	assert_true(str_ends(json_get_str(shown, "hint"), secret.ptr + 42));
	assert_int_equal(
	    json_get_int(json_object_get(shown, "settings"), "rate_limit", 0), 120);
	json_decref(shown);
	json_decref(key);
}

static void
a_test_key_says_so_in_its_secret(void **state)
{
	json_t *key =
	    done("key.create", "{\"test\":true,\"settings\":{\"name\":\"Play\"}}");

	(void)state;
	assert_true(str_starts(json_get_str(key, "secret"), "lz_test_"));
	json_decref(key);
}

static void
an_id_is_used_once(void **state)
{
	(void)state;
	json_decref(done("key.create", MAKE("once")));
	assert_fails(ST_EXISTS, "key.create", MAKE("once"), "\"once\"");
}

static void
an_id_that_is_no_slug_is_refused(void **state)
{
	(void)state;
	assert_fails(ST_INVALID, "key.create", MAKE(""), "id");
	assert_fails(ST_INVALID, "key.create", MAKE("Upper"), "\"Upper\"");
	assert_fails(ST_INVALID, "key.create", MAKE("a/b"), "a/b");
	assert_fails(ST_INVALID, "key.create", MAKE("-a"), "-a");
	assert_fails(ST_INVALID, "key.create",
	    "{\"settings\":{\"name\":\"\xe6\x97\xa5\xe6\x9c\xac\"}}", "--id");
}

static void
arguments_that_a_row_does_not_know_are_named(void **state)
{
	(void)state;
	assert_fails(ST_INVALID, "key.list", "{\"colour\":1}", "\"colour\"");
	assert_fails(ST_INVALID, "key.show", "{}", "\"id\" is missing");
	assert_fails(ST_INVALID, "key.show", "{\"id\":5}", "\"id\" must be a string");
	assert_fails(ST_INVALID, "key.show", "[]", "an object");
	assert_fails(ST_INVALID, "traces.list", "{\"limit\":0}", "limit");
	assert_fails(ST_INVALID, "traces.list", "{\"limit\":100000}", "limit");
	assert_fails(ST_INVALID, "traces.list", "{\"metadata\":\"x\"}", "NAME=VALUE");
	assert_fails(ST_INVALID, "db.backup", "{\"to\":\"here\"}", "absolute");
	assert_null(command_find(STR_LIT("key.lisst")));
	assert_null(command_find(STR_NONE));
}

static void
a_rolled_key_has_a_new_secret_and_keeps_the_old_one_only_as_asked(void **state)
{
	json_t *made = done("key.create", MAKE("roll")), *rolled;

	(void)state;
	rolled = done("key.roll", "{\"id\":\"roll\",\"keep_old_ms\":60000}");
	assert_false(
	    str_eq(json_get_str(made, "secret"), json_get_str(rolled, "secret")));
	assert_non_null(json_object_get(rolled, "old_secret_until"));
	json_decref(rolled);
	rolled = done("key.roll", "{\"id\":\"roll\"}");
	assert_null(json_object_get(rolled, "old_secret_until"));
	json_decref(rolled);
	json_decref(made);
	assert_fails(ST_INVALID, "key.roll", "{\"id\":\"roll\",\"keep_old_ms\":-1}",
	    "keep_old_ms");
}

static void
a_key_of_the_file_is_not_changed_by_command(void **state)
{
	struct db_key k = { .id = STR_LIT("declared"),
		.name = STR_LIT("Declared"),
		.hint = STR_LIT("(file)"),
		.settings = STR_LIT("{\"name\":\"Declared\"}"),
		.source = STR_LIT("file"),
		.created_unix_ms = 1,
		.changed_unix_ms = 1 };

	(void)state;
	assert_int_equal(db_begin(db, &e), ST_OK);
	assert_int_equal(db_key_put(db, &k, &e), ST_OK);
	assert_int_equal(db_commit(db, false, &e), ST_OK);
	assert_fails(ST_DENIED, "key.rm", "{\"id\":\"declared\"}", "configuration file");
	assert_fails(
	    ST_DENIED, "key.roll", "{\"id\":\"declared\"}", "configuration file");
	assert_fails(
	    ST_DENIED, "key.disable", "{\"id\":\"declared\"}", "configuration file");
	json_decref(done("key.show", "{\"id\":\"declared\"}"));
}

static void
what_is_not_there_is_not_found_by_name(void **state)
{
	(void)state;
	assert_fails(ST_NOT_FOUND, "key.show", "{\"id\":\"ghost\"}", "\"ghost\"");
	assert_fails(ST_NOT_FOUND, "key.rm", "{\"id\":\"ghost\"}", "\"ghost\"");
	assert_fails(ST_NOT_FOUND, "reload", "{}", "no gateway serves");
	assert_fails(ST_NOT_FOUND, "model.list", "{}", "configuration");
}

static void
a_hash_that_is_none_is_refused(void **state)
{
	(void)state;
	assert_fails(ST_INVALID, "key.import",
	    "{\"settings\":{\"name\":\"Old\"},\"sha256\":\"abc\"}", "64 hexadecimal");
}

static int countdown;

static int
fail_one(size_t n, void *arg)
{
	(void)n;
	(void)arg;
	return countdown-- == 0;
}

/* The k-th allocation fails, for every k until none does: an error is told, or it
 * succeeds; the row is there or it is not. */
static void
a_lack_of_memory_anywhere_is_told_and_leaves_no_half_key(void **state)
{
	const struct command *row = command_find(STR_LIT("key.create"));
	json_t *args = json_parse(STR_LIT(MAKE("scarce")), &e), *result;
	bool has_succeeded = false;

	(void)state;
	for (int k = 0; k < 2000 && !has_succeeded; k++) {
		enum status st;

		countdown = k;
		mem_set_fault(fail_one, NULL);
		st = command_run(&context, row, args, &result, &e);
		mem_set_fault(NULL, NULL);
		has_succeeded = countdown >= 0;
		json_decref(result);
		if (st == ST_OK)
			json_decref(done("key.rm", "{\"id\":\"scarce\"}"));
		else
			assert_fails(
			    ST_NOT_FOUND, "key.show", "{\"id\":\"scarce\"}", "scarce");
	}
	assert_true(has_succeeded);
	json_decref(args);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(
		    a_key_gets_its_id_from_its_name_and_a_secret_that_is_stored_as_a_hash),
		TEST(a_test_key_says_so_in_its_secret),
		TEST(an_id_is_used_once),
		TEST(an_id_that_is_no_slug_is_refused),
		TEST(arguments_that_a_row_does_not_know_are_named),
		TEST(a_rolled_key_has_a_new_secret_and_keeps_the_old_one_only_as_asked),
		TEST(a_key_of_the_file_is_not_changed_by_command),
		TEST(what_is_not_there_is_not_found_by_name),
		TEST(a_hash_that_is_none_is_refused),
		TEST(a_lack_of_memory_anywhere_is_told_and_leaves_no_half_key),
	};

	json_start();
	if (db_start(&e) != ST_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
