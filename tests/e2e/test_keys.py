"""Virtual keys: made, limited, rolled, imported, by command and by file.

SPDX-License-Identifier: MIT
"""

import datetime
import hashlib
import json
import subprocess

import pytest
from harness.gateway import Failed

PAGE = {"name": "Production backend", "rate_limit": 120, "routing_strategy": "balanced",
        "model_allowlist": ["gpt-4o", "claude-3-5-sonnet"], "budget_monthly_eur": 250, "budget_alert_pct": 80}


def test_the_product_pages_json_makes_a_key_as_it_stands(gateway, tmp_path):
    (tmp_path / "page.json").write_text(json.dumps(PAGE))
    made = gateway.json("key", "create", "-f", tmp_path / "page.json")
    assert made["id"] == "production-backend"
    assert made["secret"].startswith("lz_live_") and len(made["secret"]) == 46
    shown = gateway.json("key", "show", "production-backend")
    assert shown["settings"] == PAGE
    assert "secret" not in shown and made["secret"] not in gateway.run("key", "show", made["id"]).stdout
    assert shown["budgets"][0]["limit_nano_eur"] == 250_000_000_000


@pytest.mark.parametrize("words", [
    ["--rate-limit", "-5"], ["--name", "", "--id", "x"], ["--id", "Not A Slug"], ["--log-content", "some"],
    ["--allowed-ips", "nonsense"], ["--routing-strategy", "no-such"], ["--name", "a", "--name", "b"]])
def test_a_key_that_is_refused_makes_no_data_directory(build, tmp_path, words):
    data, config = tmp_path / "data", tmp_path / "latenza.yaml"
    config.write_text(json.dumps({"data": str(data), "providers": {"echo": {"plugin": "echo"}}}))
    def create(*more):
        return subprocess.run([build / "latenza", "key", "create", "-c", config, *more], capture_output=True, text=True)
    refused = create(*([] if "--name" in words else ["--name", "K"]), *words)
    assert refused.returncode in (1, 2) and refused.stderr.startswith("latenza: "), refused
    assert not data.exists(), "nothing is made for what is refused"
    assert create("--name", "K").returncode == 0 and data.exists()


def test_a_new_key_works_at_once_and_a_removed_one_no_longer(gateway):
    key = gateway.key("brief")
    assert gateway.chat(key)[0] == 200
    gateway.run("key", "rm", "brief")
    assert gateway.chat(key)[0] == 401
    with pytest.raises(Failed) as error:
        gateway.run("key", "show", "brief")
    assert error.value.code == 1 and "brief" in error.value.stderr


def test_a_disabled_key_is_refused_until_it_is_enabled(gateway):
    key = gateway.key("off")
    gateway.run("key", "disable", "off")
    assert gateway.chat(key)[0] == 401
    gateway.run("key", "disable", "off", "--undo")
    assert gateway.chat(key)[0] == 200


def test_a_rolled_key_keeps_the_old_secret_for_a_while_if_asked_to(gateway):
    old = gateway.key("roll")
    new = gateway.run("key", "roll", "roll", "--keep-old", "1h").stdout.strip()
    assert new != old
    assert gateway.chat(old)[0] == 200 and gateway.chat(new)[0] == 200
    newest = gateway.run("key", "roll", "roll", "--keep-old", "0").stdout.strip()
    assert [gateway.chat(k)[0] for k in (old, new, newest)] == [401, 401, 200]


def test_an_imported_key_is_known_by_its_hash(gateway):
    secret = "sk-from-the-old-gateway"
    gateway.run("key", "import", "--sha256", hashlib.sha256(secret.encode()).hexdigest(), "--name", "Legacy")
    assert gateway.chat(secret)[0] == 200
    assert gateway.chat(secret + "x")[0] == 401


def test_a_file_of_secrets_is_imported_line_by_line(gateway):
    gateway.run("key", "import", "--secrets", "-", stdin="# old keys\nFirst app  sk-one\nSecond sk-two\n")
    assert [k["id"] for k in gateway.json("key", "list")] == ["first-app", "second"]
    assert gateway.chat("sk-one")[0] == 200 and gateway.chat("sk-two")[0] == 200


def test_keys_of_the_file_work_and_are_not_changed_by_command(make_gateway, provider):
    gateway = make_gateway(provider=provider, env={"FILE_KEY": "sk-declared-in-the-file"},
                           config={"keys": {"declared": {"name": "Declared", "secret": "env:FILE_KEY"}}})
    assert gateway.chat("sk-declared-in-the-file")[0] == 200
    for words in (["disable", "declared"], ["roll", "declared"], ["rm", "declared"]):
        with pytest.raises(Failed) as error:
            gateway.run("key", *words)
        assert "configuration file" in error.value.stderr
    gateway.change_config(keys={})
    gateway.run("reload")
    assert gateway.chat("sk-declared-in-the-file")[0] == 401
    # One that left is history: it stays disabled, and may be removed; the file may bring it back.
    for words in (["disable", "declared", "--undo"], ["roll", "declared"]):
        with pytest.raises(Failed) as error:
            gateway.run("key", *words)
        assert "left the configuration file and stays disabled" in error.value.stderr
    gateway.run("key", "rm", "declared")
    assert gateway.json("key", "list") == [] and len(gateway.traces()) >= 1
    gateway.change_config(keys={"declared": {"secret": "env:FILE_KEY"}})
    gateway.run("reload")
    assert gateway.chat("sk-declared-in-the-file")[0] == 200
    with pytest.raises(Failed):
        gateway.run("key", "rm", "declared")


