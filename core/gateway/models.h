/* models.h - GET /v1/models and /v1/models/{id}: what the key may use.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GATEWAY_MODELS_H
#define GATEWAY_MODELS_H

#include "request/request.h"

void models_list(struct request *r);
void models_show(struct request *r);

#endif
