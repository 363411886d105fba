"""Guardrails in company: other wires than OpenAI's, two attempts at once, attempts that fail while a check waits, readers
that are slow while windows hold.

SPDX-License-Identifier: MIT
"""

import json
import pathlib
import socket
import struct
import threading
import time

import pytest
from harness.gateway import PRICES
from harness.provider import OpenAI, Provider
from harness.sse import Stream
from harness.wires import WIRES
from test_ends import wait_for
from test_guardrails import WORD, finishes, plugin, stream, text_of  # noqa: F401
from test_hedge import ends, spend_is_what_the_attempts_cost
from test_large_bodies import head_of

DIALECTS = {"openai": OpenAI(), **{wire.name: wire.scripted for wire in WIRES.values() if wire.scripted}}
PIECES = ["one ", "kes", "trel two ke", "strel", " three"]
MASKED = "one *** two *** three"


def resident_kib(gateway):
    return int(pathlib.Path(f"/proc/{gateway.process.pid}/status").read_text().split("VmRSS:")[1].split()[0])


@pytest.fixture
def second():
    with Provider() as p:
        yield p


@pytest.fixture
def behind(make_gateway, plugin):  # noqa: F811
    """A gateway with these guardrails on everything, in front of these providers, each with the same model; its key."""
    def make(providers, routing=None, limits=None, **guardrails):
        rows = {name: {"use": "word", "word": WORD, "default_on": True} | row for name, row in guardrails.items()}
        config = {name: {"plugin": p.dialect.plugin, "base_url": p.base_url, "api_keys": ["env:FAKE_KEY"],
                         "models": [{"id": "fake-1", "context_window": 32768, "max_output_tokens": 4096,
                                     **{k: v * (i + 1) for k, v in PRICES.items()}}]}
                  for i, (name, p) in enumerate(providers.items())}
        names = sorted({"balanced", "cheapest", "openai", *(p.dialect.plugin for p in providers.values())})
        gateway = make_gateway(config={"plugins": [*names, str(plugin)], "plugin_files": "warn", "guardrails": rows, "providers": config,
                                       "limits": limits or {},
                                       "routing": {"default": "cheapest", "timeout_ms": "20s", "backoff_ms": 1} | (routing or {})})
        return gateway, gateway.key("test-key", budget_monthly_eur=10)
    return make


def call_of(arguments, id="call_Ab-1_9x"):
    return {"id": id, "type": "function", "function": {"name": "look", "arguments": arguments}}


# ---- other wires ----

@pytest.fixture(params=DIALECTS)
def wire(request):
    with Provider(dialect=DIALECTS[request.param]) as p:
        yield p


@pytest.mark.parametrize("delay_ms", [0, 3])
def test_what_is_masked_is_so_on_every_wire(behind, wire, delay_ms):
    """The prompt before it becomes the provider's, the answer after it became OpenAI's."""
    gateway, key = behind({"wire": wire}, mask={"delay_ms": delay_ms})
    status, head, body = gateway.chat(key, text=f"a {WORD}")
    assert status == 200 and WORD not in json.dumps(wire.last()["body"]) and body["choices"][0]["message"]["content"] == "a ***"
    wire.script(chunks=PIECES)
    assert gateway.chat(key)[2]["choices"][0]["message"]["content"] == MASKED
    status, head, events, done = stream(gateway, key, stream_options={"include_usage": True})
    assert done and text_of(events) == MASKED and finishes(events) == ["stop"]
    assert events[-1]["usage"]["total_tokens"] > 0 and WORD not in json.dumps(gateway.trace(head["x-request-id"]))
    spend_is_what_the_attempts_cost(gateway)


@pytest.mark.parametrize("delay_ms", [0, 3])
def test_what_is_blocked_is_so_on_every_wire(behind, wire, delay_ms):
    gateway, key = behind({"wire": wire}, no={"action": "block", "delay_ms": delay_ms})
    status, _, body = gateway.chat(key, text=WORD)
    assert (status, body["error"]["code"]) == (400, "content_policy_violation") and wire.calls() == 0
    wire.script(chunks=PIECES)
    status, _, body = gateway.chat(key)
    assert (status, body["error"]["code"]) == (400, "content_policy_violation") and WORD not in json.dumps(body)
    wire.script(chunks=["all is well. ", *PIECES], pace=0.05)
    status, head, events, done = stream(gateway, key, stream_options={"include_usage": True})
    assert done and finishes(events) == ["content_filter"] and text_of(events).startswith("all is well. ")
    assert "kes" not in text_of(events) and events[-1]["usage"]["total_tokens"] > 0
    assert gateway.trace(head["x-request-id"])["code"] == "content_policy_violation"
    spend_is_what_the_attempts_cost(gateway)


