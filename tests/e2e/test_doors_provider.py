"""A provider answers with garbage: the caller gets one right answer or an honest end, there is one trace, nothing stays
reserved, no descriptor stays open, and nobody else notices.

Each case has a model of its own, so that the breaker of one is not another's.

SPDX-License-Identifier: MIT
"""

import json
import socket
import time
from random import Random

import pytest
from harness.doors import (PROVIDER_SECRET, RESET, STREAM_HEAD, Doors, RawProvider, chat_body, check_error, chunk, completion, event,
                           mutate, post, whole)
from harness.gateway import PRICES, free_port
from harness.provider import Provider

OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
FINE = json.dumps(completion()).encode()
LIMIT = 1 << 20


def error(status, body, *fields, media="application/json"):
    return [whole(body, f"{status} Sorry", fields, media)]


def sized(body=FINE, head=OK_HEAD, length=None):
    return head + b"Content-Length: %d\r\n\r\n" % (len(body) if length is None else length) + body


def endless(body):
    yield OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    while True:
        yield chunk(b" " * 65536)


def endless_head(body):
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"X-Filler: " + b"a" * 1000 + b"\r\n"


def endless_interim(body):
    while True:
        yield b"HTTP/1.1 100 Continue\r\n\r\n" * 10


# What must be passed on as a good answer, ...
GOOD = {
    "plain": [whole(FINE)],
    "no reason phrase": [sized(head=b"HTTP/1.1 200\r\nContent-Type: application/json\r\n")],
    "byte by byte": [bytes([b]) for b in sized()],
    "http/1.0, ended by close": [b"HTTP/1.0 200 OK\r\n\r\n" + FINE],
    "ended by close": [OK_HEAD + b"Connection: close\r\n\r\n" + FINE],
    "chunked with extensions and trailers": [OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x;a=b\r\n%s\r\n0\r\nX-T: 1\r\n\r\n" % (len(FINE), FINE)],
    "a few interim answers": [b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", sized()],
    "another content type": [whole(FINE, media="text/html")],
    "another 2xx": [whole(FINE, "201 Created")],
    "spaces around": [whole(b" \r\n\t" + FINE + b"\n ")],
    "bytes behind the end": [sized(FINE + b"HTTP/1.1 200 OK\r\n\r\n", length=len(FINE))],
    "another model": [whole(completion(model="not-what-was-asked", id=5, created="now"))],
    "odd escapes": [whole(json.dumps(completion("\u0000 \ud83d\ude00 \u2028 \x7f")).encode())],
    "unknown members": [whole(completion(**{"x" * 50: [{}] * 50, "error": None, "__proto__": {}}))],
}
# ... and what as a failure of the provider: 502.
BAD = {
    "nothing": [b""],
    "reset at once": [RESET],
    "http/0.9": [b"hello"],
    "not http": [b"\x00\x01\x02\x03" * 100],
    "ssh": [b"SSH-2.0-OpenSSH_9.2\r\n"],
    "half a head": [b"HTTP/1.1 200 OK\r\nContent-"],
    "head and no body": [OK_HEAD + b"Content-Length: 500\r\n\r\n"],
    "reset inside the body": [sized(FINE[:50], length=len(FINE)), RESET],
    "closed inside the body": [sized(FINE[:50], length=len(FINE))],
    "closed inside a chunk": [OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\nfff\r\n{"],
    "no last chunk": [OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(FINE)],
    "a chunk of no size": [OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n" + FINE],
    "a chunk beyond 64 bits": [OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + FINE],
    "two lengths": [OK_HEAD + b"Content-Length: %d\r\nContent-Length: 5\r\n\r\n" % len(FINE) + FINE],
    "a negative length": [OK_HEAD + b"Content-Length: -5\r\n\r\n" + FINE],
    "a length that is none": [OK_HEAD + b"Content-Length: many\r\n\r\n" + FINE],
    "a length beyond 64 bits": [OK_HEAD + b"Content-Length: 99999999999999999999\r\n\r\n" + FINE],
    "a length beyond the limit": [OK_HEAD + b"Content-Length: 2000000000\r\n\r\n" + FINE],
    "an endless body": endless,
    "an endless head": endless_head,
    "interim answers without end": endless_interim,
    "a field of 1 MB": [b"HTTP/1.1 200 OK\r\nX: " + b"a" * LIMIT + b"\r\n\r\n" + FINE],
    "a folded field": [OK_HEAD + b"X: a\r\n b\r\nContent-Length: %d\r\n\r\n" % len(FINE) + FINE],
    "another protocol": [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + FINE],
    "compressed": [whole(b"\x1f\x8b\x08\x00" + b"x" * 50, fields=["Content-Encoding: gzip"])],
    "said to be compressed": [whole(FINE, fields=["Content-Encoding: br"])],
    "a transfer coding": [OK_HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + chunk(FINE) + b"0\r\n\r\n"],
    "a redirect": [whole(b"", "302 Found", ["Location: http://127.0.0.1:1/"])],
    "not modified": [b"HTTP/1.1 304 Not Modified\r\n\r\n"],
    "no content": [b"HTTP/1.1 204 No Content\r\n\r\n"],
    "no body": [whole(b"")],
    "a status of 4 digits": [b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n{}"],
    "a negative status": [b"HTTP/1.1 -20 OK\r\nContent-Length: 2\r\n\r\n{}"],
    "status 99": [b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\n{}"],
    "status 600": error(600, b"{}"),
    "html": [whole(b"<html>Bad gateway</html>", media="text/html")],
    "json of another kind": [whole(b"[]")],
    "a string": [whole(b'"fine"')],
    "null": [whole(b"null")],
    "half of the json": [whole(FINE[:-5])],
    "two documents": [whole(FINE + FINE)],
    "bytes that are no text": [whole(FINE.replace(b"fine", b"\xff\xfe\xed\xa0\x80"))],
    "a NUL": [whole(FINE + b"\0")],
    "deep": [whole(b'{"choices":' + b"[" * 5000 + b"]" * 5000 + b"}")],
    "no choices": [whole({"id": "x"})],
    "choices null": [whole(completion(choices=None))],
    "choices a string": [whole(completion(choices="fine"))],
    "choices an object": [whole(completion(choices={}))],
    "choices empty": [whole(completion(choices=[]))],
    "an error under a 200": [whole({"error": {"message": "no", "code": 5}})],
    "an error and choices": [whole(completion(error={"message": "no"}))],
    "status 500": error(500, {"error": {"message": "x"}}),
    "status 503": error(503, b""),
    "status 529": error(529, {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}),
    "credentials": error(401, {"error": {"message": f"Incorrect API key provided: {PROVIDER_SECRET}", "code": "invalid_api_key"}}),
    "forbidden": error(403, f"<h1>{PROVIDER_SECRET}</h1>".encode(), media="text/html"),
}
# Shapes of choices that nobody of ours looks into: passed on, or refused; never half of it.
ODD_CHOICES = [[1], [None], ["x"], [[]], [{}], [{"message": None}], [{"message": 5}], [{"message": {"content": 5}}], [{"message": {"content": {}}}],
               [{"message": {"content": ["x"]}}], [{"index": -1}], [{"index": 2**40, "message": {"content": "x"}}], [{"index": "a"}],
               [{"finish_reason": 5}], [{"finish_reason": {}}], [{"message": {"tool_calls": None}}], [{"message": {"tool_calls": "x"}}],
               [{"message": {"tool_calls": [{"function": {"arguments": {}}}]}}], [{"message": {"content": "x" * 5000}}] * 200]
ERRORS = [b"", b"null", b"[]", b'"x"', b"5", b"{", b"<html>", b"\xff\xfe", b'{"error":null}', b'{"error":"a word"}', b'{"error":5}', b'{"error":[]}',
          b'{"error":{}}', b'{"error":{"message":null,"code":null}}', b'{"error":{"message":5,"code":[],"param":{},"type":1}}',
          b'{"error":{"message":"\\u0000\\u001b[31m\\ud83d\\ude00"}}', b'{"error":{"message":"\xff"}}', b'{"error":{"message":"","code":""}}',
          b'{"error":{"message":"' + b"m" * 300000 + b'"}}', b'{"error":{"code":"' + b"c" * 100000 + b'","param":"' + b"p" * 100000 + b'"}}',
          b'{"error":{"message":"a","message":"b"}}', b'{"error":' + b'{"error":' * 200 + b"1" + b"}" * 201, b'{"message":"elsewhere"}',
          b'{"detail":[{"loc":["body"],"msg":"x"}]}', b'{"error":{"message":"line\\r\\nX-Injected: 1\\r\\n\\r\\n","code":"a\\r\\nb"}}',
          json.dumps({"error": {"message": f"bad key {PROVIDER_SECRET} in {{}}", "code": PROVIDER_SECRET, "param": PROVIDER_SECRET}}).encode()]
RETRY_AFTER = ["0", "-5", "1", "59", "61", "31536000", "99999999999999999999", "1.5", "soon", "", "\xff", "Wed, 21 Oct 2035 07:28:00 GMT",
               "Wed, 21 Oct 2015 07:28:00 GMT", "1, 2"]
NUMBERS = [None, "7", -1, -2**63, 2**63 - 1, 2**31, 1.5, -0.5, 1e300, True, [], {}, [7], "-7"]
USAGES = ([u for n in NUMBERS for u in ({"prompt_tokens": n, "completion_tokens": 5}, {"prompt_tokens": 7, "completion_tokens": n})] +
          [None, 5, "x", [], {}, {"prompt_tokens": 7}, {"total_tokens": 2**62}, {"completion_tokens": 2**62, "prompt_tokens": 2**62},
           {"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 2**62}},
           {"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": -2**62}},
           {"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": "x", "completion_tokens_details": []},
           {"prompt_tokens": 7, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": -3}},
           {"prompt_tokens": 7, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 2**62}}])


def stream(*pieces):
    return [STREAM_HEAD, *pieces, b"0\r\n\r\n"]


def line(text):
    return chunk(text if isinstance(text, bytes) else text.encode())


TEXT, FINISH, DONE = event({"role": "assistant", "content": "fine"}), event({}, "stop"), line("data: [DONE]\n\n")
USAGE = event(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 5})
RAW_TEXT = json.dumps({"choices": [{"index": 0, "delta": {"content": "fine"}, "finish_reason": "stop"}]})


def pings(body):
    yield STREAM_HEAD
    yield TEXT
    for _ in range(60):
        yield line(": ping\n\n")
        time.sleep(0.2)


def endless_line(body):
    yield STREAM_HEAD
    yield TEXT
    yield line("data: ")
    while True:
        yield chunk(b"a" * 65536)


# Streams that are whole for the client: some text and [DONE].
GOOD_STREAMS = {
    "plain": stream(TEXT, FINISH, USAGE, DONE),
    "crlf": stream(line(f"data: {RAW_TEXT}\r\n\r\n"), line("data: [DONE]\r\n\r\n")),
    "cr": stream(line(f"data: {RAW_TEXT}\r\r"), line("data: [DONE]\r\r")),
    "no space": stream(line(f"data:{RAW_TEXT}\n\n"), line("data:[DONE]\n\n")),
    "a bom": stream(line(b"\xef\xbb\xbfdata: " + RAW_TEXT.encode() + b"\n\n"), DONE),
    "fields and comments": stream(line(f": hi\nevent: message\nid: 1\nretry: 5\nunknown\ndata: {RAW_TEXT}\n\n"), DONE),
    "empty events": stream(line("\n\n\ndata:\n\ndata\n\n"), TEXT, FINISH, line("data: \n\n"), DONE),
    "two data lines": stream(line("data: " + RAW_TEXT.replace(", ", ",\ndata: ", 1) + "\n\n"), DONE),
    "bytes that are no text": stream(TEXT, line(b"data: {\"a\":\"\xff\"}\n\n"), FINISH, DONE),
    "usage in two data lines": stream(TEXT, FINISH, line('data: {"choices":[],\ndata: "usage":{"prompt_tokens":7,"completion_tokens":5}}\n\n'), DONE),
    "byte by byte": stream(*[chunk(bytes([b])) for b in f"data: {RAW_TEXT}\n\ndata: [DONE]\n\n".encode()]),
    "no [DONE]": stream(TEXT, FINISH),
    "no finish": stream(TEXT, DONE),
    "no usage": stream(TEXT, FINISH, DONE),
    "finish twice": stream(TEXT, FINISH, FINISH, DONE),
    "usage twice": stream(TEXT, FINISH, USAGE, USAGE, DONE),
    "usage in every chunk": stream(event({"content": "fine"}, usage={"prompt_tokens": 7, "completion_tokens": 1}), event({}, "stop", usage=None), DONE),
    "more behind [DONE]": stream(TEXT, FINISH, DONE, TEXT, line("data: garbage\n\n")),
    "[DONE] twice": stream(TEXT, FINISH, DONE, DONE),
    "a reset behind [DONE]": [STREAM_HEAD, TEXT, FINISH, DONE, RESET],
    "interim first": [b"HTTP/1.1 100 Continue\r\n\r\n", *stream(TEXT, FINISH, DONE)],
    "ended by close": [STREAM_HEAD.replace(b"Transfer-Encoding: chunked\r\n", b""), f"data: {RAW_TEXT}\n\ndata: [DONE]\n\n".encode()],
}
# Streams that fail before anything was seen: an error with a status.
BAD_STREAMS = {
    "nothing": stream(),
    "closed at once": [STREAM_HEAD],
    "reset at once": [STREAM_HEAD, RESET],
    "comments only": stream(line(": a\n\n: b\n\n")),
    "not json": stream(line("data: hello\n\n")),
    "not an object": stream(line("data: [1]\n\n")),
    "null": stream(line("data: null\n\n")),
    "an error first": stream(line('data: {"error":{"message":"no","code":"overloaded"}}\n\n')),
    "an error that is a word": stream(line('data: {"error":"no"}\n\n')),
    "a whole answer": [whole(FINE)],
    "html": [whole(b"<html>", media="text/html")],
    "an error with the key": error(401, {"error": {"message": PROVIDER_SECRET}}),
    "an event too large": stream(chunk(b"data: " + b"a" * 3 * LIMIT)),
    "compressed": [STREAM_HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"), TEXT],
}
# Streams that fail behind the first text: what came, an error event, no [DONE].
CUT_STREAMS = {
    "reset": [STREAM_HEAD, TEXT, 0.1, RESET],
    "closed without last chunk": [STREAM_HEAD, TEXT],
    "ended without finish": stream(TEXT),
    "half an event": stream(TEXT, line('data: {"choices":[{"index":0')),
    "not json": stream(TEXT, line("data: hello\n\n"), FINISH, DONE),
    "an error": stream(TEXT, line('data: {"error":{"message":"no"}}\n\n'), DONE),
    "an error with the key": stream(TEXT, line(f'data: {{"error":{{"message":"{PROVIDER_SECRET}"}}}}\n\n'), DONE),
    "an endless line": endless_line,
    "pings only": pings,
    "a bad chunk": [STREAM_HEAD, TEXT, b"xyz\r\n"],
}
DELTAS = [None, 5, "x", [], {"content": 5}, {"content": {}}, {"content": None}, {"content": ["x"]}, {"tool_calls": None}, {"tool_calls": 5},
          {"tool_calls": []}, {"tool_calls": [None]}, {"tool_calls": [{"index": -1}]}, {"tool_calls": [{"index": 2**40, "function": 5}]},
          {"content": "finish_reason"}, {"content": "content"}, {"content": "\ud800"}, {"role": 5}, {"refusal": 5}]
CHOICES = [[None], [5], ["x"], [[]], [{}], [{"index": -1, "delta": {"content": "a"}}], [{"index": 2**40, "delta": {"content": "a"}}],
           [{"index": "0", "delta": {"content": "a"}}], [{"index": 1.5}], [{"index": None}], [{"delta": {"content": "a"}}] * 300,
           [{"index": i, "delta": {"content": "a"}} for i in range(300)], [{"index": 0, "finish_reason": 5}], [{"index": 0, "finish_reason": {}}]]
ODD_CHUNKS = [{"choices": c} for c in [None, 5, "x", {}, *CHOICES]] + [{"choices": [{"index": 0, "delta": d}]} for d in DELTAS] + [
    {}, {"usage": 5}, {"choices": [], "usage": "x"}, *({"choices": [], "usage": u} for u in USAGES if isinstance(u, dict))]


def mutants(seed):
    """Answers with bytes changed at random, whole or streamed as it was asked."""
    random = Random(seed)
    whole_answer, stream_answer = whole(FINE), b"".join(stream(event({"role": "assistant", "content": ""}), TEXT, FINISH, USAGE, DONE))

    def answer(body):
        return [mutate(stream_answer if body.get("stream") else whole_answer, random, times=1)]
    return answer


def models():
    tables = {"good": GOOD, "bad": BAD, "stream good": GOOD_STREAMS, "stream bad": BAD_STREAMS, "stream cut": CUT_STREAMS}
    out = {f"{kind} {name}": pieces for kind, table in tables.items() for name, pieces in table.items()}
    out |= {"silent": [10], "drip": [sized()[:-100], *[x for _ in range(100) for x in (0.3, b" ")]],
            "slow": [STREAM_HEAD, TEXT, *[x for _ in range(50) for x in (0.1, event({"content": "more"}))]]}
    for i, choices in enumerate(ODD_CHOICES):
        out[f"odd choices {i}"] = [whole(completion(choices=choices))]
    for i, body in enumerate(ERRORS):
        for status in (400, 404, 422, 429, 500):
            out[f"error {status} {i}"] = error(status, body)
    for i, value in enumerate(RETRY_AFTER):
        out[f"retry {i}"] = error(429, b"{}", f"Retry-After: {value}")
    for i, usage in enumerate(USAGES):
        out[f"usage {i}"] = [whole(completion() | {"usage": usage})]
        out[f"stream usage {i}"] = stream(TEXT, FINISH, event(choices=[], usage=usage), DONE)
    for i, odd in enumerate(ODD_CHUNKS):
        out[f"odd chunk {i}"] = stream(TEXT, line(f"data: {json.dumps(odd)}\n\n"), FINISH, DONE)
        out[f"odd first {i}"] = stream(line(f"data: {json.dumps(odd)}\n\n"), TEXT, FINISH, DONE)
    out |= {f"o {name}": pieces for name, pieces in out.items() if name.startswith(("error", "stream bad", "bad"))}
    out |= {f"mutant {i}": mutants(i) for i in range(600)}  # a breaker that is open would tell nothing
    return {name.replace(" ", "_").replace("/", "_").replace("%", "_"): pieces for name, pieces in out.items()}


MODELS = models()


def named(prefix):
    return [name for name in MODELS if name.startswith(prefix)]


@pytest.fixture(scope="module")
def doors(build, tmp_path_factory):
    raw = RawProvider(MODELS)
    raw.answers = MODELS
    hosts = {"gone": f"http://127.0.0.1:{free_port()}/v1", "nowhere": "http://no-such-host.invalid/v1", "plain": f"https://127.0.0.1:{raw.port}/v1",
             "blackhole": "http://127.0.0.1:9/v1"}
    facts = {"context_window": 32768, "max_output_tokens": 4096, **PRICES}
    with raw, Provider(["sane-1"]) as sane:
        providers = {"raw": {"plugin": "compatible", "base_url": raw.base_url, "api_keys": ["env:FAKE_KEY"],
                             "models": [{"id": m, **facts} for m in MODELS if not m.startswith("o_")]},
                     "official": {"plugin": "openai", "base_url": raw.base_url, "api_keys": ["env:FAKE_KEY"],
                                  "models": [{"id": m, **facts} for m in MODELS if m.startswith("o_")]},
                     "fake": {"plugin": "compatible", "base_url": sane.base_url, "api_keys": ["env:FAKE_KEY"], "models": [{"id": "sane-1", **facts}]}}
        for name, url in hosts.items():
            providers[name] = {"plugin": "compatible", "base_url": url, "connect_timeout_ms": 1000, "models": [{"id": f"at-{name}", **facts}]}
        g = Doors(build, tmp_path_factory.mktemp("doors") / "g", sane, config={
            "limits": {"answer_bytes": LIMIT}, "providers": providers,
            "routing": {"timeout_ms": 15000, "first_byte_timeout_ms": 1500, "idle_timeout_ms": 1500, "backoff_ms": 1}}).start()
        g.secret = g.key("all", budget_monthly_eur=100000)
        try:
            assert g.chat(g.secret, "sane-1")[0] == 200
            g.files, g.seen = g.descriptors(), []
            yield g
            settled(g)
            g.check_nothing_leaks()
        finally:
            g.close()


def settled(doors):
    """Nothing stays: money, descriptors; every request asked has one trace; others are served."""
    assert doors.chat(doors.secret, "sane-1")[0] == 200
    end = time.monotonic() + 5
    while doors.held("all") != 0 or doors.descriptors() > doors.files + 8:
        assert time.monotonic() < end, (doors.held("all"), doors.descriptors(), doors.files)
        time.sleep(0.1)
    exported = [json.loads(text)["id"] for text in doors.run("traces", "export").stdout.splitlines()]
    assert [(id, model) for id, model in doors.seen if exported.count(id) != 1] == []


@pytest.fixture(scope="module", autouse=True)
def all_is_settled(doors):
    yield
    settled(doors)


def ask(doors, model, **more):
    answer = doors.ask(post(doors.secret, chat_body(model=model, **more)), timeout=20)
    doors.seen.append((answer.headers["x-request-id"], model))
    assert answer.headers.get("x-injected") is None
    return answer


def failed(doors, model, *statuses, **more):
    answer = ask(doors, model, **more)
    assert answer.status in statuses, answer
    return answer, check_error(answer)


# ---- whole answers ----

@pytest.mark.parametrize("model", named("good_"))
def test_a_good_answer_however_framed(doors, model):
    answer = ask(doors, model)
    assert answer.status == 200, answer
    assert json.loads(answer.body.decode())["choices"][0]["message"]["content"] is not None
    assert doors.trace(answer.headers["x-request-id"])["cost_nano_eur"] == 8500


@pytest.mark.parametrize("model", named("bad_"))
def test_a_bad_answer_is_502(doors, model):
    began = time.monotonic()
    answer, error = failed(doors, model, 502)
    assert error["type"] == "upstream_error" and error["code"] in ("all_attempts_failed", "upstream_credentials"), error
    assert PROVIDER_SECRET not in answer.body.decode()
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("name, status", [("gone", 502), ("nowhere", 502), ("plain", 504), ("blackhole", 502)])
def test_a_provider_that_is_not_there(doors, name, status):
    assert failed(doors, f"at-{name}", status)[1]["type"] == "upstream_error"


def test_a_provider_that_says_nothing_is_504(doors):
    answer, error = failed(doors, "silent", 504)
    assert error["code"] == "upstream_timeout"


def test_a_provider_that_drips_ends_at_the_deadline(doors):
    began = time.monotonic()
    answer = doors.ask(post(doors.secret, chat_body(model="drip"), b"x-latenza-timeout-ms: 2000"), timeout=20)
    assert answer.status in (502, 504) and time.monotonic() - began < 4


@pytest.mark.parametrize("model", named("odd_choices"))
def test_choices_of_any_shape_are_passed_on_or_refused(doors, model):
    answer = ask(doors, model)
    assert answer.status in (200, 502), answer
    assert json.loads(answer.body.decode())


@pytest.mark.parametrize("model", named("error_"))
def test_an_error_of_any_shape_becomes_one_of_ours(doors, model):
    wanted = int(model.split("_")[1])
    answer, error = failed(doors, model, 502 if wanted == 500 else wanted)
    assert PROVIDER_SECRET not in answer.body.decode(), "a provider may repeat its key"
    assert len(answer.body) < 8192, "an error is for reading"
    for name in ("code", "param"):
        assert error[name] is None or isinstance(error[name], str)


@pytest.mark.parametrize("model", named("retry_"))
def test_a_rate_limit_of_the_provider_says_when(doors, model):
    answer, error = failed(doors, model, 429)
    assert error["code"] == "upstream_rate_limited" and 1 <= int(answer.headers["retry-after"]) <= 60


@pytest.mark.parametrize("model", named("usage_"))
def test_a_usage_that_cannot_be_true_is_charged_within_what_was_reserved(doors, model):
    answer = ask(doors, model)
    assert answer.status == 200, answer
    cost = doors.trace(answer.headers["x-request-id"])["cost_nano_eur"]
    assert 0 <= cost <= (32768 * 1 + 32768 * 2) * 500, cost  # the model's window in and out, at 0.5 EUR per USD
    assert "-" not in answer.headers["x-latenza-cost-eur"]


# ---- streams ----

def read_events(answer):
    """The data of the events; the stream must have its proper end."""
    assert not answer.body.endswith(b"<cut>"), answer.body[-200:]
    text = answer.body.decode()
    assert text.endswith("\n\n") and "\r" not in text
    out = []
    for block in text.split("\n\n")[:-1]:
        if block.startswith(":"):
            continue
        assert block.startswith("data: ") and "\n" not in block, block
        out.append(block[6:])
    for data in out:
        assert data == "[DONE]" or isinstance(json.loads(data), dict)
    return out


def check_end(events):
    """Exactly one of: [DONE] as the last, an error as the last. Says which."""
    errors = [e for e in events if e != "[DONE]" and json.loads(e).get("error")]
    assert events.count("[DONE]") + len(errors) == 1, events
    assert events[-1] in ["[DONE]", *errors], events
    return events[-1] == "[DONE]"


@pytest.mark.parametrize("model", named("stream_good"))
def test_a_good_stream_however_framed(doors, model):
    answer = ask(doors, model, stream=True)
    events = read_events(answer)
    assert answer.status == 200 and check_end(events), answer
    choices = [c for e in events[:-1] for c in json.loads(e).get("choices", [])]
    assert "".join(c["delta"].get("content") or "" for c in choices) == "fine"
    assert choices[-1]["finish_reason"] == "stop"
    assert all(json.loads(e).get("usage") is None for e in events[:-1] if not json.loads(e).get("choices")), "nobody asked for usage"


@pytest.mark.parametrize("model", named("stream_bad"))
def test_a_stream_that_fails_before_it_begins_is_an_error_with_a_status(doors, model):
    answer, error = failed(doors, model, 502, 503, stream=True)
    assert PROVIDER_SECRET not in answer.body.decode()


@pytest.mark.parametrize("model", named("stream_cut"))
def test_a_stream_that_breaks_off_ends_in_an_error_event(doors, model):
    answer = ask(doors, model, stream=True)
    assert answer.status == 200, answer
    events = read_events(answer)
    assert not check_end(events) and "fine" in events[0]
    error = json.loads(events[-1])["error"]
    assert set(error) >= {"message", "type", "param", "code"} and PROVIDER_SECRET not in answer.body.decode()
    assert doors.trace(answer.headers["x-request-id"])["cost_nano_eur"] > 0, "what was delivered is charged"


@pytest.mark.parametrize("model", named("odd_chunk") + named("odd_first") + named("stream_usage"))
def test_a_chunk_of_any_shape_leaves_one_honest_end(doors, model):
    answer = ask(doors, model, stream=True, stream_options={"include_usage": True})
    if answer.status != 200:
        assert answer.status == 502 and check_error(answer)
        return
    check_end(read_events(answer))
    cost = doors.trace(answer.headers["x-request-id"])["cost_nano_eur"]
    assert 0 <= cost <= (32768 * 1 + 32768 * 2) * 500, cost


@pytest.mark.parametrize("streams", [False, True])
def test_answers_with_bytes_changed_at_random(doors, streams):
    good = 0
    for i in range(300):
        answer = ask(doors, f"mutant_{2 * i + streams}", stream=streams)
        if answer.status != 200:
            assert answer.status in (400, 401, 403, 404, 429, 502, 503, 504) or 400 <= answer.status < 500, answer
            check_error(answer)
        elif streams:
            good += check_end(read_events(answer))
        else:
            json.loads(answer.body.decode())
            good += 1
    assert good > 25


@pytest.mark.parametrize("model", named("o_"))
def test_the_plugin_of_openai_takes_any_error(doors, model):
    answer = ask(doors, model, stream="stream" in model)
    assert answer.status >= 400 and check_error(answer) and PROVIDER_SECRET not in answer.body.decode(), answer


def test_a_client_that_leaves_leaves_nothing_behind(doors):
    for streams in (True, False):
        with socket.create_connection(("127.0.0.1", doors.port)) as s:
            s.sendall(post(doors.secret, chat_body(model="slow", stream=streams)))
            time.sleep(0.3)
    settled(doors)
