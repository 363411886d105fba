/* from_litellm_vendors.c - whom a model's name of LiteLLM names: VENDOR/MODEL.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "cli/from_litellm.h"

/* ---- vendors, as the part of a model's name before its first slash ---- */

static const struct from_vendor vendors[] = {
	{ .name = "openai", .plugin = "openai", .key_variable = "OPENAI_API_KEY" },
	{ .name = "azure",
	    .preset = "azure",
	    .key_variable = "AZURE_API_KEY",
	    .url_variable = "AZURE_API_BASE",
	    .needs_url = true },
	{ .name = "anthropic",
	    .plugin = "anthropic",
	    .key_variable = "ANTHROPIC_API_KEY" },
	{ .name = "mistral", .plugin = "mistral", .key_variable = "MISTRAL_API_KEY" },
	{ .name = "codestral",
	    .plugin = "mistral",
	    .base_url = "https://codestral.mistral.ai/v1",
	    .key_variable = "CODESTRAL_API_KEY" },
	{ .name = "gemini", .preset = "google", .key_variable = "GEMINI_API_KEY" },
	{ .name = "groq", .preset = "groq", .key_variable = "GROQ_API_KEY" },
	{ .name = "deepseek", .preset = "deepseek", .key_variable = "DEEPSEEK_API_KEY" },
	{ .name = "xai", .preset = "xai", .key_variable = "XAI_API_KEY" },
	{ .name = "together_ai",
	    .preset = "together",
	    .key_variable = "TOGETHERAI_API_KEY" },
	{ .name = "openrouter",
	    .preset = "openrouter",
	    .key_variable = "OPENROUTER_API_KEY" },
	{ .name = "fireworks_ai",
	    .preset = "fireworks",
	    .key_variable = "FIREWORKS_AI_API_KEY" },
	{ .name = "cerebras", .preset = "cerebras", .key_variable = "CEREBRAS_API_KEY" },
	{ .name = "perplexity",
	    .preset = "perplexity",
	    .key_variable = "PERPLEXITYAI_API_KEY" },
	{ .name = "nvidia_nim",
	    .preset = "nvidia",
	    .key_variable = "NVIDIA_NIM_API_KEY" },
	{ .name = "ollama", .preset = "ollama", .suffix = "/v1" },
	{ .name = "ollama_chat", .preset = "ollama", .suffix = "/v1" },
	{ .name = "hosted_vllm", .preset = "vllm" },
	{ .name = "vllm", .preset = "vllm" },
	{ .name = "lm_studio", .preset = "lmstudio" },
	{ .name = "deepinfra",
	    .plugin = "compatible",
	    .base_url = "https://api.deepinfra.com/v1/openai",
	    .key_variable = "DEEPINFRA_API_KEY" },
	{ .name = "sambanova",
	    .plugin = "compatible",
	    .base_url = "https://api.sambanova.ai/v1",
	    .key_variable = "SAMBANOVA_API_KEY" },
	{ .name = "moonshot",
	    .plugin = "compatible",
	    .base_url = "https://api.moonshot.ai/v1",
	    .key_variable = "MOONSHOT_API_KEY" },
	{ .name = "azure_ai",
	    .plugin = "compatible",
	    .key_variable = "AZURE_AI_API_KEY",
	    .url_variable = "AZURE_AI_API_BASE",
	    .needs_url = true },
	{ .name = "openai_like", .plugin = "compatible", .needs_url = true },
	{ .name = "custom_openai", .plugin = "compatible", .needs_url = true },
	{ .name = "litellm_proxy",
	    .plugin = "compatible",
	    .key_variable = "LITELLM_PROXY_API_KEY",
	    .url_variable = "LITELLM_PROXY_API_BASE",
	    .needs_url = true },
	{ .name = "llamafile", .plugin = "compatible", .needs_url = true },
	{ .name = "xinference", .plugin = "compatible", .needs_url = true },
	{ .name = "bedrock" },
	{ .name = "sagemaker" },
	{ .name = "sagemaker_chat" },
	{ .name = "vertex_ai" },
	{ .name = "vertex_ai_beta" },
	{ .name = "cohere", .instead = "https://api.cohere.ai/compatibility/v1" },
	{ .name = "cohere_chat", .instead = "https://api.cohere.ai/compatibility/v1" },
	{ .name = "huggingface",
	    .instead = "https://router.huggingface.co/v1, or a dedicated endpoint's "
		       "address with /v1 behind it" },
	{ .name = "replicate" },
	{ .name = "watsonx" },
	{ .name = "databricks", .instead = "https://WORKSPACE/serving-endpoints" },
	{ .name = "snowflake" },
	{ .name = "oci" },
	{ .name = "ai21" },
	{ .name = "ai21_chat" },
	{ .name = "nlp_cloud" },
	{ .name = "baseten", .instead = "https://inference.baseten.co/v1" },
	{ .name = "petals" },
	{ .name = "predibase" },
	{ .name = "triton" },
	{ .name = "voyage" },
	{ .name = "jina_ai" },
	{ .name = "cloudflare",
	    .instead = "https://api.cloudflare.com/client/v4/accounts/ACCOUNT/ai/v1" },
	{ .name = "github", .instead = "https://models.github.ai/inference" },
	{ .name = "github_copilot" },
	{ .name = "text-completion-openai" },
	{ .name = "azure_text" },
	{ .name = NULL },
};

