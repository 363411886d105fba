"""A crowd of clients over two providers that die: whole answers and streams of which every byte is known beforehand.

Providers and clients are programs of their own (`python3 failover.py provider PORT`, `... clients JSON`). A provider
may be killed and started again at the same port, stopped and continued, and told by SIGUSR1 to reset every connection
that it has. It keeps no books: what an answer says and costs follows from its request's label.

SPDX-License-Identifier: MIT
"""

import asyncio
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from harness.fire import allow_files
from harness.gateway import free_port

PIECES = 6
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
INPUT, OUTPUT = 500, 1000  # nano-EUR a token where a model is cheap; elsewhere FACTOR times as much
FACTOR = 2
CHEAP_AT = {"x": "a", "y": "b"}


def text_of(label):
    return [f"{label}-{n} " for n in range(PIECES)]


# ---- a provider ----

class Provider(asyncio.Protocol):
    every = set()

    def connection_made(self, transport):
        self.transport, self.data = transport, b""
        self.every.add(self)

    def connection_lost(self, _):
        self.every.discard(self)

    def data_received(self, data):
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = self.data[:end].lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n", 1)[0])
            if len(self.data) < end + 4 + length:
                return
            body = json.loads(self.data[end + 4:end + 4 + length])
            self.data = self.data[end + 4 + length:]
            label = body["messages"][0]["content"]
            later = asyncio.get_running_loop().call_later
            if body.get("stream"):
                later(0.02, self.stream, body, label, 0)
            else:
                later(0.06, self.write, self.whole(body, label))

    def write(self, data):
        if not self.transport.is_closing():
            self.transport.write(data)

    def whole(self, body, label):
        said = json.dumps({"id": "chatcmpl-x", "object": "chat.completion", "created": 1, "model": body["model"],
                           "choices": [{"index": 0, "finish_reason": "stop",
                                        "message": {"role": "assistant", "content": "".join(text_of(label))}}],
                           "usage": USAGE}).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said)

    def event(self, body, **more):
        text = json.dumps({"id": "chatcmpl-x", "object": "chat.completion.chunk", "created": 1,
                           "model": body["model"], **more}).encode()
        return b"%x\r\ndata: %s\n\n\r\n" % (len(text) + 8, text)

    def stream(self, body, label, n):
        """The n-th piece; head and opening before the first, the end behind the last."""
        out = b""
        if n == 0:
            out = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" +
                   self.event(body, choices=[{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]))
        if n < PIECES:
            delta = {"content": text_of(label)[n]}
            self.write(out + self.event(body, choices=[{"index": 0, "delta": delta, "finish_reason": None}]))
            asyncio.get_running_loop().call_later(0.03, self.stream, body, label, n + 1)
            return
        self.write(self.event(body, choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]) +
                   self.event(body, choices=[], usage=USAGE) + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


def reset_all():
    for one in list(Provider.every):
        one.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.transport.abort()


async def provide(port):
    allow_files()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, reset_all)
    await loop.create_server(Provider, "127.0.0.1", port, backlog=4096)
    print("ready", flush=True)
    await asyncio.Event().wait()


# ---- the clients ----

