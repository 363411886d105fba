/* limits.c - what a request may ask for: how much text, which models, tools and
 * parameters.
 *
 * What a request is made of decides, not what it says: sizes and models are here,
 * parameters and tools in files of their own. A request that asks for more is refused
 * with a sentence, or, where that can be done honestly, changed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "limits.h"

#include <stdarg.h>
#include <stdio.h>

enum {
	SENTENCE_MAX = 300, /* longer than any sentence with a name */
	NAME_MAX = 100
};

int
shown(lz_str name)
{
	size_t n = name.len < NAME_MAX ? name.len : NAME_MAX;

	while (n > 0 && n < name.len && ((unsigned char)name.ptr[n] & 0xc0) == 0x80)
		n--;
	return (int)n;
}

int32_t
refuse(lz_call *c, const char *code, const char *format, ...)
{
	char text[SENTENCE_MAX];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n < 0)
		n = 0;
	if ((size_t)n >= sizeof(text))
		n = sizeof(text) - 1;
	lz->reason(c, lz_strz(code), lz_strn(text, (size_t)n));
	return LZ_BLOCK;
}

/* Where it does not match, the last * takes one byte more. */
static int
matches(lz_str pattern, lz_str name)
{
	size_t p = 0, n = 0, star = (size_t)-1, from = 0;

	while (n < name.len) {
		if (p < pattern.len && pattern.ptr[p] == '*') {
			star = p++;
			from = n;
		} else if (p < pattern.len && pattern.ptr[p] == name.ptr[n]) {
			p++;
			n++;
		} else if (star != (size_t)-1) {
			p = star + 1;
			n = ++from;
		} else {
			return 0;
		}
	}
	while (p < pattern.len && pattern.ptr[p] == '*')
		p++;
	return p == pattern.len;
}

int
is_listed(const lz_list *patterns, lz_str name)
{
	for (size_t i = 0; i < patterns->count; i++)
		if (matches(patterns->items[i], name))
			return 1;
	return 0;
}

lz_json *
job_edit(struct job *j)
{
	if (j->edit == NULL)
		j->edit = lz->edit(j->c);
	return j->edit;
}

/* ---- sizes ---- */

static int32_t
check_sizes(const struct job *j)
{
	const struct limits *g = j->g;
	const lz_request *q = lz->request(j->c);
	size_t messages = lz->json_len(lz->json_at(j->body, "/messages"));
	uint64_t bytes = 0;

	if (g->max_prompt_tokens > 0 && q->prompt_tokens > g->max_prompt_tokens)
		return refuse(j->c, "limits.prompt_tokens",
		    "The request has about %lld tokens; %lld are allowed.",
		    (long long)q->prompt_tokens, (long long)g->max_prompt_tokens);
	if (g->max_messages > 0 && messages > (uint64_t)g->max_messages)
		return refuse(j->c, "limits.messages",
		    "The request has %zu messages; %lld are allowed.", messages,
		    (long long)g->max_messages);
	if (g->max_text_bytes <= 0)
		return LZ_OK;
	for (size_t i = 0, n = lz->texts(j->c); i < n; i++)
		bytes += lz->text(j->c, i)->text.len;
	if (bytes > (uint64_t)g->max_text_bytes)
		return refuse(j->c, "limits.text_bytes",
		    "The request has %llu bytes of text; %lld are allowed.",
		    (unsigned long long)bytes, (long long)g->max_text_bytes);
	return LZ_OK;
}

/* Who set no limit is given this one, and is not refused for it. */
static int32_t
check_output(const struct job *j)
{
	int64_t asked = lz->request(j->c)->max_output_tokens,
		most = j->g->max_output_tokens;

	if (most <= 0 || (asked >= 0 && asked <= most))
		return LZ_OK;
	if (asked > most && j->g->excess == REFUSE)
		return refuse(j->c, "limits.output_tokens",
		    "The request asks for %lld tokens of output; %lld are allowed.",
		    (long long)asked, (long long)most);
	return lz->limit_output(j->c, most) < 0 ? LZ_E_FAIL : LZ_OK;
}

static int32_t
check_model(const struct job *j)
{
	lz_str model = lz->request(j->c)->model;

	if (is_listed(&j->g->models_denied, model) ||
	    (j->g->models.count > 0 && !is_listed(&j->g->models, model)))
		return refuse(j->c, "limits.model",
		    "The model '%.*s' is not allowed here.", shown(model), model.ptr);
	return LZ_OK;
}

/* ---- the component ---- */

static int32_t
check(void *self, lz_call *c)
{
	static int32_t (*const checks[])(
	    struct job *) = { check_parameters, check_tools };
	struct job j = { .g = self, .c = c, .body = lz->body(c) };
	int32_t result;

	/* A request without a document cannot be judged. */
	if (j.body == NULL)
		return LZ_E_FAIL;
	result = check_model(&j);
	if (result == LZ_OK)
		result = check_sizes(&j);
	if (result == LZ_OK)
		result = check_output(&j);
	for (size_t i = 0; result == LZ_OK && i < sizeof(checks) / sizeof(checks[0]); i++)
		result = checks[i](&j);
	return result;
}

static int32_t
init(void *self, char *err, size_t err_len)
{
	return bounds_read(self, err, err_len) ? LZ_OK : LZ_E_INVALID;
}

#define LIMIT(member, help) LZ_OPT_INT(struct limits, member, "0", 0, 1e15, NULL, help)
static const lz_option options[] = {
	LIMIT(max_prompt_tokens, "tokens of a request, as estimated; 0: any number"),
	LIMIT(max_output_tokens,
	    "tokens that may be asked for, and that who asks for none "
	    "gets; 0: any number"),
	LIMIT(max_messages, "messages of a request; 0: any number"),
	LZ_OPT_INT(struct limits, max_text_bytes, "0", 0, 1e15, "bytes",
	    "all texts of a request together; 0: any number"),
	LIMIT(max_tools, "tools of a request; 0: any number"),
	LZ_OPT_LIST(struct limits, tools, "", NULL,
	    "names of tools that are allowed, * is any text; absent: all"),
	LZ_OPT_LIST(
	    struct limits, tools_denied, "", NULL, "names of tools that are not allowed"),
	LZ_OPT_LIST(struct limits, models, "", NULL,
	    "models that may be asked for, * is any text; absent: all"),
	LZ_OPT_LIST(
	    struct limits, models_denied, "", NULL, "models that may not be asked for"),
	LZ_OPT_LIST(struct limits, parameters_denied, "", NULL,
	    "members of a request that are not allowed: logprobs, logit_bias, *_options"),
	LZ_OPT_JSON(struct limits, parameters, "{\"type\":\"object\"}",
	    "bounds of numbers: { temperature: { max: 1 }, n: { min: 1, max: 1 } }"),
	LZ_OPT_CHOICE(struct limits, excess, "refuse", "refuse|change",
	    "refuse what asks for more, or take it out and lower it; sizes and models "
	    "are "
	    "always refused"),
};
static const lz_guardrail guardrail = {
	.size = sizeof(guardrail),
	.phases = LZ_REQUEST,
	.needs = LZ_NEEDS_TEXTS | LZ_NEEDS_BODY | LZ_NEEDS_EDIT,
	.check = check,
};
static const lz_component parts[] = { {
    .kind = LZ_GUARDRAIL,
    .name = "limits",
    .summary = "What a request may ask for: sizes, models, tools, parameters",
    .vtable = &guardrail,
    LZ_OPTIONS_OF(options),
    .instance_size = sizeof(struct limits),
    .init = init,
} };
LZ_PLUGIN("limits", "0.1.0", "MIT", parts)
