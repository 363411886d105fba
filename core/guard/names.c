/* names.c - the lists of members that are no text.
 *
 * What is not on a list is shown to guardrails: a member that somebody invents tomorrow
 * is judged, not passed by.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guard/names.h"

#include "base/jscan.h"

struct word {
	size_t len;
	const char *text;
};
#define WORD(s)                                                                          \
	{                                                                                \
		sizeof(s) - 1, s                                                         \
	}

static const struct word no_texts[] = { WORD("role"), WORD("type"), WORD("id"),
	WORD("tool_call_id"), WORD("call_id"), WORD("model"), WORD("object"),
	WORD("created"), WORD("index"), WORD("finish_reason"),
	WORD("native_finish_reason"), WORD("system_fingerprint"), WORD("service_tier"),
	WORD("url"), WORD("image_url"), WORD("detail"), WORD("format"),
	WORD("media_type"), WORD("mime_type"), WORD("data"), WORD("file_id"),
	WORD("file_data"), WORD("b64_json"), WORD("signature"), WORD("thought_signature"),
	WORD("thoughtSignature"), WORD("encrypted_content"), WORD("redacted_thinking"),
	WORD("voice"), WORD("stream_options"), WORD("tool_choice"),
	WORD("reasoning_effort"), WORD("verbosity"), WORD("modalities"), WORD("user"),
	WORD("safety_identifier"), WORD("prompt_cache_key"),
	WORD("prompt_cache_retention"), WORD("encoding_format"), WORD("cache_control"),
	WORD("provider"), WORD("$schema"), WORD("$ref"), WORD("strict"), WORD("required"),
	WORD("additionalProperties"), WORD("content_filter_results"),
	WORD("prompt_filter_results") };
/* Where a data URL may stand: the file that is in it may be a text. */
static const struct word files[] = { WORD("file_data"), WORD("url"), WORD("image_url"),
	WORD("document_url"), WORD("file_url"), WORD("file_id"), WORD("video_url"),
	WORD("audio_url"), WORD("input_audio"), WORD("data") };
/* Parts of a message whose text is elsewhere, or who have none: a `text` of theirs nobody
 * reads. */
static const struct word media_parts[] = { WORD("image_url"), WORD("input_image"),
	WORD("image"), WORD("input_audio"), WORD("audio"), WORD("video_url"),
	WORD("input_video"), WORD("file"), WORD("input_file"), WORD("document_url"),
	WORD("thinking"), WORD("reference") };
static const struct word roles[] = { WORD("system"), WORD("developer"), WORD("user"),
	WORD("assistant"), WORD("tool"), WORD("function"), WORD("model") };

static bool
is_one_of(const struct word *words, size_t n, lz_str key)
{
	bool is_plain = memchr(key.ptr, '\\', key.len) == NULL;

	for (size_t i = 0; i < n; i++)
		if (is_plain ? words[i].len == key.len &&
				   memcmp(words[i].text, key.ptr, key.len) == 0
			     : jscan_key_is(key, words[i].text))
			return true;
	return false;
}
#define IS_ONE_OF(words, key)                                                            \
	is_one_of((words), sizeof(words) / sizeof((words)[0]), (key))

bool
names_no_text(lz_str key)
{
	return IS_ONE_OF(no_texts, key);
}

bool
names_a_file(lz_str key)
{
	return IS_ONE_OF(files, key);
}

bool
names_media(lz_str type)
{
	return IS_ONE_OF(media_parts, type);
}

bool
names_a_role(lz_str role)
{
	return IS_ONE_OF(roles, role);
}

bool
names_reasoning(lz_str key)
{
	return jscan_key_is(key, "reasoning_content") || jscan_key_is(key, "reasoning") ||
	       jscan_key_is(key, "thinking") || jscan_key_is(key, "reasoning_details") ||
	       jscan_key_is(key, "thinking_blocks");
}

/* Is there somebody's address in it, also as URLs write it? */
static bool
has_address(lz_str raw)
{
	const char *at = raw.len > 0 ? memchr(raw.ptr, '@', raw.len) : NULL;

	if (at == NULL)
		at = raw.len > 0 ? memmem(raw.ptr, raw.len, "%40", 3) : NULL;
	return at != NULL && memchr(at, '.', raw.len - (size_t)(at - raw.ptr)) != NULL;
}

bool
names_look_like(lz_str raw, size_t max)
{
	for (size_t i = 0; i < raw.len; i++) {
		unsigned char c = (unsigned char)raw.ptr[i];

		if (c <= ' ' || c >= 0x7f || (c == '\\' && raw.ptr[++i] != '/'))
			return false;
	}
	return raw.len <= max && !has_address(raw);
}
