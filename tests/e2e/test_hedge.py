"""A second attempt beside a slow first one: who answers first serves, both are on the ledger, nothing is left behind.

SPDX-License-Identifier: MIT
"""

import json
import socket
import threading
import time

import pytest
from harness.gateway import PRICES
from harness.provider import Provider
from harness.sse import Stream, text_of

BODY = {"model": "fake-1", "messages": [{"role": "user", "content": "Go"}]}


@pytest.fixture
def second():
    with Provider() as p:
        yield p


@pytest.fixture
def two(make_gateway, provider, second):
    """One model at two providers; `a` is cheaper, so `cheapest` asks it first, and `b` a fifth of a second later."""
    def one(p, factor):
        return {"plugin": "compatible", "base_url": p.base_url, "api_keys": ["env:FAKE_KEY"],
                "models": [{"id": "fake-1", "context_window": 32768, "max_output_tokens": 4096,
                            **{k: v * factor for k, v in PRICES.items()}}]}
    return make_gateway(config={"providers": {"a": one(provider, 1), "b": one(second, 2)},
                                "routing": {"default": "cheapest", "timeout_ms": "20s", "hedge_after_ms": "200ms"}})


@pytest.fixture
def gate():
    gate = threading.Event()
    yield gate
    gate.set()


def ends(trace):
    return [(a["provider"], a["end"], a["state"]) for a in trace["attempts"]]


def spend_is_what_the_attempts_cost(gateway, id="test-key"):
    costs = [a["cost_nano_eur"] for t in gateway.traces() for a in gateway.trace(t["id"])["attempts"] or []]
    assert gateway.spent(id) == sum(costs)
    assert gateway.json("key", "show", id)["live"]["reserved_nano_eur"] == 0


def wait_for(what, seconds=10):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def test_the_second_answers_when_the_first_brings_nothing(two, provider, second, gate):
    provider.script(gate=gate)
    key = two.key(budget_monthly_eur=10)
    code, head, _ = two.chat(key)
    assert (code, head["x-latenza-provider"], head["x-latenza-attempts"]) == (200, "b", "2")
    trace = two.trace(head["x-request-id"])
    assert ends(trace) == [("a", "overtaken", "uncertain"), ("b", "ok", "actual")]
    assert trace["attempts"][1]["at_ms"] >= 200
    assert trace["overhead_ms"] < 200, "two that are waited for at once are one wait"
    spend_is_what_the_attempts_cost(two)
    metrics = two.metrics()
    assert metrics["latenza_hedges_total"] == 1
    assert {k: v for k, v in metrics.items() if k.startswith("latenza_attempts_total") and v} == {
        'latenza_attempts_total{outcome="ok"}': 1, 'latenza_attempts_total{outcome="given_up"}': 1}


def test_the_first_answers_when_it_is_faster_after_all(two, provider, second, gate):
    provider.script(delay=0.6)
    second.script(gate=gate)
    code, head, _ = two.chat(two.key(budget_monthly_eur=10))
    assert (code, head["x-latenza-provider"], head["x-latenza-attempts"]) == (200, "a", "2")
    assert ends(two.trace(head["x-request-id"])) == [("a", "ok", "actual"), ("b", "overtaken", "uncertain")]
    spend_is_what_the_attempts_cost(two)


def test_who_answers_in_time_is_not_hedged(two, second):
    assert two.chat(two.key())[0] == 200
    assert second.calls() == 0 and two.metrics()["latenza_hedges_total"] == 0


def test_of_two_streams_the_one_with_the_first_content_is_the_answer(two, provider, second, gate):
    provider.script(chunks=["never ", "seen"], gate=gate)
    stream = Stream(two.port, two.key(budget_monthly_eur=10), BODY | {"stream_options": {"include_usage": True}})
    events = stream.rest()
    assert stream.headers["x-latenza-provider"] == "b"
    assert text_of(events) == "Go" and events[-1] == "[DONE]"
    usage = [json.loads(e)["usage"] for e in events if e != "[DONE]" and json.loads(e)["choices"] == []]
    assert [u["prompt_tokens"] for u in usage] == [7], "one usage chunk"
    assert ends(two.trace(stream.headers["x-request-id"])) == [("a", "overtaken", "uncertain"), ("b", "ok", "actual")]
    spend_is_what_the_attempts_cost(two)


