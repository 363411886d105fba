/* name.c - the fixed texts and the names that a plugin gives: sane, or refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plugin/host.h"

bool
plugin_text_is_sane(const char *s, size_t max)
{
	size_t n;

	if (s == NULL || *s == '\0')
		return false;
	n = strnlen(s, max + 1);
	if (n > max || !str_is_utf8(lz_strn(s, n)))
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	return true;
}

bool
plugin_name_is_sane(const char *s)
{
	if (!plugin_text_is_sane(s, PLUGIN_NAME_BYTES))
		return false;
	for (; *s != '\0'; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			(*s >= '0' && *s <= '9') || strchr("._-", *s) != NULL))
			return false;
	return true;
}
