"""One of two providers is always dying: no client hears of it, but those whose stream had begun there.

SPDX-License-Identifier: MIT
"""

import json
import sqlite3
import time
from collections import Counter

import pytest
from harness.failover import CHEAP_AT, FACTOR, INPUT, OUTPUT, USAGE, Dying, Trouble, providers, start_clients

COUNT, COUNT_FULL, CONNECTIONS = 5_000, 50_000, 64
ACTUAL = 1  # enum charge_state
CHEAP = USAGE["prompt_tokens"] * INPUT + USAGE["completion_tokens"] * OUTPUT


@pytest.fixture
def dying():
    pair = Dying(), Dying()
    yield pair
    for one in pair:
        one.end()


def wait_for_quiet(gateway):
    end = time.monotonic() + 30
    while (m := gateway.metrics())["latenza_requests_in_flight"] > 0 or m[
            'latenza_budget_reserved_eur{key="one",period="month"}'] > 0:
        assert time.monotonic() < end, "something is in flight or reserved, though every client has gone"
        time.sleep(0.05)
    return m


def attempts_of(gateway, label):
    db = sqlite3.connect(f"file:{gateway.data}/latenza.db?mode=ro", uri=True)
    try:
        return db.execute("SELECT attempt_list FROM trace WHERE user = ?", (label,)).fetchall()
    finally:
        db.close()


def read_books(gateway):
    """The sums are equal in three places. Then: traces by label, charges by label."""
    check = gateway.json("db", "check")
    assert check["sound"] and check["open_reservations"] == 0 and check["spend_differs"] == 0, check
    db = sqlite3.connect(f"file:{gateway.data}/latenza.db?mode=ro", uri=True)
    traces = db.execute("SELECT user, status, code, cost_nano_eur, attempts, model_asked FROM trace WHERE key = 'one'").fetchall()
    charges = db.execute("SELECT t.user, c.attempt, c.state, c.cost_nano_eur, c.provider FROM charge c "
                         "JOIN trace t ON t.id = c.trace_id WHERE c.key = 'one' ORDER BY 1, 2").fetchall()
    spent, = db.execute("SELECT sum(spent_nano_eur) FROM budget_spend WHERE scope = 'key:one'").fetchone()
    db.close()
    assert spent == sum(t[3] for t in traces) == sum(c[3] for c in charges)
    assert max(Counter(t[0] for t in traces).values()) == 1, "a trace twice"
    of = {}
    for charge in charges:
        of.setdefault(charge[0], []).append(charge)
    return {t[0]: t for t in traces}, of


def check_request(label, what, provider, trace, charges):
    _, status, code, cost, attempts, model = trace
    assert attempts == len(charges) and cost == sum(c[3] for c in charges), (trace, charges)
    if what == "done":
        factor = 1 if CHEAP_AT[model] == provider else FACTOR
        assert (status, code) == (200, None), trace
        assert charges[-1][2:] == (ACTUAL, CHEAP * factor, provider), (label, charges)
    else:
        assert code is not None, (label, what, trace)


def test_no_request_fails_while_one_of_two_providers_does(make_gateway, dying, full):
    count = COUNT_FULL if full else COUNT
    gateway = make_gateway(config={"providers": providers(*dying), "routing": {
        "default": "cheapest", "attempts": 3, "first_byte_timeout_ms": "500ms"}})
    key, began = gateway.key("one", budget_monthly_eur=1000), time.monotonic()
    with Trouble(*dying) as trouble:
        clients = start_clients(gateway.port, key, count, CONNECTIONS)
        out, _ = clients.communicate()
    seconds = time.monotonic() - began
    assert clients.returncode == 0
    metrics = wait_for_quiet(gateway)
    assert gateway.stop() == 0
    saw = json.loads(out)
    failed = [label for label, _, what, _, _ in saw if what not in ("done", "error", "cut")]
    for label in failed[:5]:
        print(f"\n{label}: {attempts_of(gateway, label)}")
    ends = Counter((kind, what) for _, kind, what, _, _ in saw)
    print(f"\n{count} requests in {seconds:.0f} s, {trouble.count} faults: {dict(ends)}; attempts "
          f"{dict(Counter(a for *_, a in saw))}; "
          f"{ {k: v for k, v in metrics.items() if k.startswith('latenza_attempts_total')} }")
    assert len(saw) == count and trouble.count >= 4
    assert {what for kind, what in ends if kind == "whole"} == {"done"}
    assert {what for kind, what in ends if kind == "stream"} <= {"done", "error", "cut"}
    assert max(int(a) for *_, a in saw) > 1, "nothing failed: the trouble was none"
    traces, charges = read_books(gateway)
    assert len(traces) == count
    for label, _, what, provider, _ in saw:
        check_request(label, what, provider, traces[label], charges[label])
