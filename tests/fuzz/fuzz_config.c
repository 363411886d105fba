/* fuzz_config.c - a whole configuration: a snapshot, or complaints each with its place
 * and a sentence; never a secret in one. What was taken is taken again when it is written
 * as JSON, and then nothing differs.
 *
 * The catalogue is one of its own, so that a load is quick; plugins are made up; files
 * are not there but one.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "../small_catalogue.h"
#include "../unit/config_parts.h"
#include "base/io.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	TOLD_BYTES = 8 << 20,
	FILE_FD = 1 << 20 /* of the one file, which only we read */
};

static const char canary[] = "sk-canary-0123456789";
static bool is_read;

static int
open_file(const char *path, int flags, mode_t mode)
{
	(void)flags;
	(void)mode;
	is_read = false;
	if (strcmp(path, "/key") == 0)
		return FILE_FD;
	errno = ENOENT;
	return -1;
}

static ssize_t
read_file(int fd, void *p, size_t n)
{
	must(fd == FILE_FD && n > sizeof(canary));
	if (is_read)
		return 0;
	is_read = true;
	memcpy(p, canary, sizeof(canary) - 1);
	return sizeof(canary) - 1;
}

static int
close_file(int fd)
{
	must(fd == FILE_FD);
	return 0;
}

static void
start(void)
{
	static bool is_started;

	if (is_started)
		return;
	is_started = true;
	json_start();
	part_set_ops(&fake_ops);
	io.open = open_file;
	io.read = read_file;
	io.close = close_file;
	(void)unsetenv("OPENAI_API_KEY");
	(void)setenv("LZ_KEY", canary, 1);
}

static bool
holds(lz_str text, const char *word)
{
	return text.len > 0 && memmem(text.ptr, text.len, word, strlen(word)) != NULL;
}

/* FILE:LINE: sentence. A line of 0: of what has no place, such as the file's size. */
static void
check_complaint(lz_str line)
{
	size_t n = strlen("latenza.yaml:");

	must(str_starts(line, "latenza.yaml:"));
	while (n < line.len && line.ptr[n] >= '0' && line.ptr[n] <= '9')
		n++;
	must(line.len > n + 2 && line.ptr[n] == ':' && line.ptr[n + 1] == ' ');
}

static void
check_complaints(lz_str told)
{
	must(told.len > 0);
	while (told.len > 0) {
		ptrdiff_t n = str_find(told, '\n');

		must(n > 0);
		check_complaint(str_cut(told, 0, (size_t)n));
		told = str_cut(told, (size_t)n + 1, told.len);
	}
}

static struct config *
load(lz_str text, bool is_offline, struct buf *told)
{
	struct config_options o = {
		.path = "latenza.yaml", .text = text, .is_offline = is_offline
	};
	struct err e = { "" };
	struct config *c = config_load(&o, told, &e);

	must((c == NULL) == (e.text[0] != '\0'));
	must(!told->failed);
	if (c == NULL)
		check_complaints(buf_str(told));
	return c;
}

static void
check_snapshot(const struct config *c)
{
	struct buf shown;
	json_t *j = config_shown(c);

	buf_init(&shown, 64 << 20);
	must(j != NULL && json_print(j, &shown));
	for (size_t i = 0; i < c->target_count; i++)
		must(c->target[i].model != NULL && c->target[i].provider != NULL);
	for (size_t i = 0; i < c->warning_count; i++)
		check_complaint(lz_strz(c->warning[i]));
	json_decref(j);
	buf_free(&shown);
}

/* libyaml knows no long keys, and says so; what it does take, it takes for the same. */
static void
check_round_trip(const struct config *c, bool is_offline)
{
	struct buf text, told, difference;
	struct config *again;

	buf_init(&text, 4 << 20);
	buf_init(&told, TOLD_BYTES);
	buf_init(&difference, TOLD_BYTES);
	must(json_print(c->tree, &text));
	again = load(buf_str(&text), is_offline, &told);
	if (again == NULL) {
		must(holds(buf_str(&told), "not YAML") || text.len > 1 << 20);
	} else {
		config_diff(c, again, &difference);
		must(difference.len == 0);
	}
	config_unref(again);
	config_reap();
	buf_free(&text);
	buf_free(&told);
	buf_free(&difference);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	lz_str text = lz_strn((const char *)data, size);
	bool is_offline = size > 0 && data[size - 1] == ' ';
	struct config *c;
	struct buf told;

	start();
	if (text.ptr == NULL)
		return 0;
	buf_init(&told, TOLD_BYTES);
	c = load(text, is_offline, &told);
	must(!holds(buf_str(&told), canary) || holds(text, canary));
	if (c != NULL) {
		check_snapshot(c);
		check_round_trip(c, is_offline);
	}
	config_unref(c);
	config_reap();
	must(fake_made == fake_destroyed);
	buf_free(&told);
	return 0;
}
