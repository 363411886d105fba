"""Texts that guardrails see in their plain form: where they are much, a thread of the pool makes it, and the worker goes on
serving everybody else. Whoever leaves, runs out of time or stops the gateway meanwhile leaves nothing behind.

SPDX-License-Identifier: MIT
"""

import json
import pathlib
import signal
import socket
import threading

import pytest
from test_ends import wait_for
from test_guardrails import WORD, guarded, plugin, stream, text_of  # noqa: F401
from test_large_bodies import handed_over, head_of

LETTERS = "é" * (1 << 20)  # 2 MiB


def cpu_of(gateway, name):
    """Nanoseconds that the threads of this name have run."""
    ran = 0
    for task in pathlib.Path(f"/proc/{gateway.process.pid}/task").iterdir():
        if (task / "comm").read_text().strip().startswith(name):
            ran += int((task / "schedstat").read_text().split()[0])
    return ran


def chat_of(text, **more):
    """Beside the prompt, which would be too long for the model."""
    return {"model": "fake-1", "messages": [{"role": "user", "content": f"a {WORD}"}], "pad": f"{text} {WORD}", **more}


def raw_of(key, body):
    raw = json.dumps(body, ensure_ascii=False).encode()
    return head_of(key, len(raw)) + raw


@pytest.fixture
def one_worker(guarded):  # noqa: F811
    def make(config=None, **guardrails):
        return guarded({"workers": 1} | (config or {}), **guardrails)
    return make


@pytest.mark.parametrize("chain", [
    {"g": {"action": "pass"}},
    {"a": {}, "b": {"word": "zzz"}}])  # what it changed is folded, and scanned, once more
def test_a_workers_own_work_is_not_the_texts(one_worker, provider, chain):
    """Counted is the processor time of threads, whatever else the machine does. Another client is served meanwhile."""
    gateway, key = one_worker(**{name: row | {"on": ["request"]} for name, row in chain.items()})
    assert gateway.chat(key)[0] == 200
    worker, pool, woken = cpu_of(gateway, "worker"), cpu_of(gateway, "pool"), handed_over(gateway)
    for _ in range(3):
        assert gateway.request("POST", "/v1/chat/completions", chat_of(LETTERS), key)[0] == 200
    worker, pool, woken = cpu_of(gateway, "worker") - worker, cpu_of(gateway, "pool") - pool, handed_over(gateway) - woken
    print(f"worker {worker / 3e6:.1f} ms, pool {pool / 3e6:.1f} ms, {woken / 3:.1f} jobs a request")
    assert woken > 0 and worker < pool


def test_a_prompt_in_english_stays_where_it_is(one_worker):
    """The way to the pool and back is for what holds somebody up."""
    gateway, key = one_worker(g={"on": ["request"]})
    assert gateway.chat(key)[0] == 200
    before = handed_over(gateway)
    for _ in range(20):
        assert gateway.request("POST", "/v1/chat/completions", chat_of("All is well here.\n" * 2000), key)[0] == 200
    assert handed_over(gateway) - before <= 2


def test_what_is_found_in_a_large_text_is_what_is_found_in_a_small_one(one_worker, provider):
    gateway, key = one_worker(first={}, second={"word": "***", "with": "bird"})
    assert gateway.request("POST", "/v1/chat/completions", chat_of(LETTERS), key)[0] == 200
    sent = provider.last()["body"]
    assert sent["pad"] == f"{LETTERS} bird" and sent["messages"][0]["content"] == "a bird"


def test_a_large_text_is_refused_as_a_small_one_is(one_worker, provider):
    gateway, key = one_worker(no={"action": "block"})
    status, _, raw = gateway.request("POST", "/v1/chat/completions", chat_of(LETTERS), key)
    assert (status, json.loads(raw)["error"]["code"]) == (400, "content_policy_violation") and provider.calls() == 0


def test_a_model_may_be_chosen_for_a_large_text(one_worker, provider):
    gateway, key = one_worker(mask={"only": "system"}, move={"on": ["request"], "action": "reroute", "with": "fake-2"})
    status, _, raw = gateway.request("POST", "/v1/chat/completions", chat_of(LETTERS), key)
    assert status == 200, raw
    assert provider.last()["body"]["model"] == "fake-2"


