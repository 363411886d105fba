"""kill -9 under load: nothing that was acknowledged is lost, and nothing is charged twice.

SPDX-License-Identifier: MIT
"""

import http.client
import json
import threading
import time
from collections import Counter

KILLS, THREADS, SECONDS = 20, 8, 0.4
COST = 8500  # nano-EUR of one answer, see harness


class Load:
    """Requests until told to stop; remembers the ids of those whose answer came whole."""

    def __init__(self, gateway, key):
        self.gateway, self.key = gateway, key
        self.ended, self.acknowledged, self.lock = threading.Event(), [], threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(THREADS)]

    def run(self, number):
        while not self.ended.is_set():
            try:
                status, head, _ = self.gateway.chat(self.key, stream=False, user=f"thread-{number}")
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.01)  # the gateway is dead, or dies just now
                continue
            if status == 200:
                with self.lock:
                    self.acknowledged.append(head["x-request-id"])

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for t in self.threads:
            t.join()


def exported(gateway):
    return [json.loads(line) for line in gateway.run("traces", "export").stdout.splitlines()]


def check_books(gateway, acknowledged, provider):
    traces = exported(gateway)
    seen = Counter(t["id"] for t in traces)
    assert max(seen.values()) == 1, "a trace twice"
    assert set(acknowledged) <= set(seen), f"{len(set(acknowledged) - set(seen))} acknowledged requests have no trace"
    by_id = {t["id"]: t for t in traces}
    for id in acknowledged:
        assert by_id[id]["status"] == 200 and by_id[id]["cost_nano_eur"] == COST, by_id[id]
    # An interrupted one may have been killed between its reservation and its call: it owes its input all the same.
    served = [t for t in traces if t["cost_nano_eur"] and "interrupted" not in t["flags"]]
    assert len(served) <= provider.calls(), "charged in full what no provider was asked"
    assert gateway.spent("load") == sum(t["cost_nano_eur"] or 0 for t in traces)
    check = gateway.json("db", "check")
    assert check["sound"] and check["open_reservations"] == 0 and check["spend_differs"] == 0
    return traces


def test_twenty_kills_under_load_lose_nothing_and_double_nothing(make_gateway, provider, full):
    gateway = make_gateway(provider=provider)
    provider.script(delay=0.002)
    key = gateway.key("load", budget_monthly_eur=1000)
    with Load(gateway, key) as load:
        for _ in range(KILLS * (5 if full else 1)):
            time.sleep(SECONDS)
            gateway.kill()
            gateway.start()
        time.sleep(SECONDS)
    assert len(load.acknowledged) > 10 * KILLS
    traces = check_books(gateway, load.acknowledged, provider)
    interrupted = [t for t in traces if "interrupted" in t["flags"]]
    assert len(interrupted) <= THREADS * (KILLS * 5 + 1)
    metrics = gateway.metrics()
    assert round(metrics['latenza_budget_spent_eur{key="load",period="month"}'] * 1e9) == gateway.spent("load")
    assert gateway.stop() == 0
    check_books(gateway, load.acknowledged, provider)


def test_streams_that_a_kill_cuts_are_accounted_for_once(make_gateway, provider):
    from harness.sse import Stream
    gateway = make_gateway(provider=provider)
    provider.script(chunks=["x "] * 200, pace=0.02)
    key = gateway.key("load", budget_monthly_eur=1000)
    body = {"model": "fake-1", "messages": [{"role": "user", "content": "Go"}]}
    streams = [Stream(gateway.port, key, body) for _ in range(10)]
    for s in streams:
        reader = s.events()
        for _ in range(3):
            next(reader)
    gateway.kill()
    assert all("[DONE]" not in s.rest() for s in streams)
    gateway.start()
    traces = exported(gateway)
    assert len(traces) == 10 and all("interrupted" in t["flags"] for t in traces)
    assert gateway.spent("load") == sum(t["cost_nano_eur"] for t in traces) > 0
    assert gateway.json("db", "check")["sound"]
