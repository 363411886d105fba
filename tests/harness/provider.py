"""A scripted provider, OpenAI-compatible unless it is given another dialect: says what the test tells it to, and remembers what it was asked.

    provider.script(status=429, headers={"retry-after": "2"}, times=1)   the next call only
    provider.script(model="slow", delay=1.0)                             every call for that model
    provider.script(chunks=["a", "b"], pace=0.05, end="cut")             a stream that breaks off
    provider.script(gate=threading.Event())                              answers when the test says so
    provider.script(chunks=[...], step=threading.Semaphore(0))           and so for every piece (from the step_from-th)
    provider.script(events=[{...}, "[DONE]"], end="cut")                 a stream's events as they are; a number: a pause
    provider.script(token="sk-a", status=401)                            calls with this key only
    provider.script(vectors="float")                                     embeddings in this form, whatever was asked for

The first script whose model matches and whose times are not used up applies; else the answer repeats the last user
message. One thread per connection: tests ask for hundreds of streams, not for thousands.

A dialect says how the answers are written and what a request asks; OpenAI's is here, others' in the rows of wires.py.

SPDX-License-Identifier: MIT
"""

import base64
import contextlib
import json
import socket
import struct
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Script:
    def __init__(self, model=None, times=None, status=200, headers=None, body=None, raw=None, delay=0.0, chunks=None,
                 pace=0.0, end="done", usage=(7, 5), tool_calls=None, finish="stop", gate=None, step=None, step_from=0,
                 events=None, vectors=None, token=None):
        self.model, self.times, self.token = model, times, token
        self.status, self.headers, self.body, self.raw = status, headers or {}, body, raw
        self.delay, self.chunks, self.pace, self.end = delay, chunks, pace, end
        self.usage, self.tool_calls, self.finish, self.gate = usage, tool_calls, finish, gate
        self.step, self.step_from = step, step_from
        self.events = events
        self.vectors = vectors


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        """A gateway that is killed resets its connections: nothing to print."""

    allow_reuse_address = True


