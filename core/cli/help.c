/* help.c - help and completion, made from the table of commands.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/command.h"

#include <string.h>

const struct cli_option cli_common[] = {
	{ "config", 'c', OPTION_TEXT, "FILE",
	    "the configuration; else $LATENZA_CONFIG, ./latenza.yaml, …" },
	{ "data", 'd', OPTION_TEXT, "DIR", "the data directory instead of the file's" },
	{ "output", 'o', OPTION_TEXT, "text|json", "how results are printed" },
	{ "help", 'h', OPTION_SWITCH, NULL, "show this" },
	{ NULL, 0, OPTION_SWITCH, NULL, NULL },
};

/* Columns that the text takes; UTF-8's continuation bytes take none. */
static int
columns(const char *text)
{
	int n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void
print_row(FILE *out, const char *left, int width, const char *right)
{
	int n = columns(left);

	fprintf(out, "  %s%*s  %s\n", left, n < width ? width - n : 0, "", right);
}

static void
print_commands(FILE *out, const char *noun)
{
	size_t count, n = noun == NULL ? 0 : strlen(noun);
	const struct cli_command *rows = cli_commands(&count);

	for (size_t i = 0; i < count; i++) {
		char left[80];

		if (noun != NULL &&
		    (strncmp(rows[i].name, noun, n) != 0 || rows[i].name[n] != ' '))
			continue;
		snprintf(left, sizeof(left), "%s %s", rows[i].name, rows[i].operands);
		print_row(out, left, 24, rows[i].summary);
	}
}

void
help_all(FILE *out)
{
	fprintf(out, "Latenza, an OpenAI-compatible AI gateway: virtual keys, budgets, "
		     "routing, traces.\n\n"
		     "  latenza demo     a gateway to look at, without any account\n"
		     "  latenza init     write a configuration from the provider keys in "
		     "the environment\n"
		     "  latenza serve    run it\n\n"
		     "Commands:\n");
	print_commands(out, NULL);
	fprintf(out, "\n`latenza COMMAND --help` tells more about one.\n");
}

void
help_noun(FILE *out, const char *noun)
{
	fprintf(out, "Commands:\n");
	print_commands(out, noun);
	fprintf(out, "\n`latenza COMMAND --help` tells more about one.\n");
}

static void
print_options(FILE *out, const struct cli_option *o)
{
	for (; o->name != NULL; o++) {
		char left[80], letter[8] = "    ";

		if (o->letter != 0)
			snprintf(letter, sizeof(letter), "-%c, ", o->letter);
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name,
		    o->value != NULL ? " " : "", o->value != NULL ? o->value : "");
		print_row(out, left, 34, o->help);
	}
}

void
help_command(FILE *out, const struct cli_command *row)
{
	fprintf(out, "Usage: latenza %s [OPTION]...%s%s\n\n%s.\n", row->name,
	    *row->operands == '\0' ? "" : " ", row->operands, row->summary);
	if (row->more != NULL)
		fprintf(out, "%s\n", row->more);
	fprintf(out, "\nOptions:\n");
	print_options(out, row->options);
	print_options(out, cli_common);
}

/* ---- completion ---- */

static void
print_words(const struct cli_option *o)
{
	for (; o->name != NULL; o++)
		printf(" --%s", o->name);
}

/* The nouns, each once: rows of a noun stand together. */
static void
print_nouns(const struct cli_command *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t n = strcspn(rows[i].name, " ");

		if (i == 0 || strncmp(rows[i - 1].name, rows[i].name, n) != 0 ||
		    (rows[i - 1].name[n] != ' ' && rows[i - 1].name[n] != '\0'))
			printf(" %.*s", (int)n, rows[i].name);
	}
}

static void
print_verbs(const struct cli_command *rows, size_t count)
{
	for (size_t i = 0; i < count;) {
		size_t n = strcspn(rows[i].name, " ");
		const char *noun = rows[i].name;

		if (noun[n] == '\0') {
			i++;
			continue;
		}
		printf("\t%.*s) words='", (int)n, noun);
		for (; i < count && strncmp(rows[i].name, noun, n + 1) == 0; i++)
			printf(" %s", rows[i].name + n + 1);
		printf("' ;;\n");
	}
}

static void
print_bash(void)
{
	size_t count;
	const struct cli_command *rows = cli_commands(&count);

	printf("# bash completion of latenza; source <(latenza completion bash)\n"
	       "_latenza()\n{\n\tlocal words cur=${COMP_WORDS[COMP_CWORD]}\n"
	       "\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\twords='");
	print_nouns(rows, count);
	printf("'\n\telse\n\tcase \"${COMP_WORDS[1]}\" in\n");
	print_verbs(rows, count);
	printf("\tesac\n\tfi\n\tif [[ $cur == -* ]]; then\n"
	       "\tcase \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n");
	for (size_t i = 0; i < count; i++) {
		printf("\t'%s'%s) words='", rows[i].name,
		    strchr(rows[i].name, ' ') == NULL ? "*" : "");
		print_words(rows[i].options);
		print_words(cli_common);
		printf("' ;;\n");
	}
	printf("\tesac\n\tfi\n\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- "
	       "\"$cur\")\n}\n"
	       "complete -o default -F _latenza latenza\n");
}

int
help_completion(struct cli *c)
{
	if (strcmp(c->operand[0], "bash") != 0) {
		fprintf(stderr, "latenza: completion: \"%.40s\" is not bash\n",
		    c->operand[0]);
		return CLI_USAGE;
	}
	print_bash();
	return CLI_DONE;
}
