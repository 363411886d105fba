"""`latenza init --from litellm|portkey FILE`: configurations of other gateways, in tests/data/from, and what becomes of them.

NAME.expected.yaml beside a fixture is the file that is written, but for the list of plugins, which is the build's.
LATENZA_REWRITE=1 writes them anew, for a reader to look at.

SPDX-License-Identifier: MIT
"""

import hashlib
import json
import os
import pathlib
import re
import subprocess

import pytest

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "data/from"
ALL = sorted(p for folder in ("litellm", "portkey") for p in (FIXTURES / folder).iterdir()
             if ".keys." not in p.name and ".expected." not in p.name)
SECRET = "sk-kestrel-lines-1"


@pytest.fixture
def init(build, tmp_path):
    def init(origin, path, *more, cwd=FIXTURES, folder=tmp_path / "out", env=None):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("LATENZA_")}
        done = subprocess.run([build / "latenza", "init", "--from", origin, str(path), str(folder), "--data", "./data", *map(str, more)],
                              cwd=cwd, env={**clean, "NO_COLOR": "1", **(env or {})}, capture_output=True, text=True, timeout=60)
        done.file = folder / "latenza.yaml"
        return done
    return init


def keys_of(path):
    for ending in ("json", "jsonl"):
        keys = path.with_name(f"{path.stem}.keys.{ending}")
        if keys.exists():
            return ["--keys", keys.relative_to(FIXTURES)]
    return []


def convert(init, path, *more, **options):
    done = init(path.parent.name, path.relative_to(FIXTURES), *keys_of(path), *more, **options)
    assert done.returncode == 0, done.stderr
    return done


def check(build, path, *more):
    return subprocess.run([build / "latenza", "check", "--offline", *more, path], capture_output=True, text=True)


def as_used(build, path):
    return json.loads(subprocess.run([build / "latenza", "config", "show", "-c", path, "-o", "json"], check=True, capture_output=True).stdout)


