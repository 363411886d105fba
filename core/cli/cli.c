/* cli.c - from argv to a command and its exit code.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/command.h"

#include <errno.h>
#include <string.h>

static bool
is_help(const char *word)
{
	return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 ||
	       strcmp(word, "-h") == 0;
}

/* `latenza`, `latenza --help`, `latenza key`, `latenza key --help`, `latenza help key`.
 */
static bool
wants_overview(int argc, char **argv, const char **noun)
{
	size_t count, n;
	const struct cli_command *rows = cli_commands(&count);

	*noun = NULL;
	if (argc < 2)
		return true;
	if (is_help(argv[1])) {
		if (argc == 2)
			return true;
		argv++;
		argc--;
	}
	if (argc > 2 && !is_help(argv[2]))
		return false;
	n = strlen(argv[1]);
	for (size_t i = 0; i < count; i++)
		if (strncmp(rows[i].name, argv[1], n) == 0 && rows[i].name[n] == ' ')
			*noun = argv[1];
	return *noun != NULL;
}

static int
overview(int argc, const char *noun)
{
	/* A bare `latenza` or `latenza key` is a question and a mistake at once. */
	FILE *out = argc < 2 || (argc == 2 && noun != NULL) ? stderr : stdout;

	if (noun != NULL)
		help_noun(out, noun);
	else
		help_all(out);
	return out == stderr ? CLI_USAGE : CLI_DONE;
}

static int
run(struct cli *c)
{
	if (c->wants_help || cli_has(c, "help")) {
		help_command(stdout, c->command);
		return CLI_DONE;
	}
	return c->command->run(c);
}

/* Output that did not arrive is a failure, whatever the command thinks. */
static int
delivered(int code)
{
	if (fflush(stdout) == 0 || errno == EPIPE || code != CLI_DONE)
		return code;
	fprintf(stderr, "latenza: standard output: %s\n", strerror(errno));
	return CLI_FAILED;
}

int
cli_main(int argc, char **argv)
{
	struct cli c = { .program = argc > 0 ? argv[0] : "latenza" };
	const char *noun;
	int code;

	if (argc == 2 &&
	    (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0))
		argv[1] = (char *)(uintptr_t) "version";
	if (wants_overview(argc, argv, &noun))
		return delivered(overview(argc, noun));
	c.wants_help = is_help(argv[1]);
	code =
	    c.wants_help ? cli_parse(&c, argc - 1, argv + 1) : cli_parse(&c, argc, argv);
	if (code == CLI_DONE)
		code = delivered(run(&c));
	json_decref(c.options);
	return code;
}
