"""An HTTP service of a test's own: answers what a function says, and remembers what it was asked.

    with Service(lambda ask: (200, {"verdict": "pass"})) as service: ...
    with Service(lambda ask: (302, b"", {"location": "http://..."})) as service: ...

SPDX-License-Identifier: MIT
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Ask:
    def __init__(self, path, headers, raw):
        self.path, self.headers, self.raw = path, headers, raw
        self.json = json.loads(raw) if raw else None


class Service:
    def __init__(self, answer):
        self.answer, self.asked = answer, []
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                ask = Ask(self.path, {k.lower(): v for k, v in self.headers.items()},
                          self.rfile.read(int(self.headers.get("content-length", 0))))
                service.asked.append(ask)
                status, body, *more = service.answer(ask)
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
                try:
                    self.send_response(status)
                    for name, value in (more[0] if more else {}).items():
                        self.send_header(name, value)
                    self.send_header("content-length", str(len(raw)))
                    self.end_headers()
                    self.wfile.write(raw)
                except OSError:
                    self.close_connection = True  # the gateway had waited long enough

            do_GET = do_POST

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
