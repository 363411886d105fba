/* clock.c - reads the system's clocks, or a test's, and writes dates.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/clock.h"

#include <stddef.h>
#include <time.h>

enum {
	MS_PER_DAY = 86400000,
	DAYS_PER_400_YEARS = 146097
};

/* What four digits of a year can say: 0000-01-01T00:00:00.000 to 9999-12-31T23:59:59.999.
 */
static const int64_t first_ms = -62167219200000;
static const int64_t last_ms = 253402300799999;

static void (*source)(struct moment *m);

static struct timespec
system_time(clockid_t id)
{
	struct timespec t;

	/* Cannot fail: both clocks exist and the address is ours. */
	(void)clock_gettime(id, &t);
	return t;
}

static int64_t
system_mono_us(void)
{
	struct timespec t = system_time(CLOCK_MONOTONIC);

	return (int64_t)t.tv_sec * 1000000 + (uint32_t)t.tv_nsec / 1000;
}

static int64_t
system_unix_ms(void)
{
	struct timespec t = system_time(CLOCK_REALTIME);

	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
clock_read(struct moment *m)
{
	if (source != NULL) {
		source(m);
		return;
	}
	m->mono_us = system_mono_us();
	m->unix_ms = system_unix_ms();
}

int64_t
clock_mono_us(void)
{
	struct moment m;

	if (source == NULL)
		return system_mono_us();
	source(&m);
	return m.mono_us;
}

int64_t
clock_unix_ms(void)
{
	struct moment m;

	if (source == NULL)
		return system_unix_ms();
	source(&m);
	return m.unix_ms;
}

void
clock_set_source(void (*read)(struct moment *m))
{
	source = read;
}

/* Writes `digits` decimal places and returns what follows them. */
static char *
put(char *out, int64_t v, int digits)
{
	for (int i = digits - 1; i >= 0; i--, v /= 10)
		out[i] = (char)('0' + v % 10);
	return out + digits;
}

/* Days are counted in years that begin on 1 March, so that the leap day is a year's last
 * and month lengths follow one formula (Howard Hinnant, "chrono-compatible low-level date
 * algorithms"). gmtime_r() would take glibc's time zone lock in every worker. */
static char *
put_date(char *out, int64_t days)
{
	int64_t since = days + 719468; /* 0000-03-01 */
	int64_t era =
	    (since >= 0 ? since : since - (DAYS_PER_400_YEARS - 1)) / DAYS_PER_400_YEARS;
	int64_t day_of_era = since - era * DAYS_PER_400_YEARS;
	int64_t year_of_era =
	    (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) /
	    365;
	int64_t day =
	    day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month_from_march = (5 * day + 2) / 153;
	int64_t month =
	    month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
	int64_t year = era * 400 + year_of_era + (month <= 2);

	out = put(out, year, 4);
	*out++ = '-';
	out = put(out, month, 2);
	*out++ = '-';
	return put(out, day - (153 * month_from_march + 2) / 5 + 1, 2);
}

void
clock_format(int64_t unix_ms, char out[25])
{
	int64_t days, ms;

	if (unix_ms < first_ms)
		unix_ms = first_ms;
	if (unix_ms > last_ms)
		unix_ms = last_ms;
	days = unix_ms / MS_PER_DAY - (unix_ms % MS_PER_DAY < 0);
	ms = unix_ms - days * MS_PER_DAY;
	out = put_date(out, days);
	*out++ = 'T';
	out = put(out, ms / 3600000, 2);
	*out++ = ':';
	out = put(out, ms / 60000 % 60, 2);
	*out++ = ':';
	out = put(out, ms / 1000 % 60, 2);
	*out++ = '.';
	out = put(out, ms % 1000, 3);
	*out++ = 'Z';
	*out = '\0';
}
