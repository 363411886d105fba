/* live.c - what only a running gateway knows: in-flight counts, reservations, health.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/running.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "key/keys.h"
#include "request/credential.h"
#include "request/live.h"

static void
set_time(json_t *out, const char *member, int64_t unix_ms)
{
	char text[25];

	if (unix_ms <= 0)
		return;
	clock_format(unix_ms, text);
	json_object_set_new(out, member, json_string(text));
}

json_t *
live_key(void *arg, lz_str id)
{
	struct running *r = arg;
	const struct key *k = keys_get(gateway_keys(r->gateway), id);
	int64_t reserved = 0, now = loop_now(r->loop)->unix_ms;
	json_t *out;

	if (k == NULL)
		return NULL;
	out = json_object();
	for (size_t i = 0; i < k->budget_count; i++) {
		struct budget_view v;

		ledger_view(k->budget[i], now, &v);
		reserved =
		    v.reserved_nano_eur > reserved ? v.reserved_nano_eur : reserved;
	}
	json_object_set_new(
	    out, "in_flight", json_integer(atomic_load(&k->live->in_flight)));
	json_object_set_new(out, "reserved_nano_eur", json_integer(reserved));
	set_time(out, "last_used_at", atomic_load(&k->live->last_used_unix_ms));
	return out;
}

static bool
period_of(lz_str name, enum key_period *out)
{
	for (unsigned p = 0; p < PERIOD_KINDS; p++) {
		*out = (enum key_period)p;
		if (str_is(name, key_period_name(*out)))
			return true;
	}
	return false;
}

/* The ledger is ahead of the database by what is still in the spools. */
void
live_budget(void *arg, json_t *row)
{
	struct running *r = arg;
	struct budget *b = NULL;
	enum key_period period;
	struct budget_view v;

	if (period_of(json_get_str(row, "period"), &period))
		b = ledger_find(
		    gateway_ledger(r->gateway), json_get_str(row, "scope"), period);
	if (b == NULL)
		return;
	ledger_view(b, loop_now(r->loop)->unix_ms, &v);
	json_object_set_new(row, "spent_nano_eur", json_integer(v.spent_nano_eur));
	json_object_set_new(row, "reserved_nano_eur", json_integer(v.reserved_nano_eur));
}

/* ---- providers ---- */

static const char *
health(struct live *l, int64_t now_us)
{
	int64_t until = atomic_load(&l->open_until_us);

	if (until == 0)
		return "ok";
	return until > now_us ? "down" : "probing";
}

static uint64_t
samples(struct live *l)
{
	return atomic_load(&l->samples[0]) + atomic_load(&l->samples[1]);
}

/* Was it ever called? */
static bool
is_known(struct live *l)
{
	return samples(l) > 0 || atomic_load(&l->failures) > 0 ||
	       atomic_load(&l->open_until_us) != 0 || atomic_load(&l->in_flight) > 0;
}

static void
add_target(void *arg, struct live *l)
{
	uint64_t ttft = atomic_load(&l->ttft_us[1]);
	json_t *one;

	if (!is_known(l))
		return;
	one = json_object();
	json_object_set_new(one, "target", json_string(l->name));
	json_object_set_new(one, "health", json_string(health(l, clock_mono_us())));
	json_object_set_new(one, "samples", json_integer((json_int_t)samples(l)));
	json_object_set_new(
	    one, "error_pct", json_real((double)atomic_load(&l->error_permille) / 10));
	json_object_set_new(
	    one, "ttft_ms", ttft == 0 ? json_null() : json_real((double)ttft / 1000));
	json_object_set_new(one, "in_flight", json_integer(atomic_load(&l->in_flight)));
	json_array_append_new(arg, one);
}

json_t *
live_providers(void *arg)
{
	json_t *list = json_array();

	(void)arg;
	live_each(add_target, list);
	return list;
}

/* ---- their keys ---- */

static const char *
state_of(int64_t until_us, int32_t cause, int64_t now_us)
{
	if (until_us == 0)
		return "ok";
	if (cause == LZ_UPSTREAM_RATE)
		return until_us > now_us ? "limited" : "ok";
	if (until_us <= now_us)
		return "probing";
	return cause == LZ_UPSTREAM_QUOTA ? "quota" : "refused";
}

