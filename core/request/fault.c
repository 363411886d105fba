/* fault.c - the fault table, made from FAULT_ROWS.
 *
 * SPDX-License-Identifier: MIT
 */
#include "request/fault.h"

#include <ctype.h>
#include <stddef.h>
#include "base/metric.h"
#include "base/status.h"

enum {
	LABEL_BYTES = 32
};

static const struct fault_row rows[FAULT_COUNT] = {
	[FAULT_NONE] = { 200, NULL, NULL, RETRY_UNSAID, 0, "ok" },
#define FAULT_ROW(id, status, type, code, retry, seconds)                                \
	[FAULT_##id] = { status, type, code, retry, seconds, #id },
	FAULT_ROWS(FAULT_ROW)
#undef FAULT_ROW
};

const struct fault_row *
fault_row(enum fault f)
{
	must(f < FAULT_COUNT);
	return &rows[f];
}

void
fault_start(void)
{
	static char words[FAULT_COUNT][LABEL_BYTES];
	static const char *labels[FAULT_COUNT];

	for (unsigned i = 0; i < FAULT_COUNT; i++) {
		for (unsigned k = 0; k < LABEL_BYTES - 1 && rows[i].label[k] != 0; k++)
			words[i][k] = (char)tolower((unsigned char)rows[i].label[k]);
		labels[i] = words[i];
	}
	metric_label_names(METRIC_REQUESTS, labels, FAULT_COUNT);
}

enum fault
fault_of_wire(int status)
{
	if (status == fault_row(FAULT_OVERLOADED)->status) /* the first is another */
		return FAULT_OVERLOADED;
	for (unsigned i = 1; i < FAULT_COUNT; i++)
		if (rows[i].status == status)
			return (enum fault)i;
	return FAULT_BAD_REQUEST;
}
