"""Requests that are turned away: the right answer, one trace, and the next request is served.

SPDX-License-Identifier: MIT
"""

import json
import socket

import pytest
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
