"""The guardrail `hook` in a gateway: the protocol, the example of its README, and that nothing but the protocol passes.

SPDX-License-Identifier: MIT
"""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from harness.gateway import free_port
from harness.service import Service

README = pathlib.Path(__file__).parents[2] / "plugins/hook/README.md"
KEY = b"heron-signs-what-it-asks"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@pytest.fixture
def service():
    with Service(lambda ask: (200, {"verdict": "pass"})) as s:
        yield s


@pytest.fixture
def guarded(make_gateway, provider):
    def make(url, **options):
        gateway = make_gateway(provider=provider, env={"HOOK_SECRET": SECRET}, config={
            "guardrails": {"mine": {"use": "hook", "url": url, "secret": "env:HOOK_SECRET", "default_on": True} | options},
            "organizations": {"acme": {}}})
        gateway.secrets.add(SECRET)
        return gateway, gateway.key("k", organization="acme")
    return make


def test_it_is_asked_about_request_and_answer(guarded, provider, service):
    gateway, key = guarded(service.url + "/guard?x=1")
    provider.script(chunks=["the ", "answer"])
    status, head, _ = gateway.chat(key, text="the question", user="u-1")
    assert status == 200
    first, second = service.asked
    assert first.path == "/guard?x=1"
    assert first.json == {"id": head["x-request-id"], "phase": "request", "route": "chat", "model": "fake-1", "stream": False, "key": "k",
                          "organization": "acme", "assistant": None, "user": "u-1",
                          "texts": [{"index": 0, "message": 0, "role": "user", "kind": "prose", "name": None, "text": "the question"}]}
    assert second.json == first.json | {"phase": "response", "texts": [
        {"index": 0, "choice": 0, "role": "assistant", "kind": "prose", "name": None, "text": "the answer"}]}
    for ask in service.asked:
        signed = f"{ask.headers['webhook-id']}.{ask.headers['webhook-timestamp']}.".encode() + ask.raw
        assert ask.headers["webhook-signature"] == "v1," + base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
        assert abs(int(ask.headers["webhook-timestamp"]) - time.time()) < 60
    assert first.headers["webhook-id"] != second.headers["webhook-id"]


@pytest.mark.parametrize("stream", [False, True])
def test_what_it_masks_is_masked(guarded, provider, service, stream):
    def mask(ask):
        return 200, {"verdict": "mask", "code": "m", "edits": [
            {"index": t["index"], "from": m.start(), "to": m.end(), "with": "[é]"}
            for t in ask.json["texts"] for m in re.finditer("bird", t["text"])]}

    service.answer = mask
    gateway, key = guarded(service.url)
    provider.script(chunks=["😀 one bi", "rd, 😀 two bird", "s"])
    body = {"model": "fake-1", "messages": [{"role": "user", "content": "é😀 a bird"}], "stream": stream}
    status, head, raw = gateway.request("POST", "/v1/chat/completions", body, key)
    assert status == 200 and provider.last()["body"]["messages"][0]["content"] == "é😀 a [é]"
    if stream:
        chunks = [json.loads(x[6:]) for x in raw.decode().split("\n\n") if x.startswith("data: {")]
        text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
    else:
        text = json.loads(raw)["choices"][0]["message"]["content"]
    assert text == "😀 one [é], 😀 two [é]s"
    trace = gateway.trace(head["x-request-id"])
    assert [v["verdict"] for v in trace["guardrails"]] == ["mask", "mask"] and "bird" not in json.dumps(trace)


def test_what_it_blocks_is_blocked(guarded, provider, service):
    service.answer = lambda ask: (200, {"verdict": "block", "code": "no.birds", "message": "no birds today"})
    gateway, key = guarded(service.url)
    status, head, body = gateway.chat(key)
    assert status == 400 and "no birds today" in body["error"]["message"] and provider.calls() == 0
    assert gateway.trace(head["x-request-id"])["guardrails"][0]["codes"] == ["no.birds"]
    service.answer = lambda ask: (200, {"verdict": "flag", "code": "hm"})
    status, head, _ = gateway.chat(key)
    assert status == 200 and gateway.trace(head["x-request-id"])["guardrails"][0]["verdict"] == "flag"


NONSENSE = [(200, b""), (200, b"pass"), (200, {"verdict": "blok"}), (200, {"verdict": "pass", "edits": []}), (200, {"verdict": "pass", "x": 1}),
            (200, {"verdict": "mask", "edits": [{"index": 9, "from": 0, "to": 1, "with": ""}]}), (204, b""), (500, {"verdict": "pass"}),
            (302, b"", {"location": "/other"}), (200, b'{"verdict":"pass"}' + b" " * (5 << 20))]


@pytest.mark.parametrize("at", range(len(NONSENSE)))
def test_anything_else_is_on_errors(guarded, provider, service, at):
    service.answer = lambda ask: NONSENSE[at]
    gateway, key = guarded(service.url, on=["request"])
    status, _, body = gateway.chat(key, text="kestrel")
    assert status == 500 and body["error"]["code"] == "policy_error" and provider.calls() == 0
    assert len(service.asked) == 1 and "kestrel" not in gateway.log_path.read_text()
    gateway, key = guarded(service.url, on=["request"], on_error="open")
    assert gateway.chat(key)[0] == 200


def test_nobody_there_is_on_errors_too(guarded, provider):
    gateway, key = guarded(f"http://127.0.0.1:{free_port()}/")
    assert gateway.chat(key)[0] == 500 and provider.calls() == 0


@pytest.fixture
def example(tmp_path):
    """The server of the README, running."""
    code = re.search(r"```python\n(.*?)```", README.read_text(), re.S).group(1)
    assert len([line for line in code.splitlines() if line.strip()]) <= 32
    (tmp_path / "hook.py").write_text(code)
    port = free_port()
    process = subprocess.Popen([sys.executable, tmp_path / "hook.py", str(port)], env=os.environ | {"HOOK_SECRET": SECRET},
                               stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/check"
    end = time.monotonic() + 20
    while True:
        try:
            urllib.request.urlopen(urllib.request.Request(url, b"{}"), timeout=5)
        except urllib.error.HTTPError as e:
            assert e.code == 401, "what is not signed is not answered"
            break
        except OSError:
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.05)
    yield url
    process.terminate()
    process.wait()


def test_the_example_of_the_readme_works(guarded, provider, example):
    gateway, key = guarded(example)
    status, _, body = gateway.chat(key, text="é I am EMP-123456, not EMP-1")
    assert status == 200 and body["choices"][0]["message"]["content"] == "é I am [badge], not EMP-1"
    assert provider.last()["body"]["messages"][0]["content"] == "é I am [badge], not EMP-1"
    status, _, body = gateway.chat(key, text="the launch code")
    assert status == 400 and "we do not talk about that" in body["error"]["message"]
    assert gateway.chat(key, text="hello")[0] == 200