def test_one_more_attempt_for_a_large_prompt(one_worker, provider):
    gateway, key = one_worker(again={"on": ["response"], "action": "again", "with": "no birds"})
    provider.script(chunks=["good"])
    provider.script(times=1, chunks=[WORD])
    status, _, raw = gateway.request("POST", "/v1/chat/completions", chat_of(LETTERS), key)
    assert status == 200 and json.loads(raw)["choices"][0]["message"]["content"] == "good"
    assert [m["content"] for m in provider.last()["body"]["messages"]] == [f"a {WORD}", WORD, "no birds"]


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("delay_ms", [0, 3])
def test_large_answers_are_folded_elsewhere_too(one_worker, provider, is_stream, delay_ms):
    """Held whole, so that all of a stream is shown at its end."""
    gateway, key = one_worker(mask={"on": ["response"], "use": "whole", "delay_ms": delay_ms}, other={"on": ["response"], "word": "q"})
    assert gateway.chat(key)[0] == 200
    before = handed_over(gateway)
    provider.script(chunks=[*[LETTERS[:50000]] * 8, f" {WORD} "])
    if is_stream:
        status, _, events, done = stream(gateway, key)
        assert status == 200 and done
        text = text_of(events)
    else:
        status, _, body = gateway.chat(key)
        assert status == 200
        text = body["choices"][0]["message"]["content"]
    assert text == LETTERS[:400000] + " *** "
    assert handed_over(gateway) > before


def test_time_that_is_over_ends_the_wait(one_worker, provider):
    gateway, key = one_worker(g={})
    status, head, raw = gateway.request("POST", "/v1/chat/completions", chat_of(LETTERS), key, {"x-latenza-timeout-ms": "1"})
    error = json.loads(raw)["error"]
    assert (status, error["code"]) == (503, "overloaded") and "time" in error["message"] and provider.calls() == 0
    trace = gateway.trace(head["x-request-id"])
    assert trace["code"] == "overloaded" and LETTERS[:100] not in json.dumps(trace, ensure_ascii=False)
    assert gateway.chat(key)[0] == 200


def test_clients_that_leave_while_their_texts_are_folded(one_worker):
    gateway, key = one_worker(mask={}, slow={"delay_ms": 1})

    def leave():
        for _ in range(4):
            with socket.create_connection(("127.0.0.1", gateway.port)) as s:
                s.sendall(raw_of(key, chat_of(LETTERS[:300000])))
    leavers = [threading.Thread(target=leave) for _ in range(4)]
    for t in leavers:
        t.start()
    for t in leavers:
        t.join()
    assert wait_for(lambda: gateway.metrics()["latenza_requests_in_flight"] == 0, 60)
    assert wait_for(lambda: len(gateway.traces()) == 16)
    assert gateway.chat(key)[0] == 200


def test_a_gateway_stops_in_order_while_texts_are_folded(one_worker):
    """Its end is looked at by the fixture: exit code 0, nothing told."""
    gateway, key = one_worker(mask={}, other={})
    clients = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(8)]
    for s in clients:
        s.sendall(raw_of(key, chat_of(LETTERS)))
    assert gateway.metrics()["latenza_requests_in_flight"] > 0
    gateway.process.send_signal(signal.SIGTERM)
    gateway.stop()  # the second signal: at once
    for s in clients:
        s.close()


def test_a_queue_that_is_full_refuses_and_passes_nobody_by(one_worker, provider):
    """on_error: open is for guardrails that fail, not for a gateway that has no time to ask them."""
    gateway, key = one_worker({"limits": {"body_bytes": "64MiB"}}, no={"action": "block", "on_error": "open"})
    clients = []
    try:
        for _ in range(300):
            s = socket.create_connection(("127.0.0.1", gateway.port))
            clients.append(s)
            s.sendall(raw_of(key, chat_of("é" * 10000)))
        seen = []
        for s in clients:
            s.settimeout(60)
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += s.recv(4096)
            seen.append(int(answer.split()[1]))
        assert set(seen) <= {400, 503} and 400 in seen and provider.calls() == 0, set(seen)
    finally:
        for s in clients:
            s.close()
