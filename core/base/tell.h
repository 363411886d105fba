/* tell.h - the events that operators and, later, webhooks hear of. One row each; what
 * causes one calls tell().
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_TELL_H
#define BASE_TELL_H

#include "base/log.h"

#define TELL_ROWS(X)                                                                     \
	X(BUDGET_THRESHOLD, "budget.threshold", LOG_LEVEL_WARN)                          \
	X(BUDGET_EXCEEDED, "budget.exceeded", LOG_LEVEL_WARN)                            \
	X(BUDGET_RESET, "budget.reset", LOG_LEVEL_INFO)                                  \
	X(RATE_LIMITED, "quota.rate_limited", LOG_LEVEL_DEBUG)                           \
	X(CONCURRENCY, "quota.concurrency", LOG_LEVEL_DEBUG)                             \
	X(PROVIDER_DOWN, "provider.down", LOG_LEVEL_WARN)                                \
	X(PROVIDER_UP, "provider.up", LOG_LEVEL_INFO)                                    \
	X(PROVIDER_CREDENTIALS, "provider.credentials", LOG_LEVEL_ERROR)                 \
	X(FAILOVER_EXHAUSTED, "failover.exhausted", LOG_LEVEL_WARN)                      \
	X(GUARDRAIL_BLOCKED, "guardrail.blocked", LOG_LEVEL_INFO)                        \
	X(GUARDRAIL_FLAGGED, "guardrail.flagged", LOG_LEVEL_INFO)                        \
	X(GUARDRAIL_FAILED, "guardrail.failed", LOG_LEVEL_WARN)                          \
	X(KEY_CREATED, "key.created", LOG_LEVEL_INFO)                                    \
	X(KEY_ROLLED, "key.rolled", LOG_LEVEL_INFO)                                      \
	X(KEY_DISABLED, "key.disabled", LOG_LEVEL_INFO)                                  \
	X(KEY_EXPIRING, "key.expiring", LOG_LEVEL_WARN)                                  \
	X(PRICE_MISSING, "price.missing", LOG_LEVEL_WARN)                                \
	X(RECORD_REFUSED, "storage.record_refused", LOG_LEVEL_ERROR)                     \
	X(CONFIG_REJECTED, "config.rejected", LOG_LEVEL_ERROR)                           \
	X(POLICY_REJECTED, "policy.rejected", LOG_LEVEL_ERROR)                           \
	X(POLICY_DISABLED, "policy.disabled", LOG_LEVEL_ERROR)

enum tell {
#define TELL_ID(id, name, level) TELL_##id,
	TELL_ROWS(TELL_ID)
#undef TELL_ID
	TELL_COUNT
};

/* fmt: key=value pairs, as for log_line(). [any] */
void tell(enum tell what, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
