/* policy.h - what the commands of `latenza policy` share: scripts opened from files, and
 * the documents that are shown to them (lua/fake.h). Private to cli/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_POLICY_H
#define CLI_POLICY_H

#include "cli/command.h"
#include "lua/fake.h"
#include "lua/script.h"

enum {
	POLICY_PATH_BYTES = 4096,
	POLICY_TEXT_BYTES = 4 << 20
};

/* The table that fake hosts take their JSON from. */
const lz_host *policy_host(void);
bool policy_is_router(const struct script *s);

/* ---- policy_open.c ---- */
struct policy_opening {
	/* Hears of all that is wrong with the script, as script_source's; or NULL. */
	void (*wrong)(void *arg, const char *sentence);
	void *wrong_arg;
	/* Filled in: what it may cost, and the entry that says so, "latenza.yaml:12"; "":
	 * the configuration names no such script, or there is none. */
	struct script_limits limits;
	char from[POLICY_PATH_BYTES + 12];
	int code; /* where nothing is opened: CLI_CONFIG, CLI_FAILED */
};
/* A script by its file, or by its name ("canary", "lua:canary") in `policies` of the
 * configuration (-c, else where it is looked for). NULL: e. owned. */
struct script *policy_open(
    const struct cli *c, const char *what, struct policy_opening *o, struct err *e);
json_t *policy_limits_json(const struct policy_opening *o); /* owned */
void policy_limits_print(const struct policy_opening *o, char *out, size_t n);
/* A host for one that was opened so: without an entry it may ask for every address. NULL:
 * out of memory. owned */
struct fake *policy_fake(const struct policy_opening *o);

/* ---- policy_document.c ---- */
/* A request's or an answer's texts as fake_visit() is shown them, and of a request its
 * body, model and stream. ST_INVALID: not JSON, or no object. */
enum status policy_show_body(
    json_t *document, lz_str bytes, bool is_answer, struct err *e) MUST_CHECK;
/* What the command line says is to be shown: --text or --body, --phase, --stream-every,
 * --targets, --option. owned. NULL: it was said what is wrong, *code. */
json_t *policy_document(const struct cli *c, const struct script *s, int *code);
/* The stored request or answer of a trace, as traces.show gives it, as a document; with a
 * request those whom a router may choose from. owned. NULL: nothing was kept, e. */
json_t *policy_document_of_trace(const json_t *trace, bool is_answer, struct err *e);
/* The candidates of a trace's table that could serve, in the order in which they were
 * tried. owned; its members are the trace's. */
json_t *policy_ranked_of(const json_t *trace);
/* Adds --targets and --option. An exit code, after saying what is wrong. */
int policy_add_choices(const struct cli *c, const struct script *s, json_t *document);

/* ---- policy_costs.c ---- */
enum policy_cost_gap {
	POLICY_COST_NO_CHARGE,
	POLICY_COST_NO_PRICE,
	POLICY_COST_SEVERAL,
	POLICY_COST_GAPS
};
struct policy_costs {
	unsigned compared;
	int64_t did_nano_eur, would_nano_eur; /* of those compared */
	unsigned estimated;                   /* of those: nobody counted the tokens */
	unsigned repriced;              /* of those: their own price is another today */
	unsigned gap[POLICY_COST_GAPS]; /* not compared, and why */
};
/* Adds a trace, as traces.show gives it, that whom { provider, model, upstream_model }
 * would have served; without a provider: whoever serves the name. false: it was said
 * what is wrong. */
bool policy_costs_add(struct policy_costs *p, const struct cli *c, const json_t *trace,
    const json_t *whom) MUST_CHECK;
json_t *policy_costs_json(const struct policy_costs *p); /* owned */
void policy_costs_print(const struct policy_costs *p);

#endif
