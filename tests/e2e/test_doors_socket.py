"""The control socket gets garbage: one answer that names it, nothing changed, and the gateway goes on serving.

SPDX-License-Identifier: MIT
"""

import json
import os
import pathlib
import socket
import time

import pytest
from harness.doors import Doors, read_answer
from harness.provider import Provider

TEXT, COUNT, SWITCH, MAP = "text", 5, True, {}
TRACES = {**dict.fromkeys(["key", "organization", "assistant", "model", "provider", "user", "session", "code", "metadata"], TEXT), **dict.fromkeys(
    ["since_unix_ms", "until_unix_ms", "after", "limit"], COUNT), "oldest_first": SWITCH, "errors": SWITCH}
# Every command, its arguments, and which of them must be there.
COMMANDS = {
    "key.create": ({"id": TEXT, "settings": MAP, "test": SWITCH}, ["settings"]),
    "key.import": ({"id": TEXT, "settings": MAP, "test": SWITCH, "sha256": TEXT}, ["settings", "sha256"]),
    "key.list": ({}, []), "key.show": ({"id": TEXT}, ["id"]), "key.roll": ({"id": TEXT, "keep_old_ms": COUNT}, ["id"]),
    "key.disable": ({"id": TEXT, "disabled": SWITCH}, ["id"]), "key.rm": ({"id": TEXT}, ["id"]), "traces.list": (TRACES, []), "traces.show": ({"id": TEXT}, ["id"]),
    "traces.erase": ({"user": TEXT}, ["user"]), "model.list": ({}, []), "model.show": ({"model": TEXT}, ["model"]),
    "model.cost": ({"model": TEXT, "provider": TEXT, "upstream_model": TEXT, "tokens": MAP}, ["model", "tokens"]), "provider.list": ({}, []),
    "config.show": ({}, []), "config.diff": ({}, []), "reload": ({}, []), "status": ({}, []), "db.backup": ({"to": TEXT}, ["to"]), "db.check": ({}, []),
}
KINDS = [None, True, 5, -1, 1.5, "x", [], {}, 2**63 - 1, -2**63]


def keys(doors):
    """As they are set, not as they are used."""
    return [{k: v for k, v in key.items() if k not in ("last_used_at", "budgets")} for key in doors.json("key", "list")]


@pytest.fixture(scope="module")
def doors(build, tmp_path_factory):
    with Provider() as provider:
        g = Doors(build, tmp_path_factory.mktemp("socket") / "g", provider).start()
        g.kept = g.key("kept", budget_monthly_eur=5)
        g.before, g.files = keys(g), g.descriptors()
        try:
            yield g
            assert g.chat(g.kept)[0] == 200
            end = time.monotonic() + 5
            while g.descriptors() > g.files + 8:
                assert time.monotonic() < end, (g.descriptors(), g.files)
                time.sleep(0.05)
            g.check_nothing_leaks()
        finally:
            g.close()


@pytest.fixture(autouse=True)
def nothing_has_changed(doors):
    yield
    assert keys(doors) == doors.before


def connect(doors):
    s = socket.socket(socket.AF_UNIX)
    folder = os.open(doors.data, os.O_PATH)  # a unix address holds 107 bytes only
    try:
        s.connect(f"/proc/self/fd/{folder}/latenza.sock")
    finally:
        os.close(folder)
    s.settimeout(20)
    return s


def send(doors, data):
    """Every answer to raw bytes."""
    answers = []
    with connect(doors) as s, s.makefile("rb") as file:
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while (answer := read_answer(file)) is not None:
                answers.append(answer)
        except OSError:
            pass
    assert doors.process.poll() is None, doors.logs()
    return answers


def request(name, body):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"POST /command/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        name.encode(), len(body), body)


def ask(doors, name, args):
    answers = send(doors, request(name, args))
    assert len(answers) == 1 and answers[0].status == 200, answers
    doors.bodies.append(answers[0].body)
    out = json.loads(answers[0].body)
    assert set(out) <= {"status", "error", "result"} and (out["status"] == "ok") == ("error" not in out), out
    return out


@pytest.mark.parametrize("name", COMMANDS)
def test_arguments_that_are_no_object_are_refused(doors, name):
    for args in (None, True, 5, "x", [], [{}], b"{", b"nonsense", b"\xff\xfe", b"{}{}", b'{"id":"a","id":"b"}', b"\0", b"[" * 5000, b'{"a":' * 500):
        out = ask(doors, name, args)
        assert out["status"] in ("invalid", "limit reached") and out["error"], (args, out)


@pytest.mark.parametrize("name", COMMANDS)
def test_an_argument_of_the_wrong_kind_unknown_or_missing_is_named(doors, name):
    args, needed = COMMANDS[name]
    for missing in needed:
        out = ask(doors, name, {k: v for k, v in args.items() if k != missing})
        assert out["status"] == "invalid" and f'"{missing}"' in out["error"], out
    assert '"colour"' in ask(doors, name, {**args, "colour": 1})["error"]
    for arg, right in args.items():
        for value in KINDS:
            if type(value) is type(right):
                continue
            out = ask(doors, name, {**{k: args[k] for k in needed}, arg: value})
            assert out["status"] == "invalid" and f'"{arg}"' in out["error"], (arg, value, out)


