"""POST /v1/embeddings: every form of text and of vector, money, rights, refusals, failover, traces.

SPDX-License-Identifier: MIT
"""

import base64
import http.client
import json
import struct
import time

import pytest

from harness.provider import Provider, vector_of

NANO = 0.5e9 * 1e-6  # one token of fake-embed: 1 USD per million, half a euro per dollar


def embed(gateway, key, input, model="fake-embed", headers=None, **more):
    status, head, raw = gateway.request("POST", "/v1/embeddings", {"model": model, "input": input, **more}, key, headers)
    return status, head, json.loads(raw)


def unpacked(text):
    raw = base64.b64decode(text, validate=True)
    return list(struct.unpack(f"<{len(raw) // 4}f", raw))


def as_float32(vector):
    return struct.pack(f"<{len(vector)}f", *vector)


@pytest.fixture
def key(gateway):
    return gateway.key("app", budget_monthly_eur=1)


@pytest.mark.parametrize("input,texts", [
    ("one", ["one"]), (["one", "two"], ["one", "two"]), ([5, 6], [[5, 6]]), ([[5, 6], [7]], [[5, 6], [7]]), ("", [""])])
@pytest.mark.parametrize("asked", ["float", "base64", None])
@pytest.mark.parametrize("given", ["float", "base64"])
def test_vectors_come_as_asked_whatever_the_provider_writes(gateway, provider, key, input, texts, asked, given):
    provider.script(vectors=given)
    status, _, answer = embed(gateway, key, input, dimensions=4, **({"encoding_format": asked} if asked else {}))
    assert status == 200
    vectors = [unpacked(d["embedding"]) if asked == "base64" else d["embedding"] for d in answer["data"]]
    assert [as_float32(v) for v in vectors] == [as_float32(vector_of(text, 4)) for text in texts]
    assert [d["index"] for d in answer["data"]] == list(range(len(texts)))
    assert answer["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    sent = provider.last()
    assert sent["path"] == "/v1/embeddings"
    assert sent["body"] == {"model": "fake-embed", "input": input, "dimensions": 4,
                            **({"encoding_format": asked} if asked else {})}


def test_money_is_counted_on_input_alone_and_traced(gateway, provider, key):
    status, head, _ = embed(gateway, key, ["one", "two"], user="u7", headers={"x-latenza-metadata": '{"job":"index"}'})
    assert status == 200
    assert float(head["x-latenza-cost-eur"]) == pytest.approx(7 * NANO / 1e9)
    assert (head["x-latenza-provider"], head["x-latenza-model"]) == ("fake", "fake-embed")
    assert "x-latenza-max-tokens" not in head
    trace = gateway.trace(head["x-request-id"])
    assert (trace["route"], trace["cost_nano_eur"], trace["user"]) == ("embeddings", 7 * NANO, "u7")
    assert trace["tokens"] == {"input": 7, "cache_read": 0, "cache_write": 0, "output": 0, "reasoning": 0}
    assert trace["request"]["input"] == ["one", "two"] and trace["answer"] is None  # nobody reads vectors
    assert trace["metadata"] == {"job": "index"}
    assert trace["candidates"][0]["bound_nano_eur"] == (5 + 5) * NANO  # bytes and quotes, and no output
    assert gateway.spent("app") == 7 * NANO


def test_a_batch_may_use_its_models_window_for_each_text(gateway, provider, key):
    """Usage beyond one window is no error of the provider's when there were many texts."""
    data = [{"object": "embedding", "index": i, "embedding": [1.0]} for i in range(20)]
    provider.script(body={"object": "list", "data": data, "model": "m",
                          "usage": {"prompt_tokens": 150000, "total_tokens": 150000}})
    status, head, _ = embed(gateway, key, ["word " * 8000] * 20)
    assert status == 200
    trace = gateway.trace(head["x-request-id"])
    assert trace["tokens"]["input"] == 150000 and trace["attempts"][0]["state"] == "actual"


def test_an_answer_without_usage_is_estimated(gateway, provider, key):
    provider.script(body={"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [1.0]}]})
    status, head, _ = embed(gateway, key, "twelve bytes")
    assert status == 200
    trace = gateway.trace(head["x-request-id"])
    assert (trace["cost_nano_eur"], trace["attempts"][0]["state"]) == (3 * NANO, "estimated")


def test_usage_says_what_it_cost_on_request(gateway, key):
    _, _, answer = embed(gateway, key, "one", headers={"x-latenza-usage": "include"})
    assert answer["usage"]["prompt_tokens"] == 7
    assert answer["usage"]["latenza"]["model"] == "fake-embed"


def test_a_budget_that_is_too_small_refuses_and_nobody_is_called(gateway, provider):
    key = gateway.key("poor", budget_monthly_eur=0.000001)  # 1,000 nano-EUR: two tokens
    status, head, answer = embed(gateway, key, "more than two bytes")
    assert (status, answer["error"]["code"]) == (429, "insufficient_quota")
    assert head["x-should-retry"] == "false" and provider.calls(path="/embeddings") == 0


def test_the_allowlist_and_the_key_are_asked(gateway, provider):
    narrow = gateway.key("narrow", model_allowlist=["fake-1"])
    status, _, answer = embed(gateway, narrow, "x")
    assert (status, answer["error"]["code"]) == (403, "model_not_allowed")
    status, _, answer = embed(gateway, "lz_live_wrong", "x")
    assert (status, answer["error"]["code"]) == (401, "invalid_api_key")
    test = gateway.key("test", test=True)
    status, _, answer = embed(gateway, test, "x")
    assert (status, answer["error"]["code"]) == (403, "model_not_allowed")
    assert embed(gateway, test, "x", model="echo-embed")[0] == 200
    assert provider.calls(path="/embeddings") == 0


def test_the_rate_and_the_tokens_of_a_minute_hold(gateway):
    slow = gateway.key("slow", rate_limit=1)
    assert [embed(gateway, slow, "x")[0] for _ in range(2)] == [200, 429]
    small = gateway.key("small", tokens_per_minute=100)
    status, _, answer = embed(gateway, small, [list(range(101))])
    assert (status, answer["error"]["code"]) == (429, "rate_limit_exceeded")


@pytest.mark.parametrize("path,body", [
    ("/v1/embeddings", {"model": "fake-1", "input": "x"}),
    ("/v1/embeddings", {"model": "latenza/balanced", "input": "x"}),
    ("/v1/chat/completions", {"model": "fake-embed", "messages": [{"role": "user", "content": "x"}]})])
def test_a_model_of_the_other_kind_is_refused_by_name(gateway, provider, key, path, body):
    status, _, raw = gateway.request("POST", path, body, key)
    error = json.loads(raw)["error"]
    assert (status, error["code"], error["param"]) == (400, "unsupported_capability", "model")
    assert provider.calls() == provider.calls(path="/embeddings") == 0


def test_latenza_strategies_chat_with_chat_models_only(gateway, provider, key):
    for _ in range(4):
        assert gateway.chat(key, model="latenza/cheapest")[1]["x-latenza-model"] != "fake-embed"


def test_a_model_that_nobody_described_may_embed(gateway, provider):
    status, _, answer = embed(gateway, gateway.key("free"), "x", model="fake/some/embedder")
    assert status == 200 and provider.last()["body"]["model"] == "some/embedder"


@pytest.mark.parametrize("member,value", [("input", []), ("input", [1, "a"]), ("input", None), ("encoding_format", "int8"),
                                          ("dimensions", 0), ("user", 5)])
def test_nonsense_is_refused_by_the_name_of_its_member(gateway, provider, key, member, value):
    status, _, raw = gateway.request("POST", "/v1/embeddings", {"model": "fake-embed", "input": "x", member: value}, key)
    error = json.loads(raw)["error"]
    assert (status, error["type"], error["param"]) == (400, "invalid_request_error", member)
    assert provider.calls(path="/embeddings") == 0


def test_a_text_that_fits_no_window_is_refused(gateway, key):
    status, _, answer = embed(gateway, key, ["short", list(range(8192))][1:])
    assert (status, answer["error"]["param"]) == (400, "input")
    status, _, answer = embed(gateway, key, [[1], list(range(8192))])
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (400, "context_length_exceeded", "input")


def test_the_providers_refusal_comes_through(gateway, provider, key):
    provider.script(status=400, body={"error": {"message": "no such dimension", "type": "invalid_request_error",
                                                "param": "dimensions", "code": "odd"}})
    status, _, answer = embed(gateway, key, "x", dimensions=5)
    assert (status, answer["error"]["param"], answer["error"]["code"]) == (400, "dimensions", "odd")
    assert gateway.spent("app") == 0


@pytest.fixture
def two(make_gateway, provider):
    """One model at two providers."""
    with Provider(models=(), embedding_models=("fake-embed",)) as other:
        def add(name, p):
            return {name: {"plugin": "compatible", "base_url": p.base_url, "api_keys": ["k"], "models": [
                {"id": "fake-embed", "mode": "embedding", "context_window": 8191, "price_input_per_mtok": 1.0}]}}
        gateway = make_gateway(config={"providers": add("first", provider) | add("second", other),
                                       "routing": {"default": "cheapest"}})
        yield gateway, provider, other


BAD = {
    "down": {"status": 503},
    "no vectors": {"body": {"object": "list", "data": [], "model": "m"}},
    "fewer vectors than texts": {"body": {"object": "list", "data": [{"embedding": [1]}]}},
    "not a vector": {"body": {"data": [{"embedding": None}, {"embedding": [1]}]}},
    "a chat": {"body": {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}},
    "not JSON": {"raw": b"<html>"},
    "an error in a 200": {"body": {"error": {"message": "overloaded", "code": 503}}},
    "not a number": {"body": {"data": [{"embedding": ["a"]}, {"embedding": [1]}]}},
}


@pytest.mark.parametrize("what", BAD)
def test_a_provider_that_does_not_answer_properly_fails_over(two, what):
    gateway, first, second = two
    first.script(**BAD[what])
    key = gateway.key("app", budget_monthly_eur=1)
    status, head, answer = embed(gateway, key, ["one", "two"], encoding_format="base64")
    assert status == 200
    assert [unpacked(d["embedding"]) for d in answer["data"]] == [vector_of("one", 3), vector_of("two", 3)]
    trace = gateway.trace(head["x-request-id"])
    assert [a["provider"] for a in trace["attempts"]] == ["first", "second"]
    assert trace["cost_nano_eur"] == sum(a["cost_nano_eur"] for a in trace["attempts"]) == gateway.spent("app")
    assert [p.calls(path="/embeddings") for p in (first, second)] == [1, 1]


def test_a_large_batch_passes(gateway, provider, full):
    """What an SDK sends by default, 2,048 texts in one list, and 1,536 numbers for each: 17 MB."""
    n = 2048 if full else 700
    vector = base64.b64encode(struct.pack("<1536f", *[k / 4096 for k in range(1536)])).decode()
    provider.script(raw=json.dumps({"object": "list", "model": "m", "usage": {"prompt_tokens": n, "total_tokens": n},
                                    "data": [{"object": "embedding", "index": i, "embedding": vector} for i in range(n)]}
                                   ).encode())
    key = gateway.key("bulk")
    status, head, answer = embed(gateway, key, [f"text {i}" for i in range(n)], encoding_format="base64")
    assert status == 200 and len(answer["data"]) == n
    assert all(d["embedding"] == vector for d in answer["data"])
    status, head, answer = embed(gateway, key, [f"text {i}" for i in range(n)])
    assert status == 200 and as_float32(answer["data"][n - 1]["embedding"]) == base64.b64decode(vector)


def test_echo_makes_vectors_without_a_network(gateway):
    key = gateway.key("demo", test=True)
    _, _, answer = embed(gateway, key, ["the cat sat", "a cat sat", "prices rose"], model="echo-embed")
    a, b, c = (d["embedding"] for d in answer["data"])
    dot = lambda x, y: sum(p * q for p, q in zip(x, y))  # noqa: E731
    assert len(a) == 256 and dot(a, a) == pytest.approx(1, abs=1e-5)
    assert dot(a, b) > dot(a, c)
    assert list(answer) == ["object", "data", "model", "usage"]


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end and not what():
        time.sleep(0.02)
    return what()


def test_a_client_that_leaves_cancels_the_call(gateway, provider, key):
    provider.script(delay=20)
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port)
    connection.request("POST", "/v1/embeddings", json.dumps({"model": "fake-embed", "input": "x"}),
                       {"authorization": f"Bearer {key}", "content-type": "application/json"})
    assert wait_for(lambda: provider.calls(path="/embeddings") == 1)
    time.sleep(0.2)  # a FIN at once would only be the end of the sending
    connection.close()
    assert wait_for(lambda: provider.cancelled == 1)
    assert wait_for(lambda: len(gateway.traces()) == 1)
    trace = gateway.traces()[0]
    assert (trace["status"], trace["route"]) == (499, "embeddings")
