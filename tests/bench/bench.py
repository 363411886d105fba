"""The machinery of the benchmarks: the mock, the load, HAProxy, a pinned gateway, and how work is counted.

SPDX-License-Identifier: MIT
"""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness.gateway import Gateway, free_port  # noqa: E402

SECRET = "sk-bench"  # of the key that every request carries
SHA256 = hashlib.sha256(SECRET.encode()).hexdigest()
TICK = os.sysconf("SC_CLK_TCK")
BREAKER_FAILURES = 5
INTERVAL_US = 10000  # between the events of a paced stream
MODEL = {"context_window": 200000, "price_input_per_mtok": 0.15, "price_output_per_mtok": 0.6}

HAPROXY = """global
  maxconn 9900
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  option http-keep-alive
  option http-no-delay
  http-reuse always
"""


def tool(build, name):
    """Compiles mock.c or load.c beside the gateway, when the source is newer."""
    out, source = pathlib.Path(build) / "bench" / name, HERE / f"{name}.c"
    if not out.exists() or out.stat().st_mtime < source.stat().st_mtime:
        out.parent.mkdir(exist_ok=True)
        subprocess.run([*os.environ.get("CC", "cc").split(), "-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-o", out, source],
                       check=True)
    return out


def pinned(cpu, argv):
    """On two processors and more, the proxies have one to themselves, and mock and load share another."""
    return ["taskset", "-c", str(cpu), *map(str, argv)] if os.cpu_count() > 1 else list(map(str, argv))


def cpu_s(pid):
    """Seconds of processor time of all the process's threads."""
    f = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / TICK


def rss_kb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1))


