/* keyring.c - the two secrets of a data directory, made once and never changed.
 *
 * Without the pepper no stored key can be recognised again, so a keyring is never made
 * beside a database that holds keys, and one that is not whole is refused rather than
 * replaced.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <unistd.h>

#include "store/datadir.h"
#include "store/db.h"
#include "store/file.h"

/* The file: magic, pepper, master, CRC32C of all that, little endian. */
static const char magic[8] = { 'L', 'T', 'N', 'Z', 'K', 'E', 'Y', '1' };

enum {
	PATH_BYTES = 4096,
	PEPPER_AT = sizeof(magic),
	MASTER_AT = PEPPER_AT + 32,
	SUM_AT = MASTER_AT + 32,
	FILE_BYTES = SUM_AT + 4
};

static void
put_sum(uint8_t *file)
{
	uint32_t sum = crypto_crc32c(0, file, SUM_AT);

	for (int i = 0; i < 4; i++)
		file[SUM_AT + i] = (uint8_t)(sum >> (8 * i));
}

static bool
is_sum_right(const uint8_t *file)
{
	uint8_t again[FILE_BYTES];
	bool is_right;

	memcpy(again, file, sizeof(again));
	put_sum(again);
	is_right = memcmp(again + SUM_AT, file + SUM_AT, 4) == 0;
	crypto_wipe(again, sizeof(again));
	return is_right;
}

static enum status
check(const char *path, const uint8_t *file, size_t len, mode_t mode, struct err *e)
{
	if ((mode & 077) != 0)
		return err_fail(e, ST_DENIED,
		    "%s: mode %04o lets others read the secrets in it; chmod 600 it",
		    path, (unsigned)mode);
	if (len != FILE_BYTES)
		return err_fail(e, ST_INVALID,
		    "%s: has %zu bytes, a keyring has %d; put it back from a backup",
		    path, len, (int)FILE_BYTES);
	if (memcmp(file, magic, sizeof(magic)) != 0)
		return err_fail(e, ST_INVALID,
		    "%s: does not begin like a keyring; put it back from a backup", path);
	if (!is_sum_right(file))
		return err_fail(e, ST_INVALID,
		    "%s: its checksum is wrong, so it is damaged; put it back from a "
		    "backup",
		    path);
	return ST_OK;
}

static bool
note_hash(void *arg, const struct db_key *k)
{
	bool *found = arg;

	*found = k->hash.len > 0 || k->old_hash.len > 0;
	return !*found;
}

/* Would a new pepper make keys of this directory unrecognisable? */
static enum status
check_no_keys(const struct datadir *d, const char *keyring, struct err *e)
{
	char path[PATH_BYTES];
	struct db *db;
	bool found = false;
	enum status st;

	if (datadir_file(d, "latenza.db", path, sizeof(path)) != ST_OK)
		return err_fail(e, ST_LIMIT, "%s: the path is too long", d->path);
	if (access(path, F_OK) != 0)
		return ST_OK;
	db = db_open(path, DB_READ, e);
	if (db == NULL)
		return ST_INVALID;
	st = db_key_each(db, note_hash, &found, e);
	db_close(db);
	if (st == ST_OK && found)
		st = err_fail(e, ST_NOT_FOUND,
		    "%s: is missing, and the keys in latenza.db are worth nothing "
		    "without it; put it back from a "
		    "backup",
		    keyring);
	return st;
}

static enum status
create(const struct datadir *d, const char *path, uint8_t *file, struct err *e)
{
	enum status st = check_no_keys(d, path, e);

	if (st != ST_OK)
		return st;
	memcpy(file, magic, sizeof(magic));
	crypto_random(file + PEPPER_AT, SUM_AT - PEPPER_AT);
	put_sum(file);
	return file_replace(d->path, "keyring", file, FILE_BYTES, e);
}

enum status
keyring_open(const struct datadir *d, struct keyring *out, struct err *e)
{
	uint8_t file[FILE_BYTES];
	char path[PATH_BYTES];
	enum status st;
	mode_t mode;
	size_t len;

	if (datadir_file(d, "keyring", path, sizeof(path)) != ST_OK)
		return err_fail(e, ST_LIMIT, "%s: the path is too long", d->path);
	st = file_read(path, file, sizeof(file), &len, &mode, e);
	if (st == ST_OK)
		st = check(path, file, len, mode, e);
	else if (st == ST_NOT_FOUND)
		st = create(d, path, file, e);
	if (st == ST_OK) {
		memcpy(out->pepper, file + PEPPER_AT, sizeof(out->pepper));
		memcpy(out->master, file + MASTER_AT, sizeof(out->master));
	}
	crypto_wipe(file, sizeof(file));
	return st;
}
