/* request.c - what is asked of a chat: OpenAI's members become generationConfig, tools
 * and the rest.
 *
 * One table names every member that there is; what is in none of its rows has no word at
 * Google's, is left out and told. Values that need no change go by reference.
 *
 * SPDX-License-Identifier: MIT
 */
#include "google.h"

enum {
	BUDGET_PRO_LEAST = 128, /* gemini-2.5-pro cannot not think */
	VERDICT_BYTES = 96
};

struct row;
typedef void member_fn(struct work *w, const struct row *row, const lz_json *value);

struct row {
	const char *name;
	member_fn *fn;    /* NULL: it is read elsewhere, or says nothing to a model */
	const char *twin; /* its name in generationConfig */
	int32_t type;     /* of its value */
};

/* ---- members that are the same under another name ---- */

static void
wrong_type(struct work *w, const struct row *row)
{
	char *text = lz->alloc(w->c, VERDICT_BYTES);
	size_t n = strlen(row->name);
	static const char what[] = "' is of the wrong type";

	if (text == NULL || n + sizeof(what) + 2 > VERDICT_BYTES) {
		w->is_short = 1;
		return;
	}
	text[0] = '\'';
	memcpy(text + 1, row->name, n);
	memcpy(text + 1 + n, what, sizeof(what));
	work_refuse(w, LZ_UPSTREAM_CALLER, row->name, text);
}

static int
is_type(const lz_json *value, int32_t type)
{
	int32_t is = lz->json_type(value);

	return is == type || (type == LZ_REAL && is == LZ_INT);
}

static void
copy(struct work *w, const struct row *row, const lz_json *value)
{
	if (is_type(value, row->type))
		work_set(w, work_config(w), row->twin, value);
	else
		wrong_type(w, row);
}

static void
choices(struct work *w, const struct row *row, const lz_json *value)
{
	if (lz->json_int(value, 1) > CHOICES_MAX)
		work_refuse(w, LZ_UPSTREAM_UNABLE, "n",
		    "Gemini gives at most 8 choices; ask for fewer");
	else if (lz->json_int(value, 1) > 1)
		copy(w, row, value);
}

static void
stop(struct work *w, const struct row *row, const lz_json *value)
{
	lz_json *list;

	if (lz->json_type(value) == LZ_ARRAY) {
		copy(w, row, value);
		return;
	}
	if (lz->json_type(value) != LZ_STRING) {
		wrong_type(w, row);
		return;
	}
	list = work_array(w);
	work_append(w, list, value);
	work_set(w, work_config(w), row->twin, list);
}

/* ---- what is refused, what is left out ---- */

/* false, {}, [] and "" ask for nothing. */
static int
asks_for_something(const lz_json *value)
{
	switch (lz->json_type(value)) {
	case LZ_BOOL:
		return lz->json_bool(value, 0);
	case LZ_STRING:
		return lz->json_str(value, lz_strz("")).len > 0;
	case LZ_OBJECT:
	case LZ_ARRAY:
		return lz->json_len(value) > 0;
	default:
		return lz->json_type(value) != LZ_NULL;
	}
}

static void
unable(struct work *w, const struct row *row, const lz_json *value)
{
	if (asks_for_something(value))
		work_refuse(w, LZ_UPSTREAM_UNABLE, row->name,
		    "Gemini has nothing that does what this parameter asks for");
}

static void
parallel(struct work *w, const struct row *row, const lz_json *value)
{
	if (!lz->json_bool(value, 1))
		work_drop(w, lz_strz(row->name));
}

/* "auto" and "default" are what Google does anyway. */
static void
tier(struct work *w, const struct row *row, const lz_json *value)
{
	lz_str s = lz->json_str(value, lz_strz(""));

	if (!lz_eq(s, "auto") && !lz_eq(s, "default"))
		work_drop(w, lz_strz(row->name));
}

/* ---- how the answer looks ---- */