def test_a_stream_that_has_begun_is_not_hedged(two, provider, second):
    two.change_config(routing=two.config["routing"] | {"hedge_after_ms": "1500ms"})
    two.run("reload")
    provider.script(chunks=["one ", "two ", "three"], pace=0.6)
    events = Stream(two.port, two.key(), BODY).rest()
    assert text_of(events) == "one two three" and second.calls() == 0


def test_when_one_of_the_two_fails_the_other_is_waited_for(two, provider, second):
    provider.script(delay=0.8)
    second.script(status=500)
    code, head, _ = two.chat(two.key(budget_monthly_eur=10))
    assert (code, head["x-latenza-provider"]) == (200, "a")
    assert [a["end"] for a in two.trace(head["x-request-id"])["attempts"]] == ["ok", "refused"]
    provider.script(status=500, delay=0.6)
    second.script(delay=0.8)
    code, head, _ = two.chat(two.key("other-key", budget_monthly_eur=10))
    assert (code, head["x-latenza-provider"]) == (200, "b")


def test_when_both_fail_the_next_attempt_is_made(two, provider, second):
    provider.script(status=500, delay=0.5, times=1)
    second.script(status=503, delay=0.1, times=1)
    code, head, _ = two.chat(two.key())
    assert (code, head["x-latenza-attempts"]) == (200, "3")


def test_what_the_budget_does_not_cover_twice_is_not_hedged(two, provider, second):
    provider.script(delay=0.6)
    bound = 4096 * PRICES["price_output_per_mtok"] * 0.5 / 1e6
    code, head, _ = two.chat(two.key(budget_monthly_eur=round(bound / 2, 9)))  # the first takes all of it
    assert (code, head["x-latenza-provider"], head["x-latenza-attempts"]) == (200, "a", "1")
    assert second.calls() == 0


def test_what_could_not_be_paid_beside_the_first_is_asked_after_it(two, provider, second):
    provider.script(status=500, delay=0.6)
    bound = 4096 * PRICES["price_output_per_mtok"] * 0.5 / 1e6
    code, head, _ = two.chat(two.key(budget_monthly_eur=round(bound * 2.5, 9)))  # b is twice as dear
    assert (code, head["x-latenza-provider"]) == (200, "b") and "x-latenza-max-tokens" not in head
    assert two.metrics()["latenza_hedges_total"] == 0


def test_one_that_hangs_is_left_alone_after_five(two, provider, gate):
    provider.script(gate=gate)
    key = two.key()
    for _ in range(5):
        assert two.chat(key)[1]["x-latenza-provider"] == "b"
    head = two.chat(key)[1]
    assert (head["x-latenza-provider"], head["x-latenza-attempts"]) == ("b", "1")


def test_a_client_that_leaves_ends_both(two, provider, second, gate):
    provider.script(gate=gate)
    second.script(gate=gate)
    data = json.dumps({**BODY, "stream": True}).encode()
    key = two.key(budget_monthly_eur=10)
    with socket.create_connection(("127.0.0.1", two.port)) as s:
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\n"
                  b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s" % (key.encode(), len(data), data))
        wait_for(lambda: provider.calls() == second.calls() == 1)
    wait_for(lambda: two.metrics()["latenza_requests_in_flight"] == 0)
    assert [a["end"] for a in two.trace(two.traces()[0]["id"])["attempts"]] == ["client_gone", "client_gone"]
    spend_is_what_the_attempts_cost(two)


@pytest.mark.parametrize("value", [-1, "soon", "11m", [1], 3.5])
def test_nonsense_for_the_time_of_a_hedge_is_refused_by_name(two, value):
    two.change_config(routing={"hedge_after_ms": value})
    result = two.run("check", "--offline", check=False)
    assert result.returncode == 78 and "routing.hedge_after_ms" in result.stdout + result.stderr
