/* cli.h - the command line: `latenza NOUN VERB`, its help and its exit codes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

enum cli_exit {
	CLI_DONE = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_WARNED = 3,  /* check --strict found warnings */
	CLI_CONFIG = 78, /* EX_CONFIG: the configuration is wrong */
};

/* Runs the command that argv names and returns the process's exit code. [start] */
int cli_main(int argc, char **argv);

#endif
