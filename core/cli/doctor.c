/* doctor.c - `latenza doctor`: one line for each thing that must be right on this
 * machine; each that is not says how to mend it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/backend.h"
#include "cli/out.h"
#include "lua/script.h"
#include "plugin/registry.h"

enum {
	FREE_MIB = 256, /* less, and traces soon find no room */
	FILES_PER_CONNECTION = 2,
	CONNECT_MS = 3000,
	BUILD_YEAR = 2026 - 1900
};

enum verdict {
	FINE,
	WARNING,
	BAD
};

struct doctor {
	const struct cli *c;
	struct config *config; /* NULL: none could be read */
	char data[4096];
	json_t *status; /* of the running gateway; NULL: none runs */
	json_t *lines;
	unsigned bad;
};

static void note(struct doctor *d, enum verdict v, const char *what, const char *mend,
    const char *fmt, ...) PRINTF_LIKE(5, 6);

/* One line: what was looked at, what was found, and, unless it is fine, how to mend it.
 */
static void
note(struct doctor *d, enum verdict v, const char *what, const char *mend,
    const char *fmt, ...)
{
	static const char *const words[] = { "ok", "warn", "FAIL" };
	static const enum out_style styles[] = { OUT_GREEN, OUT_YELLOW, OUT_RED };
	json_t *line = json_object();
	char found[600], safe[600];
	va_list args;

	va_start(args, fmt);
	vsnprintf(found, sizeof(found), fmt, args);
	va_end(args);
	d->bad += v == BAD;
	json_object_set_new(line, "what", json_string(what));
	json_object_set_new(line, "verdict", json_string(words[v]));
	json_object_set_new(line, "found", json_string(found));
	json_object_set_new(line, "mend", v == FINE ? json_null() : json_string(mend));
	json_array_append_new(d->lines, line);
	if (d->c->wants_json)
		return;
	printf("%s%-4s%s  %-14s %s\n", out_on(styles[v]), words[v], out_on(OUT_PLAIN),
	    what, out_safe(found, 400, safe, sizeof(safe)));
	if (v != FINE)
		printf("      %-14s %s-> %s%s\n", "", out_on(OUT_BOLD), mend,
		    out_on(OUT_PLAIN));
}

/* ---- what is looked at ---- */

static void
look_at_configuration(struct doctor *d)
{
	char path[4096];

	if (!config_find(cli_text(d->c, "config"), path, sizeof(path))) {
		note(d, BAD, "configuration",
		    "run `latenza init`, or name the file with -c", "there is none at %s",
		    path);
		return;
	}
	d->config = backend_config(d->c, false);
	if (d->config == NULL)
		note(d, BAD, "configuration",
		    "mend the lines above; `latenza check` shows them again",
		    "%s is wrong", path);
	else if (d->config->warning_count > 0)
		note(d, WARNING, "configuration", "`latenza check` shows them",
		    "%s, %zu warnings", path, d->config->warning_count);
	else
		note(d, FINE, "configuration", "", "%s", path);
}

static void
look_at_providers(struct doctor *d)
{
	const struct config *c = d->config;

	if (c == NULL)
		return;
	if (c->provider_count == 0)
		note(d, BAD, "providers",
		    "add one under `providers`, or set OPENAI_API_KEY and run `latenza "
		    "init`",
		    "none is configured");
	else
		note(d, FINE, "providers", "", "%zu with %zu models", c->provider_count,
		    c->target_count);
	if (c->fx_nano_eur_per_usd == 0)
		note(d, WARNING, "prices", "set fx: { eur_per_usd: …, date: … }",
		    "without an exchange rate no model has a price in EUR");
}

static void
look_at_data(struct doctor *d)
{
	struct statvfs fs;
	unsigned long long free_mib;

	if (backend_data_dir(d->c, d->data, sizeof(d->data)) != CLI_DONE)
		return;
	if (access(d->data, F_OK) != 0) {
		note(d, WARNING, "data",
		    "`latenza serve` makes it; its parent must be writable",
		    "%s does not exist yet", d->data);
		return;
	}
	if (access(d->data, R_OK | W_OK | X_OK) != 0) {
		note(d, BAD, "data", "run as the user who owns it, or chown it", "%s: %s",
		    d->data, strerror(errno));
		return;
	}
	if (statvfs(d->data, &fs) != 0)
		return;
	free_mib = (unsigned long long)fs.f_bavail * fs.f_frsize / (1 << 20);
	if (free_mib < FREE_MIB)
		note(d, BAD, "disk", "make room, or shorten `retention`",
		    "%llu MiB are left in %s", free_mib, d->data);
	else
		note(d, FINE, "data", "", "%s, %llu MiB free", d->data, free_mib);
}

