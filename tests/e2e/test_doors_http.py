"""The public listener gets garbage: every header and field that is looked at, every shape of JSON, every framing.

SPDX-License-Identifier: MIT
"""

import json
import socket
from random import Random

import pytest
from harness.doors import Doors, chat_body, check_error, handled, mutate, post, read_answer, rows, send, unescape
from harness.provider import Provider

MODELS = ["fake-1", "m", "allowed", "forbidden"]


@pytest.fixture(scope="module")
def provider():
    with Provider(MODELS) as p:
        yield p


@pytest.fixture(scope="module")
def doors(build, provider, tmp_path_factory):
    """One gateway for all of this: what one test leaves behind must not matter to the next."""
    g = Doors(build, tmp_path_factory.mktemp("doors") / "g", provider, config={"trusted_proxies": ["127.0.0.1/32"]}).start()
    g.keys = {"plain": g.key("plain", budget_monthly_eur=100),
              "few": g.key("few", model_allowlist=["m", "allowed"]),
              "near": g.key("near", allowed_ips=["10.1.0.0/16", "2001:db8::/32"])}
    g.files = g.descriptors()
    yield g
    try:
        assert g.chat(g.keys["plain"])[0] == 200, "still serves"
        assert g.held("plain") == 0
        assert g.descriptors() <= g.files + 8, "workers may keep a few connections"
        g.check_nothing_leaks()
    finally:
        g.close()


def refused(doors, data, status, param=None, code=None, says=""):
    answer = doors.ask(data)
    assert answer.status == status, answer
    error = check_error(answer)
    assert (param is None or error["param"] == param) and (code is None or error["code"] == code), error
    assert says in error["message"], error
    return error


# ---- keys ----

@pytest.mark.parametrize("fields, says", [
    ([], "no API key"), (["Authorization:"], "Bearer"), (["Authorization: Bearer"], "Bearer"),
    (["Authorization: Bearer "], "Bearer"), (["Authorization: BearerKEY"], "Bearer"), (["Authorization: KEY"], "Bearer"),
    (["Authorization: Basic a2V5"], "Bearer"), (["Authorization: Bearer KEY KEY"], "characters"),
    (["Authorization: Bearer KEY,KEY"], "mistyped"), (["Authorization: Bearer \"KEY\""], "not known"),
    (["Authorization: Bearer KEY", "Authorization: Bearer KEY"], "more than one"),
    (["Authorization: Bearer KEY", "x-api-key: KEY"], "more than one"), (["x-api-key: KEY", "api-key: KEY"], "more than one"),
    (["x-api-key: "], "empty"), (["api-key: Bearer KEY"], "characters"), (["x-goog-api-key: k\xe9y"], "characters"),
    (["x-api-key: " + "a" * 9000], "too long"), (["Authorization: Bearer " + "lz_live_" + "A" * 38], "checksum"),
    (["Authorization: Bearer lz_live_"], "mistyped"), (["Authorization: Bearer KEYx"], "mistyped"),
    (["Authorization: Bearer sk-unknown-0123456789"], "not known"), (["Authorization: Bearer ' OR 1=1"], "characters")])
def test_a_credential_that_is_none_is_401_and_said(doors, fields, says):
    fields = [f.replace("KEY", doors.keys["plain"]).encode("latin-1") for f in fields]
    error = refused(doors, post(None, chat_body(), *fields), 401, code="invalid_api_key", says=says)
    assert doors.keys["plain"] not in json.dumps(error)


@pytest.mark.parametrize("field", ["Authorization: bearer KEY", "AUTHORIZATION:BEARER  KEY  ", "X-Api-Key: KEY", "api-key:KEY",
                                   "x-goog-api-key:\tKEY"])
def test_every_form_of_a_credential_serves(doors, field):
    assert doors.ask(post(None, chat_body(), field.replace("KEY", doors.keys["plain"]).encode())).status == 200


