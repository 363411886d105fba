/* fault.c - the fault table, made from FAULT_ROWS.
 *
 * SPDX-License-Identifier: MIT
 */
#include "request/fault.h"

#include <stddef.h>
#include "base/metric.h"
#include "base/status.h"

static const struct fault_row rows[FAULT_COUNT] = {
	[FAULT_NONE] = { 200, NULL, NULL, RETRY_UNSAID, 0, "ok" },
#define FAULT_ROW(id, status, type, code, retry, seconds) \
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
	static const char *labels[FAULT_COUNT];

	for (unsigned i = 0; i < FAULT_COUNT; i++)
		labels[i] = rows[i].label;
	metric_label_names(METRIC_REQUESTS, labels, FAULT_COUNT);
}

enum fault
fault_of_wire(int status)
{
	for (unsigned i = 1; i < FAULT_COUNT; i++)
		if (rows[i].status == status)
			return (enum fault)i;
	return FAULT_BAD_REQUEST;
}
