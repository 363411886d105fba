/* trace_view.h - one trace as a page for a person. Private to cli/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_TRACE_VIEW_H
#define CLI_TRACE_VIEW_H

#include <jansson.h>
#include <stdbool.h>

/* trace: the result of traces.show. with_content: prompt and answer whole. */
void trace_view(const json_t *trace, bool with_content);

/* Its verdicts alone, where there are any. t: an object with "guardrails". */
void trace_view_guardrails(const json_t *t);
/* Its table of candidates alone, best first. t: an object with "candidates". */
void trace_view_candidates(const json_t *t);

#endif
