"""The tools of who writes plugins: `plugin run`, `plugin check`, `plugin new`.

SPDX-License-Identifier: MIT
"""

import json
import os
import pathlib
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    out = tmp_path_factory.mktemp("plugin") / "sample.so"
    subprocess.run([*os.environ.get("CC", "cc").split(), "-std=c11", "-fPIC", "-shared", "-fvisibility=hidden", "-pthread",
                    f"-I{TOP / 'sdk'}", "-o", out, TOP / "tests/abi/sample.c"], check=True)
    return out


@pytest.fixture
def run(build):
    def run(*args, **more):
        return subprocess.run([build / "latenza", *args], capture_output=True, text=True, timeout=120, **more)
    return run


# ---- plugin run ----

def test_run_shows_verdict_findings_and_the_edited_text(run, sample):
    done = run("plugin", "run", sample, "--component", "digits", "--text", "call 12345", "-o", "json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["verdict"], shown["texts"]) == ("pass", ["call #"])
    assert shown["findings"] == [{"code": "digits.run", "message": "a run of digits"}]
    assert shown["calls"] == 1 and shown["problems"] == []
    text = run("plugin", "run", sample, "--component", "digits", "--text", "call 12345").stdout
    assert "guardrail digits: pass" in text and "digits.run  a run of digits" in text and "call #" in text


def test_run_takes_options_as_text_and_a_stream(run, sample):
    done = run("plugin", "run", sample, "--component", "digits", "-O", "action=block", "-O", "least=3", "--text", "-",
               "--stream-every", "1", "-o", "json", input="my code is 1234 thanks")
    shown = json.loads(done.stdout)
    assert (shown["verdict"], shown["texts"], shown["released_bytes"]) == ("block", ["my code is "], 11)


def test_run_shows_what_a_provider_would_send(run, sample):
    shown = json.loads(run("plugin", "run", sample, "--kind", "provider", "--text", 'say "hi"', "-o", "json").stdout)
    assert shown["http"]["headers"] == {"x-key": "sk-test"}
    assert json.loads(shown["http"]["body"])["messages"][0]["content"] == 'say "hi"'


def test_run_answers_callouts_with_reply_or_says_that_nothing_does(run, sample):
    asked = ("plugin", "run", sample, "--component", "remote", "-O", "url=http://judge.test/", "--text", "x")
    shown = json.loads(run(*asked, "--reply", '{"flagged":true}', "-o", "json").stdout)
    assert shown["verdict"] == "block" and shown["callouts"][0]["url"] == "http://judge.test/"
    done = run(*asked)
    assert done.returncode == 1 and "no script answers it" in done.stderr


@pytest.mark.parametrize("args, code, words", [
    (["--text", "x"], 1, "--component says which one"),
    (["--component", "absent", "--text", "x"], 1, "offers no component absent"),
    (["--component", "digits"], 2, "--text: is missing"),
    (["--component", "digits", "--text", "x", "-O", "least=0"], 1, "least"),
    (["--component", "digits", "--text", "x", "-O", "lest=5"], 1, "least"),
    (["--component", "digits", "--text", "x", "--phase", "later"], 1, "request or response"),
    (["--component", "digits", "--text", "x", "--stream-every", "0"], 2, "1 or more"),
    (["--component", "digits", "--text", b"\xff"], 2, "UTF-8"),
    (["--kind", "router", "--text", "x"], 1, "latenza route explain"),
    (["--component", "liar", "-O", "how=keep-view", "--text", "x", "--stream-every", "1"], 0, ""),
    (["--component", "liar", "-O", "how=keep-view", "--text", "xx", "--stream-every", "1"], 1, "crashed with signal"),
    (["--component", "liar", "-O", "how=bad-result", "--text", "x"], 1, "77 is not a decision here"),
])
def test_run_answers_nonsense_with_a_sentence(run, sample, args, code, words):
    done = run("plugin", "run", sample, *args)
    assert done.returncode == code, done.stdout + done.stderr
    assert words in done.stderr


def test_run_of_what_is_no_plugin(run, tmp_path):
    (tmp_path / "x.so").write_text("no")
    for path in ("no-such", tmp_path / "absent.so", tmp_path / "x.so"):
        done = run("plugin", "run", path, "--text", "x")
        assert done.returncode == 1 and str(path) in done.stderr


# ---- plugin check ----

def test_check_tells_failures_warnings_and_passes_apart(run, tmp_path):
    def compiled(case, *more):
        out = tmp_path / f"{case}.so"
        subprocess.run([*os.environ.get("CC", "cc").split(), "-std=c11", "-fPIC", "-shared", "-fvisibility=hidden", "-w",
                        f"-DCASE={case}", f"-I{TOP / 'sdk'}", "-o", out, TOP / "tests/abi/hostile.c", *more], check=True)
        return out
    for case, code, mark in (("GOOD", 0, "ok"), ("MORE_SYMBOLS", 3, "warn"), ("CRASHING_INIT", 1, "FAIL")):
        done = run("plugin", "check", compiled(case))
        assert done.returncode == code, done.stdout
        assert any(line.startswith(mark) for line in done.stdout.splitlines())
        lines = json.loads(run("plugin", "check", tmp_path / f"{case}.so", "-o", "json").stdout)
        assert all(line["ok"] for line in lines) == (code != 1) and any(line["warning"] for line in lines) == (code == 3)
