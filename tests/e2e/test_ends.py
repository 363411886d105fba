"""How streams end: done, with an error, or cut; and what an attempt leaves behind each way.

SPDX-License-Identifier: MIT
"""

import json
import threading
import time

import pytest
from harness.gateway import PRICES
from harness.provider import Provider
from harness.sse import Stream, text_of

BODY = {"model": "fake-1", "messages": [{"role": "user", "content": "Go"}]}
ROLE = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


def piece(text, index=0, finish=None, **more):
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": index, "delta": {"content": text} if text is not None else {},
                         "finish_reason": finish}], **more}


def wait_for(what, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return False


def only_trace(gateway):
    traces = gateway.traces()
    assert len(traces) == 1
    return gateway.trace(traces[0]["id"])


def finishes(events):
    return [c["finish_reason"] for e in events if e != "[DONE]" for c in json.loads(e).get("choices", [])
            if c.get("finish_reason")]


@pytest.fixture
def two(make_gateway, provider):
    """One model at two providers; `a` is asked first."""
    with Provider() as second:
        def one(p, factor):
            return {"plugin": "compatible", "base_url": p.base_url, "api_keys": ["env:FAKE_KEY"],
                    "models": [{"id": "fake-1", "context_window": 32768, "max_output_tokens": 4096,
                                **{k: v * factor for k, v in PRICES.items()}}]}
        gateway = make_gateway(config={"providers": {"a": one(provider, 1), "b": one(second, 2)},
                                       "routing": {"default": "cheapest", "attempts": 3}})
        gateway.second = second
        yield gateway


# ---- before anything was seen ----

@pytest.mark.parametrize("events", [
    [ROLE, {"error": {"message": "overloaded", "type": "server_error"}}],
    [{"error": "busy"}], [ROLE, "not json"], [ROLE], ["[DONE]"], [ROLE, "[DONE]"], []])
def test_what_fails_before_content_fails_over(two, provider, events):
    provider.script(events=events)
    stream = Stream(two.port, two.key(), BODY)
    seen = stream.rest()
    assert stream.headers["x-latenza-provider"] == "b"
    assert text_of(seen) == "Go" and seen[-1] == "[DONE]"
    assert [a["provider"] for a in only_trace(two)["attempts"]] == ["a", "b"]


def test_an_error_that_is_the_callers_own_is_its_status_also_inside_a_stream(two, provider):
    provider.script(events=[ROLE, {"error": {"message": "too long", "code": "context_length_exceeded"}}])
    two.second.script(events=[ROLE, {"error": {"message": "too long", "code": "context_length_exceeded"}}])
    stream = Stream(two.port, two.key(), BODY)
    assert (stream.status, stream.headers["content-type"]) == (400, "application/json")
    stream.close()


@pytest.mark.parametrize("script,code", [
    ({"events": [{"error": {"message": "no such", "code": "model_not_found"}}]}, (502, 400)),
    ({"status": 302}, (502,)), ({"raw": b'{"choices":[]}'}, (502,)),
    ({"events": [{"error": {"message": "slow down", "code": 429}}]}, (429,)),
    ({"events": [{"error": {"message": "unsafe", "code": "content_filter"}}]}, (400,))])
def test_a_refusal_never_carries_the_status_of_success(gateway, provider, script, code):
    provider.script(**script)
    stream = Stream(gateway.port, gateway.key(), BODY)
    assert stream.status in code
    stream.close()


def test_a_whole_answer_that_is_too_large_is_502(make_gateway, provider):
    gateway = make_gateway(provider=provider, config={"limits": {"answer_bytes": "64KiB"}})
    key = gateway.key()
    provider.script(chunks=["x" * 70000])
    assert gateway.chat(key)[0] == 502
    provider.script(raw=b'{"choices":[{"index":0,"message":{"content":"%s"}}]}' % (b"x" * (65536 - 52)))
    status, _, body = gateway.chat(key)
    assert status == 200 and len(body["choices"][0]["message"]["content"]) == 65536 - 52


# ---- done ----

@pytest.mark.parametrize("events,reason", [
    ([ROLE, piece("Hi"), piece(None, finish="length")], "length"),
    ([ROLE, piece("Hi"), "[DONE]"], "stop"),
    ([ROLE, piece("Hi", finish="stop"), "[DONE]"], "stop"),
    ([ROLE, {"choices": [{"index": 0, "delta": {"content": "Hi", "tool_calls": None}}]}, "[DONE]"], "stop"),
    ([{"choices": [{"index": 0, "logprobs": {"content": [{"token": "Hi"}]}, "delta": {"content": "Hi"}}]}, "[DONE]"],
     "stop")])
def test_a_stream_that_ended_properly_has_a_reason_and_done(gateway, provider, events, reason):
    provider.script(events=events)
    seen = Stream(gateway.port, gateway.key(), BODY).rest()
    assert text_of(seen) == "Hi" and finishes(seen) == [reason] and seen[-1] == "[DONE]"
    trace = only_trace(gateway)
    assert (trace["status"], trace["finish_reason"]) == (200, reason)


def test_tools_imply_their_own_reason(gateway, provider):
    call = {"index": 0, "id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    provider.script(events=[ROLE, {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}, "[DONE]"])
    seen = Stream(gateway.port, gateway.key(), BODY).rest()
    assert finishes(seen) == ["tool_calls"]


def test_every_choice_ends(gateway, provider):
    provider.script(events=[piece("a"), piece("b", index=1), piece(None, finish="stop"), "[DONE]"])
    seen = Stream(gateway.port, gateway.key(), {**BODY, "n": 2}).rest()
    assert finishes(seen) == ["stop", "stop"] and text_of(seen) == "ab"


def test_a_choice_that_was_not_ended_is_not_whole_without_done(gateway, provider):
    provider.script(events=[piece("a"), piece("b", index=1), piece(None, finish="stop")])
    seen = Stream(gateway.port, gateway.key(), {**BODY, "n": 2}).rest()
    assert "[DONE]" not in seen and "error" in json.loads(seen[-1])


def test_usage_in_the_last_chunk_counts_and_is_given_as_one_of_its_own(gateway, provider):
    provider.script(events=[piece("Hi"), piece(None, finish="stop", usage=USAGE), "[DONE]"])
    seen = Stream(gateway.port, gateway.key(), {**BODY, "stream_options": {"include_usage": True}}).rest()
    last = json.loads(seen[-2])
    assert last["choices"] == [] and last["usage"]["total_tokens"] == 12
    assert only_trace(gateway)["tokens"]["output"] == 5


def test_other_stream_options_stay_when_usage_is_asked_for(gateway, provider):
    Stream(gateway.port, gateway.key(), {**BODY, "stream_options": {"include_obfuscation": False}}).rest()
    assert provider.last()["body"]["stream_options"] == {"include_usage": True, "include_obfuscation": False}


def test_a_connection_left_open_after_done_holds_nothing_up_and_is_not_overhead(gateway, provider):
    provider.script(events=[piece("Hi", finish="stop"), "[DONE]", 3])
    began = time.monotonic()
    assert Stream(gateway.port, gateway.key(), BODY).rest()[-1] == "[DONE]"
    assert time.monotonic() - began < 2
    assert only_trace(gateway)["overhead_ms"] < 200


# ---- with an error ----

@pytest.mark.parametrize("end,events", [
    ("error_event", [ROLE, piece("Hi"), {"error": {"message": "died"}}]),
    ("bad_event", [ROLE, piece("Hi"), "{"]), ("cut", [ROLE, piece("Hi")]),
    ("too_large", [ROLE, piece("Hi"), piece("x" * 1100000)])])
def test_a_stream_that_broke_ends_with_an_error_and_without_done(gateway, provider, end, events):
    provider.script(events=events)
    stream = Stream(gateway.port, gateway.key(), BODY)
    seen = stream.rest()
    assert text_of(seen[:-1]) == "Hi" and not finishes(seen)
    error = json.loads(seen[-1])["error"]
    assert (error["type"], error["code"]) == ("upstream_error", "stream_interrupted")
    assert stream.ended == "whole"
    trace = only_trace(gateway)
    assert (trace["code"], trace["attempts"][0]["end"]) == ("stream_interrupted", end)
    assert trace["cost_nano_eur"] > 0, "what was delivered is charged"


def test_echo_cut_ends_with_its_own_words(gateway):
    seen = Stream(gateway.port, gateway.key(), {**BODY, "model": "echo-cut", "messages": [
        {"role": "user", "content": "one two three four five six"}]}).rest()
    assert "breaks off" in json.loads(seen[-1])["error"]["message"]
    assert "breaks off" in only_trace(gateway)["attempts"][0]["error"]


def test_a_budget_that_runs_out_inside_a_stream_ends_it_and_is_never_exceeded(gateway, provider):
    provider.script(chunks=["word " * 20] * 400)
    key = gateway.key("small", budgets=[{"period": "day", "eur": 0.002}, {"period": "month", "eur": 1}])
    seen = Stream(gateway.port, key, BODY).rest()
    assert json.loads(seen[-1])["error"]["code"] == "insufficient_quota" and "[DONE]" not in seen
    trace = only_trace(gateway)
    assert trace["code"] == "insufficient_quota" and trace["attempts"][0]["end"] == "budget"
    assert 1_500_000 < gateway.spent("small") <= 2_000_000
    health = {t["target"]: t["health"] for t in gateway.json("provider", "list")["targets"]}
    assert all(h != "down" for h in health.values()), "a budget is no fault of the provider's"


def test_a_stream_is_topped_up_while_there_is_money(gateway, provider):
    provider.script(chunks=["word " * 20] * 400, usage=(7, 10000))
    key = gateway.key("rich", budgets=[{"period": "day", "eur": 0.02}])
    assert Stream(gateway.port, key, BODY).rest()[-1] == "[DONE]"
    assert gateway.spent("rich") == (7 * 1 + 4096 * 2) * 500 or gateway.spent("rich") == (7 + 10000 * 2) * 500


# ---- the client leaves ----

def test_a_client_that_leaves_before_the_first_byte_is_traced_once(gateway, provider):
    gate = threading.Event()
    provider.script(gate=gate)
    key = gateway.key()
    import socket
    data = json.dumps({**BODY, "stream": True}).encode()
    with socket.create_connection(("127.0.0.1", gateway.port)) as s:
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\n"
                  b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s" % (key.encode(), len(data), data))
        assert wait_for(lambda: provider.calls() == 1)
        time.sleep(0.1)  # later than a half-close right behind the request may come
    assert wait_for(lambda: gateway.metrics()["latenza_requests_in_flight"] == 0)
    gate.set()
    trace = only_trace(gateway)
    assert trace["status"] == 499 and trace["attempts"][0]["end"] == "client_gone"


def test_a_client_that_leaves_inside_its_body_is_traced_once(gateway, provider):
    import socket
    key = gateway.key()
    with socket.create_connection(("127.0.0.1", gateway.port)) as s:
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\n"
                  b"Authorization: Bearer %s\r\nContent-Length: 1000\r\n\r\n{" % key.encode())
        time.sleep(0.1)
    assert wait_for(lambda: len(gateway.traces()) == 1)
    assert provider.calls() == 0


def test_a_client_that_leaves_while_a_stream_is_paused_for_it_leaves_nothing_behind(gateway, provider):
    provider.script(chunks=["y" * 65536] * 200, times=1)
    stream = Stream(gateway.port, gateway.key("leaver", budget_monthly_eur=1), BODY)
    time.sleep(0.5)
    stream.close()
    assert wait_for(lambda: gateway.metrics()["latenza_requests_in_flight"] == 0)
    assert only_trace(gateway)["status"] == 499
    assert gateway.chat(gateway.key("other"))[0] == 200


# ---- time ----

@pytest.mark.parametrize("script", [{"gate": True}, {"events": [ROLE, 5, piece("late")]}])
def test_the_deadline_holds_for_a_stream_until_its_first_content(gateway, provider, script):
    gate = threading.Event()
    provider.script(**({"gate": gate} if "gate" in script else script))
    key = gateway.key()
    for _ in range(8):
        began = time.monotonic()
        status, _, raw = gateway.request("POST", "/v1/chat/completions", {**BODY, "stream": True}, key,
                                         {"x-latenza-timeout-ms": "150"})
        assert (status, json.loads(raw)["error"]["code"]) == (504, "upstream_timeout")
        assert time.monotonic() - began < 2
    gate.set()
    health = {t["target"]: t["health"] for t in gateway.json("provider", "list")["targets"]}
    assert all(h != "down" for h in health.values()), "a caller in a hurry opens no breaker"


def test_the_deadline_does_not_end_a_stream_that_has_begun(gateway, provider):
    provider.script(chunks=["a"] * 10, pace=0.1)
    status, _, raw = gateway.request("POST", "/v1/chat/completions", {**BODY, "stream": True}, gateway.key(),
                                     {"x-latenza-timeout-ms": "400"})
    assert status == 200 and raw.endswith(b"data: [DONE]\n\n")


def test_the_deadline_holds_for_a_provider_that_answers_by_itself(gateway):
    status, _, body = gateway.chat(gateway.key(), model="echo-slow", headers={"x-latenza-timeout-ms": "50"})
    assert (status, body["error"]["code"]) == (504, "upstream_timeout")


# ---- credentials ----

@pytest.mark.parametrize("status", [401, 429])
def test_another_credential_is_tried_at_the_same_provider(make_gateway, provider, status):
    gateway = make_gateway(env={"KEY_A": "sk-a", "KEY_B": "sk-b"}, config={"providers": {"fake": {
        "plugin": "compatible", "base_url": provider.base_url, "api_keys": ["env:KEY_A", "env:KEY_B"],
        "models": [{"id": "fake-1", **PRICES}]}}})
    provider.script(status=status, times=1)
    code, head, _ = gateway.chat(gateway.key())
    assert (code, head["x-latenza-attempts"]) == (200, "2")
    assert {r["headers"]["authorization"] for r in provider.requests} == {"Bearer sk-a", "Bearer sk-b"}


@pytest.mark.parametrize("value,least,most", [("7", 7, 7), ("31536000", 60, 60), ("soon", 1, 1), ("-5", 1, 1),
                                              ("Wed, 21 Oct 2015 07:28:00 GMT", 1, 1),
                                              ("Wed, 21 Oct 2099 07:28:00 GMT", 60, 60)])
def test_any_retry_after_becomes_a_time_that_can_be_waited(gateway, provider, value, least, most):
    provider.script(status=429, headers={"retry-after": value})
    status, head, _ = gateway.chat(gateway.key())
    assert status == 429 and least <= int(head["retry-after"]) <= most


# ---- translated answers ----

def test_translated_answers_have_openais_members_in_openais_order(gateway):
    key = gateway.key()
    _, _, body = gateway.chat(key, model="echo-1")
    assert list(body) == ["id", "object", "created", "model", "choices", "usage"]
    assert list(body["choices"][0]) == ["index", "message", "logprobs", "finish_reason"]
    assert list(body["choices"][0]["message"]) == ["role", "content", "refusal"]
    first = json.loads(Stream(gateway.port, key, {**BODY, "model": "echo-1"}).rest()[0])
    assert list(first) == ["id", "object", "created", "model", "choices"]
    assert list(first["choices"][0]) == ["index", "delta", "logprobs", "finish_reason"]
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "Go"}


def test_a_long_translated_stream_keeps_its_id_to_the_end(gateway):
    text = "w " * 1000
    seen = Stream(gateway.port, gateway.key(), {**BODY, "model": "echo-1", "n": 8, "messages": [
        {"role": "user", "content": text}]}).rest()
    assert seen[-1] == "[DONE]" and len({json.loads(e)["id"] for e in seen[:-1]}) == 1
