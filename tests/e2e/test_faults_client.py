"""The faults of clients, C1 to C6: a test for each row (README.md has the table, and where more is shown of each).

SPDX-License-Identifier: MIT
"""

import json
import socket
import struct
import threading
import time

import pytest
from harness.doors import STREAM_HEAD, chat_body, check_error, completion, event, post, read_answer, whole
from harness.faults import ends, place

GATE = threading.Event()


def gated(body):
    GATE.wait(30)
    yield whole(completion())


def endless(text):
    def answer(body):
        yield STREAM_HEAD
        while True:
            yield event({"role": "assistant", "content": text})
            yield 0.02
    return answer


ANSWERS = {"quick": [whole(completion())], "gated": gated, "endless": endless("word"), "flood": endless("word " * 13000)}


@pytest.fixture(scope="module")
def clients(build, tmp_path_factory):
    limits = {"body_timeout_ms": "300ms", "write_timeout_ms": "1s"}
    with place(build, tmp_path_factory.mktemp("clients") / "g", ANSWERS, limits=limits) as g:
        yield g


@pytest.fixture(autouse=True)
def the_common_rule(clients):
    clients.calls, before = clients.raw.calls, {t["id"] for t in clients.traces()}
    clients.new = lambda: [t for t in clients.traces() if t["id"] not in before]
    yield
    GATE.set()
    clients.settled()


def connect(clients):
    return socket.create_connection(("127.0.0.1", clients.port), timeout=30)


def only_new(clients, status):
    """The one trace that there is since the test began, once it is there."""
    end = time.monotonic() + 15
    while not (new := clients.new()):
        assert time.monotonic() < end, "no trace"
        time.sleep(0.05)
    assert len(new) == 1 and new[0]["status"] == status, new
    clients.seen.append(new[0]["id"])
    return clients.trace(new[0]["id"])


@pytest.mark.parametrize("how", ["close", "reset"])
def test_c1_leaves_before_anybody_was_asked(clients, how):
    with connect(clients) as s:
        s.sendall(post(clients.secret, chat_body(model="quick"))[:-5])
        if how == "reset":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    trace = only_new(clients, 400 if how == "close" else 499)
    assert ends(trace) == [] and clients.raw.calls == clients.calls


def test_c2_leaves_inside_its_stream(clients):
    with connect(clients) as s, s.makefile("rb") as file:
        s.sendall(post(clients.secret, chat_body(model="endless", stream=True)))
        while b"word" not in file.readline():
            pass
    trace = only_new(clients, 499)
    assert ends(trace) == [("a", "client_gone", "estimated")] and trace["cost_nano_eur"] > 0


def test_c3_reads_nothing(clients):
    """Nothing is taken for a second, as the file says: its stream ends, its provider is told, what was sent is owed."""
    with connect(clients) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(post(clients.secret, chat_body(model="flood", stream=True)))
        trace = only_new(clients, 499)
    assert ends(trace) == [("a", "client_gone", "estimated")]


def test_c4_closes_its_half_behind_the_request(clients):
    with connect(clients) as s, s.makefile("rb") as file:
        s.sendall(post(clients.secret, chat_body(model="quick")))
        s.shutdown(socket.SHUT_WR)
        answer = read_answer(file)
    assert answer.status == 200 and json.loads(answer.body)["choices"]
    assert ends(only_new(clients, 200)) == [("a", "ok", "actual")]


@pytest.mark.parametrize("is_shorter, status", [(True, 400), (False, 408)])
def test_c5_a_body_that_is_shorter_or_slower_than_it_said(clients, is_shorter, status):
    with connect(clients) as s, s.makefile("rb") as file:
        s.sendall(post(clients.secret, chat_body(model="quick"))[:-5])
        if is_shorter:
            s.shutdown(socket.SHUT_WR)
        answer = read_answer(file)
        assert answer.status == status and check_error(answer)
        assert file.read() == b"", "the connection ends"
    assert ends(only_new(clients, status)) == [] and clients.raw.calls == clients.calls


def test_c6_the_same_idempotency_key_twice_at_once(clients):
    """Not served: two requests are two calls, and both are paid. No provider is told the key."""
    GATE.clear()
    answers = []

    def ask():
        answers.append(clients.ask_for("gated", b"Idempotency-Key: one-and-the-same"))
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for t in threads:
        t.start()
    end = time.monotonic() + 10
    while clients.raw.calls < clients.calls + 2 and time.monotonic() < end:
        time.sleep(0.01)
    GATE.set()
    for t in threads:
        t.join()
    assert [(a.status, ends(trace)) for a, trace in answers] == [(200, [("a", "ok", "actual")])] * 2
    assert clients.raw.calls == clients.calls + 2
    clients.ask_for("sane", b"Idempotency-Key: one-and-the-same")
    assert "idempotency-key" not in clients.b.last()["headers"]
