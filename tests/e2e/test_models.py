"""What a model's name may mean: `models:`, aliases, provider/model, strategies; and who may ask for what.

SPDX-License-Identifier: MIT
"""

import json

import pytest
from harness.gateway import PRICES, Failed
from harness.provider import Provider

STRATEGIES = {"latenza/cheapest", "latenza/fastest", "latenza/balanced", "latenza/quality"}


@pytest.fixture
def second():
    with Provider() as p:
        yield p


def compatible(p, *models):
    return {"plugin": "compatible", "base_url": p.base_url, "api_keys": ["env:FAKE_KEY"],
            "models": [{"id": m, "context_window": 32768, "max_output_tokens": 4096, **PRICES} if isinstance(m, str) else m
                       for m in models]}


@pytest.fixture
def two(make_gateway, provider, second):
    """`chat` and `gpt-4o` over two providers; `a` has a dated model with an alias."""
    dated = {"id": "sonnet-20260102", "aliases": ["sonnet"], **PRICES}
    return make_gateway(config={
        "providers": {"a": compatible(provider, "plain", dated), "b": compatible(second, "plain", "large"),
                      "vendor": {"plugin": "openai", "base_url": "http://127.0.0.1:9/v1", "api_keys": ["env:FAKE_KEY"]}},
        "models": {"chat": {"to": [{"provider": "a", "model": "plain", "weight": 3}, {"provider": "b", "model": "plain"}]},
                   "gpt-4o": {"to": [{"provider": "b", "model": "prod-4o", "base_model": "gpt-4o"}]}}})


def listed(gateway, key):
    status, _, raw = gateway.get("/v1/models", key=key)
    assert status == 200
    return [m["id"] for m in json.loads(raw)["data"]]


def served(answer):
    status, head, _ = answer
    return status, head.get("x-latenza-provider"), head.get("x-latenza-model")


def refused(answer):
    status, _, body = answer
    return status, body["error"]["code"]


def test_a_strategy_reaches_a_model_that_its_vendor_ends_when_the_key_may_use_nothing_else(make_gateway):
    gateway = make_gateway(config={"providers": {"anthropic": {"base_url": "http://127.0.0.1:9", "api_keys": ["env:FAKE_KEY"]}}})
    ending = [m["model"] for m in gateway.json("model", "list") if m["deprecated"]]
    assert ending, "the catalogue has none any more: take this test out"
    body = {"model": "latenza/cheapest", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 10}

    def candidates(key):
        _, _, raw = gateway.request("POST", "/v1/chat/completions", body, key, {"x-latenza-dry-run": "route"})
        return [c["model"] for c in json.loads(raw)["candidates"] if "excluded" not in c]
    assert len(candidates(gateway.key())) > 5 and ending[0] not in candidates(gateway.key("other"))
    assert candidates(gateway.key("old-timer", model_allowlist=[ending[0]])) == [ending[0]]


# ---- names ----

def test_weights_are_the_shares_of_equal_deployments(two, provider, second):
    key = two.key(routing_strategy="quality")  # nobody measured either: they are equal
    for _ in range(40):
        assert two.chat(key, "chat")[0] == 200
    assert 29 <= provider.calls("plain") <= 31 and provider.calls() + second.calls() == 40


def test_weights_that_differ_decide_unless_somebody_asked_for_a_strategy(two, provider, second):
    second.script(delay=0.05)  # measured as the slower one: balanced would never begin with it
    key = two.key()
    answers = [two.chat(key, "chat") for _ in range(24)]
    assert {head["x-latenza-strategy"] for _, head, _ in answers} == {"weights"}
    assert 17 <= provider.calls("plain") <= 19 and second.calls() == 24 - provider.calls()
    asked = [two.chat(key, "chat", headers={"x-latenza-strategy": "fastest"}) for _ in range(6)]
    assert {head["x-latenza-strategy"] for _, head, _ in asked} == {"fastest"}
    assert {head["x-latenza-provider"] for _, head, _ in asked} == {"a"}


def test_the_other_deployment_serves_when_one_fails(two, provider, second):
    provider.script(status=500)
    key = two.key()
    for _ in range(3):
        assert two.chat(key, "chat")[0] == 200
    trace = two.trace(two.chat(key, "chat")[1]["x-request-id"])
    assert trace["model"] == "chat" and trace["attempts"][-1]["provider"] == "b"
    assert trace["attempts"][-1]["upstream_model"] == "plain"


def test_a_public_name_goes_before_the_catalogues_and_costs_what_its_deployment_costs(two, second):
    key = two.key("payer", budget_monthly_eur=5)
    answer = two.chat(key, "gpt-4o")
    assert served(answer) == (200, "b", "gpt-4o") and second.last()["body"]["model"] == "prod-4o"
    # 7 and 5 tokens at the catalogue's $2.5 and $10, 0.5 EUR per USD
    charge = two.trace(answer[1]["x-request-id"])["charges"][0]
    assert charge["cost_nano_eur"] == (7 * 2500 + 5 * 10000) // 2 == two.spent("payer")
    assert charge["fx_date"] == "2026-11-20" and charge["model"] == "gpt-4o"


