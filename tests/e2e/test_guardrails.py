"""Guardrails: what they see, what they may do, and that nothing gets around them.

The plugin is tests/harness/guard_plugin.c: one word, and whatever may be done about it.

SPDX-License-Identifier: MIT
"""

import json
import pathlib
import random
import subprocess
import threading

import pytest
from harness.gateway import Failed

SOURCE = pathlib.Path(__file__).parents[1] / "harness/guard_plugin.c"
SDK = pathlib.Path(__file__).parents[2] / "sdk"
WORD = "kestrel"


@pytest.fixture(scope="session")
def plugin(tmp_path_factory):
    out = tmp_path_factory.mktemp("guards") / "guards.so"
    subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-fvisibility=hidden", f"-I{SDK}",
                    "-o", out, SOURCE], check=True)
    return out


@pytest.fixture
def guarded(make_gateway, provider, plugin):
    """A gateway with these guardrails, all of them on; its key."""
    def make(config=None, key=None, **guardrails):
        rows = {name.replace("_", "-"): {"use": "word", "word": WORD, "default_on": True} | row for name, row in guardrails.items()}
        gateway = make_gateway(provider=provider, config={"plugins": ["openai", "compatible", "echo", "balanced", "cheapest", str(plugin)],
                                                          "plugin_files": "warn", "guardrails": rows} | (config or {}))
        return gateway, gateway.key("k", **(key or {}))
    return make


def stream(gateway, key, **more):
    """Status, events as objects, and whether it was done."""
    body = {"model": "fake-1", "stream": True, "messages": [{"role": "user", "content": "Hello"}], **more}
    status, head, raw = gateway.request("POST", "/v1/chat/completions", body, key)
    if status != 200:
        return status, head, json.loads(raw), False
    lines = [line.removeprefix("data: ") for line in raw.decode().split("\n\n") if line.startswith("data: ")]
    done = lines[-1:] == ["[DONE]"]
    return status, head, [json.loads(line) for line in lines[:-1 if done else None]], done


def text_of(events, member="content"):
    return "".join(c["delta"].get(member) or "" for e in events for c in e.get("choices", []))


def finishes(events):
    return [c["finish_reason"] for e in events for c in e.get("choices", []) if c["finish_reason"]]


# ---- requests ----

def test_a_prompt_is_masked_before_it_leaves(guarded, provider):
    gateway, key = guarded(mask={})
    status, head, body = gateway.chat(key, text=f"a {WORD} é😀 and a {WORD}")
    assert status == 200 and head["x-latenza-guardrails"] == "mask=mask"
    assert provider.last()["body"]["messages"][0]["content"] == "a *** é😀 and a ***"
    trace = gateway.trace(head["x-request-id"])
    assert trace["guardrails"][0] | {"ms": 0} == {"guardrail": "mask", "phase": "request", "verdict": "mask", "codes": ["test.word"],
                                                  "mode": "enforce", "ms": 0}
    assert WORD not in json.dumps(trace)


PLACES = [
    {"messages": [{"role": "system", "content": WORD}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": f"x {WORD}"}]}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "x kes"}, {"type": "text", "text": "trel y"}]}]},
    {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": None, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":{\"b\":[\"x\",\"kes\\u0074rel\"]}}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "fine"}]},
    {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": None, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"kestrel\":1}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "fine"}]},
    {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": None, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": f"the result is {WORD}"}]},
    {"messages": [{"role": "user", "content": "x"}],
     "tools": [{"type": "function", "function": {"name": "f", "description": f"use {WORD}", "parameters": {}}}]},
    {"messages": [{"role": "user", "content": "x"}],
     "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {
         "type": "object", "properties": {"p": {"type": "string", "description": WORD}}}}}},
    {"messages": [{"role": "user", "content": "x"}], "prediction": {"type": "content", "content": WORD}},
    {"messages": [{"role": "user", "content": "x"}], "something_new": {"deep": [{"text_of_it": WORD}]}},
    {"messages": [{"role": "user", "content": "x", "something_new": WORD}]},
    {"messages": [{"role": "assistant", "content": "x", "reasoning_content": WORD}, {"role": "user", "content": "x"}]},
    # What should be a name and does not look like one.
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": f"a {WORD}"}]}]},
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"http://x/ and {WORD}"}}]}]},
    {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": None, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": f"f {WORD}", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "fine"}]},
    {"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function", "function": {"name": "f", "parameters": {
        "type": "object", "properties": {}, "additionalProperties": {"description": WORD}}}}]},
    {"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function", "function": {"name": "f", "parameters": {
        "type": "object", "properties": {f"the {WORD}": {"type": "string"}}}}}]},
]


