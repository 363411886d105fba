"""The command line and the data directory get garbage: the exit code is right, a sentence says what to do, and nothing
has changed.

SPDX-License-Identifier: MIT
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess

import pytest
from harness.gateway import free_port

CODES = {0, 1, 2, 3, 78}
# What takes a data directory, with right operands.
STORED = [["key", "list"], ["key", "show", "kept"], ["key", "roll", "kept"], ["key", "disable", "kept"], ["key", "rm", "kept"],
          ["key", "create", "--name", "More"], ["key", "import", "--name", "More", "--sha256", "ab" * 32], ["traces", "list"], ["traces", "show", "0123"],
          ["traces", "export"], ["traces", "erase", "--user", "x", "--yes"], ["db", "check"], ["db", "backup", "OUT"]]


def environment(**more):
    return {**{k: v for k, v in os.environ.items() if not k.startswith(("LATENZA_", "OPENAI_"))}, "NO_COLOR": "1", **more}


@pytest.fixture
def run(build, tmp_path):
    def run(*words, stdin=subprocess.DEVNULL, timeout=30, **more):
        done = subprocess.run([build / "latenza", *map(str, words)], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                              cwd=tmp_path, env=environment(HOME=str(tmp_path)), **more)
        done.out, done.err = done.stdout.decode(), done.stderr.decode()
        assert done.returncode in CODES, (words, done.returncode, done.err)
        assert "Sanitizer" not in done.err and "runtime error" not in done.err, done.err
        return done
    return run


def refused(done, *codes):
    """One of the exit codes, and a sentence that is one."""
    assert done.returncode in codes, (done.args, done.returncode, done.out, done.err)
    assert done.err.strip() and "\x1b" not in done.err and len(done.err) < 4000, done.err
    assert "Assertion" not in done.err and "(null)" not in done.err
    return done.err


# ---- arguments ----

def rows_of_help(run):
    """Every command: its words, its operands, its options as (name, wants a value)."""
    out = []
    for line in run("--help").out.split("Commands:")[1].splitlines():
        found = re.match(r"  ([a-z]+(?: [a-z]+)?)", line)
        if not found:
            continue
        words = found.group(1).split()
        text = run(*words, "--help").out
        operands = text.splitlines()[0].split(" ".join(words), 1)[1].replace("[OPTION]...", "").split()
        options = [(m[1], bool(m[2])) for m in re.finditer(r"^ .*?--([a-z0-9-]+)( \S+)?", text, re.M)]
        out.append((words, operands, options))
    return out


NOT_HERE = {("serve",), ("demo",), ("init",), ("traces", "tail")}  # these would start something


def test_every_command_with_operands_too_few_and_too_many(run):
    for words, operands, _ in rows_of_help(run):
        needed = len(operands) if operands and not operands[0].startswith("[") else 0
        most = sum(1 for o in re.findall(r"\w+", " ".join(operands)) if o.isupper()) if operands else 0
        if needed:
            assert words[0] in refused(run(*words), 2)
        if any("..." in o for o in operands):
            most = 64  # as many as a command takes at all
        refused(run(*words, *["x"] * (max(most, 2) + 1)), 2)


def test_every_option_with_no_value_a_value_too_many_and_garbage(run):
    garbage = ["", "-1", "x" * 10000, "\x1b[31m%s%n", "9" * 30, "\udcff"]
    seen = {"help"}
    for words, operands, options in rows_of_help(run):
        for name, has_value in options:
            if name in seen and tuple(words) not in NOT_HERE:
                continue  # the same row of the table
            seen.add(name)
            if has_value:
                assert name in refused(run(*words, f"--{name}"), 2)
            else:
                assert name in refused(run(*words, f"--{name}=x"), 2)
            if not has_value or tuple(words) in NOT_HERE or name in ("config", "data", "to", "file", "secrets", "listen", "plugin"):
                continue
            for value in garbage:
                done = run(*words, *["x" for o in operands if not operands[0].startswith("[")], f"--{name}={value}", "--data", "/dev/null/x")
                if words == ["traces", "erase"] and done.out:  # says what it would do, and does not
                    assert done.returncode == 2
                else:
                    refused(done, 1, 2, 78)


@pytest.mark.parametrize("words", [["--"], ["-"], ["--=x"], ["---"], ["-zzz"], [""], ["key", ""], ["key", "list", "--"], ["key", "list", "-"], ["\x1b[2J"], ["x" * 50000],
                                   ["help", "nothing"], ["key", "list", "-o"], ["key", "list", "-o", "json", "-o", "yaml"], ["key", "list", "--output"], ["-c"],
                                   ["key list"], ["KEY", "LIST"], ["key", "list", "--help=yes"], ["\udcff\udcfe"]])
def test_words_that_are_none(run, words):
    done = run(*words, "--data", "/dev/null/x") if words[-1:] not in (["-o"], ["--output"], ["-c"]) else run(*words)
    refused(done, 1, 2)


@pytest.mark.parametrize("words", [
    ["check", "a", "-c", "b"], ["key", "import"], 
    ["key", "create", "-f", "/no/such"], ["key", "create", "-f", "/dev/null"], ["key", "create", "-f", "/"], ["key", "import", "--secrets", "/no/such"],
    ["traces", "list", "--limit", "0"], ["traces", "list", "--limit", "-5"], ["traces", "list", "--since", "-5m"], ["completion", "tcsh"],
    ["plugin", "check", "/dev/null"], ["plugin", "check", "/"], ["plugin", "info", "../../x"], ["config", "diff", "/no/such", "/no/such"], ["config", "diff", "/dev/null"],
    ["traces", "export", "--to", "/no/such/file"], ["traces", "erase"], ["provider", "test", "nobody"], ["model", "show", ""], ["reload"], ["init", "/dev/null/x"],
    ["check", "/no/such"], ["config", "show", "-c", "/no/such"], ["serve", "-c", "/no/such"], ["serve", "--listen", "nowhere"], ["demo", "--listen", "nowhere"],
    ["serve", "--plugin", "/no/such.so"], ["demo", "--plugin", "/dev/null"], ["key", "roll", "x", "--keep-old", "forever"]])
def test_a_wrong_use_says_what_is_wrong(run, tmp_path, words):
    before = sorted(p.name for p in tmp_path.iterdir())
    more = [] if words[0] in ("check", "config", "init", "completion", "plugin", "serve", "demo") else ["--data", tmp_path / "none"]
    done = run(*words, *more)
    if words[:2] == ["plugin", "check"]:  # its verdict is its result
        assert done.returncode == 1 and "FAIL" in done.out
    else:
        refused(done, 1, 2, 78)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


# ---- streams that are closed, places that cannot be written ----

READING = [["--help"], ["version"], ["config", "schema"], ["config", "show"], ["model", "list"], ["provider", "list"], ["plugin", "list"], ["plugin", "info", "echo"],
           ["completion", "bash"], ["doctor"], ["key", "list"], ["key", "list", "-o", "json"], ["traces", "list"], ["traces", "export"], ["db", "check"], ["check"]]


def test_output_that_goes_nowhere_is_a_failure_and_no_crash(gateway):
    gateway.chat(gateway.key("kept"))
    for words in READING:
        line = " ".join([str(gateway.program), *words, *([] if words == ["--help"] else ["-c", str(gateway.config_path)])])
        for tail, codes in ((">&-", (1,)), (">/dev/full", (1,)), ("2>&-", (0, 1, 3)), ("<&- >&- 2>&-", (1,)), ("| true", None)):
            done = subprocess.run(["bash", "-c", f"{line} {tail}"], capture_output=True, text=True, timeout=30, env=gateway.env)
            assert "Sanitizer" not in done.stderr and done.returncode < 128, (words, tail, done)
            # `true` may read nothing of a short answer, or all of it: only a signal would be wrong
            assert codes is None or done.returncode in codes, (words, tail, done)


def test_ids_that_there_are_not(gateway):
    gateway.key("kept")
    for id in ("nobody", "", "x" * 10000, "../kept", "KEPT", "kept ", "%", "'; DROP TABLE key; --", "é"):
        for verb in ("show", "roll", "disable", "rm"):
            done = gateway.run("key", verb, "--", id, check=False)
            assert done.returncode in (1, 2) and done.stderr.strip(), (verb, id, done)
    for id in ("0123", "", "x", "*", "f" * 32, "f" * 33, "%", "_", "' OR 1=1 --"):
        done = gateway.run("traces", "show", "--", id, check=False)
        assert done.returncode in (1, 2) and done.stderr.strip(), (id, done)
    assert [k["id"] for k in gateway.json("key", "list")] == ["kept"]


@pytest.mark.parametrize("settings", [
    [], "x", None, 5, {}, {"name": 5}, {"name": ""}, {"name": "x" * 300}, {"name": "a", "nam": 1}, {"name": "a", "rate_limit": -1}, {"name": "a", "rate_limit": 1.5},
    {"name": "a", "rate_limit": "5"}, {"name": "a", "rate_limit": 10**18}, {"name": "a", "budget_monthly_eur": -1}, {"name": "a", "budget_monthly_eur": "x"},
    {"name": "a", "budget_monthly_eur": 1e300}, {"name": "a", "model_allowlist": "gpt"}, {"name": "a", "model_allowlist": [5]}, {"name": "a", "expires_at": "soon"},
    {"name": "a", "expires_at": "2001-01-01T99:00:00Z"}, {"name": "a", "budgets": {}}, {"name": "a", "budgets": [{}]}, {"name": "a", "budgets": [{"period": "year", "eur": 1}]},
    {"name": "a", "metadata": []}, {"name": "a", "metadata": {"k": {}}}, {"name": "a", "allowed_ips": ["x"]}, {"name": "a", "log_content": "all"},
    {"name": "a", "routing_strategy": "nearest"}, {"name": "a", "organization": "acme"}, {"name": "a", "guardrails": ["pii"]}, {"name": "a", "secret": "sk-x"},
    {"name": "a", "budget_alert_pct": 101}, {"name": "a", "max_in_flight": [1]}, '{"name":"a","name":"b"}', '{"name":"a"', "\0", "[" * 100000, "x" * 2_000_000])
def test_a_key_that_cannot_be_is_named_and_not_made(gateway_of_module, settings):
    gateway = gateway_of_module
    path = gateway.folder / "key.json"
    path.write_text(settings if isinstance(settings, str) and len(settings) > 1 else json.dumps(settings))
    done = gateway.run("key", "create", "-f", path, check=False)
    assert done.returncode in (1, 2) and done.stderr.strip() and done.stdout == "", done
    if isinstance(settings, dict) and len(settings) > 1:
        assert list(settings)[1] in done.stderr, done.stderr
    assert gateway.json("key", "list") == []


@pytest.fixture(scope="module")
def gateway_of_module(build, tmp_path_factory):
    from harness.gateway import Gateway
    g = Gateway(build, tmp_path_factory.mktemp("command") / "g").start()
    yield g
    g.close()


# ---- the data directory ----

@pytest.fixture(scope="module")
def kept(build, tmp_path_factory):
    """A data directory with a key and its configuration, made once; tests spoil copies."""
    folder = tmp_path_factory.mktemp("kept")
    config = {"listen": f"127.0.0.1:{free_port()}", "data": str(folder / "data"), "providers": {"echo": {"plugin": "echo"}}}
    (folder / "latenza.yaml").write_text(json.dumps(config))
    subprocess.run([build / "latenza", "key", "create", "--name", "Kept", "--id", "kept", "-c", folder / "latenza.yaml"], check=True, env=environment(),
                   capture_output=True)
    return folder / "data"


@pytest.fixture
def data(kept, tmp_path):
    shutil.copytree(kept, tmp_path / "data")
    os.chmod(tmp_path / "data", 0o700)
    (tmp_path / "latenza.yaml").write_text(json.dumps({"listen": f"127.0.0.1:{free_port()}", "data": str(tmp_path / "data"), "providers": {"echo": {"plugin": "echo"}}}))
    return tmp_path / "data"


def picture(folder):
    """What a folder holds; the lock's text, the count of starts and SQLite's side files say nothing."""
    out = {}
    for path in sorted(folder.rglob("*")):
        if path.name not in ("latenza.lock", "latenza.db-shm", "latenza.db-wal", "boot"):
            out[str(path)] = (path.lstat().st_mode, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
    return out


def sql(data, text):
    with sqlite3.connect(data / "latenza.db") as db:
        db.execute(text)
    db.close()


def foreign(data):
    (data / "latenza.db").unlink()
    for side in ("latenza.db-wal", "latenza.db-shm"):
        (data / side).unlink(missing_ok=True)
    sql(data, "CREATE TABLE mine (x)")


def overwritten(data, at, what):
    with open(data / "latenza.db", "r+b") as f:
        f.seek(at)
        f.write(what)


def version(data):
    db = sqlite3.connect(data / "latenza.db")
    try:
        return db.execute("PRAGMA user_version").fetchone()[0]
    finally:
        db.close()


SPOILED = {
    "a database of noise": (lambda d: (d / "latenza.db").write_bytes(os.urandom(50000)), "latenza.db"),
    "a database of zeros": (lambda d: (d / "latenza.db").write_bytes(bytes(8192)), "latenza.db"),
    "a text for a database": (lambda d: (d / "latenza.db").write_text("hello " * 1000), "latenza.db"),
    "a cut database": (lambda d: os.truncate(d / "latenza.db", 5000), "latenza.db"),
    "a newer database": (lambda d: sql(d, f"PRAGMA user_version = {version(d) + 1}"), "newer"),
    "a database from before all": (lambda d: sql(d, "PRAGMA user_version = -7"), "latenza.db"),
    "another program's database": (foreign, "latenza.db"),
    "another application's id": (lambda d: sql(d, "PRAGMA application_id = 1"), "latenza.db"),
    "a folder for a database": (lambda d: ((d / "latenza.db").unlink(), (d / "latenza.db").mkdir()), "latenza.db"),
    "a dangling link for a database": (lambda d: ((d / "latenza.db").unlink(), (d / "latenza.db").symlink_to("/no/such/dir/x.db")), "latenza.db"),
    "a table that is missing": (lambda d: sql(d, "DROP TABLE virtual_key"), "latenza.db"),
    "an empty keyring": (lambda d: (d / "keyring").write_bytes(b""), "keyring"),
    "a cut keyring": (lambda d: os.truncate(d / "keyring", 20), "keyring"),
    "a keyring with a bit flipped": (lambda d: (d / "keyring").write_bytes(bytes([b ^ (i == 30) for i, b in enumerate((d / "keyring").read_bytes())])), "keyring"),
    "a keyring too long": (lambda d: (d / "keyring").write_bytes((d / "keyring").read_bytes() * 2), "keyring"),
    "a keyring that others read": (lambda d: os.chmod(d / "keyring", 0o644), "keyring"),
    "no keyring": (lambda d: (d / "keyring").unlink(), "keyring"),
    "a folder for a keyring": (lambda d: ((d / "keyring").unlink(), (d / "keyring").mkdir()), "keyring"),
    "a folder for a lock": (lambda d: ((d / "latenza.lock").unlink(missing_ok=True), (d / "latenza.lock").mkdir()), "lock"),
    "a folder that others write to": (lambda d: os.chmod(d, 0o777), "data"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_data_directory_is_refused_with_a_sentence_and_left_alone(run, data, name):
    spoil, named = SPOILED[name]
    spoil(data)
    before = picture(data)
    config = data.parent / "latenza.yaml"
    for words in (["key", "list"], ["key", "create", "--name", "More"], ["key", "rm", "kept"], ["traces", "list"], ["db", "check"], ["serve"]):
        if name == "a table that is missing" and words[0] in ("traces", "serve"):
            continue  # they need, or write, other tables first
        said = refused(run(*words, "-c", config), 1, 78)
        assert named in said, (words, said)
        after = picture(data)
        assert after == before, (words, {k for k in before.keys() | after.keys() if before.get(k) != after.get(k)})


@pytest.mark.parametrize("kind", ["a file", "missing", "under a file", "too long", "a device"])
def test_a_data_directory_that_is_none(run, tmp_path, kind):
    (tmp_path / "file").write_text("mine")
    where = {"a file": tmp_path / "file", "missing": tmp_path / "none", "under a file": tmp_path / "file/x", "too long": "/" + "x" * 5000, "a device": "/dev/null"}[kind]
    for words in STORED:
        if kind == "missing" and words[0] == "key" and words[1] in ("create", "import"):
            continue  # these make it
        said = refused(run(*[tmp_path / "out" if w == "OUT" else w for w in words], "--data", where), 1, 2, 78)
        assert str(where)[:100] in said or "too long" in said, said
    (tmp_path / "latenza.yaml").write_text(json.dumps({"data": str(where), "listen": f"127.0.0.1:{free_port()}", "providers": {"echo": {"plugin": "echo"}}}))
    if kind != "missing":
        refused(run("serve", "-c", tmp_path / "latenza.yaml"), 1, 78)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_lock_that_is_held_names_its_holder(run, data):
    with open(data / "latenza.lock", "a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = picture(data)
        for words in (["key", "list"], ["key", "create", "--name", "More"], ["serve"]):
            said = refused(run(*words, "-c", data.parent / "latenza.yaml"), 1)
            assert str(data) in said
        assert picture(data) == before


def test_a_stale_socket_does_not_stand_in_the_way(run, data):
    config = data.parent / "latenza.yaml"
    for make in (lambda p: p.write_text(""), lambda p: socket.socket(socket.AF_UNIX).bind(os.path.relpath(p, data.parent))):
        path = data / "latenza.sock"
        path.unlink(missing_ok=True)
        cwd = os.getcwd()
        os.chdir(data.parent)
        try:
            make(path)
        finally:
            os.chdir(cwd)
        done = run("key", "list", "-o", "json", "-c", config)
        assert done.returncode == 0 and [k["id"] for k in json.loads(done.out)] == ["kept"], done.err


def test_a_spool_of_garbage_stops_nothing_or_is_said(run, build, data):
    spool = data / "spool"
    spool.mkdir(exist_ok=True)
    (spool / "note.txt").write_text("mine")
    (spool / "folder").mkdir()
    (spool / "00000000000000000001-0.seg").write_bytes(os.urandom(5000))
    done = run("key", "list", "-o", "json", "-c", data.parent / "latenza.yaml")
    assert done.returncode in (0, 1)
    assert (spool / "note.txt").read_text() == "mine"


@pytest.mark.skipif(os.getuid() != 0, reason="another user is needed")
def test_what_may_not_be_read_is_said(build, data):
    os.chmod(data.parent, 0o755)
    for parent in data.parents:
        if os.stat(parent).st_uid == 0 and str(parent).startswith("/tmp/"):
            os.chmod(parent, 0o755)
    if subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "test", "-x", build / "latenza"]).returncode != 0:
        pytest.skip("the build cannot be reached by another user")
    before = picture(data)
    for words in (["key", "list"], ["traces", "list"], ["key", "create", "--name", "x"], ["serve"]):
        done = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", build / "latenza", *words, "-c", data.parent / "latenza.yaml"], capture_output=True, text=True,
                              env=environment(), timeout=30)
        assert done.returncode in (1, 78) and "ermission denied" in done.stderr and str(data) in done.stderr, done
    os.chmod(data.parent / "latenza.yaml", 0o600)
    done = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", build / "latenza", "check", data.parent / "latenza.yaml"], capture_output=True, text=True,
                          env=environment(), timeout=30)
    assert done.returncode == 78 and "ermission denied" in done.stderr
    assert picture(data) == before
