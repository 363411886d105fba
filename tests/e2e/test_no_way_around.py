"""Ways around guardrails that somebody tried: each was open once, or is so near to one that it is kept shut here.

SPDX-License-Identifier: MIT
"""

import base64
import http.client
import json
import time

import pytest
from harness.provider import Provider
from harness.wires import WIRES
from test_guardrails import WORD, guarded, plugin, stream  # noqa: F401

MAIL = "jane.doe@example.com"
IN_URL = MAIL.replace("@", "%40")
CHUNK = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "fake-1"}
TEXT = f"the {WORD} flies"


def ask(gateway, key, body):
    status, head, raw = gateway.request("POST", "/v1/chat/completions", body, key)
    return status, head, json.loads(raw)


def kept(gateway, head):
    return json.dumps(gateway.trace(head["x-request-id"]))


def user(*parts):
    return {"model": "fake-1", "messages": [{"role": "user", "content": list(parts)}]}


def said(text):
    return {"type": "text", "text": text}


# ---- what a provider reads is what was shown ----

TWICE = ['[{"type":"text","text":"x","text":"kes"},{"type":"text","text":"y","text":"trel"}]',
         '[{"type":"text","text":"kes","t\\u0065xt":"x"},{"type":"text","text":"trel"}]',
         '[{"type":"text","text":"kes"},{"type":"image_url","type":"text","text":"x"},{"type":"text","text":"trel"}]']


@pytest.mark.parametrize("parts", TWICE)
def test_a_text_that_is_there_twice_is_refused(guarded, provider, parts):
    gateway, key = guarded(g={"on": ["request"], "action": "block"})
    status, _, body = ask(gateway, key, '{"model":"fake-1","messages":[{"role":"user","content":%s}]}' % parts)
    assert status == 400 and "twice" in body["error"]["message"] and body["error"]["param"] == "messages"
    status, _, body = ask(gateway, key, '{"model":"fake-1","messages":[{"role":"user","role":"system","content":"x"}]}')
    assert status == 400 and "twice" in body["error"]["message"] and provider.calls() == 0


DECOYS = [user(said("kes") | {"refusal": "x"}, said("trel")), user({"type": "refusal", "text": "x", "refusal": "kes"}, said("trel")),
          user(said("kes"), {"type": "image_url", "text": "x", "image_url": {"url": "https://x/y.png"}}, said("trel")),
          user(said("kes"), {"type": "reference", "text": "x", "reference_ids": [1]}, said("trel")),
          user(said("kes"), {"type": "thinking", "text": "x", "thinking": []}, said("trel"))]


@pytest.mark.parametrize("decoy", range(len(DECOYS)))
@pytest.mark.parametrize("wire", ["compatible", *WIRES])
def test_what_nobody_reads_parts_no_word(make_gateway, plugin, wire, decoy):  # noqa: F811
    with Provider(dialect=WIRES[wire].scripted if wire in WIRES else None) as provider:
        gateway = make_gateway(provider=provider, config={
            "plugins": ["compatible", "echo", "balanced", *WIRES, str(plugin)], "plugin_files": "warn",
            "guardrails": {"g": {"use": "word", "word": WORD, "default_on": True, "on": ["request"], "action": "block"}}})
        status, _, body = ask(gateway, gateway.key("k"), DECOYS[decoy])
        assert status == 400 and body["error"]["code"] == "content_policy_violation"
        assert provider.requests == []


