"""Exchanges with OpenAI replayed through the gateway: whatever way the provider's bytes are cut, the client gets the same,
and it gets what was recorded; and what the gateway sends is valid by OpenAI's own schema.

SPDX-License-Identifier: MIT
"""

import copy
import json
import re

import pytest

from harness.replay import CUTS, OURS, THEIRS, Replayer, exchanges

ALL = [pytest.param(e, id=f"{who}-{e.name}") for who, folder in (("ours", OURS), ("theirs", THEIRS / "openai"))
       for e in exchanges(folder)]
if not (THEIRS / "openai").is_dir():
    ALL.append(pytest.param(None, id="theirs", marks=pytest.mark.skip("no recordings beside the repository: LATENZA_WIRE")))

# What is said of each refusal: status and code; the message is the provider's own unless it is about the gateway's account.
REFUSALS = {
    # Its request says max_tokens: 0, which the gateway refuses itself.
    "err-400-max-tokens": (400, None),
    "error-400": (400, "too_hot"), "error-401": (502, "upstream_credentials"), "error-404": (404, "model_not_found"),
    "error-429": (429, "upstream_rate_limited"),
    "err-400-context-length": (400, "context_length_exceeded"), "err-400-image-download": (400, "invalid_image_url"),
    "err-401": (502, "upstream_credentials"),
    "err-404-embeddings": (404, "model_not_found"), "err-404-model": (404, "model_not_found"),
    "is-err-400-azure-content-filter": (400, "content_filter"), "is-err-429-quota": (502, "upstream_credentials"),
    "is-err-429-tpm": (429, "upstream_rate_limited"),
}


@pytest.fixture(scope="module")
def scene(build, tmp_path_factory):
    from harness.gateway import Gateway
    replayer = Replayer()
    models = sorted({e.request["model"] for e in (p.values[0] for p in ALL if p.values[0])})
    gateway = Gateway(build, tmp_path_factory.mktemp("replay") / "gateway")
    embeds = {m for m in models if "embedding" in m}
    gateway.change_config(providers={"openai": {"plugin": "openai", "base_url": replayer.base_url, "api_keys": ["sk-replay-key"],
                                                "models": [{"id": m, "price": "free",
                                                            "mode": "embedding" if m in embeds else "chat"} for m in models]}},
                          routing={"attempts": 1})
    gateway.start()
    gateway.secret = gateway.key("replay")
    yield gateway, replayer
    gateway.close()
    replayer.close()


def ask(scene, exchange, cut, request=None):
    """What the client gets; the breaker must not open on the many refusals: they are the provider's word on the request."""
    gateway, replayer = scene
    replayer.exchange, replayer.cut = exchange, CUTS[cut]
    return gateway.request("POST", exchange.path, request or exchange.request, gateway.secret)


def without_ids(raw):
    """What we made up ourselves, an id and a time, differs between two requests."""
    raw = re.sub(rb"chatcmpl-[0-9a-f]{32}", b"chatcmpl-OURS", raw)
    raw = re.sub(rb'"request_id":"[0-9a-f]{32}"', b'"request_id":"OURS"', raw)
    return re.sub(rb'"id":"chatcmpl-OURS","object":"chat.completion.chunk","created":\d+', b'"id":"chatcmpl-OURS"', raw)


@pytest.mark.parametrize("exchange", ALL)
def test_the_client_gets_the_same_however_the_bytes_are_cut(scene, exchange):
    seen = {}
    for cut in CUTS:
        status, head, raw = ask(scene, exchange, cut)
        seen[cut] = (status, head["content-type"], without_ids(raw))
    assert len(set(seen.values())) == 1, seen


# ---- and it is what was recorded ----

def data_of(raw):
    """The data of each event, by the rules of the specification and none of our code."""
    text = raw.decode().replace("\r\n", "\n").replace("\r", "\n")
    out = []
    for event in text.split("\n\n"):
        lines = [line[5:].removeprefix(" ") for line in event.split("\n") if line.startswith("data:")]
        if lines and "\n".join(lines):
            out.append("\n".join(lines))
    return out


def wanted_events(exchange):
    """What a client should see of a recorded stream: [DONE] aside, what it did not ask for left out, tools from 0."""
    wants_usage = (exchange.request.get("stream_options") or {}).get("include_usage")
    events = [json.loads(d) for d in data_of(exchange.body) if d != "[DONE]"]
    events = [e for e in events if e.get("choices") or wants_usage or "usage" not in e]
    places = {}
    for event in events:
        for choice in event.get("choices", []):
            for call in (choice.get("delta") or {}).get("tool_calls") or []:
                of = places.setdefault(choice["index"], [])
                if call["index"] not in of:
                    of.append(call["index"])
                call["index"] = of.index(call["index"])
    return events


@pytest.mark.parametrize("exchange", [p for p in ALL if p.values[0] is None or
                                      (p.values[0].is_stream and p.values[0].status == 200)])
def test_a_stream_is_what_was_recorded(scene, exchange):
    status, _, raw = ask(scene, exchange, "at random")
    got = data_of(raw)
    assert status == 200 and got[-1] == "[DONE]" and b"data: \n" not in raw and b"data:\n" not in raw
    got, wanted = [json.loads(d) for d in got[:-1]], wanted_events(exchange)
    made_up = got[len(wanted):]
    assert got[:len(wanted)] == wanted
    finished = {c["index"] for e in wanted for c in e.get("choices", []) if c.get("finish_reason")}
    asked = {c["index"] for e in wanted for c in e.get("choices", [])}
    assert {c["index"] for e in made_up for c in e["choices"] if c["finish_reason"]} == asked - finished


