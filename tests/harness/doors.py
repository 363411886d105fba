"""What the door tests share: raw bytes to a gateway, a provider that answers with raw bytes, marked secrets, and what
must hold after every piece of garbage.

SPDX-License-Identifier: MIT
"""

import json
import os
import pathlib
import re
import socket
import socketserver
import struct
import threading
import time

from harness.gateway import Gateway, forms

DATA = pathlib.Path(__file__).resolve().parent.parent / "data/doors"
CORPORA = pathlib.Path(os.environ.get("LATENZA_CORPORA", DATA.parent.parent.parent.parent / "shared/corpora"))
PROVIDER_SECRET = "sk-MARKED-provider-secret-0123456789"
RESET = object()  # in a raw answer: end the connection as a crash would


def unescape(text):
    """\\r \\n \\t \\\\ \\xHH, as in tests/data/doors."""
    simple = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}

    def one(m):
        return bytes([int(m[1][1:], 16)]) if m[1].startswith(b"x") else simple[m[1].decode()]
    return re.sub(rb"\\(x[0-9a-fA-F]{2}|.)", one, text.encode("latin-1"))


def rows(name):
    """The rows of a table of tests/data/doors, as lists."""
    lines = (DATA / name).read_text().splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def mutate(data, random, times=3):
    """A few bytes changed, taken out, put in, doubled, or all cut off."""
    data = bytearray(data)
    for _ in range(random.randint(1, times)):
        at, n = random.randrange(len(data) + 1), random.randint(1, 8)
        kind = random.randrange(5)
        if kind == 0:
            data[at:at + n] = random.randbytes(n)
        elif kind == 1:
            del data[at:at + n]
        elif kind == 2:
            data[at:at] = random.choice([b"\r\n", b"\n", b"\0", b"\xff", b" ", b",", b"\"", b"}", b"[", b":", b"-", b"0", b"data: ", random.randbytes(n)])
        elif kind == 3:
            data[at:at] = data[at:at + 40]
        else:
            del data[at + random.randrange(200):]
    return bytes(data)


# ---- the client's side ----

class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def error(self):
        return json.loads(self.body)["error"]

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


def read_answer(file):
    """One answer; None at the end of the connection. Interim answers are skipped."""
    while True:
        line = file.readline()
        if not line:
            return None
        status, headers = int(line.split()[1]), {}
        for field in iter(file.readline, b"\r\n"):
            if not field:
                return None
            name, _, value = field.partition(b":")
            headers[name.decode().lower()] = value.strip().decode("latin-1")
        if status >= 200:
            break
    if headers.get("transfer-encoding") != "chunked":
        return Answer(status, headers, file.read(int(headers.get("content-length", 0))))
    body = b""
    while True:
        size = file.readline()
        data = file.read(int(size or b"0", 16))
        file.readline()
        if not data:
            return Answer(status, headers, body if size else body + b"<cut>")
        body += data


def send(port, data, timeout=15):
    """Raw bytes; every answer that comes back before the connection ends or stays silent for long."""
    answers = []
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as s, s.makefile("rb") as file:
        try:
            s.sendall(data)
            while (answer := read_answer(file)) is not None:
                answers.append(answer)
        except (ConnectionError, TimeoutError, socket.timeout):
            pass
    return answers


def handled(port, key, expect, raw):
    """The statuses from 200 to 399 that bytes of a smuggling corpus get, with a key in them."""
    filled = raw.replace(b"Host: gw.test\r\n", b"Host: gw.test\r\nAuthorization: Bearer %s\r\n" % key.encode())
    if expect == "accept":  # what is served must be a whole request: the corpus asks without messages
        body = b'{"model":"m","messages":[{"role":"user","content":"x"}]}'
        filled = filled.replace(b'{"model":"m","messages":[]}', body).replace(b"Content-Length: 27", b"Content-Length: %d" % len(body))
        filled = filled.replace(b"\r\n1b\r\n", b"\r\n%x\r\n" % len(body)).replace(b"\r\n1B\r\n", b"\r\n%X\r\n" % len(body))
    statuses = []
    with socket.create_connection(("127.0.0.1", port), timeout=0.5) as s, s.makefile("rb") as file:
        try:
            s.sendall(filled)
            while (answer := read_answer(file)) is not None:
                statuses.append(answer.status)
                if answer.status >= 400 and "'messages'" in check_error(answer)["message"]:
                    statuses[-1] = 200  # somebody read the body: the wire was accepted
        except (OSError, ValueError):
            pass
    return [x for x in statuses if 200 <= x < 400]


