"""What `make install` puts in place, and plugins built against that alone.

SPDX-License-Identifier: MIT
"""

import json
import os
import pathlib
import shutil
import subprocess
import time

import pytest
from harness.sse import Stream

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
EXAMPLES = sorted(p for p in (TOP / "examples/plugins").glob("*.c") if not p.name.startswith("test_"))
WITHOUT_HOST = {"sink", "site"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    build = os.environ["LATENZA_BUILD"]
    root = tmp_path_factory.mktemp("root")
    done = subprocess.run(["make", "-s", "install", f"DESTDIR={root}"], cwd=build, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    prefix = subprocess.run(["./config.status", "--file=-:-"], input="@prefix@", cwd=build, capture_output=True,
                            text=True).stdout.strip()
    return root / prefix.lstrip("/")


@pytest.fixture
def compile_plugin(installed, tmp_path):
    if shutil.which("pkg-config") is None:
        pytest.skip("pkg-config is not installed")
    root = str(installed).removesuffix("/usr/local")
    flags = subprocess.run(["pkg-config", "--cflags", "latenza"], capture_output=True, text=True,
                           env={**os.environ, "PKG_CONFIG_PATH": str(installed / "lib/pkgconfig"),
                                "PKG_CONFIG_SYSROOT_DIR": root}).stdout.split()
    assert [f for f in flags if f.startswith("-I")], "latenza.pc names the header's folder"

    def compile_plugin(source, *more):
        out = tmp_path / f"{pathlib.Path(source).stem}.so"
        done = subprocess.run([*os.environ.get("CC", "cc").split(), "-std=c11", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall",
                               "-Wextra", "-Werror", "-Wl,-z,defs", *flags, *more, "-o", out, source],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return out

    return compile_plugin


def test_program_plugins_header_and_pc_file_are_in_place(installed):
    for path in ("bin/latenza", "include/latenza/plugin.h", "include/latenza/testhost.h", "lib/pkgconfig/latenza.pc",
                 "lib/pkgconfig/latenza-testhost.pc", "lib/liblatenza-testhost.so", "share/aclocal/latenza.m4", "lib/latenza/plugins/echo.so"):
        assert (installed / path).is_file(), path
    assert {p.suffix for p in (installed / "lib/latenza/plugins").iterdir()} == {".so"}


@pytest.mark.parametrize("source", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_compiles_against_the_installed_header_and_passes_plugin_check(installed, is_passed, compile_plugin, source):
    plugin = compile_plugin(source)
    done = subprocess.run([installed / "bin/latenza", "plugin", "check", plugin], capture_output=True, text=True)
    assert is_passed(done), done.stdout + done.stderr


@pytest.mark.parametrize("compiler", ["g++", "c++"])
def test_the_header_is_cplusplus_too(installed, compiler, tmp_path):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    source = tmp_path / "x.cc"
    source.write_text("#include <latenza/plugin.h>\nint main() { return LZ_ABI_MAJOR; }\n")
    done = subprocess.run([compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                           f"-I{installed / 'include'}", source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def components(build, plugin):
    done = subprocess.run([build / "latenza", "plugin", "info", plugin, "-o", "json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_example_provider_and_router_serve_a_request(make_gateway, compile_plugin, provider):
    plugins = [compile_plugin(TOP / f"examples/plugins/{kind}.c") for kind in ("provider", "router")]
    gateway = make_gateway(args=["--plugin", plugins[0], "--plugin", plugins[1]], env={"ACME_KEY": "acme-secret"},
                           config={"providers": {"mine": {"plugin": "acme", "base_url": provider.base_url, "price": "free",
                                                          "api_keys": ["env:ACME_KEY"], "models": [{"id": "mine-1"}]}}})
    status, head, body = gateway.chat(gateway.key(), model="mine-1", headers={"x-latenza-strategy": "near"})
    assert status == 200, body
    assert (head["x-latenza-provider"], head["x-latenza-strategy"]) == ("mine", "near")
    assert provider.last()["headers"]["x-acme-key"] == "acme-secret"


def test_a_plugin_that_does_not_wait_for_the_caller_is_bounded_by_the_host(make_gateway, compile_plugin):
    gateway = make_gateway(args=["--plugin", compile_plugin(TOP / "tests/abi/flood.c")],
                           config={"providers": {"flood": {"plugin": "flood", "base_url": "http://nowhere.test", "price": "free",
                                                           "models": [{"id": "flood-1"}]}}})
    key, status = gateway.key(), f"/proc/{gateway.process.pid}/status"

    def peak_mib():
        return int(pathlib.Path(status).read_text().split("VmHWM:")[1].split()[0]) >> 10
    before = peak_mib()
    stream = Stream(gateway.port, key, {"model": "flood-1", "messages": [{"role": "user", "content": "Go"}]})
    # who reads while a slow gateway writes keeps up with it
    while sum(n for name, n in gateway.metrics().items() if name.startswith("latenza_attempts_total")) == 0:
        time.sleep(0.02)
    events = stream.rest()
    assert "error" in json.loads(events[-1]) and stream.ended == "whole"
    # a sanitizer keeps what was freed, so its memory says nothing
    assert peak_mib() - before < 32 or b"__asan_init" in gateway.program.read_bytes()
    trace = gateway.trace(gateway.traces()[0]["id"])
    assert [a["end"] for a in trace["attempts"]] == ["too_fast"]
    stream.close()


def test_a_plugin_sees_which_key_asks_and_the_keys_own_metadata(make_gateway, compile_plugin, provider):
    plugin = compile_plugin(TOP / "tests/abi/asker.c")
    gateway = make_gateway(args=["--plugin", plugin], provider=provider)
    key = gateway.key("billing-app", metadata={"team": "billing"})
    forged = {"x-latenza-strategy": "asker", "x-latenza-metadata": json.dumps({"key.team": "x", "key.forged": "x"})}
    assert gateway.chat(key, headers=forged)[0] == 200
    seen = gateway.trace(gateway.traces()[0]["id"])["metadata"]
    assert seen["seen-key"] == "billing-app" and seen["seen-organization"] == "default"
    assert seen["seen-team"] == "billing" and seen["seen-forged"] == "(absent)"


TEXTS = ["blue", "a blue moon, a ruby", "bl\u200bue and RUB\u0443 and blu e", "no colour at all", "blueblue rubyblue blue",
         "\u2167 \uff42\uff4c\uff55\uff45 \u00e9toile ruby\u0301 end", "ru", "ruby"]


def streamed(gateway, key):
    """What the caller received, and whether it was blocked."""
    status, _, raw = gateway.request("POST", "/v1/chat/completions",
                                     {"model": "fake-1", "stream": True, "messages": [{"role": "user", "content": "Go"}]}, key)
    if status != 200:
        return "", True
    events = [json.loads(e.removeprefix("data: ")) for e in raw.decode().split("\n\n") if e.startswith("data: {")]
    choices = [c for e in events for c in e.get("choices", [])]
    return "".join(c["delta"].get("content") or "" for c in choices), "content_filter" in [c["finish_reason"] for c in choices]


@pytest.mark.parametrize("block", [False, True])
def test_the_word_list_does_in_the_gateway_what_the_fake_host_shows(build, make_gateway, compile_plugin, provider, block):
    plugin = compile_plugin(TOP / "examples/plugins/wordlist.c", "-D_DEFAULT_SOURCE")
    gateway = make_gateway(args=["--plugin", plugin], provider=provider,
                           config={"guardrails": {"words": {"use": "wordlist", "words": ["blue", "ruby"], "block": block,
                                                            "default_on": True}}})
    key = gateway.key()

    def shown(text, *more):
        done = subprocess.run([build / "latenza", "plugin", "run", plugin, "-O", "words=blue,ruby", "-O", f"block={str(block).lower()}",
                               "--text", text, *more, "-o", "json"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    for text in TEXTS:
        fake = shown(text)
        status = gateway.chat(key, text=text)[0]
        assert status == (400 if fake["verdict"] == "block" else 200), text
        if status == 200:
            assert provider.last()["body"]["messages"][0]["content"] == fake["texts"][0]
        for step in (1, 3, 100):
            fake = shown(text, "--stream-every", str(step))
            provider.script(times=1, chunks=[text[i:i + step] for i in range(0, len(text), step)])
            got, is_blocked = streamed(gateway, key)
            assert is_blocked == (fake["verdict"] == "block"), (text, step)
            # how much is out before a block depends on the cuts, which are between characters here
            assert got == fake["texts"][0] or (block and text.startswith(got) and len(got) < len(text)), (text, step)


@pytest.mark.parametrize("kind", sorted(WITHOUT_HOST))
def test_a_kind_without_a_host_yet_is_refused_by_check_with_a_sentence(build, compile_plugin, tmp_path, kind):
    plugin = compile_plugin(TOP / f"examples/plugins/{kind}.c")
    section = {"sink": "sinks", "site": "sites"}[kind]
    name = components(build, plugin)[0]["name"]
    config = tmp_path / "latenza.yaml"
    config.write_text(json.dumps({"providers": {"echo": {"plugin": "echo"}}, section: {"mine": {"use": name}}}))
    done = subprocess.run([build / "latenza", "check", "--plugin", plugin, config], capture_output=True, text=True)
    assert done.returncode == 78
    assert section in done.stderr and "latenza.yaml:" in done.stderr


def test_a_frozen_file_of_another_minor_is_refused_in_its_own_words(build, compile_plugin, tmp_path):
    source = tmp_path / "old.c"
    source.write_text((TOP / "examples/plugins/router.c").read_text().replace(
        "#include <latenza/plugin.h>", "#include <latenza/plugin.h>\n#undef LZ_ABI_MINOR\n#define LZ_ABI_MINOR 9999"))
    done = subprocess.run([build / "latenza", "plugin", "check", compile_plugin(source)], capture_output=True, text=True)
    assert done.returncode == 1 and "9999" in done.stdout + done.stderr
