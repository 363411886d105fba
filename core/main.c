/* main.c - where the process begins: libraries are seated in order, then the command line
 * decides.
 *
 * SPDX-License-Identifier: MIT
 */
#include <signal.h>

#include "base/json.h"
#include "cli/cli.h"
#include "config/part.h"
#include "net/loop.h"
#include "net/upstream.h"
#include "plugin/registry.h"
#include "request/fault.h"
#include "store/db.h"

#include <stdio.h>

int
main(int argc, char **argv)
{
	struct err e;

	/* A reader that left is an error of write(), not a death. */
	signal(SIGPIPE, SIG_IGN);
	json_start();
	loop_start();
	fault_start();
	registry_start(registry_default_dirs(argc > 0 ? argv[0] : NULL));
	if (db_start(&e) != ST_OK || upstream_start(&e) != ST_OK) {
		fprintf(stderr, "latenza: %s\n", e.text);
		return CLI_FAILED;
	}
	return cli_main(argc, argv);
}
