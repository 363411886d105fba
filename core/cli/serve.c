/* serve.c - `latenza serve`.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/serve.h"

#include <string.h>

#include "base/mem.h"
#include "cli/backend.h"

enum {
	PATH_BYTES = 4096
};

unsigned
serve_plugins(const struct cli *c, struct part_want out[SERVE_PLUGINS])
{
	const json_t *list = json_object_get(c->options, "plugin"), *one;
	unsigned n = 0;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (n < SERVE_PLUGINS)
			out[n++] =
			    (struct part_want){ .path = lz_strz(json_string_value(one)),
				    .is_named_by_person = true };
	}
	return n;
}

int
serve_run(struct cli *c)
{
	struct part_want plugins[SERVE_PLUGINS];
	struct running r = { .data_dir = cli_text(c, "data") };
	char path[PATH_BYTES];
	int code;

	if (!config_find(cli_text(c, "config"), path, sizeof(path))) {
		fprintf(stderr,
		    "latenza: there is no configuration at %s\n"
		    "`latenza init` writes one; `latenza demo` needs none.\n",
		    path);
		return CLI_CONFIG;
	}
	r.config = (struct config_options){ .path = path,
		.listen = cli_text(c, "listen"),
		.plugins = plugins,
		.plugin_count = serve_plugins(c, plugins) };
	code = running_start(&r);
	return code == CLI_DONE ? running_serve(&r) : code;
}
