"""The command line: help, nonsense, exit codes, the commands that need no gateway.

SPDX-License-Identifier: MIT
"""

import json
import re
import signal
import subprocess
import time
import urllib.request

import pytest
from harness.gateway import Failed, free_port


@pytest.fixture
def run(build, tmp_path):
    def run(*words, env=None, cwd=tmp_path, timeout=60):
        import os
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("LATENZA_", "OPENAI_", "MISTRAL_"))}
        return subprocess.run([build / "latenza", *map(str, words)], capture_output=True, text=True, timeout=timeout,
                              cwd=cwd, env={**clean, "HOME": str(tmp_path), **(env or {})}, stdin=subprocess.DEVNULL)
    return run


def commands(run):
    lines = run("--help").stdout.split("Commands:")[1].splitlines()
    return [re.match(r"  ([a-z]+(?: [a-z]+)?)", line).group(1).split() for line in lines if line.startswith("  ")]


def test_every_command_has_help(run):
    found = commands(run)
    assert len(found) > 25
    for words in found:
        done = run(*words, "--help")
        assert done.returncode == 0 and done.stdout.startswith("Usage: latenza " + " ".join(words)), words
        assert "--output" in done.stdout


def test_every_command_refuses_an_option_it_does_not_have(run):
    for words in commands(run):
        done = run(*words, "--no-such-option")
        assert done.returncode == 2 and "--no-such-option" in done.stderr, words


@pytest.mark.parametrize("words, hint", [
    (["kee", "list"], "key list"), (["key", "lits"], "key list"), (["serv"], "serve"), (["trace", "list"], "traces list"),
    (["key", "create", "--rate-limt", "3"], "--rate-limit"), (["check", "--ofline"], "--offline")])
def test_a_slip_is_answered_with_what_was_meant(run, words, hint):
    done = run(*words)
    assert done.returncode == 2 and f'did you mean "{hint}"' in done.stderr


@pytest.mark.parametrize("words", [
    [], ["key"], ["key", "show"], ["key", "show", "a", "b"], ["traces", "show"], ["key", "create", "--rate-limit"],
    ["key", "create", "--rate-limit", "many"], ["traces", "list", "--since", "yesterday"], ["traces", "list", "-o", "xml"],
    ["key", "create", "--metadata", "novalue"], ["--listen", "x"], ["key", "import"], ["completion", "fish"]])
def test_a_wrong_use_is_exit_code_2(run, words):
    done = run(*words)
    assert done.returncode == 2 and done.stderr


def test_no_configuration_is_exit_code_78_and_says_what_to_do(run):
    done = run("serve")
    assert done.returncode == 78
    assert "latenza init" in done.stderr and "latenza demo" in done.stderr


def test_output_that_does_not_arrive_is_a_failure(build):
    with open("/dev/full", "w") as full:
        assert subprocess.run([build / "latenza", "config", "schema"], stdout=full, stderr=subprocess.DEVNULL).returncode == 1


def test_completion_is_a_script_that_bash_reads(run):
    script = run("completion", "bash").stdout
    done = subprocess.run(["bash", "-c", script + '\nCOMP_WORDS=(latenza key cr) COMP_CWORD=2; _latenza; echo "${COMPREPLY[@]}"'],
                          capture_output=True, text=True)
    assert done.stdout.split() == ["create"] and done.stderr == ""


def test_version_is_told_as_text_and_as_json(run):
    assert run("--version").stdout.startswith("latenza 0.")
    assert json.loads(run("version", "-o", "json").stdout)["plugin_abi"]


# ---- check ----

def write(tmp_path, **config):
    path = tmp_path / "latenza.yaml"
    path.write_text(json.dumps({"providers": {"echo": {"plugin": "echo"}}, **config}, indent=1))
    return path


def test_a_right_configuration_passes_check(run, tmp_path):
    done = run("check", write(tmp_path))
    assert done.returncode == 0 and "is right" in done.stdout


