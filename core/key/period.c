/* period.c - days, weeks and months of budgets, in the process's time zone.
 *
 * The time zone data is libc's. What is asked of it is only "which date is it at this
 * instant": mktime() answers differently for a midnight that does not exist or exists
 * twice, depending on what it was asked before (glibc keeps its last guess), and the end
 * of a period must be the start of the next one to the second. So the first second of a
 * date is searched for with localtime_r(); a roll-over happens once a period, and costs
 * 40 such calls.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key/ledger.h"

#include <stdio.h>
#include <time.h>

enum {
	DAY_S = 86400,
	DAYS_TO_MONDAY = 3 /* 1970-01-01 was a Thursday */
};

/* The year 9900: beyond it labels would need a fifth digit. */
static const int64_t latest_s = INT64_C(250000000000);

struct date {
	int year, month, day; /* month and day from 1 */
};

static int64_t
day_of(struct date d)
{
	struct tm tm = {
		.tm_year = d.year - 1900, .tm_mon = d.month - 1, .tm_mday = d.day
	};

	return (int64_t)timegm(&tm) / DAY_S;
}

static struct date
date_of(int64_t day)
{
	time_t at = (time_t)(day * DAY_S);
	struct tm tm;

	gmtime_r(&at, &tm);
	return (struct date){ tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday };
}

/* The calendar's day, counted from 1970-01-01, that clocks on the wall show at an
 * instant. */
static int64_t
local_day(int64_t unix_s)
{
	time_t at = (time_t)unix_s;
	struct tm tm;
	int64_t wall;

	localtime_r(&at, &tm);
	wall = unix_s + tm.tm_gmtoff;
	return (wall >= 0 ? wall : wall - (DAY_S - 1)) / DAY_S;
}

/* The instant at which a day begins. POSIX allows a zone a whole day of difference from
 * UTC, hence the two days on either side. Where clocks go back across midnight the date
 * comes twice; the search settles on one of the two, and always on the same. */
static int64_t
first_second(int64_t day)
{
	int64_t before = (day - 2) * DAY_S, at = (day + 2) * DAY_S;

	while (at - before > 1) {
		int64_t middle = before + (at - before) / 2;

		if (local_day(middle) >= day)
			at = middle;
		else
			before = middle;
	}
	return at;
}

static int64_t
first_day(enum key_period kind, int64_t day)
{
	struct date d = date_of(day);

	switch (kind) {
	case PERIOD_WEEK:
		return day - (day + DAYS_TO_MONDAY) % 7;
	case PERIOD_MONTH:
		return day - (d.day - 1);
	default:
		return day;
	}
}

static int64_t
next_day(enum key_period kind, int64_t first)
{
	struct date d = date_of(first);

	switch (kind) {
	case PERIOD_WEEK:
		return first + 7;
	case PERIOD_MONTH:
		return day_of((struct date){ d.year, d.month + 1, 1 });
	default:
		return first + 1;
	}
}

/* ISO 8601: a week belongs to the year that has its Thursday. */
static void
label_week(int64_t monday, char *out, size_t n)
{
	int year = date_of(monday + 3).year;
	int64_t of_year = monday + 3 - day_of((struct date){ year, 1, 1 });

	snprintf(out, n, "week:%04u-W%02u", (unsigned)year % 10000,
	    (unsigned)(of_year / 7 + 1) % 100);
}

static void
label(enum key_period kind, int64_t first, char *out, size_t n)
{
	struct date d = date_of(first);
	unsigned year = (unsigned)d.year % 10000, month = (unsigned)d.month % 100;

	switch (kind) {
	case PERIOD_WEEK:
		label_week(first, out, n);
		break;
	case PERIOD_MONTH:
		snprintf(out, n, "month:%04u-%02u", year, month);
		break;
	default:
		snprintf(
		    out, n, "day:%04u-%02u-%02u", year, month, (unsigned)d.day % 100);
		break;
	}
}

void
period_at(enum key_period kind, int64_t unix_ms, struct period *out)
{
	int64_t s = unix_ms / 1000, first, start, end;

	must(kind < PERIOD_KINDS);
	s = s < 0 ? 0 : s > latest_s ? latest_s : s;
	first = first_day(kind, local_day(s));
	/* Around a midnight that comes twice the date alone may name the neighbour. */
	for (;;) {
		start = first_second(first);
		end = first_second(next_day(kind, first));
		if (s < start)
			first = first_day(kind, first - 1);
		else if (s >= end)
			first = next_day(kind, first);
		else
			break;
	}
	out->start_unix_ms = start * 1000;
	out->end_unix_ms = end * 1000;
	label(kind, first, out->label, sizeof(out->label));
}
