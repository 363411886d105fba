"""Many requests at once on one key: the limit holds at every instant, and the books agree with everybody.

SPDX-License-Identifier: MIT
"""

import json
import sqlite3
import threading
import time
from collections import Counter

import pytest
from harness.fire import FAILING, GONE, FireProvider, start_clients

COUNT, COUNT_FULL, CONNECTIONS = 20_000, 100_000, 1000
MAX_TOKENS = 100
ACTUAL = 1  # enum charge_state
STATUS = {"done": 200, "budget_reserved": 429, "insufficient_quota": 429, "all_attempts_failed": 502}


@pytest.fixture
def fire():
    made = []

    def make(*share):
        made.append(FireProvider(*share))
        return made[-1]

    yield make
    for provider in made:
        provider.end()


@pytest.fixture
def stand(make_gateway, fire):
    """A gateway in front of a provider that uses so many per cent of each limit."""
    def make(*share):
        provider = fire(*share)
        gateway = make_gateway(config={"providers": provider.providers(),
                                       "routing": {"default": "cheapest", "attempts": 3}})
        return gateway, provider
    return make


def bound_of(gateway):
    """What one request holds at the first provider, as the gateway itself reckons."""
    body = {"model": "fire", "max_tokens": MAX_TOKENS, "user": "probe",
            "messages": [{"role": "user", "content": "probe.0 mute   " + "x" * 100}]}
    status, head, _ = gateway.request("POST", "/v1/chat/completions", body, gateway.key("probe"))
    assert status == 200
    return min(c["bound_nano_eur"] for c in gateway.trace(head["x-request-id"])["candidates"])


class Watch(threading.Thread):
    """Reads spent and reserved of the budget that binds all the while. Reserved is read after spent, so their sum is never too large."""

    def __init__(self, gateway):
        super().__init__()
        self.gateway, self.ended = gateway, threading.Event()
        self.most, self.samples, self.peak = 0, 0, 0

    def run(self):
        while not self.ended.is_set():
            m = self.gateway.metrics()
            spent, reserved = (round(m[f'latenza_budget_{what}_eur{{organization="acme",assistant="bot",period="month"}}'] * 1e9)
                               for what in ("spent", "reserved"))
            self.most, self.peak = max(self.most, spent + reserved), max(self.peak, reserved)
            self.samples += 1
            time.sleep(0.01)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()


def key_of_three_scopes(gateway, limit):
    """Its assistant's budget is the one that binds: of its organisation's and its own a tenth stays."""
    more = round(limit * 1.1) / 1e9
    gateway.run("org", "create", "acme", "--budget-monthly-eur", more)
    gateway.run("assistant", "create", "acme/bot", "--budget-monthly-eur", limit / 1e9)
    return gateway.key("one", organization="acme", assistant="bot", budget_monthly_eur=more)


def burn(gateway, key, count, **how):
    began = time.monotonic()
    with Watch(gateway) as watch:
        clients = start_clients(gateway.port, key, count, CONNECTIONS, MAX_TOKENS, **how)
        out, _ = clients.communicate()
    assert clients.returncode == 0
    return json.loads(out), watch, time.monotonic() - began


class Books:
    """What the database knows of the key `one`, after the gateway has ended."""

    def __init__(self, gateway):
        db = sqlite3.connect(f"file:{gateway.data}/latenza.db?mode=ro", uri=True)
        self.traces = db.execute("SELECT user, status, code, cost_nano_eur FROM trace WHERE key = 'one'").fetchall()
        self.charges = db.execute("SELECT t.user, c.attempt, c.state, c.cost_nano_eur FROM charge c "
                                  "JOIN trace t ON t.id = c.trace_id WHERE c.key = 'one'").fetchall()
        self.all_charges, = db.execute("SELECT sum(cost_nano_eur) FROM charge WHERE key = 'one'").fetchone()
        self.spent, *others = (db.execute("SELECT sum(spent_nano_eur) FROM budget_spend WHERE scope = ?", (scope,)).fetchone()[0]
                               for scope in ("key:one", "assistant:acme/bot", "org:acme"))
        assert others == [self.spent] * 2, "what the key spends, its assistant and its organisation spend"
        db.close()


def check_books(gateway, limit, watch, metrics):
    """Sums over the whole database, and what was seen on the way."""
    check = gateway.json("db", "check")
    assert check["sound"] and check["open_reservations"] == 0 and check["spend_differs"] == 0
    books = Books(gateway)
    assert books.spent == books.all_charges == sum(c[3] for c in books.charges) == sum(t[3] for t in books.traces)
    assert books.spent <= limit and watch.most <= limit and watch.samples > 10
    assert metrics.get("latenza_overspend_nano_eur_total", 0) == 0
    return books


