"""A client for streams that sees every event as it arrives, over a plain socket.

SPDX-License-Identifier: MIT
"""

import json
import socket


class Stream:
    def __init__(self, port, key, body, timeout=60):
        data = json.dumps({**body, "stream": True}).encode()
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
                            b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s" % (key.encode(), len(data), data))
        self.file = self.socket.makefile("rb")
        self.ended = None  # "whole", "cut"
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        for line in iter(self.file.readline, b"\r\n"):
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()
        self.buffer = b""

    def chunk(self):
        """The next chunk of the body; b"" at its proper end."""
        try:
            size = self.file.readline()
            if not size:
                self.ended = "cut"
                return b""
            data = self.file.read(int(size, 16))
            self.file.readline()
        except (ConnectionResetError, ValueError):
            self.ended = "cut"
            return b""
        if data == b"":
            self.ended = "whole"
        return data

    def events(self):
        """The data of each event, as text."""
        while True:
            while b"\n\n" in self.buffer:
                event, self.buffer = self.buffer.split(b"\n\n", 1)
                lines = [line[5:].lstrip() for line in event.decode().splitlines() if line.startswith("data:")]
                if lines:
                    yield "\n".join(lines)
            data = self.chunk()
            if data == b"":
                return
            self.buffer += data

    def rest(self):
        return list(self.events())

    def close(self):
        self.file.close()
        self.socket.close()


def text_of(events):
    """The content that the events carry, put together."""
    out = ""
    for event in events:
        if event != "[DONE]":
            for choice in json.loads(event).get("choices", []):
                out += choice["delta"].get("content") or ""
    return out
