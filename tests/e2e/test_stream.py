"""Streams: event by event, many at once, cut, left.

SPDX-License-Identifier: MIT
"""

import json
import threading
import time

from harness.sse import Stream, text_of

BODY = {"model": "fake-1", "messages": [{"role": "user", "content": "Go"}]}


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return False


def test_a_hundred_events_arrive_event_by_event(gateway, provider):
    """The provider sends a piece only after the client has read the one before: nobody may hold one back."""
    step = threading.Semaphore(1)
    provider.script(chunks=[f"<{i}>" for i in range(100)], step=step)
    stream = Stream(gateway.port, gateway.key(), BODY, timeout=20)
    seen = []
    for event in stream.events():
        seen.append(event)
        if "<" in text_of([event]):
            step.release()
    assert text_of(seen) == "".join(f"<{i}>" for i in range(100))
    assert sum("<" in text_of([e]) for e in seen) == 100
    assert seen[-1] == "[DONE]" and stream.ended == "whole"


def test_three_hundred_streams_are_served_at_the_same_time(gateway, provider):
    step = threading.Semaphore(0)  # one piece each; then they wait
    provider.script(chunks=["first", " second"], step=step, step_from=1)
    key = gateway.key()
    streams = [Stream(gateway.port, key, BODY) for _ in range(300)]
    readers = [s.events() for s in streams]
    first = [[] for _ in streams]
    for reader, seen in zip(readers, first):
        for event in reader:
            seen.append(event)
            if text_of(seen) == "first":
                break
    assert gateway.metrics()["latenza_requests_in_flight"] == 300
    for _ in range(300):
        step.release()
    for reader, seen, stream in zip(readers, first, streams):
        seen += list(reader)
        assert text_of(seen) == "first second" and seen[-1] == "[DONE]"
        stream.close()
    assert provider.calls() == 300
    traces = [t for t in gateway.traces() if t["status"] == 200]
    assert len({t["id"] for t in traces}) == 300


def test_client_hangs_up_while_the_provider_streams_and_the_provider_call_is_cancelled(gateway, provider):
    provider.script(chunks=["x"] * 1000, pace=0.02)
    stream = Stream(gateway.port, gateway.key(), BODY)
    reader = stream.events()
    next(reader)
    next(reader)
    stream.close()
    assert wait_for(lambda: provider.cancelled == 1)
    assert wait_for(lambda: gateway.metrics()["latenza_requests_in_flight"] == 0)
    trace = gateway.traces()[0]
    assert trace["status"] == 499 and "client_gone" in trace["flags"]
    assert trace["cost_nano_eur"] > 0, "what was delivered is charged"


def test_a_stream_that_its_provider_cuts_never_ends_as_if_it_were_done(gateway, provider):
    provider.script(chunks=["half "], end="cut")
    stream = Stream(gateway.port, gateway.key(), BODY)
    events = stream.rest()
    assert "[DONE]" not in events
    assert not any(json.loads(e).get("choices", [{}])[0].get("finish_reason") for e in events if "choices" in e)
    assert stream.ended == "cut" or "error" in json.loads(events[-1])
    assert gateway.traces()[0]["code"] is not None


def test_an_error_inside_a_stream_is_the_last_event(gateway, provider):
    provider.script(chunks=["half "], end="error")
    events = Stream(gateway.port, gateway.key(), BODY).rest()
    assert "[DONE]" not in events
    assert "error" in json.loads(events[-1])


def test_an_error_before_the_first_piece_is_a_status(gateway, provider):
    provider.script(status=500)
    stream = Stream(gateway.port, gateway.key(), BODY)
    assert stream.status == 502
    stream.close()


def test_a_stream_without_done_gets_one_when_it_ended_properly(gateway, provider):
    provider.script(chunks=["all"], end="no_done")
    stream = Stream(gateway.port, gateway.key(), BODY)
    events = stream.rest()
    assert text_of(events) == "all" and events[-1] == "[DONE]"


def test_a_slow_reader_holds_up_a_provider_that_answers_by_itself(gateway):
    """The echo of 100 choices is some 20 MB, more than sockets take. Were it written into memory, it would end at once."""
    key, text = gateway.key(test=True), "word " * 12000
    stream = Stream(gateway.port, key, {"model": "echo-large", "n": 100, "messages": [{"role": "user", "content": text}]})
    time.sleep(2)  # as much time to run ahead as it likes
    assert gateway.traces() == [], "it waits for its caller"
    size, said, last = 0, 0, None
    for last in stream.events():
        size += len(last)
        if last != "[DONE]":
            said += sum(len(c["delta"].get("content") or "") for c in json.loads(last)["choices"])
    assert (last, stream.ended) == ("[DONE]", "whole") and said == 100 * 4096 * 4, "of each choice what was reserved"
    assert size > 16 << 20 and [t["status"] for t in gateway.traces()] == [200]
    stream.close()


def test_a_client_that_leaves_a_stalled_echo_is_noticed(gateway):
    key = gateway.key(test=True)
    stream = Stream(gateway.port, key, {"model": "echo-large", "n": 64,
                                        "messages": [{"role": "user", "content": "word " * 12000}]})
    stream.close()
    end = time.monotonic() + 10
    while not gateway.traces() and time.monotonic() < end:
        time.sleep(0.02)
    assert [t["status"] for t in gateway.traces()] == [499]


def test_a_slow_reader_holds_the_provider_up_and_not_the_gateways_memory(gateway, provider):
    """64 MB are offered to a client that reads nothing."""
    provider.script(chunks=["y" * 65536] * 1000)
    stream = Stream(gateway.port, gateway.key(), BODY)
    time.sleep(1)
    status = open(f"/proc/{gateway.process.pid}/status").read()
    rss_kib = int(status.split("VmRSS:")[1].split()[0])
    assert rss_kib < 64 * 1024 or gateway.is_sanitized
    assert len(text_of(stream.events())) == 65536 * 1000