@pytest.mark.parametrize("config, named", [
    ({"listn": "1"}, "listn"), ({"listen": "nowhere"}, "listen"), ({"limits": {"body_bytes": "lots"}}, "limits.body_bytes"),
    ({"limits": {"body_bytes": -1}}, "limits.body_bytes"), ({"routing": {"default": "nearest"}}, "nearest"),
    ({"providers": {"x": {"plugin": "no-such"}}}, "no-such"), ({"providers": {"latenza": {"plugin": "echo"}}}, "latenza"),
    ({"providers": {"a": {"plugin": "compatible", "base_url": "ftp://x"}}}, "base_url"), ({"data": 5}, "data"),
    ({"providers": {"a": {"plugin": "compatible", "base_url": "http://x", "api_keys": ["env:UNSET_VARIABLE"]}}}, "UNSET_VARIABLE"),
    ({"keys": {"k": {"name": "K", "rate_limit": "x", "secret": "sk-0123456789abcdef"}}}, "rate_limit"),
    ({"keys": {"k": {"name": "K"}}}, "keys.k"), ({"fx": {"eur_per_usd": -3}}, "eur_per_usd"),
    ({"retention": {"traces": "for ever"}}, "retention.traces"), ({"plugins": ["/no/such.so"]}, "/no/such.so"),
    ({"guardrails": {"pii": {"use": "no-such"}}}, "guardrails"), ({"trusted_proxies": ["all"]}, "trusted_proxies")])
def test_a_wrong_configuration_is_exit_code_78_and_named_with_its_line(run, tmp_path, config, named):
    done = run("check", write(tmp_path, **config))
    assert done.returncode == 78
    assert named in done.stderr and re.search(r"latenza\.yaml:\d+", done.stderr), done.stderr


def test_every_error_is_told_at_once(run, tmp_path):
    done = run("check", write(tmp_path, listn="1", limits={"body_bytes": "lots"}, data=5), "-o", "json")
    assert done.returncode == 78 and len(json.loads(done.stdout)["errors"]) == 3


def test_strict_makes_a_warning_exit_code_3(run, tmp_path):
    path = write(tmp_path, keys={"k": {"name": "K", "secret": "sk-a-literal-secret-0123456789"}})
    assert run("check", path).returncode == 0
    done = run("check", "--strict", path)
    assert done.returncode == 3 and "warning" in done.stderr


@pytest.mark.parametrize("text", ["", "[]", "a: b: c", "\0", "{", "providers: [", "&a [*a]", "x" * 2_000_000],
                         ids=["empty", "list", "nested", "nul", "open map", "open list", "loop", "huge"])