static json_t *
credential_shown(const struct provider *p, size_t i)
{
	struct credential *c = credential_of(p, i);
	json_t *out = json_object();
	int64_t now_us = clock_mono_us(), until_us;
	int32_t cause;

	until_us = credential_rests_until(c, &cause);
	json_object_set_new(out, "provider", json_stringn(p->name.ptr, p->name.len));
	json_object_set_new(out, "position", json_integer((json_int_t)i + 1));
	json_object_set_new(out, "credential", json_string(c->print));
	json_object_set_new(out, "state", json_string(state_of(until_us, cause, now_us)));
	json_object_set_new(out, "rests_ms",
	    json_integer(until_us > now_us ? (until_us - now_us) / 1000 : 0));
	json_object_set_new(
	    out, "attempts", json_integer((json_int_t)atomic_load(&c->attempts)));
	json_object_set_new(
	    out, "refused", json_integer((json_int_t)atomic_load(&c->refused)));
	json_object_set_new(
	    out, "limited", json_integer((json_int_t)atomic_load(&c->limited)));
	return out;
}

json_t *
live_credentials(void *arg)
{
	struct running *r = arg;
	const struct config *c = gateway_config(r->gateway);
	json_t *list = json_array();

	for (size_t i = 0; i < c->provider_count; i++)
		for (size_t k = 0; k < c->provider[i].api_key_count; k++)
			json_array_append_new(list, credential_shown(&c->provider[i], k));
	return list;
}

/* ---- the whole ---- */

static json_t *
listens(const struct running *r)
{
	const struct config *c = gateway_config(r->gateway);
	json_t *list = json_array();

	for (size_t i = 0; i < c->listen_count; i++) {
		char ip[INET6_ADDRSTRLEN];
		lz_str host = net_addr_ip(&c->listen[i], ip);
		bool is_v6 = str_find(host, ':') >= 0;

		json_array_append_new(
		    list, json_sprintf(is_v6 ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(host),
			      gateway_port(r->gateway, i)));
	}
	return list;
}

json_t *
live_status(void *arg)
{
	struct running *r = arg;
	const struct config *c = gateway_config(r->gateway);
	struct err why = { "" };
	bool is_ready = gateway_is_ready(r->gateway, &why);
	json_t *out = json_object();

	json_object_set_new(out, "version", json_string(LATENZA_VERSION));
	json_object_set_new(out, "pid", json_integer(getpid()));
	set_time(out, "since", r->since_unix_ms);
	json_object_set_new(out, "ready", json_boolean(is_ready));
	if (!is_ready)
		json_object_set_new(out, "why_not", json_string(why.text));
	json_object_set_new(
	    out, "config", c->path == NULL ? json_null() : json_string(c->path));
	json_object_set_new(out, "listen", listens(r));
	if (r->admin != NULL)
		json_object_set_new(
		    out, "admin_port", json_integer(admin_http_port(r->admin)));
	json_object_set_new(
	    out, "keys", json_integer((json_int_t)keys_count(gateway_keys(r->gateway))));
	json_object_set_new(
	    out, "providers", json_integer((json_int_t)c->provider_count));
	return out;
}

/* ---- metrics ---- */

struct metric_row {
	struct buf *out;
	const char *name;
	double (*read)(struct live *l);
};

static void
add_metric(void *arg, struct live *l)
{
	struct metric_row *row = arg;

	if (!is_known(l))
		return;
	buf_addf(row->out, "%s{target=", row->name);
	buf_add_json(row->out, lz_strz(l->name));
	buf_addf(row->out, "} %g\n", row->read(l));
}

static double
read_up(struct live *l)
{
	return atomic_load(&l->open_until_us) == 0;
}

static double
read_in_flight(struct live *l)
{
	return atomic_load(&l->in_flight);
}

static double
read_errors(struct live *l)
{
	return atomic_load(&l->error_permille) / 1000.0;
}

static const struct {
	const char *name, *help;
	double (*read)(struct live *l);
} target_metrics[] = {
	{ "latenza_target_up", "1 while the breaker of a model at a provider is closed",
	    read_up },
	{ "latenza_target_in_flight", "Calls out to a model at a provider",
	    read_in_flight },
	{ "latenza_target_error_ratio", "Moving average of failed calls", read_errors },
};

/* Spent stands before reserved: who adds the two, read one after the other, never gets
 * more than admission allowed. */
static int64_t
read_limit(const struct budget_view *v)
{
	return v->limit_nano_eur;
}

static int64_t
read_spent(const struct budget_view *v)
{
	return v->spent_nano_eur;
}

static int64_t
read_reserved(const struct budget_view *v)
{
	return v->reserved_nano_eur;
}

