"""The guardrail `schema` in a gateway: answers held against a JSON Schema, and the same verdicts as Python's jsonschema.

SPDX-License-Identifier: MIT
"""

import json
import pathlib
import random

import pytest

CASES = pathlib.Path(__file__).parents[1] / "data/schema/cases.json"
PERSON = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
          "required": ["name", "age"], "additionalProperties": False}
GOOD, BAD = '{"name":"Ada","age":36}', '{"name":"Ada","age":"36"}'


@pytest.fixture
def guarded(make_gateway, provider):
    def make(key=None, **options):
        gateway = make_gateway(provider=provider, config={"guardrails": {"shape": {"use": "schema", "default_on": True} | options}})
        return gateway, gateway.key("k", **(key or {}))
    return make


def asks_for(schema):
    return {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": schema}}


def stream_events(gateway, key, **more):
    body = {"model": "fake-1", "stream": True, "messages": [{"role": "user", "content": "x"}], **more}
    status, _, raw = gateway.request("POST", "/v1/chat/completions", body, key)
    return status, json.loads(raw) if status != 200 else [json.loads(x[6:]) for x in raw.decode().split("\n\n") if x.startswith("data: {")]


def stream(gateway, key, **more):
    body = {"model": "fake-1", "stream": True, "messages": [{"role": "user", "content": "x"}], **more}
    status, _, raw = gateway.request("POST", "/v1/chat/completions", body, key)
    if status != 200:
        return status, json.loads(raw)
    chunks = [json.loads(x[6:]) for x in raw.decode().split("\n\n") if x.startswith("data: {")]
    return status, "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])


@pytest.mark.parametrize("ours", [True, False], ids=["option", "request"])
def test_an_answer_that_does_not_match_is_refused_and_says_where(guarded, provider, ours):
    gateway, key = guarded(**({"schema": PERSON} if ours else {}))
    more = {} if ours else {"response_format": asks_for(PERSON)}
    provider.script(chunks=[GOOD[:5], GOOD[5:]], times=2)
    status, _, body = gateway.chat(key, **more)
    assert status == 200 and body["choices"][0]["message"]["content"] == GOOD
    assert stream(gateway, key, **more) == (200, GOOD)
    provider.script(chunks=[BAD[:5], BAD[5:]])
    status, head, body = gateway.chat(key, **more)
    assert (status, body["error"]["code"]) == (400, "content_policy_violation")
    assert "/age: is a string; wanted an integer" in body["error"]["message"]
    assert gateway.trace(head["x-request-id"])["guardrails"][-1]["codes"] == ["schema.mismatch"]
    status, body = stream(gateway, key, **more)
    assert status == 400 and "/age: is a string" in body["error"]["message"]


def test_flag_lets_it_pass(guarded, provider):
    gateway, key = guarded(schema=PERSON, action="flag")
    provider.script(chunks=["no JSON"])
    status, head, body = gateway.chat(key)
    assert status == 200 and body["choices"][0]["message"]["content"] == "no JSON"
    assert gateway.trace(head["x-request-id"])["guardrails"][-1] | {"ms": 0} == {
        "guardrail": "shape", "phase": "response", "verdict": "flag", "codes": ["schema.not_json"], "mode": "enforce", "ms": 0}


def test_one_more_attempt_with_what_is_wrong(guarded, provider):
    gateway, key = guarded(repair=True, key={"budget_monthly_eur": 1})
    more = {"response_format": asks_for(PERSON)}
    provider.script(chunks=[GOOD])
    provider.script(times=1, chunks=[BAD])
    status, head, body = gateway.chat(key, **more)
    assert status == 200 and body["choices"][0]["message"]["content"] == GOOD
    messages = provider.last()["body"]["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant", "user"] and messages[1]["content"] == BAD
    assert "/age: is a string; wanted an integer" in messages[2]["content"]
    trace = gateway.trace(head["x-request-id"])
    assert len(trace["attempts"]) == 2 and trace["cost_nano_eur"] == gateway.spent("k") == sum(a["cost_nano_eur"] for a in trace["attempts"])


def test_a_second_failure_is_the_end(guarded, provider):
    gateway, key = guarded(schema=PERSON, repair=True)
    provider.script(chunks=[BAD])
    status, head, body = gateway.chat(key)
    assert status == 400 and "/age" in body["error"]["message"] and provider.calls() == 2
    assert stream(gateway, key)[0] == 400 and provider.calls() == 3, "a stream is not asked for again"


@pytest.mark.parametrize("fenced", ["```json\n%s\n```", "\n```\n%s```\n"])
def test_a_fence_is_taken_away(guarded, provider, fenced):
    gateway, key = guarded(schema=PERSON, unwrap=True)
    provider.script(chunks=[*(fenced % GOOD)])
    status, _, body = gateway.chat(key)
    assert status == 200 and body["choices"][0]["message"]["content"] == GOOD
    assert stream(gateway, key) == (200, GOOD)


def test_each_choice_is_looked_at(guarded, provider):
    gateway, key = guarded(schema=PERSON)
    answer = {"id": "x", "object": "chat.completion", "created": 1, "model": "fake-1", "choices": [
        {"index": i, "finish_reason": "stop", "message": {"role": "assistant", "content": text}} for i, text in enumerate([GOOD, BAD])],
        "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}}
    provider.script(body=answer)
    assert gateway.chat(key, n=2)[0] == 400
    answer["choices"][1]["message"]["content"] = GOOD
    assert gateway.chat(key, n=2)[0] == 200


def test_a_large_answer_is_looked_at_whole(guarded, provider):
    gateway, key = guarded(schema={"items": {"type": "integer"}})
    values = list(range(100000, 130000))
    provider.script(chunks=[json.dumps(values)])
    assert gateway.chat(key)[0] == 200 and stream(gateway, key)[0] == 200
    provider.script(chunks=[json.dumps(values + ["x"])])
    status, _, body = gateway.chat(key)
    assert status == 400 and "/30000: is a string" in body["error"]["message"] and stream(gateway, key)[0] == 400


def test_a_schema_that_we_cannot_honour_costs_nothing(guarded, provider):
    gateway, key = guarded()
    for schema, words in (({"unevaluatedProperties": False}, "/unevaluatedProperties"), ({"type": "strin"}, "/type"),
                          ({"$ref": "https://example.com/s"}, "/$ref"), ({"properties": {"a": {"pattern": "("}}}, "/properties/a/pattern")):
        status, _, body = gateway.chat(key, response_format=asks_for(schema))
        assert status == 400 and words in body["error"]["message"]
    assert provider.calls() == 0


TOOL = {"type": "function", "function": {"name": "look", "parameters": {
    "type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"], "additionalProperties": False}}}


@pytest.mark.parametrize("arguments, status", [('{"q":"x"}', 200), ('{"q":1}', 400), ('{}', 400), ('{"q":"x","z":1}', 400), ('{"q":', 400)])
def test_arguments_of_tool_calls(guarded, provider, arguments, status):
    gateway, key = guarded(tools=True)
    provider.script(tool_calls=[{"id": "c1", "type": "function", "function": {"name": "look", "arguments": arguments}}], finish="tool_calls", times=2)
    got, _, body = gateway.chat(key, tools=[TOOL])
    streamed, events = stream_events(gateway, key, tools=[TOOL])
    assert got == streamed == status
    if status == 400:
        assert "the arguments of 'look'" in body["error"]["message"] and body["error"]["message"] == events["error"]["message"]
    else:
        call = [c["delta"]["tool_calls"] for e in events for c in e["choices"] if c["delta"].get("tool_calls")]
        assert call == [[{"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": arguments}}]]


