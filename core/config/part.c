/* part.c - the seam to whoever makes parts, and their counting.
 *
 * config/ stands below plugin/ and lua/, so it cannot call them: they register here at
 * start.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/part.h"

static const struct part_ops *ops; /* start-up state: written once, before threads */

void
part_set_ops(const struct part_ops *o)
{
	ops = o;
}

const struct part_ops *
part_get_ops(void)
{
	return ops;
}

void
part_ref(struct part *p)
{
	(void)atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
}

void
part_unref(struct part *p)
{
	if (p == NULL)
		return;
	/* acq_rel: what the others did with the part happens before its end. */
	if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1)
		ops->destroy(p);
}