class OpenAI:
    """The dialect of those who resemble OpenAI. What another has in common with it, it inherits."""

    plugin, base_path, call_id = "compatible", "/v1", "call_Ab-1_9.x"
    content_type, done = "text/event-stream", b"data: [DONE]\n\n"
    # What it answers -> what the client is told: status, code. Not here: as the fault table says of the status alone.
    codes = {400: "scripted_400", 404: "scripted_404", 413: "scripted_413", 422: "scripted_422"}

    # What an answer that calls a tool may hold that must come back unchanged in the next request; None: there is no such
    # thing. signed_answer(call) is such an answer, signed_back(body) what a request brought back of it.
    signed = None

    # ---- what is asked ----

    def is_chat(self, path):
        return path.endswith("/chat/completions")

    def is_embeddings(self, path):
        return path.endswith("/embeddings")

    def model(self, path, body):
        return body.get("model")

    def is_stream(self, path, body):
        return bool(body.get("stream"))

    def last_text(self, body):
        return last_user_text(body)

    def key(self, headers):
        return headers["authorization"].removeprefix("Bearer ")

    def schema(self, body):
        form = body["response_format"]
        assert form["type"] == "json_schema" and form["json_schema"]["strict"] is True
        return form["json_schema"]["schema"]

    def tools_used(self, body):
        """[(id, name, arguments as an object)], [(id, result)] of the conversation."""
        calls = [(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"]))
                 for m in body["messages"] for c in m.get("tool_calls") or []]
        return calls, [(m["tool_call_id"], m["content"]) for m in body["messages"] if m["role"] == "tool"]

    # ---- what is answered ----

    def error(self, status):
        return {"error": {"message": f"scripted {status}", "type": "scripted", "param": None, "code": f"scripted_{status}"}}

    def embeddings(self, body, script):
        return embeddings_of(body, script.vectors or body.get("encoding_format"))

    def whole(self, body, script):
        message = {"role": "assistant", "content": "".join(script.chunks or [self.last_text(body)])}
        if script.tool_calls:
            message = {"role": "assistant", "content": None, "tool_calls": script.tool_calls}
        return {"id": "chatcmpl-scripted", "object": "chat.completion", "created": 1, "model": body.get("model"),
                "choices": [{"index": 0, "message": message, "logprobs": None,
                             "finish_reason": "tool_calls" if script.tool_calls else script.finish}],
                "usage": usage_of(script)}

    def event(self, body, delta, finish=None, usage=None, choices=True):
        chunk = {"id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 1,
                 "model": body.get("model"),
                 "choices": [{"index": 0, "delta": delta, "finish_reason": finish}] if choices else []}
        if usage:
            chunk["usage"] = usage
        return f"data: {json.dumps(chunk)}\n\n".encode()

    def opening(self, body, script):
        """A list of events; so are the next five."""
        return [self.event(body, {"role": "assistant", "content": ""})]

    def piece(self, body, text):
        return [self.event(body, {"content": text})]

    def call(self, body, index, call):
        return [self.event(body, {"tool_calls": [{"index": index, **call}]})]

    def failing(self, body):
        return [b'data: {"error":{"message":"scripted end","type":"server_error"}}\n\n']

    def closing(self, body, script):
        out = [self.event(body, {}, finish="tool_calls" if script.tool_calls else script.finish)]
        if (body.get("stream_options") or {}).get("include_usage"):
            out.append(self.event(body, {}, usage=usage_of(script), choices=False))
        return out

    def ending(self):
        """Left out when the script's end is "no done"."""
        return [self.done]


class Provider:
    def __init__(self, models=("fake-1", "fake-2"), embedding_models=("fake-embed",), dialect=None):
        self.dialect = dialect or OpenAI()
        self.models, self.embedding_models = list(models), list(embedding_models)
        self.scripts, self.requests, self.lock = [], [], threading.Lock()
        self.cancelled = 0  # connections that the gateway closed before the answer was whole
        self.server = Server(("127.0.0.1", 0), make_handler(self))
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.port}{self.dialect.base_path}"

    def script(self, **what):
        with self.lock:
            self.scripts.insert(0, Script(**what))

    def take(self, model, token=None):
        with self.lock:
            for s in self.scripts:
                if s.model in (None, model) and s.token in (None, token) and s.times != 0:
                    if s.times is not None:
                        s.times -= 1
                    return s
        return Script()

    def calls(self, model=None, path=None):
        """How many chat completions arrived, or others with this end of a path."""
        is_meant = self.dialect.is_chat if path is None else lambda asked: asked.endswith(path)
        with self.lock:
            return sum(1 for r in self.requests if is_meant(r["path"]) and
                       (model is None or self.dialect.model(r["path"], r["body"]) == model))

    def last(self):
        with self.lock:
            return self.requests[-1]


def last_user_text(body):
    for message in reversed(body.get("messages", [])):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, list):
                return "".join(part.get("text", "") for part in content)
            return content or ""
    return ""


def vector_of(text, dimensions):
    """Numbers that a float32 holds exactly, told by the text."""
    seed = zlib.crc32(json.dumps(text).encode())
    return [((seed * (k + 1)) % 2001 - 1000) / 1024 for k in range(dimensions)]


def embeddings_of(body, form):
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    if texts and isinstance(texts[0], int):
        texts = [texts]
    vectors = [vector_of(text, body.get("dimensions") or 3) for text in texts]
    if form == "base64":
        vectors = [base64.b64encode(struct.pack(f"<{len(v)}f", *v)).decode() for v in vectors]
    return {"object": "list", "model": body["model"], "usage": {"prompt_tokens": 7, "total_tokens": 7},
            "data": [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]}


