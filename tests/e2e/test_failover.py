"""What happens when a provider does not answer as it should.

SPDX-License-Identifier: MIT
"""

import json
import socket
import threading
import time

import pytest
from harness.doors import read_answer
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
    """One model at two providers; `a` is cheaper, so `cheapest` asks it first."""
    def one(p, factor):
        return {"plugin": "compatible", "base_url": p.base_url, "api_keys": ["env:FAKE_KEY"],
                "models": [{"id": "fake-1", "context_window": 32768, "max_output_tokens": 4096,
                            **{k: v * factor for k, v in PRICES.items()}}]}
    return make_gateway(config={"providers": {"a": one(provider, 1), "b": one(second, 2)},
                                "routing": {"default": "cheapest", "attempts": 3, "timeout_ms": 5000,
                                            "first_byte_timeout_ms": 2000}})


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529, 401, 403])
def test_another_provider_serves_when_the_first_fails(two, provider, second, status):
    provider.script(status=status)
    code, head, _ = two.chat(two.key())
    assert (code, head["x-latenza-provider"], head["x-latenza-attempts"]) == (200, "b", "2")
    assert provider.calls() == 1 and second.calls() == 1
    attempts = two.trace(head["x-request-id"])["attempts"]
    assert [(a["provider"], a["status"]) for a in attempts] == [("a", status), ("b", 200)]


@pytest.mark.parametrize("script", [{"end": "reset"}, {"raw": b"not json"}, {"delay": 30}, {"raw": b"{}"}])
def test_another_provider_serves_when_the_first_breaks(two, provider, script):
    provider.script(**script)
    code, head, _ = two.chat(two.key())
    assert (code, head["x-latenza-provider"]) == (200, "b")


def bar(line):
    """The columns of a row's bar: where it begins and where it ends."""
    drawn = line[14:54]
    marks = [i for i, c in enumerate(drawn) if c != " "]
    return marks[0], marks[-1]


def begin_us(attempt):
    """When an attempt began, in whole microseconds, as traces have them: a sum of milliseconds is not exact."""
    return round(attempt["at_ms"] * 1000)


def end_us(attempt):
    return begin_us(attempt) + round(attempt["ms"] * 1000)


def test_a_trace_says_and_shows_when_each_attempt_began(two, provider, second):
    provider.script(status=500, delay=0.3)
    second.script(delay=0.3)
    assert two.chat(two.key())[0] == 200
    id = two.traces()[0]["id"]
    trace = two.trace(id)
    first, other = trace["attempts"]
    assert 0 <= first["at_ms"] and first["ms"] >= 300 and other["ms"] >= 300
    assert begin_us(other) >= end_us(first)
    assert end_us(other) <= round(trace["total_ms"] * 1000)
    drawn = two.run("traces", "show", id).stdout.split("Where time went")[1].split("\n\n")[0].splitlines()
    bars = {line[2:11]: bar(line) for line in drawn if line.startswith("  attempt ")}
    assert bars["attempt 1"][1] <= bars["attempt 2"][0], "one after the other"
    exported = [json.loads(line) for line in two.run("traces", "export").stdout.splitlines()]
    assert [a["at_ms"] for a in exported[0]["attempts"]] == [first["at_ms"], other["at_ms"]]


def test_an_attempts_beginning_counts_from_the_requests_first_byte(two):
    head = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {two.key()}\r\nConnection: close\r\n")
    body = json.dumps({"model": "fake-1", "messages": [{"role": "user", "content": "Hi"}]})
    with socket.create_connection(("127.0.0.1", two.port), timeout=20) as s, s.makefile("rb") as file:
        s.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        time.sleep(0.25)
        s.sendall(body.encode())
        assert read_answer(file).status == 200
    attempt = two.trace(two.traces()[0]["id"])["attempts"][0]
    assert attempt["at_ms"] >= 200 and attempt["ms"] >= 0  # a turn of the loop reads its clock once


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refusal_of_the_request_itself_is_not_tried_elsewhere(two, provider, second, status):
    provider.script(status=status)
    code, _, body = two.chat(two.key())
    assert code == status and body["error"]["code"] == f"scripted_{status}"
    assert second.calls() == 0


@pytest.mark.parametrize("status, raw", [
    (404, b"<html>not here</html>"), (410, b'{"error":{"message":"gone","code":"model_decommissioned"}}'),
    (404, b'{"error":{"message":"model \\"x\\" not found, try pulling it first","type":"api_error","code":null}}'),
    (400, b'{"error":{"message":"decommissioned","code":"model_decommissioned"}}')])
