"""kill -9 at any instant: the four rows of the ledger's promise, one by one and at random.

SPDX-License-Identifier: MIT
"""

import json
import random
import socket
import threading
import time

import pytest
from harness.gateway import PRICES
from harness.oracle import NANO_EUR_PER_INPUT, Asked, Crew
from harness.provider import Provider
from harness.sse import Stream

CLIENTS, KILLS, KILLS_FULL, KILLS_OF_ONE = 8, 200, 1000, 50
COST = 8500  # nano-EUR of one answer, see harness


def traces(gateway):
    return [json.loads(line) for line in gateway.run("traces", "export").stdout.splitlines()]


def check_sound(gateway, spent):
    check = gateway.json("db", "check")
    assert check["sound"] and check["open_reservations"] == 0 and check["spend_differs"] == 0
    assert gateway.spent("load") == spent


def kill_and_start(gateway):
    gateway.kill()
    gateway.start()


# ---- row by row ----

def test_killed_before_the_reservation_nothing_happened(make_gateway, provider):
    gateway = make_gateway(provider=provider)
    key = gateway.key("load", budget_monthly_eur=1000)
    request = Asked("half", False, "fake-1").bytes(key)
    with socket.create_connection(("127.0.0.1", gateway.port)) as s:
        s.sendall(request[:-5])  # the head, and not all of the body
        assert gateway.get("/healthz")[0] == 200
        kill_and_start(gateway)
    assert traces(gateway) == [] and provider.calls() == 0
    check_sound(gateway, 0)


@pytest.mark.parametrize("uncertain", ["input", "bound", "zero"])
def test_killed_before_the_settlement_the_attempt_is_uncertain(make_gateway, provider, uncertain):
    gateway = make_gateway(provider=provider, config={"ledger": {"uncertain": uncertain}})
    key = gateway.key("load", budget_monthly_eur=1000)
    held = threading.Event()
    provider.script(gate=held)
    asked = Asked("held", False, "fake-1")
    with socket.create_connection(("127.0.0.1", gateway.port)) as s:
        s.sendall(asked.bytes(key))
        while provider.calls() == 0:
            time.sleep(0.002)
        kill_and_start(gateway)
    held.set()
    only, = traces(gateway)
    # the bound: a token for each byte of the messages, and 4,096 of output
    bound = len(asked.messages) * NANO_EUR_PER_INPUT + 4096 * 2 * NANO_EUR_PER_INPUT
    owed = {"input": asked.prompt_tokens * NANO_EUR_PER_INPUT, "bound": bound, "zero": 0}[uncertain]
    assert only["flags"] == ["interrupted"] and only["cost_nano_eur"] == owed
    check_sound(gateway, owed)


def test_killed_between_settlement_and_last_byte_it_is_charged_and_traced(make_gateway, provider):
    """A client that does not read holds up the answer's end: settled long ago, it waits in the gateway."""
    gateway = make_gateway(provider=provider)
    key = gateway.key("load", budget_monthly_eur=1000)
    tokens = 31000  # as few as such a text can have, and no more than the window
    provider.script(chunks=["x" * 3_900_000], usage=(7, tokens))
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", gateway.port))
        s.sendall(Asked("slow", False, "fake-1").bytes(key))
        while gateway.spent("load") == 0:
            time.sleep(0.01)
        kill_and_start(gateway)
        got = 0
        try:
            while data := s.recv(1 << 20):
                got += len(data)
        except ConnectionResetError:
            pass
    assert got < 3_900_000, "the whole answer was under way: this is another row"
    only, = traces(gateway)
    assert only["status"] == 200 and "interrupted" not in only["flags"] and only["cost_nano_eur"] == COST + (tokens - 5) * 1000
    check_sound(gateway, only["cost_nano_eur"])


@pytest.mark.parametrize("stream", [False, True])
def test_killed_after_the_last_byte_it_is_charged_once(make_gateway, provider, stream):
    gateway = make_gateway(provider=provider)
    key = gateway.key("load", budget_monthly_eur=1000)
    body = {"model": "fake-1", "messages": [{"role": "user", "content": "Go"}]}
    if stream:
        assert Stream(gateway.port, key, body).rest()[-1] == "[DONE]"
    else:
        assert gateway.chat(key)[0] == 200
    kill_and_start(gateway)
    kill_and_start(gateway)
    only, = traces(gateway)
    assert only["status"] == 200 and "interrupted" not in only["flags"] and only["cost_nano_eur"] == COST
    check_sound(gateway, COST)


def test_streams_that_a_kill_cuts_are_accounted_for_once(make_gateway, provider):
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
    all_of_them = traces(gateway)
    assert len(all_of_them) == 10 and all("interrupted" in t["flags"] for t in all_of_them)
    check_sound(gateway, sum(t["cost_nano_eur"] for t in all_of_them))


# ---- at random ----

def one_of_two(provider, factor):
    return {"plugin": "compatible", "base_url": provider.base_url, "api_keys": ["env:FAKE_KEY"],
            "models": [{"id": m, "context_window": 32768, "max_output_tokens": 4096,
                        **{k: v * factor for k, v in PRICES.items()}} for m in provider.models]}


def kill_at_random(gateway, crew, dice, kills):
    for _ in range(kills):
        crew.begin()
        time.sleep(dice.uniform(0.002, 0.12))
        crew.end(gateway.kill)
        while dice.random() < 0.25:  # and while it recovers
            gateway.start(wait=False)
            time.sleep(dice.uniform(0, 0.04))
            gateway.kill()
        gateway.start()
        crew.judge()


@pytest.mark.timeout(1200)
def test_kills_at_random_instants_lose_nothing_and_double_nothing(make_gateway, provider, full, capsys):
    """Whole answers and streams, a fifth of them failing over; the gateway is also killed while it starts."""
    kills, seed = KILLS_FULL if full else KILLS, random.randrange(1 << 32)
    dice = random.Random(seed)
    rows = {"nothing": 0, "uncertain": 0, "settled": 0, "answered": 0}
    with Provider() as second:
        provider.script(delay=0.002, chunks=["x "] * 4, pace=0.002)
        provider.script(model="fake-2", status=500)
        second.script(delay=0.002, chunks=["x "] * 4, pace=0.002)
        for _ in range(kills // KILLS_OF_ONE):
            gateway = make_gateway(config={"providers": {"a": one_of_two(provider, 1), "b": one_of_two(second, 2)},
                                           "routing": {"default": "cheapest", "attempts": 3}})
            crew = Crew(gateway, {"a": (provider, 1), "b": (second, 2)}, CLIENTS)
            kill_at_random(gateway, crew, dice, KILLS_OF_ONE)
            crew.dismiss()
            assert gateway.stop() == 0
            for row, count in crew.rows.items():
                rows[row] += count
    with capsys.disabled():
        print(f"\n  {kills} kills, seed {seed}: {rows}")
    assert rows["answered"] > kills and rows["uncertain"] > kills / 4 and rows["nothing"] > 0, rows
