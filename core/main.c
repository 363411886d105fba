/* main.c - where the process begins: libraries are seated in order, then the command line
 * decides.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/json.h"
#include "cli/cli.h"
#include "config/part.h"
#include "gateway/scripts.h"
#include "net/loop.h"
#include "net/upstream.h"
#include "plugin/registry.h"
#include "request/fault.h"
#include "store/db.h"

#include <stdio.h>

/* A standard stream that came closed would be the next file opened, the database for one,
 * and a table printed into it. So its place is taken, by what can only fail. */
static void
hold_standard_streams(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

/* A core holds providers' keys and people's prompts. One byte is no core's size, and for
 * a handler behind a pipe it is the kernel's word for "none". Only the soft limit moves,
 * so that prlimit(1) can allow a core for a while. */
static void
leave_no_core(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_cur <= 1)
		return;
	limit.rlim_cur = 1;
	(void)setrlimit(RLIMIT_CORE, &limit);
}

int
main(int argc, char **argv)
{
	struct err e;

	hold_standard_streams();
	leave_no_core();
	/* A reader that left is an error of write(), not a death. */
	signal(SIGPIPE, SIG_IGN);
	json_start();
	loop_start();
	fault_start();
	registry_start(registry_default_dirs(argc > 0 ? argv[0] : NULL));
	scripts_start();
	if (db_start(&e) != ST_OK || upstream_start(&e) != ST_OK) {
		fprintf(stderr, "latenza: %s\n", e.text);
		return CLI_FAILED;
	}
	return cli_main(argc, argv);
}
