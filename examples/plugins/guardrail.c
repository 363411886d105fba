/* guardrail.c - the smallest guardrail: flags prompts that are all capitals.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>

#include <latenza/plugin.h>

static int
is_shouted(lz_str text)
{
	size_t upper = 0, lower = 0;

	for (size_t i = 0; i < text.len; i++) {
		upper += isupper((unsigned char)text.ptr[i]) != 0;
		lower += islower((unsigned char)text.ptr[i]) != 0;
	}
	return upper > 10 && lower == 0;
}

static int32_t
check(void *self, lz_call *c)
{
	(void)self;
	for (size_t i = 0; i < lz->texts(c); i++) {
		if (is_shouted(lz->text(c, i)->text)) {
			lz->reason(c, lz_strz("tone.shouting"),
			    lz_strz("the prompt is all capitals"));
			return LZ_FLAG;
		}
	}
	return LZ_OK;
}

static const lz_guardrail guardrail = {
	.size = sizeof(guardrail),
	.phases = LZ_REQUEST,
	.needs = LZ_NEEDS_TEXTS,
	.check = check,
};
static const lz_component parts[] = { {
    .kind = LZ_GUARDRAIL,
    .name = "no-shouting",
    .summary = "Flags prompts that are all capitals",
    .vtable = &guardrail,
} };
LZ_PLUGIN("acme.tone", "1.0.0", "MIT", parts)
