"""The providers that speak another wire than OpenAI's, behind the gateway: what they answered comes out as OpenAI's,
whatever way its bytes are cut; what the gateway asks them is valid for them, and says what the client said.

tests/harness/wires.py is the table, a row for each provider; a test here belongs to all of them.

SPDX-License-Identifier: MIT
"""

import base64
import copy
import json
import re
import struct

import pytest

from harness.provider import Provider, vector_of
from harness.replay import ASK, CUTS, OURS, THEIRS, Exchange, Replayer, exchanges
from harness.wire import events_of, message_of_stream, said_by, wrong_answer, wrong_chunks
from harness.wires import WIRES

CAPABILITIES = ["streaming", "tools", "vision", "schema", "reasoning", "files", "audio"]


def recorded(wire):
    """(place, exchange) of all that there are."""
    places = {"ours": OURS / wire.name, "theirs": THEIRS / wire.theirs}
    return [(place, e) for place, folder in places.items() for e in exchanges(folder, wire.is_answer)]


def cases(choose=lambda wire, e: True):
    out = [pytest.param(wire, e, id=f"{wire.name}-{place}-{e.name}") for wire in WIRES.values()
           for place, e in recorded(wire) if choose(wire, e)]
    return out + [pytest.param(wire, None, id=f"{wire.name}-theirs", marks=pytest.mark.skip(
        "no recordings beside the repository: LATENZA_WIRE")) for wire in WIRES.values() if not (THEIRS / wire.theirs).is_dir()]


def openai_requests():
    """Every request that somebody sent to OpenAI for a chat."""
    return [(place, e) for place, folder in (("ours", OURS), ("theirs", THEIRS / "openai")) for e in exchanges(folder)
            if e.path == "/v1/chat/completions" and e.has_request]


def model_of(wire, e, cut):
    """A model for each answer, so that no breaker of one is met by the next."""
    return f"{wire.name}/{e.name}.{list(CUTS).index(cut)}"


@pytest.fixture(scope="module")
def scene(build, tmp_path_factory):
    from harness.gateway import Gateway
    replayer = Replayer()
    gateway = Gateway(build, tmp_path_factory.mktemp("wires") / "gateway")
    providers = {}
    for wire in WIRES.values():
        names = {wire.model} | {e.model for _, e in recorded(wire) if e.model} | \
            {e.openai["model"] for _, e in recorded(wire) if e.openai} | \
            {model_of(wire, e, cut).partition("/")[2] for _, e in recorded(wire) for cut in CUTS}
        providers[wire.name] = {"plugin": wire.name, "base_url": replayer.base_url, "api_keys": ["sk-replay-key"], **wire.more,
                                "models": [{"id": m, "price": "free", "max_output_tokens": 64000, "capabilities": CAPABILITIES}
                                           for m in sorted(names)]}
    gateway.change_config(providers=providers, routing={"attempts": 1})
    gateway.start()
    gateway.secret = gateway.key("wires")
    yield gateway, replayer
    gateway.close()
    replayer.close()


def ask(scene, exchange, cut, request):
    gateway, replayer = scene
    with replayer.lock:
        replayer.seen.clear()
    replayer.exchange, replayer.cut = exchange, CUTS[cut]
    return gateway.request("POST", "/v1/chat/completions", request, gateway.secret)


def answer_of(scene, wire, exchange, cut="at random"):
    request = {"model": model_of(wire, exchange, cut), "messages": ASK, "stream": exchange.is_stream}
    if exchange.is_stream:
        request["stream_options"] = {"include_usage": True}
    return ask(scene, exchange, cut, request)


def message_in(exchange, raw):
    """The message of an answer, its finish_reason and usage, as a client puts it together."""
    if exchange.is_stream:
        return message_of_stream([json.loads(d) for d in events_of(raw) if d != "[DONE]"])
    answer = json.loads(raw)
    return answer["choices"][0]["message"], answer["choices"][0]["finish_reason"], answer.get("usage")


def is_answered(wire, e):
    return e.name not in wire.refusals and e.name not in wire.cut_off


# ---- answers ----

