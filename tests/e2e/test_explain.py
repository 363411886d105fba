"""Who would serve a request: `route explain`, the dry run's header and the trace show one table.

SPDX-License-Identifier: MIT
"""

import json

import pytest
from harness.gateway import PRICES
from harness.provider import Provider

BODY = {"model": "fake-1", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def two(make_gateway, provider):
    """One model at two providers, `b` twice as dear as `a`; and one that knows no tools."""
    def one(factor):
        return {"plugin": "compatible", "base_url": provider.base_url, "api_keys": ["env:FAKE_KEY"],
                "models": [{"id": "fake-1", "context_window": 32768, "max_output_tokens": 4096,
                            **{k: v * factor for k, v in PRICES.items()}},
                           {"id": "fake-2", "context_window": 1000, "capabilities": ["streaming"], **PRICES}]}
    return make_gateway(config={"providers": {"a": one(1), "b": one(2)}, "routing": {"default": "cheapest"}})


def rows(table):
    return [(c["provider"], c["model"], c.get("excluded"), c["rank"]) for c in table]


def dry_run(gateway, key, body=BODY, **headers):
    status, head, raw = gateway.request("POST", "/v1/chat/completions", body, key,
                                        {"x-latenza-dry-run": "route", **headers})
    return status, head, json.loads(raw)


def explain(gateway, *words, **more):
    return gateway.json("route", "explain", "--key", "test-key", *words, **more)


def test_trace_dry_run_and_command_show_the_same_table(two, provider):
    key = two.key(rate_limit=100, budget_monthly_eur=10)
    _, head, _ = two.chat(key)
    traced = two.trace(head["x-request-id"])["candidates"]
    assert rows(traced) == [("a", "fake-1", None, 1), ("b", "fake-1", None, 2)]
    status, head, table = dry_run(two, key)
    assert status == 200 and (table["object"], table["strategy"], table["refused"]) == ("latenza.route", "cheapest", None)
    asked = explain(two, "--model", "fake-1")
    for other in (table, asked):
        assert rows(other["candidates"]) == rows(traced)
    # The command writes its body without blanks: a few bytes of prompt fewer.
    assert [c["bound_nano_eur"] for c in table["candidates"]] == [c["bound_nano_eur"] for c in traced]
    assert asked["candidates"][0]["bound_nano_eur"] <= traced[0]["bound_nano_eur"]
    assert "EUR" in asked["candidates"][0]["why"]
    assert provider.calls() == 1, "nobody was called for the other two"


def test_a_dry_run_is_traced_as_one_and_costs_nothing(two):
    key = two.key(budget_monthly_eur=10)
    _, head, _ = dry_run(two, key)
    trace = two.trace(head["x-request-id"])
    assert "dry_run" in trace["flags"] and not trace["attempts"] and two.spent("test-key") == 0


def test_a_command_uses_up_no_rate_and_leaves_no_trace(two):
    key = two.key(rate_limit=1)
    for _ in range(5):
        assert explain(two, "--model", "fake-1")["refused"] is None
    assert two.traces() == []
    assert two.chat(key)[0] == 200 and two.chat(key)[0] == 429


def test_every_exclusion_has_its_reason(two, provider):
    key = two.key(model_allowlist=["fake-2"])
    body = {"model": "latenza/cheapest", "messages": [{"role": "user", "content": "word " * 2000}], "max_tokens": 10}
    _, _, table = dry_run(two, key, body)
    assert rows(table["candidates"]) == [("a", "fake-1", "model_not_allowed", 0), ("a", "fake-2", "context_length_exceeded", 0),
                                         ("b", "fake-1", "model_not_allowed", 0), ("b", "fake-2", "context_length_exceeded", 0)]
    assert (table["refused"]["status"], table["refused"]["code"]) == (400, "context_length_exceeded")
    provider.script(status=500)
    other = two.key("other-key")
    for _ in range(8):
        two.chat(other)
    table = two.json("route", "explain", "--key", "other-key", "--model", "fake-1")
    assert "unhealthy" in [c.get("excluded") for c in table["candidates"]]


def test_a_name_outside_the_allowlist_has_its_table_and_its_refusal(two, provider):
    key = two.key(model_allowlist=["fake-2"])
    refused = {"status": 403, "code": "model_not_allowed"}
    for table in (explain(two, "--model", "fake-1"), dry_run(two, key)[2]):
        assert rows(table["candidates"]) == [(p, "fake-1", "model_not_allowed", 0) for p in "ab"]
        assert table["refused"].items() >= refused.items()
    assert two.chat(key)[2]["error"]["message"] == table["refused"]["message"]
    shown = two.run("route", "explain", "--key", "test-key", "--model", "fake-1").stdout
    assert "Refused: 403 model_not_allowed" in shown
    unknown = two.run("route", "explain", "--key", "test-key", "--model", "fake-9", check=False)
    assert unknown.returncode == 1 and "may not use" in unknown.stderr, "what a real request would hear"
    assert provider.calls() == 0


@pytest.mark.parametrize("level", ["key", "organization"])
def test_no_output_at_all_refuses_everything_before_anybody_is_called(two, provider, level):
    if level == "organization":
        two.run("org", "create", "mute", "--max-output-tokens", "0")
    key = two.key(**({"max_output_tokens": 0} if level == "key" else {"organization": "mute"}))
    status, head, body = two.chat(key)
    assert (status, body["error"]["code"], head["x-should-retry"]) == (429, "insufficient_quota", "false")
    assert "max_output_tokens" in body["error"]["message"] and provider.calls() == 0
    asked = two.run("route", "explain", "--key", "test-key", "--model", "fake-1", check=False)
    assert asked.returncode == 1 and "max_output_tokens" in asked.stderr


def test_who_only_looks_takes_nobodys_turn(make_gateway, provider):
    one = {"plugin": "compatible", "base_url": provider.base_url, "api_keys": ["env:FAKE_KEY"], "models": [{"id": "m", **PRICES}]}
    to = [{"provider": p, "model": "m", "weight": w} for p, w in (("a", 2), ("b", 1))]
    gateway = make_gateway(config={"providers": {"a": one, "b": one}, "models": {"shared": {"to": to}}})
    key = gateway.key()
    firsts = set()
    for _ in range(6):
        seen = {explain(gateway, "--model", "shared")["candidates"][0]["provider"] for _ in range(3)}
        seen |= {dry_run(gateway, key, BODY | {"model": "shared"})[2]["candidates"][0]["provider"]}
        seen |= {gateway.chat(key, "shared")[1]["x-latenza-provider"]}
        assert len(seen) == 1, "who asks first finds whom the next request goes to"
        firsts |= seen
    assert firsts == {"a", "b"}


def test_a_whole_request_and_another_strategy_can_be_asked_about(two, tmp_path):
    two.key()
    file = tmp_path / "request.json"
    file.write_text(json.dumps(BODY | {"tools": [{"type": "function", "function": {"name": "f"}}], "model": "fake-2"}))
    table = explain(two, "-f", file)
    assert {c["excluded"] for c in table["candidates"]} == {"unsupported_capability"}
    assert explain(two, "--model", "fake-1", "--strategy", "quality")["strategy"] == "quality"
    assert explain(two, "-f", "-", stdin=json.dumps(BODY))["model"] == "fake-1"
    shown = two.run("route", "explain", "--key", "test-key", "--model", "fake-1").stdout
    assert "fake-1 by cheapest" in shown and "Who could serve it" in shown


@pytest.mark.parametrize("words, said", [
    (["--key", "nobody", "--model", "fake-1"], 'key "nobody"'),
    (["--key", "test-key", "--model", "fake-9"], "does not exist here"),
    (["--key", "test-key", "--model", "fake-1", "--strategy", "best"], "best"),
    (["--key", "test-key"], "--model"),
    (["--model", "fake-1"], "--key"),
    (["--key", "test-key", "-f", "/nowhere.json"], "/nowhere.json"),
    (["--key", "test-key", "-f", "/dev/null"], "/dev/null"),
    (["--key", "test-key", "-f", "/dev/null", "--text", "x"], "--text"),
    (["--key", "test-key", "--model", "fake-1", "--max-tokens", "many"], "--max-tokens"),
    (["--key", "test-key", "--model", "fake-1", "--max-tokens", "-5"], "max_tokens"),
    (["--key", "test-key", "--model", "fake-1", "--max-tokens", "0"], "max_tokens"),
    (["--key", "test-key", "--model", ""], "model"),
])
def test_nonsense_is_answered_by_name(two, words, said):
    two.key()
    result = two.run("route", "explain", *words, check=False)
    assert result.returncode in (1, 2) and said in result.stderr and not result.stdout


@pytest.mark.parametrize("value", ["yes", "", "Route", "route, route"])
def test_another_dry_run_is_refused_by_the_headers_name(two, value):
    status, _, raw = two.request("POST", "/v1/chat/completions", BODY, two.key(), {"x-latenza-dry-run": value})
    assert status == 400 and json.loads(raw)["error"]["param"] == "x-latenza-dry-run"


def test_without_a_gateway_it_says_that_one_is_needed(two):
    two.key()
    two.stop()
    result = two.run("route", "explain", "--key", "test-key", "--model", "fake-1", check=False)
    assert result.returncode == 1 and "latenza serve" in result.stderr
