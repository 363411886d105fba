"""Requests that are turned away: the right answer, one trace, and the next request is served.

SPDX-License-Identifier: MIT
"""

import json
import socket
import struct
import time

import pytest
from harness.doors import check_error, read_answer
from harness.sse import Stream

BODY = {"model": "fake-1", "messages": [{"role": "user", "content": "Go"}]}


def one_trace(gateway, head):
    found = [t for t in gateway.traces() if t["id"] == head["x-request-id"]]
    assert len(found) == 1, "every request under a known key is traced exactly once"
    return found[0]


@pytest.mark.parametrize("more", [{"Content-Type": "text/plain"}, {"Content-Encoding": "gzip"}])
def test_a_body_of_the_wrong_kind_is_refused_and_traced_when_its_key_is_known(gateway, provider, more):
    key = gateway.key()
    status, head, raw = gateway.request("POST", "/v1/chat/completions", json.dumps(BODY), key, more)
    assert (status, json.loads(raw)["error"]["code"]) == (415, "unsupported_media_type")
    assert one_trace(gateway, head)["status"] == 415
    assert gateway.chat(key)[0] == 200 and provider.calls() == 1


def test_a_large_body_of_the_wrong_kind_is_answered_before_it_is_whole(gateway):
    key = gateway.key()
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as s:
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Type: text/plain\r\n"
                  b"Authorization: Bearer %s\r\nContent-Length: 1000000\r\n\r\n" % key.encode())
        assert s.recv(100).startswith(b"HTTP/1.1 415 ")


# ---- bodies that end wrongly: the client hears what the trace says ----

def head_of(key, fields):
    return (f"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {key}\r\n{fields}\r\n\r\n").encode()


CHUNKED, SIZED = "Transfer-Encoding: chunked", "Content-Length: 500"


@pytest.mark.parametrize("fields,body,ends,status,code", [
    (SIZED, b'{"model"', False, 408, "request_timeout"),
    (CHUNKED, b"8\r\n{\"model\"\r\n", False, 408, "request_timeout"),
    ("Content-Length: 70000", b"", False, 413, "request_too_large"),
    (CHUNKED, b"11170\r\n", False, 413, "request_too_large"),
    (CHUNKED, b"10000\r\n" + b" " * 65536 + b"\r\n1\r\n", False, 413, "request_too_large"),
    (CHUNKED, b"8\r\n{\"model\"xx", False, 400, None),
    (SIZED, b'{"model"', True, 400, None)])
def test_a_body_that_ends_wrongly_is_traced_as_what_its_sender_is_told(make_gateway, provider, fields, body, ends, status, code):
    """Only the first two wait, for the 200 ms that the file allows; the others are answered without any deadline's help."""
    gateway = make_gateway(provider=provider, config={"limits": {
        "body_bytes": "64KiB", "body_timeout_ms": "200ms" if status == 408 else "1h"}})
    key = gateway.key()
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as s:
        s.sendall(head_of(key, fields) + body)
        if ends:
            s.shutdown(socket.SHUT_WR)
        with s.makefile("rb") as file:
            answer = read_answer(file)
    assert (answer.status, check_error(answer)["code"]) == (status, code)
    trace = one_trace(gateway, answer.headers)
    assert (trace["status"], len(gateway.traces())) == (status, 1)
    if status == 408:
        assert trace["total_ms"] - trace["overhead_ms"] >= 190, "the wait for a body is its sender's time"
    assert gateway.chat(key)[0] == 200 and provider.calls() == 1


def test_a_client_that_leaves_within_its_body_is_traced_as_gone(gateway):
    key = gateway.key()
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as s:
        s.sendall(head_of(key, SIZED) + b'{"model"')
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end = time.monotonic() + 10
    while not gateway.traces() and time.monotonic() < end:
        time.sleep(0.02)
    assert [t["status"] for t in gateway.traces()] == [499]


def test_more_than_the_gateway_may_serve_is_refused_and_health_still_answers(make_gateway, provider):
    import threading
    gateway = make_gateway(provider=provider, config={"limits": {"in_flight": 1}, "workers": 1})
    key, gate = gateway.key(), threading.Event()
    provider.script(gate=gate)
    first = threading.Thread(target=gateway.chat, args=(key,))
    first.start()
    while provider.calls() == 0:
        pass
    status, head, body = gateway.chat(key)
    assert (status, body["error"]["code"]) == (503, "overloaded") and "retry-after" in head
    assert gateway.get("/healthz")[0] == 200
    gate.set()
    first.join()
    assert one_trace(gateway, head)["status"] == 503
    assert gateway.chat(key)[0] == 200


def test_a_head_request_has_the_head_of_a_get_and_no_body(gateway):
    key = gateway.key()
    status, head, raw = gateway.request("GET", "/v1/models", key=key)
    assert status == 200 and len(raw) == int(head["content-length"])
    status, head, raw = gateway.request("HEAD", "/v1/models", key=key)
    assert (status, raw) == (200, b"") and int(head["content-length"]) > 0
    assert gateway.request("HEAD", "/v1/chat/completions", key=key)[0] == 405
    assert gateway.request("HEAD", "/v1/models")[0] == 401


def test_the_model_list_needs_a_key_that_is_in_force(gateway):
    gateway.key("off")
    secret = gateway.key("gone")
    gateway.run("key", "disable", "gone")
    status, head, raw = gateway.get("/v1/models", key=secret)
    assert (status, json.loads(raw)["error"]["code"]) == (401, "invalid_api_key") and "x-request-id" in head


def test_a_model_is_shown_under_a_name_with_a_slash_however_it_is_written(gateway):
    key = gateway.key()
    for path in ("/v1/models/fake/fake-1", "/v1/models/fake%2Ffake-1"):
        status, _, raw = gateway.get(path, key=key)
        assert (status, json.loads(raw)["id"]) == (200, "fake/fake-1"), path


@pytest.mark.parametrize("bad,param", [
    ({"metadata": {"a": "x" * 100000}}, "metadata"), ({"user": "x" * 300}, "user"), ({"model": "\\" * 300}, "model"),
    ({"stream": "yes"}, "stream"), ({"n": 0}, "n"), ({"max_tokens": -1}, "max_tokens"), ({"messages": "x"}, "messages")])
def test_a_member_that_is_wrong_is_named(gateway, bad, param):
    status, head, body = gateway.chat(gateway.key(), **bad) if "model" not in bad else \
        gateway.chat(gateway.key(), model=bad["model"])
    assert (status, body["error"]["param"]) == (400, param)
    assert one_trace(gateway, head)["status"] == 400


def test_a_refusal_of_a_stream_is_a_status_with_an_object(gateway):
    stream = Stream(gateway.port, gateway.key(), {**BODY, "model": "nothing"})
    assert stream.status == 404 and stream.headers["content-type"] == "application/json"
    stream.close()