@pytest.mark.parametrize("place", range(len(PLACES)))
@pytest.mark.parametrize("action", ["mask", "block"])
def test_it_is_seen_wherever_it_stands(guarded, provider, place, action):
    gateway, key = guarded(g={"action": action})
    status, _, raw = gateway.request("POST", "/v1/chat/completions", {"model": "fake-1", **PLACES[place]}, key)
    if action == "block":
        assert status == 400 and json.loads(raw)["error"]["code"] == "content_policy_violation"
        assert json.loads(raw)["error"]["latenza"]["guardrail"] == "g"
        assert provider.calls() == 0
        return
    assert status == 200, raw
    said = json.dumps(provider.last()["body"])
    assert WORD not in said and "\\u0074rel" not in said and "***" in said


WRITTEN = [
    r'{"role":"user","content":{"text":"kestrel"}}',
    r'{"role":"user","content":["x kes",{"type":"text","text":"trel"}]}',
    r'{"role":"kestrel","content":"x"}',
    r'{"role":"user","c\u006fntent":"x kestrel"}',
    r'{"role":"user","content":"fine","content":"x k\u0065strel"}',
    r'{"role":"user","c\u006fntent":[{"type":"text","t\u0065xt":"x kes"},{"type":"text","text":"trel"}]}',
    r'{"role":"user","content":"x"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","functi\u006fn":{"name":"f","argum\u0065nts":"{\"a\":\"k\\u0065strel\"}"}}]},{"role":"tool","tool_call_id":"c","content":"x"}',
]


@pytest.mark.parametrize("written", range(len(WRITTEN)))
def test_it_is_seen_however_it_is_written(guarded, provider, written):
    gateway, key = guarded(g={"action": "block"})
    status, _, raw = gateway.request("POST", "/v1/chat/completions", '{"model":"fake-1","messages":[' + WRITTEN[written] + "]}", key)
    assert status == 400 and json.loads(raw)["error"]["code"] == "content_policy_violation"
    assert provider.calls() == 0


def test_what_stays_as_it_is_goes_byte_for_byte(guarded, provider):
    gateway, key = guarded(mask={}, flag={"action": "flag"})
    body = ('{ "model":"fake-1",  "messages" : [{"role":"user","content":"nothing \\u00e9 here"}], "seed": 9007199254740993,'
            ' "temperature": 1.0, "logit_bias":{}, "metadata": null }')
    status, _, _ = gateway.request("POST", "/v1/chat/completions", body, key)
    assert status == 200
    other = body.replace("nothing", WORD)
    status, _, _ = gateway.request("POST", "/v1/chat/completions", other, key)
    assert status == 200
    before, after = (r["raw"] for r in provider.requests[-2:])
    assert before.replace(b"nothing", b"***").replace(b"\\u00e9", "é".encode()) == after


def test_a_block_costs_nothing_and_says_who(guarded, provider):
    gateway, key = guarded(words={"action": "block", "with": "no birds"}, key={"budget_monthly_eur": 1})
    for more in ({}, {"stream": True}):
        status, head, body = gateway.chat(key, text=WORD, **more)
        assert (status, body["error"]["code"], body["error"]["type"]) == (400, "content_policy_violation", "invalid_request_error")
        assert "no birds" in body["error"]["message"] and body["error"]["latenza"]["guardrail"] == "words"
        trace = gateway.trace(head["x-request-id"])
        assert trace["code"] == "content_policy_violation" and trace["guardrails"][0]["verdict"] == "block"
        assert WORD not in json.dumps(trace), "what was refused is nobody's to keep"
    assert provider.calls() == 0 and gateway.spent("k") == 0
    assert len(gateway.events("guardrail.blocked")) == 2
    assert gateway.metrics()['latenza_guardrail_verdicts_total{guardrail="words",verdict="block"}'] == 2


def test_levels_add_up_and_a_guardrail_that_is_gone_refuses(make_gateway, provider, plugin):
    rail = {"use": "word", "action": "mask"}
    config = {"plugins": ["compatible", "echo", "balanced", str(plugin)], "plugin_files": "warn",
              "guardrails": {n: rail | {"word": n, "with": n.upper()} for n in ("file", "organ", "assist", "key1")},
              "organizations": {"acme": {"guardrails": ["organ"], "assistants": {"bot": {"guardrails": ["assist"]}}}}}
    config["guardrails"]["file"]["default_on"] = True
    gateway = make_gateway(provider=provider, config=config)
    everything = "file organ assist key1"
    all_of_them = gateway.key("a", organization="acme", assistant="bot", guardrails=["key1"])
    assert gateway.chat(all_of_them, text=everything)[0] == 200
    assert provider.last()["body"]["messages"][0]["content"] == everything.upper()
    assert gateway.chat(gateway.key("b"), text=everything)[0] == 200
    assert provider.last()["body"]["messages"][0]["content"] == "FILE organ assist key1"
    del config["guardrails"]["key1"]
    gateway.change_config(guardrails=config["guardrails"])
    gateway.run("reload")
    status, _, body = gateway.chat(all_of_them, text="hello")
    assert status == 500 and body["error"]["code"] == "policy_error" and "key1" in body["error"]["message"]
    with pytest.raises(Failed, match="key1"):
        gateway.key("c", guardrails=["key1"])


