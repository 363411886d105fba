"""`policy run --trace` and `policy replay`: a script over what was served already.

SPDX-License-Identifier: MIT
"""

import json
import pathlib

import pytest

PII = pathlib.Path(__file__).parents[2] / "scripts/guardrails/pii.lua"


@pytest.fixture
def served(gateway, provider):
    """A gateway that served three requests, one of them with an address in it."""
    key = gateway.key("k", log_content="full")
    ids = [gateway.chat(key, text=text)[1]["x-request-id"] for text in ("hello", "to a@x.org", "bye")]
    for id in ids:
        gateway.trace(id)
    before = len(provider.requests) if hasattr(provider, "requests") else None
    return gateway, key, ids, before


def replayed(gateway, *words):
    return json.loads(gateway.run("policy", "replay", *words, "-o", "json").stdout)


def test_a_trace_is_shown_to_a_policy(served):
    gateway, _, ids, _ = served
    told = json.loads(gateway.run("policy", "run", PII, "--trace", ids[1], "-o", "json").stdout)
    assert told["text"] == "to [EMAIL_1]"
    told = json.loads(gateway.run("policy", "run", PII, "--trace", ids[1], "--phase", "response", "-o", "json").stdout)
    assert told["verdict"] == "pass" and told["texts"]
    assert gateway.run("policy", "run", PII, "--trace", "ffff", check=False).returncode != 0


def test_a_router_chooses_among_the_candidates_of_the_trace(paid, tmp_path):
    gateway, trace = paid
    (tmp_path / "turn.lua").write_text(TURN)
    told = json.loads(gateway.run("policy", "run", tmp_path / "turn.lua", "--trace", trace["id"], "-o", "json").stdout)
    name = trace["provider"]
    assert told["verdict"] == "pass" and told["order"] == [f"{name}/either"] * 2 and told["chosen"] == [1, 0]
    (tmp_path / "own.json").write_text('[{"provider":"a","model":"x"},{"provider":"b","model":"y"}]')
    told = json.loads(gateway.run("policy", "run", tmp_path / "turn.lua", "--trace", trace["id"], "--targets", tmp_path / "own.json",
                                  "-o", "json").stdout)
    assert told["order"] == ["b/y", "a/x"]


def test_replay_counts_what_a_guardrail_would_have_changed(served):
    gateway, _, ids, _ = served
    told = replayed(gateway, PII)
    assert (told["traces"], told["unchanged"], told["masked"]) == (3, 2, {"count": 1, "examples": [ids[1]]})
    told = replayed(gateway, PII, "--option", "block=true", "--since", "1h", "--key", "k")
    assert told["blocked"] == {"count": 1, "examples": [ids[1]]} and told["masked"]["count"] == 0
    assert replayed(gateway, PII, "--key", "nobody")["traces"] == 0
    assert ids[1] in gateway.run("policy", "replay", PII).stdout


def test_replay_passes_over_what_was_not_kept(gateway):
    gateway.trace(gateway.chat(gateway.key("m", log_content="meta"))[1]["x-request-id"])
    told = replayed(gateway, PII)
    assert told["traces"] == told["without_content"] == 1 and told["unchanged"] == 0


TURN = "return { kind = 'router', name = 'turn', pick = function(req, targets) return { targets[2], targets[1] } end }"
REROUTE = "return { kind = 'guardrail', name = 're', on = { 'request' }, check = function(req) return latenza.use_model('%s', 'x') end }"


def priced(name, *prices):
    return {"id": name, "price_input_per_mtok": prices[0], "price_output_per_mtok": prices[1]}


@pytest.fixture
def paid(make_gateway, provider):
    """A gateway with three prices for the same answers, and a trace that the dearest served."""
    gateway = make_gateway(provider=provider)
    config = json.loads(json.dumps(gateway.standard(provider)))
    name = next(n for n, p in config["providers"].items() if p.get("plugin", n) == "compatible")
    models = [priced("dear", 10, 40), priced("cheap", 5, 7), priced("other", 1, 2), {"id": "nameless"}]
    to = [{"provider": name, "model": "dear"}, {"provider": name, "model": "cheap", "weight": 0}]
    gateway.change_config(providers=config["providers"] | {name: config["providers"][name] | {"models": models}},
                          models={"either": {"to": to}, "unpriced": {"to": [{"provider": name, "model": "nameless"}]}})
    gateway.run("reload")
    return gateway, gateway.trace(gateway.chat(gateway.key("k", log_content="full"), model="either")[1]["x-request-id"])