def wait_for_quiet(gateway):
    """All reservations were given back: nothing is in flight any more."""
    end = time.monotonic() + 30
    while (m := gateway.metrics())['latenza_budget_reserved_eur{key="one",period="month"}'] > 0:
        assert time.monotonic() < end, "money is still reserved, though every client has gone"
        time.sleep(0.05)
    return m


def check_each(saw, books):
    """Each request that its client saw the end of has one trace, which says the same."""
    traces = Counter(t[0] for t in books.traces)
    assert max(traces.values()) == 1, "a trace twice"
    of = {t[0]: t for t in books.traces}
    for label, kind, what in saw:
        if what == "left":
            continue
        # The second provider costs more: what is left may have paid for the first one only.
        assert what in STATUS and (what != "all_attempts_failed" or kind in FAILING), (label, kind, what)
        assert of[label][1:3] == (STATUS[what], None if what == "done" else what), (of[label], what)
    assert len(traces) <= len(saw)


def check_bill(saw, books, bill):
    """What a provider reported is charged to the last nano-EUR. Who had gone by then is charged something else."""
    stayed = {label for label, kind, _ in saw if kind not in GONE}
    actual = {}
    for user, _, state, cost in books.charges:
        if state == ACTUAL and user in stayed:
            actual.setdefault(user, []).append(cost)
    assert actual == {label: costs for label, costs in bill.items() if label in stayed}
    assert sum(map(len, actual.values())) > len(saw) / 4


def test_the_limit_holds_while_thousands_ask_at_once(stand, full):
    count = COUNT_FULL if full else COUNT
    gateway, provider = stand(80, 100)
    limit = count * bound_of(gateway) // 2
    key = key_of_three_scopes(gateway, limit)
    saw, watch, seconds = burn(gateway, key, count, again=False)
    metrics = wait_for_quiet(gateway)
    assert gateway.stop() == 0
    told = provider.books()
    books = check_books(gateway, limit, watch, metrics)
    check_each(saw, books)
    check_bill(saw, books, told["bill"])
    assert told["worst"] <= limit, "seen from the provider, more was under way than the limit admits"
    outcomes, kinds = Counter(what for _, _, what in saw), Counter(kind for _, kind, _ in saw)
    assert len(saw) == count
    # Which of the two it is depends on the disk: while settlements wait for it, all that is left is reserved.
    assert outcomes["insufficient_quota"] + outcomes["budget_reserved"] > 0
    print(f"\n{count} requests in {seconds:.1f} s on {CONNECTIONS} connections: {dict(outcomes)}; kinds {dict(kinds)}; "
          f"spent {books.spent / limit:.4%} of the limit, at most {watch.most / limit:.4%} spent and reserved in "
          f"{watch.samples} samples, {told['worst'] / limit:.4%} seen from the provider; "
          f"{Counter(c[2] for c in books.charges)} charges by state")


def test_what_is_affordable_is_served_in_the_end(stand, full):
    """Actual cost a quarter of the bound; clients who are told to wait come again until all is spent."""
    count = COUNT_FULL if full else COUNT
    gateway, provider = stand(20, 30)
    bound = bound_of(gateway)
    limit = count * bound // 8
    key = key_of_three_scopes(gateway, limit)
    saw, watch, seconds = burn(gateway, key, count, again=True, kinds=False)
    metrics = wait_for_quiet(gateway)
    assert gateway.stop() == 0
    books = check_books(gateway, limit, watch, metrics)
    check_each(saw, books)
    told = provider.books()
    assert told["worst"] <= limit
    whole = told["limits"].get(str(MAX_TOKENS), 0)
    served = [c[3] for c in books.charges]
    affordable = limit * len(served) / sum(served)
    outcomes = Counter(what for _, _, what in saw)
    print(f"\n{count} requests, {len(saw)} asked in {seconds:.1f} s: {dict(outcomes)}; spent {books.spent / limit:.4%}; "
          f"mean cost of {len(served)} answers {sum(served) / len(served):.0f} nano-EUR, a bound {bound}; "
          f"{whole} of {told['calls']} calls with the max_tokens that was asked for, {affordable:.0f} affordable")
    assert books.spent >= 0.95 * limit and whole >= 0.95 * affordable