static void
modalities(struct work *w, const struct row *row, const lz_json *value)
{
	lz_json *list = work_array(w);
	size_t n = lz->json_len(value);

	for (size_t i = 0; i < n; i++) {
		lz_str kind = lz->json_str(lz->json_item(value, i, NULL), lz_strz(""));
		const char *twin = lz_eq(kind, "text")    ? "TEXT"
				   : lz_eq(kind, "image") ? "IMAGE"
							  : NULL;

		if (twin == NULL) {
			work_refuse(w, LZ_UPSTREAM_UNABLE, row->name,
			    "only text and image can be asked of Gemini here");
			return;
		}
		work_append(w, list, lz->json_of_str(w->c, lz_strz(twin)));
	}
	if (n > 1 ||
	    !lz_eq(lz->json_str(lz->json_item(value, 0, NULL), lz_strz("text")), "text"))
		work_set(w, work_config(w), row->twin, list);
}

static void
format(struct work *w, const struct row *row, const lz_json *value)
{
	lz_str type = string_at(value, "/type");
	const lz_json *schema = lz->json_at(value, "/json_schema/schema");

	if (lz_eq(type, "text"))
		return;
	if (!lz_eq(type, "json_object") && !lz_eq(type, "json_schema")) {
		work_refuse(w, LZ_UPSTREAM_UNABLE, row->name,
		    "Gemini knows the formats text, json_object and json_schema");
		return;
	}
	work_set_word(w, work_config(w), row->twin, "application/json");
	if (lz_eq(type, "json_schema") && schema != NULL)
		work_set(w, work_config(w), "responseJsonSchema", schema);
}

static void
probabilities(struct work *w, const struct row *row, const lz_json *value)
{
	if (lz->json_type(value) != LZ_BOOL)
		wrong_type(w, row);
	else if (lz->json_bool(value, 0))
		work_set(w, work_config(w), row->twin, value);
}

/* 0: the chosen tokens alone, which responseLogprobs asks for. */
static void
top_probabilities(struct work *w, const struct row *row, const lz_json *value)
{
	if (lz->json_int(value, 1) != 0)
		copy(w, row, value);
}

/* ---- thinking ---- */

/* Google's own mapping of the words. Which levels a model lacks is a matter of its name.
 */
static const struct {
	const char *effort;
	int32_t budget;
	const char *level;
} efforts[] = {
	{ "none", 0, "minimal" },
	{ "minimal", 1024, "minimal" },
	{ "low", 1024, "low" },
	{ "medium", 8192, "medium" },
	{ "high", 24576, "high" },
	{ "xhigh", 24576, "high" },
};

static void
set_thinking(struct work *w, size_t i)
{
	int is_pro = contains(lz->chosen(w->c)->upstream_model, "-pro");
	int32_t budget = efforts[i].budget;
	const char *level = efforts[i].level;
	lz_json *thinking = work_object(w);
	int is_less = lz_eq(lz_strz(efforts[i].effort), "xhigh");

	if (w->generation < GENERATION_LEVELS) {
		if (budget == 0 && is_pro) {
			budget = BUDGET_PRO_LEAST;
			is_less = 1;
		}
		work_set(w, thinking, "thinkingBudget", lz->json_of_int(w->c, budget));
	} else {
		if (is_pro && lz_eq(lz_strz(level), "minimal")) {
			level = "low";
			is_less = 1;
		}
		/* The least that there is, but not nothing. */
		is_less |= i == 0;
		work_set_word(w, thinking, "thinkingLevel", level);
	}
	if (i > 0)
		work_set(w, thinking, "includeThoughts", lz->json_of_bool(w->c, 1));
	if (is_less)
		work_drop(w, lz_strz("reasoning_effort"));
	work_set(w, work_config(w), "thinkingConfig", thinking);
}

static void
effort(struct work *w, const struct row *row, const lz_json *value)
{
	lz_str word = lz->json_str(value, lz_strz(""));

	for (size_t i = 0; i < sizeof(efforts) / sizeof(efforts[0]); i++) {
		if (!lz_eq(word, efforts[i].effort))
			continue;
		if (w->thinks)
			set_thinking(w, i);
		else if (i > 0) /* it does not think */
			work_drop(w, lz_strz(row->name));
		return;
	}
	work_refuse(w, LZ_UPSTREAM_CALLER, row->name,
	    "'reasoning_effort' is none, minimal, low, medium, high or xhigh");
}