/* An address of one's own under openai/ is somebody who resembles OpenAI. */
static const struct from_vendor alike = { .name = "openai", .plugin = "compatible" };
static const char *const openai_url = "https://api.openai.com/v1";

/* Names without a vendor, by how they begin. */
static const struct {
	const char *begins, *vendor;
} bare[] = { { "gpt-", "openai" }, { "chatgpt-", "openai" }, { "o1", "openai" },
	{ "o3", "openai" }, { "o4", "openai" }, { "ft:gpt-", "openai" },
	{ "text-embedding-", "openai" }, { "claude-", "anthropic" },
	{ "command", "cohere" } };

/* ---- the vendor of an entry ---- */

/* Splits VENDOR/MODEL. */
bool
litellm_find_vendor(struct litellm_entry *e)
{
	struct from *f = e->l->f;
	const char *text = from_text(f, e->params, "model", e->where), *slash;
	const char *given = from_text(f, e->params, "custom_llm_provider", e->where);
	char name[FROM_NAME] = "";

	if (text == NULL || *text == '\0') {
		if (json_object_get(e->params, "model") == NULL || text != NULL)
			from_say(f, FROM_ERROR, e->params, NULL, e->where,
			    "model is missing; it names VENDOR/MODEL");
		return false;
	}
	slash = strchr(text, '/');
	if (given != NULL)
		(void)snprintf(name, sizeof(name), "%s", given);
	else if (slash != NULL)
		(void)snprintf(name, sizeof(name), "%.*s", (int)(slash - text), text);
	for (size_t i = 0; *name == '\0' && i < sizeof(bare) / sizeof(bare[0]); i++) {
		if (strncmp(text, bare[i].begins, strlen(bare[i].begins)) == 0)
			(void)snprintf(name, sizeof(name), "%s", bare[i].vendor);
	}
	e->vendor = from_vendor(vendors, name);
	if (slash != NULL && strncmp(text, name, strlen(name)) == 0 &&
	    text[strlen(name)] == '/')
		text += strlen(name) + 1;
	(void)snprintf(e->model, sizeof(e->model), "%s", text);
	if (e->vendor != NULL && (e->vendor->plugin != NULL || e->vendor->preset != NULL))
		return true;
	from_say_nobody(f, e->params, "model", e->where,
	    json_string_value(json_object_get(e->params, "model")), name, e->vendor);
	return false;
}

const struct from_vendor *
litellm_vendor_at(const struct litellm_entry *e, const char *url)
{
	if (url == NULL || strcmp(e->vendor->name, "openai") != 0 ||
	    strncmp(url, openai_url, strlen(openai_url)) == 0)
		return e->vendor;
	return &alike;
}