@pytest.mark.parametrize("name, args", [
    *[(name, {"id": id}) for name in ("key.show", "key.roll", "key.disable", "key.rm", "traces.show") for id in ("", "nobody", "x" * 5000, "\u0000", "kept\u0000", "../", "'", "\ud800")],
    ("key.create", {"settings": {}}), ("key.create", {"settings": {"name": 5}}), ("key.create", {"settings": {"name": "a", "nam": 1}}), ("key.create", {"id": "", "settings": {"name": "a"}}),
    ("key.create", {"id": "UPPER", "settings": {"name": "a"}}), ("key.create", {"id": "kept", "settings": {"name": "a"}}), ("key.create", {"id": "x" * 5000, "settings": {"name": "a"}}),
    ("key.create", {"id": "a/b", "settings": {"name": "a"}}), ("key.create", {"settings": {"name": "a", "rate_limit": -1}}), ("key.create", {"settings": {"name": "a\u0000b"}}),
    ("key.import", {"settings": {"name": "a"}, "sha256": ""}), ("key.import", {"settings": {"name": "a"}, "sha256": "g" * 64}), ("key.import", {"settings": {"name": "a"}, "sha256": "ab" * 33}),
    ("key.roll", {"id": "kept", "keep_old_ms": -1}), ("key.roll", {"id": "kept", "keep_old_ms": 2**62}),
    ("traces.list", {"limit": 0}), ("traces.list", {"limit": -1}), ("traces.list", {"limit": 2**62}), ("traces.list", {"metadata": "novalue\u0000"}),
    ("traces.show", {"id": "f" * 33}), ("traces.show", {"id": "%"}), ("model.show", {"model": ""}), ("model.show", {"model": "x" * 5000}),
    *[("model.cost", {"model": "fake-1", "tokens": {"output": value}}) for value in (-1, 1.5, "1", None, 2**62)],
    ("db.backup", {"to": ""}), ("db.backup", {"to": "relative"}), ("db.backup", {"to": "/no/such/folder/x"}), ("db.backup", {"to": "/dev/null"}), ("db.backup", {"to": "/"}),
    ("db.backup", {"to": "/" + "x" * 6000}), ("db.backup", {"to": "/tmp\u0000x"}), ("nothing", {}), ("key.lisst", {}), ("", {}), ("key", {}), ("key.list/x", {})],
    ids=lambda v: v if isinstance(v, str) else repr(v)[:50])
def test_values_that_cannot_be_are_refused(doors, name, args):
    out = ask(doors, name, args)
    assert out["status"] != "ok" and out["error"] and "\u0000" not in out["error"], out


def test_a_backup_does_not_replace_what_is_there(doors):
    mine = doors.folder / "mine"
    mine.write_text("mine")
    assert ask(doors, "db.backup", {"to": str(mine)})["status"] != "ok"
    assert ask(doors, "db.backup", {"to": str(doors.data / "latenza.db")})["status"] != "ok"
    assert mine.read_text() == "mine" and not pathlib.Path(f"{mine}.keyring").exists()


@pytest.mark.parametrize("data", [b"", b"\n", b"key.list\n", b"\x00" * 1000, b"{\"command\":\"key.list\"}\n", b"GET /", b"GET /command/key.list HTTP/1.1\r\nHost: x\r\n\r\n",
                                  b"DELETE /command/key.rm HTTP/1.1\r\nHost: x\r\n\r\n", b"A" * 1000000, b"POST /command/key.list HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
                                  b"POST /command/key.list HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{", b"POST /command/key.list HTTP/1.1\r\n\r\n",
                                  b"POST /command/../key.list HTTP/1.1\r\nHost: x\r\n\r\n", request("key.list", b" " * (2 << 20)),
                                  b"POST /command/key.list HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", request("key.list", {}) * 2000, os.urandom(10000)],
                         ids=range(17))
def test_bytes_that_are_no_request_do_no_harm(doors, data):
    for answer in send(doors, data):
        assert answer.status in (200, 400, 405, 408, 413, 431, 501, 505)
        if answer.status == 200 and not data.startswith(b"POST /command/key.list HTTP/1.1\r\nHost: x\r\nConnection: close"):
            assert json.loads(answer.body)["status"] != "ok"
    assert ask(doors, "status", {})["status"] == "ok"


def test_many_who_say_nothing_do_not_lock_others_out(doors):
    held = [connect(doors) for _ in range(60)]
    try:
        assert ask(doors, "status", {})["status"] == "ok", "who is idle makes room"
        for s in held[-20:]:
            s.sendall(b"POST /comm")
        began = time.monotonic()
        assert doors.chat(doors.kept)[0] == 200 and time.monotonic() - began < 2, "requests do not wait for commands"
    finally:
        for s in held:
            s.close()
    assert ask(doors, "status", {})["status"] == "ok"


def test_who_leaves_before_the_answer_does_no_harm(doors):
    for _ in range(50):
        with connect(doors) as s:
            s.sendall(request("traces.list", {}))
    assert ask(doors, "status", {})["status"] == "ok"
