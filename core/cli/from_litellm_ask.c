/* from_litellm_ask.c - guardrails of LiteLLM that ask a service: OpenAI's moderation, and
 * a guardrail of one's own behind the generic API.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/from_litellm_guardrail.h"

/* ---- moderation ---- */

#define STREAMS "has no twin: a streamed answer is held until all of it was judged"

/* There the last messages of the user are sent. That is asked too little where somebody
 * else writes the rest, so all are sent here. */
static void
tell_moderation(const struct litellm_guardrail *e)
{
	from_say(e->f, FROM_REMARK, e->params, e->member, e->where,
	    "became use: moderation, which sends every message, there the user's last "
	    "ones; texts: last_user sends only that one");
}

void
litellm_ask_openai(const struct litellm_guardrail *e)
{
	json_t *one = litellm_add_guardrail(e, "moderation", NULL);

	(void)json_object_set_new(
	    one, "url", json_string("https://api.openai.com/v1/moderations"));
	(void)json_object_set_new(one, "api_key", json_string("env:OPENAI_API_KEY"));
	(void)json_object_set_new(e->f->variables, "OPENAI_API_KEY", json_true());
	tell_moderation(e);
}

void
litellm_ask_moderation(const struct litellm_guardrail *e)
{
	static const struct from_member members[] = {
		{ "guardrail", NULL },
		{ "mode", NULL },
		{ "default_on", NULL },
		{ "api_key", NULL },
		{ "api_base", NULL },
		{ "model", NULL },
		{ "streaming_end_of_stream_only", STREAMS },
		{ "streaming_sampling_rate", STREAMS },
		{ NULL, NULL },
	};
	const char *key = from_text(e->f, e->params, "api_key", e->where);
	const char *base = from_text(e->f, e->params, "api_base", e->where);
	const char *model = from_text(e->f, e->params, "model", e->where);
	json_t *one;
	char value[FROM_VALUE];

	from_members(e->f, e->params, e->where, members);
	if (base == NULL && key == NULL && model == NULL) {
		litellm_ask_openai(e);
		return;
	}
	one = litellm_add_guardrail(e, "moderation", NULL);
	(void)from_endpoint(e->f, e->params, "api_base", e->where,
	    base != NULL ? base : "https://api.openai.com/v1", "/moderations", one);
	if (key != NULL) {
		from_secret(e->f, e->params, "api_key", e->where, key, e->name, value);
	} else {
		(void)snprintf(value, sizeof(value), "env:OPENAI_API_KEY");
		(void)json_object_set_new(e->f->variables, "OPENAI_API_KEY", json_true());
	}
	(void)json_object_set_new(one, "api_key", json_string(value));
	(void)json_object_set_new(
	    one, "model", json_string(model != NULL ? model : "omni-moderation-latest"));
	tell_moderation(e);
}

/* ---- a guardrail of one's own ---- */

#define GENERIC_PATH "/beta/litellm_basic_guardrail_api"

/* An endpoint that cannot be reached is passed by there. Here whoever answers in the old
 * way is not understood: with on_error: open nothing would be judged at all. */
static void
tell_fallback(const struct litellm_guardrail *e)
{
	const char *says = from_text(e->f, e->params, "unreachable_fallback", e->where);

	if (says != NULL && strcmp(says, "fail_closed") != 0)
		from_say(e->f, FROM_NO_TWIN, e->params, "unreachable_fallback", e->where,
		    "was not taken over: the guardrail refuses while nobody answers; "
		    "write on_error: open once its answers are understood");
}

void
litellm_ask_hook(const struct litellm_guardrail *e)
{
	static const struct from_member members[] = {
		{ "guardrail", NULL },
		{ "mode", NULL },
		{ "default_on", NULL },
		{ "api_base", NULL },
		{ "api_key",
		    "was left out: how it is sent there depends on the release; write "
		    "token to what the service wants as Authorization: Bearer" },
		{ "headers", NULL },
		{ "extra_headers",
		    "has no twin: clients' headers are not shown to hooks" },
		{ "unreachable_fallback", NULL },
		{ "additional_provider_specific_params",
		    "has no twin: a hook is told of the request, and nothing else" },
		{ NULL, NULL },
	};
	const char *base = from_text(e->f, e->params, "api_base", e->where);
	const json_t *headers = from_map(e->f, e->params, "headers", e->where);
	json_t *one;

	from_members(e->f, e->params, e->where, members);
	tell_fallback(e);
	one = litellm_add_guardrail(e, "hook", NULL);
	(void)from_endpoint(e->f, e->params, base != NULL ? "api_base" : NULL, e->where,
	    base != NULL ? base : "os.environ/GENERIC_GUARDRAIL_API_BASE", GENERIC_PATH,
	    one);
	from_hook_headers(e->f, headers, e->params, "headers", e->where, e->name, one);
	from_say(e->f, FROM_NO_TWIN, e->params, "guardrail", e->where,
	    "became use: hook, which asks and is answered in other words: until the "
	    "service speaks as the manual of the plugin hook says, all is refused for "
	    "which it holds");
}