def test_tool_calls_on_a_stream_are_judged_with_their_text_and_each(guarded, provider):
    """Two calls and a text of one answer: the text matches, the second call does not."""
    gateway, key = guarded(tools=True, schema=PERSON)
    calls = [{"id": f"c{i}", "type": "function", "function": {"name": "look", "arguments": json.dumps({"q": q})}} for i, q in enumerate(["x", 5])]
    for wrong, status in ((calls, 400), (calls[:1], 200)):
        provider.script(chunks=[GOOD[:7], GOOD[7:]], tool_calls=wrong, finish="tool_calls")
        got, events = stream_events(gateway, key, tools=[TOOL])
        assert got == status
        assert status == 200 or "/q: is an integer" in events["error"]["message"]


def test_tool_calls_on_a_stream_are_flagged_or_undeclared(guarded, provider):
    gateway, key = guarded(tools=True, action="flag")
    provider.script(tool_calls=[{"id": "c", "type": "function", "function": {"name": "other", "arguments": "{}"}}], finish="tool_calls")
    assert stream_events(gateway, key, tools=[TOOL])[0] == 200
    assert gateway.traces()[0]["guardrails"][-1]["codes"] == ["schema.tool"]
    provider.script(tool_calls=[{"id": "c", "type": "function", "function": {"arguments": "{}"}}], finish="tool_calls")
    assert stream_events(gateway, key, tools=[TOOL])[0] == 200
    assert gateway.traces()[0]["guardrails"][-1]["codes"] == ["schema.tool"], "a call without a name has no text, and is seen all the same"