def test_a_file_that_is_no_configuration_is_told_as_such(run, tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    done = run("check", path)
    assert done.returncode in (0, 78) and done.returncode == (0 if text == "" else 78)


def test_the_schema_is_json_and_names_the_top_level(run):
    schema = json.loads(run("config", "schema").stdout)
    assert {"listen", "providers", "keys", "routing"} <= set(schema["properties"])


def test_two_files_are_compared(run, tmp_path):
    a = write(tmp_path)
    b = tmp_path / "b.yaml"
    b.write_text(json.dumps({"providers": {"echo": {"plugin": "echo"}, "more": {"plugin": "echo"}}}))
    assert "providers.more" in run("config", "diff", a, b).stdout


# ---- plugins ----

def test_shipped_plugins_are_listed_and_shown(run):
    names = {c["name"] for c in json.loads(run("plugin", "list", "-o", "json").stdout)["components"]}
    assert {"openai", "compatible", "echo", "cheapest", "fastest", "balanced", "quality"} <= names
    assert "provider echo" in run("plugin", "info", "echo").stdout
    assert run("plugin", "info", "no-such").returncode == 1


def test_every_shipped_plugin_passes_its_check(run, build, is_passed):
    files = sorted((build / "plugins/.libs").glob("*.so"))
    assert len(files) >= 7
    for file in files:
        done = run("plugin", "check", file)
        assert is_passed(done), done.stdout + done.stderr


def test_a_file_that_is_no_plugin_fails_its_check(run, tmp_path):
    bad = tmp_path / "bad.so"
    bad.write_bytes(b"\x7fELF nonsense")
    for file in (bad, tmp_path / "missing.so"):
        done = run("plugin", "check", file)
        assert done.returncode == 1 and done.stdout + done.stderr


# ---- init, demo, doctor ----

def test_init_writes_a_configuration_that_serves(run, build, tmp_path):
    folder = tmp_path / "new"
    port = free_port()
    made = json.loads(run("init", folder, "--listen", f"127.0.0.1:{port}", "-o", "json").stdout)
    assert run("check", folder / "latenza.yaml").returncode == 0
    assert run("init", folder).returncode == 1, "what is there stays"
    (folder / "latenza.yaml").write_text((folder / "latenza.yaml").read_text().replace("127.0.0.1:8081", f"127.0.0.1:{free_port()}"))
    process = subprocess.Popen([build / "latenza", "serve", "-c", folder / "latenza.yaml"], stderr=subprocess.PIPE)
    try:
        body = json.dumps({"model": made["model"], "messages": [{"role": "user", "content": "Hello"}]}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/chat/completions", body,
                                         {"Authorization": f"Bearer {made['key']}", "Content-Type": "application/json"})
        for _ in range(200):
            try:
                answer = json.load(urllib.request.urlopen(request))
                break
            except urllib.error.URLError:
                time.sleep(0.05)
        assert answer["choices"][0]["message"]["content"] == "Hello"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 0


def test_init_finds_provider_keys_in_the_environment(run, tmp_path):
    run("init", tmp_path / "x", env={"OPENAI_API_KEY": "sk-x", "MISTRAL_API_KEY": "y"})
    text = (tmp_path / "x/latenza.yaml").read_text()
    assert "env:OPENAI_API_KEY" in text and "mistral:\n    api_keys: [env:MISTRAL_API_KEY]" in text and "sk-x" not in text
    assert run("check", "--offline", tmp_path / "x/latenza.yaml").returncode == 0


def test_demo_serves_shows_traffic_and_leaves_nothing(build, tmp_path):
    process = subprocess.Popen([build / "latenza", "demo", "--listen", "127.0.0.1:0", "-o", "json"], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={"TMPDIR": str(tmp_path)})
    told = json.loads(process.stdout.readline())
    traces = json.loads(subprocess.run([build / "latenza", "traces", "list", "--data", told["data"], "-o", "json"],
                                       capture_output=True, text=True).stdout)
    assert {t["status"] for t in traces} >= {200, 404, 429, 502}
    assert told["data"].startswith(str(tmp_path))
    process.send_signal(signal.SIGINT)
    assert process.wait(40) == 0
    assert list(tmp_path.iterdir()) == []


def test_doctor_says_how_to_mend_what_is_wrong(run, tmp_path):
    done = run("doctor")
    assert done.returncode == 1 and "latenza init" in done.stdout
    lines = json.loads(run("doctor", "-o", "json").stdout)
    assert all(line["mend"] for line in lines if line["verdict"] != "ok")


def test_doctor_is_content_with_a_running_gateway(gateway):
    gateway.key()
    lines = {line["what"]: line for line in gateway.json("doctor")}
    assert lines["gateway"]["verdict"] == lines["database"]["verdict"] == lines["fake"]["verdict"] == "ok"
    assert re.fullmatch(r"0 in the file; Lua 5\.4\.\d+", lines["policies"]["found"])


# ---- with a gateway ----

def test_models_and_providers_are_shown(gateway, provider):
    assert {"fake-1", "fake-2", "echo-1"} <= {m["model"] for m in gateway.json("model", "list")}
    shown = gateway.json("model", "show", "fake-1")
    assert shown[0]["provider"] == "fake" and shown[0]["price_output_per_mtok"] == 2.0
    with pytest.raises(Failed) as error:
        gateway.run("model", "show", "fake-11")
    assert "fake-1" in error.value.stderr


def test_provider_test_sends_one_real_request(gateway, provider):
    told = gateway.json("provider", "test", "fake")
    assert told["status"] == 200 and provider.calls() == 1
    assert gateway.json("key", "list") == [], "its key is gone"
    provider.script(status=401)
    done = gateway.run("provider", "test", "fake", check=False)
    assert done.returncode == 1 and "FAIL" in done.stdout


def test_the_key_of_provider_test_is_not_announced_to_expire(gateway):
    gateway.json("provider", "test", "fake")
    assert gateway.events("key.expiring") == []
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    assert gateway.chat(gateway.key("soon", expires_at=soon))[0] == 200
    assert [e["key"] for e in gateway.events("key.expiring")] == ["soon"]


def test_provider_test_works_without_a_gateway(gateway, provider):
    assert gateway.stop() == 0
    assert gateway.json("provider", "test", "fake", "--model", "fake-2")["status"] == 200
    assert provider.last()["body"]["model"] == "fake-2"
    assert gateway.traces() == []


def test_a_backup_opens_as_a_data_directory(gateway, tmp_path, build):
    key = gateway.key("kept")
    gateway.chat(key)
    gateway.run("db", "backup", tmp_path / "copy.db")
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    (tmp_path / "copy.db").rename(other / "latenza.db")
    (tmp_path / "copy.db.keyring").rename(other / "keyring")
    listed = subprocess.run([build / "latenza", "key", "list", "--data", other, "-o", "json"], capture_output=True, text=True)
    assert [k["id"] for k in json.loads(listed.stdout)] == ["kept"]
    with pytest.raises(Failed):
        gateway.run("db", "backup", tmp_path / "no/such/folder/x.db")


def test_the_configuration_is_shown_without_its_secrets(gateway):
    shown = gateway.run("config", "show").stdout
    assert gateway.env["FAKE_KEY"] not in shown and "env:FAKE_KEY" in shown
    assert json.loads(shown)["routing"]["attempts"] == 3


def test_two_gateways_cannot_share_a_data_directory(gateway):
    second = subprocess.run([gateway.program, "serve", "-c", gateway.config_path, "--listen", f"127.0.0.1:{free_port()}"],
                            capture_output=True, text=True, env=gateway.env, timeout=30)
    assert second.returncode == 1 and str(gateway.data) in second.stderr


@pytest.mark.parametrize("taken", ["listen", "admin"])
def test_two_gateways_cannot_share_an_address(gateway, tmp_path, taken):
    """The kernel would let them, and give each of them half of the connections."""
    config = gateway.config | {"data": str(tmp_path / "data")} | ({"listen": "127.0.0.1:0"} if taken == "admin" else {"admin": {"listen": "127.0.0.1:0"}})
    path = tmp_path / "other.yaml"
    path.write_text(json.dumps(config))
    done = subprocess.run([gateway.program, "serve", "-c", path], env=gateway.env, text=True, capture_output=True, timeout=60)
    port = gateway.port if taken == "listen" else gateway.admin_port
    assert done.returncode == 1 and f"listen 127.0.0.1:{port}: the address is in use by another program" in done.stderr, done.stderr
    assert "gateway.ready" not in done.stderr, "what cannot open all its doors serves nobody"


def test_a_port_may_be_listened_on_by_both_families(gateway):
    assert gateway.stop() == 0
    gateway.change_config(listen=[f"0.0.0.0:{gateway.port}", f"[::]:{gateway.port}"])
    gateway.start()


def test_metrics_and_probes_stand_on_the_admin_listener(gateway):
    gateway.chat(gateway.key())
    metrics = gateway.metrics()
    assert metrics["latenza_request_duration_seconds_count"] == 1
    assert gateway.get("/healthz", port=gateway.admin_port)[0] == 200
    assert gateway.get("/readyz", port=gateway.admin_port)[0] == 200
    assert gateway.get("/nothing", port=gateway.admin_port)[0] == 404
    assert gateway.request("POST", "/metrics", "{}", port=gateway.admin_port)[0] == 405
    assert gateway.get("/metrics")[0] == 404, "not on the public port"


def test_the_control_socket_answers_curl_and_refuses_nonsense(gateway):
    def ask(path, body):
        done = subprocess.run(["curl", "-s", "--unix-socket", gateway.data / "latenza.sock", f"http://x{path}", "-d", body],
                              capture_output=True, text=True)
        return json.loads(done.stdout)
    assert ask("/command/key.list", "{}") == {"status": "ok", "result": {"keys": []}}
    assert ask("/command/key.lisst", "{}")["status"] == "not found"
    assert "colour" in ask("/command/key.list", '{"colour":1}')["error"]
    assert "id" in ask("/command/key.show", "{}")["error"]
    assert "id" in ask("/command/key.show", '{"id":5}')["error"]
    assert ask("/command/key.list", "nonsense")["status"] == "invalid"
    assert (gateway.data / "latenza.sock").stat().st_mode & 0o777 == 0o600