static const struct {
	const char *name, *help;
	int64_t (*read)(const struct budget_view *v);
} budget_metrics[] = {
	{ "latenza_budget_spent_eur", "Spent of a budget in its period", read_spent },
	{ "latenza_budget_reserved_eur", "Held of a budget for calls under way",
	    read_reserved },
	{ "latenza_budget_limit_eur", "A budget for a period", read_limit },
};

struct budget_row {
	struct buf *out;
	const char *name;
	int64_t now_unix_ms;
	int64_t (*read)(const struct budget_view *v);
};

static void
add_budget(const struct budget_row *row, struct budget *b, const char *label, lz_str id,
    lz_str assistant)
{
	struct budget_view v;

	ledger_view(b, row->now_unix_ms, &v);
	buf_addf(row->out, "%s{%s=", row->name, label);
	buf_add_json(row->out, id);
	if (assistant.ptr != NULL) {
		buf_add_z(row->out, ",assistant=");
		buf_add_json(row->out, assistant);
	}
	buf_addf(row->out, ",period=\"%s\"} ", key_period_name(v.period));
	buf_add_nano(row->out, row->read(&v));
	buf_add_char(row->out, '\n');
}

static bool
add_key(void *arg, const struct key *k)
{
	for (size_t i = 0; i < k->budget_count; i++)
		add_budget(arg, k->budget[i], "key", k->id, STR_NONE);
	return true;
}

static void
add_profile(void *arg, const struct profile *p)
{
	for (size_t i = 0; i < p->budget_count; i++)
		add_budget(
		    arg, p->budget[0][i], "organization", p->organization, p->assistant);
}

static void
add_budgets(struct running *r, struct buf *out)
{
	for (size_t i = 0; i < sizeof(budget_metrics) / sizeof(*budget_metrics); i++) {
		struct budget_row row = { out, budget_metrics[i].name,
			loop_now(r->loop)->unix_ms, budget_metrics[i].read };

		buf_addf(out, "# HELP %s %s\n# TYPE %s gauge\n", row.name,
		    budget_metrics[i].help, row.name);
		keys_each(gateway_keys(r->gateway), add_key, &row);
		profiles_each(keys_profiles(gateway_keys(r->gateway)), add_profile, &row);
	}
}

static uint64_t
read_ready(struct credential *c)
{
	int32_t cause;

	return credential_rests_until(c, &cause) <= clock_mono_us();
}

static uint64_t
read_attempts(struct credential *c)
{
	return atomic_load(&c->attempts);
}

static uint64_t
read_refused(struct credential *c)
{
	return atomic_load(&c->refused);
}

static uint64_t
read_limited(struct credential *c)
{
	return atomic_load(&c->limited);
}

static const struct {
	const char *name, *kind, *help;
	uint64_t (*read)(struct credential *c);
} credential_metrics[] = {
	{ "latenza_credential_ready", "gauge", "1 unless a provider's key rests",
	    read_ready },
	{ "latenza_credential_attempts_total", "counter",
	    "Attempts with a provider's key", read_attempts },
	{ "latenza_credential_refused_total", "counter",
	    "Attempts that the provider refused for their key", read_refused },
	{ "latenza_credential_limited_total", "counter",
	    "Attempts that the provider refused for their key's rate", read_limited },
};

struct credential_row {
	struct buf *out;
	const char *name;
	uint64_t (*read)(struct credential *c);
};

static void
add_credential(void *arg, struct credential *c)
{
	struct credential_row *row = arg;

	buf_addf(row->out, "%s{provider=", row->name);
	buf_add_json(row->out, lz_strz(c->provider));
	buf_addf(row->out, ",credential=\"%s\"} %" PRIu64 "\n", c->print, row->read(c));
}

static void
add_credentials(struct buf *out)
{
	for (size_t i = 0; i < sizeof(credential_metrics) / sizeof(*credential_metrics);
	     i++) {
		struct credential_row row = { out, credential_metrics[i].name,
			credential_metrics[i].read };

		buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", row.name,
		    credential_metrics[i].help, row.name, credential_metrics[i].kind);
		credential_each(add_credential, &row);
	}
}

void
live_metrics(void *arg, struct buf *out)
{
	struct running *r = arg;

	for (size_t i = 0; i < sizeof(target_metrics) / sizeof(*target_metrics); i++) {
		struct metric_row row = { out, target_metrics[i].name,
			target_metrics[i].read };

		buf_addf(out, "# HELP %s %s\n# TYPE %s gauge\n", row.name,
		    target_metrics[i].help, row.name);
		live_each(add_metric, &row);
	}
	add_credentials(out);
	add_budgets(r, out);
}
