/* cppcheck.h - jansson's loops as cppcheck can read them: the true ones assign in their
 * conditions.
 *
 * SPDX-License-Identifier: MIT
 */
#define json_array_foreach(a, i, v)                                                      \
	for ((i) = 0;                                                                    \
	     (i) < json_array_size(a) && ((v) = json_array_get((a), (i))) != NULL;       \
	     (i)++)
#define json_object_foreach(o, k, v)                                                     \
	for ((k) = json_object_iter_key(json_object_iter(o));                            \
	     (k) != NULL && ((v) = json_object_get((o), (k))) != NULL;                   \
	     (k) = json_object_iter_key(json_object_iter_at((o), (k))))
