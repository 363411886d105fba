/* test_power.c - the power fails at every point of what a store does, and while it
 * recovers.
 *
 * Workers reserve, settle and trace on a disk that writes down every change (power.h).
 * Then, for every point of that list, the disk is made as it may be found, and a store
 * starts on it: it must start, its books must be sound, and every request must have come
 * at least as far as was made durable, and at most as far as was begun. What recovery
 * itself does is cut in the same way. LATENZA_POWER=20 does all of it twenty times, with
 * two disks for each point; LATENZA_POWER_STEP=5 only every fifth point; LATENZA_SEED
 * repeats one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lives.h"
#include "power.h"

#include <time.h>

enum {
	WORKERS = 2,
	HOUSES = 2, /* a store is started so often, each time after an orderly stop */
	TURNS = 30, /* of a worker in each of them */
	TURNS_LONG = 90,
	MINE = 400, /* requests of a run */
	NEVER = UINT32_MAX
};

/* For each request and how far it came: the number of changes when that was begun,
 * flushed, made durable. */
struct when {
	uint32_t begun, flushed, durable;
	uint32_t waits; /* 1: for a flush */
};

static struct when when[MINE][DONE + 1];
static struct datadir dir;
static uint32_t seed;

/* ---- time ---- */

static int64_t now_us;

static void
test_clock(struct moment *m)
{
	m->mono_us = now_us;
	m->unix_ms = 1795363200000 + now_us / 1000;
}

/* ---- a device that is full now and then ---- */

static bool is_full;

static ssize_t
full_write(int fd, const void *p, size_t n)
{
	if (!is_full)
		return system_io.write(fd, p, n);
	if (power_dice(&seed, 2) == 0 && n > 1) {
		is_full = false; /* some of it, and the rest not */
		return system_io.write(fd, p, 1 + power_dice(&seed, (uint32_t)n - 1));
	}
	errno = ENOSPC;
	return -1;
}

static ssize_t
then_full_write(int fd, const void *p, size_t n)
{
	static bool was_short;
	ssize_t done;

	if (was_short) {
		was_short = false;
		errno = ENOSPC;
		return -1;
	}
	was_short = is_full;
	done = full_write(fd, p, n);
	was_short = was_short && done > 0;
	return done;
}

/* ---- the store ---- */

struct house {
	struct storage *storage;
	struct spool *spool[WORKERS];
	struct life life[WORKERS][LIVES];
};

static struct storage *
open_storage(unsigned sync_ms, struct err *e)
{
	struct storage_options o = {
		.data = &dir,
		.sync_ms = sync_ms,
		.batch_ms = 1000000, /* moves when it is told to */
		.uncertain = DB_UNCERTAIN_INPUT,
		.content_queue_bytes = 1 << 20,
	};

	if (datadir_open(in_dir("here/data"), DATADIR_SERVE, &dir, e) != ST_OK)
		return NULL;
	return storage_open(&o, e);
}

static void
start_house(struct house *h, unsigned sync_ms)
{
	struct err e;

	h->storage = open_storage(sync_ms, &e);
	assert_non_null(h->storage);
	for (unsigned w = 0; w < WORKERS; w++) {
		struct spool_options o = {
			.dir = in_dir("here/data/spool"),
			.worker = w,
			.boot = dir.boot,
			.segment_bytes = 3000,
			.buffer_bytes = 1 << 20,
		};
		static char kept[WORKERS][POWER_PATH];

		(void)snprintf(kept[w], sizeof(kept[w]), "%s", o.dir);
		o.dir = kept[w];
		h->spool[w] = spool_open(&o, &e);
		assert_non_null(h->spool[w]);
		for (int i = 0; i < LIVES; i++)
			h->life[w][i] = (struct life){ .step = DONE };
	}
	assert_int_equal(storage_start(h->storage, h->spool, WORKERS, &e), ST_OK);
}

static void
stop_house(struct house *h)
{
	storage_stop(h->storage);
	for (unsigned w = 0; w < WORKERS; w++)
		spool_close(h->spool[w]);
	datadir_close(&dir);
}

/* ---- a run, and when each of its steps was safe ---- */

static uint32_t
changes(void)
{
	uint32_t n;

	power_lock();
	n = (uint32_t)power.count;
	power_unlock();
	return n;
}

static bool
is_of(uint64_t number, unsigned worker)
{
	return number % WORKERS == worker;
}

/* Requests are dealt to the workers in turn, so that a number tells whose it is. */
static void
begin_request(struct life *l, unsigned worker)
{
	do
		life_begin(l, &seed);
	while (!is_of(l->number, worker));
	must(l->number < MINE);
}

