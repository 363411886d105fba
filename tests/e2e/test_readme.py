"""What README.md shows works as it stands there, and what CHANGELOG.md names is there.

SPDX-License-Identifier: MIT
"""

import hashlib
import itertools
import json
import pathlib
import re
import select
import shlex
import sqlite3
import subprocess
import sys

import pytest

from harness.gateway import Gateway

TOP = pathlib.Path(__file__).parents[2]
README = (TOP / "README.md").read_text()


def block(language, holding=""):
    """The first code block of a language that holds a text."""
    for text in re.findall(rf"```{language}\n(.*?)```", README, re.S):
        if holding in text:
            return text
    raise AssertionError(f"README.md has no {language} block that holds {holding!r}")


def test_the_configuration_passes_check_without_a_warning(gateway, tmp_path):
    path = tmp_path / "latenza.yaml"
    path.write_text(block("yaml"))
    result = subprocess.run([gateway.program, "check", "--strict", path], cwd=tmp_path, text=True, capture_output=True,
                            env=gateway.env | {"OPENAI_API_KEY": "sk-" + "x" * 40, "ANTHROPIC_API_KEY": "sk-ant-" + "x" * 40})
    assert result.returncode == 0, result.stdout + result.stderr


def test_what_its_guardrail_makes_of_its_text(gateway, tmp_path):
    """Its command over its configuration, without a gateway that runs: the answer, and no line of a log."""
    (tmp_path / "latenza.yaml").write_text(block("yaml"))
    line, = re.findall("^latenza (guardrail test .*)$", README, re.M)
    words = ["pii" if w == "production-backend" else w for w in shlex.split(line, comments=True) if w != "--key"]
    env = gateway.env | {"OPENAI_API_KEY": "sk-" + "x" * 40, "ANTHROPIC_API_KEY": "sk-ant-" + "x" * 40}
    done = subprocess.run([gateway.program, *words], cwd=tmp_path, env=env, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.endswith("The provider gets:\n  mail [EMAIL_1]\n"), done


def test_the_commands_are_commands(gateway):
    help_text = subprocess.run([gateway.program, "--help"], text=True, capture_output=True, check=True).stdout
    words = [line.split("#")[0].split() for text in re.findall(r"```sh\n(.*?)```", README, re.S)
             for line in text.splitlines() if line.startswith("latenza ")]
    assert len(words) >= 5
    for _, *command in words:
        name = " ".join(itertools.takewhile(lambda w: re.fullmatch(r"[a-z]+", w), command))
        assert re.search(rf"^  {name}\b", help_text, re.M), name


@pytest.fixture
def as_it_stands(build, provider, tmp_path):
    """A gateway over the configuration of README.md, its provider `openai` at the scripted one."""
    gateway = Gateway(build, tmp_path / "gateway", env={"OPENAI_API_KEY": "sk-" + "x" * 40, "ANTHROPIC_API_KEY": "sk-ant-" + "x" * 40})
    text = block("yaml").replace("127.0.0.1:8080", f"127.0.0.1:{gateway.port}").replace("127.0.0.1:8081", f"127.0.0.1:{gateway.admin_port}")
    gateway.config_path.write_text(text.replace("openai: { ", f"openai: {{ base_url: '{provider.base_url}', "))
    yield gateway
    gateway.close()


def test_the_commands_do_what_is_said_beside_them(as_it_stands, provider):
    """Each line, in a shell, in the folder of latenza.yaml and key.json."""
    gateway = as_it_stands
    (gateway.folder / "key.json").write_text(block("json"))
    serve, create, tail, explain, guardrail, reload = (line.split("#")[0].strip() for line in block("sh", "key create").splitlines())
    env = gateway.env | {"PATH": f"{gateway.program.parent}:{gateway.env['PATH']}"}

    def say(line):
        done = subprocess.run(["sh", "-c", line], cwd=gateway.folder, env=env, text=True, capture_output=True, timeout=120)
        assert done.returncode == 0, (line, done)
        return done.stdout

    assert serve == "latenza serve &"
    gateway.start()
    secret = say(create).strip()
    gateway.secrets.add(secret)
    assert re.fullmatch(r"lz_live_\w+", secret)
    settings = gateway.json("key", "show", "production-backend")["settings"]
    assert {k: settings[k] for k in json.loads(block("json"))} == json.loads(block("json"))
    with subprocess.Popen(shlex.split(tail), cwd=gateway.folder, env=env, text=True, stdout=subprocess.PIPE) as tailing:
        id = None
        while id is None:  # a request that ended before it listened is not shown
            gateway.chat(secret, model="gpt-4o", text="mail jane@example.org")
            if select.select([tailing.stdout], [], [], 0.2)[0]:
                id = tailing.stdout.readline()
        tailing.terminate()
    assert "production-backend" in id and "gpt-4o" in id, id
    assert provider.last()["body"]["messages"][0]["content"] == "mail [EMAIL_1]"
    assert re.search(r"(?m)^ +openai +1 +gpt-4o ", table := say(explain)), table
    assert say(guardrail).endswith("The provider gets:\n  mail [EMAIL_1]\n")
    gateway.config_path.write_text(gateway.config_path.read_text().replace("attempts: 3", "attempts: 2"))
    assert "attempts" in say(reload)
    gateway.config_path.write_text(gateway.config_path.read_text().replace("attempts: 2", "attempts: none"))
    refused = subprocess.run(["sh", "-c", reload], cwd=gateway.folder, env=env, text=True, capture_output=True)
    assert refused.returncode != 0 and re.search(r"latenza.yaml:\d+: .*attempts", refused.stderr), refused
    assert gateway.chat(secret, model="gpt-4o")[0] == 200


def test_what_it_says_of_coming_from_elsewhere(gateway, make_gateway, provider, tmp_path):
    """Its two lines, run as they stand over a config of each; an old key works; the canary is in no file."""
    secret, canary = "sk-an-old-key-of-the-house", "sk-vendor-secret-written-down"
    entry = {"model_name": "house", "litellm_params": {"model": "openai/fake-1", "api_base": provider.base_url, "api_key": canary, "weight": 2, "seed": 7}}
    (tmp_path / "config.yaml").write_text(json.dumps({"model_list": [entry], "router_settings": {"num_retries": 1, "timeout": 9}}, indent=1))
    (tmp_path / "keys.json").write_text(json.dumps([{"token": hashlib.sha256(secret.encode()).hexdigest(), "key_alias": "old"}]))
    (tmp_path / "config.json").write_text(json.dumps({"provider": "openai", "api_key": canary, "cache": {"mode": "simple"}}))
    commands = [line.split("#")[0].split()[1:] for line in block("sh", "--from").splitlines()]
    assert [c[2] for c in commands] == ["litellm", "portkey"]
    for words in reversed(commands):
        done = subprocess.run([gateway.program, *words, "--force"], cwd=tmp_path, text=True, capture_output=True, env=gateway.env)
        text = (tmp_path / "new/latenza.yaml").read_text()
        assert canary not in text + done.stdout + done.stderr
        told = re.findall(rf"^{words[3]}:\d+: .*; .*$", done.stderr, re.M)
        assert told and all(f"# - {line}" in text for line in told)
        checked = subprocess.run([gateway.program, "check", "--offline", "new/latenza.yaml"], cwd=tmp_path, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        subprocess.run([gateway.program, "key", "rm", "first", "-c", "new/latenza.yaml"], cwd=tmp_path, capture_output=True)
    shown = json.loads(subprocess.run([gateway.program, "config", "show", "-c", "new/latenza.yaml", "-o", "json"], cwd=tmp_path, env=gateway.env | {
        "COMPATIBLE_KEY": "sk-x"}, check=True, capture_output=True).stdout)
    assert shown["routing"]["attempts"] == 2 and shown["routing"]["timeout_ms"] == 9000
    new = make_gateway(config={k: shown[k] for k in ("providers", "models", "keys")}, env={"COMPATIBLE_KEY": "sk-" + "y" * 20})
    assert new.chat(secret, model="house")[0] == 200


def test_as_many_guardrails_as_it_says_ship_with_it(gateway):
    counted = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    said, = re.findall(r"(\w+) ship with it; yours are", README)
    parts = gateway.json("plugin", "list")["components"]
    assert sum(p["kind"] == "guardrail" for p in parts) == counted.index(said.lower())


def test_the_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    for link in links:
        assert (TOP / link).exists(), link


def test_the_python_example_prints_an_answer(make_gateway, provider, tmp_path):
    pytest.importorskip("openai", reason="the OpenAI SDK is not installed")
    gateway = make_gateway(config={"providers": {"openai": {"base_url": provider.base_url, "api_keys": ["env:FAKE_KEY"]}}})
    text = block("python").replace("http://127.0.0.1:8080/v1", gateway.base_url)
    text = text.replace("lz_live_...", gateway.key("example"))
    path = tmp_path / "example.py"
    path.write_text(text)
    result = subprocess.run([sys.executable, path], text=True, capture_output=True, timeout=60)
    assert (result.returncode, result.stdout) == (0, "Explain AI routing in one sentence.\n"), result.stderr


# ---- CHANGELOG.md ----

CHANGELOG = (TOP / "CHANGELOG.md").read_text()


def test_what_the_changelog_names_is_there(gateway):
    """Commands, metrics, headers, members of the file, presets, and the counts that grow."""
    help_text = subprocess.run([gateway.program, "--help"], text=True, capture_output=True, check=True).stdout
    named = set(re.findall(r"`latenza ((?:[a-z]+ ?)+)", CHANGELOG))
    assert len(named) >= 15 and [c for c in named if not re.search(rf"^  {c.strip()}\b", help_text, re.M)] == []
    source = "\n".join(p.read_text() for p in (TOP / "core").rglob("*.[ch]"))
    named = set(re.findall(r"`(latenza_[a-z_]+|x-latenza-[a-z-]+)", CHANGELOG))
    assert len(named) >= 6 and [n for n in named if n not in source] == []
    schema = gateway.json("config", "schema")["properties"]
    named = set(re.findall(r"`([a-z]+)\.([a-z_]+)", CHANGELOG))
    members = [(a, b) for a, b in named if a in schema and b not in schema[a].get("properties", {b: ""})]
    assert len(named) >= 12 and members == []
    presets = re.search(r"preset: ([a-z|\s]+)`", CHANGELOG).group(1)
    assert set(re.sub(r"\s", "", presets).split("|")) <= set(json.loads((TOP / "core/config/presets.json").read_text()))
    models = json.loads((TOP / "core/config/models.json").read_text())["models"]
    assert f"has {len(models)} of them now" in re.sub(r"\s+", " ", CHANGELOG)
    with sqlite3.connect(f"file:{gateway.data / 'latenza.db'}?mode=ro", uri=True) as db:
        version, = db.execute("PRAGMA user_version").fetchone()
    assert f"The database's schema is version {version}:" in CHANGELOG
