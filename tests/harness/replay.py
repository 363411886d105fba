"""Exchanges with OpenAI, recorded or written by hand, and a provider that answers with their bytes, cut as one likes.

An exchange is NAME.meta.json (path, status, headers), NAME.response.json or .sse, and as a rule NAME.request.json. Ours are
in tests/data/wire; others' recordings are used where LATENZA_WIRE (or ../shared/wire beside the repository) holds them.

SPDX-License-Identifier: MIT
"""

import json
import os
import pathlib
import random
import re
import threading
import time
from http.server import BaseHTTPRequestHandler

from harness.provider import Server

TOP = pathlib.Path(__file__).resolve().parents[2]
OURS = TOP / "tests/data/wire"
THEIRS = pathlib.Path(os.environ.get("LATENZA_WIRE", TOP.parent / "shared/wire"))
ASK = [{"role": "user", "content": "Replay, please."}]


class Exchange:
    def __init__(self, folder, name):
        meta = json.loads((folder / f"{name}.meta.json").read_text())
        self.name, self.path, self.status, self.model = name, meta["path"], meta["status"], meta.get("model")
        sse = folder / f"{name}.response.sse"
        self.is_stream = sse.exists()
        self.body = sse.read_bytes() if self.is_stream else (folder / f"{name}.response.json").read_bytes()
        self.content_type = meta["headers"].get(
            "content-type", "text/event-stream" if self.is_stream else "application/json")
        self.headers = {k: v for k, v in meta["headers"].items()
                        if k.startswith(("retry-", "x-ratelimit", "x-request", "anthropic-ratelimit"))}
        self.request, self.openai = (json.loads(file.read_text()) if file.exists() else None
                                     for file in (folder / f"{name}.request.json", folder / f"{name}.openai.json"))
        self.has_request = self.request is not None
        self.request = self.request or {"model": "gpt-4o", "messages": ASK, "stream": self.is_stream}


def exchanges(folder, is_ours=lambda path: path in ("/v1/chat/completions", "/v1/embeddings")):
    """Those with the routes that the gateway asks for, by name."""
    if not folder.is_dir():
        return []
    all = [Exchange(folder, f.name.removesuffix(".meta.json")) for f in sorted(folder.glob("*.meta.json"))]
    return [e for e in all if is_ours(e.path)]


# ---- five ways to cut ----

def whole(body):
    return [body]


def byte_by_byte(body):
    return [body[i:i + 1] for i in range(len(body))]


def by_event(body):
    return [p for p in re.split(rb"(?<=\n\n)|(?<=\r\n\r\n)", body) if p]


def at_random(body):
    dice, out, at = random.Random(len(body)), [], 0
    while at < len(body):
        n = dice.randint(1, 7)
        out.append(body[at:at + n])
        at += n
    return out


def inside_characters(body):
    """Behind the first byte of each character of several, behind each CR, and inside each "data:" and escape."""
    places = [i + 1 for i, byte in enumerate(body) if byte >= 0xc0 or byte in b"\r\\"]
    places += [m.start() + 3 for m in re.finditer(rb"data:", body)]
    edges = [0, *sorted(set(places)), len(body)]
    return [body[a:b] for a, b in zip(edges, edges[1:]) if b > a]


CUTS = {"whole": whole, "byte by byte": byte_by_byte, "by event": by_event, "at random": at_random,
        "inside characters": inside_characters}


class Replayer:
    """Answers every call with `exchange`, its body in `cut`'s pieces; remembers the bodies that it was sent."""

    def __init__(self):
        self.exchange, self.cut, self.seen, self.lock = None, whole, [], threading.Lock()
        self.server = Server(("127.0.0.1", 0), handler_of(self))
        self.base_url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def handler_of(replayer):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_):
            pass

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with replayer.lock:
                replayer.seen.append((self.path, body))
            e = replayer.exchange
            self.send_response(e.status)
            self.send_header("content-type", e.content_type)
            for name, value in e.headers.items():
                self.send_header(name, value)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for piece in replayer.cut(e.body):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                time.sleep(0.00005)  # so that most pieces arrive alone; what comes out must not depend on it
            self.wfile.write(b"0\r\n\r\n")

    return Handler