static void
look_at_gateway(struct doctor *d)
{
	struct err e = { "" };
	enum status st = backend_ask(d->c, "status", json_object(), &d->status, &e);

	if (st == ST_OK && json_is_true(json_object_get(d->status, "ready"))) {
		note(d, FINE, "gateway", "", "pid %lld, version %s, ready",
		    (long long)json_get_int(d->status, "pid", 0),
		    out_text(d->status, "version"));
	} else if (st == ST_OK) {
		note(d, BAD, "gateway", "mend what it names; then `latenza reload`",
		    "not ready: %s", out_text(d->status, "why_not"));
	} else if (st == ST_GONE) {
		note(d, WARNING, "gateway", "`latenza serve` starts it",
		    "none serves this data");
	} else {
		note(d, BAD, "gateway", "run as the user who runs the gateway", "%s",
		    e.text);
	}
}

static void
look_at_address(struct doctor *d, const char *what, const struct net_addr *a)
{
	char text[80];

	net_addr_format(a, text, sizeof(text));
	if (net_addr_is_free(a))
		note(d, FINE, what, "", "%s is free", text);
	else
		note(d, BAD, what,
		    "stop who has it (`ss -ltnp` shows), or choose another address",
		    "%s: %s", text, strerror(errno));
}

static void
look_at_addresses(struct doctor *d)
{
	if (d->config == NULL || d->status != NULL)
		return;
	for (size_t i = 0; i < d->config->listen_count; i++)
		look_at_address(d, "listen", &d->config->listen[i]);
	if (d->config->has_admin)
		look_at_address(d, "admin.listen", &d->config->admin_listen);
}

static void
look_at_files(struct doctor *d)
{
	int64_t wanted = (d->config != NULL ? d->config->limits.connections : 1000) *
			 FILES_PER_CONNECTION;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	if (limit.rlim_max != RLIM_INFINITY && (int64_t)limit.rlim_max < wanted)
		note(d, WARNING, "open files",
		    "raise it (systemd: LimitNOFILE=), or lower limits.connections",
		    "the hard limit is %llu; that many connections need %lld",
		    (unsigned long long)limit.rlim_max, (long long)wanted);
	else
		note(d, FINE, "open files", "", "up to %llu",
		    (unsigned long long)limit.rlim_max);
}

struct plugin_count {
	struct doctor *d;
	unsigned good;
};

static void
look_at_plugin(void *arg, const char *path, const char *problem)
{
	struct plugin_count *n = arg;

	if (problem == NULL)
		n->good++;
	else
		note(n->d, WARNING, "plugin",
		    "build it against this version's SDK, or remove it", "%s: %s", path,
		    problem);
}

static void
look_at_plugins(struct doctor *d)
{
	struct plugin_count n = { d, 0 };

	registry_each_file(look_at_plugin, &n);
	if (n.good > 0)
		note(d, FINE, "plugins", "", "%u can be opened", n.good);
	else
		note(d, BAD, "plugins",
		    "set LATENZA_PLUGIN_PATH, or install to " LATENZA_PLUGIN_DIR,
		    "none can be opened");
}

static void
look_at_policies(struct doctor *d)
{
	note(d, FINE, "policies", "", "%zu in the file; %.*s",
	    d->config != NULL ? d->config->policy_count : 0, STR_ARG(script_lua()));
}

static void
look_at_clock(struct doctor *d)
{
	time_t now = time(NULL);
	struct tm t;

	if (gmtime_r(&now, &t) == NULL || t.tm_year < BUILD_YEAR)
		note(d, BAD, "clock", "set it; `timedatectl set-ntp true` keeps it right",
		    "it stands before this program was written");
	else
		note(d, FINE, "clock", "", "%04d-%02d-%02d %02d:%02d UTC",
		    t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min);
}

/* ---- the network ---- */

