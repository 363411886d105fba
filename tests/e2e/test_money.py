"""Budgets and traces as an operator sees them.

SPDX-License-Identifier: MIT
"""

import base64
import json
import subprocess
import threading

import pytest
from harness.gateway import Failed

COST = (7 * 1 + 5 * 2) * 500  # nano-EUR of the provider's usual answer: 7 and 5 tokens at $1 and $2, 0.5 EUR per USD


def test_what_a_request_cost_is_in_its_trace_and_in_its_keys_budget(gateway):
    key = gateway.key("payer", budget_monthly_eur=1)
    _, head, _ = gateway.chat(key)
    trace = gateway.trace(head["x-request-id"])
    assert trace["cost_nano_eur"] == COST
    assert [c["cost_nano_eur"] for c in trace["charges"]] == [COST]
    assert trace["charges"][0]["price_output_pico_usd"] == 2_000_000 and trace["charges"][0]["fx_date"] == "2026-11-20"
    assert trace["tokens"] == {"input": 7, "output": 5, "cache_read": 0, "cache_write": 0, "reasoning": 0}
    assert gateway.spent("payer") == COST


def test_a_budget_that_is_spent_blocks_before_any_provider_call(gateway, provider):
    key = gateway.key("poor", budget_monthly_eur=0.00003, max_output_tokens=5)
    answers = []
    while len(answers) < 20 and (not answers or answers[-1][0] == 200):
        answers.append(gateway.chat(key))
    calls = provider.calls()
    assert 1 <= calls < 20
    assert answers[-1][0] == 429 and answers[-1][2]["error"]["type"] == "insufficient_quota"
    assert answers[-1][1]["x-should-retry"] == "false"
    assert gateway.spent("poor") == calls * COST <= 30000
    assert provider.calls() == calls