def post(key, body, *fields, path="/v1/chat/completions", media=b"application/json"):
    """The bytes of a request that asks for the connection's end."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [b"POST " + path.encode() + b" HTTP/1.1", b"Host: gw.test", b"Connection: close",
            b"Content-Length: %d" % len(body)]
    if media is not None:
        head.append(b"Content-Type: " + media)
    if key is not None:
        head.append(b"Authorization: Bearer " + key.encode())
    return b"\r\n".join([*head, *fields]) + b"\r\n\r\n" + body


def chat_body(**more):
    return {"model": "fake-1", "messages": [{"role": "user", "content": "Hello"}], **more}


def check_error(answer):
    """The one shape of an error; what it holds."""
    assert answer.headers["content-type"].startswith("application/json"), answer
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"]), answer.headers
    error = json.loads(answer.body.decode())["error"]
    assert set(error) - {"latenza"} == {"message", "type", "param", "code"}, answer
    assert isinstance(error["message"], str) and error["message"], answer
    return error


# ---- the provider's side ----

class RawProvider:
    """Answers each request with what `answers` holds for its model: pieces of bytes, seconds to wait, RESET, or a
    function that yields such pieces. Reads requests with a content-length, as the gateway sends them."""

    def __init__(self, models):
        self.models, self.answers, self.calls = list(models), {}, 0
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self):
                try:
                    while outer.serve(self):
                        pass
                except OSError:
                    pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads, request_queue_size = True, True, 256

            def handle_error(self, *_):
                """A gateway that leaves is nothing to print."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def serve(self, handler):
        length = None
        for line in iter(handler.rfile.readline, b"\r\n"):
            if not line:
                return False
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        body = json.loads(handler.rfile.read(length)) if length else {}
        self.calls += 1
        for piece in self.pieces(body):
            if piece is RESET:
                handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            if isinstance(piece, (int, float)):
                time.sleep(piece)
            else:
                handler.connection.sendall(piece)
        return False

    def pieces(self, body):
        answer = self.answers.get(body.get("model"), [whole(completion())])
        return answer(body) if callable(answer) else answer


def whole(body, status="200 OK", fields=(), media="application/json"):
    """An answer with a content-length, as bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status}", f"Content-Type: {media}", f"Content-Length: {len(data)}", "Connection: close", *fields]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + data


def completion(content="fine", usage=(7, 5), **more):
    out = {"id": "x", "object": "chat.completion", "created": 1, "model": "whatever",
           "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}]}
    if usage is not None:
        prompt, out_tokens = usage
        out["usage"] = {"prompt_tokens": prompt, "completion_tokens": out_tokens, "total_tokens": 12}
    return out | more


STREAM_HEAD = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n")


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(delta=None, finish=None, **more):
    """One chunk of OpenAI's stream, framed for the wire."""
    out = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "whatever",
           "choices": [{"index": 0, "delta": delta if delta is not None else {}, "finish_reason": finish}]} | more
    return chunk(b"data: " + json.dumps(out).encode() + b"\n\n")


# ---- a gateway behind doors ----

class Doors(Gateway):
    """A gateway with marked secrets, and a provider beside it that remains sane."""

    def __init__(self, build, folder, provider, **more):
        more["config"] = {"log": {"level": "debug"}, **more.get("config", {})}
        super().__init__(build, folder, provider, env={"FAKE_KEY": PROVIDER_SECRET, **more.pop("env", {})}, **more)
        self.bodies = []

    def ask(self, data, timeout=15):
        """The one answer to a request."""
        answers = send(self.port, data, timeout)
        assert len(answers) == 1, (data[:300], answers)
        self.bodies.append(answers[0].body + str(answers[0].headers).encode())
        assert self.process.poll() is None, self.logs()
        return answers[0]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def held(self, id):
        """Nano-EUR that are still reserved of a key's budget."""
        return self.json("key", "show", id)["live"]["reserved_nano_eur"]

    def check_nothing_leaks(self):
        """Ends the gateway; then no secret may be found in what it wrote or said."""
        exported = self.run("traces", "export").stdout.encode()
        keyring = (self.data / "keyring").read_bytes()
        assert self.stop() == 0, self.logs()
        secrets = [form for secret in self.secrets for form in forms(secret)] + [form for at in (8, 40) for form in (keyring[at:at + 32], keyring[at:at + 32].hex().encode())]
        written = {str(p): p.read_bytes() for p in self.data.rglob("*") if p.is_file() and p.name != "keyring"}
        written |= {"log": self.log_path.read_bytes(), "traces export": exported, "answers": b"\n".join(self.bodies)}
        for name, data in written.items():
            for secret in secrets:
                assert secret not in data, f"{name} holds {secret[:12]!r}..."