def test_who_fails_or_is_slow_is_on_errors(guarded, provider):
    gateway, key = guarded(open={"word": "", "action": "fail", "on_error": "open"}, closed={"action": "fail"})
    assert gateway.chat(key, text="fine")[0] == 200
    status, _, body = gateway.chat(key, text=WORD)
    assert status == 500 and body["error"]["code"] == "policy_error" and "closed" in body["error"]["message"]
    assert provider.calls() == 1


@pytest.mark.parametrize("on_error, status", [("open", 200), ("closed", 500)])
def test_a_deadline_ends_the_wait(guarded, on_error, status):
    gateway, key = guarded(slow={"delay_ms": 30000, "deadline_ms": 50, "on_error": on_error})
    got, head, body = gateway.chat(key, text="hello")
    assert got == status, body
    assert gateway.trace(head["x-request-id"])["guardrails"][0]["verdict"] == "error"


def test_one_that_thinks_holds_up_nobody_else(guarded, provider):
    gateway, key = guarded(slow={"delay_ms": 20})
    status, head, body = gateway.chat(key, text=f"a {WORD}")
    assert status == 200 and body["choices"][0]["message"]["content"] == "a ***"


def test_monitoring_changes_nothing_but_is_recorded(guarded, provider):
    gateway, key = guarded(a={"mode": "monitor"}, b={"mode": "monitor", "action": "block"}, c={"mode": "monitor", "action": "fail"})
    status, head, body = gateway.chat(key, text=WORD)
    assert status == 200 and body["choices"][0]["message"]["content"] == WORD
    assert head["x-latenza-guardrails"] == "a=mask;monitor, b=block;monitor, c=error;monitor"
    _, _, body = gateway.chat(key, text=WORD, headers={"x-latenza-usage": "include"})
    assert body["usage"]["latenza"]["guardrails"] == ["a=mask;monitor", "b=block;monitor", "c=error;monitor"]
    verdicts = {(v["guardrail"], v["phase"]): (v["verdict"], v["mode"]) for v in gateway.trace(head["x-request-id"])["guardrails"]}
    for phase in ("request", "response"):
        assert [verdicts[n, phase] for n in "abc"] == [("mask", "monitor"), ("block", "monitor"), ("error", "monitor")]
    _, _, events, done = stream(gateway, key, messages=[{"role": "user", "content": WORD}])
    assert done and text_of(events) == WORD


def test_another_model_may_be_chosen_within_the_allowlist(guarded, provider):
    gateway, key = guarded(move={"on": ["request"], "action": "reroute", "with": "fake-2"})
    status, head, body = gateway.chat(key, text=WORD)
    assert status == 200 and head["x-latenza-model"] == "fake-2" == provider.last()["body"]["model"] == body["model"]
    gateway.request("POST", "/v1/chat/completions", b'{"model":"fake\\u002d2","messages":[{"role":"user","content":"Hello"}]}', key)
    assert provider.last()["body"]["model"] == "fake-2", "however it is written"
    trace = gateway.trace(head["x-request-id"])
    assert trace["model_asked"] == "fake-1" and trace["guardrails"][0]["verdict"] == "reroute"
    only = gateway.key("only", model_allowlist=["fake-1"])
    status, _, body = gateway.chat(only, text=WORD)
    assert status == 403 and body["error"]["code"] == "model_not_allowed"


def test_a_tree_may_be_edited_instead(guarded, provider):
    gateway, key = guarded(tree={"action": "tree", "with": "rewritten"}, last={"word": "rewritten", "with": "seen"})
    status, _, body = gateway.chat(key, text=WORD)
    assert status == 200 and provider.last()["body"]["messages"][0]["content"] == "seen"
    assert body["choices"][0]["message"]["content"] == "rewritten", "answers are seen in the reverse order"


def test_token_ids_cannot_be_read_and_are_refused(guarded, provider):
    gateway, key = guarded(g={})
    status, _, raw = gateway.request("POST", "/v1/embeddings", {"model": "fake-embed", "input": [WORD, "b"]}, key)
    assert status == 200 and provider.last()["body"]["input"] == ["***", "b"]
    status, _, raw = gateway.request("POST", "/v1/embeddings", {"model": "fake-embed", "input": [[1, 2, 3]]}, key)
    assert status == 400 and "token ids" in json.loads(raw)["error"]["message"]


# ---- whole answers ----

def test_an_answer_is_masked_everywhere(guarded, provider):
    gateway, key = guarded(mask={"on": ["response"]})
    provider.script(times=1, body={"id": "x", "object": "chat.completion", "created": 1, "model": "fake-1", "choices": [
        {"index": 0, "finish_reason": "tool_calls", "logprobs": {"content": [{"token": WORD, "logprob": -1, "bytes": None, "top_logprobs": []}]},
         "message": {"role": "assistant", "content": f"a {WORD}", "refusal": None, "reasoning_content": WORD, "tool_calls": [
             {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"q\":\"a \\\"kestrel\\\"\",\"n\":1.0}"}}]}}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}})
    status, head, body = gateway.chat(key)
    message = body["choices"][0]["message"]
    assert status == 200 and message["content"] == "a ***" and message["reasoning_content"] == "***"
    assert message["tool_calls"][0]["function"]["arguments"] == '{"q":"a \\"***\\"","n":1.0}'
    assert WORD not in json.dumps(body) and WORD not in json.dumps(gateway.trace(head["x-request-id"]))


