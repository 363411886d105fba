/* calls.c - the tool calls of an answer as lz->tool_calls() lists them: those of all
 * choices in one list, the old `function_call` too.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plugin/calls.h"

#include "base/json.h"

static bool
add(json_t *list, json_int_t choice, json_t *call)
{
	if (call != NULL && json_is_object(call) &&
	    json_object_set_new(call, "choice", json_integer(choice)) == 0)
		return json_array_append_new(list, call) == 0;
	json_decref(call);
	return false;
}

bool
calls_add(json_t *list, json_int_t choice, const json_t *message)
{
	json_t *legacy = json_object_get(message, "function_call"), *one;
	bool is_fine = true;
	size_t i;

	json_array_foreach(json_object_get(message, "tool_calls"), i, one)
	{
		if (json_is_object(one))
			is_fine &= add(list, choice, json_copy(one));
	}
	if (json_object_size(legacy) > 0)
		is_fine &= add(list, choice, json_pack("{s:O}", "function", legacy));
	return is_fine;
}

json_t *
calls_of_answer(const json_t *answer)
{
	json_t *list = json_array(), *one;
	bool is_fine = list != NULL;
	size_t i;

	json_array_foreach(json_object_get(answer, "choices"), i, one) is_fine =
	    is_fine && calls_add(list, json_get_int(one, "index", (int64_t)i),
			   json_object_get(one, "message"));
	if (is_fine && json_array_size(list) > 0)
		return list;
	json_decref(list);
	return NULL;
}
