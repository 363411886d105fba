"""A plugin that holds its worker: it is counted and named, and nobody on another worker waits for it.

SPDX-License-Identifier: MIT
"""

import http.client
import json
import os
import pathlib
import select
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BODY = json.dumps({"model": "fake-1", "messages": [{"role": "user", "content": "Hello"}]})
BESIDE = 40  # connections: one of them is another worker's, but for one chance in 2 ** 40


def asked(gateway, key):
    c = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
    c.request("POST", "/v1/chat/completions", BODY, {"authorization": f"Bearer {key}", "content-type": "application/json"})
    return c


def answered(c):
    answer = c.getresponse()
    answer.read()
    return answer.status


def test_other_workers_serve_while_a_plugin_holds_one(make_gateway, provider, tmp_path):
    """It is let go when the others have been served, not before: so they did not wait for it."""
    out, entered, until = tmp_path / "blocking.so", tmp_path / "entered", tmp_path / "until"
    subprocess.run([*os.environ.get("CC", "cc").split(), "-std=c11", "-D_DEFAULT_SOURCE", "-Wall", "-Wextra", "-Werror", "-fPIC",
                    "-shared", "-fvisibility=hidden", f"-I{TOP / 'sdk'}", "-o", out, TOP / "tests/abi/blocking.c"], check=True)
    gateway = make_gateway(args=["--plugin", out], provider=provider, config={"workers": 2, "guardrails": {
        "held": {"use": "blocking", "entered": str(entered), "until": str(until)}}})
    held_key, key = gateway.key("held", guardrails=["held"]), gateway.key("free")
    held, beside = asked(gateway, held_key), []
    try:
        while not entered.exists():
            time.sleep(0.01)
        beside = [asked(gateway, key) for _ in range(BESIDE)]
        served = select.select([c.sock for c in beside], [], [], 60)[0]
        other = next(c for c in beside if c.sock in served)
        assert answered(other) == 200
        for _ in range(50):
            other.request("POST", "/v1/chat/completions", BODY, {"authorization": f"Bearer {key}", "content-type": "application/json"})
            assert answered(other) == 200
        assert gateway.metrics()["latenza_requests_in_flight"] >= 1 and gateway.events("plugin.stall") == []
        assert select.select([held.sock], [], [], 0)[0] == [], "it is held all the while"
        until.touch()
        assert answered(held) == 200 and all(answered(c) == 200 for c in beside if c is not other)
    finally:
        until.touch()
        for c in [held, *beside]:
            c.close()
    assert gateway.metrics()['latenza_plugin_stalls_total{plugin="test.blocking"}'] == 1
    assert [(e["plugin"], e["component"]) for e in gateway.events("plugin.stall")] == [("test.blocking", "blocking")]