def test_an_alias_is_served_by_the_dated_model(two, provider):
    key = two.key()
    assert served(two.chat(key, "sonnet")) == (200, "a", "sonnet")
    assert provider.last()["body"]["model"] == "sonnet-20260102"
    assert served(two.chat(key, "sonnet-20260102")) == (200, "a", "sonnet-20260102")


def test_provider_slash_model_reaches_what_nobody_listed(two, second):
    assert served(two.chat(two.key(), "b/fine/tuned")) == (200, "b", "b/fine/tuned")
    assert second.last()["body"]["model"] == "fine/tuned"
    assert served(two.chat(two.key("rich", budget_monthly_eur=5), "b/prod-4o")) == (200, "b", "b/prod-4o"), \
        "its price is known of its deployment"
    assert refused(two.chat(two.key("poor", budget_monthly_eur=5), "b/unknown")) == (403, "model_unpriced")


def test_an_unknown_name_is_told_its_neighbours_that_the_key_may_use(two):
    status, _, body = two.chat(two.key(), "large-2")
    assert (status, body["error"]["code"], body["error"]["param"]) == (404, "model_not_found", "model")
    assert "did you mean 'large'" in body["error"]["message"]
    _, _, body = two.chat(two.key("narrow", model_allowlist=["larg-*", "chat"]), "larg-e")
    assert body["error"]["code"] == "model_not_found" and "'large'" not in body["error"]["message"]
    assert refused(two.chat(two.key("k3"), "nobody/plain")) == (404, "model_not_found")
    assert refused(two.chat(two.key("k4"), "latenza/chaos")) == (404, "model_not_found")


# ---- allowlists ----

def test_an_allowlist_is_held_against_the_name_asked_for_and_against_who_would_serve(two):
    by_name = two.key("by-name", model_allowlist=["chat"])
    assert two.chat(by_name, "chat")[0] == 200, "a public name is its deployments' own"
    for other in ("plain", "a/plain", "gpt-4o", "b/prod-4o", "sonnet"):
        assert refused(two.chat(by_name, other)) == (403, "model_not_allowed"), other
    # Both must be allowed: the word and what it leads to.
    only_word = two.key("only-word", model_allowlist=["a/*"])
    assert refused(two.chat(only_word, "a/plain")) == (403, "model_not_allowed")
    assert two.chat(only_word, "a/whatever")[0] == 200, "nobody described it, so its name is the whole one"
    both = two.key("both", model_allowlist=["a/*", "plain"])
    assert served(two.chat(both, "a/plain")) == (200, "a", "plain")
    assert refused(two.chat(both, "b/plain")) == (403, "model_not_allowed")


def test_an_allowlists_entry_may_end_in_a_star_and_an_empty_list_allows_nothing(two):
    some = two.key("some", model_allowlist=["sonnet*"])
    assert two.chat(some, "sonnet")[0] == two.chat(some, "sonnet-20260102")[0] == 200
    assert refused(two.chat(some, "plain")) == (403, "model_not_allowed")
    none = two.key("none", model_allowlist=[])
    for model in ("plain", "chat", "a/plain", "latenza/cheapest"):
        assert refused(two.chat(none, model)) == (403, "model_not_allowed"), model
    assert set(listed(two, none)) == STRATEGIES


def test_a_strategy_needs_no_entry_and_chooses_among_what_is_allowed(two):
    key = two.key("picky", model_allowlist=["large", "sonnet"])
    for strategy in sorted(STRATEGIES):
        answer = two.chat(key, strategy)
        assert answer[0] == 200 and answer[1]["x-latenza-model"] in ("large", "sonnet"), strategy
        table = two.trace(answer[1]["x-request-id"])["candidates"]
        assert {c["model"] for c in table if "excluded" not in c} <= {"large", "sonnet"}
        assert len([c for c in table if c.get("excluded") == "model_not_allowed"]) > 2
    # A name of `models:` is not gone around: gpt-4o is b's, not the vendor's.
    key = two.key("pinned", model_allowlist=["gpt-4o"])
    assert served(two.chat(key, "latenza/cheapest")) == (200, "b", "gpt-4o")