class Mock:
    def __init__(self, build, *options):
        self.process = subprocess.Popen(pinned(0, [tool(build, "mock"), *options]), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class HAProxy:
    """Two front doors: to the mock that answers at once, and to the paced one."""

    def __init__(self, folder, mocks):
        self.ports = [free_port() for _ in mocks]
        text = HAPROXY
        for i, (port, mock) in enumerate(zip(self.ports, mocks)):
            text += (f"frontend f{i}\n  bind 127.0.0.1:{port}\n  default_backend b{i}\n"
                     f"backend b{i}\n  server s 127.0.0.1:{mock.port} pool-max-conn -1\n")
        file = pathlib.Path(folder) / "haproxy.cfg"
        file.write_text(text)
        program = shutil.which("haproxy") or "/usr/sbin/haproxy"
        self.process = subprocess.Popen(pinned(1, [program, "-f", file, "-db"]), stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        time.sleep(0.5)

    def close(self):
        self.process.terminate()
        self.process.wait()


class Bench:
    """A gateway with one worker in front of a mock and a paced mock; the whole policy is on: a key with a rate
    limit and a monthly budget, and a trace of each request. log_content: full, meta or off."""

    def __init__(self, build, folder, log_content="full", events=100, prefix=(), more=None):
        self.build, self.folder, self.prefix = build, pathlib.Path(folder), list(prefix)
        self.folder.mkdir(exist_ok=True)
        self.mocks = [Mock(build), Mock(build, "--interval-us", INTERVAL_US, "--events", events)]
        self.gateway = Gateway(build, self.folder / f"gateway-{log_content}-{events}", config=self.config(log_content) | (more or {}))
        self.pid = None

    def config(self, log_content):
        def provider(mock, model):
            return {"plugin": "compatible", "base_url": f"http://127.0.0.1:{mock.port}/v1", "api_keys": ["sk-x"],
                    "models": [{"id": model, **MODEL}]}
        return {"workers": 1,
                "providers": {"fast": provider(self.mocks[0], "bench"), "paced": provider(self.mocks[1], "paced")},
                "keys": {"bench": {"name": "bench", "secret_sha256": SHA256, "rate_limit": 1000000000,
                                   "budget_monthly_eur": 1000000, "log_content": log_content}}}

    def start(self):
        g = self.gateway
        g.log = open(g.log_path, "ab")
        g.process = subprocess.Popen([*self.prefix, str(g.program), "serve", "-c", str(g.config_path)], env=g.env,
                                     stdin=subprocess.DEVNULL, stdout=g.log, stderr=g.log, cwd=g.folder)
        g.wait_ready(120)
        self.pid = g.process.pid
        return self

    def close(self):
        self.gateway.close()
        for m in self.mocks:
            m.close()

    def load_argv(self, port=None, **options):
        argv = [tool(self.build, "load"), "--port", port or self.gateway.port, "--key", SECRET]
        for name, value in options.items():
            argv += [f"--{name}", value]
        return pinned(0, argv)

    def load(self, port=None, **options):
        done = subprocess.run(self.load_argv(port, **options), capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            raise AssertionError(f"load: {done.stdout} {done.stderr}")
        return json.loads(done.stdout)


@contextlib.contextmanager
def running(*args, **more):
    b = Bench(*args, **more)
    try:
        yield b.start()
    finally:
        b.close()


# ---- counted: the same on every machine ----

def guard_plugin(folder):
    """tests/harness/guard_plugin.c, compiled as plugins are."""
    out = pathlib.Path(folder) / "guards.so"
    subprocess.run([*os.environ.get("CC", "cc").split(), "-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden",
                    f"-I{HERE.parents[1] / 'sdk'}", "-o", out, HERE.parent / "harness/guard_plugin.c"], check=True)
    return out


NOTHING = """return { kind = "guardrail", name = "nothing", on = { "request", "response" },
  check = function() return latenza.pass() end }
"""


def noop_guardrails(folder, count, language):
    """Configuration of so many guardrails that look at nothing, in "c" or "lua"."""
    if language == "c":
        use, found = "nothing", {"plugins": ["compatible", "balanced", str(guard_plugin(folder))], "plugin_files": "warn"}
    else:
        script = pathlib.Path(folder) / "nothing.lua"
        script.write_text(NOTHING)
        use, found = "lua:nothing", {"policies": [{"file": str(script)}]}
    return found | {"guardrails": {f"g{i}": {"use": use, "default_on": True} for i in range(count)}}


# What stands four times in 4 KB: an address, a card and a telephone number in a kilobyte of English.
PERSONAL = ("Dear colleagues, the customer wrote again this morning and asks that the order be changed before it leaves the house. "
            "Please send the new invoice to ada.lovelace@example.org and leave the old one where it is. She paid with the card "
            "4111 1111 1111 1111, which the shop has on file, and would like the difference to be paid back to it. "
            + "It was agreed that nothing is sent before both sides have signed, and that the price holds until the end of the month. " * 4
            + "Whoever takes this on may call her at +44 20 7946 0958 in the afternoon, and writes a line here when it is done. ")


def redaction(language):
    """Configuration of the guardrail that masks addresses, cards and telephone numbers of a request: the plugin, the script, none."""
    how = {"on": ["request"], "default_on": True}
    return {"none": {},
            "c": {"plugins": ["compatible", "balanced", "pii"],
                  "guardrails": {"pii": how | {"use": "pii", "kinds": ["email", "card", "phone"]}}},
            "lua": {"policies": [{"file": str(HERE.parents[1] / "scripts/guardrails/pii.lua")}],
                    "guardrails": {"pii": how | {"use": "lua:pii"}}}}[language]


PERSONAL_4K = {"conns": 8, "body": 4096, "text": PERSONAL}


def redaction_cpu_us(build, folder, seconds=4, rounds=3):
    """CPU of a 4 KB request without a guardrail, with the plugin, with the script: medians of rounds that take turns."""
    folder = pathlib.Path(folder)
    with contextlib.ExitStack() as stack:
        benches = {language: stack.enter_context(running(build, folder / language, "off", prefix=pinned(1, []), more=redaction(language)))
                   for language in ("none", "c", "lua")}
        seen = {language: [] for language in benches}
        for _ in range(rounds):
            for language, b in benches.items():
                seen[language].append(measure(b, b.pid, None, PERSONAL_4K, "good", seconds)["cpu_us"])
    return {language: statistics.median(each) for language, each in seen.items()}


def instructions(build, folder, count=2000, request=None, **load):
    """User instructions of one request: (the worker's, all threads')."""
    request = {"conns": 8} | (request or {})
    out = pathlib.Path(folder) / "callgrind"
    out.parent.mkdir(exist_ok=True)
    prefix = ["valgrind", "-q", "--tool=callgrind", "--separate-threads=yes", "--instr-atstart=no",
              f"--callgrind-out-file={out}"]
    with running(build, folder, prefix=prefix, **load) as b:
        b.load(**request, count=500)
        subprocess.run(["callgrind_control", "-i", "on", str(b.pid)], check=True, capture_output=True)
        b.load(**request, count=count)
        time.sleep(0.5)  # the storage thread catches up
        subprocess.run(["callgrind_control", "-i", "off", str(b.pid)], check=True, capture_output=True)
    of = [int(n) for f in out.parent.glob("callgrind-*")
          for n in re.findall(r"(?m)^totals: (\d+)", f.read_text())]
    return max(of) / count, sum(of) / count


def with_dead(build, folder, dead, count=1000):
    """User instructions of the worker for one request that one living target may serve, and `dead` whose breakers are
    open: at a provider that is not there, and dearer, so that nobody probes them meanwhile."""
    out = pathlib.Path(folder) / "callgrind"
    b = Bench(build, folder, log_content="off", prefix=["valgrind", "-q", "--tool=callgrind", "--separate-threads=yes",
                                                        "--instr-atstart=no", f"--callgrind-out-file={out}"])
    names = [f"m-{i}" for i in range(dead)]
    gone = {"plugin": "compatible", "base_url": f"http://127.0.0.1:{free_port()}/v1", "api_keys": ["sk-x"],
            "models": [{"id": n, **MODEL, "price_output_per_mtok": 6.0} for n in names]}
    b.gateway.change_config(providers={"fast": b.gateway.config["providers"]["fast"]} | ({"gone": gone} if dead else {}),
                            routing={"attempts": 1, "retry_wait_ms": 0})
    try:
        b.start()
        for name in names * BREAKER_FAILURES:
            assert b.gateway.chat(SECRET, f"gone/{name}")[0] in (502, 503)
        health = [t["health"] for t in b.gateway.json("provider", "list")["targets"] if t["target"].startswith("gone/")]
        assert len(health) == dead and set(health) <= {"down", "probing"}, "no breaker is closed"
        b.load(conns=8, count=500, model="latenza/cheapest")
        subprocess.run(["callgrind_control", "-i", "on", str(b.pid)], check=True, capture_output=True)
        b.load(conns=8, count=count, model="latenza/cheapest")
        time.sleep(0.5)
        subprocess.run(["callgrind_control", "-i", "off", str(b.pid)], check=True, capture_output=True)
    finally:
        b.close()
    return max(int(n) for f in out.parent.glob("callgrind-*")
               for n in re.findall(r"(?m)^totals: (\d+)", f.read_text())) / count


def system_calls(build, folder, count=20000):
    """System calls of one request at 64 at once: a dict of those that count 0.01 and more, and "all"."""
    out = pathlib.Path(folder) / "strace"
    with running(build, folder) as b:
        b.load(conns=64, count=2000)
        trace = subprocess.Popen(["strace", "-f", "-c", "-o", out, "-p", str(b.pid)], stderr=subprocess.DEVNULL)
        time.sleep(1)
        b.load(conns=64, count=count)
        time.sleep(0.5)
        trace.send_signal(signal.SIGINT)
        trace.wait()
    found = {}
    for line in out.read_text().splitlines():
        words = line.split()
        if len(words) >= 5 and words[3].isdigit():
            found["all" if words[-1] == "total" else words[-1]] = int(words[3]) / count
    return {name: n for name, n in found.items() if n >= 0.01}


# ---- ratios: of two proxies in one run ----

CASES = {  # name: (words, load, which mock, divided by)
    "json1k": ("1 KB JSON, 64 at once", {"conns": 64, "body": 1024}, 0, "good"),
    "json100k": ("100 KB JSON, 64 at once", {"conns": 64, "body": 102400}, 0, "good"),
    "sse": ("SSE, 50 streams, 10 ms", {"conns": 50, "stream": 1}, 1, "events"),
    "open": ("1 KB JSON, 2,000/s by plan", {"conns": 200, "rate": 2000}, 0, "good"),
}


def measure(b, pid, port, load, per, seconds):
    b.load(port, **{**load, "conns": 8, "rate": 0, "seconds": 0.5})
    began = cpu_s(pid)
    r = b.load(port, **load, seconds=seconds)
    delay = "delay_" if per == "events" else ""
    return {"cpu_us": (cpu_s(pid) - began) * 1e6 / r[per], "p50_us": r[f"{delay}p50_us"], "p99_us": r[f"{delay}p99_us"],
            "rate": r["rate"]}


def ratios(build, folder, log_content="full", seconds=4, rounds=3, cases=CASES):
    """Each case: medians of gateway ("g") and HAProxy ("h"), and the ratios of CPU time, taken within a round."""
    with running(build, folder, log_content, prefix=pinned(1, [])) as b:
        h = HAProxy(b.folder, b.mocks)
        try:
            return {name: one_case(b, h, *CASES[name][1:], seconds, rounds) for name in cases}
        finally:
            h.close()


def one_case(b, h, load, mock, per, seconds, rounds):
    seen = []
    for _ in range(rounds):
        seen.append({"h": measure(b, h.process.pid, h.ports[mock], load, per, seconds),
                     "g": measure(b, b.pid, b.gateway.port, {**load, "model": ["bench", "paced"][mock]}, per, seconds)})
    out = {who: {f: statistics.median(s[who][f] for s in seen) for f in seen[0][who]} for who in "gh"}
    out["ratio"] = sorted(s["g"]["cpu_us"] / s["h"]["cpu_us"] for s in seen)
    return out


# ---- keys, starts, memory ----

def add_keys(b, count):
    """Imports one key by command, and makes `count` of it in the database of the stopped gateway."""
    b.gateway.run("key", "import", "--sha256", "00" * 32, "--name", "many", "--id", "many", "--rate-limit", "1000")
    db = sqlite3.connect(b.gateway.data / "latenza.db")
    columns = [row[1] for row in db.execute("PRAGMA table_info(virtual_key)")]
    row = dict(zip(columns, db.execute("SELECT * FROM virtual_key WHERE id = 'many'").fetchone()))
    rows = ({**row, "id": f"many-{i}", "sha256": hashlib.sha256(f"sk-{i}".encode()).digest()} for i in range(count))
    db.executemany(f"INSERT INTO virtual_key VALUES ({', '.join('?' * len(columns))})",
                   ([r[c] for c in columns] for r in rows))
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def first_answer_ms(b):
    """From exec() to the first answer of /healthz."""
    began = time.monotonic()
    g = b.gateway
    g.log = open(g.log_path, "ab")
    g.process = subprocess.Popen([str(g.program), "serve", "-c", str(g.config_path)], env=g.env,
                                 stdin=subprocess.DEVNULL, stdout=g.log, stderr=g.log, cwd=g.folder)
    b.pid = g.process.pid
    while True:
        try:
            if g.get("/readyz")[0] == 200:
                return (time.monotonic() - began) * 1000
        except OSError:
            assert g.process.poll() is None, g.logs()
        time.sleep(0.001)


def with_keys(build, folder, count, seconds=3, rounds=3):
    """Milliseconds to the first answer, CPU microseconds per 1 KB request, resident KB."""
    b = Bench(build, folder, events=100)
    try:
        b.start()
        b.gateway.stop()
        if count > 0:
            add_keys(b, count)
        starts = []
        for _ in range(rounds):
            starts.append(first_answer_ms(b))
            rss = rss_kb(b.pid)
            if len(starts) < rounds:
                b.gateway.stop()
        if os.cpu_count() > 1:
            subprocess.run(["taskset", "-acp", "1", str(b.pid)], check=True, stdout=subprocess.DEVNULL)
        cpu = [measure(b, b.pid, None, CASES["json1k"][1], "good", seconds)["cpu_us"] for _ in range(rounds)]
        return {"start_ms": statistics.median(starts), "cpu_us": statistics.median(cpu), "rss_kb": rss}
    finally:
        b.close()


def idle_streams(build, folder, count=1000):
    """Resident KB of one stream that has had its first event and waits."""
    with running(build, folder, events=2) as b:
        b.mocks.append(Mock(build, "--interval-us", 3600 * 1000000, "--events", 2))
        held = b.gateway.config["providers"]["paced"] | {"base_url": f"http://127.0.0.1:{b.mocks[-1].port}/v1"}
        b.gateway.change_config(providers=b.gateway.config["providers"] | {"paced": held})
        b.gateway.run("reload")
        before = rss_kb(b.pid)
        load = subprocess.Popen(b.load_argv(conns=count, hold=1, model="paced", seconds=20), stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)
        assert int(load.stdout.readline()) == count
        time.sleep(0.5)
        after = rss_kb(b.pid)
        load.stdin.close()
        load.wait(30)
        load.stdout.close()
        return (after - before) / count
