/* object.h - what a loaded shared object exports, and which libraries it wants.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLUGIN_OBJECT_H
#define PLUGIN_OBJECT_H

/* Calls fn with the name of each symbol that the object of dlopen() defines for others,
 * but for names that begin with an underscore, which are the tool chain's. */
void object_each_export(void *handle, void (*fn)(void *arg, const char *name), void *arg);
/* ... of each library that it names as needed. */
void object_each_needed(void *handle, void (*fn)(void *arg, const char *name), void *arg);

#endif
