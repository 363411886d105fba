/* kept.c - the last good source of each script: written once it serves, read when a start
 * finds the file broken.
 *
 * SPDX-License-Identifier: MIT
 */
#include "gateway/kept.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/policy.h"
#include "plugin/registry.h"
#include "store/file.h"

enum {
	FILE_BYTES = 2 * SCRIPT_TREE_BYTES, /* base64 and names included */
	NAME_BYTES = 2 * CRYPTO_HASH_BYTES + 6
};

/* The same for each way to name the folder that the script lies in. */
static bool
name_of(const char *path, char out[NAME_BYTES])
{
	char folder[PATH_MAX], file[PATH_MAX], real[PATH_MAX], whole[2 * PATH_MAX];
	uint8_t hash[CRYPTO_HASH_BYTES];

	if (strlen(path) >= sizeof(folder))
		return false;
	(void)snprintf(folder, sizeof(folder), "%s", path);
	(void)snprintf(file, sizeof(file), "%s", path);
	if (realpath(dirname(folder), real) == NULL)
		(void)snprintf(real, sizeof(real), "%s", dirname(folder));
	(void)snprintf(whole, sizeof(whole), "%s/%s", real, basename(file));
	crypto_sha256(lz_strz(whole), hash);
	crypto_hex(hash, CRYPTO_HASH_BYTES, out);
	memcpy(out + (size_t)2 * CRYPTO_HASH_BYTES, ".json", 6);
	return true;
}

/* ---- reading ---- */

struct reading {
	struct script_module module[SCRIPT_MODULES];
	struct buf text[SCRIPT_MODULES];
	size_t count; /* the last one that was begun: the script itself */
};

static bool
read_part(struct reading *r, const char *name, const json_t *text)
{
	size_t i = r->count;

	if (i == SCRIPT_MODULES || !json_is_string(text))
		return false;
	buf_init(&r->text[i], SCRIPT_TREE_BYTES);
	r->count++;
	r->module[i].name = lz_strz(name);
	if (!base64_decode(
		lz_strn(json_string_value(text), json_string_length(text)), &r->text[i]))
		return false;
	r->module[i].text = buf_str(&r->text[i]);
	return true;
}

static struct script *
load_parts(const json_t *kept, const struct script_source *like, struct err *e)
{
	struct reading *r = mem_zalloc(sizeof(*r));
	struct script_source q = *like;
	struct script *s = NULL;
	bool is_whole = r != NULL;
	const char *name;
	json_t *text;

	if (r == NULL)
		return NULL;
	json_object_foreach(json_object_get(kept, "modules"), name, text) is_whole =
	    is_whole && read_part(r, name, text);
	q.module = r->module;
	q.module_count = r->count;
	q.file = json_string_value(json_object_get(kept, "file"));
	is_whole =
	    is_whole && q.file != NULL && read_part(r, "", json_object_get(kept, "text"));
	if (is_whole) {
		q.text = r->module[r->count - 1].text;
		s = script_load(&q, e);
	}
	for (size_t i = 0; i < r->count; i++)
		buf_free(&r->text[i]);
	mem_free(r);
	return s;
}

struct script *
kept_load(const char *folder, const char *path, const struct script_source *like)
{
	char name[NAME_BYTES], whole[PATH_MAX], *text = mem_alloc(FILE_BYTES);
	struct script *s = NULL;
	json_t *kept = NULL;
	struct err e = { "" };
	size_t n;

	if (text != NULL && name_of(path, name) &&
	    snprintf(whole, sizeof(whole), "%s/%s", folder, name) < (int)sizeof(whole) &&
	    file_read(whole, text, FILE_BYTES, &n, NULL, &e) == ST_OK)
		kept = json_parse(lz_strn(text, n), &e);
	if (kept != NULL)
		s = load_parts(kept, like, &e);
	if (s == NULL && e.text[0] != '\0')
		log_warn("policy.not_kept", "file=%s reason=\"%s\"", path, e.text);
	json_decref(kept);
	mem_free(text);
	return s;
}

/* ---- writing ---- */

static json_t *
encoded(lz_str text)
{
	struct buf b;
	json_t *j;

	buf_init(&b, FILE_BYTES);
	base64_encode(text.ptr, text.len, &b);
	j = b.failed ? NULL : json_stringn(b.ptr != NULL ? b.ptr : "", b.len);
	buf_free(&b);
	return j;
}

/* owned */
static json_t *
parts_of(const struct script *s, lz_str path)
{
	json_t *kept = json_object(), *modules;
	lz_str name, text;

	(void)json_object_set_new(kept, "path", json_stringn(path.ptr, path.len));
	(void)json_object_set_new(kept, "file", json_string(script_file(s)));
	modules = json_object_in(kept, "modules");
	for (size_t i = 0; script_part(s, i, &name, &text); i++) {
		if (name.ptr == NULL)
			(void)json_object_set_new(kept, "text", encoded(text));
		else
			(void)json_object_setn_new(
			    modules, name.ptr, name.len, encoded(text));
	}
	return kept;
}

/* Is that what the file holds already? */
static bool
is_same(const char *folder, const char *name, const char *text, size_t n)
{
	char path[PATH_MAX], *had = mem_alloc(n + 1);
	struct err ignored;
	size_t len;
	bool is =
	    had != NULL &&
	    snprintf(path, sizeof(path), "%s/%s", folder, name) < (int)sizeof(path) &&
	    file_read(path, had, n + 1, &len, NULL, &ignored) == ST_OK && len == n &&
	    memcmp(had, text, n) == 0;

	mem_free(had);
	return is;
}

static void
save_one(const char *folder, const struct policy *p, const char *name)
{
	json_t *kept = parts_of(registry_origin(p->info), p->path);
	char *text = json_dumps(kept, JSON_COMPACT | JSON_SORT_KEYS);
	struct err e = { "out of memory" };

	if (text == NULL ||
	    (!is_same(folder, name, text, strlen(text)) &&
		file_replace(folder, name, text, strlen(text), &e) != ST_OK))
		log_warn("policy.not_kept", "file=%.*s reason=\"%s\"", STR_ARG(p->path),
		    e.text);
	mem_free(text);
	json_decref(kept);
}

static bool
is_named(const struct config *c, const char *file)
{
	char name[NAME_BYTES];

	for (size_t i = 0; i < c->policy_count; i++)
		if (name_of(c->policy[i].path.ptr, name) && strcmp(name, file) == 0)
			return true;
	return false;
}

static void
forget_others(const char *folder, const struct config *c)
{
	DIR *d = opendir(folder);
	char path[PATH_MAX];
	struct dirent *one;

	while (d != NULL && (one = readdir(d)) != NULL)
		if (str_ends(lz_strz(one->d_name), ".json") &&
		    !is_named(c, one->d_name) &&
		    snprintf(path, sizeof(path), "%s/%s", folder, one->d_name) <
			(int)sizeof(path))
			(void)io.unlink(path);
	if (d != NULL)
		(void)closedir(d);
}

void
kept_save(const char *folder, const struct config *c)
{
	char name[NAME_BYTES];

	if (c->policy_count > 0 && io.mkdir(folder, 0700) != 0 && errno != EEXIST) {
		log_warn("policy.not_kept", "folder=%s reason=\"%s\"", folder,
		    strerror(errno));
		return;
	}
	for (size_t i = 0; i < c->policy_count; i++)
		if (c->policy[i].refused.ptr == NULL &&
		    name_of(c->policy[i].path.ptr, name))
			save_one(folder, &c->policy[i], name);
	forget_others(folder, c);
}