/* ---- tools ---- */

static void
declare(struct work *w, lz_json *list, const lz_json *tool)
{
	static const char *const texts[] = { "/name", "/description" };
	const lz_json *function = lz->json_at(tool, "/function");
	const lz_json *parameters = lz->json_at(function, "/parameters");
	lz_json *declared;

	if (!lz_eq(string_at(tool, "/type"), "function")) {
		work_refuse(w, LZ_UPSTREAM_UNABLE, "tools",
		    "of the tools, Gemini takes functions here");
		return;
	}
	if (string_at(function, "/name").len == 0) {
		work_refuse(w, LZ_UPSTREAM_CALLER, "tools", "a function has no name");
		return;
	}
	declared = work_object(w);
	for (size_t i = 0; i < 2; i++) {
		const lz_json *text = lz->json_at(function, texts[i]);

		if (lz->json_type(text) == LZ_STRING)
			work_set(w, declared, texts[i] + 1, text);
	}
	if (lz->json_type(parameters) == LZ_OBJECT)
		work_set(w, declared, "parametersJsonSchema", parameters);
	if (lz->json_bool(lz->json_at(function, "/strict"), 0))
		work_drop(w, lz_strz("tools.strict"));
	work_append(w, list, declared);
}

static void
tools(struct work *w, const struct row *row, const lz_json *value)
{
	lz_json *declarations = work_array(w), *tool = work_object(w),
		*list = work_array(w);
	size_t n = lz->json_len(value);

	(void)row;
	for (size_t i = 0; i < n && work_goes_on(w); i++)
		declare(w, declarations, lz->json_item(value, i, NULL));
	if (n == 0)
		return;
	work_set(w, tool, "functionDeclarations", declarations);
	work_append(w, list, tool);
	work_set(w, w->out, "tools", list);
}

static void
add_allowed(struct work *w, lz_json *calling, const lz_json *tool)
{
	lz_json *names = work_array(w);

	work_append(w, names, lz->json_at(tool, "/function/name"));
	work_set(w, calling, "allowedFunctionNames", names);
}

/* {"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[...]}} */
static const char *
allowed_tools(struct work *w, lz_json *calling, const lz_json *allowed)
{
	const lz_json *list = lz->json_at(allowed, "/tools");
	lz_json *names = work_array(w);

	for (size_t i = 0, n = lz->json_len(list); i < n; i++)
		work_append(w, names,
		    lz->json_at(lz->json_item(list, i, NULL), "/function/name"));
	work_set(w, calling, "allowedFunctionNames", names);
	return lz_eq(string_at(allowed, "/mode"), "required") ? "ANY" : "VALIDATED";
}

static void
tool_choice(struct work *w, const struct row *row, const lz_json *value)
{
	static const char *const words[][2] = { { "auto", "AUTO" }, { "required", "ANY" },
		{ "none", "NONE" } };
	lz_str word = lz->json_str(value, string_at(value, "/type"));
	lz_json *calling = work_object(w), *config = work_object(w);
	const char *mode = NULL;

	if (lz->json_len(lz->json_at(w->body, "/tools")) == 0)
		return;
	for (size_t i = 0; i < 3 && lz->json_type(value) == LZ_STRING; i++)
		if (lz_eq(word, words[i][0]))
			mode = words[i][1];
	if (lz_eq(word, "function") && string_at(value, "/function/name").len > 0) {
		add_allowed(w, calling, value);
		mode = "ANY";
	} else if (lz_eq(word, "allowed_tools")) {
		mode = allowed_tools(w, calling, lz->json_at(value, "/allowed_tools"));
	}
	if (mode == NULL) {
		work_refuse(w, LZ_UPSTREAM_CALLER, row->name,
		    "'tool_choice' is auto, required, none, or names a function");
		return;
	}
	work_set_word(w, calling, "mode", mode);
	work_set(w, config, "functionCallingConfig", calling);
	work_set(w, w->out, "toolConfig", config);
}

/* ---- all members ---- */