def usage_of(script):
    prompt, completion = script.usage
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def make_handler(provider):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # a head and its body leave together

        def log_message(self, *_):
            pass

        def read_body(self):
            length = self.headers.get("content-length")
            if length is not None:
                return self.rfile.read(int(length))
            data = b""
            while "chunked" in self.headers.get("transfer-encoding", ""):
                size = int(self.rfile.readline().split(b";")[0], 16)
                data += self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    break
            return data

        def note(self, raw):
            body = json.loads(raw) if raw else {}
            with provider.lock:
                provider.requests.append({"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()},
                                          "body": body, "raw": raw, "at": time.monotonic()})
            return body

        def send_json(self, status, body, headers=()):
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            for name, value in dict(headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)
            self.wfile.flush()

        def do_GET(self):
            self.note(b"")
            self.send_json(200, {"object": "list", "data": [{"id": m, "object": "model", "created": 1, "owned_by": "us"}
                                                            for m in provider.models]})

        def do_POST(self):
            try:
                body = self.note(self.read_body())
                script = provider.take(provider.dialect.model(self.path, body), self.headers.get("authorization", "").removeprefix("Bearer "))
                if script.gate is not None:
                    script.gate.wait(30)
                if script.delay and self.is_left(script.delay):
                    return
                self.answer(body, script)
            except (BrokenPipeError, ConnectionResetError):
                with provider.lock:
                    provider.cancelled += 1
                self.close_connection = True

        def is_left(self, seconds):
            """Waits so long; True when the other side closed meanwhile."""
            self.connection.settimeout(seconds)
            try:
                left = self.connection.recv(1, socket.MSG_PEEK) == b""
            except (TimeoutError, socket.timeout):
                left = False
            finally:
                self.connection.settimeout(None)
            if left:
                raise ConnectionResetError
            return left

        def answer(self, body, script):
            dialect = provider.dialect
            is_stream = dialect.is_stream(self.path, body)
            if script.end == "reset" and not is_stream:
                return self.cut()
            if script.raw is not None:
                return self.send_json(script.status, script.raw, script.headers)
            if script.status != 200:
                return self.send_json(script.status, script.body or dialect.error(script.status), script.headers)
            if is_stream:
                return self.stream(body, script)
            if dialect.is_embeddings(self.path) and script.body is None:
                return self.send_json(200, dialect.embeddings(body, script))
            self.send_json(200, script.body or dialect.whole(body, script), script.headers)

        def send_chunk(self, data):
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()

        def send_all(self, events):
            for event in events:
                self.send_chunk(event)

        def stream(self, body, script):
            dialect = provider.dialect
            self.send_response(200)
            self.send_header("content-type", dialect.content_type)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            if script.events is not None:
                return self.stream_events(script)
            self.send_all(dialect.opening(body, script))
            pieces = script.chunks if script.chunks is not None else [dialect.last_text(body)]
            for number, piece in enumerate(pieces):
                if script.step is not None and number >= script.step_from:
                    script.step.acquire(timeout=60)
                if script.pace:
                    self.is_left(script.pace)
                self.send_all(dialect.piece(body, piece))
            for index, call in enumerate(script.tool_calls or []):
                self.send_all(dialect.call(body, index, call))
            if script.end in ("cut", "reset"):
                return self.cut()
            if script.end == "error":
                self.send_all(dialect.failing(body))
            else:
                self.send_all(dialect.closing(body, script))
                if script.end == "done":
                    self.send_all(dialect.ending())
            self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()

        def stream_events(self, script):
            for event in script.events:
                if isinstance(event, (int, float)):
                    self.is_left(event)
                else:
                    text = event if isinstance(event, str) else json.dumps(event)
                    self.send_chunk(f"data: {text}\n\n".encode())
            if script.end in ("cut", "reset"):
                return self.cut()
            self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()

        def cut(self):
            """Ends the connection as a crash would: with a reset."""
            self.wfile.flush()
            with contextlib.suppress(OSError):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            self.close_connection = True

    return Handler