@pytest.mark.parametrize("fields, fine", [
    ([], False), (["x-forwarded-for: 10.1.2.3"], True), (["x-forwarded-for: 10.1.2.3:99"], True),
    (["x-forwarded-for: 8.8.8.8, 10.1.2.3"], True), (["x-forwarded-for: 10.1.2.3, 8.8.8.8"], False),
    (["x-forwarded-for: 10.1.2.3, 127.0.0.1"], True), (["x-forwarded-for: 10.1.2.3", "x-forwarded-for: 8.8.8.8"], False),
    (["x-forwarded-for: 8.8.8.8", "x-forwarded-for: 10.1.2.3"], True), (["x-forwarded-for: 10.1.2.3, garbage"], False),
    (["x-forwarded-for: garbage, 10.1.2.3"], True), (["x-forwarded-for:"], False), (["x-forwarded-for: ,,,"], False),
    (["x-forwarded-for: 10.1.2.3/8"], False), (["x-forwarded-for: [2001:db8::1]:443"], True),
    (["x-forwarded-for: 2001:db8::1"], True), (["x-forwarded-for: [2001:db8::1"], False), (["x-forwarded-for: ::ffff:10.1.2.3"], True),
    (["x-forwarded-for: " + "127.0.0.1," * 900], False), (["x-forwarded-for: \xff\xfe"], False),
    (["x-forwarded-for: 0x0a.1.2.3"], False), (["x-forwarded-for: 10.1.2.3.4"], False), (["forwarded: for=10.1.2.3"], False)])
def test_an_address_is_believed_only_from_those_who_are_trusted(doors, fields, fine):
    data = post(doors.keys["near"], chat_body(), *[f.encode("latin-1") for f in fields])
    if fine:
        assert doors.ask(data).status == 200
    else:
        refused(doors, data, 401, says="address")


# ---- headers ----

@pytest.mark.parametrize("media", [None, b"", b"text/plain", b"application/jsonp", b"application/json/x", b"json", b"*/*",
                                   b"multipart/form-data; boundary=x", b"; application/json", b"a" * 5000, b"\xff"])
def test_a_body_of_another_type_is_415(doors, media):
    refused(doors, post(doors.keys["plain"], chat_body(), media=media), 415, "content-type", says="application/json")


@pytest.mark.parametrize("media", [b"application/json", b"Application/JSON", b"application/json; charset=utf-8",
                                   b"application/json ;charset=x", b"application/json;"])
def test_json_is_json_whatever_follows(doors, media):
    assert doors.ask(post(doors.keys["plain"], chat_body(), media=media)).status == 200


@pytest.mark.parametrize("coding, fine", [(b"identity", True), (b"gzip", False), (b"", False), (b"br, gzip", False),
                                          (b"identity, gzip", False), (b"\xff", False)])
def test_a_compressed_body_is_415(doors, coding, fine):
    data = post(doors.keys["plain"], chat_body(), b"Content-Encoding: " + coding)
    assert doors.ask(data).status == 200 if fine else refused(doors, data, 415, "content-encoding")


@pytest.mark.parametrize("fields", [[b"Content-Encoding: identity", b"Content-Encoding: gzip"],
                                    [b"Content-Type: text/plain"]])
def test_a_second_field_does_not_hide_behind_the_first(doors, fields):
    assert doors.ask(post(doors.keys["plain"], chat_body(), *fields)).status in (400, 415)


@pytest.mark.parametrize("expect, status", [(b"100-continue", 200), (b"100-Continue", 200), (b"", 417), (b"200-ok", 417),
                                            (b"100-continue, x", 417)])
def test_an_expectation_is_met_or_417(doors, expect, status):
    answer = doors.ask(post(doors.keys["plain"], chat_body(), b"Expect: " + expect))
    assert answer.status == status
    if status != 200:
        check_error(answer)