def test_keys_are_made_without_a_gateway_and_found_by_the_next(make_gateway, provider):
    gateway = make_gateway(provider=provider)
    assert gateway.stop() == 0
    key = gateway.key("offline")
    assert [k["id"] for k in gateway.json("key", "list")] == ["offline"]
    gateway.start()
    assert gateway.chat(key)[0] == 200


def test_a_rate_limit_lets_its_burst_through_and_says_when_to_come_back(gateway):
    key = gateway.key("limited", rate_limit=3)
    answers = [gateway.chat(key) for _ in range(5)]
    assert [a[0] for a in answers] == [200, 200, 200, 429, 429]
    assert answers[3][2]["error"]["code"] == "rate_limit_exceeded"
    assert 1 <= int(answers[3][1]["retry-after"]) <= 20
    assert [a[1]["x-ratelimit-remaining-requests"] for a in answers[:3]] == ["2", "1", "0"]


def test_a_rate_limit_of_zero_refuses_all(gateway):
    assert gateway.chat(gateway.key("none", rate_limit=0))[0] == 429


def test_an_expired_key_is_refused(gateway):
    past = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert gateway.chat(gateway.key("old", expires_at=past))[0] == 401


def test_an_address_outside_allowed_ips_is_refused(gateway):
    assert gateway.chat(gateway.key("elsewhere", allowed_ips=["10.0.0.0/8"]))[0] in (401, 403)
    assert gateway.chat(gateway.key("here", allowed_ips=["127.0.0.0/8"]))[0] == 200


def test_a_test_key_reaches_only_test_providers(gateway):
    key = gateway.key("play", test=True)
    assert key.startswith("lz_test_")
    assert gateway.chat(key, model="echo-1")[0] == 200
    assert gateway.chat(key, model="fake-1")[0] in (403, 404)


@pytest.mark.parametrize("header", ["x-api-key", "api-key", "x-goog-api-key"])
def test_other_headers_carry_the_key_too(gateway, header):
    key = gateway.key("other")
    assert gateway.chat(None, headers={header: key})[0] == 200


def test_the_clients_key_never_reaches_the_provider(gateway, provider):
    key = gateway.key("secret")
    gateway.chat(key, headers={"Cookie": "a=b", "X-Forwarded-For": "1.2.3.4"})
    sent = provider.last()["headers"]
    assert sent["authorization"] == f"Bearer {gateway.env['FAKE_KEY']}"
    assert key not in json.dumps(sent) and "cookie" not in sent and "x-forwarded-for" not in sent


@pytest.mark.parametrize("settings, named", [
    ({"rate_limit": "many"}, "rate_limit"), ({"rate_limit": -1}, "rate_limit"), ({"ratelimit": 5}, "ratelimit"),
    ({"budget_monthly_eur": "x"}, "budget_monthly_eur"), ({"routing_strategy": "nearest"}, "routing_strategy"),
    ({"model_allowlist": "gpt-4o"}, "model_allowlist"), ({"expires_at": "soon"}, "expires_at"),
    ({"allowed_ips": ["everywhere"]}, "allowed_ips"), ({"log_content": "some"}, "log_content"),
    ({"budget_alert_pct": 500}, "budget_alert_pct"), ({"organization": "acme"}, "organization"),
    ({"guardrails": ["pii"]}, "guardrails"), ({"name": 5}, "name")])
def test_nonsense_in_a_keys_settings_is_refused_by_name(gateway, settings, named):
    with pytest.raises(Failed) as error:
        gateway.key(**settings)
    assert error.value.code == 1 and named in error.value.stderr


def test_two_keys_cannot_have_one_id(gateway):
    gateway.key("twice")
    with pytest.raises(Failed) as error:
        gateway.key("twice")
    assert "twice" in error.value.stderr


def test_limits_hold_across_workers_for_requests_in_flight(gateway, provider):
    import threading
    gate = threading.Event()
    provider.script(gate=gate)
    key = gateway.key("narrow", max_in_flight=2)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(gateway.chat(key)[0])) for _ in range(6)]
    for t in threads:
        t.start()
    while len(answers) < 4:
        pass
    assert answers == [429] * 4
    gate.set()
    for t in threads:
        t.join()
    assert sorted(answers) == [200, 200, 429, 429, 429, 429]


def test_the_operators_master_secret_stands_in_for_the_keyrings_with_and_without_a_gateway(gateway):
    """secrets.master: keys made beforehand and while it runs are known under it, and under no other."""
    assert gateway.stop() == 0
    gateway.change_config(secrets={"master": "env:MASTER"})
    gateway.env["MASTER"] = "a-master-secret-of-the-house-1"
    gateway.secrets.add(gateway.env["MASTER"])
    before = gateway.key("before")
    gateway.start()
    both = [before, gateway.key("meanwhile")]
    assert [gateway.chat(k)[0] for k in both] == [200, 200]
    assert gateway.stop() == 0
    gateway.env["MASTER"] = "a-master-secret-of-the-house-2"
    gateway.start()
    assert [gateway.chat(k)[0] for k in both] == [401, 401]
