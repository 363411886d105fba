"""Requests and answers that nobody thought of: a text that must not pass stands somewhere in them, or halves of its word in
neighbouring parts, written with escapes, in base64, in JSON inside of strings. Whatever leaves is taken apart again, and holds it nowhere.

SPDX-License-Identifier: MIT
"""

import base64
import json
import random

import pytest
from harness.provider import Provider
from harness.wires import WIRES
from test_guardrails import WORD, guarded, plugin  # noqa: F401

TEXT = f"the {WORD} flies"
PARTS = {"compatible": ["text", "half", "image", "url", "file", "id", "sound", "refusal", "document", "thinking", "reference", "other", "bare"],
         "anthropic": ["text", "half", "image", "url", "file", "refusal"],
         "google": ["text", "half", "image", "url", "file", "sound", "refusal"],
         "mistral": ["text", "half", "image", "url", "file", "id", "sound", "refusal", "document", "thinking", "reference"]}
HEADS = ["data:text/plain;base64,", "data:text/csv;charset=utf-8;base64,", "data:;base64,", "data:image/svg+xml;base64,", "DATA:text/plain;Base64,",
         "data:image/png,x;base64,", 'data:text/plain;a=",";base64,', "data:image/png;a=,text/plain;base64,", " data:text/plain;base64,",
         "data:application/pdf;base64,"]


class Body:
    """One random document; wire: whose parts it has."""

    def __init__(self, seed, wire):
        self.r, self.wire = random.Random(seed), wire

    def one(self, *choices):
        return self.r.choice(choices)

    def text(self):
        return TEXT if self.r.random() < 0.15 else self.one("x", "hello there", "", "é", "[EMAIL_1]")

    def url(self):
        data = base64.b64encode(self.text().encode()).decode()
        return self.one("https://x/y.png", "data:image/png;base64,iVBORw0KGgo=", *[head + data for head in HEADS], "data:text/plain," + self.text(), self.text())

    def part(self):
        kind = self.r.choice(PARTS[self.wire])
        made = {"text": lambda: {"type": "text", "text": self.text()}, "half": lambda: {"type": "text", "text": self.one("kes", "trel")},
                "image": lambda: {"type": "image_url", "image_url": {"url": self.url(), "detail": self.one("auto", self.text())}},
                "url": lambda: {"type": "image_url", "image_url": self.url()},
                "file": lambda: {"type": "file", "file": {"filename": self.one("a.txt", "a.pdf", self.text()), "file_data": self.url()}},
                "id": lambda: {"type": "file", "file": {"file_id": self.one("file-1", 36 * "a", self.url())}},
                "sound": lambda: {"type": "input_audio", "input_audio": {"data": self.one("AAAA", self.text()), "format": self.one("wav", self.text())}},
                "refusal": lambda: {"type": "refusal", "refusal": self.one("kes", self.text())},
                "document": lambda: {"type": "document_url", "document_url": self.url(), "document_name": self.text()},
                "thinking": lambda: {"type": "thinking", "thinking": [{"type": "text", "text": self.text()}]},
                "reference": lambda: {"type": "reference", "reference_ids": [1, self.text()]},
                "other": lambda: {"type": self.one("input_text", "foo", 5, None), "text": self.text()}, "bare": self.text}[kind]()
        if isinstance(made, dict) and self.r.random() < 0.3:
            made[self.one("text", "refusal", "cache_control", "x", "name", "data", "id", "source", TEXT)] = self.one(
                self.text(), "XX", {"type": "ephemeral", "x": self.text()}, [self.text()])
        return made

    def content(self):
        return self.text() if self.r.random() < 0.4 else [self.part() for _ in range(self.r.randrange(1, 5))]

    def arguments(self):
        j = json.dumps(self.one({"a": self.text(), "b": [1, {"c": self.text()}]}, {self.text() or "z": 1}))
        return self.one(j, escaped(self.r, json.loads(j), 0.3)[:-1] + self.one("}", ',"x":NaN}', ',"x":1e999}', ',"x":99999999999999999999}'))

    def call(self, i):
        return {"id": self.one("c1", f"call_{i}", self.text() or "c"), "type": "function",
                "function": {"name": self.one("f", self.text() or "f"), "arguments": self.arguments()},
                **self.one({}, {"extra_content": self.extra()})}

    def extra(self):
        return {self.one("google", "anthropic", "mistral"): {
            "thought_signature": self.text(), "signature": self.text(),
            "blocks": [{"type": "thinking", "thinking": self.text(), "signature": "s", "at": self.r.randrange(5)}]}}

    def message(self, role):
        m = {"role": role, "content": self.content()}
        if role == "assistant":
            m |= self.one({}, {"tool_calls": [self.call(0), self.call(1)]}) | self.one({}, {"reasoning_content": self.text()})
            m |= self.one({}, {"refusal": self.text()}) | self.one({}, {"extra_content": self.extra()})
        if role == "tool":
            m["tool_call_id"] = self.one("c1", "call_0")
        return m | self.one({}, {}, {"name": self.text()}, {"cache_control": {"type": "ephemeral", "ttl": self.text()}})

    def schema(self):
        return {"type": "object", "description": self.text(), "required": ["a", self.text()], "properties": {
            self.one("a", "data", self.text() or "b"): {"type": "string", "description": self.text(), "enum": [self.text()], "$ref": self.text()}}}

    def request(self):
        messages = []
        for _ in range(self.r.randrange(1, 4)):  # no neighbours of one role: some plugins send these as one
            messages += [self.message(self.one("user", "user", "system", "tool")), self.message("assistant")]
        rows = {"tools": [{"type": "function", "function": {"name": self.one("f", TEXT), "description": self.text(), "parameters": self.schema()}}],
                "tool_choice": {"type": "function", "function": {"name": self.text() or "f"}}, "stop": [self.text()], "user": self.text(),
                "response_format": {"type": "json_schema", "json_schema": {"name": self.text(), "schema": self.schema()}},
                "prediction": {"type": "content", "content": self.content()}, "metadata": {"k": self.text(), self.text() or "e": "v"},
                "documents": [{"text": self.text()}], "service_tier": self.text(), "prompt_cache_key": self.text()}
        return {"model": "fake-1", "messages": messages} | {k: v for k, v in rows.items() if self.r.random() < 0.15}

    def answer(self):
        choices = []
        for i in range(self.one(1, 1, 2, 3)):
            more = self.one({}, {"annotations": [{"url_citation": {"url": self.text(), "title": self.text()}}]}, {"audio": {"transcript": self.text()}},
                            {"images": [{"image_url": {"url": self.url()}}]}, {"reasoning_details": [{"text": self.text()}]})
            choices.append({"index": self.one(i, self.text()), "message": self.message("assistant") | more, "finish_reason": self.one("stop", self.text())})
        return {"id": self.one("x", self.text()), "model": "fake-1", "choices": choices, "usage": {"prompt_tokens": 1, "completion_tokens": 1},
                **self.one({}, {"citations": [self.text()]}, {"provider": self.text()}, {"new": {"a": self.text()}})}


