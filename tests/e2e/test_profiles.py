"""Organisations, assistants and named routers: by command, in the file, and what they do to requests and money.

SPDX-License-Identifier: MIT
"""

import json
import subprocess

import pytest
from harness.gateway import Failed

COST = (7 * 1 + 5 * 2) * 500  # nano-EUR of the provider's usual answer
FILE_KEY = "profiles-file-key-0123456789"


def refused(gateway, *words):
    with pytest.raises(Failed) as error:
        gateway.run(*words)
    assert error.value.code in (1, 78)
    return error.value.stderr


def budgets(gateway, *words):
    return {b["scope"]: b for b in gateway.json("budget", "list", *words)}


# ---- by command ----

def test_keys_of_an_organisation_share_its_budget_and_each_refusal_says_whose(gateway, provider):
    gateway.run("org", "create", "acme", "--budget-monthly-eur", 0.00006)
    gateway.run("assistant", "create", "acme/support", "--max-output-tokens", 5)
    one = gateway.key("one", organization="acme", assistant="support", budget_monthly_eur=1)
    two = gateway.key("two", organization="acme", assistant="support")
    served = 0
    for key in [one, two] * 10:
        status, head, body = gateway.chat(key)
        if status != 200:
            break
        served += 1
    assert served == provider.calls() >= 2
    assert status == 429 and body["error"]["code"] == "insufficient_quota"
    assert "the organization 'acme'" in body["error"]["message"]
    assert head["x-should-retry"] == "false"
    mine = budgets(gateway)
    assert mine["org:acme"]["spent_nano_eur"] == served * COST <= 60_000
    assert mine["key:one"]["spent_nano_eur"] < mine["org:acme"]["spent_nano_eur"]
    assert mine["org:acme"]["limit_nano_eur"] == 60_000 and mine["org:acme"]["reserved_nano_eur"] == 0
    assert mine["org:acme"]["resets_at"].endswith("-01T00:00:00.000Z")
    assert gateway.events("budget.exceeded")[0]["scope"] == "org:acme"
    trace = gateway.traces()[0]
    assert (trace["organization"], trace["assistant"]) == ("acme", "support")
    metrics = gateway.metrics()
    assert metrics['latenza_budget_spent_eur{organization="acme",period="month"}'] == pytest.approx(served * COST / 1e9)
    # More money for all of them, at once.
    gateway.run("org", "set", "acme", "--budget-monthly-eur", 1)
    assert gateway.chat(two)[0] == 200


def test_what_budgets_hold_is_the_same_with_and_without_a_gateway(gateway):
    gateway.run("org", "create", "acme", "--budget-monthly-eur", 5)
    gateway.run("org", "create", "idle", "--budget-monthly-eur", 6)
    key, play = gateway.key("k", organization="acme", budget_monthly_eur=2), gateway.key(
        "play", test=True, organization="acme", budget_monthly_eur=3)
    assert gateway.chat(key)[0] == 200 and gateway.chat(play, model="echo-1")[0] == 200
    running = gateway.json("budget", "list")
    assert gateway.json("budget", "list", "org:acme") == [b for b in running if b["scope"] == "org:acme"]
    gateway.stop()
    assert gateway.json("budget", "list") == running
    assert {b["scope"]: b["spent_nano_eur"] for b in running if b["scope"] in ("org:acme", "org:idle", "key:k")} == {
        "org:acme": COST, "org:idle": 0, "key:k": COST}
    assert "org:acme" in gateway.run("budget", "list").stdout
    gateway.start()
    assert gateway.json("budget", "list") == running, "what was spent is known after a restart"


def test_the_nearest_limit_wins_and_a_change_is_for_the_next_request(gateway):
    gateway.run("org", "create", "acme", "--rate-limit", 2)
    key = gateway.key("k", organization="acme")
    assert [gateway.chat(key)[0] for _ in range(3)] == [200, 200, 429]
    gateway.run("org", "set", "acme", "--unset", "rate_limit")
    assert gateway.chat(key)[0] == 200
    assert gateway.json("org", "show", "acme")["settings"] == {}
    gateway.run("org", "set", "acme", "--max-in-flight", 0)
    assert gateway.chat(key)[0] == 429
    other = gateway.key("other", organization="acme", max_in_flight=5)
    assert gateway.chat(other)[0] == 200