@pytest.mark.parametrize("wire", ["compatible", "mistral"])
def test_what_a_plugin_joins_is_one_text(make_gateway, plugin, wire):  # noqa: F811
    with Provider(dialect=WIRES[wire].scripted if wire in WIRES else None) as provider:
        gateway = make_gateway(provider=provider, config={
            "plugins": ["compatible", "echo", "balanced", *WIRES, str(plugin)], "plugin_files": "warn",
            "guardrails": {"g": {"use": "word", "word": WORD, "default_on": True, "on": ["request"], "action": "block"}}})
        parts = user(said("x")) | {"prediction": {"type": "content", "content": [said("kes"), said("trel")]}}
        key = gateway.key("k")
        status, _, body = ask(gateway, key, parts)
        assert status == 400 and body["error"]["code"] == "content_policy_violation" and provider.requests == []
        for decoy in ("x", {"type": "image_url", "text": "x"}, {"type": "other", "text": "x"}):
            parts["prediction"]["content"] = [said("kes"), decoy, said("trel")]
            status, _, body = ask(gateway, key, parts)
            assert status == 400 or WORD not in provider.requests[-1]["raw"].decode()


def file(data, name="a.txt"):
    return {"type": "file", "file": {"filename": name, "file_data": data}}


def in_base64(text):
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("wire", ["compatible", *WIRES])
def test_a_file_of_text_is_judged_and_masked_inside(make_gateway, wire):
    with Provider(dialect=WIRES[wire].scripted if wire in WIRES else None) as provider:
        gateway = make_gateway(provider=provider, config={"plugins": ["compatible", "echo", "balanced", *WIRES, "pii"],
                                                          "guardrails": {"pii": {"use": "pii", "default_on": True}}})
        key = gateway.key("k")
        status, head, body = ask(gateway, key, user(said("read"), file("data:text/plain;base64," + in_base64(f"é to {MAIL}"))))
        assert status == 200, body
        sent = provider.requests[-1]["raw"].decode()
        assert "[EMAIL_1]" in sent or in_base64("é to [EMAIL_1]") in sent
        assert in_base64(f"é to {MAIL}") not in kept(gateway, head) and MAIL not in sent
        for data in ("data:text/plain;base64,a2X/", "data:text/csv,a%20b", "data:;base64,awBl",
                     "!" + in_base64(MAIL), "data:," + in_base64(MAIL), "data:text/plain;base64;a," + in_base64(MAIL)):
            calls = len(provider.requests)
            status, _, body = ask(gateway, key, user(file(data)))
            assert status == 400 and "cannot read" in body["error"]["message"] and len(provider.requests) == calls


HIDDEN = ["data:image/\\u0073vg+xml;base64,", " data:text/plain;base64,", "\\tdata:text/plain;base64,", "da\\nta:text/plain;base64,",
          "data:image/\\nsvg+xml;base64,", 'data:text/plain;a=\\",\\";base64,', "data:image/png,x;base64,"]


@pytest.mark.parametrize("head", HIDDEN)
def test_nothing_before_its_data_hides_a_file_of_text(guarded, provider, head):
    gateway, key = guarded(g={"on": ["request"], "action": "block"})
    url = '{"type":"image_url","image_url":{"url":"%s"}}' % (head + in_base64(TEXT))
    status, _, body = ask(gateway, key, '{"model":"fake-1","messages":[{"role":"user","content":[%s]}]}' % url)
    assert status == 400 and provider.calls() == 0 and "guardrail 'g'" in body["error"]["message"]
    url = '{"type":"file","file":{"file_id":"data:text/plain;base64,%s"}}' % in_base64(TEXT)
    status, _, body = ask(gateway, key, '{"model":"fake-1","messages":[{"role":"user","content":[%s]}]}' % url)
    assert status == 400 and provider.calls() == 0 and body["error"]["code"] == "content_policy_violation"


def test_an_address_is_personal_where_a_name_is_wanted(make_gateway, provider):
    gateway = make_gateway(provider=provider, config={"guardrails": {"pii": {"use": "pii", "default_on": True}}})
    key = gateway.key("k")
    for more in ({"user": MAIL}, {"safety_identifier": MAIL}, {"user": f"Jürgen {MAIL}"}, {"metadata": {MAIL: "x", f"a {MAIL}": MAIL}},
                 {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"https://x/?to={MAIL}"}}]}]},
                 {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"https://x/?to={IN_URL}"}}]}]}):
        status, head, body = gateway.chat(key, **more)
        assert status == 200, body
        assert IN_URL not in provider.last()["raw"].decode() + kept(gateway, head)
        assert MAIL not in provider.last()["raw"].decode() and MAIL not in kept(gateway, head)
        assert "[EMAIL_1]" in provider.last()["raw"].decode()


