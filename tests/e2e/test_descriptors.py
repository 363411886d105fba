"""File descriptors run out: who is being served is served on, new clients wait, and are served as soon as there are some.

SPDX-License-Identifier: MIT
"""

import http.client
import json
import os
import resource
import socket
import threading

import pytest
from harness.provider import Provider
from harness.sse import Stream, text_of

SPARE = 24  # file descriptors that are left when the flood begins
FLOOD = 60
BODY = {"model": "fake-1", "messages": [{"role": "user", "content": "Go"}]}


def leave_only(gateway, spare):
    """From here on the gateway may open `spare` files more."""
    used = {int(n) for n in os.listdir(f"/proc/{gateway.process.pid}/fd")}
    free = [n for n in range(max(used) + spare + 1) if n not in used][:spare]
    _, hard = resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (max([*used, *free]) + 1, hard))


class Kept:
    """A client that keeps its connection."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.connection.connect()

    def ask(self, method, path, key=None, body=None):
        head = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self.connection.request(method, path, None if body is None else json.dumps(body), head)
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode()


def paused(admin):
    text = admin.ask("GET", "/metrics")[1]
    return float(next(line for line in text.splitlines() if line.startswith("latenza_accept_paused_total")).split()[1])


@pytest.fixture
def flooded(make_gateway, provider):
    """A gateway without a free descriptor, with a kept client, a running stream, and a queue of clients outside."""
    step = threading.Semaphore(0)
    with Provider(("other-1",)) as other:
        # one attempt: a second may find the descriptor that the first gave back
        gateway = make_gateway(provider=provider, config={"workers": 1, "routing": {"attempts": 1}})
        providers = dict(gateway.config["providers"])
        providers["other"] = {**providers["fake"], "base_url": other.base_url,
                              "models": [{**providers["fake"]["models"][0], "id": "other-1"}]}
        gateway.change_config(providers=providers)
        gateway.run("reload")
        key = gateway.key()
        client, admin = Kept(gateway.port), Kept(gateway.admin_port)
        assert client.ask("POST", "/v1/chat/completions", key, BODY)[0] == 200
        before = paused(admin)
        provider.script(model="fake-2", chunks=["one ", "two ", "three"], step=step, step_from=1)
        stream = Stream(gateway.port, key, {**BODY, "model": "fake-2"})
        events = stream.events()
        next(events)
        leave_only(gateway, SPARE)
        flood = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(FLOOD)]
        while paused(admin) == before:
            pass
        yield gateway, key, client, flood, stream, step
        for _ in range(10):
            step.release()
        for s in flood:
            s.close()


def test_who_is_being_served_is_served_on(flooded):
    gateway, key, client, _, stream, step = flooded
    for _ in range(3):
        status, body = client.ask("POST", "/v1/chat/completions", key, BODY)
        assert status == 200 and json.loads(body)["choices"][0]["message"]["content"] == "Go"
    for _ in range(10):
        step.release()
    events = stream.rest()
    assert text_of(events).endswith("three") and events[-1] == "[DONE]"


def test_who_is_being_served_may_call_a_provider_that_was_not_called_yet(flooded):
    _, key, client, _, _, _ = flooded
    status, body = client.ask("POST", "/v1/chat/completions", key, {**BODY, "model": "other-1"})
    assert status == 200, body


def test_without_any_descriptor_the_failure_is_told(flooded):
    gateway, key, client, _, _, _ = flooded
    leave_only(gateway, 0)
    status, body = client.ask("POST", "/v1/chat/completions", key, {**BODY, "model": "other-1"})
    assert status == 502 and json.loads(body)["error"]["code"] == "all_attempts_failed"
    leave_only(gateway, SPARE)
    assert client.ask("POST", "/v1/chat/completions", key, BODY)[0] == 200


def test_accepting_goes_on_when_descriptors_are_free_again(flooded):
    gateway, key, client, flood, stream, step = flooded
    waiting = Kept(gateway.port)  # the kernel's queue takes it
    for s in flood:
        s.close()
    status, body = waiting.ask("POST", "/v1/chat/completions", key, {**BODY, "model": "other-1"})
    assert status == 200, body
    for _ in range(10):
        step.release()
    assert stream.rest()[-1] == "[DONE]"
    assert gateway.json("db", "check")["open_reservations"] == 0