/* Each life goes a step on now and then. What could not be written: reservations are
 * forgotten, the rest waits. */
static void
work_turn(struct house *h, unsigned w)
{
	struct life *lives = h->life[w], was[LIVES];

	memcpy(was, lives, sizeof(was));
	for (int i = 0; i < LIVES; i++) {
		struct life *l = &lives[i];

		if (power_dice(&seed, 4) != 0)
			continue;
		if (l->step == DONE && atomic_load(&notes->next) + LIVES >= MINE)
			continue;
		if (l->step == DONE)
			begin_request(l, w);
		was[i] = *l;
		l->step = (uint8_t)step_request(h->spool[w], l);
		if (when[l->number][l->step].begun == NEVER)
			when[l->number][l->step].begun = changes();
		when[l->number][l->step].waits = 1;
	}
	is_full = power_dice(&seed, 12) == 0;
	if (spool_flush(h->spool[w]) != ST_OK) {
		for (int i = 0; i < LIVES; i++) {
			if (lives[i].step != RESERVED && lives[i].step != AGAIN)
				continue;
			if (lives[i].step != was[i].step)
				when[lives[i].number][lives[i].step].waits = 0;
			lives[i] = was[i];
		}
		is_full = false;
		return;
	}
	is_full = false;
	for (uint64_t n = 0; n < atomic_load(&notes->next); n++) {
		for (int k = RESERVED; is_of(n, w) && k <= DONE; k++) {
			if (when[n][k].waits == 1 && when[n][k].flushed == NEVER)
				when[n][k].flushed = changes();
		}
	}
}

static void
make_durable(struct house *h, unsigned w)
{
	assert_int_equal(spool_sync(h->spool[w]), ST_OK);
	for (uint64_t n = 0; n < atomic_load(&notes->next); n++) {
		for (int k = RESERVED; is_of(n, w) && k <= DONE; k++) {
			if (when[n][k].flushed != NEVER && when[n][k].durable == NEVER)
				when[n][k].durable = changes();
		}
	}
}

static void
move_only(void *arg, struct db *d)
{
	(void)arg;
	(void)d;
}

static void
move_and_checkpoint(void *arg, struct db *d)
{
	(void)arg;
	db_checkpoint(d);
}

static void
live(unsigned sync_ms, int turns)
{
	struct house h;

	for (int house = 0; house < HOUSES; house++) {
		start_house(&h, sync_ms);
		for (int turn = 0; turn < turns; turn++) {
			unsigned w = power_dice(&seed, WORKERS);

			now_us += 200000; /* a device that failed may be tried again */
			work_turn(&h, w);
			if (power_dice(&seed, 4) == 0)
				make_durable(&h, power_dice(&seed, WORKERS));
			if (power_dice(&seed, 8) == 0)
				storage_call(h.storage, move_only, NULL);
			if (power_dice(&seed, 40) == 0)
				storage_call(h.storage, move_and_checkpoint, NULL);
		}
		stop_house(&h);
	}
}

/* ---- after the power came back ---- */

/* What the notes allow after the first `cut` changes. */
static void
allow(size_t cut, enum power_loss loss)
{
	for (uint64_t n = 0; n < atomic_load(&notes->next) && n < MINE; n++) {
		uint8_t least = NOTHING, most = NOTHING;

		for (uint8_t k = RESERVED; k <= DONE; k++) {
			const struct when *t = &when[n][k];

			if (t->begun != NEVER && t->begun < cut)
				most = k;
			if (t->durable <= cut ||
			    (loss == LOSS_NOTHING && t->flushed <= cut))
				least = k;
		}
		atomic_store(&notes->known[n], least);
		/* settled, and the trace behind it torn off, counts as one before the
		 * last */
		notes->most[n] = most;
	}
}