def cost(trace, of_input, of_output):
    """In nano-EUR, rounded up as the gateway does it."""
    charge = trace["charges"][-1]
    assert charge["tokens"]["cache_read"] == charge["tokens"]["cache_write"] == 0 < charge["tokens"]["output"]
    pico = (charge["tokens"]["input"] * of_input + charge["tokens"]["output"] * of_output) * 10**6
    return -(-pico * charge["nano_eur_per_usd"] // 10**12)


def test_replay_tells_what_the_same_tokens_cost_elsewhere(paid, tmp_path):
    gateway, trace = paid
    script = tmp_path / "turn.lua"
    script.write_text(TURN)
    told = replayed(gateway, script)
    assert told["rerouted"]["count"] == 1
    assert trace["cost_nano_eur"] == cost(trace, 10, 40) == told["cost"]["did_cost_nano_eur"] > 0
    assert told["cost"]["would_cost_nano_eur"] == cost(trace, 5, 7)
    assert told["cost"]["difference_nano_eur"] == cost(trace, 5, 7) - cost(trace, 10, 40)
    assert (told["cost"]["compared"], told["cost"]["price_changed"], told["cost"]["usage_estimated"]) == (1, 0, 0)
    text = gateway.run("policy", "replay", script).stdout
    assert f"{trace['cost_nano_eur'] / 1e9:.9f} EUR did" in text and "assumed: the other model would have read" in text
    script.write_text("return { kind = 'router', name = 'same', pick = function(req, targets) return targets end }")
    told = replayed(gateway, script)
    assert told["unchanged"] == 1 and told["cost"]["compared"] == 0


def test_replay_says_whose_price_is_another_today(paid, tmp_path):
    gateway, trace = paid
    config = json.loads(gateway.config_path.read_text())
    name = config["models"]["either"]["to"][0]["provider"]
    gateway.change_config(providers=config["providers"] | {name: config["providers"][name] | {"models": [priced("dear", 30, 30), priced("cheap", 8, 9)]}},
                          models={"either": config["models"]["either"]})
    gateway.run("reload")
    (tmp_path / "turn.lua").write_text(TURN)
    told = replayed(gateway, tmp_path / "turn.lua")["cost"]
    assert (told["did_cost_nano_eur"], told["would_cost_nano_eur"], told["price_changed"]) == (trace["cost_nano_eur"], cost(trace, 8, 9), 1)


@pytest.mark.parametrize("model, expected", [
    ("other", {"compared": 1}), ("nobody", {"no_price": 1}), ("unpriced", {"no_price": 1}), ("either", {"several_prices": 1})])
def test_replay_prices_a_model_that_a_guardrail_names(paid, tmp_path, model, expected):
    gateway, trace = paid
    (tmp_path / "re.lua").write_text(REROUTE % model)
    told = replayed(gateway, tmp_path / "re.lua")["cost"]
    assert {"compared": told["compared"], **told["not_compared"]} == {"compared": 0, "no_charge": 0, "no_price": 0, "several_prices": 0} | expected
    assert told["would_cost_nano_eur"] == (cost(trace, 1, 2) if model == "other" else 0)


def test_replay_does_not_price_what_nobody_answered(paid, provider, tmp_path):
    gateway, trace = paid
    provider.script(status=500, times=50)
    gateway.trace(gateway.chat(gateway.key("f", log_content="full"), model="either")[1]["x-request-id"])
    (tmp_path / "re.lua").write_text(REROUTE % "other")
    told = replayed(gateway, tmp_path / "re.lua")
    assert told["rerouted"]["count"] == 2
    assert told["cost"]["not_compared"] == {"no_charge": 1, "no_price": 0, "several_prices": 0}
    assert told["cost"]["did_cost_nano_eur"] == trace["cost_nano_eur"]


@pytest.mark.parametrize("words, said", [
    (["--since", "soon"], "is not a time"), (["--option", "nope=1"], "nope"), (["--option", "block"], "NAME=VALUE"), (["--nope"], "there is no option")])
def test_replay_refuses_nonsense(served, words, said):
    gateway = served[0]
    done = gateway.run("policy", "replay", PII, *words, check=False)
    assert done.returncode in (1, 2) and said in done.stderr
    assert "nowhere.lua" in gateway.run("policy", "replay", "nowhere.lua", check=False).stderr