@pytest.mark.parametrize("action", ["mask", "block"])
def test_calls_of_tools_are_judged_on_every_wire(behind, wire, action):
    gateway, key = behind({"wire": wire}, g={"on": ["response"], "action": action, "delay_ms": 3})
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}}}]
    wire.script(chunks=[], tool_calls=[call_of(json.dumps({"q": f"a {WORD}", "n": 1})), call_of('{"q": "b"}', "call_Ab-1_9y")])
    body = {"model": "fake-1", "messages": [{"role": "user", "content": "Hello"}], "tools": tools}
    status, _, raw = gateway.request("POST", "/v1/chat/completions", body, key)
    streamed, _, events, done = stream(gateway, key, tools=tools)
    if action == "block":
        assert status == streamed == 400 and WORD not in raw.decode() + json.dumps(events)
        return
    whole = [json.loads(c["function"]["arguments"]) for c in json.loads(raw)["choices"][0]["message"]["tool_calls"]]
    said = [json.loads(c["function"]["arguments"]) for e in events for ch in e["choices"] for c in ch["delta"].get("tool_calls", [])]
    assert whole == said == [{"q": "a ***", "n": 1}, {"q": "b"}] and done and finishes(events) == ["tool_calls"]


def test_results_of_tools_are_judged_on_every_wire(behind, wire):
    gateway, key = behind({"wire": wire}, mask={"on": ["request"]})
    messages = [{"role": "user", "content": "Hello"},
                {"role": "assistant", "content": None, "tool_calls": [call_of(json.dumps({"q": WORD}), wire.dialect.call_id)]},
                {"role": "tool", "tool_call_id": wire.dialect.call_id, "content": f"it is {WORD}"}]
    wire.script(chunks=["fine"])
    status, _, raw = gateway.request("POST", "/v1/chat/completions", {"model": "fake-1", "messages": messages}, key)
    assert status == 200, raw
    calls, results = wire.dialect.tools_used(wire.last()["body"])
    assert WORD not in json.dumps(wire.last()["body"]) and calls[0][2] == {"q": "***"} and "it is ***" in json.dumps(results)


# ---- two attempts at once ----

HEDGED = {"hedge_after_ms": "200ms"}


@pytest.mark.parametrize("is_stream", [False, True])
def test_the_second_attempt_wins_and_is_checked_while_the_first_one_answers(behind, provider, second, is_stream):
    """What the first says comes while the check of the second waits: it is nobody's any more."""
    gate = threading.Event()
    gateway, key = behind({"a": provider, "b": second}, HEDGED, slow={"on": ["response"], "delay_ms": 400})
    provider.script(chunks=["never ", WORD], gate=gate)
    second.script(chunks=PIECES)
    answered = threading.Thread(target=lambda: wait_for(lambda: second.calls() == 1) and (time.sleep(0.1), gate.set()))
    answered.start()
    if is_stream:
        status, head, events, done = stream(gateway, key)
        text = text_of(events)
        assert done and finishes(events) == ["stop"]
    else:
        status, head, body = gateway.chat(key)
        text = body["choices"][0]["message"]["content"]
    answered.join()
    assert (status, text, head["x-latenza-provider"]) == (200, MASKED, "b")
    assert ends(gateway.trace(head["x-request-id"])) == [("a", "overtaken", "uncertain"), ("b", "ok", "actual")]
    spend_is_what_the_attempts_cost(gateway)


def test_a_check_that_waits_is_no_reason_to_ask_another(behind, provider, second):
    """Content has come; that nobody has seen it yet is the guardrail's doing."""
    gateway, key = behind({"a": provider, "b": second}, HEDGED, slow={"on": ["response"], "delay_ms": 600})
    provider.script(chunks=PIECES)
    _, _, events, done = stream(gateway, key)
    assert done and text_of(events) == MASKED and second.calls() == 0
    assert gateway.chat(key)[2]["choices"][0]["message"]["content"] == MASKED and second.calls() == 0


def test_the_winner_is_blocked_and_the_other_one_is_not_asked_again(behind, provider, second):
    gate = threading.Event()
    gateway, key = behind({"a": provider, "b": second}, HEDGED, no={"on": ["response"], "action": "block", "delay_ms": 50})
    provider.script(chunks=["fine"], gate=gate)
    second.script(chunks=[WORD])
    status, _, body, _ = stream(gateway, key)
    gate.set()
    assert (status, body["error"]["code"]) == (400, "content_policy_violation")
    assert provider.calls() == second.calls() == 1
    spend_is_what_the_attempts_cost(gateway)


# ---- an attempt that ends while a check waits ----

@pytest.mark.parametrize("end", ["cut", "error"])
@pytest.mark.parametrize("delay_ms", [0, 20, 300])
def test_an_attempt_that_fails_while_it_is_held_is_made_elsewhere(behind, provider, second, end, delay_ms):
    """Nothing of it went out, so nothing of it is seen, and the same guardrail judges what comes instead."""
    gateway, key = behind({"a": provider, "b": second}, g={"on": ["response"], "delay_ms": delay_ms})
    provider.script(chunks=["kes"], end=end)
    second.script(chunks=PIECES)
    status, head, events, done = stream(gateway, key)
    assert status == 200, events
    assert done and text_of(events) == MASKED and head["x-latenza-provider"] == "b"
    assert [a["provider"] for a in gateway.trace(head["x-request-id"])["attempts"]] == ["a", "b"]
    spend_is_what_the_attempts_cost(gateway)


