"""Disks that are full, read-only, broken, slow or take half a write: nothing is charged wrongly, the client hears the
truth, and all is well again without a restart when the disk is.

tools/bad_disk.c stands between the gateway and its data directory; with the right to mount, a small tmpfs is filled, too.

SPDX-License-Identifier: MIT
"""

import contextlib
import json
import os
import re
import subprocess
import threading
import time

import pytest
from harness.oracle import NANO_EUR_PER_INPUT
from harness.sse import Stream

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COST = 8500  # nano-EUR of one answer, see harness
BODY = {"model": "fake-1", "messages": [{"role": "user", "content": "Go"}]}


@pytest.fixture(scope="session")
def bad_disk(tmp_path_factory, build):
    library = tmp_path_factory.mktemp("bad_disk") / "bad_disk.so"
    subprocess.run([*os.environ.get("CC", "cc").split(), "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror",
                    "-D_LARGEFILE64_SOURCE", "-o", library, f"{TOP}/tools/bad_disk.c", "-ldl"], check=True)
    linked = subprocess.run(["ldd", build / "latenza"], capture_output=True, text=True).stdout
    first = re.search(r"/\S*libasan\S*", linked)  # which wants to be the first library
    return f"{first.group()} {library}" if first else str(library)


class Disk:
    """The disk under one gateway."""

    def __init__(self, folder, library):
        self.switch = folder / "switch"
        self.switch.write_text("oa")
        self.data = folder / "gateway0" / "data"
        self.env = {"LD_PRELOAD": library, "BAD_DISK": str(self.data), "BAD_DISK_SWITCH": str(self.switch)}

    def turn(self, how, which="a"):
        with open(self.switch, "r+") as f:  # the same file: it is mapped
            f.write(how + which)


@pytest.fixture
def disk(tmp_path, bad_disk):
    return Disk(tmp_path, bad_disk)


def until(what, seconds=120):
    """The seconds are for machines that do other things, too; who waits is let go at once."""
    end = time.monotonic() + seconds
    while not (result := what()):
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)
    return result


def readiness(gateway):
    status, _, body = gateway.get("/readyz")
    return status, json.loads(body).get("reason", "")


def check_books(gateway, charged):
    """charged: nano-EUR, one for each request that a provider was asked for."""
    check = gateway.json("db", "check")
    assert check["sound"] and check["open_reservations"] == 0 and check["spend_differs"] == 0, check
    traces = [json.loads(line) for line in gateway.run("traces", "export").stdout.splitlines()]
    assert sorted(t["cost_nano_eur"] for t in traces if t["cost_nano_eur"]) == sorted(charged)
    assert gateway.spent("load") == sum(charged)
    spent = gateway.metrics()['latenza_budget_spent_eur{key="load",period="month"}']
    assert round(spent * 1e9) == sum(charged)
    return traces


def asked(gateway, key, times=3):
    return [gateway.chat(key, text="Go")[0] for _ in range(times)]


def held_stream(gateway, provider, key):
    """A stream that waits for `go` before its last piece."""
    go = threading.Semaphore(0)
    provider.script(times=1, chunks=["one ", "two"], step=go, step_from=1)
    stream = Stream(gateway.port, key, BODY)
    reader = stream.events()
    while "one" not in next(reader):
        pass
    return stream, go


def refused_while_full(gateway, provider, key):
    """The ledger cannot be written: nobody is called, and the client may come again."""
    calls = provider.calls()
    for _ in range(3):
        status, head, body = gateway.chat(key, text="Go")
        assert status == 503 and body["error"]["code"] == "storage_full" and int(head["retry-after"]) > 0, body
        time.sleep(0.06)  # one of them is let through to see
    assert provider.calls() == calls
    until(lambda: readiness(gateway)[0] == 503)
    assert "spool" in readiness(gateway)[1]
    assert gateway.get("/healthz")[0] == 200
    assert gateway.metrics()["latenza_spool_failures_total"] > 0


def well_again(gateway, key):
    until(lambda: readiness(gateway)[0] == 200)
    assert asked(gateway, key) == [200] * 3


@pytest.mark.parametrize("which", ["s", "a"], ids=["spool", "all"])
@pytest.mark.parametrize("how", ["f", "s", "r", "e"], ids=["full", "short", "read-only", "broken"])
def test_a_ledger_that_cannot_be_written(make_gateway, provider, disk, how, which):
    gateway = make_gateway(provider=provider, env=disk.env)
    key = gateway.key("load", budget_monthly_eur=1000)
    assert asked(gateway, key) == [200] * 3
    stream, go = held_stream(gateway, provider, key)
    disk.turn(how, which)
    refused_while_full(gateway, provider, key)
    go.release()
    assert "[DONE]" not in stream.rest(), "acknowledged, and not written"
    disk.turn("o")
    well_again(gateway, key)
    traces = check_books(gateway, [COST] * 7)
    assert sum(t["status"] == 503 for t in traces) == 3
    gateway.kill()
    gateway.start()
    check_books(gateway, [COST] * 7)