LONG = "to be or not " * 2000
LONG_PROMPTS = {
    "a text that begins like a data URL": {"messages": [{"role": "user", "content": f"data:image/png;base64,{LONG}"}]},
    "a file of text": {"messages": [{"role": "user", "content": [
        {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64," + base64.b64encode(LONG.encode()).decode()}}]}]},
    "a prediction": {"prediction": {"type": "content", "content": LONG}},
    "what nobody knows": {"documents": [{"text": LONG}]},
    "keys beside an image": {"tools": [{"type": "function", "function": {"name": "f", "parameters": {
        "image": {"url": "data:image/png;base64," + 300 * "A"}, "properties": {LONG: {}}}}}]},
}


@pytest.mark.parametrize("where", LONG_PROMPTS)
def test_a_long_prompt_is_held_against_the_budget_whatever_it_looks_like(gateway, provider, where):
    provider.script(usage=(len(LONG) // 2, 5))
    key = gateway.key("k", budget_monthly_eur=0.005, max_output_tokens=5)
    status, _, body = gateway.chat(key, **LONG_PROMPTS[where])
    assert status == 429 and body["error"]["type"] == "insufficient_quota"
    assert gateway.spent("k") == 0 and provider.calls() == 0


def test_a_budget_is_never_exceeded_by_many_at_once(gateway, provider):
    provider.script(usage=(7, 5), delay=0.05)
    key = gateway.key("crowd", budget_monthly_eur=0.0002, max_output_tokens=5)
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(gateway.chat(key)[0])) for _ in range(60)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert set(statuses) <= {200, 429}
    assert gateway.spent("crowd") == statuses.count(200) * COST <= 200_000


def test_a_model_without_a_price_is_not_served_to_a_key_with_a_budget(make_gateway, provider):
    gateway = make_gateway(provider=provider, config={"providers": {
        "fake": {"plugin": "compatible", "base_url": provider.base_url, "api_keys": ["env:FAKE_KEY"]}}})
    rich, free = gateway.key("budgeted", budget_monthly_eur=5), gateway.key("unlimited")
    status, _, body = gateway.chat(rich, model="fake/whatever")
    assert (status, body["error"]["code"]) == (403, "model_unpriced")
    status, head, _ = gateway.chat(free, model="fake/whatever")
    assert status == 200
    assert gateway.trace(head["x-request-id"])["cost_nano_eur"] is None


def test_spend_survives_a_restart(gateway):
    key = gateway.key("saver", budget_monthly_eur=1)
    for _ in range(3):
        gateway.chat(key)
    assert gateway.stop() == 0
    assert gateway.spent("saver") == 3 * COST
    gateway.start()
    gateway.chat(key)
    assert gateway.spent("saver") == 4 * COST


def test_failed_calls_cost_nothing(gateway, provider):
    provider.script(status=500)
    key = gateway.key("lucky", budget_monthly_eur=1)
    assert gateway.chat(key)[0] == 502
    assert gateway.spent("lucky") == 0


# ---- traces ----

def test_a_trace_tells_the_whole_way(gateway):
    key = gateway.key("teller")
    _, head, _ = gateway.chat(key, text="What is a trace?", user="ada", metadata={"surface": "docs"})
    trace = gateway.trace(head["x-request-id"])
    assert (trace["key"], trace["user"], trace["metadata"]) == ("teller", "ada", {"surface": "docs"})
    assert (trace["model_asked"], trace["model"], trace["provider"]) == ("fake-1", "fake-1", "fake")
    assert trace["request"]["messages"][0]["content"] == "What is a trace?"
    assert trace["answer"]["choices"][0]["message"]["content"] == "What is a trace?"
    assert trace["attempts"][0]["provider"] == "fake"
    page = gateway.run("traces", "show", head["x-request-id"]).stdout
    for word in ("Where time went", "Where money went", "Who could serve it", "teller", "ada", "What is a trace?"):
        assert word in page


def test_a_unique_beginning_of_an_id_is_enough(gateway):
    _, head, _ = gateway.chat(gateway.key())
    assert gateway.trace(head["x-request-id"][:28])["id"] == head["x-request-id"]
    with pytest.raises(Failed):
        gateway.trace("ffff")
    with pytest.raises(Failed):
        gateway.trace("not hex")


def test_a_refused_request_leaves_a_trace_too(gateway):
    _, head, _ = gateway.chat(gateway.key("narrow", model_allowlist=["fake-2"]))
    trace = gateway.trace(head["x-request-id"])
    assert (trace["status"], trace["code"], trace["attempts"]) == (403, "model_not_allowed", None)


def test_traces_are_filtered(gateway, provider):
    a, b = gateway.key("a"), gateway.key("b")
    gateway.chat(a, user="ada")
    gateway.chat(b, model="fake-2", metadata={"env": "prod"})
    gateway.chat(b, model="nothing")
    assert [t["key"] for t in gateway.traces("--key", "a")] == ["a"]
    assert [t["user"] for t in gateway.traces("--user", "ada")] == ["ada"]
    assert [t["model"] for t in gateway.traces("--model", "fake-2")] == ["fake-2"]
    assert [t["code"] for t in gateway.traces("--errors")] == ["model_not_found"]
    assert len(gateway.traces("--metadata", "env=prod")) == 1
    assert len(gateway.traces("--since", "1h")) == 3


def test_export_writes_every_trace_once(gateway, tmp_path):
    key = gateway.key()
    ids = [gateway.chat(key)[1]["x-request-id"] for _ in range(7)]
    gateway.run("traces", "export", "--content", "--to", tmp_path / "out.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert sorted(t["id"] for t in lines) == sorted(ids)
    assert all(t["request"]["model"] == "fake-1" for t in lines)


def test_a_person_is_forgotten_and_the_money_stays(gateway):
    key = gateway.key("keeper", budget_monthly_eur=1)
    _, head, _ = gateway.chat(key, user="ada", text="my secret wish")
    gateway.chat(key, user="grace")
    assert gateway.run("traces", "erase", "--user", "ada", check=False).returncode == 2
    gateway.run("traces", "erase", "--user", "ada", "--yes")
    trace = gateway.trace(head["x-request-id"])
    assert trace["user"] is None and trace["request"] is None
    assert gateway.spent("keeper") == 2 * COST
    assert b"my secret wish" not in (gateway.data / "latenza.db").read_bytes()


def test_content_is_kept_only_as_the_key_allows(gateway):
    _, head, _ = gateway.chat(gateway.key("shy", log_content="off"), text="do not keep this")
    assert gateway.trace(head["x-request-id"])["request"] is None
    assert "do not keep this" not in gateway.logs()


def test_neither_prompts_nor_secrets_reach_the_log(gateway, provider):
    key = gateway.key("canary")
    provider.script(status=500, times=1)
    gateway.chat(key, text="canary-prompt-4711")
    gateway.chat(key, text="canary-prompt-4711", stream=False)
    gateway.chat("lz_live_canarysecret")
    for word in ("canary-prompt-4711", key, "canarysecret", gateway.env["FAKE_KEY"]):
        assert word not in gateway.logs()


def test_tail_prints_requests_as_they_end(gateway):
    key = gateway.key()
    before = gateway.chat(key)[1]["x-request-id"]
    tail = subprocess.Popen([gateway.program, "traces", "tail", "--since", "1h", "-o", "json", "-c", gateway.config_path],
                            stdout=subprocess.PIPE, text=True, env=gateway.env)
    try:
        assert json.loads(tail.stdout.readline())["id"] == before
        after = gateway.chat(key)[1]["x-request-id"]
        assert json.loads(tail.stdout.readline())["id"] == after
    finally:
        tail.kill()
        tail.wait()


@pytest.mark.parametrize("euros", [0.02, 1])  # a stream may cost 0.04
def test_what_a_stream_thinks_unseen_is_held_against_the_budget(make_gateway, provider, euros):
    thinks = {"id": "fake-1", "context_window": 131072, "max_output_tokens": 40000, "price_input_per_mtok": 1.0, "price_output_per_mtok": 2.0,
              "capabilities": ["streaming", "reasoning"]}
    gateway = make_gateway(provider=provider, config={"providers": {
        "fake": {"plugin": "compatible", "base_url": provider.base_url, "api_keys": ["env:FAKE_KEY"], "models": [thinks]}}})
    key, free = gateway.key("k", budget_monthly_eur=euros), gateway.key("free")
    provider.script(chunks=["4"], usage=(7, 16 if euros < 1 else 40000), delay=0.3)
    body = {"model": "fake-1", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(gateway.request("POST", "/v1/chat/completions", body, key)[0])) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    told = [r["body"].get("max_tokens") for r in provider.requests]
    if euros < 1:  # all that they may think of is paid for
        assert None not in told and sum(told) * 1000 <= euros * 1e9
    else:
        assert told == 8 * [None]
    assert 200 in statuses and 0 < gateway.spent("k") <= euros * 1e9 and gateway.metrics()["latenza_overspend_nano_eur_total"] == 0
    gateway.request("POST", "/v1/chat/completions", body, free)
    assert "max_tokens" not in provider.last()["body"]  # nobody counts