NAMED = ["x-latenza-user", "x-latenza-session"]
OURS = ([(n, v) for n in NAMED for v in [b"", b"a" * 257, b"\xff\xfe", b"\xed\xa0\x80"]] +
        [("x-latenza-strategy", v) for v in [b"", b"nearest", b"a" * 300, b"\xff", b"../balanced", b"BALANCED"]] +
        [("x-latenza-timeout-ms", v) for v in [b"", b"0", b"-1", b"1.5", b"1e3", b"soon", b"86400001", b"9" * 30, b"0x10", b"\xff",
                                               b"+5", b"5 5"]] +
        [("x-latenza-usage", v) for v in [b"", b"yes", b"Include", b"include,include", b"\xff"]] +
        [("x-latenza-dry-run", v) for v in [b"", b"router", b"\xff"]] +
        [("x-latenza-metadata", v) for v in [
            b"", b"x", b"null", b"[]", b"1", b'"x"', b'{"a":1}', b'{"a":null}', b'{"a":{}}', b'{"a":"b"', b'{"a":"b"}}',
            b'{"a":"b","a":"c"}', b'{"a":"\\ud800"}', b'{"a":"\xff"}', b'{"' + b"k" * 65 + b'":"v"}',
            b'{"k":"' + b"v" * 513 + b'"}', json.dumps({str(i): "v" for i in range(17)}).encode(), b"{" * 5000, b"[" * 9000]])


@pytest.mark.parametrize("name, value", OURS, ids=lambda v: v if isinstance(v, str) else repr(v[:24]))
def test_a_header_of_ours_that_is_wrong_is_400_and_named(doors, name, value):
    refused(doors, post(doors.keys["plain"], chat_body(), name.encode() + b": " + value), 400, param=name, says=name)


@pytest.mark.parametrize("name, values", [("x-latenza-user", [b"a", b"b"]), ("x-latenza-timeout-ms", [b"1000", b"0"]),
                                          ("x-latenza-metadata", [b'{"a":"b"}', b"garbage"]),
                                          ("x-latenza-strategy", [b"balanced", b"cheapest"])])
def test_a_header_of_ours_that_comes_twice_is_400_and_named(doors, name, values):
    refused(doors, post(doors.keys["plain"], chat_body(), *[name.encode() + b": " + v for v in values]), 400, param=name, says=name)


@pytest.mark.parametrize("field", [b"x-latenza-user: J\xc3\xb6rg", b"x-latenza-session: " + b"s" * 256, b"x-latenza-timeout-ms: 86400000",
                                   b"x-latenza-usage: include", b"x-latenza-strategy: balanced", b"x-latenza-metadata: {}",
                                   b'x-latenza-metadata: { "a" : "\\u00fc" }', b"x-latenza-unheard: of", b"x-stainless-lang: python"])
def test_a_header_that_is_right_or_not_ours_serves(doors, field):
    assert doors.ask(post(doors.keys["plain"], chat_body(), field)).status == 200