/* "https://api.openai.com:443/v1" -> host and port. */
static bool
split_url(lz_str url, char *host, size_t n, char port[8])
{
	bool is_tls = str_starts(url, "https://");
	lz_str rest = str_cut(url, is_tls ? 8 : 7, url.len);
	const char *end = NULL, *colon;
	size_t len = rest.len;

	if (!is_tls && !str_starts(url, "http://"))
		return false;
	end = memchr(rest.ptr, '/', rest.len);
	if (end != NULL)
		len = (size_t)(end - rest.ptr);
	colon = memchr(rest.ptr, ':', len);
	snprintf(port, 8, "%s", is_tls ? "443" : "80");
	if (colon != NULL) {
		snprintf(port, 8, "%.*s", (int)(len - (size_t)(colon - rest.ptr) - 1),
		    colon + 1);
		len = (size_t)(colon - rest.ptr);
	}
	return len > 0 && (size_t)snprintf(host, n, "%.*s", (int)len, rest.ptr) < n;
}

/* 0, or errno. */
static int
try_connect(const struct addrinfo *a)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int error = 0;
	socklen_t len = sizeof(error);

	if (fd < 0)
		return errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS)
		error = errno;
	else if (poll(&p, 1, CONNECT_MS) != 1)
		error = ETIMEDOUT;
	else
		(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	close(fd);
	return error;
}

static void
look_at_host(struct doctor *d, const struct provider *p)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	char host[256], port[8], what[80];
	int error;

	snprintf(what, sizeof(what), "%.*s", STR_ARG(p->name));
	if (!split_url(p->base_url, host, sizeof(host), port))
		return;
	error = getaddrinfo(host, port, &hints, &list);
	if (error != 0) {
		note(d, BAD, what, "look at base_url, and at /etc/resolv.conf", "%s: %s",
		    host, gai_strerror(error));
		return;
	}
	error = ETIMEDOUT;
	for (const struct addrinfo *a = list; a != NULL && error != 0; a = a->ai_next)
		error = try_connect(a);
	freeaddrinfo(list);
	if (error != 0)
		note(d, BAD, what,
		    "look at base_url, at the firewall, and whether it runs", "%s:%s: %s",
		    host, port, strerror(error));
	else
		note(d, FINE, what, "", "%s:%s can be reached", host, port);
}

static void
look_at_hosts(struct doctor *d)
{
	if (d->config == NULL)
		return;
	for (size_t i = 0; i < d->config->provider_count; i++)
		if (d->config->provider[i].proxy == NULL)
			look_at_host(d, &d->config->provider[i]);
}

/* ---- the database, when there is one ---- */

static void
look_at_database(struct doctor *d)
{
	json_t *found = NULL;
	char path[4200];

	snprintf(path, sizeof(path), "%s/latenza.db", d->data);
	if (*d->data == '\0' || access(path, F_OK) != 0)
		return;
	if (backend_run(d->c, "db.check", json_object(), &found) != CLI_DONE)
		note(d, BAD, "database",
		    "restore a backup, or ask with what stands above",
		    "cannot be checked");
	else if (!json_is_true(json_object_get(found, "sound")))
		note(d, BAD, "database",
		    "stop the gateway and restore the last `latenza db backup`", "%s",
		    out_text(found, "first_problem"));
	else if (json_get_int(found, "keys", 0) == 0)
		note(d, WARNING, "keys", "`latenza key create --name NAME` makes one",
		    "there is none: every request is refused");
	else
		note(d, FINE, "database", "", "sound; %lld keys, %lld traces",
		    (long long)json_get_int(found, "keys", 0),
		    (long long)json_get_int(found, "traces", 0));
	json_decref(found);
}

int
doctor_run(struct cli *c)
{
	static void (*const looks[])(struct doctor *) = { look_at_configuration,
		look_at_providers, look_at_data, look_at_gateway, look_at_addresses,
		look_at_files, look_at_plugins, look_at_policies, look_at_clock,
		look_at_hosts, look_at_database };
	struct doctor d = { .c = c, .lines = json_array() };

	for (size_t i = 0; i < sizeof(looks) / sizeof(*looks); i++)
		looks[i](&d);
	if (c->wants_json)
		out_json(d.lines);
	if (d.config != NULL)
		config_unref(d.config);
	config_reap();
	json_decref(d.status);
	json_decref(d.lines);
	return d.bad == 0 ? CLI_DONE : CLI_FAILED;
}
