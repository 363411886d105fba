"""Many requests at once on one key: a provider that keeps its own books, and clients that are not kind.

Both sides are programs of their own (`python3 fire.py provider`, `python3 fire.py clients`), so that three processes
share the work with the gateway. A request's label says what becomes of it (see KINDS); the provider does as told, bills
what it reports, and watches one number from outside the gateway: what it has billed plus the most that the calls under
way may still cost. Each of them holds a reservation of at least that much, so the number may never pass the limit.

SPDX-License-Identifier: MIT
"""

import asyncio
import json
import os
import random
import socket
import struct
import subprocess
import sys
from collections import Counter

# Share of a hundred, kind. A client of `leaves` hangs up in the midst of its stream, one of `vanishes` while it waits.
KINDS = [(5, "leaves"), (5, "vanishes"), (3, "breaks"), (2, "doubts"), (5, "mute"), (5, "mute-stream"),
         (38, "whole"), (37, "stream")]
GONE, FAILING = ("leaves", "vanishes"), ("breaks", "doubts")
INPUT, OUTPUT = 500, 1000  # nano-EUR a token at provider a; b costs FACTOR_B times as much
FACTOR_B = 2


def kind_of(number, seed):
    roll = random.Random(seed * 1_000_003 + number).randrange(100)
    for share, kind in KINDS:
        roll -= share
        if roll < 0:
            return kind
    raise AssertionError("the shares are not a hundred")


def allow_files():
    import resource
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


# ---- the provider ----

class Books:
    def __init__(self, share):
        self.share = share  # least and most per cent of its bound that a call costs
        self.limits = Counter()  # max_tokens as they came: the gateway lowers them for a budget that is nearly spent
        self.calls, self.bill, self.billed = 0, {}, 0
        self.may_cost, self.worst = 0, 0  # of calls under way; the highest that billed + may_cost ever was
        self.random = random.Random(7)

    def open(self, most):
        self.calls += 1
        self.may_cost += most
        self.worst = max(self.worst, self.billed + self.may_cost)

    def close(self, label, most, cost):
        """cost None: nothing was reported."""
        self.may_cost -= most
        if cost is not None:
            self.bill.setdefault(label, []).append(cost)
            self.billed += cost


