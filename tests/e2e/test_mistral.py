"""Mistral's embeddings, and what its closed schema leaves out, as a client hears of it. Its chats: test_wires.py.

SPDX-License-Identifier: MIT
"""

import base64
import json
import struct

import pytest

from harness.provider import Provider, vector_of
from harness.wire_mistral import WIRE, wrong


@pytest.fixture
def provider():
    with Provider(dialect=WIRE.scripted) as p:
        yield p


def embed(gateway, **body):
    status, head, raw = gateway.request("POST", "/v1/embeddings", {"model": "fake-embed", **body}, gateway.key())
    return status, head, json.loads(raw)


@pytest.mark.parametrize("written", ["float", "base64"])
@pytest.mark.parametrize("wanted", ["float", "base64"])
def test_vectors_come_as_they_were_asked_for_whichever_way_they_are_written(gateway, provider, written, wanted):
    provider.script(vectors=written)
    status, _, body = embed(gateway, input=["one", "two"], encoding_format=wanted)
    assert status == 200, body
    vectors = [d["embedding"] for d in body["data"]]
    if wanted == "base64":
        vectors = [list(struct.unpack(f"<{len(base64.b64decode(v)) // 4}f", base64.b64decode(v))) for v in vectors]
    assert vectors == [pytest.approx(vector_of(text, 3)) for text in ("one", "two")]
    assert body["usage"] == {"prompt_tokens": 7, "total_tokens": 7}


def test_what_is_asked_fits_the_closed_schema_and_what_is_left_out_is_told(gateway, provider):
    status, head, body = embed(gateway, input="one", dimensions=8, user="u", made_up=True)
    sent = provider.last()["body"]
    assert status == 200 and sent["output_dimension"] == 8 and wrong("/v1/embeddings", sent) == []
    assert head["x-latenza-dropped"] == "user,made_up" and float(head["x-latenza-cost-eur"]) == pytest.approx(7 * 0.5e-6)


@pytest.mark.parametrize("tokens", [[1, 2], [[1, 2], [3]]])
def test_tokens_are_refused_by_name(gateway, provider, tokens):
    status, _, body = embed(gateway, input=tokens)
    assert (status, body["error"]["param"], body["error"]["code"]) == (400, "input", "unsupported_parameter")
    assert provider.calls(path="/embeddings") == 0


def test_what_a_chat_says_beyond_the_schema_is_told_or_refused(gateway, provider):
    key = gateway.key()
    _, head, _ = gateway.chat(key, temperature=2, logprobs=True, user="u", store=False, seed=5)
    assert head["x-latenza-dropped"] == "temperature,logprobs,user" and provider.last()["body"]["random_seed"] == 5
    for member, value in (("functions", [{"name": "f"}]), ("web_search_options", {}), ("audio", {"voice": "a"})):
        status, _, body = gateway.chat(key, **{member: value})
        assert (status, body["error"]["param"], body["error"]["code"]) == (400, member, "unsupported_parameter")


def test_a_limit_that_a_budget_counts_on_is_sent(gateway, provider):
    gateway.chat(gateway.key("short", max_output_tokens=20))
    assert provider.last()["body"]["max_tokens"] == 20
    gateway.chat(gateway.key("free"))
    assert "max_tokens" not in provider.last()["body"]