@pytest.mark.parametrize("parent", [b"", b"garbage", b"\xff" * 55, b"00-" + b"g" * 32 + b"-" + b"1" * 16 + b"-01", b"-" * 55, b"0" * 5000,
                                    b"00-" + b"1" * 32 + b"-" + b"2" * 16, b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01" + b"x" * 100,
                                    b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-00", b"ff-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01"])
def test_a_traceparent_that_is_none_is_no_reason_to_refuse(doors, parent):
    answer = doors.ask(post(doors.keys["plain"], chat_body(), b"traceparent: " + parent))
    assert answer.status == 200
    assert "traceparent" not in json.dumps(doors.trace(answer.headers["x-request-id"])["metadata"])


def test_a_traceparent_is_kept(doors):
    parent = "00-" + "1a" * 16 + "-" + "2b" * 8 + "-01"
    answer = doors.ask(post(doors.keys["plain"], chat_body(), b"traceparent: " + parent.encode()))
    assert doors.trace(answer.headers["x-request-id"])["metadata"]["traceparent"] == parent


# ---- fields of the body ----

LONG = "x" * 300
TYPES = {"null": None, "true": True, "number": 5, "real": 1.5, "string": "x", "list": [], "object": {}}


def others(*fine):
    return [v for k, v in TYPES.items() if k not in fine]


def count_values():
    return [0, -1, 1.5, 1e3, 2**31, 2**63 - 1, -2**63, True, "5", [], {}]


BAD_FIELDS = (
    [("model", v) for v in [*others("string"), "", " ", "a b", "/x", "x/", "../x", "a//b", "a/./b", "a/../b", "a\\b", "a?b", "a#b", "a%2fb",
                            "a\nb", "a\x00b", "a\x7fb", "x" * 257]] +
    [("messages", v) for v in [*others("list"), []]] +
    [("stream", v) for v in ["true", 0, 1, "", [], {}]] +
    [(n, v) for n in ("max_tokens", "max_completion_tokens") for v in count_values()] +
    [("n", v) for v in [*count_values(), 129]] +
    [("user", v) for v in [1, True, [], {}, LONG]] + [("safety_identifier", v) for v in [1, False, [], {}, LONG]] +
    [("tools", v) for v in others("list", "null")] + [("response_format", v) for v in others("object", "null")] +
    [("metadata", v) for v in [1, True, "x", [], {"a": 1}, {"a": None}, {"a": {}}, {"a": [1]}, {"k" * 65: "v"}, {"k": "v" * 513},
                               {str(i): "" for i in range(17)}]])


@pytest.mark.parametrize("name, value", BAD_FIELDS, ids=lambda v: v if isinstance(v, str) and len(v) < 20 else repr(v)[:30])
def test_a_field_that_is_wrong_is_400_and_named(doors, name, value):
    error = refused(doors, post(doors.keys["plain"], chat_body(**{name: value})), 400)
    assert name in (error["param"] or "") or name in error["message"], error
    assert name in error["message"], error


@pytest.mark.parametrize("name", ["model", "messages"])
def test_a_field_that_must_be_there_is_400_and_named(doors, name):
    body = chat_body()
    del body[name]
    refused(doors, post(doors.keys["plain"], body), 400, param=name, says=name)


@pytest.mark.parametrize("options", ["x", 1, True, [], {"include_usage": "yes"}, {"include_usage": 1}])
def test_stream_options_that_are_wrong_are_400_and_named(doors, options):
    error = refused(doors, post(doors.keys["plain"], chat_body(stream=True, stream_options=options)), 400, says="stream_options")
    assert error["param"].startswith("stream_options")
    refused(doors, post(doors.keys["plain"], chat_body(stream_options={"include_usage": True})), 400, "stream_options")


@pytest.mark.parametrize("text, param", [(b'"messages": [ ]', "messages"), (b'"messages": [\n\t]', "messages")])
def test_an_empty_list_is_empty_with_spaces_too(doors, text, param):
    refused(doors, post(doors.keys["plain"], b'{"model":"fake-1",' + text + b"}"), 400, param)


@pytest.mark.parametrize("name", ["stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "user", "tools", "metadata",
                                  "response_format", "safety_identifier", "temperature", "functions"])
def test_null_is_as_good_as_absent(doors, provider, name):
    assert doors.ask(post(doors.keys["plain"], chat_body(**{name: None}))).status == 200
    assert provider.last()["body"] == chat_body(**{name: None})


@pytest.mark.parametrize("body", [b"", b" ", b"null", b"[]", b'"x"', b"1", b"{", b"{}x", b"{}", b"{\"model\"}", b"\x00", b"\xff\xfe{\x00}\x00",
                                  b"\xef\xbb\xbf{}", b"model=fake-1", b"--x\r\nContent-Disposition: form-data\r\n", b"\x1f\x8b\x08\x00"])
def test_a_body_that_is_no_object_is_400(doors, body):
    refused(doors, post(doors.keys["plain"], body), 400)


def test_what_is_not_looked_at_goes_on_as_it_came(doors, provider):
    odd = {"temperature": "warm", "top_p": -5, "seed": 2**53, "logit_bias": {"1": []}, "tool_choice": 7, "functions": "x",
           "__proto__": {"isAdmin": True}, "": "", "vendor_extra": {"deep": [[[{"ü": "\u2028 \U0001f600"}]]]}, "modalities": [None],
           "reasoning_effort": False, "stop": {}, "api_base": "http://127.0.0.1:1/", "x" * 200: 1}
    assert doors.ask(post(doors.keys["plain"], chat_body(**odd))).status == 200
    assert provider.last()["body"] == chat_body(**odd)


def test_what_is_not_looked_at_keeps_its_very_bytes(doors, provider):
    inner = b'{"model":"fake-1", "a":1.10e+02 ,"b":"\\u00e9\\/","messages":[{"role":"user","content":"x"}]\t,"c":-0}'
    assert doors.ask(post(doors.keys["plain"], inner)).status == 200
    assert provider.last()["body"] == json.loads(inner)


@pytest.mark.parametrize("count, status", [(62, 200), (63, 400), (500, 400)])
def test_too_many_members_are_400(doors, count, status):
    answer = doors.ask(post(doors.keys["plain"], chat_body(**{f"x{i}": i for i in range(count)})))
    assert answer.status == status
    if status == 400:
        assert "members" in check_error(answer)["message"]


def test_a_body_beyond_the_limit_is_413_before_it_is_read(doors):
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\n"
    head %= doors.keys["plain"].encode()
    for length in (b"33554433", b"999999999999999"):
        refused(doors, head + b"Content-Length: " + length + b"\r\n\r\n", 413, code="request_too_large")
    data = head + b"Transfer-Encoding: chunked\r\n\r\n" + b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    refused(doors, data + (b"100000\r\n" + b" " * 0x100000 + b"\r\n") * 32, 413, code="request_too_large")


# ---- routes ----

@pytest.mark.parametrize("line, status, code", [
    ("GET /", 404, "unknown_url"), ("GET /v1", 404, "unknown_url"), ("GET /v1/", 404, "unknown_url"), ("POST /v1/chat", 404, "unknown_url"),
    ("POST /v1/chat/completions/", 404, "unknown_url"), ("POST /v1/completions", 404, "unknown_url"), ("GET /metrics", 404, "unknown_url"),
    ("GET /api/v1/keys", 404, "unknown_url"), ("GET /v2/chat/completions", 404, "unknown_url"), ("GET /V1/models", 404, "unknown_url"),
    ("GET /v1/chat/completions", 405, "method_not_allowed"), ("DELETE /v1/chat/completions", 405, "method_not_allowed"),
    ("POST /v1/models", 405, "method_not_allowed"), ("PUT /healthz", 405, "method_not_allowed"), ("OPTIONS /v1/models", 405, "method_not_allowed"),
    ("GET /v1/models/no-such-model", 404, "model_not_found"), ("GET /v1/models/a%20b", None, None), ("GET /v1/models/" + "x" * 3000, 404, None),
    ("GET /v1/models/../models", 400, None), ("GET //v1/models", 400, None), ("BREW /v1/models", None, None), ("get /v1/models", None, None),
    ("GET /" + "x" * 5000, None, None), ("GET /x?" + "y" * 3000, 404, "unknown_url"), ("GET /v1/models?limit=999999999999&x[]=%00", 200, None)],
    ids=lambda v: v[:40] if isinstance(v, str) else None)
def test_an_unknown_route_or_method_is_refused_in_our_shape(doors, line, status, code):
    answer = doors.ask(f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {doors.keys['plain']}\r\n\r\n".encode())
    assert answer.status == status or status is None and 400 <= answer.status < 600 and answer.status != 500, answer
    if answer.status != 200:
        error = check_error(answer)
        assert code is None or error["code"] == code, error


@pytest.mark.parametrize("line", [b"GET /healthz", b"GET /healthz HTTP/0.9", b"GET /healthz HTTP/2.0", b"GET /healthz HTTP/1.1x", b"\x16\x03\x01\x02\x00\x01",
                                  b"PRI * HTTP/2.0\r\n\r\nSM", b"GET http://[ HTTP/1.1", b"CONNECT x:443 HTTP/1.1", b"\x00" * 50, b"GET  /healthz HTTP/1.1",
                                  b"A" * 20000])
def test_what_is_not_http_1_1_is_refused_and_the_connection_closed(doors, line):
    answers = send(doors.port, line + b"\r\nHost: x\r\n\r\n", timeout=5)
    assert len(answers) <= 1
    for answer in answers:
        assert answer.status >= 400, answer
        check_error(answer)


# ---- corpora ----

def policy_source(source):
    """The text of a case of json_policy.tsv, with messages that are none of its business filled in."""
    made = {"gen:\"[\"*32": "[" * 32 + "]" * 32, "gen:\"[\"*64": "[" * 64 + "]" * 64, "gen:\"[\"*513": "[" * 513 + "]" * 513,
            "gen:\"[\"*100000": "[" * 100000 + "]" * 100000, "gen:object with 100 000 keys": json.dumps({str(i): 0 for i in range(100000)}),
            "gen:array with 1 000 000 nulls (5 MB -> 100s of MB in memory)": "[" + ",".join(["null"] * 1000000) + "]"}
    filled = '"messages":[{"role":"user","content":"x"}]'
    if source in made:
        return f'{{"model":"m",{filled},"x":{made[source]}}}'.encode()
    return source.removeprefix("gen:").replace('"messages":[]', filled).replace("<NUL>", "\0").encode()


@pytest.mark.parametrize("case", rows("json_policy.tsv")[1:], ids=lambda c: c[0])
def test_json_that_two_parsers_could_read_differently(doors, provider, case):
    name, expect, source, _ = case
    calls = len(provider.requests)
    answer = doors.ask(post(doors.keys["few"], policy_source(source)))
    if answer.status != 200:
        check_error(answer)
        assert answer.status == 400 and expect != "accept" and len(provider.requests) == calls, answer
        return
    assert expect != "reject", answer
    assert provider.last()["body"]["model"] in ("m", "allowed"), "what was checked is what is sent"
    assert json.loads(answer.body.decode())


JSON = [
    b'null', b'true', b'false', b'0', b'-0', b'-0.0', b'12', b'1.5', b'-1.25e-3', b'1E9', b'2e+2', b'""', b'"a"', b'[]', b'{}', b'[ ]', b'{\t}',
    b' [1 , 2] ', b'[[[]],{}]', b'{"":0}', b'{"a":{"a":{"a":null}}}', b'"\\"\\\\\\/\\b\\f\\n\\r\\t"', b'"\\u0041\\u00e9\\u20AC"',
    b'"\\ud83d\\ude00"', "\"\u00e9\u20ac\U0001f600\"".encode(), b'"\x7f"', b'"\\u0000"', b'"\\\\u0041"', b'\r\n1', "\"\u2028\ufeff\"".encode(),
    b'[' * 40 + b']' * 40, b'9007199254740993', b'"' + b'x' * 70000 + b'"']
NOT_JSON = [
    b'', b'nul', b'True', b'NULL', b'nan', b'-Infinity', b'undefined', b'01', b'-', b'-a', b'+1', b'.5', b'1.', b'1.e1', b'1e', b'1e+', b'0x10', b'1_0', b'1a',
    b'\xef\xbb\xbf1', b'"', b'"a', b"'a'", b'"\n"', b'"\x00"', b'"\t"', b'"\\a"', b'"\\x41"', b'"\\u12"', b'"\\u12G4"', b'"\\ud800"', b'"\\udc00"',
    b'"\\ud800\\ud800"', b'"\xff"', b'"\xc0\xaf"', b'"\xe0\x80\x80"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\xe2\x82"', b'[', b'[1', b'[1,',
    b'[1,]', b'[,1]', b'[1,,2]', b'[1 2]', b'[1}', b'[1]]', b'{', b'{"a"', b'{"a":', b'{"a":1', b'{"a":1,', b'{"a":1,}', b'{,"a":1}', b'{"a" 1}', b'{"a"::1}',
    b'{a:1}', b"{'a':1}", b'{1:1}', b'{"a":1 "b":2}', b'{"a":1]', b'1 2', b'{} x', b'/* c */1', b'1//c', b'#', b'\x0c1', b'\xa01', b'1\x00', b'\\u0031',
    b'[' * 100 + b']' * 100, b'[' * 100000]


@pytest.mark.parametrize("text", JSON)
def test_json_of_any_kind_may_be_a_member_of_a_request(doors, provider, text):
    body = b'{"model":"fake-1","messages":[{"role":"user","content":"x"}],"x":' + text + b"}"
    assert doors.ask(post(doors.keys["plain"], body)).status == 200
    assert provider.last()["body"]["x"] == json.loads(text)


@pytest.mark.parametrize("text", NOT_JSON)
def test_what_merely_looks_like_json_is_refused(doors, provider, text):
    calls = len(provider.requests)
    answer = doors.ask(post(doors.keys["plain"], b'{"model":"fake-1","messages":[{"role":"user","content":"x"}],"x":' + text + b"}"))
    assert answer.status == 400 and len(provider.requests) == calls, answer
    check_error(answer)


@pytest.mark.parametrize("case", rows("smuggling.tsv")[1:], ids=lambda c: c[0])
def test_a_request_that_a_proxy_could_read_differently(doors, case):
    name, _, _, expect, raw, _, _ = case
    got = handled(doors.port, doors.keys["few"], expect, unescape(raw))
    if expect == "accept":
        assert got == [200], (name, got)
    elif expect != "either":
        assert got == [], (name, got)


def test_requests_with_bytes_changed_at_random(doors):
    random = Random(20261122)
    plain = post(doors.keys["plain"], chat_body(max_tokens=5, metadata={"a": "b"}), b'x-latenza-metadata: {"c":"d"}', b"x-latenza-user: u", b"Expect: 100-continue")
    streamed = post(doors.keys["plain"], chat_body(stream=True, stream_options={"include_usage": True}))
    chunked = plain.replace(b"Content-Length: ", b"X-Was: ").replace(b"\r\n\r\n{", b"\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n") + b"\r\n0\r\n\r\n"
    seen = set()
    for i in range(1500):
        with socket.create_connection(("127.0.0.1", doors.port), timeout=5) as s, s.makefile("rb") as file:
            try:
                s.sendall(mutate((plain, streamed, chunked)[i % 3], random))
                s.shutdown(socket.SHUT_WR)
                while (answer := read_answer(file)) is not None:
                    seen.add(answer.status)
                    doors.bodies.append(answer.body)
                    if answer.status >= 400:
                        check_error(answer)
            except ConnectionError:
                pass
        assert doors.process.poll() is None, doors.logs()
    assert {200, 400, 401} <= seen and 500 not in seen, seen


def test_the_admin_listener_takes_garbage(doors):
    random = Random(1)
    plain = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: text/plain; version=0.0.4\r\nConnection: close\r\n\r\n"
    for data in [b"", b"\0" * 100, b"A" * 100000, plain.replace(b"GET", b"POST"), plain.replace(b"/metrics", b"/../metrics"), plain * 500,
                 *[mutate(plain, random) for _ in range(200)]]:
        with socket.create_connection(("127.0.0.1", doors.admin_port), timeout=5) as s, s.makefile("rb") as file:
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                while (answer := read_answer(file)) is not None:
                    doors.bodies.append(answer.body)
            except ConnectionError:
                pass
    assert doors.metrics()


def test_excess_is_refused(doors):
    get = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    for data in (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100000 + b"\r\n\r\n",
                 b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 101 + b"\r\n"):
        answers = send(doors.port, data)
        assert [a.status for a in answers] in ([431], [])
    assert all(a.status in (200, 400) for a in send(doors.port, get * 2000, timeout=3))