def without_ours(raw):
    """Ids and times are new for each request, and so is the name that model_of() made up."""
    raw = re.sub(rb"chatcmpl-[0-9a-f]{32}", b"chatcmpl-OURS", raw)
    raw = re.sub(rb'"request_id":"[0-9a-f]{32}"', b'"request_id":"OURS"', raw)
    raw = re.sub(rb'"created":\d+', b'"created":0', raw)
    raw = re.sub(rb'call_[0-9A-Za-z]{24}', b'call_OURS', raw)
    return re.sub(rb"\.[0-4](['\"])", rb".N\1", raw)


@pytest.mark.parametrize("wire,exchange", cases())
def test_the_client_gets_the_same_however_the_bytes_are_cut(scene, wire, exchange):
    seen = {}
    for cut in CUTS:
        status, head, raw = answer_of(scene, wire, exchange, cut)
        seen[cut] = (status, head["content-type"], without_ours(raw))
    assert len(set(seen.values())) == 1, seen


@pytest.fixture(scope="module")
def schema():
    """OpenAI's own, where it is at hand: complaints about an answer or a chunk."""
    jsonschema = pytest.importorskip("jsonschema", reason="PyPI could not be reached: no jsonschema package")
    file = THEIRS / "schemas/openai.schema.json"
    if not file.exists():
        pytest.skip("no schema beside the repository: LATENZA_WIRE")
    whole = json.loads(file.read_text())
    return {name: jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": whole["$defs"]}) for name in
            ("CreateChatCompletionResponse", "CreateChatCompletionStreamResponse")}


@pytest.mark.parametrize("wire,exchange", cases(is_answered))
def test_the_answer_is_valid_by_openais_schema(scene, schema, wire, exchange):
    _, _, raw = answer_of(scene, wire, exchange)
    name = "CreateChatCompletionStreamResponse" if exchange.is_stream else "CreateChatCompletionResponse"
    answers = [json.loads(d) for d in events_of(raw)[:-1]] if exchange.is_stream else [json.loads(raw)]
    assert answers and [e.message[:200] for a in answers for e in schema[name].iter_errors(a)] == []


@pytest.mark.parametrize("wire,exchange", cases(is_answered))
def test_the_answer_is_openais_and_says_what_was_recorded(scene, wire, exchange):
    status, _, raw = answer_of(scene, wire, exchange)
    assert status == 200, raw
    wanted = wire.read(exchange)
    if exchange.is_stream:
        events = events_of(raw)
        assert events[-1] == "[DONE]" and b"data: \n" not in raw
        assert wrong_chunks([json.loads(e) for e in events[:-1]]) == []
    else:
        assert wrong_answer(json.loads(raw), wanted.usage is not None) == []
    said = said_by(*message_in(exchange, raw))
    assert len(said.calls) == len(wanted.calls) and len({c[0] for c in said.calls}) == len(said.calls)
    named = tuple((said.calls[i][0] if c[0] is None else c[0], *c[1:]) for i, c in enumerate(wanted.calls))
    assert said == wanted._replace(calls=named)


@pytest.mark.parametrize("wire,exchange", cases(lambda wire, e: e.name in wire.refusals))
def test_a_refusal_is_told_by_the_fault_table(scene, wire, exchange):
    status, head, raw = answer_of(scene, wire, exchange)
    error = json.loads(raw)["error"]
    assert (status, error["code"]) == wire.refusals[exchange.name]
    assert set(error) >= {"message", "type", "param", "code"} and len(head["x-request-id"]) == 32
    if status == 429:
        assert 1 <= int(head["retry-after"]) <= 60
    assert b"sk-replay-key" not in raw


@pytest.mark.parametrize("wire,exchange", cases(lambda wire, e: e.name in wire.cut_off))
def test_a_stream_that_ends_in_an_error_says_so(scene, wire, exchange):
    status, _, raw = answer_of(scene, wire, exchange)
    events = events_of(raw)
    assert status == 200 and len(events) > 1 and "[DONE]" not in events
    assert json.loads(events[-1])["error"]["type"] == "upstream_error"
    assert not any(c["finish_reason"] for e in events[:-1] for c in json.loads(e)["choices"])