def test_the_list_of_models_is_what_the_key_may_use(two):
    everything = listed(two, two.key("all"))
    assert everything[:2] == ["chat", "gpt-4o"], "the operator's own names come first"
    assert {"plain", "large", "sonnet", "sonnet-20260102", "gpt-4o-2024-08-06"} | STRATEGIES <= set(everything)
    assert len(everything) == len(set(everything))
    narrow = two.key("narrow", model_allowlist=["chat", "gpt-4o-mini*"])
    assert set(listed(two, narrow)) == {"chat", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"} | STRATEGIES
    assert two.get("/v1/models/chat", key=narrow)[0] == 200
    assert two.get("/v1/models/plain", key=narrow)[0] == 404
    assert two.get("/v1/models/a%2Fplain", key=narrow)[0] == 404
    status, _, raw = two.get("/v1/models/chat", key=narrow)
    assert json.loads(raw)["owned_by"] == "a"


# ---- facts ----

def test_an_installations_catalogue_is_read_again_by_reload(two, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("models:\n- { vendor: openai, id: gpt-4o-mini, price_input_per_mtok: 0.5, price_source: contract }\n")
    two.change_config(catalogue=str(own))
    two.run("reload")
    shown = two.json("model", "show", "gpt-4o-mini")[0]
    assert (shown["price_input_per_mtok"], shown["price_output_per_mtok"], shown["price_source"]) == (0.5, 0.6, "contract")
    own.write_text("models:\n- { vendor: openai, id: gpt-4o-mini, price_input_per_mtok: much }\n")
    with pytest.raises(Failed) as error:
        two.run("reload")
    assert "own.yaml:2: models.price_input_per_mtok: \"much\" is not a number" in error.value.stderr
    assert two.json("model", "show", "gpt-4o-mini")[0]["price_input_per_mtok"] == 0.5, "what served goes on"


def test_a_tier_is_charged_by_the_prompt_that_the_provider_counted(make_gateway, provider):
    tiers = [{"above": 100, "price_input_per_mtok": 3, "price_output_per_mtok": 8}]
    gateway = make_gateway(config={"providers": {"fake": compatible(provider, {"id": "long", **PRICES, "price_tiers": tiers})}})
    key = gateway.key("payer", budget_monthly_eur=5)
    for counted, price in ((100, 100 * 1 + 5 * 2), (101, 101 * 3 + 5 * 8)):
        provider.script(usage=(counted, 5), chunks=["fine"], times=1)
        _, head, _ = gateway.chat(key, "long", text="x" * 300)
        charge = gateway.trace(head["x-request-id"])["charges"][0]
        assert charge["cost_nano_eur"] == price * 500
        assert charge["price_input_pico_usd"] == (1_000_000 if counted == 100 else 3_000_000)
    lines = gateway.run("model", "show", "long").stdout.splitlines()
    assert "    above 100      $3 in, $8 out, cached in unknown, cache write unknown" in lines


def test_a_budget_holds_the_dearest_tier_that_the_request_can_reach(make_gateway, provider):
    tiers = [{"above": 400, "price_input_per_mtok": 1000, "price_output_per_mtok": 1000}]
    gateway = make_gateway(config={"providers": {"fake": compatible(provider, {"id": "long", **PRICES, "price_tiers": tiers})}})
    key = gateway.key("payer", budget_monthly_eur=0.1, max_output_tokens=20)
    assert gateway.chat(key, "long", text="x" * 50)[0] == 200
    status, _, body = gateway.chat(key, "long", text="x" * 800)
    assert (status, body["error"]["code"]) == (429, "insufficient_quota") and provider.calls() == 1


# ---- commands ----

def test_a_strategys_name_shows_whom_it_may_choose(two):
    shown = {(m["provider"], m["model"]) for m in two.json("model", "show", "latenza/cheapest")}
    assert {("a", "plain"), ("b", "large"), ("a", "chat"), ("b", "gpt-4o")} <= shown
    missing = two.run("model", "show", "latenza/cheapst", check=False)
    assert missing.returncode == 1 and 'no routing strategy "cheapst"' in missing.stderr


def test_models_are_shown_with_all_that_is_known(two):
    names = [m["name"] for m in two.json("model", "list")]
    assert names[:3] == ["chat", "chat", "gpt-4o"] and names[-1] == "vendor/gpt-4o"
    first, other = two.json("model", "show", "chat")
    assert (first["provider"], first["weight"], other["weight"]) == ("a", 3.0, 1.0)
    shown = two.json("model", "show", "gpt-5.5")[0]
    assert shown["price_tiers"][0]["above"] == 271999 and shown["price_cache_write_per_mtok"] is None
    assert shown["price_date"] and shown["price_source"] and shown["quality_source"] and shown["deprecated"] is False
    text = two.run("model", "show", "chat").stdout
    assert "a, as plain, weight 3" in text and "b, as plain, weight 1" in text
    config = two.json("config", "show")
    assert config["models"]["chat"]["to"][0]["weight"] == 3


@pytest.mark.parametrize("models, sentence", [
    ({"chat": {"to": [{"provider": "z", "model": "m"}]}}, "models.chat.provider: there is no provider \"z\""),
    ({"chat": {"to": [{"provider": "echo", "model": "echo-1", "weight": -1}]}}, "models.chat.weight: -1 is out of range"),
    ({"latenza/x": {"to": []}}, "models.latenza/x: names that begin with latenza/ are the gateway's own"),
    ({"chat": {"to": []}}, "models.chat.to: names no deployment"),
    (["chat"], "models: is not a map of at most"),
])
def test_nonsense_in_models_is_refused_by_name_and_line(gateway, models, sentence):
    gateway.change_config(models=models)
    with pytest.raises(Failed) as error:
        gateway.run("check")
    assert error.value.code == 78 and sentence in error.value.stderr + error.value.stdout
    assert "latenza.yaml:" in error.value.stderr + error.value.stdout
