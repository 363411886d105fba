"""A thousand guardrails that wait, callers who leave, deadlines, a stop: each callback comes exactly once.

SPDX-License-Identifier: MIT
"""

import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import threading
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
AT_ONCE, ROUNDS = 100, 10


@pytest.fixture
def storm(tmp_path):
    out = tmp_path / "storm.so"
    subprocess.run([*os.environ.get("CC", "cc").split(), "-std=c11", "-D_DEFAULT_SOURCE", "-Wall", "-Wextra", "-Werror", "-fPIC",
                    "-shared", "-fvisibility=hidden", "-pthread", f"-I{TOP / 'sdk'}", "-o", out, TOP / "tests/abi/storm.c"], check=True)
    return out


@pytest.fixture
def stormy(make_gateway, storm):
    gateway = make_gateway(args=["--plugin", storm], config={"workers": 2, "guardrails": {
        "storm": {"use": "storm", "default_on": True, "deadline_ms": 300}}})
    return gateway, gateway.key()


def ask(gateway, key, leaves_after):
    """The status; None: left before it came; 0: there was nobody any more."""
    body = json.dumps({"model": "echo-1", "messages": [{"role": "user", "content": "Hi"}]}).encode()
    try:
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as s:
            s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " + key.encode() +
                      b"\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            if leaves_after is not None:
                time.sleep(leaves_after)
                return None
            return status_of(s)
    except ConnectionError:
        return 0


def status_of(s):
    """0: there was nobody any more."""
    try:
        answer = s.recv(64)
        return int(answer.split()[1]) if answer else 0
    except ConnectionError:
        return 0


def count(gateway, name):
    return int(gateway.metrics().get(f"latenza_plugin_test_storm_{name}_total", 0))


def all_at_once(gateway, key, leaving):
    seen = []
    threads = [threading.Thread(target=lambda after=after: seen.append(ask(gateway, key, after))) for after in leaving]
    for t in threads:
        t.start()
    return threads, seen


def test_each_callback_of_a_thousand_waiting_guardrails_comes_exactly_once(stormy):
    gateway, key = stormy
    rng = random.Random(11)
    statuses = []
    for _ in range(ROUNDS):
        threads, seen = all_at_once(gateway, key, [rng.random() / 20 if rng.random() < 0.3 else None for _ in range(AT_ONCE)])
        for t in threads:
            t.join()
        statuses += seen
    until = time.monotonic() + 30
    while count(gateway, "heard") < count(gateway, "asked") and time.monotonic() < until:
        time.sleep(0.1)
    assert count(gateway, "asked") >= AT_ONCE * ROUNDS
    assert count(gateway, "heard") == count(gateway, "asked")
    assert count(gateway, "twice") == 0
    assert len(statuses) == AT_ONCE * ROUNDS and statuses.count(200) > AT_ONCE * ROUNDS / 3
    # one of sixteen ran into its deadline, and on_error is closed
    assert {s for s in statuses if s not in (200, None)} and all(s >= 400 for s in statuses if s not in (200, None))


def test_a_stop_while_guardrails_wait_is_in_order(stormy):
    gateway, key = stormy
    threads, seen = all_at_once(gateway, key, [None] * AT_ONCE)
    time.sleep(0.02)
    assert gateway.stop() == 0
    for t in threads:
        t.join()
    assert len(seen) == AT_ONCE


@pytest.mark.parametrize("signals", [1, 2])
def test_a_thousand_that_wait_are_let_go_when_the_gateway_stops(make_gateway, storm, tmp_path, signals):
    """Nothing but the end comes: by their deadline, while it drains, or at once. Counted by the plugin when it is put away."""
    waiting, report = 1000, tmp_path / "report"
    gateway = make_gateway(args=["--plugin", storm], config={"workers": 2, "guardrails": {
        "storm": {"use": "storm", "default_on": True, "is_patient": True, "report": str(report),
                  "deadline_ms": "10s" if signals == 1 else "60s"}}})
    key = gateway.key()
    body = json.dumps({"model": "echo-1", "messages": [{"role": "user", "content": "Hi"}]}).encode()
    clients = []
    try:
        for _ in range(waiting):
            s = socket.create_connection(("127.0.0.1", gateway.port), timeout=60)
            clients.append(s)
            s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " + key.encode() +
                      b"\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        until = time.monotonic() + 60
        while count(gateway, "asked") < 2 * waiting and time.monotonic() < until:
            time.sleep(0.02)
        for _ in range(signals - 1):
            gateway.process.send_signal(signal.SIGTERM)
        assert gateway.stop() == 0
        asked, heard, twice = map(int, report.read_text().split())
        assert (asked, heard, twice) == (2 * waiting, 2 * waiting, 0)
        assert {status_of(s) for s in clients} == ({500} if signals == 1 else {0}), "refused, or cut"
    finally:
        for s in clients:
            s.close()