def test_a_chat_without_a_model_gets_its_assistants(gateway, provider):
    gateway.run("assistant", "create", "default/bot", "--default-model", "fake-1")
    key, plain = gateway.key("k", assistant="bot"), gateway.key("plain")
    body = {"messages": [{"role": "user", "content": "Hello"}]}
    for b in (body, body | {"model": None}):
        status, head, raw = gateway.request("POST", "/v1/chat/completions", b, key)
        assert status == 200, raw
        assert head["x-latenza-model"] == "fake-1"
        assert gateway.trace(head["x-request-id"])["model_asked"] == "fake-1"
    status, _, raw = gateway.request("POST", "/v1/chat/completions", body, plain)
    assert status == 400 and json.loads(raw)["error"]["param"] == "model"
    status, _, raw = gateway.request("POST", "/v1/embeddings", {"input": "x"}, key)
    assert status == 400 and json.loads(raw)["error"]["param"] == "model"
    assert gateway.chat(key, model="fake-2")[0] in (200, 404), "a model that is named is the model"


def test_allowlists_of_all_levels_bind(gateway):
    gateway.run("org", "create", "acme", "--model-allowlist", "fake-1,echo-1")
    key = gateway.key("k", organization="acme", model_allowlist=["echo-*", "fake-*"])
    assert gateway.chat(key, model="fake-1")[0] == 200
    status, _, body = gateway.chat(key, model="echo-large")
    assert (status, body["error"]["code"]) == (403, "model_not_allowed")
    names = {m["id"] for m in json.loads(gateway.get("/v1/models", key=key)[2])["data"]}
    assert {n for n in names if not n.startswith("latenza/")} == {"fake-1", "echo-1"}


def test_an_organisation_can_be_disabled_and_goes_only_when_nobody_belongs_to_it(gateway):
    gateway.run("org", "create", "acme")
    gateway.run("assistant", "create", "acme/bot")
    key = gateway.key("k", organization="acme", assistant="bot")
    for noun, name in (("org", "acme"), ("assistant", "acme/bot")):
        gateway.run(noun, "disable", name)
        status, _, body = gateway.chat(key)
        assert status == 401 and "is disabled" in body["error"]["message"]
        gateway.run(noun, "disable", name, "--undo")
        assert gateway.chat(key)[0] == 200
    assert "1 keys belong to it" in refused(gateway, "org", "rm", "acme")
    assert "1 keys belong to it" in refused(gateway, "assistant", "rm", "acme/bot")
    gateway.run("key", "rm", "k")
    assert "has assistants" in refused(gateway, "org", "rm", "acme")
    gateway.run("assistant", "rm", "acme/bot")
    gateway.run("org", "rm", "acme")
    assert gateway.json("org", "list") == [] and gateway.json("assistant", "list") == []


@pytest.mark.parametrize("words, says", [
    (["org", "create", "Acme"], "organization: \"Acme\" must be 1 to 64 of a-z, 0-9 and -"),
    (["org", "create", "a/b"], "organization: \"a/b\" must be"), (["assistant", "create", "bot"], "must be ORGANIZATION/NAME"),
    (["assistant", "create", "nobody/bot"], "there is no organization \"nobody\""),
    (["org", "create", "x" * 65], "must be 1 to 64"), (["org", "create", "acme"], "exists already"),
    (["org", "set", "nobody", "--rate-limit", "5"], "organization \"nobody\": there is none"),
    (["org", "set", "acme", "--unset", "colour"], "organization.colour: is not a setting of an organization"),
    (["org", "set", "acme", "--routing-strategy", "nearest"], "organization.routing_strategy: there is no router"),
    (["assistant", "create", "acme/b", "--rate-limit", "unlimited"], "\"unlimited\" is not possible here: organization acme"),
    (["assistant", "create", "acme/b", "--log-content", "full"], "assistant.log_content: is more than organization acme keeps"),
    (["assistant", "create", "acme/b", "--default-model", "gpt-*"], "assistant.default_model: \"gpt-*\" is not the name"),
    (["key", "create", "--name", "k", "--organization", "nobody"], "key: there is no organization \"nobody\""),
    (["key", "create", "--name", "k", "--organization", "acme", "--assistant", "x"], "there is no assistant \"acme/x\""),
    (["key", "create", "--name", "k", "--organization", "acme", "--rate-limit", "unlimited"], "key.rate_limit: \"unlimited\" is"),
    (["key", "create", "--name", "k", "--organization", "A B"], "key.organization: \"A B\" is not the name"),
    (["org", "show", "nobody"], "there is none"), (["org", "rm", "nobody"], "there is none"),
    (["assistant", "show", "acme"], "must be ORGANIZATION/NAME")])