# ---- a client's clock ----

@pytest.mark.parametrize("phase", ["request", "response"])
@pytest.mark.parametrize("is_stream", [False, True])
def test_a_short_timeout_gets_nobody_past_a_guardrail_that_is_open(guarded, provider, phase, is_stream):
    gateway, key = guarded(slow={"delay_ms": 10000, "deadline_ms": 20000, "on_error": "open", "on": [phase]})
    provider.script(chunks=[WORD])
    body = {"model": "fake-1", "stream": is_stream, "messages": [{"role": "user", "content": WORD if phase == "request" else "x"}]}
    status, head, raw = gateway.request("POST", "/v1/chat/completions", body, key, {"x-latenza-timeout-ms": "300"})
    assert status == 500 and json.loads(raw)["error"]["code"] == "policy_error" and WORD not in raw.decode()
    assert provider.calls() == (phase == "response") and WORD not in kept(gateway, head)


# ---- traces ----

def test_what_was_not_judged_is_not_kept(guarded, provider):
    gateway, key = guarded(mask={})
    more = {"metadata": {"note": WORD}, "user": f"the {WORD}", "text": TEXT}
    other = gateway.key("other", model_allowlist=["fake-2"])
    limited = gateway.key("limited", rate_limit=1)
    gateway.chat(limited)
    for secret, wanted, body in ((other, 403, {}), (key, 400, {"n": "x"}), (key, 404, {"model": "none"}), (limited, 429, {})):
        status, head, _ = gateway.chat(secret, headers={"x-latenza-metadata": '{"from":"head"}'}, **more | body)
        assert status == wanted and WORD not in kept(gateway, head)
    trace = gateway.trace(head["x-request-id"])
    assert trace["metadata"] in (None, {"from": "head"})
    assert provider.calls() == 1