def test_an_error_before_the_first_byte_goes_to_the_next_provider(make_gateway, provider):
    """Also when it comes as the first event of a stream whose status is 200."""
    for wire in WIRES.values():
        for _, e in recorded(wire):
            if wire.refusals.get(e.name, (0,))[0] != 502:
                continue
            replayer = Replayer()
            replayer.exchange = e
            facts = {"price": "free", "context_window": 32768, "capabilities": CAPABILITIES}
            gateway = make_gateway(config={"providers": {
                wire.name: {"plugin": wire.name, "base_url": replayer.base_url, "api_keys": ["k"], **wire.more,
                            "models": [{"id": "twin", **facts}]},
                "spare": {"plugin": "compatible", "base_url": provider.base_url, "api_keys": ["k"],
                          "models": [{"id": "twin", **facts}]}}})
            status, head, raw = gateway.request("POST", "/v1/chat/completions", {
                "model": "twin", "messages": ASK, "stream": e.is_stream}, gateway.key("app"))
            assert (status, head["x-latenza-provider"], b"Replay, please." in raw) == (200, "spare", True), e.name
            replayer.close()


# ---- requests ----

def an_answer(wire, is_stream):
    return next(e for _, e in recorded(wire) if e.is_stream == is_stream and is_answered(wire, e))


def send(scene, wire, request):
    """What the provider was asked, or None and what the client was told."""
    status, head, raw = ask(scene, an_answer(wire, bool(request.get("stream"))), "whole",
                            {**request, "model": f"{wire.name}/{request['model']}"})
    return (scene[1].seen[-1], head) if scene[1].seen else (None, json.loads(raw)["error"])


@pytest.mark.parametrize("wire,exchange", [pytest.param(wire, e, id=f"{wire.name}-{place}-{e.name}") for wire in WIRES.values()
                                           for place, e in openai_requests()])
def test_what_was_asked_of_openai_is_asked_validly_or_refused(scene, wire, exchange):
    sent, told = send(scene, wire, {**exchange.request, "model": wire.model})
    if exchange.name == "err-400-max-tokens":  # the gateway's own refusal: it asks for 0 tokens
        assert sent is None and told["param"] == "max_tokens"
    elif exchange.name in wire.refused:
        assert sent is None and (told["code"], told["param"]) == ("unsupported_parameter", wire.refused[exchange.name])
    else:
        assert sent is not None, told
        assert wire.wrong(*sent) == []


@pytest.mark.parametrize("wire,exchange", cases(lambda wire, e: e.openai))
def test_a_request_of_openais_becomes_this_one(scene, wire, exchange):
    assert wire.wrong(exchange.path, exchange.request) == []
    sent, told = send(scene, wire, exchange.openai)
    assert sent is not None, told
    assert sent[1] == exchange.request


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("wire", [pytest.param(w, id=w.name) for w in WIRES.values() if w.told[0]])
def test_what_is_left_out_is_told(scene, wire, is_stream):
    members, names = wire.told
    sent, head = send(scene, wire, {"model": wire.model, "messages": ASK, "stream": is_stream, **members})
    assert sent is not None and wire.wrong(*sent) == []
    assert head["x-latenza-dropped"] == names
    assert scene[0].trace(head["x-request-id"])["metadata"] == {"latenza.dropped": names}
    _, head = send(scene, wire, {"model": wire.model, "messages": ASK, "stream": is_stream})
    assert "x-latenza-dropped" not in head and not scene[0].trace(head["x-request-id"]).get("metadata")


def test_what_another_attempt_left_out_is_not_told(make_gateway, provider):
    """The one that answers had a twin for it."""
    wire = next(w for w in WIRES.values() if w.told[0])
    failing = next(e for _, e in recorded(wire) if wire.refusals.get(e.name, (0,))[0] == 502 and not e.is_stream)
    replayer = Replayer()
    replayer.exchange = failing
    facts = {"price": "free", "context_window": 32768, "capabilities": CAPABILITIES}
    gateway = make_gateway(config={"providers": {
        wire.name: {"plugin": wire.name, "base_url": replayer.base_url, "api_keys": ["k"], "models": [{"id": "twin", **facts}]},
        "spare": {"plugin": "compatible", "base_url": provider.base_url, "api_keys": ["k"], "models": [{"id": "twin", **facts}]}}})
    _, head, _ = gateway.chat(gateway.key("app"), model="twin", **wire.told[0])
    replayer.close()
    assert head["x-latenza-provider"] == "spare" and replayer.seen and "x-latenza-dropped" not in head
    assert provider.last()["body"]["seed"] == wire.told[0]["seed"]


TWINS = [pytest.param(wire, ours, theirs, ignored, id=f"{wire.name}-{ours}") for wire in WIRES.values()
         for ours, (theirs, ignored) in wire.twins.items()]


