"""Clients that mean harm (harness/attacks.py), each in a process of its own, beside a good one: its answers stay right,
memory stays bounded, and connections, descriptors and reservations are given back.

How fast the good client is answered meanwhile is printed (`-s`), and decides nothing.

SPDX-License-Identifier: MIT
"""

import contextlib
import http.client
import json
import os
import pathlib
import resource
import subprocess
import sys
import threading
import time

import pytest
from harness.gateway import Gateway
from harness.provider import Provider
from harness.sse import Stream, text_of

ATTACKS = pathlib.Path(__file__).resolve().parent.parent / "harness/attacks.py"
MIB = 1 << 20
MOST_SECONDS = 200  # an attack has done its rounds long before, or the test fails
LIMITS = {"head_timeout_ms": 1000, "body_timeout_ms": 1000, "idle_timeout_ms": 1500, "write_timeout_ms": 1500}
PATIENT = 1000  # a client whose place was taken by another tries so often; how soon it gets in is the scheduler's choice
SLACK = 12 * MIB  # what the good client, the allocator's arenas and the storage thread may take meanwhile


def wait_for(what, seconds=90):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.05)
    return what()


class NoAnswer(Exception):
    """The connection ended before the first byte of an answer."""


class GoodClient(threading.Thread):
    """Asks until it is told to stop: plain, streamed, over new connections and over one that is kept. Like every client it
    asks again when a connection that rested turns out to be closed. patience: how often it does so when a new connection ends
    before an answer."""

    def __init__(self, gateway, key, patience=0):
        super().__init__(daemon=True)
        self.patience = patience
        self.gateway, self.key, self.stopped = gateway, key, threading.Event()
        self.seconds, self.wrong, self.number, self.again = [], [], 0, 0
        self.kept = None

    def run(self):
        while not self.stopped.is_set():
            self.number += 1
            began = time.monotonic()
            right = self.ask((self.ask_kept, self.ask_new, self.ask_stream)[self.number % 3])
            self.seconds.append(time.monotonic() - began)
            if right is not True:
                self.wrong.append((self.number, right))
            self.stopped.wait(0.005)

    def ask(self, how):
        for left in range(self.patience, -1, -1):
            try:
                return how(f"good {self.number}")
            except (ConnectionError, http.client.RemoteDisconnected, NoAnswer) as e:
                if left == 0:
                    return repr(e)
                self.again, self.kept = self.again + 1, None
            except Exception as e:  # any failure at all is what this is here to see
                return repr(e)

    def ask_new(self, text):
        status, _, answer = self.gateway.chat(self.key, text=text)
        return status == 200 and answer["choices"][0]["message"]["content"] == text or (status, answer)

    def ask_kept(self, text):
        if self.kept is not None:
            try:
                return self.ask_over_kept(text)
            except (ConnectionError, http.client.RemoteDisconnected):
                self.again += 1
        self.kept = None
        return self.ask_over_kept(text)

    def ask_over_kept(self, text):
        if self.kept is None:
            self.kept = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=20)
        body = {"model": "fake-1", "messages": [{"role": "user", "content": text}]}
        self.kept.request("POST", "/v1/chat/completions", json.dumps(body),
                          {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"})
        answer = self.kept.getresponse()
        status, data = answer.status, json.loads(answer.read())
        return status == 200 and data["choices"][0]["message"]["content"] == text or (status, data)

    def ask_stream(self, text):
        try:
            stream = Stream(self.gateway.port, self.key, {"model": "fake-1", "messages": [{"role": "user", "content": text}]}, timeout=20)
        except IndexError as e:  # no status line
            raise NoAnswer from e
        try:
            events = stream.rest()
            return stream.status == 200 and text_of(events) == text and events[-1] == "[DONE]" or (stream.status, events)
        finally:
            stream.close()

    def stop(self):
        self.stopped.set()
        if self.is_alive():
            self.join(60)
        if self.kept is not None:
            self.kept.close()

    def quantile(self, q):
        return sorted(self.seconds)[int(q * (len(self.seconds) - 1))] * 1000 if self.seconds else float("nan")


class Memory(threading.Thread):
    """The most that the process had resident while this ran."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self.pid, self.stopped = gateway.process.pid, threading.Event()
        self.before = self.most = resident(self.pid)

    def run(self):
        while not self.stopped.wait(0.01):
            self.most = max(self.most, resident(self.pid))

    def stop(self):
        self.stopped.set()
        self.join()
        return self.most - self.before


def resident(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def descriptors(gateway):
    return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))


def connections_to(port, pid):
    """The process's sockets whose other end has the port."""
    lines = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{line[9]}]" for line in lines if int(line[2].split(":")[1], 16) == port}
    count = 0
    for file in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            count += os.readlink(f"/proc/{pid}/fd/{file}") in sockets
    return count


@contextlib.contextmanager
def attack(gateway, name, **options):
    """Runs it beside what stands inside; what it saw is in the dict that is given. When what stands inside has ended, the
    attack's input is closed."""
    seen = {}
    with subprocess.Popen([sys.executable, ATTACKS, name, "127.0.0.1", str(gateway.port), json.dumps(options)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield seen
            out, _ = process.communicate(timeout=options["seconds"] + 60)
            seen.update(json.loads(out))
            assert process.returncode == 0
        finally:
            process.kill()


class Place:
    """A gateway under attack, and what is measured of it."""

    def __init__(self, gateway, provider):
        self.gateway, self.provider = gateway, provider
        self.good, self.bad = gateway.key("good", budget_monthly_eur=1000), gateway.key("bad", budget_monthly_eur=1000)
        self.warm_up()

    def warm_up(self):
        client = GoodClient(self.gateway, self.good)
        client.start()
        assert wait_for(lambda: client.number > 60)
        client.stop()
        assert client.wrong == []
        self.baseline = client
        self.settle(0)

    def held(self):
        """Descriptors, without the connections to the provider, which may rest."""
        return descriptors(self.gateway) - connections_to(self.provider.port, self.gateway.process.pid)

    def settle(self, most_held):
        """All that the attack held is given back."""
        g = self.gateway
        assert wait_for(lambda: g.metrics()["latenza_connections"] <= 1), g.metrics()["latenza_connections"]
        assert g.metrics()["latenza_requests_in_flight"] == 0
        for key in ("good", "bad"):
            assert wait_for(lambda: g.json("key", "show", key)["live"]["reserved_nano_eur"] == 0)
        if most_held:
            assert wait_for(lambda: self.held() <= most_held), (self.held(), most_held)

    def suffer(self, name, bound, clients, patience=0, answers=0, **options):
        """The attack beside the good client. bound: bytes that memory may grow by, for each of the clients. answers: so many of
        the good client are waited for before an attack with `until` may end."""
        g = self.gateway
        held = self.held()
        memory, client = Memory(g), GoodClient(g, self.good, patience)
        memory.start()
        client.start()
        with attack(g, name, **{"clients": clients, "seconds": MOST_SECONDS, "key": self.bad} | options) as seen:
            assert wait_for(lambda: client.number > answers, MOST_SECONDS)
        assert wait_for(lambda: client.number > 10)
        client.stop()
        grown = memory.stop()
        print(f"\n  {name}: {seen}; good client: {len(client.seconds)} answers ({client.again} asked again), p50 {client.quantile(0.5):.1f} ms, p99 {client.quantile(0.99):.1f} ms "
              f"(alone {self.baseline.quantile(0.5):.1f}, {self.baseline.quantile(0.99):.1f}); memory +{grown / MIB:.1f} MiB")
        assert g.process.poll() is None, g.logs()
        assert client.wrong == [], client.wrong[:5]
        if not g.is_sanitized:
            assert grown <= clients * bound + SLACK, f"{grown / MIB:.1f} MiB"
        self.settle(held + 2)
        return seen


@pytest.fixture(scope="module")
def provider():
    with Provider() as p:
        yield p


@pytest.fixture(scope="module")
def place(build, provider, tmp_path_factory):
    """One gateway for all: what an attack leaves behind must not matter to the next."""
    g = Gateway(build, tmp_path_factory.mktemp("attacks") / "g", provider, config={"limits": LIMITS, "workers": 2}).start()
    yield Place(g, provider)
    g.close()


@pytest.fixture
def scale(full):
    """Clients and the rounds of each: few in every run, more with --full."""
    return lambda clients, rounds: {"clients": 500 if full and clients >= 50 else clients, "rounds": 5 * rounds if full else rounds}


def done(options):
    return options["clients"] * options["rounds"]


def test_slowloris(place, scale):
    options = scale(300, 2)
    seen = place.suffer("slowloris", 16 << 10, **options)
    assert seen["408"] == seen["ended"] == done(options), "each is told that its head is too slow"


def test_slow_bodies(place, scale):
    """A byte now and then is no silence, but less than 1 KiB/s after the first five seconds ends it."""
    options = scale(200, 1)
    seen = place.suffer("slow_body", 32 << 10, **options)
    assert seen["408"] == seen["ended"] == done(options)


def test_bodies_that_announce_much_and_bring_little(place, scale):
    """32 MiB announced is not 32 MiB taken; silence ends it."""
    options = scale(200, 1)
    seen = place.suffer("slow_body", 32 << 10, length=32 << 20, pause=5, **options)
    assert seen["408"] == seen["ended"] == done(options)


def test_slow_readers(place, provider, scale):
    """16 MiB each for 40 who read nothing: back-pressure holds the provider, and the write timeout ends the stream."""
    options = scale(40, 1)
    provider.script(model="fake-2", chunks=["x" * 16384] * 1000)
    cancelled = provider.cancelled
    seen = place.suffer("slow_reader", 1536 << 10, model="fake-2", **options)
    assert seen["asked"] == seen["reset"] == done(options), "each is ended by the gateway, and not as if it were whole"
    assert wait_for(lambda: provider.cancelled - cancelled == done(options)), "and so is the provider's work"


def test_reset_storm(place, scale):
    options = scale(50, 40)
    seen = place.suffer("reset_storm", 64 << 10, **options)
    assert seen["opened"] >= done(options)


def test_streams_left_with_a_reset(place, scale):
    options = scale(40, 25)
    seen = place.suffer("stream_resets", 256 << 10, **options)
    assert seen["begun"] >= done(options)


def test_head_bombs(place, scale):
    options = scale(50, 5)
    seen = place.suffer("head_bombs", 32 << 10, **options)
    fifth = done(options) // 5
    assert seen["200"] == fifth, "a field of 16,000 bytes is allowed"
    assert seen["400"] == fifth, "50,000 empty lines are not"
    assert 2 * fifth <= seen["431"] <= 3 * fifth, "nor is what is too large; one may see the end of its connection instead"
    assert set(seen) <= {"opened", "ended", "failed", "431", "400", "200"}


def test_pipelining_floods(place, scale):
    """Each is served in its turn, or cut when it sends too far ahead; who reads nothing costs a buffer, not 2,000 answers."""
    options = scale(20, 4)
    seen = place.suffer("pipelining", 512 << 10, **options)
    assert seen["200"] == 401 * done(options) // 4, "400 and one more fit"
    assert set(seen) <= {"opened", "ended", "reset", "failed", "200", "400"}


def test_half_open_tls(place, scale):
    options = scale(50, 20)
    seen = place.suffer("half_open_tls", 16 << 10, **options)
    assert seen["400"] == seen["ended"] == done(options)


def test_json_bombs(place, scale):
    """Half a megabyte of brackets, a million nulls, a hundred thousand keys: the body is held, nothing is built of it."""
    options = scale(8, 14)
    seen = place.suffer("json_bombs", 16 * MIB, **options)
    assert seen["200"] == done(options) // 7, "a long string is a long string"
    assert seen["400"] == done(options) // 7 * 6


def most_connections(place, name, **options):
    """The flood, and the most connections that the gateway had meanwhile."""
    most, is_over = [], threading.Event()
    sampler = threading.Thread(target=lambda: [most.append(place.gateway.metrics()["latenza_connections"]) for _ in iter(is_over.is_set, True)])
    sampler.start()
    try:
        seen = place.suffer(name, 4096, **options)
    finally:
        is_over.set()
        sampler.join()
    return seen, max(most)


def test_connect_flood_to_a_full_server(make_gateway, provider, full):
    """Idle connections make room for who asks something; who has connected and not asked yet may lose the place to another."""
    limits = LIMITS | {"connections": 100, "idle_timeout_ms": 60000}
    place = Place(make_gateway(provider=provider, config={"limits": limits, "workers": 2}), provider)
    seen, most = most_connections(place, "connect_flood", clients=600, patience=PATIENT, answers=1000 if full else 100,
                                  until={"ended": 20000 if full else 2000})
    assert 50 < most <= 100 + 4, "of the whole gateway, not of each worker; and those who ask for metrics"


def test_connect_flood_from_one_address(make_gateway, provider, full):
    limits = LIMITS | {"connections_per_address": 20, "idle_timeout_ms": 60000}
    place = Place(make_gateway(provider=provider, config={"limits": limits, "workers": 2}), provider)
    seen, most = most_connections(place, "connect_flood", clients=300, answers=1000 if full else 100, source="127.0.0.2",
                                  until={"ended": 20000 if full else 2000})
    assert 20 <= most <= 20 + 4, "those of the one address, the good client's, and those who ask for metrics"


def test_descriptors_run_out(make_gateway, provider):
    """Accepting pauses; who is connected is served on; when the idle ones have timed out everybody is."""
    place = Place(make_gateway(provider=provider, config={"limits": LIMITS, "workers": 2}), provider)
    g = place.gateway
    _, hard = resource.prlimit(g.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(g.process.pid, resource.RLIMIT_NOFILE, (descriptors(g) + 60, hard))
    kept = GoodClient(g, place.good)
    assert kept.ask_kept("before") is True
    with attack(g, "connect_flood", clients=300, seconds=5) as seen:
        assert wait_for(lambda: "net.accept_paused" in g.logs())
        for i in range(20):
            assert kept.ask_kept(f"meanwhile {i}") is True
        assert kept.again == 0
    kept.stop()
    resource.prlimit(g.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
    place.settle(0)
    after = GoodClient(g, place.good)
    assert after.ask_new("after") is True and after.ask_stream("after") is True
    assert g.metrics()["latenza_accept_paused_total"] >= 1 and seen["opened"] >= 60