def test_one_that_fails_in_the_midst_shows_only_what_passed(behind, provider, second):
    gateway, key = behind({"a": provider, "b": second}, g={"on": ["response"], "delay_ms": 20})
    provider.script(chunks=["one ", f"{WORD} ", "kes"], pace=0.1, end="cut")
    _, head, events, done = stream(gateway, key)
    assert not done and "error" in events[-1] and "one *** ".startswith(text_of(events[:-1])) and second.calls() == 0
    spend_is_what_the_attempts_cost(gateway)


@pytest.mark.parametrize("phase", ["request", "response"])
@pytest.mark.parametrize("is_stream", [False, True])
def test_a_client_leaves_while_a_check_waits(behind, provider, phase, is_stream):
    gateway, key = behind({"a": provider}, slow={"on": [phase], "delay_ms": 60000, "deadline_ms": 60000})
    raw = json.dumps({"model": "fake-1", "stream": is_stream, "messages": [{"role": "user", "content": WORD}]}).encode()
    with socket.create_connection(("127.0.0.1", gateway.port)) as s:
        s.sendall(head_of(key, len(raw)) + raw)
        assert wait_for(lambda: gateway.metrics()["latenza_requests_in_flight"] == 1)
        if phase == "response":
            assert wait_for(lambda: provider.calls() == 1)
            time.sleep(0.1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert wait_for(lambda: gateway.metrics()["latenza_requests_in_flight"] == 0)
    assert wait_for(lambda: [t["status"] for t in gateway.traces()] == [499])
    spend_is_what_the_attempts_cost(gateway)


# ---- slow readers ----

PIECE = "y" * 65000 + " "


class Steps:
    """A semaphore for each stream's thread: so many pieces go out at once, the rest when the gate opens."""
    def __init__(self, free, gate):
        self.free, self.gate, self.taken, self.held = free, gate, threading.local(), 0

    def acquire(self, timeout):
        self.taken.count = getattr(self.taken, "count", 0) + 1
        if self.taken.count == self.free + 1:
            self.held += 1
        if self.taken.count > self.free:
            self.gate.wait(timeout)


@pytest.mark.parametrize("guardrail", [{"delay_ms": 0}, {"delay_ms": 1}, {"action": "hold", "word": "yy "}])
def test_a_slow_reader_of_a_guarded_stream_holds_the_provider_up(behind, provider, sanitizers, guardrail):
    """32 MB are offered to a client that reads nothing, through windows that hold: the provider waits, the memory does not grow."""
    gateway, key = behind({"a": provider}, {"timeout_ms": "60s"}, g={"on": ["response"], "on_error": "open", **guardrail})
    gateway.chat(key)
    before = resident_kib(gateway)
    provider.script(chunks=[PIECE] * 500)
    reader = Stream(gateway.port, key, {"model": "fake-1", "messages": [{"role": "user", "content": "Go"}], "stream": True})
    time.sleep(1.5)  # as much time to run ahead as it likes
    grown = resident_kib(gateway) - before
    text = text_of([json.loads(e) for e in reader.events() if e != "[DONE]"])
    print(f"grown by {grown} KiB")
    assert (sanitizers or grown < 24 * 1024) and text == PIECE * 500 and reader.ended == "whole"
    reader.close()


@pytest.mark.parametrize("held_kib", [0, 60])
def test_what_a_stream_holds_is_all_that_it_costs(behind, provider, sanitizers, held_kib):
    """Fifty at rest, each with so much in its window (64 KB is the most that it may hold): beside what came, a fixed part."""
    gateway, key = behind({"a": provider}, {"timeout_ms": "60s"}, g={"on": ["response"], "action": "hold", "word": "HOLD"})
    gateway.chat(key)
    at_rest, gate = 50, threading.Event()
    steps = Steps(held_kib + 2, gate)
    provider.script(chunks=["start ", "HOLD", *["z" * 1024] * held_kib, "last"], step=steps)
    before = resident_kib(gateway)
    body = {"model": "fake-1", "messages": [{"role": "user", "content": "Go"}], "stream": True}
    streams = [Stream(gateway.port, key, body) for _ in range(at_rest)]
    try:
        assert wait_for(lambda: steps.held == at_rest, 60)
        time.sleep(0.5)
        each = (resident_kib(gateway) - before) / at_rest
        print(f"{held_kib} KiB held: {each:.0f} KiB a stream")
        assert sanitizers or each < 100 + 5 * held_kib  # a sanitizer keeps what was freed
        gate.set()
        assert all(text_of([json.loads(e) for e in s.events() if e != "[DONE]"]) == "start HOLD" + "z" * 1024 * held_kib + "last" for s in streams)
    finally:
        gate.set()
        for s in streams:
            s.close()
