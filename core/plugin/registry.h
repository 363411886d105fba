/* registry.h - plugins: found, checked, opened, listed; their components made into parts.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLUGIN_REGISTRY_H
#define PLUGIN_REGISTRY_H

#include "config/part.h"

/* Registers plugin/ as the maker of parts. dirs: where plugins are looked for by name, in order, NULL-terminated, kept:
 * $LATENZA_PLUGIN_PATH, the build tree when the program runs from one, libdir. [start] */
void registry_start(const char *const *dirs);
/* The directories as main.c should pass them; owned by the process. [start] */
const char *const *registry_default_dirs(const char *argv0);

/* Opens one file and says what is wrong with it, each refusal in its own sentence. is_named_by_person: owner and mode
 * only warn. ST_OK: opened (or was open). [main] */
enum status registry_open(lz_str name_or_path, lz_str sha256, bool strict, bool is_named_by_person, struct err *e) MUST_CHECK;
/* All plugins in the directories; for `plugin list`. Files that cannot be opened are shown with the reason. */
void registry_each_file(void (*fn)(void *arg, const char *path, const char *problem), void *arg);
/* `latenza plugin check FILE`: loads it in a child process with a time limit, checks the symbol, sizes, options (their
 * defaults and nonsense), 1,000 times make and destroy, and prints one line per check. Number of failures. [main] */
int registry_check(const char *path, void (*say)(void *arg, bool is_ok, const char *what), void *arg);

#endif