def test_a_stream_of_tool_calls_is_judged_as_the_guardrail_in_front_left_it(make_gateway, provider):
    gateway = make_gateway(provider=provider, config={"guardrails": {
        "shape": {"use": "schema", "default_on": True, "tools": True}, "words": {"use": "patterns", "default_on": True, "words": ["kestrel"], "action": "mask"}}})
    key, tool = gateway.key("k"), json.loads(json.dumps(TOOL))
    tool["function"]["parameters"]["properties"]["q"]["maxLength"] = 8
    for said, status in (("kestrel", 400), ("plover", 200)):
        provider.script(tool_calls=[{"id": "c", "type": "function", "function": {"name": "look", "arguments": json.dumps({"q": said})}}], finish="tool_calls")
        assert stream_events(gateway, key, tools=[tool])[0] == status


def test_work_without_end_is_on_errors(guarded, provider):
    gateway, key = guarded()
    provider.script(chunks=["1"])
    loop = {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}
    status, _, body = gateway.chat(key, response_format=asks_for(loop))
    assert status == 500 and body["error"]["code"] == "policy_error"
    provider.script(chunks=['"' + "a" * 40 + 'b"'])
    assert gateway.chat(key, response_format=asks_for({"pattern": "^(a+)+$"}))[0] == 500


# ---- the same as jsonschema ----

# Where Python's regular expressions are not ECMA-262's: $ before a last line break, digits of other scripts.
PYTHONS_OWN = {"^[A-Z]{2}-\\d{3}$"}


def reference(schema):
    jsonschema = pytest.importorskip("jsonschema")
    return jsonschema.Draft202012Validator(schema)


def test_the_cases_of_the_unit_test_are_true():
    n = 0
    for group in json.loads(CASES.read_text()):
        if isinstance(group["schema"], dict) and group["schema"].get("pattern") in PYTHONS_OWN:
            continue
        validator = reference(group["schema"])
        for wanted in ("yes", "no"):
            for value in group[wanted]:
                assert validator.is_valid(value) == (wanted == "yes"), (group["schema"], value)
                n += 1
    assert n > 500


