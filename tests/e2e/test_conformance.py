"""What the official OpenAI SDKs expect of a server, point by point, each in Python and in Node, whichever wire the provider
behind the gateway speaks. README.md has the table.

SPDX-License-Identifier: MIT
"""

import json
import os
import pathlib
import subprocess
import time

import pytest

from harness.provider import OpenAI, Provider, vector_of
from harness.replay import CUTS, OURS, Exchange, Replayer
from harness.wires import WIRES

MESSAGES = [{"role": "user", "content": "Hello there"}]
CALL = {"type": "function", "function": {"name": "weather", "arguments": '{"city":"Ghent"}'}}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}}}}


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end and not what():
        time.sleep(0.02)
    return what()


# ---- the cases in Python: the same names and results as in conformance.mjs ----

class Python:
    def __init__(self, base_url, key, model="fake-1", n=1):
        self.openai = pytest.importorskip("openai", reason="PyPI could not be reached: no openai package")
        self.base_url, self.key, self.model, self.n = base_url, key, model, n

    def __call__(self, case, **more):
        self.model, self.n = more.get("model", self.model), more.get("n", self.n)
        return getattr(self, case)()

    def make(self, **more):
        return self.openai.OpenAI(**{"base_url": self.base_url, "api_key": self.key, "max_retries": 0, **more})

    def chat(self, client=None, **more):
        return (client or self.make()).chat.completions.create(**{"model": self.model, "messages": MESSAGES, **more})

    def told(self, e, text=None):
        return {"error": type(e).__name__, "status": getattr(e, "status_code", None), "code": getattr(e, "code", None),
                "type": getattr(e, "type", None), "param": getattr(e, "param", None), "id": getattr(e, "request_id", None),
                "message": str(e), "text": text}

    def failure(self, call):
        try:
            return {"answered": call()}
        except Exception as e:
            return self.told(e)

    def environment(self):
        os.environ.update(OPENAI_BASE_URL=self.base_url, OPENAI_API_KEY=self.key)
        try:
            return {"text": self.chat(self.openai.OpenAI()).choices[0].message.content}
        finally:
            del os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"]

    def request_id(self):
        client = self.make()
        with client.chat.completions.with_streaming_response.create(model=self.model, messages=MESSAGES, stream=True) as s:
            stream = s.request_id
            list(s.parse())
        return {"whole": self.chat(client)._request_id, "stream": stream,
                "list": client.models.with_raw_response.list().request_id,
                "error": self.failure(lambda: self.chat(client, messages=[]))["id"]}

    def error(self):
        return self.failure(self.chat)

    def bad_field(self):
        return self.failure(lambda: self.chat(messages="no"))

    def wrong_key(self):
        return self.failure(lambda: self.chat(self.make(api_key="lz_live_wrong")))

    def retries(self):
        return self.failure(lambda: self.chat(self.make(max_retries=2)))

    def stream(self):
        text, finish, usage = "", [], None
        try:
            for chunk in self.chat(stream=True, stream_options={"include_usage": True}):
                for c in chunk.choices:
                    text += (c.delta.content or "") if c.index == 0 else ""
                    finish += [c.finish_reason] if c.finish_reason else []
                usage = chunk.usage or usage
        except Exception as e:
            return self.told(e, text)
        return {"text": text, "finish": finish, "usage": usage and usage.model_dump(exclude_none=True)}

    def helper(self):
        with self.make().chat.completions.stream(model=self.model, messages=MESSAGES, n=self.n,
                                                 stream_options={"include_usage": True}) as stream:
            for _ in stream:
                pass
            answer = stream.get_final_completion()
        return {"choices": [{"index": c.index, "text": c.message.content, "finish": c.finish_reason,
                             "calls": [[t.id, t.function.name, t.function.arguments] for t in c.message.tool_calls or []]}
                            for c in answer.choices], "usage": answer.usage and answer.usage.model_dump(exclude_none=True)}

    def parse(self):
        import pydantic
        weather = pydantic.create_model("weather", city=(str, ...), celsius=(float, ...))
        try:
            answer = self.make().chat.completions.parse(model=self.model, messages=MESSAGES, response_format=weather)
            return {"parsed": answer.choices[0].message.parsed.model_dump()}
        except Exception as e:
            return self.told(e)

    def run_tools(self):
        """This SDK has no runner: the loop that its manual shows."""
        client, messages = self.make(), list(MESSAGES)
        while True:
            message = self.chat(client, messages=messages, tools=[WEATHER]).choices[0].message
            messages.append(message)
            if not message.tool_calls:
                return {"text": message.content}
            messages += [{"role": "tool", "tool_call_id": c.id, "content": f"12 °C in {json.loads(c.function.arguments)['city']}"}
                         for c in message.tool_calls]

    def timeout(self):
        return self.failure(lambda: self.chat(self.make(timeout=0.3)))

    def abort(self):
        import asyncio

        async def go():
            async with self.openai.AsyncOpenAI(base_url=self.base_url, api_key=self.key, max_retries=0) as client:
                await asyncio.wait_for(client.chat.completions.create(model=self.model, messages=MESSAGES), 0.3)
        try:
            asyncio.run(go())
        except asyncio.TimeoutError:
            return {"error": "cancelled"}

    def abort_stream(self):
        n = 0
        with self.make() as client:
            for chunk in self.chat(client, stream=True):
                n += bool(chunk.choices and chunk.choices[0].delta.content)
                if n == 2:
                    break
        return {"n": n}

    def embeddings(self):
        client = self.make()

        def embed(input, **more):
            return client.embeddings.create(model="fake-embed", input=input, dimensions=4, **more)
        one = embed(["one", "two"])
        return {"default": [d.embedding for d in one.data], "usage": one.usage.model_dump(),
                "float": [d.embedding for d in embed(["one", "two"], encoding_format="float").data],
                "tokens": [d.embedding for d in embed([[5, 6], [7]]).data]}

    def models(self):
        client = self.make()
        return {"listed": [m.model_dump() for m in client.models.list()],
                "one": client.models.retrieve("latenza/balanced").model_dump()}

    def responses(self):
        return self.failure(lambda: self.make().responses.create(model=self.model, input="x"))