def leave(gateway, key, text, seen):
    """Asks, waits until seen() is true, and hangs up; the trace that is left."""
    c = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    c.request("POST", "/v1/chat/completions", json.dumps({"model": "fake-1", "messages": [{"role": "user", "content": text}]}),
              {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    while not seen():
        time.sleep(0.01)
    time.sleep(0.3)  # a FIN that comes at once is no departure (core/net/README.md)
    c.sock.close()
    while not gateway.traces():
        time.sleep(0.01)
    return json.dumps(gateway.trace(gateway.traces()[0]["id"]))


@pytest.mark.parametrize("phase", ["request", "response"])
def test_who_leaves_while_a_guardrail_thinks_leaves_nothing(guarded, provider, phase):
    gateway, key = guarded(mask={"on": [phase]}, slow={"delay_ms": 60000, "deadline_ms": 60000, "on": [phase]})
    provider.script(chunks=[TEXT])
    seen = (lambda: provider.calls() > 0) if phase == "response" else lambda: gateway.metrics()["latenza_requests_in_flight"] > 0
    trace = leave(gateway, key, TEXT if phase == "request" else "x", seen)
    assert WORD not in trace and "client_closed_request" in trace


def test_what_is_asked_again_was_judged(guarded, provider):
    gateway, key = guarded(mask={"on": ["response"]}, again={"on": ["response"], "word": "bad", "action": "again", "with": "be good"})
    provider.script(chunks=["good"])
    provider.script(times=1, chunks=[f"bad {WORD}"])
    status, head, body = gateway.chat(key)
    assert status == 200 and body["choices"][0]["message"]["content"] == "good"
    assert [m["content"] for m in provider.last()["body"]["messages"]] == ["Hello", "bad ***", "be good"]
    assert WORD not in kept(gateway, head)


def test_a_guardrail_that_is_never_content_is_why(guarded, provider):
    gateway, key = guarded({"routing": {"attempts": 2, "backoff_ms": 1}}, again={"on": ["response"], "action": "again", "with": "no birds"},
                           key={"budget_monthly_eur": 1})
    provider.script(chunks=[WORD])
    status, head, body = gateway.chat(key)
    assert (status, body["error"]["code"], body["error"]["latenza"]["guardrail"]) == (400, "content_policy_violation", "again")
    trace = gateway.trace(head["x-request-id"])
    assert provider.calls() == 2 and sum(a["cost_nano_eur"] for a in trace["attempts"]) == trace["cost_nano_eur"] == gateway.spent("k") > 0


def test_a_block_is_not_asked_again(guarded, provider):
    gateway, key = guarded(no={"on": ["response"], "action": "block"},
                           again={"on": ["response"], "word": "bad", "action": "again", "with": "be good"}, key={"budget_monthly_eur": 1})
    provider.script(chunks=[f"bad {WORD}"])
    status, head, body = gateway.chat(key)
    assert status == 400 and body["error"]["latenza"]["guardrail"] == "no" and provider.calls() == 1
    assert gateway.trace(head["x-request-id"])["cost_nano_eur"] == gateway.spent("k") > 0


# ---- answers ----

def chunks(first=None, choice=None, delta=None, finish="stop"):
    one = {"index": 0, "delta": {"role": "assistant", "content": "fine"} | (delta or {}), "finish_reason": None} | (choice or {})
    return [CHUNK | (first or {}) | {"choices": [one]}, CHUNK | {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}, "[DONE]"]


STREAMED = {
    **{f"{name} of a chunk": chunks({name: TEXT}) for name in ("id", "object", "created", "model", "system_fingerprint", "service_tier",
                                                               "provider", "usage", "new")},
    "model as an object": chunks({"model": {"said": WORD}}), "provider as an object": chunks({"provider": {"said": WORD}}),
    "usage as an object": chunks({"usage": {"prompt_tokens": 1, "completion_tokens": 1, "said": TEXT}}),
    "role": chunks(delta={"role": TEXT}), "finish_reason": chunks(finish=TEXT),
    "log probabilities": chunks(choice={"logprobs": {"content": [{"token": WORD}]}}),
    "a message in a chunk": chunks(choice={"message": {"content": TEXT}}), "content as a list": chunks(delta={"content": [said(TEXT)]}),
    "a part twice": [json.dumps(chunks()[0]).replace('"content": "fine"', '"content":[{"text":"x","text":"kestrel"}]'), *chunks()[1:]],
    "choices as an object": [CHUNK | {"choices": {"delta": {"content": TEXT}}}, *chunks()],
    "an index as a string": [CHUNK | {"choices": [{"index": "0", "delta": {"content": "kes"}, "finish_reason": None}]},
                             *chunks(delta={"content": "trel"})],
    "after the end": [*chunks()[:2], *chunks(delta={"content": TEXT})],
    "a tool's call after the end": [*chunks()[:2], *chunks(delta={"tool_calls": [{"index": 3, "function": {"arguments": TEXT}}]})],
    "calls in any order": [*chunks(delta={"tool_calls": [{"index": 1, "id": "b", "function": {"name": "f", "arguments": "{\"a\":\"kes"}},
                                                         {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]})[:1],
                           *chunks(delta={"tool_calls": [{"index": 1, "function": {"arguments": "trel\"}"}}]})],
    "keys with escapes": [json.dumps(c).replace('"content": "kes"', '"c\\u006fntent":"kes"').replace('"content": "trel"', '"conten\\u0074":"trel"')
                          if isinstance(c, dict) else c
                          for c in [*chunks(delta={"content": "kes"})[:1], *chunks(delta={"content": "trel"})]],
    "a key with a quote": [json.dumps(chunks()[0]).replace('"content"', '"a\\u0022b":"the kestrel","content"'), *chunks()[1:]],
    "a call's name": chunks(delta={"tool_calls": [{"index": 0, "id": "b", "function": {"name": TEXT, "arguments": "{}"}}]}),
    "a call's id": chunks(delta={"tool_calls": [{"index": 0, "id": TEXT, "function": {"name": "f", "arguments": "{}"}}]}),
}


@pytest.mark.parametrize("where", STREAMED)
@pytest.mark.parametrize("action", ["block", "mask"])
def test_nothing_of_a_stream_is_passed_by(guarded, provider, where, action):
    gateway, key = guarded(g={"on": ["response"], "action": action})
    provider.script(events=STREAMED[where])
    status, head, body, _ = stream(gateway, key, stream_options={"include_usage": True})
    assert WORD not in json.dumps(body) and WORD not in kept(gateway, head)
    joined = "".join(str(c["delta"].get("content", "")) for e in body for c in e.get("choices", [])) if status == 200 else ""
    assert WORD not in joined


def answer(top=None, choice=None, message=None):
    one = {"index": 0, "message": {"role": "assistant", "content": "fine"} | (message or {}), "finish_reason": "stop"} | (choice or {})
    return {"id": "x", "object": "chat.completion", "created": 1, "model": "fake-1", "choices": [one],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}} | (top or {})


WHOLE = {
    **{f"{name} of the answer": answer({name: TEXT}) for name in ("id", "model", "created", "new")},
    "usage": answer({"usage": {"prompt_tokens": 1, "completion_tokens": 1, "said": TEXT}}), "usage of a message": answer(message={"usage": {"said": TEXT}}),
    "log probabilities of a message": answer(message={"logprobs": {"said": TEXT}}), "finish_reason": answer(choice={"finish_reason": TEXT}),
    "role": answer(message={"role": TEXT}), "a transcript": answer(message={"audio": {"id": "a", "data": "AAAA", "transcript": TEXT}}),
    "arguments as an object": answer(message={"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {"a": TEXT}}}]}),
    "the second choice": answer() | {"choices": [answer()["choices"][0], {"index": 1, "message": {"content": TEXT}, "finish_reason": "stop"}]},
}


@pytest.mark.parametrize("where", WHOLE)
def test_nothing_of_an_answer_is_passed_by(guarded, provider, where):
    gateway, key = guarded(g={"on": ["response"], "action": "block"})
    provider.script(body=WHOLE[where])
    status, head, body = gateway.chat(key)
    assert status == 400 and body["error"]["code"] == "content_policy_violation"
    assert WORD not in json.dumps(body) and WORD not in kept(gateway, head)


def test_who_only_watches_breaks_nothing(guarded, provider):
    gateway, key = guarded(g={"on": ["response"], "action": "block", "mode": "monitor"})
    provider.script(events=STREAMED["a part twice"])
    status, _, _, done = stream(gateway, key)
    assert status == 200 and done


# ---- arguments that a client's reader takes, and a strict one does not ----

LOOSE = ['{"a":"\\u006bestrel","b":12345678901234567890}', '{"a":"\\u006bestrel","b":NaN}', '{"a":"\\u006bestrel","b":"\\ud800"}',
         '{"a":"\\u006bestrel","b":1e999}', 70 * "[" + '"\\u006bestrel"' + 70 * "]"]


@pytest.mark.parametrize("arguments", LOOSE)
@pytest.mark.parametrize("is_stream", [False, True])
def test_what_a_client_reads_of_arguments_is_judged(guarded, provider, arguments, is_stream):
    assert WORD in str(json.loads(arguments))
    gateway, key = guarded(g={"on": ["response"], "action": "mask"})
    calls = [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}]
    provider.script(**({"events": chunks(delta={"tool_calls": calls})} if is_stream else {"body": answer(message={"tool_calls": calls})}))
    status, _, body = stream(gateway, key)[:3] if is_stream else gateway.chat(key)
    assert status == 200
    choices = [c for e in body for c in e.get("choices", [])] if is_stream else body["choices"]
    said = "".join(t["function"]["arguments"] for c in choices for t in (c.get("delta") or c.get("message") or {}).get("tool_calls", []))
    assert "***" in said and WORD not in str(json.loads(said))