def test_the_first_write_that_fails_is_a_settlement_and_its_trace_says_what_the_client_heard(make_gateway, provider, disk):
    gateway = make_gateway(provider=provider, env=disk.env)
    key = gateway.key("load", budget_monthly_eur=1000)
    gate, heard, calls = threading.Event(), [], provider.calls()
    provider.script(times=1, gate=gate)
    asker = threading.Thread(target=lambda: heard.append(gateway.chat(key, text="Go")))
    asker.start()
    until(lambda: provider.calls() > calls)
    stream, go = held_stream(gateway, provider, key)
    disk.turn("f", "s")
    gate.set()
    asker.join(30)
    go.release()
    assert "[DONE]" not in stream.rest(), "acknowledged, and not written"
    assert heard[0][0] == 503 and heard[0][2]["error"]["code"] == "storage_full", heard
    counted = gateway.metrics()
    disk.turn("o")
    until(lambda: readiness(gateway)[0] == 200)
    traces = {t["id"]: t for t in check_books(gateway, [COST] * 2)}
    whole = traces.pop(heard[0][1]["x-request-id"])
    assert (whole["status"], whole["code"], whole["cost_nano_eur"]) == (503, "storage_full", COST)
    (streamed,) = traces.values()  # its 200 was sent already
    assert (streamed["status"], streamed["code"]) == (200, "storage_full")
    assert counted['latenza_requests_total{outcome="storage_full"}'] == 2, counted


@pytest.mark.parametrize("how", ["f", "s", "r", "e"], ids=["full", "short", "read-only", "broken"])
def test_a_database_that_cannot_be_written_is_nobodys_trouble(make_gateway, provider, disk, how):
    """The spool keeps what comes."""
    gateway = make_gateway(provider=provider, env=disk.env)
    key = gateway.key("load", budget_monthly_eur=1000)
    assert asked(gateway, key) == [200] * 3
    check_books(gateway, [COST] * 3)
    stream, go = held_stream(gateway, provider, key)
    disk.turn(how, "d")
    go.release()
    assert stream.rest()[-1] == "[DONE]"
    if how == "f" or how == "s":  # a full disk takes what it has room for, in the log's old pages
        until(lambda: asked(gateway, key, 1) == [200] and readiness(gateway)[0] == 503)
    else:
        assert asked(gateway, key) == [200] * 3
        until(lambda: readiness(gateway)[0] == 503)
    assert "latenza.db" in readiness(gateway)[1]
    assert gateway.metrics()["latenza_db_failures_total"] > 0
    disk.turn("o")
    well_again(gateway, key)
    check_books(gateway, [COST] * provider.calls())
    disk.turn(how, "d")
    assert asked(gateway, key) == [200] * 3
    gateway.kill()  # what the database does not have is in the spool
    disk.turn("o")
    gateway.start()
    check_books(gateway, [COST] * provider.calls())


def test_a_slow_disk_is_slow_and_nothing_else(make_gateway, provider, disk):
    gateway = make_gateway(provider=provider, env=disk.env)
    key = gateway.key("load", budget_monthly_eur=1000)
    disk.turn("l")
    assert asked(gateway, key, 10) == [200] * 10
    assert Stream(gateway.port, key, BODY).rest()[-1] == "[DONE]"
    assert readiness(gateway)[0] == 200
    gateway.kill()
    gateway.start()
    disk.turn("o")
    check_books(gateway, [COST] * 11)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_ended_while_the_disk_is_full_what_could_not_be_written_is_uncertain(make_gateway, provider, disk, end):
    gateway = make_gateway(provider=provider, env=disk.env)
    key = gateway.key("load", budget_monthly_eur=1000)
    assert asked(gateway, key) == [200] * 3
    stream, go = held_stream(gateway, provider, key)
    disk.turn("f")
    refused_while_full(gateway, provider, key)
    go.release()
    assert "[DONE]" not in stream.rest()
    if end == "stop":
        assert gateway.stop() == 0
    else:
        gateway.kill()
    disk.turn("o")
    gateway.start()
    owed = (len(json.dumps(BODY["messages"])) + 3) // 4 * NANO_EUR_PER_INPUT
    traces = check_books(gateway, [COST] * 3 + [owed])
    assert sum("interrupted" in t["flags"] for t in traces) == 1
    assert asked(gateway, key) == [200] * 3


def test_a_start_on_a_full_disk_says_so_and_harms_nothing(make_gateway, provider, disk):
    gateway = make_gateway(provider=provider, env=disk.env)
    key = gateway.key("load", budget_monthly_eur=1000)
    assert asked(gateway, key) == [200] * 3
    gateway.kill()
    disk.turn("f")
    gateway.start(wait=False)
    assert gateway.process.wait(30) != 0
    assert "No space left" in gateway.logs()
    disk.turn("o")
    gateway.start()
    check_books(gateway, [COST] * 3)


# ---- a real file system ----

@pytest.fixture
def small(tmp_path):
    """A tmpfs of 4 MB."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", place], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(place):
    """To the last byte, also what the log's growing leaves."""
    with open(place / "filler", "ab", buffering=0) as f, contextlib.suppress(OSError):
        for size in (1 << 16, 4096, 1):
            with contextlib.suppress(OSError):
                while f.write(b"x" * size):
                    pass


def test_a_small_file_system_is_full_and_has_room_again(make_gateway, provider, small):
    gateway = make_gateway(provider=provider, config={"data": str(small / "data")})
    gateway.data = small / "data"
    key = gateway.key("load", budget_monthly_eur=1000)
    for _ in range(2):
        assert asked(gateway, key) == [200] * 3
        fill(small)

        def is_refused():
            calls = provider.calls()
            status, _, body = gateway.chat(key, text="Go" * 250, user="u" * 200)
            assert status == 200 or body["error"]["code"] == "storage_full"
            # the last one whose reservation still fitted was called, and could not be settled
            return status == 503 and provider.calls() == calls
        until(is_refused)
        until(lambda: readiness(gateway)[0] == 503)
        (small / "filler").unlink()
        well_again(gateway, key)
        traces = check_books(gateway, [COST] * provider.calls())
        assert any(t["status"] == 503 for t in traces)
    gateway.kill()
    gateway.start()
    check_books(gateway, [COST] * provider.calls())
