"""Clients that mean harm, one process for each attack, so that they take nothing from the good client beside them.

    python3 tests/harness/attacks.py slowloris 127.0.0.1 8080 '{"clients": 500, "seconds": 10}'

Each ends by itself, when each of its clients has done its rounds or the seconds are over, and prints what it saw as one JSON
object: how many connections it opened, how many the server ended, the statuses it was answered with. With `until` ({"ended": 500})
it ends as soon as it has seen so much of each and its input was closed.

SPDX-License-Identifier: MIT
"""

import asyncio
import collections
import contextlib
import json
import re
import socket
import struct
import sys
import time

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x11" * 32  # the beginning of a TLS handshake


def post(key, body, length=None):
    return (b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (key.encode(), len(body) if length is None else length, body))


def chat(key, model, text, stream=False):
    body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}
    return post(key, json.dumps(body).encode())


class Attack:
    def __init__(self, host, port, clients=100, seconds=60, rounds=1 << 30, key="", source=None, **more):
        self.host, self.port, self.clients, self.rounds, self.key, self.source = host, port, clients, rounds, key, source
        self.end, self.more = time.monotonic() + seconds, more
        self.seen = collections.Counter()
        self.ended = {}  # of each dripping connection: the task that reads until the server ends it

    def is_over(self):
        return time.monotonic() >= self.end

    def option(self, name, otherwise):
        return self.more.get(name, otherwise)

    async def connect(self, receive_bytes=None):
        """A raw socket, so that its buffers and its end can be chosen."""
        s = socket.socket()
        s.setblocking(False)
        if receive_bytes:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        if self.source:
            s.bind((self.source, 0))
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(s, (self.host, self.port)), 5)
        except BaseException:
            s.close()
            raise
        self.seen["opened"] += 1
        return s

    async def send(self, s, data):
        """Sends; what the server says meanwhile is not waited for."""
        await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(s, data), max(0.1, self.end - time.monotonic()))

    async def read_to_end(self, s):
        """Reads until the server ends it or the attack is over; notes the statuses."""
        data = b""
        try:
            while not self.is_over():
                more = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(s, 65536), max(0.05, self.end - time.monotonic()))
                if not more:
                    self.seen["ended"] += 1
                    break
                data = (data + more)[-1 << 20:]
        except (ConnectionError, BrokenPipeError):
            self.seen["ended"] += 1
        except (asyncio.TimeoutError, TimeoutError):
            pass
        for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", data):
            self.seen[status.decode()] += 1

    def reset(self, s):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()

    async def drip(self, s, first, step, pause):
        """`first` at once, then a byte of `step` every `pause` seconds, until the server has enough."""
        try:
            await self.send(s, first)
            at = 0
            while not self.is_over():
                await self.send(s, step[at % len(step):at % len(step) + 1])
                at += 1
                with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
                    await asyncio.wait_for(asyncio.shield(self.ended[s]), pause)
                if self.ended[s].done():
                    return
        except (OSError, asyncio.TimeoutError):
            pass

    async def drip_and_watch(self, first, step):
        s = await self.connect()
        self.ended[s] = asyncio.ensure_future(self.read_to_end(s))
        await self.drip(s, first, step, self.option("pause", 0.2))
        await self.ended.pop(s)
        s.close()

    async def many(self, one):
        """`one` as often at a time as there are clients, each again and again."""
        async def again():
            left = self.rounds
            while left > 0 and not self.is_over():
                try:
                    await one()
                    left -= 1
                except (OSError, asyncio.TimeoutError):
                    self.seen["failed"] += 1
                    await asyncio.sleep(0.01)
        await asyncio.gather(*[again() for _ in range(self.clients)])

    # ---- the attacks ----

    async def slowloris(self):
        """A head, a byte at a time."""
        await self.many(lambda: self.drip_and_watch(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ", b"a"))

    async def slow_body(self):
        """A whole head with a good key, then a body of a byte at a time."""
        head = post(self.key, b"", self.option("length", 100000))
        await self.many(lambda: self.drip_and_watch(head, b" "))

    async def slow_reader(self):
        """Asks for streams and reads nothing of them."""
        async def one():
            s = await self.connect(receive_bytes=2048)
            try:
                await self.send(s, chat(self.key, self.option("model", "echo-1"), self.option("text", "x"), stream=True))
                self.seen["asked"] += 1
                await self.wait_for_end(s)
            finally:
                s.close()
        await self.many(one)

    async def wait_for_end(self, s):
        """Reads nothing: the kernel knows of a RST or a FIN."""
        state = 0
        while not self.is_over() and state not in (7, 8):  # TCP_CLOSE, TCP_CLOSE_WAIT
            await asyncio.sleep(0.05)
            state = s.getsockopt(socket.SOL_TCP, socket.TCP_INFO, 1)[0]
        self.seen["ended"] += state in (7, 8)
        self.seen["reset"] += state == 7

    async def reset_storm(self):
        """A request and at once a RST."""
        async def one():
            s = await self.connect()
            try:
                await self.send(s, chat(self.key, self.option("model", "fake-1"), "left at once") if self.seen["opened"] % 2 else GET)
            finally:
                self.reset(s)
        await self.many(one)

    async def stream_resets(self):
        """A stream, left with a RST at its first bytes."""
        async def one():
            s = await self.connect()
            try:
                await self.send(s, chat(self.key, self.option("model", "fake-1"), "left early", stream=True))
                data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(s, 100), 5)
                self.seen["begun"] += data.startswith(b"HTTP/1.1 200")
            finally:
                self.reset(s)
        await self.many(one)

    async def send_and_read(self, data):
        s = await self.connect()
        reader = asyncio.ensure_future(self.read_to_end(s))
        try:
            await self.send(s, data)
        except (OSError, asyncio.TimeoutError):
            pass
        await reader
        s.close()

    async def head_bombs(self):
        """One endless line, a thousand fields, one huge field, an endless target, 50,000 empty lines."""
        bombs = [b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * (1 << 20),
                 b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 1000 + b"\r\n",
                 b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 16000 + b"\r\n\r\n",
                 b"GET /" + b"a" * (1 << 20), b"\r\n" * 50000]
        turn = iter(range(1 << 30))
        await self.many(lambda: self.send_and_read(bombs[next(turn) % len(bombs)]))

    async def pipelining(self):
        """2,000 requests in one go, or as many as may be sent ahead; every second client reads no answer."""
        floods = [GET * n for n in self.option("requests", [2000, 400])]

        async def deaf(flood):
            s = await self.connect(receive_bytes=2048)
            try:
                await self.send(s, flood)
                await asyncio.sleep(self.option("deaf_seconds", 1))
            finally:
                s.close()
        async def one():
            number = next(turn)
            flood = floods[number // 2 % len(floods)]
            await (self.send_and_read(flood + GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")) if number % 2 else deaf(flood))
        turn = iter(range(1 << 30))
        await self.many(one)

    async def half_open_tls(self):
        """The first half of a handshake, to a port that speaks no TLS."""
        await self.many(lambda: self.send_and_read(HELLO))

    async def connect_flood(self):
        """Connections that say nothing, as many as can be had."""
        async def one():
            s = await self.connect()
            await self.read_to_end(s)
            s.close()
        await self.many(one)

    async def json_bombs(self):
        """Bodies whose trees would be hundreds of times their size."""
        start = b'{"model":"fake-1","messages":[{"role":"user","content":"x"}],"x":'
        bombs = [start + b"[" * 100000, start + b'{"a":' * 100000, start + b"[" + b"null," * 1000000 + b"0]}",
                 start + b"{" + b",".join(b'"%d":0' % i for i in range(100000)) + b"}}", start + b'"' + b"\\u0041" * 300000 + b'"}',
                 start + b"1" * 1000000 + b"}", start + b"1e" + b"9" * 1000000 + b"}"]
        requests = [post(self.key, bomb).replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n", 1) for bomb in bombs]
        turn = iter(range(1 << 30))
        await self.many(lambda: self.send_and_read(requests[next(turn) % len(requests)]))


async def run(attack, name):
    going = asyncio.ensure_future(getattr(attack, name)())
    until = attack.option("until", None)
    told = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read) if until else None
    while until and not going.done() and not (told.done() and all(attack.seen[what] >= least for what, least in until.items())):
        await asyncio.wait([going], timeout=0.05)
    if until:
        attack.end = time.monotonic()  # a client whose wait ended just now does not see that it is cancelled
        going.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await going


def main():
    name, host, port, options = sys.argv[1:5]
    attack = Attack(host, int(port), **json.loads(options))
    asyncio.run(run(attack, name))
    print(json.dumps(attack.seen))


if __name__ == "__main__":
    main()