def test_a_blocked_answer_is_paid_and_not_seen(guarded, provider):
    gateway, key = guarded(no={"on": ["response"], "action": "block"}, key={"budget_monthly_eur": 1})
    provider.script(chunks=[WORD])
    status, head, body = gateway.chat(key)
    assert (status, body["error"]["code"]) == (400, "content_policy_violation") and WORD not in json.dumps(body)
    trace = gateway.trace(head["x-request-id"])
    assert trace["cost_nano_eur"] == gateway.spent("k") > 0 and WORD not in json.dumps(trace)


def test_what_is_revealed_only_the_client_sees(guarded, provider):
    gateway, key = guarded(see={"on": ["response"], "word": "[X]", "with": "hidden one", "action": "reveal"},
                           other={"on": ["response"], "word": "hidden", "action": "block"})
    # `other` is configured behind, so it sees the answer first; a third one in front sees it last.
    provider.script(chunks=["it is [", "X] here"])
    status, head, body = gateway.chat(key)
    assert status == 200 and body["choices"][0]["message"]["content"] == "it is hidden one here"
    trace = gateway.trace(head["x-request-id"])
    assert "hidden one" not in json.dumps(trace) and "it is [X] here" in json.dumps(trace)
    status, head, events, done = stream(gateway, key)
    assert done and text_of(events) == "it is hidden one here"
    trace = gateway.trace(head["x-request-id"])
    assert "hidden one" not in json.dumps(trace) and "it is [X] here" in json.dumps(trace)


def test_one_more_attempt_may_be_asked_for(guarded, provider):
    gateway, key = guarded(again={"on": ["response"], "action": "again", "with": "without birds, please"}, key={"budget_monthly_eur": 1})
    provider.script(chunks=["good"])
    provider.script(times=1, chunks=[WORD])
    status, head, body = gateway.chat(key)
    assert status == 200 and body["choices"][0]["message"]["content"] == "good"
    assert [m["content"] for m in provider.last()["body"]["messages"]] == ["Hello", WORD, "without birds, please"]
    trace = gateway.trace(head["x-request-id"])
    assert len(trace["attempts"]) == 2 and all(a["cost_nano_eur"] > 0 for a in trace["attempts"])
    assert trace["cost_nano_eur"] == gateway.spent("k")


# ---- streams ----

TEXT = f"one {WORD} é😀 two kestr el {WORD}{WORD} kest"
MASKED = TEXT.replace(WORD, "***")


@pytest.mark.parametrize("use", ["word", "whole"])
@pytest.mark.parametrize("delay_ms", [0, 3])
def test_a_stream_is_that_of_the_whole_text_wherever_it_is_cut(guarded, provider, use, delay_ms):
    gateway, key = guarded(mask={"on": ["response"], "use": use, "delay_ms": delay_ms}, flag={"on": ["response"], "action": "flag", "word": "two"})
    rng = random.Random(5)
    for size in (1, 2, 3, 7, 1000, 0, 0, 0):
        cuts = sorted({rng.randrange(1, len(TEXT)) for _ in range(9)}) if size == 0 else list(range(size, len(TEXT), size))
        pieces = [TEXT[a:b] for a, b in zip([0, *cuts], [*cuts, len(TEXT)])]
        provider.script(times=1, chunks=pieces)
        status, head, events, done = stream(gateway, key, stream_options={"include_usage": True})
        assert done and text_of(events) == MASKED and finishes(events) == ["stop"]
        assert events[-1]["usage"]["completion_tokens"] == 5 and events[-1]["choices"] == []
        assert [c["delta"].get("role") for e in events for c in e["choices"]].count("assistant") == 1
    trace = gateway.trace(head["x-request-id"])
    assert {v["guardrail"]: v["verdict"] for v in trace["guardrails"]} == {"mask": "mask", "flag": "flag"}
    assert WORD not in json.dumps(trace)


