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


def test_replay_tells_what_a_router_would_have_saved(make_gateway, provider, tmp_path):
    price = {"price_output_per_mtok": 10}
    models = [{"id": "dear", "price_input_per_mtok": 10, **price}, {"id": "cheap", "price_input_per_mtok": 5, "price_output_per_mtok": 5}]
    gateway = make_gateway(provider=provider)
    config = json.loads(json.dumps(gateway.standard(provider)))
    name = next(n for n, p in config["providers"].items() if p.get("plugin", n) == "compatible")
    gateway.change_config(providers=config["providers"] | {name: config["providers"][name] | {"models": models}},
                          models={"either": {"to": [{"provider": name, "model": "dear"}, {"provider": name, "model": "cheap", "weight": 0}]}})
    gateway.run("reload")
    trace = gateway.trace(gateway.chat(gateway.key("k", log_content="full"), model="either")[1]["x-request-id"])
    script = tmp_path / "turn.lua"
    script.write_text("return { kind = 'router', name = 'turn', pick = function(req, targets) return { targets[2], targets[1] } end }")
    told = replayed(gateway, script)
    assert trace["cost_nano_eur"] > 0 and told["rerouted"]["count"] == 1 and told["not_estimated"] == 0
    assert told["estimated_difference_eur"] == pytest.approx(-trace["cost_nano_eur"] / 2e9, rel=0.05)
    script.write_text("return { kind = 'router', name = 'same', pick = function(req, targets) return targets end }")
    assert replayed(gateway, script)["unchanged"] == 1


@pytest.mark.parametrize("words, said", [
    (["--since", "soon"], "is not a time"), (["--option", "nope=1"], "nope"), (["--option", "block"], "NAME=VALUE"), (["--nope"], "there is no option")])
def test_replay_refuses_nonsense(served, words, said):
    gateway = served[0]
    done = gateway.run("policy", "replay", PII, *words, check=False)
    assert done.returncode in (1, 2) and said in done.stderr
    assert "nowhere.lua" in gateway.run("policy", "replay", "nowhere.lua", check=False).stderr