def escaped(r, x, share, depth=0):
    """JSON of which so many characters of strings are written as escapes; keys on top are not, which is refused."""
    if isinstance(x, dict):
        return "{%s}" % ",".join(f"{escaped(r, k, share if depth else 0)}:{escaped(r, v, share, depth + 1)}" for k, v in x.items())
    if isinstance(x, list):
        return "[%s]" % ",".join(escaped(r, v, share, depth + 1) for v in x)
    if isinstance(x, str):
        return '"%s"' % "".join("\\u%04x" % ord(c) if r.random() < share else json.dumps(c)[1:-1] for c in x)
    return json.dumps(x)


def strings(x):
    """Keys and values, and the texts of neighbouring parts as one."""
    if isinstance(x, dict):
        for k, v in x.items():
            yield k
            yield from strings(v)
    elif isinstance(x, list):
        texts = [v.get("text") if isinstance(v, dict) else v for v in x]
        yield "".join(t for t in texts if isinstance(t, str))
        for v in x:
            yield from strings(v)
    elif isinstance(x, str):
        yield x


def readings(s, depth=0):
    """What a reader may make of a string: JSON in it, and base64 behind any comma of a data URL."""
    yield s
    try:
        inner = json.loads(s)
    except (ValueError, RecursionError):
        inner = None
    if isinstance(inner, (dict, list)) and depth < 3:
        for t in strings(inner):
            yield from readings(t, depth + 1)
    for data in {s.split(",", 1)[-1], s.rsplit(",", 1)[-1]} if s.strip().lower().startswith("data:") else ():
        try:
            yield base64.b64decode(data + -len(data) % 4 * "=").decode()
        except ValueError:
            pass


def found(document):
    return [s[:200] for s in strings(document) if any(WORD in t for t in readings(s))]


@pytest.mark.parametrize("wire", ["compatible", *WIRES])
def test_what_goes_out_of_a_random_request_holds_the_word_nowhere(make_gateway, plugin, wire, full):  # noqa: F811
    served, rounds = 0, 5000 if full else 300
    with Provider(dialect=WIRES[wire].scripted if wire in WIRES else None) as provider:
        gateway = make_gateway(provider=provider, config={
            "plugins": ["compatible", "echo", "balanced", *WIRES, str(plugin)], "plugin_files": "warn", "routing": {"attempts": 1},
            "guardrails": {"g": {"use": "word", "word": WORD, "default_on": True, "on": ["request"], "action": "mask"}}})
        key = gateway.key("k")
        for seed in range(rounds):
            body = Body(seed, wire)
            before = len(provider.requests)
            gateway.request("POST", "/v1/chat/completions", escaped(body.r, body.request(), body.one(0, 0, 0.3)), key)
            if len(provider.requests) > before:
                served += 1
                assert found(provider.last()["body"]) == [], seed
    assert served > rounds / 20  # the others were refused


def test_what_comes_of_a_random_answer_holds_the_word_nowhere(guarded, provider, full):
    gateway, key = guarded({"routing": {"attempts": 1}}, g={"on": ["response"], "action": "mask"})
    served, rounds = 0, 10000 if full else 600
    for seed in range(rounds):
        body = Body(seed, "compatible")
        provider.scripts.clear()
        provider.script(raw=escaped(body.r, body.answer(), body.one(0, 0, 0.3)).encode())
        status, _, answer = gateway.chat(key)
        served += status == 200
        assert found(answer) == [], seed
    assert served > rounds / 2