class Random:
    """Schemas and values over a small alphabet, so that they meet."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def value(self, depth=3):
        kind = self.r.randrange(9 if depth else 6)
        if kind < 6:
            return self.r.choice([None, True, False, 0, 1, 2, -1, 1.0, 1.5, 2.25, "", "a", "ab", "abc", "é", "😀b"])
        if kind == 6:
            return [self.value(depth - 1) for _ in range(self.r.randrange(4))]
        return {self.name(): self.value(depth - 1) for _ in range(self.r.randrange(4))}

    def name(self):
        return self.r.choice(["a", "b", "c", "ab", "a/b", "~", ""])

    def some(self, make, least=1):
        return [make() for _ in range(self.r.randrange(least, 4))]

    def schema(self, depth=3):
        if self.r.random() < 0.08:
            return self.r.random() < 0.8
        out = {}
        for _ in range(self.r.randrange(1, 4)):
            name = self.r.choice(self.KEYWORDS if depth else self.SIMPLE)
            out[name] = getattr(self, "k_" + name.replace("$", ""))(depth - 1)
        return out

    def root(self):
        out = self.schema()
        out = out if isinstance(out, dict) else {"allOf": [out]}
        # Definitions refer to later ones only: a loop at one place is endless for both, and told differently.
        out["$defs"] = {f"d{i}": self.schema(1) for i in range(2)}
        self.strip(out["$defs"])
        return out

    def strip(self, j):
        """Takes references out of the definitions."""
        if isinstance(j, dict):
            j.pop("$ref", None)
        for x in j.values() if isinstance(j, dict) else j if isinstance(j, list) else []:
            self.strip(x)

    def k_type(self, _):
        types = ["null", "boolean", "integer", "number", "string", "array", "object"]
        return self.r.choice(types) if self.r.random() < 0.6 else self.r.sample(types, self.r.randrange(1, 4))

    def k_enum(self, _):
        return self.some(lambda: self.value(2))

    def k_const(self, _):
        return self.value(2)

    def number(self, _=None):
        return self.r.choice([-1, 0, 1, 1.5, 2])

    k_minimum = k_maximum = k_exclusiveMinimum = k_exclusiveMaximum = number

    def k_multipleOf(self, _):
        return self.r.choice([1, 2, 0.5, 0.75, 1.5])

    def count(self, _=None):
        return self.r.randrange(4)

    k_minLength = k_maxLength = k_minItems = k_maxItems = k_minProperties = k_maxProperties = k_minContains = k_maxContains = count

    def k_pattern(self, _):
        return self.r.choice(["a", "^a", "b$", "^(a|b)*$", "^.{2}$", "[^a]", "^$", "c+"])

    def k_uniqueItems(self, _):
        return self.r.random() < 0.8

    def k_required(self, _):
        return list({self.name() for _ in range(self.r.randrange(3))})

    def k_properties(self, depth):
        return {self.name(): self.schema(depth) for _ in range(self.r.randrange(1, 4))}

    k_dependentSchemas = k_properties

    def k_patternProperties(self, depth):
        return {self.k_pattern(0): self.schema(depth) for _ in range(self.r.randrange(1, 3))}

    def k_dependentRequired(self, _):
        return {self.name(): self.k_required(0) for _ in range(self.r.randrange(1, 3))}

    def one(self, depth):
        return self.schema(depth)

    k_items = k_contains = k_additionalProperties = k_propertyNames = k_not = k_if = k_then = k_else = one

    def several(self, depth):
        return self.some(lambda: self.schema(depth))

    k_prefixItems = k_allOf = k_anyOf = k_oneOf = several

    def k_ref(self, _):
        return self.r.choice(["#/$defs/d0", "#/$defs/d1"])


Random.SIMPLE = ["type", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
                 "pattern", "minItems", "maxItems", "uniqueItems", "required", "minProperties", "maxProperties", "dependentRequired", "$ref"]
Random.KEYWORDS = Random.SIMPLE + ["properties", "patternProperties", "additionalProperties", "propertyNames", "items", "prefixItems", "contains",
                                   "minContains", "maxContains", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"] * 2


def test_random_schemas_are_judged_as_jsonschema_judges_them(guarded, provider, full):
    gateway, key = guarded(action="flag")
    rng = Random(20261130)
    count = {True: 0, False: 0}
    for _ in range(5000 if full else 400):
        schema = rng.root()
        validator = reference(schema)
        for value in [rng.value() for _ in range(4)]:
            text = json.dumps(value)
            wanted = validator.is_valid(json.loads(text))
            provider.scripts.clear()
            provider.script(chunks=[text])
            status, head, body = gateway.chat(key, response_format=asks_for(schema))
            assert status == 200, (schema, body)
            got = "shape=flag" not in head.get("x-latenza-guardrails", "")
            assert got == wanted, (json.dumps(schema), text, wanted)
            count[wanted] += 1
    assert min(count.values()) > 0.2 * sum(count.values()), count
