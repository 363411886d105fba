/* small_catalogue.h - a catalogue of three models in place of the built-in one, for a
 * program in which a load is to be quick. Included once: the program's own is linked
 * first.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SMALL_CATALOGUE_H
#define TESTS_SMALL_CATALOGUE_H

#include <stddef.h>

extern const char models_json[];
extern const size_t models_json_len;
const char models_json[] =
    "{\"vendors\":{\"openai\":{\"env\":\"OPENAI_API_KEY\"},\"echo\":{\"test\":true}},"
    "\"models\":[{\"id\":\"gpt-4o\",\"vendor\":\"openai\",\"context_window\":128000,"
    "\"price_input_per_mtok\":2.5,\"price_output_per_mtok\":10},"
    "{\"id\":\"echo-1\",\"vendor\":\"echo\",\"price\":\"free\"},"
    "{\"id\":\"echo-large\",\"vendor\":\"echo\",\"context_window\":131072,"
    "\"price\":\"free\"}]}";
const size_t models_json_len = sizeof(models_json) - 1;

#endif
