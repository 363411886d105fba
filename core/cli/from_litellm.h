/* from_litellm.h - between the files that convert a configuration of LiteLLM. Private to
 * them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_FROM_LITELLM_H
#define CLI_FROM_LITELLM_H

#include "cli/from.h"

struct litellm {
	struct from *f;
	json_t *groups;      /* deployments by model_name, in the order of the file */
	json_t *access;      /* access groups: lists of model_names */
	json_t *credentials; /* values by credential_name */
	char where[FROM_WHERE / 4]; /* model_list[3] */
};

/* Does the catalogue know the model? */
bool litellm_is_catalogued(const char *id);
/* Says whether weights are used at all. */
void litellm_strategy(struct litellm *l);
/* Everything else but model_list. */
void litellm_settings(struct litellm *l);

#endif