@pytest.mark.parametrize("path", ALL, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_a_configuration_becomes_what_is_expected_and_passes_check(init, build, path):
    done = convert(init, path)
    checked = check(build, done.file)
    assert checked.returncode == 0, checked.stderr
    text = re.sub(r"^plugins: .*$", "plugins: [...]", done.file.read_text(), flags=re.M)
    expected = path.with_name(path.stem + ".expected.yaml")
    if os.environ.get("LATENZA_REWRITE"):
        expected.write_text(text)
    assert text == expected.read_text()


@pytest.mark.parametrize("path", ALL, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_what_has_no_twin_is_told_three_times_with_its_place(init, tmp_path, path):
    """On standard error, in the file and as JSON: FILE:LINE: WHERE: what to do instead; the line is where it stands."""
    plain = convert(init, path)
    said = json.loads(convert(init, path, "-o", "json", folder=tmp_path / "json").stdout)
    for kind, prefix in (("no_twin", ""), ("notes", "note: ")):
        for line in said[kind]:
            name, number, rest = line.split(":", 2)
            assert prefix + line in plain.stderr.splitlines() and f"# - {line}\n" in plain.file.read_text()
            source = (FIXTURES / name).read_text().splitlines()
            where = re.match(r" ([^ :]+): ", rest)
            member = where and re.sub(r"\[\d+\]", "", where[1]).split(".")[-1]
            if member and "[" not in where[1].split(".")[-1] and member not in ("attempts",):
                assert member in source[int(number) - 1], line
    assert len(said["no_twin"]) == sum(1 for line in plain.stderr.splitlines() if re.match(r"\S+:\d+: ", line))


def test_every_member_of_the_source_is_converted_or_told(init):
    """A member that no table knows is told, wherever it stands."""
    done = convert(init, FIXTURES / "litellm/everything.yaml")
    for member in ("unheard_of", "model_list[0].litellm_params.some_new_param", "model_list[0].model_info.made_up"):
        assert re.search(rf"everything.yaml:\d+: {re.escape(member)}: is not known to this converter", done.stderr)


@pytest.mark.parametrize("path", ALL, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_no_secret_is_written_down_anywhere(init, path):
    done = convert(init, path)
    source = path.read_text() + "".join((FIXTURES / k).read_text() for k in keys_of(path)[1:])
    secrets = set(re.findall(r"sk-(?:written|azure|portkey|1234|kestrel-plain)[\w-]*|az-written[\w-]*|hunter\d-hunter\d|t0ken-of-the-house", source))
    for text in (done.file.read_text(), done.stdout, done.stderr):
        assert not [s for s in secrets if s in text]
    if "secrets" in path.name:
        assert len(secrets) >= 5


def test_a_secret_that_was_written_out_has_a_variable_of_its_own(init, build):
    """The same secret, the same variable; another one, another; and none that the file uses for something else."""
    providers = as_used(build, convert(init, FIXTURES / "litellm/secrets.yaml").file)
    names = {m: providers["providers"][d["to"][0]["provider"]]["api_keys"] for m, d in providers["models"].items()}
    assert names["one"] == names["one-again"] != names["two"]
    assert names["taken"] == ["env:OPENAI_KEY_2"] and names["taken"] not in (names["one"], names["two"])


@pytest.mark.parametrize("secret", ["$ecret-with-a-dollar", "${braced}", "os.environ/", "os.environ/9x", "envy", "%s%n", "a" * 5000])
def test_a_secret_that_looks_like_a_reference_is_not_taken_for_one(init, tmp_path, secret):
    entry = {"model_name": "a", "litellm_params": {"model": "openai/a", "api_key": secret}}
    (tmp_path / "litellm").write_text(json.dumps({"model_list": [entry], "general_settings": {"master_key": secret}}))
    (tmp_path / "portkey").write_text(json.dumps({"targets": [{"provider": "openai", "api_key": secret, "override_params": {"model": "a"}},
                                                              {"virtual_key": "openai", "override_params": {"model": "a"}}]}))
    for origin in ("litellm", "portkey"):
        done = init(origin, origin, cwd=tmp_path, folder=tmp_path / f"out-{origin}")
        if done.returncode == 1:
            assert "begins as a reference of ours" in done.stderr and not done.file.exists()
            continue
        text = done.file.read_text()
        assert done.returncode == 0 and secret not in text.replace("environment", "") + done.stdout, done.stderr
        assert "env:OPENAI_KEY]" in text and (origin == "litellm" or "env:OPENAI_KEY_2]" in text), "two secrets, two variables"


def test_a_master_key_that_is_a_row_of_the_export_as_well_is_one_key(init, tmp_path):
    (tmp_path / "config.yaml").write_text(json.dumps({"model_list": [{"model_name": "a", "litellm_params": {"model": "openai/a"}}],
                                                      "general_settings": {"master_key": "os.environ/MASTER"}}))
    (tmp_path / "keys.json").write_text(json.dumps([{"token": hashlib.sha256(b"sk-the-master").hexdigest(), "key_alias": "again"}]))
    done = init("litellm", "config.yaml", "--keys", "keys.json", cwd=tmp_path, env={"MASTER": "sk-the-master"})
    assert done.returncode == 0 and "is there already" in done.stderr
    assert "again" not in done.file.read_text() and "sk-the-master" not in done.file.read_text()


def test_keys_come_over_by_hash_and_never_wider_than_they_were(init, build):
    shown = as_used(build, convert(init, FIXTURES / "litellm/everything.yaml").file)["keys"]
    assert shown["backend-production"]["secret_sha256"] == hashlib.sha256(b"sk-kestrel-backend").hexdigest()
    assert shown["plain"]["secret_sha256"] == hashlib.sha256(b"sk-kestrel-plain").hexdigest()
    assert shown["backend-production"]["budget_monthly_eur"] == 92, "100 USD at 0.92"
    assert shown["night.batch"]["budgets"] == [{"period": "day", "eur": 1.84, "alert_pct": [50]}]
    assert shown["night.batch"]["model_allowlist"] == ["chat", "chat-large"], "the models of its access group"
    assert shown["key-" + hashlib.sha256(b"sk-kestrel-old").hexdigest()[:8]]["budget_monthly_eur"] == 27.14, "what was left: 29.50 USD"
    assert shown["backend-production-2"]["budget_monthly_eur"] == 92, "300 USD in 90 days: a third of it in a month"
    assert shown["hour"]["budgets"][0] == {"period": "day", "eur": 0.92}, "1 USD an hour is not more than that a day"
    assert shown["plain"]["model_allowlist"] == [], "a team's models that nobody knows are none"
    assert "gone" not in shown and "plain-once-more" not in shown


def test_a_converted_configuration_serves_an_imported_key(init, make_gateway, provider, tmp_path):
    """The whole way: convert, start, ask with the old key for the old name; the fallback answers when the first fails."""
    source = tmp_path / "config.yaml"
    source.write_text(json.dumps({
        "model_list": [
            {"model_name": "house", "litellm_params": {"model": "openai/gone-1", "api_base": "http://127.0.0.1:9/v1", "api_key": "os.environ/FAKE_KEY"}},
            {"model_name": "spare", "litellm_params": {"model": "openai/fake-1", "api_base": provider.base_url, "api_key": "os.environ/FAKE_KEY",
                                                       "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}}],
        "router_settings": {"fallbacks": [{"house": ["spare"]}], "num_retries": 1}}))
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps([{"token": hashlib.sha256(SECRET.encode()).hexdigest(), "key_alias": "old", "models": ["house", "spare"],
                                 "max_budget": 10, "budget_duration": "1mo"}]))
    done = init("litellm", source, "--keys", keys)
    assert done.returncode == 0, done.stderr
    converted = as_used(pathlib.Path(make_gateway().program).parent, done.file)
    gateway = make_gateway(config={k: converted[k] for k in ("providers", "models", "keys")})
    status, head, raw = gateway.chat(SECRET, model="spare")
    assert status == 200, raw
    assert provider.last()["body"]["model"] == "fake-1" and head["x-latenza-model"] == "spare"
    assert gateway.chat(SECRET, model="house")[0] == 200, "nobody listens at the first"
    assert gateway.chat(SECRET, model="fake-2")[0] in (403, 404)
    assert gateway.chat(SECRET + "x", model="spare")[0] == 401
    assert gateway.json("key", "show", "old")["settings"]["budget_monthly_eur"] == 9.2


def test_a_team_binds_its_keys_as_it_did(init, make_gateway, provider, tmp_path):
    """Its budget, its models and its limits are an organisation's; a key never gets more than it had."""
    source, keys = tmp_path / "config.yaml", tmp_path / "keys.json"
    entry = {"api_base": provider.base_url, "api_key": "os.environ/FAKE_KEY", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
    source.write_text(json.dumps({"model_list": [{"model_name": m, "litellm_params": {"model": f"openai/fake-{i}", **entry}}
                                                 for i, m in enumerate(("chat", "large"))]}))
    keys.write_text(json.dumps({
        "teams": [{"team_id": "t1", "team_alias": "Writers", "models": ["chat"], "max_budget": 10, "budget_duration": "1mo", "rpm_limit": 3}],
        "keys": [{"token": hashlib.sha256(SECRET.encode()).hexdigest(), "key_alias": "w", "team_id": "t1", "models": ["all-team-models"], "rpm_limit": 500}]}))
    done = init("litellm", source, "--keys", keys)
    assert done.returncode == 0, done.stderr
    converted = as_used(pathlib.Path(make_gateway().program).parent, done.file)
    assert converted["organizations"]["writers"] == {"name": "Writers", "rate_limit": 3, "budget_monthly_eur": 9.2, "model_allowlist": ["chat"]}
    assert (converted["keys"]["w"]["organization"], converted["keys"]["w"]["rate_limit"]) == ("writers", 3)
    gateway = make_gateway(config={k: converted[k] for k in ("providers", "models", "organizations", "keys")})
    assert gateway.chat(SECRET, model="chat")[0] == 200 and gateway.chat(SECRET, model="large")[0] == 403
    budgets = {b["scope"]: b for b in gateway.json("budget", "list")}
    assert any("writers" in scope for scope in budgets), budgets


def test_what_a_model_can_is_written_where_it_is_news(init, build):
    to = {n: m["to"][0] for n, m in as_used(build, convert(init, FIXTURES / "litellm/teams.yaml").file)["models"].items()}
    assert "vision" not in to["chat"]["capabilities"] and "tools" in to["chat"]["capabilities"], "the catalogue's, but for what was taken away"
    assert "capabilities" not in to["large"], "the catalogue knows that it calls functions"
    assert set(to["house"]["capabilities"]) == {"streaming", "tools", "schema", "reasoning", "audio", "files"}, "nobody knows it: only what it cannot"
    assert to["claude"]["price_cache_write_1h_per_mtok"] == 6 and to["claude"]["price_tiers"] == [
        {"above": 200000, "price_input_per_mtok": 6, "price_output_per_mtok": 22.5}]


@pytest.mark.parametrize("shares, fallbacks", [((3, 1), ["last"]), ((1, 1), [])])
def test_shares_hold_and_fallbacks_come_last(init, make_gateway, provider, tmp_path, shares, fallbacks):
    deployments = [{"model_name": "shared", "litellm_params": {"model": f"openai/{name}", "api_base": provider.base_url, "api_key": "os.environ/FAKE_KEY",
                                                               "weight": weight, "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}}
                   for name, weight in zip(("fake-1", "fake-2"), shares)]
    last = {"model_name": "last", "litellm_params": {"model": "openai/fake-3", "api_base": provider.base_url, "api_key": "os.environ/FAKE_KEY"}}
    source = tmp_path / "config.yaml"
    source.write_text(json.dumps({"model_list": [*deployments, last], "router_settings": {"fallbacks": [{"shared": fallbacks}]}}))
    done = init("litellm", source)
    assert done.returncode == 0, done.stderr
    converted = as_used(pathlib.Path(make_gateway().program).parent, done.file)
    gateway = make_gateway(config={k: converted[k] for k in ("plugins", "providers", "models") if k in converted})
    key = gateway.key()
    asked = []
    for _ in range(40):
        assert gateway.chat(key, model="shared")[0] == 200
        asked.append(provider.last()["body"]["model"])
    assert abs(asked.count("fake-1") - 40 * shares[0] / sum(shares)) <= 3 and asked.count("fake-3") == 0
    if not fallbacks:
        return
    for model in ("fake-1", "fake-2"):
        provider.script(model=model, status=500)
    status, head, raw = gateway.chat(key, model="shared")
    assert status == 200 and provider.last()["body"]["model"] == "fake-3", raw


# ---- what is not what it should be ----

DEEP = "[" * 3000
WRONG = [
    ("litellm", "", "is not a map"),
    ("litellm", ": : :\n- [", ":1:"),
    ("litellm", "[]", "is not a map"),
    ("litellm", "just words", "is not a map"),
    ("litellm", "model_list: []", "source:1: model_list: is empty"),
    ("litellm", "general_settings: {}", "model_list is missing"),
    ("litellm", "model_list: 7", "source:1: model_list: is not a list"),
    ("litellm", "model_list:\n- 7", "model_list[0]: is not a map"),
    ("litellm", "model_list:\n- {}", "model_list[0]: model_name is missing"),
    ("litellm", "model_list:\n- { model_name: a }", "source:2: model_list[0]: litellm_params is missing"),
    ("litellm", "model_list:\n- { model_name: a, litellm_params: [] }", "source:2: model_list[0].litellm_params: is not a map"),
    ("litellm", "model_list:\n- model_name: a\n  litellm_params: { api_key: x }", "model_list[0].litellm_params: model is missing"),
    ("litellm", "model_list:\n- model_name: a\n  litellm_params: { model: 7 }", "source:3: model_list[0].litellm_params.model: is not a text"),
    ("litellm", "model_list:\n- model_name: a\n  litellm_params: { model: openai/a, rpm: many }", "litellm_params.rpm: is not a number"),
    ("litellm", "model_list:\n- model_name: a\n  litellm_params: { model: openai/a, weight: -1 }", "litellm_params.weight: is less than 0"),
    ("litellm", "model_list:\n- model_name: a\n  litellm_params: { model: azure/a, api_base: here }", "api_base: is not an address"),
    ("litellm", "model_list:\n- model_name: a\n  litellm_params: { model: openai/a, api_base: 'file:///etc/passwd' }", "begins as a reference of ours"),
    ("litellm", "model_list:\n- model_name: a\n  litellm_params: { model: openai_like/a }", "has no address"),
    ("litellm", "model_list:\n- model_name: a\n  litellm_params: { model: openai/a, litellm_credential_name: b }", 'credential_list has no "b"'),
    ("litellm", "model_list:\n- model_name: a\n  litellm_params: { model: openai/a }\nrouter_settings: { routing_strategy: clairvoyant }",
     'source:4: router_settings.routing_strategy: "clairvoyant" is not a strategy of LiteLLM'),
    ("litellm", "model_list:\n- model_name: a\n  litellm_params: { model: openai/a }\nrouter_settings: { fallbacks: a }", "router_settings.fallbacks: is not a list"),
    ("litellm", "model_list:\n- model_name: a\n  litellm_params: { model: openai/a }\nrouter_settings: { fallbacks: [ { a: b } ] }", "is not a list of names"),
    ("litellm", "model_list:\n- model_name: a\n  litellm_params: { model: openai/a }\nrouter_settings: { timeout: -3 }", "timeout: is less than 0"),
    ("litellm", "model_list:\n- model_name: a\n  litellm_params: { model: openai/a }\nrouter_settings: { model_group_alias: { b: 1 } }", "is neither a name nor"),
    ("litellm", "model_list:\n- model_name: a\n  litellm_params: { model: bedrock/a }", "nothing in it can be served"),
    ("litellm", "model_list:\n- model_name: a\n  litellm_params: { model: openai/a, extra_headers: { 'X Y': a } }", "is not a name that a header field may have"),
    ("litellm", "model_list:\n- model_name: a\n  litellm_params: { model: openai/a, organization: '${HOME}' }", "begins as a reference of ours"),
    ("litellm", "model_list:\n- model_name: a\n  litellm_params: { model: openai/a, additional_drop_params: [7] }", "entry 0 is not the name of a member"),
    ("litellm", "model_list:\n- model_name: a\n  litellm_params: { model: openai/a }\n  model_info: { supports_vision: maybe }", "supports_vision: is neither true nor false"),
    ("litellm", "a: &a [*a]", ":1:"),
    ("litellm", DEEP, ":1:"),
    ("litellm", "model_list:\n" + "- { model_name: a, litellm_params: { model: openai/a } }\n" * 30000, "larger than 1048576 bytes"),
    ("litellm", "\x00\x01\x02", ":1:"),
    ("portkey", "", "is not a config of Portkey"),
    ("portkey", "{}", "is not a config of Portkey"),
    ("portkey", "{", "source:2: not YAML"),
    ("portkey", '{"strategy": {"mode": "roulette"}, "targets": [{"provider": "openai"}]}', 'source:1: strategy.mode: "roulette" is not a strategy of Portkey'),
    ("portkey", '{"strategy": {}, "targets": [{"provider": "openai"}]}', "strategy: mode is missing"),
    ("portkey", '{"strategy": 7}', "strategy: is not a map"),
    ("portkey", '{"strategy": {"mode": "fallback"}}', "targets is missing"),
    ("portkey", '{"strategy": {"mode": "fallback"}, "targets": []}', "targets: is empty"),
    ("portkey", '{"strategy": {"mode": "fallback"}, "targets": [7]}', "targets[0]: is not a map"),
    ("portkey", '{"targets": [{"weight": 1}]}', "targets[0]: names neither provider nor virtual_key"),
    ("portkey", '{"targets": [{"provider": 7}]}', "targets[0].provider: is not a text"),
    ("portkey", '{"provider": "openai", "retry": {"attempts": "often"}}', "retry.attempts: is not a number"),
    ("portkey", '{"provider": "openai", "custom_host": "gopher://x"}', "custom_host: is not an address"),
    ("portkey", '{"targets":[' * 200 + '{"provider":"openai"}' + "]}" * 200, "source:1:"),
    ("portkey", '{"provider": "nobody-knows"}', "nothing in it can be served"),
]


@pytest.mark.parametrize("origin, text, said", WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_nonsense_is_answered_with_file_and_place_and_nothing_is_written(init, tmp_path, origin, text, said):
    (tmp_path / "source").write_text(text)
    done = init(origin, "source", cwd=tmp_path)
    assert done.returncode == 1 and said in done.stderr and "source" in done.stderr, done.stderr
    assert not done.file.parent.exists()


ODD = [None, True, 0, -1, 1e300, "", "x", "*", "a/b", "env:X", "${X}", "os.environ/X", "é" * 300, [], [[]], {}, {"a": {}}, ["a"], "latenza/x", "\ud7ff"]


def mutations(tree):
    """The tree with each of its values replaced by something else, one at a time; which of ODD goes by the place."""
    def places(node, path):
        for key in (list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else []):
            yield [*path, key]
            yield from places(node[key], [*path, key])
    for i, path in enumerate(places(tree, [])):
        copy = json.loads(json.dumps(tree))
        node = copy
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = ODD[(i * 7) % len(ODD)]
        yield copy


@pytest.mark.parametrize("origin, stem", [("portkey", "stored"), ("portkey", "camel"), ("litellm", "everything.keys"), ("litellm", "teams.keys")])
def test_whatever_stands_in_a_place_is_converted_or_refused(init, build, tmp_path, full, origin, stem):
    tree = json.loads((FIXTURES / f"{origin}/{stem}.json").read_text())
    for i, mutant in enumerate(mutations(tree)):
        if not full and i % 4:
            continue
        (tmp_path / "source").write_text(json.dumps(mutant))
        words = (FIXTURES / "litellm/everything.yaml", "--keys", "source") if ".keys" in stem else ("source",)
        done = init(origin, words[0], *words[1:], cwd=tmp_path, folder=tmp_path / str(i))
        assert done.returncode in (0, 1) and done.stderr, (i, done.returncode, done.stderr)
        assert (done.returncode == 0) == done.file.exists() and "would be refused" not in done.stderr, (i, done.stderr, mutant)


KEYS_WRONG = [
    ("7", "holds no keys"), ("{}", "holds no keys"), ("[7]", "keys[0]: is not a map"), ("[{}]", "keys[0]: token is missing"),
    ('[{"token": "abc"}]', "keys[0].token: is neither a SHA-256"), ('[{"token": 7}]', "keys[0].token: is not a text"),
    ('[{"token": "sk-a", "max_budget": "lots"}]', "keys[0].max_budget: is not a number"),
    ('[{"token": "sk-a", "max_budget": 1, "budget_duration": "now and then"}]', "budget_duration: \"now and then\" is not a time"),
    ('[{"token": "sk-a", "expires": "soon"}]', "keys[0].expires: is not a date"),
    ('[{"token": "sk-a", "models": "all"}]', "keys[0].models: is not a list"),
    ('[{"token": "sk-a", "models": [7]}]', "keys[0].models: entry 0 is not a name"),
    ('[{"token": "sk-a", "metadata": []}, {"token": "sk-b", "metadata": [1]}]', "metadata: is not a map"),
    ('{"token": "sk-a"}\n{"token": ', "keys.json:"),
    ('{"teams": 7}', "holds no keys"), ('{"teams": 7, "keys": []}', "teams: is not a list"),
    ('{"teams": [7]}', "teams[0]: is not a team"), ('{"teams": [{"team_alias": "x"}]}', "teams[0]: is not a team"),
    ('{"teams": [{"team_id": ""}]}', "teams[0].team_id"), ('{"teams": [{"team_id": 7}]}', "teams[0].team_id: is not a text"),
    ('{"teams": [{"team_id": "a"}, {"team_id": "a"}]}', "teams[1].team_id: is there twice"),
    ('[{"team_id": "a", "max_budget": -1}]', "keys[0].max_budget: is less than 0"),
    ('[{"token": "sk-a", "team_id": []}, {"token": "sk-b", "team_id": {"a": 1}}]', "team_id: is not a text"),
]


@pytest.mark.parametrize("text, said", KEYS_WRONG, ids=[str(i) for i in range(len(KEYS_WRONG))])
def test_an_export_of_keys_that_is_none_is_refused(init, tmp_path, text, said):
    (tmp_path / "keys.json").write_text(text)
    done = init("litellm", FIXTURES / "litellm/smallest.yaml", "--keys", "keys.json", cwd=tmp_path)
    assert done.returncode == 1 and said in done.stderr and "keys.json" in done.stderr, done.stderr
    assert not done.file.parent.exists()


def test_a_hostile_text_stays_text(init, build, tmp_path):
    """Names and values of the source end up quoted or in comments, whatever they hold."""
    evil = "a\nlisten: 0.0.0.0:1\n# "
    odd = "x: {y} [z] 'q' \"d\" # no\u2028listen: 1\u2029\u0085"
    source = {"model_list": [{"model_name": "a", "litellm_params": {"model": "openai/a", "api_key": "os.environ/OK", "organization": odd, evil: 1}},
                             {"model_name": "null", "litellm_params": {"model": "openai/1e3"}}], evil: 2, odd: 3, "\u001b[31m": 4}
    (tmp_path / "source").write_text(json.dumps(source, ensure_ascii=False))
    done = init("litellm", "source", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert check(build, done.file).returncode == 0
    shown = as_used(build, done.file)
    assert shown["listen"] == ["127.0.0.1:8080"] and set(shown["models"]) == {"a", "null"}
    assert shown["models"]["null"]["to"][0]["model"] == "1e3"
    assert "\u001b" not in done.stderr and "\u001b" not in done.file.read_text()


@pytest.mark.parametrize("words, code, said", [
    (["--from", "kong", "x"], 2, "it must be litellm or portkey"), (["--from", "litellm"], 2, "FILE is missing"),
    (["--from", "litellm", "/no/such/file"], 1, "/no/such/file"), (["--keys", "x"], 2, "--keys goes with --from"),
    (["a", "b"], 2, "takes one DIR"), (["--from", "litellm", "/"], 1, "/:")])
def test_the_door_says_what_it_wants(build, tmp_path, words, code, said):
    done = subprocess.run([build / "latenza", "init", *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == code and said in done.stderr, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays(init, tmp_path):
    path = FIXTURES / "litellm/smallest.yaml"
    convert(init, path)
    before = (tmp_path / "out/latenza.yaml").read_text()
    done = init("litellm", FIXTURES / "litellm/shares.yaml")
    assert done.returncode == 1 and "--force" in done.stderr
    assert (tmp_path / "out/latenza.yaml").read_text() == before


def test_default_fallbacks_go_to_names_of_their_kind_only(init, build, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("""model_list:
  - { model_name: chat, litellm_params: { model: openai/gpt-4o, api_key: os.environ/A } }
  - { model_name: other, litellm_params: { model: openai/gpt-4o-mini, api_key: os.environ/A } }
  - { model_name: emb, litellm_params: { model: openai/text-embedding-3-small, api_key: os.environ/A } }
litellm_settings: { default_fallbacks: [chat], fallbacks: [ { chat: [other] } ] }
router_settings: { fallbacks: [ { other: [chat] } ] }
""")
    done = init("litellm", path)
    assert done.returncode == 0 and check(build, done.file).returncode == 0, done.stderr
    assert 'the fallback "chat" of "emb" was left out' in done.stderr
    assert "router_settings has fallbacks of its own" in done.stderr


def test_a_conversion_can_be_done_again(init, tmp_path):
    """With --force the file is replaced; the first key stays, and is not shown again."""
    path = FIXTURES / "litellm/smallest.yaml"
    assert json.loads(convert(init, path, "-o", "json").stdout)["key"].startswith("lz_live_")
    done = init("litellm", FIXTURES / "litellm/equal.yaml", "--force")
    assert done.returncode == 0 and "there since the last time" in done.stdout and "pair:" in done.file.read_text()
    assert json.loads(convert(init, path, "-o", "json", "--force").stdout)["key"] is None


def test_a_key_called_first_keeps_its_name(init, tmp_path):
    (tmp_path / "keys.json").write_text(json.dumps([{"token": hashlib.sha256(b"sk-a").hexdigest(), "key_alias": "first"}]))
    done = init("litellm", FIXTURES / "litellm/smallest.yaml", "--keys", "keys.json", "-o", "json", cwd=tmp_path)
    assert done.returncode == 0 and json.loads(done.stdout)["key"].startswith("lz_live_"), done.stderr
    assert "  first:\n" in done.file.read_text()


GUARDED = "model_list: [ { model_name: m, litellm_params: { model: openai/gpt-4o } } ]\nguardrails: "


@pytest.mark.parametrize("text, said", [
    ("5", "guardrails: is not a list"), ("[5]", "guardrails[0]: has not both"), ("[{}]", "guardrails[0]: has not both"),
    ("[{guardrail_name: a, litellm_params: 5}]", "guardrails[0].litellm_params: is not a map"),
    ("[{guardrail_name: 5, litellm_params: {}}]", "guardrails[0].guardrail_name: is not a text"),
    ("[{guardrail_name: a, litellm_params: {guardrail: presidio, mode: pre_call, pii_entities_config: {EMAIL_ADDRESS: HIDE}}}]", "is not MASK or BLOCK"),
    ("[{guardrail_name: a, litellm_params: {guardrail: presidio, mode: pre_call, pii_entities_config: [x]}}]", "pii_entities_config: is not a map"),
    ("[{guardrail_name: a, litellm_params: {guardrail: litellm_content_filter, mode: pre_call, patterns: [5]}}]", "patterns[0]: is not a map"),
    ("[{guardrail_name: a, litellm_params: {guardrail: litellm_content_filter, mode: pre_call, patterns: [{pattern_type: x}]}}]", "patterns[0]: is neither"),
    ("[{guardrail_name: a, litellm_params: {guardrail: litellm_content_filter, mode: pre_call, blocked_words: [{}]}}]", "blocked_words[0]: has no keyword"),
    ("[{guardrail_name: a, litellm_params: {guardrail: litellm_content_filter, mode: pre_call, blocked_words: [{keyword: 'env:HOME'}]}}]", "reference of ours"),
    ("[{guardrail_name: a, litellm_params: {guardrail: openai_moderation, mode: pre_call, api_key: 5}}]", "api_key: is not a text"),
    ("[{guardrail_name: a, litellm_params: {guardrail: openai_moderation, mode: pre_call, api_key: 'file:/etc/passwd'}}]", "reference of ours"),
    ("[{guardrail_name: a, litellm_params: {guardrail: openai_moderation, mode: pre_call, api_base: 'ftp://x'}}]", "api_base: is not an address"),
    ("[{guardrail_name: a, litellm_params: {guardrail: generic_guardrail_api, mode: pre_call, api_base: 'https://" + 300 * "x" + "'}}]", "api_base: is longer than"),
    ("[{guardrail_name: a, litellm_params: {guardrail: generic_guardrail_api, mode: pre_call, headers: 5}}]", "headers: is not a map"),
    ("[]\nlitellm_settings: { guardrails: 5 }", "litellm_settings.guardrails: is not a list"),
    ("[]\nlitellm_settings: { guardrails: [5] }", "litellm_settings.guardrails[0]: is not {"),
    ("[]\nlitellm_settings: { guardrails: [{}] }", "litellm_settings.guardrails[0]: is not {"),
    ("[]\nlitellm_settings: { guardrails: [{a: 5}] }", "litellm_settings.guardrails[0].a: is not a map"),
    ("[]\nlitellm_settings: { guardrails: [{a: null}] }", "litellm_settings.guardrails[0].a: is not a map"),
    ("[]\nlitellm_settings: { guardrails: [{a: {}}] }", "litellm_settings.guardrails[0].a: has no callbacks"),
    ("[]\nlitellm_settings: { guardrails: [{a: {callbacks: x}}] }", "callbacks: is not a list"),
    ("[]\nlitellm_settings: { guardrails: [{a: {callbacks: [5]}}] }", "callbacks: the 1. is not a text"),
    ("[]\nlitellm_settings: { guardrails: [{guardrail_name: a}] }", "litellm_settings.guardrails[0]: has not both"),
])
def test_guardrails_that_are_nonsense_are_named_and_nothing_is_written(init, tmp_path, text, said):
    file = tmp_path / "config.yaml"
    file.write_text(GUARDED + text + "\n")
    done = init("litellm", file)
    assert done.returncode == 1 and said in done.stderr and not done.file.exists(), done.stderr


@pytest.mark.parametrize("params, said", [
    ("{guardrail: presidio}", "its mode is not one of"), ("{guardrail: presidio, mode: {tags: 1}}", "its mode is not one of"),
    ("{guardrail: presidio, mode: [pre_mcp_call]}", "pre_mcp_call was left out"), ("{mode: pre_call}", "has no twin and was left out"),
    ("{guardrail: my.Custom, mode: pre_call}", "has no twin and was left out")])
def test_guardrails_without_a_twin_are_named(init, tmp_path, params, said):
    file = tmp_path / "config.yaml"
    file.write_text(GUARDED + "[{guardrail_name: a, litellm_params: " + params + "}]\n")
    done = init("litellm", file)
    assert done.returncode == 0 and said in done.stderr and "guardrails:\n  a" not in done.file.read_text()


def test_entries_of_one_name_stay_apart(init, build, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(GUARDED + """
  - { guardrail_name: a, litellm_params: { guardrail: hide-secrets, mode: pre_call } }
  - { guardrail_name: a, litellm_params: { guardrail: litellm_content_filter, mode: pre_call, blocked_words: [ { keyword: one } ] } }
  - { guardrail_name: a, litellm_params: { guardrail: litellm_content_filter, mode: post_call, default_on: true, blocked_words: [ { keyword: two } ] } }
  - { guardrail_name: a, litellm_params: { guardrail: presidio, mode: pre_call, output_parse_pii: true } }
""")
    done = init("litellm", file)
    assert done.returncode == 0, done.stderr
    report = json.loads(subprocess.run([build / "latenza", "check", "--offline", done.file, "-o", "json"], capture_output=True).stdout)
    assert report["errors"] == []
    assert [(g["guardrail"], g["component"], g["on"], g["default_on"]) for g in report["guardrails"]] == [
        ("a", "secrets", ["request"], False), ("a-2", "patterns", ["request"], False), ("a-3", "patterns", ["response"], True),
        ("a-4", "pii", ["request", "response"], False)]


@pytest.mark.parametrize("guardrails, said", [
    ("5", "input_guardrails: is not a list"), ("[5]", "the 1. is no guardrail"),
    ('[{"default.contains": 5}]', "is not a map of parameters"), ('[{"default.contains": {"operator": "none"}}]', "has no words"),
    ('[{"default.contains": {"operator": "none", "words": [5]}}]', "the 1. is not a word"),
    ('[{"default.contains": {"operator": "none", "words": ["env:HOME"]}}]', "the 1. is not a word"),
    ('[{"default.regexMatch": {"not": true}}]', "has no rule"), ('[{"default.regexMatch": {"rule": "file:/etc/passwd", "not": true}}]', "reference of ours"),
    ('[{"checks": 5}]', "checks: is not a list"), ('[{"checks": [{}]}]', "checks[0]: has no id"),
    ('[{"default.jsonSchema": {}}]', "has no schema"), ('[{"default.jsonSchema": {"schema": 5}}]', "schema: is not a map"),
    ('[{"default.characterCount": {"maxCharacters": "many"}}]', "maxCharacters: is not a number"),
    ('[{"default.characterCount": {"max_characters": 0}}]', "max_characters: is less than 1"),
    ('[{"default.modelWhitelist": {}}]', "has no models"), ('[{"default.modelWhitelist": {"models": 5}}]', "models: is not a list"),
    ('[{"default.modelWhitelist": {"models": [5]}}]', "the 1. is no name of a model"),
    ('[{"default.webhook": {}}]', "has no webhookURL"), ('[{"default.webhook": {"webhookURL": "guard"}}]', "webhookURL: is not an address"),
    ('[{"default.webhook": {"webhookURL": "file:/etc/passwd"}}]', "reference of ours"),
    ('[{"default.webhook": {"webhookURL": "https://a", "headers": "x"}}]', "headers: is neither a map nor the text of one"),
    ('[{"default.webhook": {"webhookURL": "https://a", "headers": [1]}}]', "headers: is neither a map nor the text of one"),
    ('[{"default.webhook": {"webhookURL": "https://a", "timeout": -1}}]', "timeout: is less than 1")])
def test_guardrails_of_portkey_that_are_nonsense_are_named(init, tmp_path, guardrails, said):
    file = tmp_path / "config.json"
    file.write_text('{"provider": "openai", "api_key": "$OPENAI_API_KEY", "override_params": {"model": "gpt-4o"}, "input_guardrails": ' + guardrails + "}")
    done = init("portkey", file)
    assert done.returncode == 1 and said in done.stderr and not done.file.exists(), done.stderr