def test_nonsense_is_refused_by_name(gateway, words, says):
    gateway.run("org", "create", "acme", "--rate-limit", 60, "--log-content", "meta")
    assert says in refused(gateway, *words)
    assert len(gateway.json("org", "list")) == 1 and gateway.json("assistant", "list") == []


def test_traces_are_listed_by_organisation_and_assistant(gateway):
    for org in ("acme", "other"):
        gateway.run("org", "create", org)
        gateway.run("assistant", "create", f"{org}/bot")
        gateway.chat(gateway.key(f"{org}-1", organization=org))
        gateway.chat(gateway.key(f"{org}-2", organization=org, assistant="bot"))

    def keys(*words):
        return sorted(t["key"] for t in gateway.json("traces", "list", *words))
    assert keys("--organization", "acme") == ["acme-1", "acme-2"]
    assert keys("--assistant", "acme/bot") == keys("--organization", "acme", "--assistant", "bot") == ["acme-2"]
    assert keys("--assistant", "bot") == ["acme-2", "other-2"] and keys("--organization", "nobody") == []
    assert "names an organization already" in refused(gateway, "traces", "list", "--organization", "acme", "--assistant", "acme/bot")
    assert len(gateway.run("traces", "export", "--organization", "other").stdout.splitlines()) == 2


def test_settings_come_from_a_file_and_standard_input_too(gateway, tmp_path):
    (tmp_path / "acme.json").write_text('{"name": "Acme", "budgets": [{"period": "day", "eur": 5, "alert_pct": [50, 80]}]}')
    gateway.run("org", "create", "acme", "-f", tmp_path / "acme.json")
    shown = gateway.json("org", "show", "acme")
    assert shown["settings"]["name"] == "Acme" and shown["budgets"][0]["scope"] == "org:acme" and shown["keys"] == 0
    assert "Acme" in gateway.run("org", "list").stdout
    gateway.run("org", "set", "acme", "-f", "-", stdin='{"budgets": null}')
    assert gateway.json("org", "show", "acme")["settings"] == {"name": "Acme"}


# ---- in the file ----

def with_file(gateway, **members):
    gateway.change_config(organizations={"acme": {"budgets": [{"period": "month", "eur": 1, "alert_pct": [50]}],
                                                  "assistants": {"bot": {"routing_strategy": "canary", "default_model": "fake-1"}}}},
                          routers={"canary": {"use": "cheapest"}},
                          keys={"filed": {"organization": "acme", "assistant": "bot", "secret": FILE_KEY}}, **members)
    gateway.run("reload")