def test_what_is_safe_goes_out_at_once(guarded, provider):
    gateway, key = guarded(mask={"on": ["response"]})
    gate = threading.Semaphore(0)
    provider.script(chunks=["first ", "second"], step=gate, step_from=1)
    body = json.dumps({"model": "fake-1", "stream": True, "messages": [{"role": "user", "content": "x"}]})
    import http.client
    c = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    c.request("POST", "/v1/chat/completions", body, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    answer = c.getresponse()
    got = b""
    while b"first " not in got:
        got += answer.read1()
    assert b"second" not in got
    gate.release()
    gate.release()
    gate.release()
    rest = answer.read()
    assert b"second" in rest and b"[DONE]" in rest
    c.close()


def test_a_block_before_the_first_byte_is_an_error(guarded, provider):
    gateway, key = guarded(no={"on": ["response"], "action": "block"})
    provider.script(chunks=["kes", "trel"])
    status, _, body, _ = stream(gateway, key)
    assert status == 400 and body["error"]["code"] == "content_policy_violation"


@pytest.mark.parametrize("delay_ms", [0, 3])
def test_a_block_in_the_midst_ends_the_stream_honestly(guarded, provider, delay_ms):
    gateway, key = guarded(no={"on": ["response"], "action": "block", "delay_ms": delay_ms})
    provider.script(chunks=["all is well. ", "then kes", "trel comes", " and more"], pace=0.05)
    status, head, events, done = stream(gateway, key, stream_options={"include_usage": True})
    assert status == 200 and done and finishes(events) == ["content_filter"]
    assert text_of(events).startswith("all is well. ") and "kes" not in text_of(events)
    assert events[-1]["usage"]["total_tokens"] > 0
    trace = gateway.trace(head["x-request-id"])
    assert trace["code"] == "content_policy_violation" and trace["status"] == 200 and trace["finish_reason"] == "content_filter"
    assert trace["cost_nano_eur"] > 0


@pytest.mark.parametrize("action", ["mask", "block"])
def test_tool_calls_are_shown_when_they_are_complete(guarded, provider, action):
    gateway, key = guarded(g={"on": ["response"], "action": action})
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": ""}}
    parts = ["{\"q\": \"kes", "tr", "el\", \"n\": 1}"]
    delta = lambda d, f=None: {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "fake-1",  # noqa: E731
                               "choices": [{"index": 0, "delta": d, "finish_reason": f}]}
    provider.script(events=[delta({"role": "assistant", "content": None}), delta({"tool_calls": [{"index": 0, **call}]}),
                            *[delta({"tool_calls": [{"index": 0, "function": {"arguments": p}}]}) for p in parts],
                            delta({"tool_calls": [{"index": 1, "id": "call_2", "type": "function", "function": {"name": "b", "arguments": "{}"}}]}),
                            delta({}, "tool_calls"), "[DONE]"])
    status, _, events, done = stream(gateway, key)
    if action == "block":
        assert status == 400
        return
    calls = [c for e in events for ch in e["choices"] for c in ch["delta"].get("tool_calls", [])]
    assert calls == [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{\"q\": \"***\", \"n\": 1}"}},
                     {"index": 1, "id": "call_2", "type": "function", "function": {"name": "b", "arguments": "{}"}}]
    assert done and finishes(events) == ["tool_calls"]


@pytest.mark.parametrize("numbers", [[None, None, None], [0, 0, 0], [-1, -1, -1]], ids=["none", "always 0", "always -1"])
def test_tool_calls_that_share_a_number_stay_apart(guarded, provider, numbers):
    gateway, key = guarded(g={"on": ["response"]})
    numbered = lambda n, piece: ({} if n is None else {"index": n}) | piece  # noqa: E731
    pieces = [{"id": "a", "type": "function", "function": {"name": "look", "arguments": "{\"q\": \"kes"}},
              {"function": {"arguments": "trel\"}"}}, {"id": "b", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "fake-1"}
    provider.script(events=[*[chunk | {"choices": [{"index": 0, "delta": {"tool_calls": [numbered(n, p)]}, "finish_reason": None}]}
                              for n, p in zip(numbers, pieces)],
                            chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}, "[DONE]"])
    status, _, events, done = stream(gateway, key)
    calls = [c for e in events for ch in e["choices"] for c in ch["delta"].get("tool_calls", [])]
    assert status == 200 and done and finishes(events) == ["tool_calls"]
    assert calls == [{"index": 0, "id": "a", "type": "function", "function": {"name": "look", "arguments": "{\"q\": \"***\"}"}},
                     {"index": 1, "id": "b", "type": "function", "function": {"name": "look", "arguments": "{}"}}]


def deltas(*pairs):
    """Events of one choice: a delta and a finish_reason each."""
    return [{"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "fake-1",
             "choices": [{"index": 0, "delta": d, "finish_reason": f}]} for d, f in pairs]


def test_whole_calls_of_one_number_and_without_ids_are_calls_of_their_own(guarded, provider):
    """As Gemini sends them; and what says nothing is none."""
    gateway, key = guarded(g={"on": ["response"]})
    calls = [{"index": 0, "id": "", "type": "function", "function": {"name": "look", "arguments": json.dumps({"q": q})}} for q in (WORD, "}\"{")]
    provider.script(events=[*deltas(({"tool_calls": [{}]}, None), *(({"tool_calls": [c]}, None) for c in calls), ({}, "tool_calls")), "[DONE]"])
    _, _, events, done = stream(gateway, key)
    out = [c for e in events for ch in e["choices"] for c in ch["delta"].get("tool_calls", [])]
    assert done and [(c["index"], json.loads(c["function"]["arguments"])["q"]) for c in out] == [(0, "***"), (1, "}\"{")]


