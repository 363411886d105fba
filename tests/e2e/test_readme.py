"""What README.md shows works as it stands there.

SPDX-License-Identifier: MIT
"""

import hashlib
import itertools
import json
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

README = (pathlib.Path(__file__).parents[2] / "README.md").read_text()


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


def test_the_key_is_taken_as_it_stands(gateway):
    secret = gateway.key("from-readme", **json.loads(block("json")))
    assert secret.startswith("lz_live_")
    shown = gateway.json("key", "show", "from-readme")
    assert shown["settings"]["budget_monthly_eur"] == 250 and shown["settings"]["rate_limit"] == 120


def test_the_commands_are_commands(gateway):
    help_text = subprocess.run([gateway.program, "--help"], text=True, capture_output=True, check=True).stdout
    words = [line.split("#")[0].split() for text in re.findall(r"```sh\n(.*?)```", README, re.S)
             for line in text.splitlines() if line.startswith("latenza ")]
    assert len(words) >= 5
    for _, *command in words:
        name = " ".join(itertools.takewhile(lambda w: re.fullmatch(r"[a-z]+", w), command))
        assert re.search(rf"^  {name}\b", help_text, re.M), name


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


def test_the_links_lead_somewhere():
    top = pathlib.Path(__file__).parents[2]
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    for link in links:
        assert (top / link).exists(), link


def test_the_python_example_prints_an_answer(make_gateway, provider, tmp_path):
    pytest.importorskip("openai", reason="the OpenAI SDK is not installed")
    gateway = make_gateway(config={"providers": {"openai": {"base_url": provider.base_url, "api_keys": ["env:FAKE_KEY"]}}})
    text = block("python").replace("http://127.0.0.1:8080/v1", gateway.base_url)
    text = text.replace("lz_live_...", gateway.key("example"))
    path = tmp_path / "example.py"
    path.write_text(text)
    result = subprocess.run([sys.executable, path], text=True, capture_output=True, timeout=60)
    assert (result.returncode, result.stdout) == (0, "Explain AI routing in one sentence.\n"), result.stderr