def test_the_file_declares_them_and_owns_them(gateway):
    gateway.secrets.add(FILE_KEY)
    with_file(gateway)
    status, head, _ = gateway.request("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}, FILE_KEY)
    assert status == 200 and head["x-latenza-strategy"] == "canary"
    shown = gateway.json("org", "show", "acme")
    assert shown["source"] == "file" and "latenza.yaml:" in shown["declared_at"] and shown["keys"] == 1
    assert "latenza.yaml:" in gateway.run("org", "list").stdout
    for words in (["org", "set", "acme", "--rate-limit", "5"], ["org", "disable", "acme"], ["org", "rm", "acme"],
                  ["org", "create", "acme"], ["assistant", "set", "acme/bot", "--rate-limit", "5"]):
        said = refused(gateway, *words)
        assert "latenza.yaml:" in said and "declares it; change it there" in said, said
    assert budgets(gateway)["org:acme"]["spent_nano_eur"] == COST
    # A command's key may join the file's organisation.
    assert gateway.chat(gateway.key("k", organization="acme"))[0] == 200


def test_what_leaves_the_file_is_disabled_and_its_history_stays(gateway):
    gateway.secrets.add(FILE_KEY)
    with_file(gateway)
    key = gateway.key("k", organization="acme")
    assert gateway.chat(key)[0] == 200
    gateway.change_config(organizations=None, routers=None, keys=None)
    gateway.run("reload")
    status, _, body = gateway.chat(key)
    assert status == 401 and "organization 'acme'" in body["error"]["message"]
    assert gateway.json("org", "show", "acme")["disabled"] is True
    assert gateway.json("org", "show", "acme")["budgets"][0]["spent_nano_eur"] == COST
    assert "org:acme" not in budgets(gateway)
    with_file(gateway)
    assert gateway.chat(key)[0] == 200
    assert budgets(gateway)["org:acme"]["spent_nano_eur"] == 2 * COST


def test_a_file_that_is_wrong_somewhere_changes_nothing(gateway):
    gateway.secrets.add(FILE_KEY)
    with_file(gateway)
    gateway.change_config(organizations={"acme": {"rate_limit": 0, "assistants": {"bot": {"rate_limit": "unlimited"}}}})
    assert "organizations.acme.assistants.bot.rate_limit" in refused(gateway, "reload")
    assert gateway.chat(FILE_KEY)[0] == 200
    # Nor does one that takes what a command made.
    with_file(gateway)
    gateway.run("org", "create", "mine", "--rate-limit", 7)
    gateway.change_config(organizations=gateway.config["organizations"] | {"mine": {}, "acme": {"rate_limit": 0}}, keys={})
    said = refused(gateway, "reload")
    assert "organization 'mine': one of this name was made by command" in said and "latenza.yaml:" in said
    assert gateway.chat(FILE_KEY)[0] == 200
    assert gateway.json("org", "show", "mine")["settings"] == {"rate_limit": 7}


def test_a_named_router_is_a_strategy_wherever_one_is_named(gateway):
    gateway.change_config(routers={"canary": {"use": "balanced", "cost": 0.5}}, routing={"default": "canary"})
    gateway.run("reload")
    key, own = gateway.key("k"), gateway.key("own", routing_strategy="canary")
    for one in (key, own):
        assert gateway.chat(one)[1]["x-latenza-strategy"] == "canary"
    assert gateway.chat(key, model="latenza/canary")[1]["x-latenza-strategy"] == "canary"
    assert gateway.chat(key, headers={"x-latenza-strategy": "canary"})[0] == 200
    assert "latenza/canary" in {m["id"] for m in json.loads(gateway.get("/v1/models", key=key)[2])["data"]}
    shown = gateway.json("config", "show")["routers"]["canary"]
    assert shown["use"] == "balanced" and shown["cost"] == 0.5
    gateway.change_config(routers={"canary": {"use": "balanced", "cost": "much"}})
    assert "routers.canary.cost" in refused(gateway, "reload")


def test_an_organisation_can_be_made_before_the_first_start(build, tmp_path):
    data, config = tmp_path / "data", tmp_path / "latenza.yaml"
    config.write_text(json.dumps({"data": str(data), "providers": {"echo": {"plugin": "echo"}}}))

    def run(*words):
        return subprocess.run([build / "latenza", *words, "-c", config], capture_output=True, text=True)

    assert run("org", "create", "Bad Name").returncode == 1 and not data.exists()
    assert run("org", "create", "acme", "--routing-strategy", "cheapest").returncode == 0
    assert run("key", "create", "--name", "k", "--organization", "acme").returncode == 0
    assert json.loads(run("org", "show", "acme", "-o", "json").stdout)["keys"] == 1
