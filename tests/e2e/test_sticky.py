"""A session goes where it was served last, as long as that is allowed, well and not too long ago.

SPDX-License-Identifier: MIT
"""

import time

import pytest
from harness.gateway import PRICES
from harness.provider import Provider


@pytest.fixture
def second():
    with Provider() as p:
        yield p


@pytest.fixture
def make_two(make_gateway, provider, second):
    """One model at two providers, `a` the cheaper one."""
    def make(sticky):
        def one(p, factor):
            return {"plugin": "compatible", "base_url": p.base_url, "api_keys": ["env:FAKE_KEY"],
                    "models": [{"id": "fake-1", "context_window": 32768, "max_output_tokens": 4096,
                                **{k: v * factor for k, v in PRICES.items()}}]}
        return make_gateway(config={"providers": {"a": one(provider, 1), "b": one(second, 2)},
                                    "routing": {"default": "cheapest", "sticky_ms": sticky}})
    return make


def served(gateway, key, session=None, **body):
    headers = {"x-latenza-session": session} if session else {}
    status, head, _ = gateway.chat(key, headers=headers, **body)
    assert status == 200
    return head["x-latenza-provider"], head["x-request-id"]


def test_a_session_stays_where_a_failure_sent_it(make_two, provider):
    two = make_two("10m")
    key = two.key()
    provider.script(status=500, times=1)
    assert served(two, key, "s1")[0] == "b"
    who, id = served(two, key, "s1")
    assert who == "b"
    row = two.trace(id)["candidates"][1]
    assert row["rank"] == 1 and row["why"].startswith("sticky session; ") and row["why"][-1] not in "; "
    assert served(two, key, "s2")[0] == "a" and served(two, key)[0] == "a", "others are routed as ever"
    assert served(two, two.key("another"), "s1")[0] == "a", "another key's session of the same name is another"


def test_the_reason_stands_alone_where_no_router_gave_one(make_two, provider):
    two = make_two("10m")
    two.change_config(models={"both": {"to": [{"provider": "a", "model": "fake-1", "weight": 1000}, {"provider": "b", "model": "fake-1"}]}})
    two.run("reload")
    key = two.key()
    provider.script(status=500, times=1)
    assert two.chat(key, "both", headers={"x-latenza-session": "s1"})[1]["x-latenza-provider"] == "b"
    _, head, _ = two.chat(key, "both", headers={"x-latenza-session": "s1"})
    rows = {c["provider"]: c for c in two.trace(head["x-request-id"])["candidates"]}
    assert head["x-latenza-strategy"] == "weights" and rows["b"]["why"] == "sticky session"


def test_prompt_cache_key_names_a_session_too(make_two, provider):
    two = make_two("10m")
    key = two.key()
    provider.script(status=500, times=1)
    assert served(two, key, prompt_cache_key="p1")[0] == "b"
    assert served(two, key, prompt_cache_key="p1")[0] == "b" and served(two, key, prompt_cache_key="p2")[0] == "a"


def test_a_session_leaves_a_provider_that_fails_and_stays_with_the_next(make_two, provider, second):
    two = make_two("10m")
    key = two.key()
    provider.script(status=500, times=1)
    assert served(two, key, "s1")[0] == "b"
    second.script(status=500, times=1)
    assert served(two, key, "s1")[0] == "a"
    assert served(two, key, "s1")[0] == "a"


@pytest.mark.parametrize("sticky", ["0", "1ms"])
def test_off_or_after_its_time_the_router_decides(make_two, provider, sticky):
    two = make_two(sticky)
    key = two.key()
    provider.script(status=500, times=1)
    assert served(two, key, "s1")[0] == "b"
    time.sleep(0.05)
    assert served(two, key, "s1")[0] == "a"


@pytest.mark.parametrize("value", [-1, "long", "25h", {}])
def test_nonsense_is_refused_by_name(make_two, value):
    two = make_two("1m")
    two.change_config(routing={"sticky_ms": value})
    result = two.run("check", "--offline", check=False)
    assert result.returncode == 78 and "routing.sticky_ms" in result.stdout + result.stderr