static const struct row rows[] = {
	{ "model", NULL, NULL, 0 },
	{ "messages", NULL, NULL, 0 },
	{ "stream", NULL, NULL, 0 },
	{ "stream_options", NULL, NULL, 0 },
	{ "max_tokens", NULL, NULL, 0 },
	{ "max_completion_tokens", NULL, NULL, 0 },
	{ "temperature", copy, "temperature", LZ_REAL },
	{ "top_p", copy, "topP", LZ_REAL },
	{ "top_k", copy, "topK", LZ_REAL },
	{ "seed", copy, "seed", LZ_INT },
	{ "presence_penalty", copy, "presencePenalty", LZ_REAL },
	{ "frequency_penalty", copy, "frequencyPenalty", LZ_REAL },
	{ "stop", stop, "stopSequences", LZ_ARRAY },
	{ "n", choices, "candidateCount", LZ_INT },
	{ "logprobs", probabilities, "responseLogprobs", LZ_BOOL },
	{ "top_logprobs", top_probabilities, "logprobs", LZ_INT },
	{ "response_format", format, "responseMimeType", 0 },
	{ "modalities", modalities, "responseModalities", LZ_ARRAY },
	{ "reasoning_effort", effort, NULL, 0 },
	{ "tools", tools, NULL, 0 },
	{ "tool_choice", tool_choice, NULL, 0 },
	/* What would change the answer, and cannot be had. */
	{ "logit_bias", unable, NULL, 0 },
	{ "functions", unable, NULL, 0 },
	{ "function_call", unable, NULL, 0 },
	{ "audio", unable, NULL, 0 },
	{ "web_search_options", unable, NULL, 0 },
	/* What says something about the answer, and may be missed. */
	{ "parallel_tool_calls", parallel, NULL, 0 },
	{ "service_tier", tier, NULL, 0 },
	/* For OpenAI's own books: nothing of the answer changes. */
	{ "user", NULL, NULL, 0 },
	{ "safety_identifier", NULL, NULL, 0 },
	{ "prompt_cache_key", NULL, NULL, 0 },
	{ "metadata", NULL, NULL, 0 },
};

static const struct row *
find_row(lz_str name)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (lz_eq(name, rows[i].name))
			return &rows[i];
	return NULL;
}

static void
translate_member(struct work *w, lz_str name, const lz_json *value)
{
	const struct row *row = find_row(name);

	if (lz->json_type(value) == LZ_NULL)
		return;
	if (row == NULL && asks_for_something(value))
		work_drop(w, name);
	else if (row != NULL && row->fn != NULL)
		row->fn(w, row, value);
}

static void
set_safety(struct work *w)
{
	static const char *const thresholds[] = { NULL, "OFF", "BLOCK_NONE",
		"BLOCK_ONLY_HIGH", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_LOW_AND_ABOVE" };
	static const char *const categories[] = { "HARM_CATEGORY_HARASSMENT",
		"HARM_CATEGORY_HATE_SPEECH", "HARM_CATEGORY_SEXUALLY_EXPLICIT",
		"HARM_CATEGORY_DANGEROUS_CONTENT" };
	const char *threshold = thresholds[w->self->safety];
	lz_json *list;

	if (threshold == NULL)
		return;
	list = work_array(w);
	for (size_t i = 0; i < sizeof(categories) / sizeof(categories[0]); i++) {
		lz_json *setting = work_object(w);

		work_set_word(w, setting, "category", categories[i]);
		work_set_word(w, setting, "threshold", threshold);
		work_append(w, list, setting);
	}
	work_set(w, w->out, "safetySettings", list);
}

void
request_translate(struct work *w)
{
	size_t n = lz->json_len(w->body);
	int64_t limit = lz->request(w->c)->output_limit;
	lz_str name;

	content_translate(w, lz->json_at(w->body, "/messages"));
	for (size_t i = 0; i < n && work_goes_on(w); i++) {
		const lz_json *value = lz->json_item(w->body, i, &name);

		translate_member(w, name, value);
	}
	if (limit > 0)
		work_set(
		    w, work_config(w), "maxOutputTokens", lz->json_of_int(w->c, limit));
	set_safety(w);
	if (w->config != NULL)
		work_set(w, w->out, "generationConfig", w->config);
}
