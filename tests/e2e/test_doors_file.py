"""latenza.yaml gets garbage: every member of a full file is replaced by what it cannot be, and a bad file changes nothing
of a gateway that serves.

SPDX-License-Identifier: MIT
"""

import copy
import json
import os
import re
import signal
import subprocess
import time

import pytest

FULL = {
    "listen": ["127.0.0.1:8080", 9090], "trusted_proxies": ["10.0.0.0/8"], "data": "/tmp/no-such-data", "plugins": ["openai", "compatible", "echo", "balanced"],
    "plugin_files": "warn", "workers": 2,
    "limits": {"body_bytes": "32MiB", "head_bytes": 16384, "answer_bytes": "4MiB", "in_flight": 100, "connections": 100, "connections_per_address": 5,
               "head_timeout_ms": "10s", "body_timeout_ms": "10s", "idle_timeout_ms": "75s", "write_timeout_ms": "30s"},
    "admin": {"listen": "127.0.0.1:8081", "insecure": False},
    "fx": {"eur_per_usd": 0.92, "date": "2026-11-20"},
    "routing": {"default": "balanced", "attempts": 3, "timeout_ms": 60000, "first_byte_timeout_ms": "30s", "idle_timeout_ms": "60s"},
    "retention": {"traces": "90d", "content": "7d"}, "ledger": {"uncertain": "input", "sync_ms": 50, "timezone": "UTC"}, "log": {"level": "info", "content": "full"},
    "providers": {"local": {
        "plugin": "compatible", "base_url": "http://127.0.0.1:9/v1", "api_keys": ["env:DOOR_KEY"], "price": "listed", "headers": {"x-team": "a"}, "region": "eu",
        "test": False, "http2": False, "proxy": "http://127.0.0.1:3128", "connect_timeout_ms": "2s", "first_byte_timeout_ms": "5s", "idle_timeout_ms": "5s",
        "max_tokens_field": "as_sent", "optional": False,
        "models": [{"id": "big", "context_window": 32768, "max_output_tokens": 4096, "price_input_per_mtok": 1.5, "price_output_per_mtok": 2,
                    "price_cached_input_per_mtok": 0.5, "capabilities": ["tools"], "quality": 0.5}]}},
    "keys": {"backend": {
        "name": "Backend", "rate_limit": 120, "rate_burst": 5, "max_in_flight": 5, "max_output_tokens": 100, "tokens_per_minute": 1000, "routing_strategy": "balanced",
        "model_allowlist": ["big"], "budget_monthly_eur": 250, "budget_alert_pct": 80, "expires_at": "2027-03-01", "metadata": {"a": "b"},
        "log_content": "meta", "allowed_ips": ["10.0.0.0/8"], "show_budget": True, "secret": "env:DOOR_SECRET", "test": False},
        "other": {"budgets": [{"period": "day", "eur": 9.5, "alert_pct": [50, 80]}], "secret_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}},
}
SECRETS = {"DOOR_KEY": "sk-MARKED-door-key-0123456789", "DOOR_SECRET": "sk-MARKED-door-secret-0123456789"}
FREE_FORM = {("providers", "local", "headers"), ("keys", "backend", "metadata")}  # their members are the writer's own


@pytest.fixture
def check(build, tmp_path):
    path = tmp_path / "latenza.yaml"

    def check(config, *words):
        path.write_text(config if isinstance(config, str) else json.dumps(config, indent=1))
        done = subprocess.run([build / "latenza", "check", path, *words], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL,
                              env={**{k: v for k, v in os.environ.items() if not k.startswith("LATENZA")}, **SECRETS})
        assert done.returncode in (0, 3, 78), (done.returncode, done.stderr)
        for secret in SECRETS.values():
            assert secret not in done.stdout + done.stderr
        return done.returncode, done.stderr
    return check


def paths(node, at=()):
    """Every member of every map, down through lists."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield at + (key,)
            yield from paths(value, at + (key,))
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from paths(value, at + (i,))


def changed(path, value=None, rename=None):
    """The full file with another value at the path; rename: under another name."""
    config = copy.deepcopy(FULL)
    node = config
    for step in path[:-1]:
        node = node[step]
    if rename is not None:
        node[rename] = node.pop(path[-1])
    else:
        node[path[-1]] = value
    return config


PATHS = [p for p in paths(FULL)]
LOOKED_AT = [p for p in PATHS if p[:-1] not in FREE_FORM]
NAMED_BY_THE_WRITER = {("providers", "local"), ("keys", "backend"), ("keys", "other")}


def test_the_full_file_is_right(check):
    assert check(FULL) == (0, "") or check(FULL)[0] == 0


def is_named(path, stderr):
    """Each complaint has its file and line, and one names the member."""
    lines = stderr.strip().splitlines()
    placed = [line for line in lines if re.search(r"latenza\.yaml:\d+: ", line)]
    return placed and any(str(step) in stderr for step in reversed(path) if isinstance(step, str))


@pytest.mark.parametrize("path", LOOKED_AT, ids=lambda p: ".".join(map(str, p)))
def test_a_member_of_the_wrong_kind_is_named_with_its_line(check, path):
    now = FULL
    for step in path:
        now = now[step]
    wrong = {"map": {"x": {"y": []}}, "list of maps": [{"x": 1}], "below zero": -1, "far too large": 2**62, "a novel": "x" * 100000}
    for kind, value in wrong.items():
        code, said = check(changed(path, value))
        assert code == 78 or kind == "a novel" and isinstance(now, (str, list)), (path, kind, said)
        if code == 78:
            assert is_named(path, said), (path, kind, said)
            assert len(said) < 20000, "a sentence, not the file"


@pytest.mark.parametrize("path", [p for p in LOOKED_AT if p not in NAMED_BY_THE_WRITER], ids=lambda p: ".".join(map(str, p)))
def test_a_slip_in_a_name_is_answered_with_what_was_meant(check, path):
    name = path[-1]
    slip = name[:-1] if len(name) > 4 else name + "s"
    code, said = check(changed(path, rename=slip))
    assert code == 78 and slip in said and name in said and re.search(r"latenza\.yaml:\d+", said), said


@pytest.mark.parametrize("path", LOOKED_AT, ids=lambda p: ".".join(map(str, p)))
def test_nothing_where_something_stands_is_fine_or_said(check, path):
    for value in (None, "", [], {}):
        code, said = check(changed(path, value))
        if code == 78:
            assert is_named(path, said), (path, value, said)


@pytest.mark.parametrize("value", ["env:", "env:NO_SUCH_VARIABLE", "env:A=B", "${NO_SUCH_VARIABLE}", "file:", "file:/no/such", "file:/", "file:/dev/zero",
                                   "file:/proc/self/mem", "credential:x", "credential:../x", "env:DOOR_KEY"])
def test_a_reference_that_leads_nowhere_or_elsewhere(check, value):
    for path in [("providers", "local", "api_keys", 0), ("keys", "backend", "secret"), ("keys", "backend", "rate_limit"), ("listen", 0), ("fx", "eur_per_usd")]:
        config = copy.deepcopy(FULL)
        node = config
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = value
        code, said = check(config)
        assert code == 78 or value == "env:DOOR_KEY", (path, said)
        if code == 78:
            assert re.search(r"latenza\.yaml:\d+: ", said), said


SENT = """
guardrails:
  asks: { use: hook, url: "http://127.0.0.1:9/", token: VALUE }
  judges: { use: moderation, url: "http://127.0.0.1:9/", api_key: VALUE }
providers:
  listed:
    plugin: openai
    api_keys:
      - env:DOOR_KEY
      - VALUE
    organization: VALUE
    project: VALUE
    headers: { x-team: VALUE }
  usual: { plugin: anthropic, beta: VALUE }
keys:
  k: { secret: VALUE }
"""
MEMBERS = {"guardrails.asks.token": 3, "guardrails.judges.api_key": 4, "providers.listed.api_keys": 8, "providers.listed.organization": 11,
           "providers.listed.project": 12, "providers.listed.headers.x-team": 13, "providers.usual.beta": 14, "keys.k.secret": 16}


@pytest.mark.parametrize("value", ["sk-MARKED-0123456789\nx-evil: 1", "sk-MARKED-0123456789\r", "sk-MARKED-\x1b[2J0123456789", "sk-MARKED-0123456789\x7f"])
@pytest.mark.parametrize("how", ["env", "file", "literal"])
def test_what_a_header_is_to_carry_has_no_control_characters(check, monkeypatch, tmp_path, value, how):
    """A key with a newline would begin a field of its own, or make every call fail: file, line and member are named, and never the key."""
    (tmp_path / "key").write_bytes(value.encode() + b"\n")
    os.chmod(tmp_path / "key", 0o600)
    monkeypatch.setenv("SENT", value)
    monkeypatch.setenv("ANTHROPIC_API_KEY", value if how == "env" else "sk-fine")
    written = {"env": "env:SENT", "file": f"file:{tmp_path}/key", "literal": json.dumps(value)}[how]
    code, said = check(SENT.replace("VALUE", written))
    is_last = how == "file" and value.endswith("\r")  # the end of the file's line
    assert (code == 78) != is_last, said
    for member, line in MEMBERS.items():
        here = [text for text in said.splitlines() if f"latenza.yaml:{line}: {member}: " in text and ("control character" in text or "cannot carry" in text)]
        assert len(here) == (0 if is_last else 1), (member, said)
    assert ("latenza.yaml:14: providers.usual: ANTHROPIC_API_KEY" in said) == (how == "env")
    assert how == "literal" or "0123456789" not in said
    # Where nothing is resolved, only what is written out can be judged.
    code, said = check(SENT.replace("VALUE", written), "--offline")
    assert ("control character" in said) == (how == "literal")


@pytest.mark.parametrize("text", ["a: &x [*x]", "x: &a [1]\ny: [" + "*a," * 20000 + "]", "{" * 3000, "[" * 100000, "a: 1\na: 2", "---\na: 1\n---\nb: 2", "a: !!python/object 1",
                                  "? [a]\n: b", "\t- x", "a: 'x", "a: |\n\tb", "%YAML 9.9\n---\na: 1", "providers:\n  echo:\n echo:", "<<: {a: 1}", "a" * 200000,
                                  "listen: \x85", "\ufeff", "x: \"\\ud800\"", "# only a comment", "null", "5", "\0",
                                  "data: \"\\0\"", "workers: " + "9" * 40])
def test_yaml_that_is_none_or_strange(check, text):
    code, said = check(text)
    assert code == 0 or re.search(r"latenza\.yaml:\d+: ", said), said


def test_what_is_no_file_is_said(build, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin").write_bytes(b"listen: \xff\n")
    (tmp_path / "large").write_bytes(b"#" * 3_000_000)
    (tmp_path / "loop").symlink_to("loop")
    for name in ("fifo", "folder", "latin", "large", "loop", "missing", "/dev/zero", "/dev/null/x", "x" * 5000, ""):
        done = subprocess.run([build / "latenza", "check", tmp_path / name if name else ""], capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
        assert done.returncode == 78 and done.stderr.count("\n") <= 3, (name[:20], done)
        assert name[-30:] in done.stderr


# ---- reload ----

def test_a_bad_file_changes_nothing_of_a_gateway_that_serves(gateway, provider):
    key, good = gateway.key(), copy.deepcopy(gateway.config)
    new = {"new": {"name": "New", "secret": "sk-literal-new-key-0123456789"}}
    bad = [{"listn": 1}, {"limits": {"in_flight": 0}}, {"providers": {"fake": {"plugin": "gone"}}}, {"routing": {"default": "nearest"}}, {"fx": {"eur_per_usd": -1}},
           {"keys": {**new, "worse": {"name": "W", "rate_limit": "x", "secret": "sk-literal-other-0123456789"}}}, {"plugins": ["/no/such.so"]}, {"data": 5},
           {"providers": {"fake": {**good["providers"]["fake"], "api_keys": ["env:NO_SUCH_VARIABLE"]}}},
           {"providers": {"fake": {**good["providers"]["fake"], "api_keys": ["sk-fine", "sk-a\r\nx-evil: 1"]}}}]
    for members in bad:
        gateway.write_config(good | {"keys": new} | members)
        gateway.process.send_signal(signal.SIGHUP)
        name = next(iter(members))
        end = time.monotonic() + 10
        while "config_refused" not in (ready := json.loads(gateway.get("/readyz")[2])) or name not in ready["config_refused"]:
            assert time.monotonic() < end, (members, ready, gateway.logs())
            time.sleep(0.02)
        assert ready["status"] == "ready" and re.search(r"latenza\.yaml:\d+: ", ready["config_refused"])
        assert gateway.chat(key)[0] == 200, members
        assert gateway.chat("sk-literal-new-key-0123456789")[0] == 401, "nothing of a bad file is taken"
    for text in ("", "{", "\0", "x" * 2_000_000):
        gateway.config_path.write_text(text)
        done = gateway.run("reload", "--data", gateway.data, check=False)
        assert done.returncode in (0, 78), done
        if done.returncode == 0:  # an empty file is a configuration, without providers
            assert text == "" and gateway.chat(key)[0] in (401, 404)
            gateway.write_config(good)
            gateway.run("reload")
        assert gateway.chat(key)[0] == 200
    gateway.config_path.unlink()
    assert gateway.run("reload", "--data", gateway.data, check=False).returncode == 78
    gateway.write_config(good | {"keys": new})
    gateway.run("reload")
    assert "config_refused" not in json.loads(gateway.get("/readyz")[2])
    assert gateway.chat("sk-literal-new-key-0123456789")[0] == 200
