"""Several keys at one provider: they take turns, dead and limited ones rest, and what is known of each is told without
telling the key.

SPDX-License-Identifier: MIT
"""

import collections

import pytest

from harness.gateway import PRICES

KEYS = {"KEY_A": "sk-aa-credential-1", "KEY_B": "sk-bb-credential-2", "KEY_C": "sk-cc-credential-3"}
SECRETS = list(KEYS.values())


@pytest.fixture
def three(make_gateway, provider):
    gateway = make_gateway(env=KEYS, config={"providers": {"fake": several(provider)}, "routing": {"attempts": 2}})
    gateway.secrets |= set(SECRETS)
    gateway.virtual = gateway.key()
    return gateway


def several(provider, keys=KEYS):
    return {"plugin": "compatible", "base_url": provider.base_url, "api_keys": [f"env:{name}" for name in keys],
            "models": [{"id": m, **PRICES} for m in ("fake-1", "fake-2")]}


def turns(provider, since=0):
    return collections.Counter(r["headers"]["authorization"].removeprefix("Bearer ") for r in provider.requests[since:])


def states(gateway):
    return [c["state"] for c in gateway.json("provider", "list")["credentials"]]


def ask(gateway, times=1, model="fake-1"):
    for _ in range(times):
        status, head, body = gateway.chat(gateway.virtual, model=model)
        assert status == 200, body
    return head


def test_the_load_is_spread_evenly(three, provider):
    ask(three, 12)
    assert turns(provider) == {s: 4 for s in SECRETS}


@pytest.mark.parametrize("status,body,state", [
    (401, None, "refused"), (403, None, "refused"),
    (429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}, "quota")])
def test_a_dead_key_is_left_alone_and_no_caller_hears_of_it(three, provider, status, body, state):
    provider.script(token=SECRETS[1], status=status, body=body)
    ask(three, 12)
    assert turns(provider)[SECRETS[1]] == 1 and turns(provider)[SECRETS[0]] + turns(provider)[SECRETS[2]] == 12
    assert states(three) == ["ok", state, "ok"]
    said = three.events("provider.credentials")
    assert len(said) == 1 and said[0]["target"] == "fake/fake-1" and said[0]["status"] == str(status)


def test_two_dead_keys_use_up_no_attempt_of_the_two(three, provider):
    for dead in SECRETS[:2]:
        provider.script(token=dead, status=401)
    heads = [ask(three) for _ in range(3)]
    assert max(int(h["x-latenza-attempts"]) for h in heads) <= 3 and states(three) == ["refused", "refused", "ok"]


def test_a_limited_key_rests_as_long_as_its_provider_said_and_at_that_model_only(three, provider):
    provider.script(token=SECRETS[0], model="fake-1", status=429, headers={"retry-after": "40"})
    ask(three, 6)
    assert turns(provider)[SECRETS[0]] == 1
    resting = three.json("provider", "list")["credentials"][0]
    assert resting["state"] == "limited" and 30000 < resting["rests_ms"] <= 40000 and resting["limited"] == 1
    before = len(provider.requests)
    ask(three, 6, model="fake-2")
    assert turns(provider, before) == {s: 2 for s in SECRETS}


def test_when_all_rest_one_is_tried_and_the_caller_hears_the_providers_word(three, provider):
    provider.script(status=429, headers={"retry-after": "30"})
    status, head, body = three.chat(three.virtual)
    assert (status, body["error"]["code"]) == (429, "upstream_rate_limited") and int(head["retry-after"]) == 30
    provider.scripts.clear()
    ask(three)


def test_a_key_that_serves_again_is_taken_back(three, provider):
    """All rest, so one is asked all the same; its provider has changed its mind."""
    for secret in SECRETS:
        provider.script(token=secret, status=401, times=1)
    assert three.chat(three.virtual)[0] == 502
    ask(three)
    assert sorted(states(three)) == ["ok", "refused", "refused"]


def test_what_is_known_of_a_key_survives_a_reload_that_keeps_it(three, provider):
    provider.script(token=SECRETS[0], status=401)
    ask(three, 3)
    three.change_config(providers={"fake": several(provider, ["KEY_C", "KEY_A"])})
    three.run("reload")
    before = len(provider.requests)
    ask(three, 4)
    assert turns(provider, before) == {SECRETS[2]: 4} and states(three) == ["ok", "refused"]


def test_another_provider_is_preferred_while_all_keys_of_one_rest(make_gateway, provider):
    provider.script(token=SECRETS[0], status=401)
    models = [{"id": "same", **PRICES}]
    gateway = make_gateway(env=KEYS, config={"providers": {
        name: {**several(provider, [key]), "models": models} for name, key in (("one", "KEY_A"), ("two", "KEY_B"))}})
    key = gateway.key()
    seen = [gateway.chat(key, model="same") for _ in range(10)]
    assert {s for s, _, _ in seen} == {200} and turns(provider)[SECRETS[0]] <= 1
    table = gateway.json("route", "explain", "--key", "test-key", "--model", "same", "--strategy", "quality")["candidates"]
    traced = gateway.trace(gateway.chat(key, "same", headers={"x-latenza-strategy": "quality"})[1]["x-request-id"])["candidates"]
    for one, two in (table, traced):
        assert (one["provider"], one["rank"], two["rank"]) == ("one", 2, 1), "the order in which they are tried"
        assert one["why"].startswith("all its keys rest; ") and "rest" not in two["why"]
        assert "excluded" not in one, "it is tried rather than nobody"


def test_the_trace_the_metrics_and_the_commands_say_which_key_it_was(three, provider):
    provider.script(token=SECRETS[0], status=401)
    heads = [ask(three) for _ in range(3)]
    known = three.json("provider", "list")["credentials"]
    name = {c["position"]: c["credential"] for c in known}
    assert len(set(name.values())) == 3
    rotated = next(h for h in heads if h["x-latenza-attempts"] == "2")
    attempts = three.trace(rotated["x-request-id"])["attempts"]
    assert attempts[0]["credential"] == name[1] and attempts[1]["credential"] in (name[2], name[3])
    metrics = three.metrics()
    label = '{provider="fake",credential="%s"}'
    assert metrics["latenza_credential_ready" + label % name[1]] == 0
    assert metrics["latenza_credential_ready" + label % name[2]] == 1
    assert metrics["latenza_credential_refused_total" + label % name[1]] == 1
    assert sum(metrics["latenza_credential_attempts_total" + label % n] for n in name.values()) == len(provider.requests)
    shown = three.run("provider", "list").stdout
    assert "fake #1" in shown and name[1] in shown and "refused" in shown
    tested = three.run("provider", "test", "fake").stdout
    assert "answered 200" in tested and name[1] in tested
    assert [c["state"] for c in three.json("provider", "test", "fake")["credentials"]] == ["refused", "ok", "ok"]
    assert name[1] in three.run("traces", "show", rotated["x-request-id"]).stdout