@pytest.mark.parametrize("exchange", [p for p in ALL if p.values[0] is None or
                                      (not p.values[0].is_stream and p.values[0].status == 200)])
def test_a_whole_answer_is_what_was_recorded_byte_for_byte(scene, exchange):
    status, _, raw = ask(scene, exchange, "at random")
    assert (status, raw) == (200, exchange.body)


@pytest.mark.parametrize("exchange", [p for p in ALL if p.values[0] is None or p.values[0].status != 200])
def test_a_refusal_is_told_by_the_fault_table(scene, exchange):
    said = json.loads(exchange.body)["error"]
    status, head, raw = ask(scene, exchange, "whole")
    error = json.loads(raw)["error"]
    assert (status, error["code"]) == REFUSALS[exchange.name]
    assert set(error) >= {"message", "type", "param", "code"} and len(head["x-request-id"]) == 32
    if error["code"] and status in (400, 404):
        assert error["message"] == said["message"].replace("sk-replay-key", "***") and error["param"] == said["param"]
    if status == 429:
        assert 1 <= int(head["retry-after"]) <= 60
    assert b"sk-replay-key" not in raw


# ---- what the gateway sends ----

@pytest.fixture(scope="module")
def schema():
    jsonschema = pytest.importorskip("jsonschema", reason="PyPI could not be reached: no jsonschema package")
    file = THEIRS / "schemas/openai.schema.json"
    if not file.exists():
        pytest.skip("no schema beside the repository: LATENZA_WIRE")
    whole = json.loads(file.read_text())
    names = {"/v1/chat/completions": "CreateChatCompletionRequest", "/v1/embeddings": "CreateEmbeddingRequest"}
    return {path: jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": whole["$defs"]})
            for path, name in names.items()}


def wrong(schema, path, body):
    return [f"{'/'.join(map(str, e.path))}: {e.message[:200]}" for e in schema[path].iter_errors(body)]


@pytest.mark.parametrize("exchange", ALL)
def test_what_the_gateway_sends_is_valid(scene, schema, exchange):
    """One of the recorded requests is not, and is refused before it is sent."""
    scene[1].seen.clear()
    ask(scene, exchange, "whole")
    if REFUSALS.get(exchange.name) == (400, None):
        assert scene[1].seen == [] and wrong(schema, exchange.path, exchange.request)
        return
    path, body = scene[1].seen[-1]
    assert path == exchange.path and wrong(schema, path, body) == []


WAYS = {
    "plain": {}, "streamed": {"stream": True}, "usage": {"stream": True, "stream_options": {"include_usage": True}},
    "no usage": {"stream": True, "stream_options": {"include_usage": False}},
    "no options": {"stream": True, "stream_options": None},
    "obfuscation": {"stream": True, "stream_options": {"include_obfuscation": False}},
    "old limit": {"max_tokens": 7}, "new limit": {"max_completion_tokens": 7},
    "both limits": {"max_tokens": 9, "max_completion_tokens": 7}, "null limit": {"max_completion_tokens": None},
    "a large limit": {"max_completion_tokens": 90000}, "all": {
        "temperature": 1, "top_p": 0.5, "n": 2, "stop": ["a", "b"], "presence_penalty": 1, "frequency_penalty": -1, "seed": 3,
        "logit_bias": {"50256": -100}, "user": "u", "metadata": {"a": "b"}, "store": False, "logprobs": True, "top_logprobs": 2,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}], "tool_choice": "required",
        "parallel_tool_calls": False, "reasoning_effort": "low", "verbosity": "low", "service_tier": "auto",
        "safety_identifier": "s", "prompt_cache_key": "k", "modalities": ["text"],
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": {"type": "object"}}}},
}


@pytest.fixture(scope="module")
def keys(scene):
    gateway = scene[0]
    return {"free": gateway.secret, "short": gateway.key("short", max_output_tokens=20),
            "counted": gateway.key("counted", budget_monthly_eur=1)}


@pytest.mark.parametrize("key", ["free", "short", "counted"])
@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5-mini"])
@pytest.mark.parametrize("way", WAYS)
def test_whatever_the_gateway_changes_the_request_stays_valid(scene, schema, keys, way, model, key):
    gateway, replayer = scene
    answer = "stream-text" if "stream" in WAYS[way] else "whole-text"
    replayer.exchange, replayer.cut = next(e for e in exchanges(OURS) if e.name == answer), CUTS["whole"]
    request = {"model": model, "messages": [{"role": "developer", "content": "x"}, {"role": "user", "content": [
        {"type": "text", "text": "y"}, {"type": "image_url", "image_url": {"url": "https://a/b.png"}}]}], **WAYS[way]}
    assert wrong(schema, "/v1/chat/completions", request) == []
    replayer.seen.clear()
    status, _, raw = gateway.request("POST", "/v1/chat/completions", copy.deepcopy(request), keys[key])
    assert len(replayer.seen) == 1, (status, raw)
    path, body = replayer.seen[-1]
    assert wrong(schema, path, body) == []
    limits = [m for m in ("max_tokens", "max_completion_tokens") if body.get(m) is not None]
    assert len(limits) <= 1
    if model == "gpt-5-mini":
        assert limits in ([], ["max_completion_tokens"])
    if key == "short":
        assert body[limits[0]] == min(20, request.get("max_completion_tokens") or 20, request.get("max_tokens") or 20)
    same = set(request) - {"max_tokens", "max_completion_tokens", "stream_options"}
    assert {m: body[m] for m in same} == {m: request[m] for m in same}
    if request.get("stream"):
        assert body["stream_options"]["include_usage"] is True
