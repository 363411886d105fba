"""What clients saw and what providers billed, against what the books say after a kill -9.

A crew of clients asks without pause, each with a key of its own, so that what a kill interrupts is known by its key.
`Crew.judge()` holds the four rows of the ledger's promise against every request of a round:

    nothing      no trace, no charge, and no provider was asked
    uncertain    a trace `interrupted`; each open attempt owes its input
    settled      charged and traced in full, though the client did not see the end
    answered     acknowledged: charged once, traced once, in full

SPDX-License-Identifier: MIT
"""

import json
import socket
import sqlite3
import threading
from collections import Counter, defaultdict

from harness.gateway import EUR_PER_USD, PRICES

ACTUAL, RELEASED, UNCERTAIN = 1, 3, 4  # enum charge_state
TRACE_INTERRUPTED = "interrupted"
NANO_EUR_PER_INPUT = round(PRICES["price_input_per_mtok"] * EUR_PER_USD * 1000)
NANO_EUR_PER_OUTPUT = round(PRICES["price_output_per_mtok"] * EUR_PER_USD * 1000)


class Asked:
    """One request, as its client knows it."""

    def __init__(self, label, stream, model):
        self.label, self.stream, self.model = label, stream, model
        self.status, self.id = None, None
        self.saw = "nothing"  # then "head", "cut", and at best "answered"
        self.messages = json.dumps([{"role": "user", "content": label}])
        self.prompt_tokens = (len(self.messages) + 3) // 4

    def bytes(self, secret):
        body = (f'{{"model":"{self.model}","stream":{json.dumps(self.stream)},"user":"{self.label}",'
                f'"messages":{self.messages}}}').encode()
        return (f"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
                f"Authorization: Bearer {secret}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


class Connection:
    """Keeps what it read; says how far an answer came before the other side died."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.left = b""

    def until(self, is_whole):
        data = self.left
        while (end := is_whole(data)) is None:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionResetError
            data += more
        self.left = data[end:]
        return data[:end]

    def ask(self, asked, secret):
        self.socket.sendall(asked.bytes(secret))
        head = self.until(lambda d: d.find(b"\r\n\r\n") + 4 if b"\r\n\r\n" in d else None).decode().split("\r\n")
        fields = {line.split(":")[0].lower(): line.split(":", 1)[1].strip() for line in head[1:] if ":" in line}
        asked.status, asked.id, asked.saw = int(head[0].split()[1]), fields["x-request-id"], "head"
        if "content-length" in fields:
            length = int(fields["content-length"])
            self.until(lambda d: length if len(d) >= length else None)
            asked.saw = "answered"
            return
        self.until(lambda d: self.find_done(asked, d))

    @staticmethod
    def find_done(asked, data):
        if len(data) > 0 and asked.saw == "head":
            asked.saw = "cut"
        if b"data: [DONE]\n\n" in data:  # all is acknowledged, whether or not the last chunk's end arrives
            asked.saw = "answered"
        return data.find(b"\r\n0\r\n\r\n") + 7 if b"\r\n0\r\n\r\n" in data else None


class Client(threading.Thread):
    def __init__(self, crew, number, secret):
        super().__init__(daemon=True)
        self.crew, self.number, self.secret = crew, number, secret
        self.key = f"client-{number}"
        self.asked, self.count, self.error = [], 0, None

    def run(self):
        while True:
            self.crew.gate.wait()
            if self.crew.is_over:
                return
            try:
                self.work()
            except Exception as error:  # shown by judge()
                self.error = error
            self.crew.gate.wait()

    def work(self):
        connection = None
        while self.crew.is_open.is_set():
            self.count += 1
            turn = self.count + self.number
            asked = Asked(f"{self.key}-{self.count:06d}", turn % 2 == 0, "fake-2" if turn % 5 == 0 else "fake-1")
            self.asked.append(asked)
            try:
                connection = connection or Connection(self.crew.gateway.port)
                connection.ask(asked, self.secret)
            except OSError:
                return  # the gateway died: the round is over for this client
        if connection:
            connection.socket.close()


class Crew:
    """Clients with a gateway, and `providers` by the name that the gateway knows them by."""

    def __init__(self, gateway, providers, clients):
        self.gateway, self.providers = gateway, providers
        self.gate, self.is_open, self.is_over = threading.Barrier(clients + 1), threading.Event(), False
        self.factor = {name: factor for name, (_, factor) in providers.items()}
        self.clients = [Client(self, n, gateway.key(f"client-{n}", budget_monthly_eur=1000)) for n in range(clients)]
        self.rows, self.last_rowid, self.total = Counter(), 0, defaultdict(int)
        for client in self.clients:
            client.start()

    def begin(self):
        self.is_open.set()
        self.gate.wait()

    def end(self, kill):
        """kill: what ends the gateway while they ask."""
        self.is_open.clear()
        kill()
        self.gate.wait(30)

    def dismiss(self):
        self.is_over = True
        self.gate.wait()

    # ---- the books ----

    def read_books(self):
        """What was written since the last call: traces by label and by key, charges by trace."""
        books = sqlite3.connect(f"file:{self.gateway.data}/latenza.db?mode=ro", uri=True)
        try:
            traces = books.execute("SELECT rowid, hex(id), user, key, status, code, cost_nano_eur, attempts FROM trace "
                                   "WHERE rowid > ? ORDER BY rowid", (self.last_rowid,)).fetchall()
            charges = defaultdict(list)
            for row in books.execute("SELECT hex(trace_id), attempt, state, cost_nano_eur, provider, key FROM charge "
                                     "WHERE trace_id IN (SELECT id FROM trace WHERE rowid > ?) ORDER BY 1, 2",
                                     (self.last_rowid,)):
                charges[row[0]].append(row)
            sums = books.execute("SELECT (SELECT count(*) FROM charge), (SELECT count(*) FROM charge WHERE trace_id "
                                 "NOT IN (SELECT id FROM trace))").fetchone()
            spend = dict(books.execute("SELECT scope, sum(spent_nano_eur) FROM budget_spend GROUP BY scope"))
        finally:
            books.close()
        self.last_rowid = max([self.last_rowid] + [t[0] for t in traces])
        assert sums[1] == 0, f"{sums[1]} charges without a trace"
        return traces, charges, spend

    def billed(self):
        """How often each provider was asked for each label; forgets it."""
        calls = Counter()
        for name, (provider, _) in self.providers.items():
            with provider.lock:
                requests, provider.requests = provider.requests, []
            for one in requests:
                calls[one["body"]["messages"][0]["content"], name] += 1
        return calls

    def judge_charges(self, asked, charges, calls, is_interrupted):
        for number, (_, attempt, state, cost, provider, _) in enumerate(charges):
            what = f"{asked.label}: {charges}"
            price = self.factor[provider]
            full = (7 * NANO_EUR_PER_INPUT + 5 * NANO_EUR_PER_OUTPUT) * price
            assert attempt == number, what
            if state == ACTUAL:
                assert cost == full and calls[asked.label, provider] == 1, what
            elif state == RELEASED:
                assert cost == 0 and number + 1 < len(charges) or is_interrupted, what
            else:
                assert state == UNCERTAIN and is_interrupted and number + 1 == len(charges), what
                assert cost == asked.prompt_tokens * NANO_EUR_PER_INPUT * price, what
        for (label, provider), count in calls.items():
            if label == asked.label:
                assert count == 1 and provider in [c[4] for c in charges], f"{label}: asked {provider}, charged {charges}"

    def judge_one(self, asked, trace, charges, calls):
        """The row of the promise that this request is in."""
        assert asked.status in (None, 200), f"{asked.label}: {asked.status}"
        if trace is None:
            assert asked.saw == "nothing", f"{asked.label}: the client saw {asked.saw}, the books nothing"
            assert not any(label == asked.label for label, _ in calls), f"{asked.label}: billed, and not in the books"
            return "nothing"
        _, id, _, key, status, code, cost, attempts = trace
        is_interrupted = code == TRACE_INTERRUPTED
        assert asked.id in (None, id.lower()), f"{asked.label}: another request's trace"
        assert cost == sum(c[3] for c in charges) and attempts == len(charges) > 0, (trace, charges)
        assert all(c[5] == key for c in charges)
        self.judge_charges(asked, charges, calls, is_interrupted)
        self.total[key] += cost
        if asked.saw == "answered":
            assert not is_interrupted and status == 200 and charges[-1][2] == ACTUAL, (trace, charges)
            return "answered"
        if is_interrupted:
            return "uncertain"
        assert status == 200 and charges[-1][2] == ACTUAL, (trace, charges)
        return "settled"

    def judge(self):
        """Every request since the last call; the gateway runs again, and nobody asks."""
        traces, charges, spend = self.read_books()
        calls = self.billed()
        whole = {t[2]: t for t in traces if t[5] != TRACE_INTERRUPTED}
        interrupted = {t[3]: t for t in traces if t[5] == TRACE_INTERRUPTED}
        assert len(whole) + len(interrupted) == len(traces), "a request is traced twice"
        for client in self.clients:
            if client.error is not None:
                raise client.error
            for asked in client.asked:
                trace = whole.pop(asked.label, None)
                if trace is None and asked is client.asked[-1]:
                    trace = interrupted.pop(client.key, None)
                self.rows[self.judge_one(asked, trace, charges[trace[1]] if trace else [], calls)] += 1
            client.asked = []
        assert not whole and not interrupted, f"traces that nobody asked for: {whole or interrupted}"
        for key, total in self.total.items():
            assert spend[f"key:{key}"] == total, f"{key}: spent {spend[f'key:{key}']}, charged {total}"
        self.judge_gateway(spend)

    def judge_gateway(self, spend):
        """What the gateway says of itself is what the books say."""
        check = self.gateway.json("db", "check")
        assert check["sound"] and check["open_reservations"] == 0 and check["spend_differs"] == 0, check
        metrics = self.gateway.metrics()
        for key, total in self.total.items():
            shown = metrics[f'latenza_budget_spent_eur{{key="{key}",period="month"}}']
            assert round(shown * 1e9) == total == spend[f"key:{key}"]