def test_a_call_whose_every_piece_has_a_name_and_a_new_id_is_one(guarded, provider):
    """As vLLM sent the one that tool_choice named."""
    gateway, key = guarded(g={"on": ["response"]})
    calls = [{"index": 0, "id": f"call-{i}", "type": "function", "function": {"name": "look", "arguments": piece}}
             for i, piece in enumerate(['{"', 'q": "kes', 'trel', '"}', ""])]
    provider.script(events=[*deltas(*(({"tool_calls": [c]}, None) for c in calls), ({}, "tool_calls")), "[DONE]"])
    _, _, events, done = stream(gateway, key)
    out = [c for e in events for ch in e["choices"] for c in ch["delta"].get("tool_calls", [])]
    assert done and [(c["index"], c["function"]) for c in out] == [(0, {"name": "look", "arguments": '{"q": "***"}'})]


def test_an_empty_finish_reason_ends_nothing(guarded, provider):
    gateway, key = guarded(g={"on": ["response"]})
    pieces = [{"index": 0, "id": "a", "type": "function", "function": {"name": "look", "arguments": "{\"q\": \"kes"}},
              {"index": 0, "function": {"arguments": "trel\"}"}}]
    first, second, third, fourth = deltas(({"content": "a kes", "tool_calls": pieces[:1]}, ""), ({"content": "trel b"}, ""),
                                          ({"tool_calls": pieces[1:]}, ""), ({}, "tool_calls"))
    provider.script(events=[first, 0.05, second, third, 0.05, fourth, "[DONE]"])
    _, _, events, done = stream(gateway, key)
    calls = [c for e in events for ch in e["choices"] for c in ch["delta"].get("tool_calls", [])]
    assert done and text_of(events) == "a *** b" and finishes(events) == ["tool_calls"]
    assert [c["function"]["arguments"] for c in calls] == ["{\"q\": \"***\"}"]
    assert all(ch["finish_reason"] in (None, "tool_calls") for e in events for ch in e["choices"])


@pytest.mark.parametrize("member", ["function_call", "tool_calls"])
def test_a_call_does_not_go_on_behind_its_end(guarded, provider, member):
    """Clients would put both parts together, which the guardrail saw apart."""
    gateway, key = guarded(g={"on": ["response"]})
    call = lambda f: {member: f if member == "function_call" else [{"index": 0, "id": "a", "function": f}]}  # noqa: E731
    first, nothing, more = deltas((call({"name": "look", "arguments": "{\"q\": \"kes"}), member), (call({"arguments": ""}), None),
                                  (call({"arguments": "trel\"}"}), member))
    provider.script(events=[first, 0.05, nothing, more, "[DONE]"])
    _, _, events, done = stream(gateway, key)
    assert not done and "kes" in json.dumps(events) and "trel" not in json.dumps(events) and events[-1]["error"]["code"]
    provider.script(events=[first, 0.05, nothing, "[DONE]"])
    _, _, events, done = stream(gateway, key)
    assert done and json.dumps(events).count(member + "\": ") == 1


def test_members_that_nobody_knows_are_seen_too(guarded, provider):
    gateway, key = guarded(g={"on": ["response"]})
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "fake-1"}
    provider.script(events=[chunk | {"choices": [{"index": 0, "delta": {"content": "a", "annotations": [{"title": WORD, "url": "http://x"}]},
                                                  "finish_reason": None, "note": WORD}], "citations": [WORD]},
                            chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, "[DONE]"])
    status, _, events, done = stream(gateway, key)
    said = json.dumps(events)
    assert done and WORD not in said and said.count("***") == 3 and "http://x" in said


def test_a_text_of_any_name_may_go_on_in_the_next_delta(guarded, provider):
    gateway, key = guarded(g={"on": ["response"]})
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "fake-1"}
    delta = lambda d, f=None: chunk | {"choices": [{"index": 0, "delta": d, "finish_reason": f}]}  # noqa: E731
    provider.script(events=[delta({"role": "assistant", "musing": "a kes"}), delta({"musing": "trel b"}), delta({"content": "c"}), delta({}, "stop"), "[DONE]"])
    status, _, events, done = stream(gateway, key)
    assert done and text_of(events, "musing") == "a *** b" and text_of(events) == "c"


@pytest.mark.parametrize("model", ["echo-1", "echo-slow"])
@pytest.mark.parametrize("use", ["word", "whole"])
def test_what_comes_while_one_thinks_is_not_lost(make_gateway, plugin, use, model):
    """echo says all of it at once, however long the guardrail takes; slowly, it is held up."""
    gateway = make_gateway(config={
        "plugins": ["echo", "balanced", str(plugin)], "plugin_files": "warn",
        "providers": {"echo": {"plugin": "echo", "test": True, "first_token": "1ms", "next_token": "1ms"}},
        "guardrails": {"g": {"use": use, "word": WORD, "default_on": True, "on": ["response"], "delay_ms": 5}}})
    key = gateway.key("k", test=True)
    text = " ".join(f"{i} {WORD}" for i in range(1000 if model == "echo-1" else 40))
    status, _, events, done = stream(gateway, key, model=model, messages=[{"role": "user", "content": text}])
    assert done, events
    assert text_of(events).endswith(text.replace(WORD, "***")) and finishes(events) == ["stop"]


