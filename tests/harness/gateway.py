"""A real `latenza serve` for a test: its configuration, its keys, its commands, its end.

SPDX-License-Identifier: MIT
"""

import base64
import http.client
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import time
import urllib.parse

PRICES = {"price_input_per_mtok": 1.0, "price_output_per_mtok": 2.0}
EUR_PER_USD = 0.5  # a rate with which sums are easily done by hand
PROVIDER_KEY = "sk-fake-kestrel/9+74=0951"  # marked: it may stand nowhere but on the wire to its provider


def free_port():
    """One that nobody's outgoing connection gets while its gateway is down: from below the kernel's own range."""
    low = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", random.SystemRandom().randrange(10000, max(low, 20000))))
                return s.getsockname()[1]
            except OSError:
                pass


class Failed(Exception):
    """A command ended with another exit code than 0."""

    def __init__(self, result):
        super().__init__(f"exit {result.returncode}: {result.stderr.strip()}")
        self.code, self.stdout, self.stderr = result.returncode, result.stdout, result.stderr


def forms(secret):
    """What a secret looks like when something wrote it down: as it is, in JSON, in a URL, in hex, in base64 (at each of
    its three alignments, without the characters that neighbours change)."""
    raw = secret.encode()
    out = {raw, json.dumps(secret)[1:-1].encode(), secret.replace("/", "\\/").encode(), raw.hex().encode(), raw.hex().upper().encode(),
           urllib.parse.quote(secret, safe="").encode()}
    for skipped in range(3):
        whole = raw[skipped:][: (len(raw) - skipped) // 3 * 3]
        out |= {base64.b64encode(whole), base64.urlsafe_b64encode(whole)}
    return out


class Gateway:
    def __init__(self, build, folder, provider=None, config=None, env=None, must_end_well=True, args=()):
        self.program = pathlib.Path(build) / "latenza"
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.port, self.admin_port = free_port(), free_port()
        self.data = self.folder / "data"
        self.config_path = self.folder / "latenza.yaml"
        self.env = {**{k: v for k, v in os.environ.items() if not k.startswith("LATENZA_")}, "NO_COLOR": "1",
                    "FAKE_KEY": PROVIDER_KEY, **(env or {})}
        self.process, self.log_path = None, self.folder / "log"
        self.must_end_well, self.args = must_end_well, list(args)
        self.secrets = {self.env["FAKE_KEY"]}
        self.said = []  # where a secret was met in an answer
        self.write_config(self.standard(provider) | (config or {}))

    # ---- configuration ----

    def standard(self, provider):
        providers = {"echo": {"plugin": "echo", "test": True}}
        if provider is not None:
            providers["fake"] = {"plugin": provider.dialect.plugin, "base_url": provider.base_url, "api_keys": ["env:FAKE_KEY"],
                                 "models": [{"id": m, "context_window": 32768, "max_output_tokens": 4096, **PRICES}
                                            for m in provider.models] +
                                           [{"id": m, "mode": "embedding", "context_window": 8191,
                                             "price_input_per_mtok": 1.0} for m in provider.embedding_models]}
        return {"listen": f"127.0.0.1:{self.port}", "admin": {"listen": f"127.0.0.1:{self.admin_port}"},
                "data": str(self.data), "fx": {"eur_per_usd": EUR_PER_USD, "date": "2026-11-20"},
                "routing": {"backoff_ms": 1},  # a scripted provider needs no rest; test_failover has its own
                "providers": providers}

    def write_config(self, config):
        """JSON is YAML, and json.dumps knows how to quote."""
        self.config = config
        new = self.config_path.with_suffix(".new")
        new.write_text(json.dumps(config, indent=2))
        new.rename(self.config_path)

    def change_config(self, **members):
        self.write_config(self.config | members)

    # ---- life ----

    def start(self, wait=True):
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen([self.program, "serve", "-c", self.config_path, *self.args], env=self.env,
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=self.folder)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=90):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the gateway ended with {self.process.returncode}:\n{self.logs()}")
            try:
                if self.get("/readyz")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"the gateway was not ready in {seconds} s:\n{self.logs()}")

    def kill(self):
        """As the kernel would: no time for anything."""
        self.process.kill()
        self.process.wait()
        self.log.close()

    def stop(self, seconds=40):
        """In order; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            raise AssertionError(f"the gateway did not end in {seconds} s:\n{self.logs()}")
        self.log.close()
        return code

    def close(self):
        self.end()
        self.look_for_secrets()

    def end(self):
        if self.process is None or self.process.poll() is not None:
            ended = None if self.process is None else self.process.returncode
            if self.must_end_well and ended not in (None, 0, -signal.SIGKILL):
                raise AssertionError(f"the gateway ended by itself with {ended}:\n{self.logs()}")
            return
        code = self.stop()
        if self.must_end_well:
            assert code == 0, f"the gateway ended with {code}:\n{self.logs()}"

    def look_for_secrets(self):
        """No secret of this gateway may stand in what it wrote: log, database, journal, spool, core."""
        found = list(self.said)
        for path in self.folder.rglob("*"):
            if path.is_file() and path.name not in ("latenza.yaml", "latenza.new", "key.json"):
                text = path.read_bytes()
                found += [path.name for secret in self.secrets if any(form in text for form in forms(secret))]
        assert not found, f"a secret stands in {found}"

    def listen_for_secrets(self, where, text):
        """A provider's key is nobody's business; a virtual key is told once, to whoever mints it."""
        if any(form in text for form in forms(self.env["FAKE_KEY"])):
            self.said.append(where)

    @property
    def is_sanitized(self):
        """A sanitizer keeps what was freed, or what each thread did: its memory says nothing."""
        program = self.program.read_bytes()
        return b"__asan_init" in program or b"__tsan_init" in program

    def logs(self):
        return self.log_path.read_text(errors="replace")[-8000:]

    def events(self, name):
        """Log lines of one event, as objects."""
        lines = []
        for line in self.log_path.read_text(errors="replace").splitlines():
            if line.startswith("{"):
                one = json.loads(line)
                if one.get("event") == name:
                    lines.append(one)
        return lines

    # ---- commands ----

    def run(self, *words, check=True, stdin=None):
        result = subprocess.run([self.program, *map(str, words), "-c", self.config_path], env=self.env, text=True,
                                input=stdin, capture_output=True, timeout=120, cwd=self.folder)
        self.listen_for_secrets(f"the output of {words}", (result.stdout + result.stderr).encode())
        if check and result.returncode != 0:
            raise Failed(result)
        return result

    def json(self, *words, **more):
        return json.loads(self.run(*words, "-o", "json", **more).stdout)

    def key(self, id=None, test=False, **settings):
        """Mints a key and returns its secret. settings: members of the key's object."""
        path = self.folder / "key.json"
        path.write_text(json.dumps({"name": id or "Test key", **settings}))
        words = ["key", "create", "-f", path] + (["--id", id] if id else []) + (["--test"] if test else [])
        secret = self.run(*words).stdout.strip()
        self.secrets.add(secret)
        return secret

    def traces(self, *words):
        return self.json("traces", "list", "--limit", 500, *words)

    def trace(self, id):
        return self.json("traces", "show", id)

    def spent(self, id):
        """Nano-EUR of a key's first budget."""
        return self.json("key", "show", id)["budgets"][0]["spent_nano_eur"]

    # ---- requests without an SDK ----

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def request(self, method, path, body=None, key=None, headers=None, port=None, timeout=60):
        """Status, headers, body as bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=timeout)
        try:
            head = dict(headers or {})
            if key is not None:
                head["Authorization"] = f"Bearer {key}"
            data = None
            if body is not None:
                data = body if isinstance(body, (bytes, str)) else json.dumps(body)
                head.setdefault("Content-Type", "application/json")
            connection.request(method, path, data, head)
            answer = connection.getresponse()
            raw = answer.read()
            self.listen_for_secrets(f"the answer to {method} {path}", str(answer.headers).encode() + raw)
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, raw
        finally:
            connection.close()

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def chat(self, key, model="fake-1", text="Hello", headers=None, **more):
        """Status, headers, the answer as an object."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
        status, head, raw = self.request("POST", "/v1/chat/completions", body, key, headers)
        return status, head, json.loads(raw)

    def metrics(self):
        status, _, raw = self.get("/metrics", port=self.admin_port)
        assert status == 200
        out = {}
        for line in raw.decode().splitlines():
            found = re.match(r"^([a-z_]+(?:\{[^}]*\})?) (\S+)$", line)
            if found:
                out[found.group(1)] = float(found.group(2))
        return out