def test_a_model_that_is_not_there_is_asked_for_elsewhere(two, provider, status, raw):
    provider.script(status=status, raw=raw)
    code, head, _ = two.chat(two.key())
    assert (code, head["x-latenza-provider"]) == (200, "b")


def test_a_stream_fails_over_before_its_first_piece(two, provider):
    provider.script(chunks=[], end="cut")
    stream = Stream(two.port, two.key(), BODY)
    events = stream.rest()
    assert stream.headers["x-latenza-provider"] == "b"
    assert text_of(events) == "Go" and events[-1] == "[DONE]"


def test_a_stream_does_not_fail_over_after_its_first_piece(two, provider, second):
    provider.script(chunks=["half "], end="cut")
    events = Stream(two.port, two.key(), BODY).rest()
    assert second.calls() == 0 and "[DONE]" not in events


def test_all_attempts_failed_says_what_each_did(two, provider, second):
    provider.script(status=500)
    second.script(status=503)
    code, _, body = two.chat(two.key())
    assert (code, body["error"]["code"]) == (502, "all_attempts_failed")
    providers = [a["provider"] for a in body["error"]["latenza"]["attempts"]]
    assert providers[:2] == ["a", "b"] and len(providers) == 3  # the third is whose back-off is over first


def test_a_provider_without_another_is_asked_again_after_a_back_off(make_gateway, provider):
    gateway = make_gateway(provider=provider, config={"routing": {"backoff_ms": "300ms"}})
    provider.script(status=503, times=2)
    code, head, _ = gateway.chat(gateway.key())
    assert (code, head["x-latenza-attempts"]) == (200, "3")
    first, second, third = gateway.trace(head["x-request-id"])["attempts"]
    assert begin_us(second) >= end_us(first) + 150_000
    assert begin_us(third) >= end_us(second) + 300_000


def test_retry_after_is_waited_for_when_that_is_not_too_long(make_gateway, provider):
    gateway = make_gateway(provider=provider, config={"routing": {"retry_wait_ms": "2s"}})
    provider.script(status=429, headers={"retry-after": "1"}, times=1)
    key = gateway.key()
    code, head, _ = gateway.chat(key)
    assert (code, head["x-latenza-attempts"]) == (200, "2")
    first, second = gateway.trace(head["x-request-id"])["attempts"]
    assert begin_us(second) >= end_us(first) + 1_000_000
    provider.script(status=429, headers={"retry-after": "3"}, times=1)
    code, head, _ = gateway.chat(key)
    assert (code, head["retry-after"], head["x-latenza-attempts"]) == (429, "3", "1")


def test_all_down_is_said_within_a_second_and_one_that_is_well_again_is_found_at_once(two, provider, second):
    provider.script(status=500)
    second.script(status=500)
    key = two.key()
    for _ in range(6):
        two.chat(key)
    began = time.monotonic()
    code, head, body = two.chat(key)
    assert code in (502, 503) and body["error"]["code"] in ("all_attempts_failed", "no_available_provider")
    assert time.monotonic() - began < 5
    provider.scripts.clear()
    second.scripts.clear()
    assert two.chat(key)[0] == 200


def test_when_every_attempt_was_limited_the_answer_is_429_with_a_time(two, provider, second):
    provider.script(status=429, headers={"retry-after": "7"})
    second.script(status=429, headers={"retry-after": "3"})
    code, head, body = two.chat(two.key())
    assert (code, body["error"]["code"]) == (429, "upstream_rate_limited")
    assert 1 <= int(head["retry-after"]) <= 60


def test_a_provider_that_keeps_failing_is_left_alone_for_a_while(two, provider):
    provider.script(status=500)
    key = two.key()
    for _ in range(30):
        assert two.chat(key)[0] == 200
    assert provider.calls() < 30
    health = {t["target"].split("/")[0]: t["health"] for t in two.json("provider", "list")["targets"]}
    assert health == {"a": "down", "b": "ok"}


def test_a_timeout_of_the_whole_request_is_504(two, provider, second):
    gate = threading.Event()
    provider.script(gate=gate)
    second.script(gate=gate)
    began = time.monotonic()
    code, _, body = two.chat(two.key())
    gate.set()
    assert code == 504 and body["error"]["code"] == "upstream_timeout"
    assert time.monotonic() - began < 10
