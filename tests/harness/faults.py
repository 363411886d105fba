"""One fault at a time, and the rule that is common to all of them: one right answer or honest end, one trace, money
settled, nothing left behind, nobody else disturbed.

`a` answers with raw bytes, by model; `b` is sane and serves the same models at twice the price, but for those whose name
ends in "-alone". Each fault has models of its own, so that the breaker of one is not another's.

SPDX-License-Identifier: MIT
"""

import contextlib
import json
import time

from harness.doors import Doors, RawProvider, chat_body, post
from harness.gateway import PRICES
from harness.provider import Provider
from harness.sse import text_of

FACTS = {"context_window": 32768, "max_output_tokens": 4096}
TERMINAL = {"actual", "estimated", "released", "uncertain"}
TEXT = "Hello"  # what b says to chat_body(): it repeats


def models_at(names, factor=1):
    return [{"id": m, **FACTS, **{k: v * factor for k, v in PRICES.items()}} for m in names]


class Place(Doors):
    """A gateway in front of both. ask() judges what is common; so does settled(), of all that was asked since."""

    seen, files, secret = (), None, None

    def begin(self):
        self.start()
        self.secret = self.key("all", budget_monthly_eur=100000)
        assert self.chat(self.secret, "sane")[0] == 200
        self.files, self.seen = self.descriptors(), []
        return self

    def ask_for(self, model, *fields, **more):
        """Answer and trace."""
        answer = self.ask(post(self.secret, chat_body(model=model, **more), *fields), timeout=60)
        self.seen.append(answer.headers["x-request-id"])
        return answer, self.trace(self.seen[-1])

    def held_now(self):
        m = self.metrics()
        return m['latenza_budget_reserved_eur{key="all",period="month"}'] + m["latenza_requests_in_flight"]

    def settled(self):
        assert self.chat(self.secret, "sane")[0] == 200, "others are served"
        end = time.monotonic() + 10
        while self.held_now() != 0 or self.descriptors() > self.files + 8:
            assert time.monotonic() < end, (self.held_now(), self.descriptors(), self.files)
            time.sleep(0.05)
        traces = [t["id"] for t in self.traces()]
        for id in self.seen:
            assert traces.count(id) == 1
            trace = self.trace(id)
            assert all(a["state"] in TERMINAL for a in trace["attempts"] or []), trace
            assert (trace["cost_nano_eur"] or 0) == sum(a["cost_nano_eur"] for a in trace["attempts"] or [])
        self.seen.clear()


@contextlib.contextmanager
def place(build, folder, answers, urls=None, routing=None, provider_a=None, **config):
    """answers: by model of `a`, as RawProvider has them. urls: model: another base_url."""
    raw = RawProvider(answers)
    raw.answers = answers
    shared = [m for m in [*answers, *(urls or {})] if not m.endswith("-alone")]
    with raw, Provider() as b:
        def at(url, models, **more):
            return {"plugin": "compatible", "base_url": url, "api_keys": ["env:FAKE_KEY"], "models": models, **more}
        providers = {"a": at(raw.base_url, models_at(answers), **(provider_a or {})),
                     "b": at(b.base_url, models_at([*shared, "sane"], 2))}
        providers |= {f"at-{m}": at(url, models_at([m]), connect_timeout_ms=1000) for m, url in (urls or {}).items()}
        g = Place(build, folder, None, config={"providers": providers, "routing": {
            "default": "cheapest", "timeout_ms": 20000, "first_byte_timeout_ms": 1000, "idle_timeout_ms": 1500,
            "retry_wait_ms": 0, **(routing or {})}, **config})
        g.raw, g.b = raw, b
        try:
            yield g.begin()
            g.check_nothing_leaks()
        finally:
            g.close()


def ends(trace):
    """(provider, end, state) of each attempt."""
    return [(a["provider"], a["end"], a["state"]) for a in trace["attempts"] or []]


def came_from_b(answer):
    """A right answer, whole or streamed, and b's."""
    assert answer.status == 200 and answer.headers["x-latenza-provider"] == "b", answer
    if not answer.headers["content-type"].startswith("text/event-stream"):
        return json.loads(answer.body)["choices"][0]["message"]["content"] == TEXT
    events = events_of(answer)
    return events[-1] == "[DONE]" and text_of(events) == TEXT


def events_of(answer):
    """The data of a stream's events; comments are none."""
    assert not answer.body.endswith(b"<cut>"), answer
    return [e[6:] for e in answer.body.decode().split("\n\n")[:-1] if e.startswith("data: ")]


def broke_off(answer, code="stream_interrupted", text="fine"):
    """A stream that gave its beginning, then one error, and no [DONE]."""
    events = events_of(answer)
    assert answer.status == 200 and "[DONE]" not in events, answer
    assert text_of(events[:-1]) == text and sum("error" in json.loads(e) for e in events) == 1
    return json.loads(events[-1])["error"]["code"] == code


def code_of(answer):
    return answer.status, answer.error["code"]
