/* presets.c - vendors that speak OpenAI's dialect: a name for what a provider's object
 * would have to say.
 *
 * A preset is data (presets.json): members of a provider, which stand where the file says
 * nothing, and three words for whoever writes a file: the variables its key and its
 * address are usually in, and a model to try. Nothing in the program knows a vendor.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/json.h"
#include "config/build.h"
#include "config/presets.h"

extern const char presets_json[];
extern const size_t presets_json_len;

json_t *
presets_load(void)
{
	return json_parse(lz_strn(presets_json, presets_json_len), NULL);
}

/* Words of the table that are no members of a provider. */
static bool
is_word(const char *name)
{
	static const char *const words[] = { "env", "base_url_env", "example", NULL };

	for (size_t i = 0; words[i] != NULL; i++)
		if (strcmp(words[i], name) == 0)
			return true;
	return false;
}

static bool
has_option(const struct part_info *info, const char *name)
{
	for (uint32_t i = 0; i < info->option_count; i++)
		if (strcmp(options_row(info->options, info->option_size, i)->name,
			name) == 0)
			return true;
	return false;
}

static bool
is_provider_row(const char *name)
{
	for (uint32_t i = 0; i < provider_row_count; i++)
		if (strcmp(provider_rows[i].name, name) == 0)
			return true;
	return false;
}

lz_str
presets_plugin(const json_t *preset)
{
	lz_str name = json_get_str(preset, "plugin");

	return name.ptr != NULL ? name : STR_LIT("compatible");
}

void
presets_apply(json_t *object, const json_t *preset, const struct part_info *info)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)preset, name, value)
	{
		if (is_word(name) || json_object_get(object, name) != NULL)
			continue;
		if (is_provider_row(name) || has_option(info, name))
			(void)json_object_set(object, name, value);
	}
}

void
presets_names(const json_t *presets, char *out, size_t n)
{
	const char *name;
	json_t *value;
	size_t at = 0;

	out[0] = '\0';
	json_object_foreach((json_t *)(uintptr_t)presets, name, value)
	{
		size_t len = strlen(name) + (at > 0 ? 2 : 0);

		if (len >= n - at)
			break;
		(void)snprintf(out + at, n - at, "%s%s", at > 0 ? ", " : "", name);
		at += len;
	}
}
