"""Bodies of more than 256 KB are scanned by the pool: what they get is what small ones get, and whoever leaves or stops the
gateway meanwhile leaves nothing behind.

SPDX-License-Identifier: MIT
"""

import json
import pathlib
import signal
import socket
import threading

import pytest
from test_ends import wait_for

LARGE = 300 * 1024
BOMB = b'{"model":"fake-1","messages":[' + b"null," * 1000000 + b"0]}"  # more items than a request may have


def chat_of(bytes_):
    """Long beside the prompt, which would be too long for the model."""
    return {"model": "fake-1", "messages": [{"role": "user", "content": "Hello"}], "pad": "x" * bytes_}


def handed_over(gateway):
    """How often the pool's threads went to sleep again: once after each thing that was done alone."""
    seen = 0
    for task in pathlib.Path(f"/proc/{gateway.process.pid}/task").iterdir():
        if (task / "comm").read_text().strip() == "pool":
            status = (task / "status").read_text()
            seen += int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])
    return seen


def head_of(key, length):
    return (f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n").encode()


def test_a_large_body_is_scanned_by_the_pool_and_a_small_one_is_not(gateway):
    key = gateway.key("k")
    before = handed_over(gateway)
    for _ in range(20):
        assert gateway.request("POST", "/v1/chat/completions", chat_of(1000), key)[0] == 200
    small = handed_over(gateway) - before
    for _ in range(20):
        assert gateway.request("POST", "/v1/chat/completions", chat_of(LARGE), key)[0] == 200
    assert small <= 2
    assert handed_over(gateway) - before - small >= 20


@pytest.mark.parametrize("wrong", [
    lambda text: text[:-1], lambda text: text + "x", lambda text: text[:-1] + ',"model":"again"}',
    lambda text: text.replace("xx", "x\\ud800", 1), lambda text: text[:-1] + ',"a":' + "[" * 100 + "]" * 100 + "}",
    lambda text: text.replace('"fake-1"', "7"), lambda text: text.replace("[", "{}", 1)[:60] + "}",
    lambda text: text.replace('"messages"', '"massages"')])
def test_a_large_body_is_refused_as_a_small_one_is(gateway, wrong):
    """Whatever is wrong with it: at another offset."""
    key = gateway.key("k")
    said = []
    for size in (1000, LARGE):
        body = wrong(json.dumps(chat_of(size))).encode()
        status, _, answer = gateway.request("POST", "/v1/chat/completions", body, key)[:3]
        error = json.loads(answer)["error"]
        said.append((status, error["param"], "".join(c for c in error["message"] if not c.isdigit())))
    assert said[0] == said[1]
    assert said[0][0] == 400


def test_a_large_body_is_forwarded_as_it_came(gateway, provider):
    key = gateway.key("k")
    text = json.dumps(chat_of(LARGE) | {"seed": 3, "z": [1.50, {"é": "ü"}]}, ensure_ascii=False)
    assert gateway.request("POST", "/v1/chat/completions", text.encode(), key)[0] == 200
    sent = provider.requests[-1]["body"]
    assert {k: sent[k] for k in ("messages", "pad", "seed", "z")} == {k: json.loads(text)[k] for k in ("messages", "pad", "seed", "z")}


def test_a_client_that_leaves_while_its_body_is_scanned_is_traced_once(gateway):
    """Some leave before, some after: each is one trace, and nothing is in flight."""
    key = gateway.key("k")

    def leave(_):
        with socket.create_connection(("127.0.0.1", gateway.port)) as s:
            s.sendall(head_of(key, len(BOMB)) + BOMB)
    leavers = [threading.Thread(target=lambda: [leave(i) for i in range(5)]) for _ in range(8)]
    for t in leavers:
        t.start()
    for t in leavers:
        t.join()
    assert wait_for(lambda: gateway.metrics()["latenza_requests_in_flight"] == 0, 120)
    assert wait_for(lambda: len(gateway.traces()) == 40, 120)
    assert {t["status"] for t in gateway.traces()} <= {400, 499}
    assert gateway.chat(key)[0] == 200


def test_a_gateway_stops_in_order_while_bodies_are_scanned(make_gateway, provider):
    """Its end is looked at by the fixture: exit code 0, nothing told."""
    gateway = make_gateway(provider=provider)
    key = gateway.key("k")
    clients = []
    for _ in range(12):
        s = socket.create_connection(("127.0.0.1", gateway.port))
        clients.append(s)
        threading.Thread(target=lambda s=s: _send(s, head_of(key, len(BOMB)) + BOMB), daemon=True).start()
    assert wait_for(lambda: gateway.metrics()["latenza_requests_in_flight"] > 0)
    gateway.process.send_signal(signal.SIGTERM)
    gateway.stop()  # the second signal: at once
    for s in clients:
        s.close()


def _send(s, data):
    try:
        s.sendall(data)
    except OSError:
        pass