static void
remove_disk(void)
{
	assert_int_equal(nftw(in_dir("here"), remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void
start_and_judge(struct verdict *v)
{
	struct err e = { "" };
	struct storage *s = open_storage(0, &e);

	if (s == NULL)
		print_error("%s\n", e.text);
	assert_non_null(s);
	judge(storage_db(s), v);
	storage_stop(s);
	datadir_close(&dir);
}

struct tally {
	unsigned disks, disks_of_recovery, by_end[DONE + 1];
};

static void
add_up(struct tally *t, const struct verdict *v)
{
	for (int k = 0; k <= DONE; k++)
		t->by_end[k] += v->by_end[k];
}

/* The power fails again, while a store recovers from its failure. */
static void
cut_recovery(struct power_image *disk, size_t cut, enum power_loss loss, struct tally *t)
{
	struct change *list = power.list;
	size_t count = power.count, points;
	struct power_image first = power.first;
	struct verdict v;

	power.list = NULL;
	power.count = power.cap = 0;
	remove_disk();
	power_make(disk);
	power_on(disk);
	start_and_judge(&v);
	power_off();
	points = power.count;
	power_seal(power.list, points);
	for (int i = 0; i < 8; i++) {
		size_t at = power_dice(&seed, (uint32_t)points + 1);
		struct power_image *again = power_image(&power.first, power.list, at,
		    power_dice(&seed, LOSS_KINDS), power_dice(&seed, 1 << 24));

		remove_disk();
		power_make(again);
		power_free_image(again);
		allow(cut, loss);
		start_and_judge(&v);
		t->disks_of_recovery++;
	}
	power_forget(power.list, power.count);
	power.list = list;
	power.count = power.cap = count;
	power.first = first;
}

static void
cut_at(size_t cut, enum power_loss loss, struct tally *t)
{
	struct power_image *disk =
	    power_image(&power.first, power.list, cut, loss, power_dice(&seed, 1 << 24));
	struct verdict v;

	remove_disk();
	power_make(disk);
	allow(cut, loss);
	if (getenv("TEST_LOG") != NULL)
		print_message("cut %zu of %zu, loss %d\n", cut, power.count, (int)loss);
	start_and_judge(&v);
	add_up(t, &v);
	t->disks++;
	if (power_dice(&seed, 40) == 0)
		cut_recovery(disk, cut, loss, t);
	power_free_image(disk);
}

static void
one_run(unsigned sync_ms, bool is_long, struct tally *t)
{
	static struct power_image empty = {
		.file = { { .path = "here", .is_dir = true } }, .files = 1
	};
	const char *given = getenv("LATENZA_POWER_STEP");
	size_t step = given != NULL ? (size_t)strtoul(given, NULL, 10) : 1;

	assert_true(step > 0);
	notes = calloc(1, sizeof(*notes));
	assert_non_null(notes);
	memset(when, 0xff, sizeof(when));
	power.list = NULL;
	power.count = power.cap = 0;
	remove_disk();
	power_make(&empty);
	io.write = then_full_write;
	power_on(&empty);
	live(sync_ms, is_long ? TURNS_LONG : TURNS);
	power_off();
	io = system_io;
	power_seal(power.list, power.count);
	for (size_t cut = 0; cut <= power.count; cut += step) {
		cut_at(cut, 1 + power_dice(&seed, LOSS_KINDS - 1), t);
		if (is_long)
			cut_at(cut, LOSS_ALL, t);
		if (cut % 8 == 0)
			cut_at(cut, LOSS_NOTHING, t);
	}
	power_forget(power.list, power.count);
	free(notes);
}

static void
the_power_fails_at_every_point(void **state)
{
	const char *runs = getenv("LATENZA_POWER"), *given = getenv("LATENZA_SEED");
	unsigned count = runs != NULL ? (unsigned)strtoul(runs, NULL, 10) : 1;
	struct tally t = { 0 };
	struct err e;

	(void)state;
	seed = given != NULL ? (uint32_t)strtoul(given, NULL, 10) : (uint32_t)time(NULL);
	print_message("LATENZA_SEED=%u\n", seed);
	assert_int_equal(db_start(&e), ST_OK);
	power_install();
	clock_set_source(test_clock);
	for (unsigned i = 0; i < count; i++)
		one_run(i % 2 == 0 ? 1000000 : 0, runs != NULL, &t);
	print_message("%u disks, %u of recovery: %u reserved, %u failed over, %u again, "
		      "%u done\n",
	    t.disks, t.disks_of_recovery, t.by_end[RESERVED], t.by_end[FAILED],
	    t.by_end[AGAIN], t.by_end[DONE]);
	assert_true(t.by_end[RESERVED] > 0 && t.by_end[DONE] > 0);
}

/* In memory, where there is such a place: what is synced is what power.h says. */
static int
set_up(void **state)
{
	if (fixture_set_up(state) != 0)
		return 1;
	if (access("/dev/shm", W_OK) == 0) {
		assert_int_equal(rmdir(test_dir), 0);
		(void)snprintf(
		    test_dir, sizeof(test_dir), "/dev/shm/latenza-test-XXXXXX");
		assert_non_null(mkdtemp(test_dir));
	}
	return mkdir(in_dir("here"), 0700);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    the_power_fails_at_every_point, set_up, fixture_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
