/* commands.c - every subcommand, its options and its help, as one table.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/command.h"

#define END                                                                              \
	{                                                                                \
		NULL, 0, OPTION_SWITCH, NULL, NULL                                       \
	}

static const struct cli_option none[] = { END };

static const struct cli_option serve_options[] = {
	{ "listen", 'l', OPTION_TEXT, "ADDR",
	    "listen here instead of the file's `listen`" },
	{ "plugin", 'p', OPTION_LIST, "NAME|PATH",
	    "open this plugin too; may be repeated" },
	END,
};
static const struct cli_option demo_options[] = {
	{ "listen", 'l', OPTION_TEXT, "ADDR",
	    "listen here; 127.0.0.1:8080, or a free port when that is taken" },
	{ "plugin", 'p', OPTION_LIST, "NAME|PATH",
	    "open this plugin too; may be repeated" },
	{ "no-traffic", 0, OPTION_SWITCH, NULL, "send no sample requests" },
	END,
};
static const struct cli_option init_options[] = {
	{ "force", 'f', OPTION_SWITCH, NULL, "replace a latenza.yaml that is there" },
	{ "listen", 'l', OPTION_TEXT, "ADDR",
	    "what to write as `listen`; 127.0.0.1:8080" },
	{ "from", 0, OPTION_TEXT, "GATEWAY",
	    "convert FILE, a configuration of litellm or portkey" },
	{ "keys", 0, OPTION_TEXT, "FILE",
	    "with --from: that gateway's export of virtual keys (and of teams)" },
	END,
};
static const struct cli_option check_options[] = {
	{ "strict", 0, OPTION_SWITCH, NULL, "exit 3 when there are warnings" },
	{ "offline", 0, OPTION_SWITCH, NULL, "check the form only: read no secrets" },
	{ "plugin", 'p', OPTION_LIST, "NAME|PATH",
	    "open this plugin too; may be repeated" },
	END,
};
static const struct cli_option plugin_new_options[] = {
	{ "kind", 'k', OPTION_TEXT, "KIND", "guardrail, router, provider or sink" },
	{ "build", 0, OPTION_TEXT, "TOOL", "make or autotools; make" },
	END,
};
static const struct cli_option plugin_run_options[] = {
	{ "text", 't', OPTION_TEXT, "TEXT", "what it is to see; `-`: standard input" },
	{ "kind", 0, OPTION_TEXT, "KIND", "guardrail or provider, where it offers both" },
	{ "component", 0, OPTION_TEXT, "NAME", "which, where it offers several" },
	{ "option", 'O', OPTION_PAIRS, "NAME=VALUE",
	    "an option of the component, as text or JSON; may be repeated" },
	{ "phase", 0, OPTION_TEXT, "PHASE", "request or response; request" },
	{ "role", 0, OPTION_TEXT, "ROLE", "system, user, assistant, tool" },
	{ "stream-every", 0, OPTION_INTEGER, "BYTES",
	    "an answer that arrives in pieces of so many bytes" },
	{ "reply", 0, OPTION_TEXT, "BODY",
	    "how its callouts are answered, with status 200; else none is" },
	END,
};

#define SETTING_OPTIONS                                                                  \
	{ "file", 'f', OPTION_TEXT, "FILE",                                              \
		"read the settings from a JSON file; `-`: standard input" },             \
	    { "name", 'n', OPTION_TEXT, "NAME", "what people call it" },                 \
	    { "rate-limit", 0, OPTION_LIMIT, "N", "requests per minute" },               \
	    { "rate-burst", 0, OPTION_LIMIT, "N", "requests at once; the rate limit" },  \
	    { "tokens-per-minute", 0, OPTION_LIMIT, "N", "tokens per minute" },          \
	    { "max-in-flight", 0, OPTION_LIMIT, "N", "requests at the same time" },      \
	    { "max-output-tokens", 0, OPTION_LIMIT, "N", "tokens of one answer" },       \
	    { "budget-monthly-eur", 0, OPTION_BUDGET, "EUR", "what a month may cost" },  \
	    { "budget-alert-pct", 0, OPTION_INTEGER, "PCT",                              \
		    "tell when so much of the budget is spent" },                        \
	    { "model-allowlist", 0, OPTION_LIST, "MODEL,…",                              \
		    "the models it may use; a name may end in `*`" },                    \
	    { "routing-strategy", 0, OPTION_TEXT, "NAME",                                \
		    "cheapest, fastest, balanced, quality, …" },                         \
	    { "guardrails", 0, OPTION_LIST, "NAME,…",                                    \
		    "these hold too, beside those that hold anyway" },                   \
	{                                                                                \
		"log-content", 0, OPTION_TEXT, "full|meta|off",                          \
		    "what traces keep of prompts and answers"                            \
	}

#define KEY_SETTING_OPTIONS                                                              \
	SETTING_OPTIONS,                                                                 \
	    { "id", 0, OPTION_TEXT, "SLUG", "how it is known; made from the name" },     \
	    { "test", 0, OPTION_SWITCH, NULL,                                            \
		    "a test key: reaches providers marked `test` only" },                \
	    { "organization", 0, OPTION_TEXT, "ORG", "belongs to this organization" },   \
	    { "assistant", 0, OPTION_TEXT, "NAME", "serves this assistant of it" },      \
	    { "expires-at", 0, OPTION_TEXT, "DATE", "works no longer from then on" },    \
	    { "allowed-ips", 0, OPTION_LIST, "RANGE,…", "addresses it may come from" },  \
	{                                                                                \
		"metadata", 0, OPTION_PAIRS, "NAME=VALUE",                               \
		    "added to every trace; may be repeated"                              \
	}

static const struct cli_option create_options[] = { KEY_SETTING_OPTIONS, END };
static const struct cli_option import_options[] = {
	{ "sha256", 0, OPTION_TEXT, "HEX", "SHA-256 of the secret" },
	{ "secrets", 0, OPTION_TEXT, "FILE",
	    "a file with lines `NAME SECRET`: one key each; `-`: standard input" },
	KEY_SETTING_OPTIONS,
	END,
};
#define UNSET_OPTION                                                                     \
	{                                                                                \
		"unset", 0, OPTION_LIST, "MEMBER,…", "take these settings away"          \
	}
#define DEFAULT_MODEL_OPTION                                                             \
	{                                                                                \
		"default-model", 0, OPTION_TEXT, "MODEL",                                \
		    "the model of requests that name none"                               \
	}
static const struct cli_option org_create_options[] = { SETTING_OPTIONS, END };
static const struct cli_option org_set_options[] = { SETTING_OPTIONS, UNSET_OPTION, END };
static const struct cli_option assistant_create_options[] = { SETTING_OPTIONS,
	DEFAULT_MODEL_OPTION, END };
static const struct cli_option assistant_set_options[] = { SETTING_OPTIONS,
	DEFAULT_MODEL_OPTION, UNSET_OPTION, END };
static const struct cli_option roll_options[] = {
	{ "keep-old", 0, OPTION_DURATION, "TIME",
	    "how long the old secret works on; 24h; 0: not at all" },
	END,
};
static const struct cli_option disable_options[] = {
	{ "undo", 0, OPTION_SWITCH, NULL, "enable it again" },
	END,
};

#define TRACE_FILTER_OPTIONS                                                             \
	{ "key", 'k', OPTION_TEXT, "ID", "of this key" },                                \
	    { "organization", 0, OPTION_TEXT, "NAME", "of this organization" },          \
	    { "assistant", 0, OPTION_TEXT, "[ORG/]NAME", "of this assistant" },          \
	    { "model", 'm', OPTION_TEXT, "MODEL", "that asked for or got this model" },  \
	    { "provider", 0, OPTION_TEXT, "NAME", "served by this provider" },           \
	    { "user", 'u', OPTION_TEXT, "USER", "of this user" },                        \
	    { "session", 0, OPTION_TEXT, "ID", "of this session" },                      \
	    { "code", 0, OPTION_TEXT, "CODE", "that ended with this error code" },       \
	    { "metadata", 0, OPTION_TEXT, "NAME=VALUE", "with this in the metadata" },   \
	    { "guardrail", 0, OPTION_TEXT, "NAME", "that this guardrail looked at" },    \
	    { "verdict", 0, OPTION_TEXT, "VERDICT",                                      \
		    "that it (or a guardrail) said this of: block, mask, ..." },         \
	    { "since", 0, OPTION_DURATION, "TIME", "of the last 30m, 24h, 7d" },         \
	{                                                                                \
		"errors", 0, OPTION_SWITCH, NULL, "that failed"                          \
	}

static const struct cli_option trace_list_options[] = {
	TRACE_FILTER_OPTIONS,
	{ "limit", 'n', OPTION_INTEGER, "N", "so many, the newest; 50" },
	END,
};
static const struct cli_option trace_tail_options[] = { TRACE_FILTER_OPTIONS, END };
static const struct cli_option trace_show_options[] = {
	{ "content", 0, OPTION_SWITCH, NULL,
	    "prompt and answer whole, not their beginnings" },
	END,
};
static const struct cli_option trace_export_options[] = {
	TRACE_FILTER_OPTIONS,
	{ "to", 0, OPTION_TEXT, "FILE", "write here instead of standard output" },
	{ "content", 0, OPTION_SWITCH, NULL, "with prompts and answers" },
	END,
};
static const struct cli_option trace_erase_options[] = {
	{ "user", 'u', OPTION_TEXT, "USER",
	    "whose prompts, answers and names go; money stays" },
	{ "yes", 'y', OPTION_SWITCH, NULL, "do it; without, only say what it would do" },
	END,
};
static const struct cli_option explain_options[] = {
	{ "key", 0, OPTION_TEXT, "ID", "the virtual key that would ask" },
	{ "model", 0, OPTION_TEXT, "NAME", "the model that it would ask for" },
	{ "text", 0, OPTION_TEXT, "TEXT", "the prompt (\"Hello\")" },
	{ "max-tokens", 0, OPTION_INTEGER, "N", "the answer's longest" },
	{ "stream", 0, OPTION_SWITCH, NULL, "as a stream" },
	{ "strategy", 0, OPTION_TEXT, "NAME", "instead of the key's" },
	{ "file", 'f', OPTION_TEXT, "FILE",
	    "the whole request, as the application sends it" },
	END,
};
static const struct cli_option guard_test_options[] = {
	{ "text", 't', OPTION_TEXT, "TEXT", "what is to be judged; `-`: standard input" },
	{ "text-file", 0, OPTION_TEXT, "FILE", "the same from a file" },
	{ "body", 0, OPTION_TEXT, "FILE",
	    "a whole request, or with --phase response a whole answer, as JSON" },
	{ "key", 'k', OPTION_TEXT, "ID",
	    "as if under this key; without names, all that hold for it" },
	{ "phase", 0, OPTION_TEXT, "PHASE", "request or response; request" },
	{ "stream-every", 0, OPTION_INTEGER, "BYTES",
	    "an answer that arrives in pieces of so many bytes" },
	END,
};
#define POLICY_VISIT_OPTIONS                                                             \
	{ "text", 't', OPTION_TEXT, "TEXT", "what it is to see; `-`: standard input" },  \
	    { "body", 0, OPTION_TEXT, "FILE",                                            \
		    "a whole request, or with --phase response a whole answer, as "      \
		    "JSON" },                                                            \
	    { "trace", 0, OPTION_TEXT, "ID",                                             \
		    "the stored request, or answer, of a trace" },                       \
	    { "phase", 0, OPTION_TEXT, "PHASE", "request or response; request" },        \
	    { "stream-every", 0, OPTION_INTEGER, "BYTES",                                \
		    "an answer that arrives in pieces of so many bytes" },               \
	    { "targets", 0, OPTION_TEXT, "FILE",                                         \
		    "what a router may choose from: a list of { provider, model, ... "   \
		    "}" },                                                               \
	{                                                                                \
		"option", 'O', OPTION_PAIRS, "NAME=VALUE",                               \
		    "an option of the script, as text or JSON; may be repeated"          \
	}
static const struct cli_option policy_new_options[] = {
	{ "kind", 'k', OPTION_TEXT, "KIND", "guardrail or router" },
	END,
};
static const struct cli_option policy_run_options[] = { POLICY_VISIT_OPTIONS, END };
static const struct cli_option policy_replay_options[] = {
	{ "since", 0, OPTION_DURATION, "TIME", "of the last 30m, 24h, 7d; 24h" },
	{ "key", 'k', OPTION_TEXT, "ID", "of this key" },
	{ "option", 'O', OPTION_PAIRS, "NAME=VALUE",
	    "an option of the script, as text or JSON; may be repeated" },
	END,
};
static const struct cli_option policy_bench_options[] = { POLICY_VISIT_OPTIONS,
	{ "visits", 'n', OPTION_INTEGER, "N", "how many; 2000" }, END };
static const struct cli_option test_options[] = {
	{ "model", 'm', OPTION_TEXT, "MODEL",
	    "call this model; the provider's cheapest" },
	END,
};

static const struct cli_command rows[] = {
	{ "serve", "", 0, 0, "Run the gateway",
	    "SIGHUP reloads the configuration, all or nothing. SIGTERM and SIGINT let "
	    "requests\n"
	    "finish for at most 30 s; a second one ends at once.",
	    serve_options, serve_run },
	{ "demo", "", 0, 0, "Run a gateway that needs no account, with sample traffic",
	    "Uses the echo provider, a key that is thrown away, and a temporary data "
	    "directory.",
	    demo_options, demo_run },
	{ "init", "[DIR]", 0, 2,
	    "Write latenza.yaml, make the data directory and a first key",
	    "Provider keys found in the environment (OPENAI_API_KEY, …) become "
	    "providers.\n"
	    "  latenza init --from litellm config.yaml [--keys keys.json] [DIR]\n"
	    "  latenza init --from portkey config.json [--keys virtual-keys.json] [DIR]\n"
	    "convert, write no secret down, and list what has no twin here.",
	    init_options, init_run },
	{ "check", "[FILE]", 0, 1, "Check the configuration", NULL, check_options,
	    check_run },
	{ "doctor", "", 0, 0,
	    "Look for what is wrong on this machine, and say how to mend it", NULL, none,
	    doctor_run },
	{ "reload", "", 0, 0, "Take over the changed configuration, all or nothing", NULL,
	    none, reload_run },
	{ "key create", "", 0, 0, "Mint a virtual key; its secret is shown once",
	    "  latenza key create -f key.json\n"
	    "  latenza key create --name 'Production backend' --rate-limit 120",
	    create_options, key_create_run },
	{ "key list", "", 0, 0, "List virtual keys", NULL, none, key_list_run },
	{ "key show", "ID", 1, 1, "Show a key: settings, limits, what it spent", NULL,
	    none, key_show_run },
	{ "key roll", "ID", 1, 1, "Give a key a new secret", NULL, roll_options,
	    key_roll_run },
	{ "key disable", "ID", 1, 1, "Refuse a key from now on", NULL, disable_options,
	    key_disable_run },
	{ "key rm", "ID", 1, 1, "Remove a key; its history stays", NULL, none,
	    key_rm_run },
	{ "key import", "", 0, 0,
	    "Take over keys that exist already, known by their SHA-256", NULL,
	    import_options, key_import_run },
	{ "org create", "ORG", 1, 1,
	    "Make an organization: what its keys inherit, and share",
	    "  latenza org create acme --budget-monthly-eur 2000 --routing-strategy "
	    "balanced",
	    org_create_options, profile_write_run },
	{ "org set", "ORG", 1, 1, "Change settings of an organization; others stay", NULL,
	    org_set_options, profile_write_run },
	{ "org list", "", 0, 0, "List organizations", NULL, none, profile_list_run },
	{ "org show", "ORG", 1, 1, "Show an organization: settings, what it spent", NULL,
	    none, profile_show_run },
	{ "org disable", "ORG", 1, 1, "Refuse all keys of an organization from now on",
	    NULL, disable_options, profile_disable_run },
	{ "org rm", "ORG", 1, 1, "Remove an organization that has no keys", NULL, none,
	    profile_rm_run },
	{ "assistant create", "ORG/NAME", 1, 1,
	    "Make an assistant: a profile inside an organization",
	    "  latenza assistant create acme/support --routing-strategy fastest \\\n"
	    "    --model-allowlist gpt-4o,gpt-4o-mini --default-model gpt-4o-mini",
	    assistant_create_options, profile_write_run },
	{ "assistant set", "ORG/NAME", 1, 1,
	    "Change settings of an assistant; others stay", NULL, assistant_set_options,
	    profile_write_run },
	{ "assistant list", "", 0, 0, "List assistants", NULL, none, profile_list_run },
	{ "assistant show", "ORG/NAME", 1, 1,
	    "Show an assistant: settings, what it spent", NULL, none, profile_show_run },
	{ "assistant disable", "ORG/NAME", 1, 1,
	    "Refuse all keys of an assistant from now on", NULL, disable_options,
	    profile_disable_run },
	{ "assistant rm", "ORG/NAME", 1, 1, "Remove an assistant that has no keys", NULL,
	    none, profile_rm_run },
	{ "budget list", "[SCOPE]", 0, 1,
	    "List budgets of keys, assistants and organizations",
	    "SCOPE is a beginning: org:acme, assistant:acme/, key:backend, test:.", none,
	    budget_list_run },
	{ "traces list", "", 0, 0, "List requests, the newest first", NULL,
	    trace_list_options, traces_list_run },
	{ "traces show", "ID", 1, 1, "Show one request's way: where time and money went",
	    "ID is x-request-id, or a beginning of it that is unique.",
	    trace_show_options, traces_show_run },
	{ "traces tail", "", 0, 0, "Print requests as they end", NULL, trace_tail_options,
	    traces_tail_run },
	{ "traces export", "", 0, 0, "Write requests as JSON lines, the oldest first",
	    NULL, trace_export_options, traces_export_run },
	{ "traces erase", "", 0, 0, "Forget a person", NULL, trace_erase_options,
	    traces_erase_run },
	{ "route explain", "", 0, 0, "Show who would serve a request, and why not others",
	    "Asks the running gateway, calls nobody, and uses up no limit. The table is "
	    "the "
	    "one that\ntraces keep, and that x-latenza-dry-run: route answers with.\n",
	    explain_options, route_explain_run },
	{ "model list", "", 0, 0, "List the models that the configuration serves", NULL,
	    none, model_list_run },
	{ "model show", "MODEL", 1, 1, "Show where a model name leads, with prices", NULL,
	    none, model_show_run },
	{ "guardrail list", "", 0, 0, "List guardrails: what each does, and for whom",
	    NULL, none, guardrail_list_run },
	{ "guardrail test", "[NAME...]", 0, CLI_OPERANDS,
	    "Show what guardrails make of a text",
	    "They are asked as for a client, by the running gateway or by one that is "
	    "started\n"
	    "for it; no provider is called, and no trace is left. Without names: all "
	    "that are\n"
	    "default_on, or with --key all that hold for the key. Exit code 1: what came "
	    "was\n"
	    "blocked, or a guardrail failed.\n"
	    "  latenza guardrail test --text 'mail jane@example.org'\n"
	    "  latenza guardrail test pii --stream-every 1 --text-file answer.txt",
	    guard_test_options, guardrail_test_run },
	{ "provider list", "", 0, 0, "List providers and their health", NULL, none,
	    provider_list_run },
	{ "provider test", "NAME", 1, 1, "Send one real request through a provider", NULL,
	    test_options, provider_test_run },
	{ "plugin list", "", 0, 0, "List plugins and their components", NULL, none,
	    plugin_list_run },
	{ "plugin info", "NAME|PATH", 1, 1, "Show a plugin's components and options",
	    NULL, none, plugin_info_run },
	{ "plugin check", "NAME|PATH", 1, 1,
	    "Try a plugin's file in a process of its own",
	    "Exit code 3: nothing is wrong, but something is to be looked at.", none,
	    plugin_check_run },
	{ "plugin new", "NAME", 1, 1, "Write a plugin that works, and its test",
	    "Into a new folder NAME. It builds against the installed SDK.",
	    plugin_new_options, plugin_new_run },
	{ "plugin run", "NAME|PATH", 1, 1, "Show what a component makes of a text",
	    "In a process of its own, without a gateway and without the network.",
	    plugin_run_options, plugin_run_run },
	{ "policy init", "[DIR]", 0, 1,
	    "Begin a folder of Lua policies: an example, its test, what editors know",
	    NULL, none, policy_init_run },
	{ "policy new", "NAME [DIR]", 1, 2, "Write a Lua policy that works, and its test",
	    NULL, policy_new_options, policy_new_run },
	{ "policy check", "FILE...", 1, CLI_OPERANDS,
	    "Load Lua policies, and look at them",
	    "Exit code 3: nothing is wrong, but something is to be looked at.", none,
	    policy_check_run },
	{ "policy test", "[DIR|FILE...]", 0, CLI_OPERANDS,
	    "Run the tests beside Lua policies: NAME_test.lua",
	    "In the gateway's own sandbox, without a gateway and without the network.",
	    none, policy_test_run },
	{ "policy run", "FILE|NAME", 1, 1, "Show what a Lua policy makes of a text",
	    "Without a gateway and without the network; under the limits that `policies` "
	    "of the\nconfiguration gives the file, or the script of that NAME, else "
	    "under "
	    "the usual ones.\n"
	    "  latenza policy run pii.lua --text 'mail jane@example.org'\n"
	    "  latenza policy run pii.lua --trace req_01J --phase response",
	    policy_run_options, policy_run_run },
	{ "policy replay", "FILE|NAME", 1, 1,
	    "Show what a Lua policy would have made of requests that were served",
	    "From traces with stored content; no provider is called. Beside what "
	    "requests did "
	    "cost\nstands what the other model would have cost for the same tokens, at "
	    "the prices\nof the configuration.",
	    policy_replay_options, policy_replay_run },
	{ "policy bench", "FILE|NAME", 1, 1, "Count what a visit of a Lua policy costs",
	    "Under the limits that `policies` of the configuration gives the file, or "
	    "the "
	    "script of\nthat NAME, else under the usual ones.",
	    policy_bench_options, policy_bench_run },
	{ "config show", "", 0, 0, "Show the configuration as used, defaults filled in",
	    NULL, none, config_show_run },
	{ "config schema", "", 0, 0, "Print the JSON Schema of latenza.yaml", NULL, none,
	    config_schema_run },
	{ "config diff", "[OLD NEW]", 0, 2, "Show what a reload would change",
	    "Without files: the running gateway's configuration against its file.", none,
	    config_diff_run },
	{ "db backup", "FILE", 1, 1, "Copy the database while it is in use",
	    "FILE.keyring beside it holds the keyring: keep both safe.", none,
	    db_backup_run },
	{ "db check", "", 0, 0, "Check the database, and its sums", NULL, none,
	    db_check_run },
	{ "completion", "SHELL", 1, 1, "Print a completion script; SHELL is bash",
	    "  source <(latenza completion bash)", none, help_completion },
	{ "version", "", 0, 0, "Print versions", NULL, none, version_run },
};

const struct cli_command *
cli_commands(size_t *count)
{
	*count = sizeof(rows) / sizeof(*rows);
	return rows;
}