def test_a_long_answer_that_was_held_leaves_whole(guarded, provider):
    gateway, key = guarded(g={"use": "whole", "on": ["response"]})
    piece = "\"quoted\"\n" * 1000
    provider.script(chunks=[piece] * 350)
    status, _, events, done = stream(gateway, key)
    assert done and text_of(events) == piece * 350 and finishes(events) == ["stop"]


@pytest.mark.parametrize("how", ["closed", "open", "monitor", "after"])
def test_more_than_may_be_held_whole_is_on_errors(guarded, provider, how):
    more = {"on_error": how} if how in ("closed", "open") else {"mode": "monitor"} if how == "monitor" else {"stream": "after"}
    gateway, key = guarded({"limits": {"answer_bytes": "64KiB"}}, g={"use": "whole", "on": ["response"], **more})
    provider.script(chunks=["x" * 10000] * 9 + [WORD, "y" * 10000])
    status, _, events, done = stream(gateway, key)
    if how == "closed":
        assert status == 500 and events["error"]["code"] == "policy_error"
    else:
        assert done and text_of(events) == "x" * 90000 + WORD + "y" * 10000


def test_a_watcher_that_holds_takes_nothing_with_it(guarded, provider):
    gateway, key = guarded({"limits": {"answer_bytes": "128KiB"}}, g={"on": ["response"], "action": "hold", "mode": "monitor"})
    provider.script(chunks=["start ", WORD] + ["x" * 1000] * 300)
    status, head, events, done = stream(gateway, key)
    assert done, events
    assert text_of(events) == "start " + WORD + "x" * 300000
    assert gateway.trace(head["x-request-id"])["guardrails"][0]["verdict"] == "error"


def test_what_is_held_is_bounded(guarded, provider):
    for on_error in ("closed", "open"):
        gateway, key = guarded(h={"on": ["response"], "action": "hold", "on_error": on_error})
        provider.script(chunks=["start ", WORD] + ["x" * 1000] * 80, pace=0.003)
        status, _, events, done = stream(gateway, key)
        if on_error == "open":
            assert done and text_of(events) == "start " + WORD + "x" * 80000
        else:
            assert not done and events[-1]["error"]["code"] == "policy_error" and text_of(events[:-1]) == "start "


def test_an_answer_checked_afterwards_is_only_told_of(guarded, provider):
    gateway, key = guarded(late={"on": ["response"], "action": "block", "stream": "after"})
    provider.script(chunks=["a ", WORD])
    status, head, events, done = stream(gateway, key)
    assert done and text_of(events) == "a " + WORD
    assert gateway.trace(head["x-request-id"])["guardrails"][0]["verdict"] == "block"


def test_a_stream_that_breaks_off_shows_only_what_passed(guarded, provider):
    gateway, key = guarded(mask={"on": ["response"]})
    provider.script(chunks=["one ", f"{WORD} two kes"], end="cut")
    status, _, events, done = stream(gateway, key)
    assert not done and text_of(events[:-1]) == "one *** two " and "error" in events[-1]


def test_several_choices_are_judged_apart(guarded, provider):
    gateway, key = guarded(mask={"on": ["response"]})
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "fake-1"}
    one = lambda i, t, f=None: chunk | {"choices": [{"index": i, "delta": {"content": t} if t else {}, "finish_reason": f}]}  # noqa: E731
    provider.script(events=[one(0, "kes"), one(1, "kes"), one(0, "trel."), one(1, "t."), one(1, "", "length"), one(0, "", "stop"), "[DONE]"])
    status, _, events, done = stream(gateway, key, n=2)
    texts = {i: "".join(c["delta"].get("content") or "" for e in events for c in e["choices"] if c["index"] == i) for i in (0, 1)}
    assert done and texts == {0: "***.", 1: "kest."} and sorted(finishes(events)) == ["length", "stop"]


# ---- reloads ----