class Node:
    """One process for all cases; each takes a line and answers with one."""

    def __init__(self, modules, folder):
        (folder / "conformance.mjs").write_text((pathlib.Path(__file__).parent / "conformance.mjs").read_text())
        (folder / "node_modules").symlink_to(modules)
        self.process = subprocess.Popen(["node", folder / "conformance.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def ask(self, **what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "uncaught" not in answer, answer["uncaught"]
        return answer

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0


DIALECTS = {"openai": OpenAI(), **{wire.name: wire.scripted for wire in WIRES.values() if wire.scripted}}
only_openai = pytest.mark.parametrize("dialect", ["openai"], indirect=True)


@pytest.fixture(params=DIALECTS)
def dialect(request):
    """What the scripted provider speaks."""
    return DIALECTS[request.param]


@pytest.fixture
def provider(dialect):
    with Provider(dialect=dialect) as p:
        yield p


@pytest.fixture(scope="module", params=["python", "node"])
def language(request):
    return request.param


@pytest.fixture(scope="module")
def node(language, node_modules, tmp_path_factory):
    if language == "python":
        yield None
        return
    process = Node(node_modules("openai", "zod"), tmp_path_factory.mktemp("node"))
    yield process
    process.close()


@pytest.fixture
def make_sdk(node):
    def make(base_url, key):
        if node is None:
            return Python(base_url, key)
        return lambda case, model="fake-1", n=1: node.ask(case=case, baseURL=base_url, apiKey=key, model=model, n=n)
    return make


@pytest.fixture
def sdk(make_sdk, gateway):
    return make_sdk(gateway.base_url, gateway.key("sdk"))


@pytest.fixture
def replay(make_sdk, make_gateway):
    """One of our recordings behind the gateway, cut in one of five ways."""
    replayer = Replayer()
    gateway = make_gateway(config={"providers": {"recorded": {"plugin": "openai", "base_url": replayer.base_url,
                                                              "api_keys": ["k"], "models": ["gpt-4o"]}}})
    sdk = make_sdk(gateway.base_url, gateway.key("sdk"))

    def run(name, case, cut="at random", n=1):
        replayer.exchange, replayer.cut = Exchange(OURS, name), CUTS[cut]
        return sdk(case, model="gpt-4o", n=n)

    yield run
    replayer.close()


# ---- 1: the address, and what is sent along ----

def test_1_base_url_and_key_may_come_from_the_environment(sdk, gateway, provider):
    assert sdk("environment") == {"text": "Hello there"}
    head = provider.last()["headers"]
    assert provider.dialect.key(head) == gateway.env["FAKE_KEY"]
    assert not [name for name in head if name.startswith("x-stainless")]  # nothing of the client's reaches the provider


# ---- 2: request ids ----

def test_2_every_answer_error_and_stream_has_its_request_id(sdk, gateway):
    ids = sdk("request_id")
    assert all(len(i or "") == 32 for i in ids.values()), ids
    assert len(set(ids.values())) == 4
    assert {ids["whole"], ids["stream"], ids["error"]} <= {t["id"] for t in gateway.traces()}


# ---- 3: errors by status ----

ERRORS = [  # what the provider answers; what the SDK raises, status and code; None: the dialect's own
    (400, "BadRequestError", 400, None), (401, "InternalServerError", 502, "upstream_credentials"),
    (403, "InternalServerError", 502, "upstream_credentials"), (404, "NotFoundError", 404, None),
    (409, "InternalServerError", 502, "all_attempts_failed"), (413, "APIStatusError", 413, None),
    (422, "UnprocessableEntityError", 422, None), (429, "RateLimitError", 429, "upstream_rate_limited"),
    (500, "InternalServerError", 502, "all_attempts_failed"), (503, "InternalServerError", 502, "all_attempts_failed")]


@pytest.mark.parametrize("given,error,status,code", ERRORS)
def test_3_errors_are_raised_by_their_status(sdk, language, provider, given, error, status, code):
    provider.script(status=given)
    told = sdk("error")
    if language == "node" and error == "APIStatusError":
        error = "APIError"
    assert (told["error"], told["status"], told["code"]) == (error, status, code or provider.dialect.codes[given])
    assert told["type"] and len(told["id"]) == 32


@only_openai
def test_3_our_own_refusals_are_raised_too(sdk, gateway, provider):
    told = sdk("bad_field")
    assert (told["error"], told["param"], told["type"]) == ("BadRequestError", "messages", "invalid_request_error")
    told = sdk("wrong_key")
    assert (told["error"], told["code"]) == ("AuthenticationError", "invalid_api_key")
    gateway.run("key", "disable", "sdk")
    assert sdk("error")["error"] == "AuthenticationError"
    assert provider.calls() == 0


@only_openai
def test_3_a_key_without_the_right_is_a_permission_error(make_sdk, gateway):
    sdk = make_sdk(gateway.base_url, gateway.key("narrow", model_allowlist=["fake-2"]))
    told = sdk("error")
    assert (told["error"], told["status"], told["code"]) == ("PermissionDeniedError", 403, "model_not_allowed")


def test_3_a_providers_page_in_html_becomes_json(sdk, provider):
    provider.script(status=502, raw=b"<html>Bad Gateway</html>", headers={"content-type": "text/html"})
    told = sdk("error")
    assert (told["status"], told["code"]) == (502, "all_attempts_failed") and "<html" not in told["message"]


# ---- 4: retries ----

def test_4_what_may_pass_is_tried_three_times(sdk, gateway, provider):
    provider.script(status=503)
    assert sdk("retries")["status"] == 502
    assert len(gateway.traces()) == 3


def test_4_a_retry_that_works_is_an_answer(sdk, gateway, provider):
    provider.script(status=429, times=3)  # as often as the gateway tries itself; the caller is told to wait
    assert sdk("retries")["answered"]
    assert sorted(t["status"] for t in gateway.traces()) == [200, 429]


@pytest.mark.parametrize("settings,code", [({"budget_monthly_eur": 0}, "insufficient_quota"),
                                           ({"model_allowlist": []}, "model_not_allowed")])
def test_4_what_cannot_pass_is_tried_once(make_sdk, gateway, provider, settings, code):
    sdk = make_sdk(gateway.base_url, gateway.key("poor", **settings))
    assert sdk("retries")["code"] == code
    assert len(gateway.traces()) == 1 and provider.calls() == 0


@pytest.mark.parametrize("given,code", [(401, "upstream_credentials"), (400, None)])
def test_4_a_providers_last_word_is_tried_once(sdk, gateway, provider, given, code):
    provider.script(status=given)
    assert sdk("retries")["code"] == (code or provider.dialect.codes[given]) and len(gateway.traces()) == 1


def test_4_a_long_retry_after_is_cut(gateway, provider):
    """An SDK obeys it, and would sleep for an hour."""
    provider.script(status=429, headers={"retry-after": "3600", "x-should-retry": "true"})
    status, head, _ = gateway.chat(gateway.key("app"))
    assert (status, head["retry-after"]) == (429, "60") and "x-should-retry" not in head


# ---- 5: streams ----

@pytest.mark.parametrize("name,cut", [*(("stream-text", cut) for cut in CUTS), ("stream-usage-crlf", "inside characters"),
                                      ("stream-empty-frames", "byte by byte")])
def test_5_comments_crlf_empty_frames_and_cuts_change_nothing(replay, name, cut):
    seen = replay(name, "stream", cut)
    assert (seen["text"], seen["finish"]) == ('Grüße 🦊 "zurück"\n', ["stop"])
    if name != "stream-empty-frames":
        assert seen["usage"]["total_tokens"] == 13


def test_5_an_error_inside_a_stream_is_raised_with_its_code(sdk, provider):
    provider.script(chunks=["half "], end="error")
    told = sdk("stream")
    assert (told["error"], told["text"], told["code"]) == ("APIError", "half ", "stream_interrupted")
    assert told["type"] == "upstream_error"


@pytest.mark.parametrize("end", ["cut", "reset"])
def test_5_a_stream_that_breaks_off_is_an_error(sdk, provider, end):
    provider.script(chunks=["half "], end=end)
    told = sdk("stream")
    assert (told["error"], told["text"]) == ("APIError", "half ")


def test_5_a_stream_without_done_is_whole_all_the_same(sdk, provider):
    provider.script(chunks=["all of it"], end="no done")
    seen = sdk("stream")
    assert (seen["text"], seen["finish"], seen["usage"]["completion_tokens"]) == ("all of it", ["stop"], 5)


# ---- 6: the streaming helper ----

def test_6_a_missing_finish_reason_is_filled_in(replay):
    answer = replay("stream-no-finish", "helper")["choices"][0]
    assert (answer["text"], answer["finish"]) == ('Grüße 🦊 "zurück"\n', "stop")


def test_6_tool_calls_that_begin_at_1_are_put_right(replay):
    answer = replay("stream-tools-from-1", "helper")["choices"][0]
    assert answer["finish"] == "tool_calls"
    assert answer["calls"] == [["call_1", "weather", '{"city":"Köln"}'], ["call_2", "weather", "{}"]]


def test_6_two_choices_keep_their_places(replay):
    choices = sorted(replay("stream-n2", "helper", n=2)["choices"], key=lambda c: c["index"])
    assert [(c["text"], c["finish"]) for c in choices] == [("äö", "stop"), ("a", "stop")]


def test_6_choices_that_nobody_asked_for_are_passed_on(replay):
    """Two came where one was asked for: what is paid for is not hidden. core/call/README.md."""
    choices = replay("stream-n2", "helper", n=1)["choices"]
    assert sorted(c["text"] for c in choices) == ["a", "äö"]


def test_6_usage_comes_with_the_last_chunk(replay):
    assert replay("stream-usage-crlf", "helper")["usage"] == {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


# ---- 7: structured output ----

def test_7_structured_output_is_asked_for_strictly_and_parsed(sdk, provider):
    provider.script(chunks=['{"city":"Gent","celsius":', "12}"])
    assert sdk("parse") == {"parsed": {"city": "Gent", "celsius": 12}}
    assert set(provider.dialect.schema(provider.last()["body"])["properties"]) == {"city", "celsius"}


@pytest.mark.parametrize("finish,error", [("length", "LengthFinishReasonError"),
                                          ("content_filter", "ContentFilterFinishReasonError")])
def test_7_an_answer_that_ended_too_early_is_an_error(sdk, provider, finish, error):
    provider.script(chunks=['{"city":'], finish=finish)
    assert sdk("parse")["error"] == error


# ---- 8: tools ----

def test_8_the_assistants_message_goes_back_with_its_ids(sdk, provider):
    call = {"id": provider.dialect.call_id, **CALL}
    provider.script(chunks=["It is 12 °C."])
    provider.script(tool_calls=[call], times=1)
    assert sdk("run_tools") == {"text": "It is 12 °C."}
    calls, results = provider.dialect.tools_used(provider.last()["body"])
    assert calls == [(call["id"], "weather", {"city": "Ghent"})]
    assert results == [(call["id"], "12 °C in Ghent")]


@pytest.mark.parametrize("dialect", [name for name, d in DIALECTS.items() if d.signed], indirect=True)
def test_8_what_a_provider_signed_goes_back_with_the_message(sdk, provider):
    provider.script(chunks=["It is 12 °C."])
    provider.script(body=provider.dialect.signed_answer({"id": provider.dialect.call_id, **CALL}), times=1)
    assert sdk("run_tools") == {"text": "It is 12 °C."}
    assert provider.dialect.signed_back(provider.last()["body"]) == provider.dialect.signed


# ---- 9: time, and leaving ----

def left(sdk, language, how):
    """What the SDK says of a call that its own signal ends. Node 18's fetch() holds the signal weakly: when its collector runs
    in between, nobody is told of the end, and the client waits for the whole answer. That is no departure that a server
    could see, and so it is tried once more."""
    said = sdk(how)["error"]
    return sdk(how)["error"] if (language, said) == ("node", "InternalServerError") else said


def test_9_a_timeout_is_the_sdks_own_error_and_ends_the_providers_call(sdk, language, provider):
    provider.script(delay=30)
    assert left(sdk, language, "timeout") == {"python": "APITimeoutError", "node": "APIConnectionTimeoutError"}[language]
    assert wait_for(lambda: provider.cancelled == 1)


def test_9_an_aborted_call_ends_the_providers_call(sdk, language, provider):
    provider.script(delay=30)
    assert left(sdk, language, "abort") == {"python": "cancelled", "node": "APIUserAbortError"}[language]
    assert wait_for(lambda: provider.cancelled == 1)


def test_9_a_stream_that_is_left_ends_the_providers_stream(sdk, gateway, provider):
    provider.script(chunks=["x "] * 2000, pace=0.02)
    assert sdk("abort_stream") == {"n": 2}
    assert wait_for(lambda: provider.cancelled == 1)
    assert wait_for(lambda: gateway.metrics()["latenza_requests_in_flight"] == 0)


# ---- 10: embeddings ----

@only_openai
@pytest.mark.parametrize("given", ["base64", "float", None])
def test_10_embeddings_are_decoded_whatever_the_provider_writes(sdk, provider, given):
    provider.script(vectors=given)
    seen = sdk("embeddings")
    for form, texts in (("default", ["one", "two"]), ("float", ["one", "two"]), ("tokens", [[5, 6], [7]])):
        assert seen[form] == [pytest.approx(vector_of(text, 4), abs=1e-7) for text in texts]
    assert seen["usage"] == {"prompt_tokens": 7, "total_tokens": 7}


# ---- 11: models, and what is not there yet ----

@only_openai
def test_11_models_have_openais_four_members(sdk):
    seen = sdk("models")
    assert {"fake-1", "fake-2", "fake-embed", "latenza/balanced"} <= {m["id"] for m in seen["listed"]}
    assert all(m["object"] == "model" and isinstance(m["created"], int) and m["owned_by"] for m in seen["listed"])
    assert seen["one"]["id"] == "latenza/balanced"


@only_openai
def test_11_the_responses_api_is_an_unknown_url(sdk):
    told = sdk("responses")
    assert (told["error"], told["status"], told["code"]) == ("NotFoundError", 404, "unknown_url")