class Clients:
    """Takes numbers one after the other, each connection one at a time; every second one is a stream."""

    def __init__(self, o):
        self.o, self.numbers, self.saw = o, iter(range(o["count"])), []

    async def run(self):
        await asyncio.gather(*(self.connection() for _ in range(self.o["connections"])))

    async def connection(self):
        pair = None
        for number in self.numbers:
            if pair is None:
                pair = await asyncio.open_connection("127.0.0.1", self.o["port"])
            label, is_stream = f"r{number}", number % 2 == 1
            what, provider, attempts = await self.ask(*pair, label, "xy"[number // 2 % 2], is_stream)
            self.saw.append([label, "stream" if is_stream else "whole", what, provider, attempts])
            if what in ("cut", "closed"):
                pair[1].close()
                pair = None
        if pair is not None:
            pair[1].close()

    async def ask(self, reader, writer, label, model, is_stream):
        body = json.dumps({"model": model, "max_tokens": 100, "user": label, "stream": is_stream,
                           "messages": [{"role": "user", "content": label}]}).encode()
        writer.write(f"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
                     f"Authorization: Bearer {self.o['key']}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        except (asyncio.IncompleteReadError, ConnectionError):
            return "closed", None, None
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        who = fields.get("x-latenza-provider"), fields.get("x-latenza-attempts")
        try:
            if "content-length" in fields:
                return self.judge_whole(label, int(head.split()[1]), json.loads(
                    await reader.readexactly(int(fields["content-length"])))), *who
            return await self.read_stream(reader, label), *who
        except (asyncio.IncompleteReadError, ConnectionError):
            return "cut", *who

    @staticmethod
    def judge_whole(label, status, body):
        """`done`, or the code of a refusal."""
        if status != 200:
            return body["error"]["code"]
        is_right = body["choices"][0]["message"]["content"] == "".join(text_of(label)) and body["usage"] == USAGE
        return "done" if is_right else "wrong"

    async def read_stream(self, reader, label):
        """How a stream that had begun ended: `done`, `error`; wrong: with anything else than exactly one of these."""
        text, ends = "", []
        while (size := int(await reader.readline() or b"-1", 16)) > 0:
            chunk = await reader.readexactly(size + 2)
            for line in chunk.decode().splitlines():
                if line == "data: [DONE]":
                    ends.append("done")
                elif line.startswith("data: "):
                    said = json.loads(line[6:])
                    if "error" in said:
                        ends.append("error")
                    for choice in said.get("choices", []):
                        text += choice["delta"].get("content") or ""
        if size < 0:
            raise ConnectionError
        await reader.readline()
        whole = "".join(text_of(label))
        is_right = len(ends) == 1 and (text == whole if ends[0] == "done" else text and whole.startswith(text))
        return ends[0] if is_right else "wrong"


async def ask_all(o):
    allow_files()
    clients = Clients(o)
    await clients.run()
    print(json.dumps(clients.saw))


# ---- from a test ----

class Dying:
    """A provider as a process that can be made to fail and is well again afterwards."""

    def __init__(self):
        self.port, self.process = free_port(), None
        self.start()

    def start(self):
        self.process = subprocess.Popen([sys.executable, __file__, "provider", str(self.port)], stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def fault_kill(self, seconds):
        self.end()
        time.sleep(seconds / 2)
        self.start()

    def fault_stop(self, seconds):
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)

    def fault_reset(self, _):
        self.process.send_signal(signal.SIGUSR1)


FAULTS = ("kill", "stop", "reset")


class Trouble(threading.Thread):
    """One of the providers fails at a time, in turn, every two seconds."""

    EVERY_S, LASTS_S = 2.0, 1.5

    def __init__(self, *dying):
        super().__init__()
        self.dying, self.ended, self.count, self.error = dying, threading.Event(), 0, None

    def run(self):
        try:
            while not self.ended.wait(0):
                began = time.monotonic()
                who = self.dying[self.count % len(self.dying)]
                getattr(who, f"fault_{FAULTS[self.count % len(FAULTS)]}")(self.LASTS_S)
                self.count += 1
                self.ended.wait(max(0, began + self.EVERY_S - time.monotonic()))
        except Exception as error:  # shown when it ends
            self.error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()
        if self.error is not None:
            raise self.error


def providers(a, b):
    def one(name, dying):
        def model(id):
            factor = 1 if CHEAP_AT[id] == name else FACTOR
            return {"id": id, "context_window": 32768, "max_output_tokens": 4096,
                    "price_input_per_mtok": INPUT * factor / 500, "price_output_per_mtok": OUTPUT * factor / 500}
        return {"plugin": "compatible", "base_url": f"http://127.0.0.1:{dying.port}/v1", "api_keys": ["env:FAKE_KEY"],
                "models": [model("x"), model("y")]}
    return {"a": one("a", a), "b": one("b", b)}


def start_clients(port, key, count, connections):
    o = {"port": port, "key": key, "count": count, "connections": connections}
    return subprocess.Popen([sys.executable, __file__, "clients", json.dumps(o)], stdout=subprocess.PIPE, text=True)


if __name__ == "__main__":
    if sys.argv[1] == "provider":
        asyncio.run(provide(int(sys.argv[2])))
    else:
        asyncio.run(ask_all(json.loads(sys.argv[2])))
