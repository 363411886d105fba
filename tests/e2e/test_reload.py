"""Reload: all or nothing, and nobody notices.

SPDX-License-Identifier: MIT
"""

import signal
import threading
import time

import pytest
from harness.gateway import Failed


class Load:
    """Requests from several threads until the block ends."""

    def __init__(self, gateway, key, threads=4):
        self.gateway, self.key, self.ended = gateway, key, threading.Event()
        self.statuses, self.errors = [], []
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]

    def run(self):
        while not self.ended.is_set():
            try:
                self.statuses.append(self.gateway.chat(self.key)[0])
            except OSError as e:
                self.errors.append(e)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for t in self.threads:
            t.join()


def test_a_hundred_reloads_under_load_fail_no_request(gateway):
    key = gateway.key()
    with Load(gateway, key) as load:
        for i in range(100):
            gateway.change_config(routing={"attempts": 1 + i % 3})
            gateway.run("reload")
    assert load.errors == [] and set(load.statuses) == {200}
    assert len(load.statuses) > 100


def test_a_reload_says_what_changed(gateway):
    gateway.change_config(keys={"new": {"name": "New", "rate_limit": 5, "secret": "sk-literal-new-key-0123456789"}})
    assert any("keys" in line for line in gateway.json("config", "diff"))
    assert any("keys" in line for line in gateway.json("reload")["changes"])
    assert gateway.json("config", "diff") == []
    assert gateway.chat("sk-literal-new-key-0123456789")[0] == 200


def test_what_needs_a_restart_is_said_at_each_reload_until_it_is_put_back(gateway):
    needed = "! listen, data, workers and ledger.timezone stay as they were at the start; restart to change them"
    good = gateway.config
    reload = ["reload", "--data", gateway.data]  # where it is, whatever the file says now
    for changes in ({"workers": 7}, {"listen": [f"127.0.0.1:{gateway.port}", "127.0.0.1:1"]}, {"data": "elsewhere"}, {"ledger": {"timezone": "Europe/Rome"}}):
        gateway.write_config(good | changes)
        assert needed in gateway.json(*reload)["changes"]
        assert gateway.json(*reload)["changes"] == [needed]
        gateway.write_config(good)
        assert needed not in gateway.json(*reload)["changes"]
    assert len(gateway.events("reload.restart_needed")) == 8
    assert gateway.get("/readyz")[0] == 200


def test_a_bad_configuration_is_refused_and_the_last_good_one_serves_on(gateway):
    key = gateway.key()
    good = gateway.config
    gateway.change_config(listn="127.0.0.1:1")
    with pytest.raises(Failed) as error:
        gateway.run("reload")
    assert error.value.code == 78
    assert "listn" in error.value.stderr and "listen" in error.value.stderr and "latenza.yaml:" in error.value.stderr
    assert gateway.chat(key)[0] == 200
    status, _, why = gateway.get("/readyz")
    assert b"listn" in why
    gateway.write_config(good)
    gateway.run("reload")
    assert gateway.get("/readyz")[0] == 200


def test_sighup_reloads(gateway):
    gateway.change_config(keys={"late": {"name": "Late", "secret": "sk-literal-late-key-0123456789"}})
    gateway.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + 10
    while gateway.chat("sk-literal-late-key-0123456789")[0] != 200:
        assert time.monotonic() < end, gateway.logs()
        time.sleep(0.05)


def test_rates_and_spend_survive_a_reload(gateway):
    key = gateway.key("steady", rate_limit=2, budget_monthly_eur=1)
    assert gateway.chat(key)[0] == 200
    gateway.change_config(routing={"attempts": 2})
    gateway.run("reload")
    assert [gateway.chat(key)[0] for _ in range(2)] == [200, 429]
    assert gateway.spent("steady") == 2 * 8500


def test_a_request_in_flight_ends_under_the_configuration_it_began_with(gateway, provider):
    gate = threading.Event()
    provider.script(gate=gate)
    key = gateway.key()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(gateway.chat(key)))
    thread.start()
    while provider.calls() == 0:
        time.sleep(0.01)
    providers = dict(gateway.config["providers"])
    del providers["fake"]
    gateway.change_config(providers=providers)
    gateway.run("reload")
    assert gateway.chat(key)[0] == 404
    gate.set()
    thread.join()
    assert answers[0][0] == 200


def test_sigterm_lets_requests_finish(make_gateway, provider):
    gateway = make_gateway(provider=provider)
    gate = threading.Event()
    provider.script(gate=gate)
    key = gateway.key()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(gateway.chat(key)))
    thread.start()
    while provider.calls() == 0:
        time.sleep(0.01)
    gateway.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    with pytest.raises(OSError):
        gateway.chat(key)
    gate.set()
    thread.join()
    assert answers[0][0] == 200
    assert gateway.process.wait(10) == 0
    assert len(gateway.traces()) == 1


def test_a_second_sigterm_ends_at_once(make_gateway, provider):
    gateway = make_gateway(provider=provider)
    gate = threading.Event()
    provider.script(gate=gate)
    key = gateway.key()

    def go():
        try:
            gateway.chat(key)
        except OSError:
            pass

    thread = threading.Thread(target=go)
    thread.start()
    while provider.calls() == 0:
        time.sleep(0.01)
    gateway.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(5) == 0
    gate.set()
    thread.join()