@pytest.mark.parametrize("wire,openai,provider,ignored", TWINS)
def test_twins_translate_into_each_other(scene, wire, openai, provider, ignored):
    if not (THEIRS / "openai" / f"{openai}.meta.json").exists():
        pytest.skip("no recordings beside the repository: LATENZA_WIRE")
    wanted = Exchange(THEIRS / wire.theirs, provider)
    sent, told = send(scene, wire, {**Exchange(THEIRS / "openai", openai).request, "model": wanted.model or wire.model})
    assert sent is not None, told
    got, wanted = ({k: v for k, v in wire.taste(body).items() if k not in ignored} for body in (sent[1], wanted.request))
    assert got == wanted


def turns():
    for wire in WIRES.values():
        by_name = {e.name: e for _, e in recorded(wire)}
        for first, second in wire.turns:
            skip = () if first in by_name else pytest.mark.skip("no recordings beside the repository: LATENZA_WIRE")
            yield pytest.param(wire, by_name.get(first), by_name.get(second), id=f"{wire.name}-{first}", marks=skip)


@pytest.mark.parametrize("wire,first,second", list(turns()))
def test_an_answer_that_is_sent_back_arrives_as_the_provider_gave_it(scene, wire, first, second):
    """Tool calls with their ids, thinking with its signatures: what the client has of them is enough for the next turn."""
    _, _, raw = answer_of(scene, wire, first)
    message = {k: v for k, v in message_in(first, raw)[0].items() if v is not None}
    request = {"model": second.model or wire.model, "messages": wire.ask_again(second.request, copy.deepcopy(message))}
    sent, told = send(scene, wire, request)
    assert sent is not None, told
    assert wire.wrong(*sent) == []
    got, wanted = ([wire.taste(body).get(name) for name in ("messages", "signatures")] for body in (sent[1], second.request))
    assert got == wanted


def test_what_a_plugin_refuses_is_no_sign_of_its_providers_health(make_gateway):
    """Nothing was sent: five failures in a row open the breaker, whatever was refused between them."""
    wire, replayer = WIRES["anthropic"], Replayer()
    replayer.exchange = Exchange(OURS / wire.name, "error-529")
    gateway = make_gateway(config={"routing": {"attempts": 1}, "providers": {wire.name: {
        "plugin": wire.name, "base_url": replayer.base_url, "api_keys": ["k"], "models": [{"id": "one", "price": "free"}]}}})
    key = gateway.key("app")
    for _ in range(4):
        assert gateway.chat(key, model="one")[0] == 502
    status, _, answer = gateway.chat(key, model="one", n=2)
    assert (status, answer["error"]["param"], len(replayer.seen)) == (400, "n", 4)
    assert gateway.events("provider.down") == []
    assert gateway.chat(key, model="one")[0] == 502
    assert len(gateway.events("provider.down")) == 1
    replayer.close()


# ---- vectors ----

@pytest.mark.parametrize("text", ["one", ["one", "two"]])
@pytest.mark.parametrize("form", ["float", "base64"])
def test_google_makes_vectors_written_as_the_caller_asks(make_gateway, form, text):
    """Google counts nothing here: what the host reckons is told, and charged as an estimate."""
    with Provider(dialect=WIRES["google"].scripted) as google:
        gateway = make_gateway(config={"providers": {"google": {
            "plugin": "google", "base_url": google.base_url, "api_keys": ["k"],
            "models": [{"id": "gemini-embedding-001", "mode": "embedding", "price_input_per_mtok": 0.15}]}}})
        status, _, raw = gateway.request("POST", "/v1/embeddings", {
            "model": "gemini-embedding-001", "input": text, "encoding_format": form, "dimensions": 4}, gateway.key("app"))
        answer, texts = json.loads(raw), [text] if isinstance(text, str) else text
        assert status == 200, raw
        vectors = [list(struct.unpack("<4f", base64.b64decode(d["embedding"]))) if form == "base64" else d["embedding"]
                   for d in answer["data"]]
        assert vectors == [vector_of(t, 4) for t in texts]
        assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 0
        assert google.last()["path"].endswith(":embedContent" if isinstance(text, str) else ":batchEmbedContents")
        trace = gateway.traces()[-1]
        assert trace["attempts"][0]["state"] == "estimated", trace