class Provider(asyncio.Protocol):
    def __init__(self, books):
        self.books, self.data = books, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = self.data[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15:].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.data) < end + 4 + length:
                return
            body, path = self.data[end + 4:end + 4 + length], head.split(b" ", 2)[1]
            self.data = self.data[end + 4 + length:]
            self.serve(path.split(b"/")[1].decode(), json.loads(body))

    def serve(self, name, body):
        label, kind = body["messages"][0]["content"].split()[:2]
        factor = FACTOR_B if name == "b" else 1
        share, most = self.books.random.randint(*self.books.share), body["max_tokens"]
        prompt = max(1, len(body["messages"][0]["content"]) * share // 100)
        used = max(1, most * share // 100)
        self.books.limits[most] += 1
        # Of a call that is given up the gateway knows before we do, and of one that says no usage it knows another
        # number: neither is held against the limit.
        held = 0 if kind in (*GONE, "mute", "mute-stream") else (prompt * INPUT + most * OUTPUT) * factor
        cost = None if held == 0 else (prompt * INPUT + used * OUTPUT) * factor
        if name == "a" and kind in FAILING:
            held, cost = 0, None
        self.books.open(held)
        # A client that hangs up in order may have closed one half only, so its answer is still wanted until it fails to
        # be written: what such a client waits for comes late, but it comes.
        wait = self.books.random.random() * 0.02 + (0.2 if kind == "vanishes" else 0)
        asyncio.get_running_loop().call_later(wait, self.answer, name, body, label, kind, (prompt, used), held, cost)

    def answer(self, name, body, label, kind, tokens, held, cost):
        write = self.transport.write
        if name == "a" and kind in FAILING:
            said = b'{"error":{"message":"scripted","type":"server_error"}}'
            status = b"500 Broken" if kind == "breaks" else b"502 Bad Gateway"
            write(b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" %
                  (status, len(said), said))
        elif body.get("stream"):
            first, rest = self.stream(body, kind, tokens)
            write(first)
            if kind == "leaves":
                asyncio.get_running_loop().call_later(0.2, write, rest)
            else:
                write(rest)
        else:
            said = json.dumps(self.whole(body, kind, tokens)).encode()
            write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" %
                  (len(said), said))
        self.books.close(label, held, cost)

    @staticmethod
    def usage(tokens):
        return {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}

    def whole(self, body, kind, tokens):
        answer = {"id": "chatcmpl-fire", "object": "chat.completion", "created": 1, "model": body["model"],
                  "choices": [{"index": 0, "finish_reason": "stop",
                               "message": {"role": "assistant", "content": "word " * 8}}]}
        return answer if kind == "mute" else answer | {"usage": self.usage(tokens)}

    def stream(self, body, kind, tokens):
        chunk = {"id": "chatcmpl-fire", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}

        def event(**more):
            text = b"data: " + json.dumps(chunk | more).encode() + b"\n\n"
            return b"%x\r\n%s\r\n" % (len(text), text)

        def piece(delta, finish=None):
            return event(choices=[{"index": 0, "delta": delta, "finish_reason": finish}])

        out = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        first = out + piece({"role": "assistant", "content": ""}) + piece({"content": "word word "})
        out = piece({"content": "word word "}) + piece({}, "stop")
        if kind != "mute-stream" and (body.get("stream_options") or {}).get("include_usage"):
            out += event(choices=[], usage=self.usage(tokens))
        return first, out + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


async def provide(least, most):
    """Prints its port; at the end of its input, its books."""
    allow_files()
    books = Books((least, most))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Provider(books), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    loop.add_reader(0, lambda: os.read(0, 1) or ended.set())
    await ended.wait()
    print(json.dumps({"calls": books.calls, "bill": books.bill, "worst": books.worst,
                      "limits": books.limits}))


# ---- the clients ----

class Clients:
    """Takes numbers one after the other, each connection one at a time."""

    def __init__(self, o):
        self.o = o
        self.numbers = iter(range(o["count"]))
        self.saw = []  # [label, kind, what], a row per request that was sent whole
        self.random = random.Random(o["seed"])
        self.is_spent = False

    async def run(self):
        await asyncio.gather(*(self.connection() for _ in range(self.o["connections"])))

    async def connection(self):
        self_reader = None
        for number in self.numbers:
            kind = kind_of(number, self.o["seed"]) if self.o["kinds"] else ("whole", "stream")[number % 2]
            label, tries = f"r{number}", 0
            while True:
                if self_reader is None:
                    self_reader = await asyncio.open_connection("127.0.0.1", self.o["port"])
                what = await self.ask(*self_reader, f"{label}.{tries}", kind)
                self.saw.append([f"{label}.{tries}", kind, what])
                if what in ("left", "closed"):
                    self_reader = None
                if what != "budget_reserved" or not self.o["again"]:
                    break
                tries += 1
                await asyncio.sleep(0.05 + self.random.random() / 10)
        if self_reader is not None:
            self_reader[1].close()

    def request(self, label, kind):
        body = {"model": "fire", "max_tokens": self.o["max_tokens"], "user": label,
                "messages": [{"role": "user", "content": f"{label} {kind} " + "x" * self.random.randrange(200)}]}
        if kind in ("leaves", "stream", "mute-stream") or (kind in FAILING and len(label) % 2):
            body["stream"] = True
        data = json.dumps(body).encode()
        return (f"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
                f"Authorization: Bearer {self.o['key']}\r\nContent-Length: {len(data)}\r\n\r\n").encode() + data

    async def ask(self, reader, writer, label, kind):
        """`left`, `closed`, `done`, or the code of a refusal."""
        writer.write(self.request(label, kind))
        if kind == "vanishes":
            await asyncio.sleep(0.02 + self.random.random() / 20)
            return self.leave(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            status = int(head.split(b" ", 2)[1])
            if b"transfer-encoding: chunked" in head:
                if kind == "leaves":
                    await reader.readuntil(b"word")
                    return self.leave(writer)
                data = await reader.readuntil(b"0\r\n\r\n")
                return "done" if b"data: [DONE]" in data else "cut"
            length = int(head.split(b"content-length:")[1].split(b"\r\n", 1)[0])
            data = await reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            return "closed"
        return "done" if status == 200 else json.loads(data)["error"]["code"]

    def leave(self, writer):
        """In order, or with a reset."""
        if self.random.random() < 0.5:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            writer.close()
        return "left"


async def ask_all(o):
    allow_files()
    clients = Clients(o)
    await clients.run()
    print(json.dumps(clients.saw))


# ---- from a test ----

class FireProvider:
    """The provider as a process. `books()` ends it."""

    def __init__(self, least=50, most=100):
        self.process = subprocess.Popen([sys.executable, __file__, "provider", str(least), str(most)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def providers(self):
        def one(name, factor):
            return {"plugin": "compatible", "base_url": f"http://127.0.0.1:{self.port}/{name}/v1",
                    "api_keys": ["env:FAKE_KEY"],
                    "models": [{"id": "fire", "context_window": 32768, "max_output_tokens": 4096,
                                "price_input_per_mtok": INPUT * factor / 500,
                                "price_output_per_mtok": OUTPUT * factor / 500}]}
        return {"a": one("a", 1), "b": one("b", FACTOR_B)}

    def books(self):
        out, _ = self.process.communicate("", timeout=60)
        return json.loads(out)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def start_clients(port, key, count, connections, max_tokens, again, kinds=True, seed=1):
    o = {"port": port, "key": key, "count": count, "connections": connections, "max_tokens": max_tokens, "again": again,
         "kinds": kinds, "seed": seed}
    return subprocess.Popen([sys.executable, __file__, "clients", json.dumps(o)], stdout=subprocess.PIPE, text=True)


if __name__ == "__main__":
    if sys.argv[1] == "provider":
        asyncio.run(provide(int(sys.argv[2]), int(sys.argv[3])))
    else:
        asyncio.run(ask_all(json.loads(sys.argv[2])))