def test_those_that_look_at_nothing_stand_between_those_that_do(guarded, provider):
    """A visit goes from one to the next: what the one before looked at, said, waited for or edited is not the next one's."""
    nothing, word = {"use": "nothing", "default_on": True}, {"use": "word", "word": WORD, "default_on": True}
    rails = {"a": nothing, "b": word | {"action": "flag", "with": "seen"}, "c": nothing, "d": word | {"action": "pass", "word": "never"},
             "e": nothing | {"mode": "monitor"}, "f": word | {"action": "flag", "delay_ms": 2}, "g": nothing | {"on": ["response"]},
             "h": word | {"action": "tree", "with": f"no {WORD}", "on": ["request"]}, "i": nothing, "j": word | {"action": "mask"}, "k": nothing}
    gateway, key = guarded(config={"guardrails": rails})
    provider.script(chunks=[f"The {WORD} is back."])
    status, head, raw = gateway.request("POST", "/v1/chat/completions",
                                        {"model": "fake-1", "messages": [{"role": "user", "content": f"A {WORD}?"}]}, key)
    assert status == 200 and json.loads(raw)["choices"][0]["message"]["content"] == "The *** is back."
    assert provider.last()["body"]["messages"][0]["content"] == "no ***"
    found = {"request": {"b": "flag", "f": "flag", "h": "mask", "j": "mask"}, "response": {"j": "mask"}}
    order = {"request": [n for n in rails if n != "g"], "response": [n for n in reversed(rails) if n != "h"]}
    said = gateway.trace(head["x-request-id"])["guardrails"]
    assert [(v["phase"], v["guardrail"], v["verdict"]) for v in said] == [
        (phase, n, found[phase].get(n, "pass")) for phase in order for n in order[phase]]
    assert {(v["phase"], v["guardrail"]) for v in said if v["codes"]} == {("request", n) for n in "bfj"} | {("response", "j")}
    assert [v["guardrail"] for v in said if v["mode"] == "monitor"] == ["e", "e"]
    assert min(v["ms"] for v in said if (v["phase"], v["guardrail"]) == ("request", "f")) >= 2
    assert head["x-latenza-guardrails"] == "b=flag, f=flag, h=mask, j=mask"
    counted = gateway.metrics()
    assert {n: int(counted[f'latenza_guardrail_verdicts_total{{guardrail="{n}",verdict="pass"}}']) for n in rails} == {
        n: sum(v["guardrail"] == n and v["verdict"] == "pass" for v in said) for n in rails}


def test_metrics_name_the_guardrail_and_go_on_counting_over_reloads(guarded):
    flags = {"action": "flag", "on": ["request"]}
    gateway, key = guarded(first=flags, second=flags | {"word": "merlin"})

    def counted():
        head = "latenza_guardrail_verdicts_total"
        of = {name: int(n) for name, n in gateway.metrics().items() if name.startswith(head)}
        assert {name.split('"')[1] for name in of} <= {"first", "second", "third"}
        return {tuple(name.split('"')[1::2]): n for name, n in of.items() if n}
    assert counted() == {}
    assert gateway.chat(key, text=WORD)[0] == 200
    once = {("first", "flag"): 1, ("second", "pass"): 1}
    assert counted() == once
    rails = gateway.config["guardrails"]
    gateway.change_config(guardrails={"never": rails["first"], "wrong": {"use": "nobody"}})
    assert gateway.run("reload", check=False).returncode != 0
    gateway.change_config(guardrails={"third": rails["first"]})
    gateway.run("reload")
    assert gateway.chat(key, text=WORD)[0] == 200
    assert counted() == once | {("third", "flag"): 1}
    gateway.change_config(guardrails={"first": rails["first"]})
    gateway.run("reload")
    assert gateway.chat(key, text=WORD)[0] == 200
    assert counted()[("first", "flag")] == 2

def test_reloads_make_and_end_instances_and_no_request_sees_two(make_gateway, plugin):
    """The request is masked with the number of the configuration, the answer with the same: echo says what it heard."""
    def rails(i):
        row = {"use": "word", "default_on": True, "with": f"v{i}", "delay_ms": 2}
        return {"in": row | {"word": "kestrel", "on": ["request"]}, "out": row | {"word": "merlin", "on": ["response"]}}
    gateway = make_gateway(config={"plugins": ["echo", "balanced", str(plugin)], "plugin_files": "warn", "guardrails": rails(0)})
    key = gateway.key("k", test=True)
    stop, wrong, seen = threading.Event(), [], set()

    def ask(is_stream):
        while not stop.is_set():
            body = {"model": "echo-1", "messages": [{"role": "user", "content": "kestrel merlin"}]}
            if is_stream:
                status, _, events, done = stream(gateway, key, **body)
                text = text_of(events) if done else str(events)
            else:
                status, _, raw = gateway.request("POST", "/v1/chat/completions", body, key)
                text = json.loads(raw)["choices"][0]["message"]["content"] if status == 200 else raw.decode()
            words = text.split()
            if len(words) != 2 or words[0] != words[1]:
                wrong.append(text)
            seen.add(words[0])
    threads = [threading.Thread(target=ask, args=(i % 2 == 1,)) for i in range(4)]
    for t in threads:
        t.start()
    try:
        for i in range(1, 201):
            gateway.change_config(guardrails=rails(i))
            gateway.run("reload")
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not wrong, wrong[:3]
    assert len(seen) > 20
    made, ended = ("latenza_plugin_test_guards_made_total", "latenza_plugin_test_guards_ended_total")
    for i in range(201, 221):  # what nobody holds any more ends with the next reload
        gateway.change_config(guardrails=rails(i))
        gateway.run("reload")
        n = gateway.metrics()
        if n[made] - n[ended] <= 4:
            break
    assert n[made] - n[ended] in (2, 4) and n[ended] >= 398, (n[made], n[ended])
