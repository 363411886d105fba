"""The tools of who writes plugins: `plugin run`, `plugin check`, `plugin new`.

SPDX-License-Identifier: MIT
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
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


def test_a_component_that_fails_is_a_failure(build, run):
    done = run("plugin", "run", build / "plugins/.libs/hook.so", "-O", "url=http://judge.test/", "--text", "x", "--reply", "no")
    assert done.returncode == 1 and "guardrail hook: fails" in done.stdout and "hook: fails" in done.stderr


def test_info_says_what_may_be_said(build, run):
    told = run("plugin", "info", build / "plugins/.libs/secrets.so").stdout
    assert "choice   put [SECRET] in its place" in told and "; one of mask, block, flag; default \"mask\"" in told
    assert "list     what is looked for" in told and "; any of private_key, jwt, vendor, url_password, generic" in told
    assert "; 0 to 8; default 2.5" in told
    told = run("plugin", "info", build / "plugins/.libs/hook.so").stdout
    assert "where the hook is; required" in told and "duration how long" in told and "size     more text" in told


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
    (["--component", "digits", "--text", "x", "--phase", "later"], 2, "request or response"),
    (["--component", "digits", "--text", "x", "--role", "bishop"], 2, '--role: "bishop" is not system, user'),
    (["--component", "digits", "--text", "x", "-O", b"least=\xff"], 2, "--option: "),
    (["--component", "digits", "--text", "x", "-O", "least=5", "-O", "least=6"], 2, '"least" is given twice'),
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
    (tmp_path / "text.so").write_text("no")
    assert run("plugin", "check", tmp_path / "text.so").stdout.splitlines() == [
        f"FAIL {tmp_path}/text.so: is not a shared object (no ELF head); build it with cc -shared -fPIC"]


# ---- plugin new ----

@pytest.fixture(scope="module")
def sdk(tmp_path_factory, sanitizers):
    """The SDK installed into a folder of its own, and how one builds against it."""
    prefix = tmp_path_factory.mktemp("sdk") / "prefix"
    done = subprocess.run(["make", "-s", "install", f"prefix={prefix}"], cwd=os.environ["LATENZA_BUILD"], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    env = {**os.environ, "PKG_CONFIG": "pkg-config --define-prefix", "PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig"),
           "ACLOCAL_PATH": str(prefix / "share/aclocal"), "LATENZA": str(prefix / "bin/latenza"),
           "CFLAGS": " ".join(["-O1 -g -Wall -Wextra -Wconversion -Werror", *sanitizers])}
    if shutil.which("pkg-config") is None:
        pytest.skip("pkg-config is not installed")

    def sdk(*command, cwd):
        return subprocess.run([str(c) for c in command], cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
    sdk.latenza = prefix / "bin/latenza"
    return sdk


KINDS = ["guardrail", "provider", "router", "sink"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_builds_and_its_tests_pass_at_once(sdk, tmp_path, is_passed, kind):
    done = sdk(sdk.latenza, "plugin", "new", f"my-{kind}", "--kind", kind, cwd=tmp_path)
    assert done.returncode == 0 and f"my-{kind}" in done.stdout, done.stderr
    folder = tmp_path / f"my-{kind}"
    assert {p.name for p in folder.iterdir()} == {f"my-{kind}.c", f"test_my-{kind}.c", "Makefile", "README.md", ".gitignore"}
    for goal in ("all", "check", "inspect"):
        done = sdk("make", "-s", goal, cwd=folder)
        assert is_passed(done), done.stdout + done.stderr
    assert f"test_my-{kind} passed" in sdk("make", "check", cwd=folder).stdout.splitlines()
    shown = json.loads(sdk(sdk.latenza, "plugin", "info", f"./my-{kind}.so", "-o", "json", cwd=folder).stdout)
    assert [(c["kind"], c["name"], c["plugin"]) for c in shown] == [(kind, f"my-{kind}", f"my-{kind}")]
    done = sdk("make", "-s", "install", f"DESTDIR={tmp_path}/root", cwd=folder)
    assert done.returncode == 0 and list(tmp_path.glob(f"root/**/latenza/plugins/my-{kind}.so")), done.stderr
    assert sdk("make", "-s", "clean", cwd=folder).returncode == 0 and not list(folder.glob("*.so"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["auto", "check", "timespec"])
def test_a_new_plugin_may_be_named_as_something_of_c_or_of_make(sdk, tmp_path, kind, name):
    sdk(sdk.latenza, "plugin", "new", name, "--kind", kind, cwd=tmp_path)
    done = sdk("make", "all", "check", cwd=tmp_path / name)
    assert done.returncode == 0 and f"test_{name} passed" in done.stdout, done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_the_test_of_a_new_plugin_can_fail(sdk, tmp_path, kind):
    sdk(sdk.latenza, "plugin", "new", "mine", "--kind", kind, cwd=tmp_path)
    source = tmp_path / "mine/mine.c"
    text = source.read_text()
    broken = {"guardrail": ("***", "*"), "provider": ("output_tokens", "tokens"), "router": ("!= far", "== far"),
              "sink": ("lz->json_text(c, lz->body(c))", 'lz_strz("nothing")')}[kind]
    assert broken[0] in text
    source.write_text(text.replace(*broken))
    done = sdk("make", "-s", "check", cwd=tmp_path / "mine")
    assert done.returncode != 0 and "Assertion" in done.stderr


@pytest.mark.skipif(shutil.which("autoreconf") is None, reason="autoconf is not installed")
def test_a_new_plugin_builds_with_autotools_and_latenza_m4(sdk, tmp_path, is_passed):
    done = sdk(sdk.latenza, "plugin", "new", "auto-guard", "--kind", "guardrail", "--build", "autotools", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "auto-guard"
    for command in (["autoreconf", "-i"], ["./configure", "-q"], ["make", "-s", "check"],
                    ["make", "-s", "install", f"DESTDIR={tmp_path}/root"],
                    [sdk.latenza, "plugin", "check", ".libs/auto-guard.so"]):
        done = sdk(*command, cwd=folder)
        assert is_passed(done), done.stdout + done.stderr
    assert [p.name for p in tmp_path.glob("root/**/latenza/plugins/*")] == ["auto-guard.so"]


@pytest.mark.skipif(shutil.which("autoreconf") is None, reason="autoconf is not installed")
def test_latenza_m4_says_what_is_missing(sdk, tmp_path):
    sdk(sdk.latenza, "plugin", "new", "x", "--kind", "sink", "--build", "autotools", cwd=tmp_path)
    assert sdk("autoreconf", "-i", cwd=tmp_path / "x").returncode == 0
    done = sdk("env", "PKG_CONFIG_PATH=/nowhere", "PKG_CONFIG_LIBDIR=/nowhere", "./configure", "-q", cwd=tmp_path / "x")
    assert done.returncode != 0 and "does not find latenza" in done.stderr


@pytest.mark.parametrize("args, code, words", [
    (["x"], 2, "--kind: is missing"),
    (["x", "--kind", "site"], 2, '"site" is not guardrail, router, provider or sink'),
    (["../x", "--kind", "sink"], 2, "is no name"),
    (["X", "--kind", "sink"], 2, "is no name"),
    (["", "--kind", "sink"], 2, "is no name"),
    (["x" * 41, "--kind", "sink"], 2, "is no name"),
    (["x", "--kind", "sink", "--build", "cmake"], 2, "make or autotools"),
    (["there", "--kind", "sink"], 1, "is there already"),
    (["link", "--kind", "sink"], 1, "is there already"),
])
def test_new_answers_nonsense_with_a_sentence_and_writes_nothing(run, tmp_path, args, code, words):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    done = run("plugin", "new", *args, cwd=tmp_path)
    assert done.returncode == code, done.stdout + done.stderr
    assert words in done.stderr
    assert {p.name for p in tmp_path.iterdir()} == {"there", "link"} and not list((tmp_path / "there").iterdir())


def test_new_leaves_nothing_behind_where_nothing_may_be_written(run, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    assert run("plugin", "new", "x", "--kind", "sink", cwd=tmp_path).returncode == 1
    tmp_path.chmod(0o700)
    assert not list(tmp_path.iterdir())


# ---- the guide ----

def test_the_guide_to_a_guardrail_works_as_it_stands(sdk, tmp_path):
    text = (TOP / "sdk/README.md").read_text()
    text = text[text.index("## A guardrail in fifteen minutes"):text.index("## A provider in an hour")]
    blocks = [b for b in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M) if b[0] != "c"]
    assert [kind for kind, _ in blocks] == ["", "", "yaml", ""]
    script = "".join(f"cat >latenza.yaml <<'END'\n{body.replace('openai, ', '')}END\nlatenza check\n" if kind else body for kind, body in blocks)
    done = sdk("sh", "-ec", f"PATH={sdk.latenza.parent}:$PATH\n{script}", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for told in ("test_no-secrets passed", "***, and ***", "guardrail no-secrets: block", "guardrail words: no-secrets", "ask for ***"):
        assert told in done.stdout, told


# ---- the examples ----

@pytest.mark.parametrize("test", sorted((TOP / "examples/plugins").glob("test_*.c")), ids=lambda p: p.stem)
def test_an_example_passes_its_own_test_against_the_installed_sdk(sdk, sanitizers, tmp_path, test):
    source = test.with_name(test.name.removeprefix("test_"))
    done = sdk("sh", "-c", f"cc -std=c11 -D_DEFAULT_SOURCE -Wall -Wextra -Wpedantic -Werror {' '.join(sanitizers)} -o x "
               f"{test} {source} $($PKG_CONFIG --cflags --libs latenza-testhost) && ./x", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name, lines", [("wordlist", 60), ("vendor", 80)])
def test_the_examples_are_short(name, lines):
    assert len((TOP / f"examples/plugins/{name}.c").read_text().splitlines()) < lines


# ---- the stall meter ----

@pytest.fixture
def stalling(tmp_path):
    out = tmp_path / "stalling.so"
    subprocess.run([*os.environ.get("CC", "cc").split(), "-std=c11", "-D_DEFAULT_SOURCE", "-fPIC", "-shared", "-fvisibility=hidden",
                    f"-I{TOP / 'sdk'}", "-o", out, TOP / "tests/abi/stalling.c"], check=True)
    return out


def test_a_plugin_that_holds_its_worker_holds_up_no_other(make_gateway, provider, stalling, tmp_path):
    """Of 32 new connections the kernel gives some to the other worker: they are answered while the first is held."""
    gateway = make_gateway(args=["--plugin", stalling], provider=provider,
                           config={"workers": 2, "routers": {"held": {"use": "stalling", "until": str(tmp_path / "go")}}})
    key = gateway.key()
    with concurrent.futures.ThreadPoolExecutor(33) as pool:
        held = pool.submit(gateway.chat, key, headers={"x-latenza-strategy": "held"})
        while gateway.metrics()["latenza_requests_in_flight"] < 1:
            assert not held.done()
        others = [pool.submit(gateway.chat, key) for _ in range(32)]
        first, _ = concurrent.futures.wait(others, timeout=50, return_when=concurrent.futures.FIRST_COMPLETED)
        assert first and not held.done()
        (tmp_path / "go").touch()
        assert all(one.result()[0] == 200 for one in [held, *others])


def test_a_plugin_that_holds_its_worker_is_counted_and_named_in_the_log(make_gateway, provider, stalling):
    gateway = make_gateway(args=["--plugin", stalling], provider=provider)
    key = gateway.key()
    stalls = 'latenza_plugin_stalls_total{plugin="test.stalling"}'
    assert gateway.metrics()[stalls] == 0
    for _ in range(3):
        assert gateway.chat(key, headers={"x-latenza-strategy": "stalling"})[0] == 200
    metrics = gateway.metrics()
    assert metrics[stalls] == 3
    assert metrics['latenza_plugin_stall_seconds_total{plugin="test.stalling"}'] >= 0.15
    told = gateway.events("plugin.stall")  # once a minute
    assert [(line["plugin"], line["component"]) for line in told] == [("test.stalling", "stalling")]
    assert int(told[0]["ms"]) >= 50

@pytest.mark.parametrize("case, said", [
    ("CRASHING_CONSTRUCTOR", "crashed with signal"), ("LOOPING_ENTRY", "did not come back in time"),
    ("FAILING_INIT", "does not start"), ("WRONG_MINOR", "ABI"), ("MISSING_SYMBOL", "nobody_has_this"),
])
def test_a_plugin_that_is_no_good_changes_nothing_of_a_gateway_that_serves(make_gateway, provider, tmp_path, case, said):
    """A crash is that of a child; what the file names then is refused with its sentence, by `check` and by a reload."""
    out = tmp_path / "hostile.so"
    subprocess.run([*os.environ.get("CC", "cc").split(), "-std=c11", "-fPIC", "-shared", "-fvisibility=hidden", "-w", f"-DCASE={case}",
                    f"-I{TOP / 'sdk'}", "-o", out, TOP / "tests/abi/hostile.c"], check=True)
    gateway = make_gateway(provider=provider)
    key = gateway.key()
    gateway.change_config(plugins=["compatible", "echo", "balanced", str(out)], plugin_files="warn", routers={"r": {"use": "hostile"}})
    for verb in ("check", "reload"):
        done = gateway.run(verb, check=False)
        assert done.returncode == 78 and said in done.stderr, done.stderr
        assert gateway.chat(key)[0] == 200
    assert said in json.loads(gateway.get("/readyz")[2])["config_refused"]
