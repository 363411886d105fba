"""The guardrail `moderation` in a gateway, and an endpoint that judges by one word.

SPDX-License-Identifier: MIT
"""

import json
import threading
import time

import pytest
from harness.service import Service

BAD = "vitriol"
API_KEY = "sk-judge-heron/51+77=2604"


def judged(text):
    bad = BAD in text
    return {"flagged": bad, "categories": {"hate": bad, "self-harm/intent": "despair" in text},
            "category_scores": {"hate": 0.97 if bad else 0.02, "self-harm/intent": 0.6 if "despair" in text else 0.0}}


def judge(ask):
    return 200, {"id": "modr-1", "model": ask.json.get("model", "own"), "results": [judged(t) for t in ask.json["input"]]}


@pytest.fixture
def service():
    with Service(judge) as s:
        yield s


@pytest.fixture
def guarded(make_gateway, provider, service):
    def make(**options):
        gateway = make_gateway(provider=provider, env={"JUDGE_KEY": API_KEY}, config={"guardrails": {"moderated": {
            "use": "moderation", "url": service.url + "/v1/moderations", "api_key": "env:JUDGE_KEY", "default_on": True} | options}})
        gateway.secrets.add(API_KEY)
        return gateway, gateway.key("k")
    return make


def test_a_prompt_is_judged_before_anybody_else_sees_it(guarded, provider, service):
    gateway, key = guarded(model="omni")
    assert gateway.chat(key, text="kind words")[0] == 200
    assert service.asked[0].path == "/v1/moderations" and service.asked[0].json == {"model": "omni", "input": ["kind words"]}
    assert service.asked[0].headers["authorization"] == f"Bearer {API_KEY}"
    assert provider.calls() == 1
    status, head, body = gateway.chat(key, text=f"full of {BAD}")
    assert (status, body["error"]["code"]) == (400, "content_policy_violation") and "'hate'" in body["error"]["message"]
    assert provider.calls() == 1
    assert gateway.trace(head["x-request-id"])["guardrails"][0]["codes"] == ["moderation.hate"]


@pytest.mark.parametrize("more", [{}, {"stream": True}])
def test_an_answer_is_judged_before_the_client_sees_it(guarded, provider, service, more):
    gateway, key = guarded(on=["response"])
    provider.script(chunks=["all ", "kind"], times=1)
    status, _, raw = gateway.request("POST", "/v1/chat/completions",
                                     {"model": "fake-1", "messages": [{"role": "user", "content": BAD}], **more}, key)
    assert status == 200 and b"kind" in raw and service.asked[-1].json["input"] == ["all kind"]
    provider.script(chunks=["full of ", BAD[:3], BAD[3:]])
    status, _, raw = gateway.request("POST", "/v1/chat/completions",
                                     {"model": "fake-1", "messages": [{"role": "user", "content": "x"}], **more}, key)
    assert status == 400 and json.loads(raw)["error"]["code"] == "content_policy_violation" and BAD.encode() not in raw


def test_categories_block_or_flag(guarded):
    gateway, key = guarded(block=["hate"], flag=["self-harm*"], limit=0.5, on=["request"])
    status, head, _ = gateway.chat(key, text="despair")
    verdict = gateway.trace(head["x-request-id"])["guardrails"][0]
    assert status == 200 and verdict["verdict"] == "flag" and verdict["codes"] == ["moderation.self-harm/intent"]
    assert gateway.chat(key, text="despair and " + BAD)[0] == 400


def garbage(ask):
    return 200, b"<html>"


def too_few(ask):
    return 200, {"results": []}


def slow(ask):
    time.sleep(1)
    return judge(ask)


@pytest.mark.parametrize("answer", [lambda a: (429, {}, {"retry-after": "7"}), lambda a: (500, {}), lambda a: (401, {}), garbage, too_few, slow],
                         ids=["429", "500", "401", "garbage", "too_few", "slow"])
def test_who_does_not_judge_is_on_errors(guarded, provider, service, answer):
    service.answer = answer
    gateway, key = guarded(on_error="closed", timeout_ms=150, on=["request"])
    status, _, body = gateway.chat(key, text="kind words")
    assert status == 500 and body["error"]["code"] == "policy_error" and provider.calls() == 0
    assert "kind words" not in gateway.log_path.read_text()
    open_gateway, key = guarded(on_error="open", timeout_ms=150, on=["request"])
    status, head, _ = open_gateway.chat(key, text="kind words")
    assert status == 200 and open_gateway.trace(head["x-request-id"])["guardrails"][0]["verdict"] == "error"


def test_texts_go_to_the_configured_url_only(guarded, service):
    with Service(judge) as elsewhere:
        for status in (301, 302, 307, 308):
            service.answer = lambda ask, status=status: (status, b"", {"location": elsewhere.url + "/v1/moderations"})
            gateway, key = guarded(on=["request"])
            assert gateway.chat(key, text="secret text")[0] == 500
        assert elsewhere.asked == []


def test_a_long_conversation_is_sent_whole_in_batches(guarded, service):
    gateway, key = guarded(on=["request"], chunk_bytes=1024, batch=3)
    words = [f"word{i}" for i in range(1500)]
    messages = [{"role": "user", "content": " ".join(words[i:i + 300])} for i in range(0, 1500, 300)]
    assert gateway.request("POST", "/v1/chat/completions", {"model": "fake-1", "messages": messages}, key)[0] == 200
    inputs = [text for ask in service.asked for text in ask.json["input"]]
    assert max(len(ask.json["input"]) for ask in service.asked) == 3 and max(map(len, inputs)) <= 1024
    assert set(words) <= {word for text in inputs for word in text.split()}
    messages[3]["content"] += f" {BAD} " + "more " * 50
    assert gateway.request("POST", "/v1/chat/completions", {"model": "fake-1", "messages": messages}, key)[0] == 400
    messages = [{"role": "user", "content": "x" * 2_000_000}]
    assert gateway.request("POST", "/v1/chat/completions", {"model": "fake-1", "messages": messages}, key)[0] == 500


def test_tool_results_and_arguments_are_judged_too(guarded, service):
    gateway, key = guarded(on=["request"])
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": json.dumps({"q": BAD})}}
    messages = [{"role": "user", "content": "x"}, {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c", "content": "fine"}]
    ask = lambda: gateway.request("POST", "/v1/chat/completions", {"model": "fake-1", "messages": messages}, key)[0]  # noqa: E731
    assert ask() == 400
    call["function"]["arguments"] = "{}"
    assert ask() == 200
    messages[2]["content"] = BAD
    assert ask() == 400


def test_while_the_service_thinks_others_are_served(make_gateway, provider, service):
    go = threading.Event()

    def wait(ask):
        go.wait(20)
        return judge(ask)

    service.answer = wait
    gateway = make_gateway(provider=provider, config={"workers": 1, "guardrails": {"moderated": {
        "use": "moderation", "url": service.url, "timeout_ms": "20s", "deadline_ms": "20s"}}})
    slow_key, quick_key = gateway.key("s", guardrails=["moderated"]), gateway.key("q")
    got = []
    threads = [threading.Thread(target=lambda: got.append(gateway.chat(slow_key)[0])) for _ in range(20)]
    for t in threads:
        t.start()
    end = time.monotonic() + 10
    while len(service.asked) < 20 and time.monotonic() < end:
        time.sleep(0.01)
    assert len(service.asked) == 20 and got == []
    assert all(gateway.chat(quick_key)[0] == 200 for _ in range(10)) and got == []
    go.set()
    for t in threads:
        t.join()
    assert got == [200] * 20
