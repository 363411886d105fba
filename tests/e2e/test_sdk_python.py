"""The official OpenAI SDK for Python, unchanged: only base_url and api_key differ.

SPDX-License-Identifier: MIT
"""

import json

import pytest

openai = pytest.importorskip("openai", reason="PyPI could not be reached: no openai package")

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ghent"}'}}
HELLO = [{"role": "system", "content": "You are concise."}, {"role": "user", "content": "Hello there"}]


@pytest.fixture
def client(gateway):
    return openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key("sdk"), max_retries=0)


def test_chat_answers_with_the_providers_text(client):
    answer = client.chat.completions.create(model="fake-1", messages=HELLO)
    assert answer.choices[0].message.content == "Hello there"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == 12


def test_the_product_pages_example_runs_with_its_key(gateway, provider):
    key = gateway.key(name="Production backend", rate_limit=120, routing_strategy="balanced",
                      model_allowlist=["fake-1", "claude-3-5-sonnet"], budget_monthly_eur=250, budget_alert_pct=80)
    client = openai.OpenAI(base_url=gateway.base_url, api_key=key)
    answer = client.chat.completions.create(model="fake-1", messages=HELLO)
    assert answer.choices[0].message.content == "Hello there"


def test_a_stream_yields_every_chunk_and_the_usage(client, provider):
    provider.script(chunks=["one ", "two ", "three"])
    chunks = list(client.chat.completions.create(model="fake-1", messages=HELLO, stream=True,
                                                 stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "one two three"
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    assert chunks[-1].usage.completion_tokens == 5


def test_usage_comes_only_when_it_was_asked_for(client, provider):
    chunks = list(client.chat.completions.create(model="fake-1", messages=HELLO, stream=True))
    assert all(c.usage is None for c in chunks)


def test_a_tool_call_comes_back_whole(client, provider):
    provider.script(tool_calls=[CALL])
    answer = client.chat.completions.create(model="fake-1", messages=HELLO, tools=[WEATHER])
    call = answer.choices[0].message.tool_calls[0]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert (call.id, call.function.name, json.loads(call.function.arguments)) == ("call_1", "weather", {"city": "Ghent"})
    assert provider.last()["body"]["tools"] == [WEATHER]


def test_a_tool_call_comes_back_in_a_stream(client, provider):
    provider.script(chunks=[], tool_calls=[CALL])
    chunks = list(client.chat.completions.create(model="fake-1", messages=HELLO, tools=[WEATHER], stream=True))
    calls = [c.choices[0].delta.tool_calls[0] for c in chunks if c.choices and c.choices[0].delta.tool_calls]
    assert "".join(c.function.arguments or "" for c in calls) == CALL["function"]["arguments"]


@pytest.mark.parametrize("number", [None, 0, 1, "0"])
def test_two_calls_of_a_provider_that_counts_wrongly_are_two(client, provider, number):
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "fake-1"}
    parts = [part for call, city in (("a", "Ghent"), ("b", "Bruges")) for part in (
        {"id": call, "type": "function", "function": {"name": "weather", "arguments": '{"city":'}},
        {"function": {"arguments": f'"{city}"}}'}})]
    numbered = {} if number is None else {"index": number}
    provider.script(events=[*[chunk | {"choices": [{"index": 0, "delta": {"tool_calls": [numbered | p]}, "finish_reason": None}]} for p in parts],
                            chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}, "[DONE]"])
    with client.chat.completions.stream(model="fake-1", messages=HELLO, tools=[WEATHER | {"function": WEATHER["function"] | {"strict": True}}]) as s:
        calls = s.get_final_completion().choices[0].message.tool_calls
    assert [(c.id, c.function.name, c.function.arguments) for c in calls] == [
        ("a", "weather", '{"city":"Ghent"}'), ("b", "weather", '{"city":"Bruges"}')]


def test_whole_calls_that_share_a_number_and_have_no_ids_are_two(client, provider):
    """As Gemini sends them."""
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "fake-1"}
    calls = [{"index": 0, "id": "", "type": "function", "function": {"name": "weather", "arguments": f'{{"city":"{city}"}}'}} for city in ("Ghent", "Bruges")]
    provider.script(events=[*[chunk | {"choices": [{"index": 0, "delta": {"tool_calls": [c]}, "finish_reason": None}]} for c in calls],
                            chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}, "[DONE]"])
    with client.chat.completions.stream(model="fake-1", messages=HELLO, tools=[WEATHER | {"function": WEATHER["function"] | {"strict": True}}]) as s:
        calls = s.get_final_completion().choices[0].message.tool_calls
    assert [(c.function.name, c.function.arguments) for c in calls] == [("weather", '{"city":"Ghent"}'), ("weather", '{"city":"Bruges"}')]


def test_a_tools_result_reaches_the_provider(client, provider):
    messages = HELLO + [{"role": "assistant", "content": None, "tool_calls": [CALL]},
                        {"role": "tool", "tool_call_id": "call_1", "content": "12 °C"}]
    client.chat.completions.create(model="fake-1", messages=messages, tools=[WEATHER])
    assert provider.last()["body"]["messages"] == messages


def test_models_are_those_that_the_key_may_use(gateway, provider):
    client = openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key("narrow", model_allowlist=["fake-2"]))
    listed = [m.id for m in client.models.list()]
    assert "fake-2" in listed and "fake-1" not in listed
    assert client.models.retrieve("fake-2").id == "fake-2"
    assert client.models.retrieve("latenza/balanced").id == "latenza/balanced"  # the SDK writes the slash as %2F


def test_a_wrong_key_is_an_authentication_error(gateway):
    client = openai.OpenAI(base_url=gateway.base_url, api_key="lz_live_wrong")
    with pytest.raises(openai.AuthenticationError) as error:
        client.chat.completions.create(model="fake-1", messages=HELLO)
    assert error.value.code == "invalid_api_key"


def test_an_unknown_model_is_a_not_found_error(client):
    with pytest.raises(openai.NotFoundError) as error:
        client.chat.completions.create(model="fake-11", messages=HELLO)
    assert error.value.code == "model_not_found"
    assert "fake-1" in str(error.value)


def test_a_model_outside_the_allowlist_is_a_permission_error(gateway):
    client = openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key("narrow", model_allowlist=["fake-2"]))
    with pytest.raises(openai.PermissionDeniedError) as error:
        client.chat.completions.create(model="fake-1", messages=HELLO)
    assert error.value.code == "model_not_allowed"


def test_nonsense_in_a_field_is_a_bad_request_that_names_it(client, provider):
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model="fake-1", messages="not a list")
    assert error.value.param == "messages"
    assert provider.calls() == 0


def test_a_spent_budget_is_a_rate_limit_error_that_the_sdk_does_not_retry(gateway, provider):
    key = gateway.key("poor", budget_monthly_eur=0)
    client = openai.OpenAI(base_url=gateway.base_url, api_key=key, max_retries=3)
    with pytest.raises(openai.RateLimitError) as error:
        client.chat.completions.create(model="fake-1", messages=HELLO)
    assert error.value.code == "insufficient_quota"
    assert len([t for t in gateway.traces() if t["key"] == "poor"]) == 1
    assert provider.calls() == 0


def test_the_providers_refusal_comes_through(client, provider):
    provider.script(status=400, body={"error": {"message": "too odd", "type": "invalid_request_error",
                                                "param": "temperature", "code": "odd"}})
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model="fake-1", messages=HELLO, temperature=1.5)
    assert (error.value.param, error.value.code) == ("temperature", "odd")


def test_an_error_inside_a_stream_is_raised(client, provider):
    provider.script(chunks=["half "], end="error")
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="fake-1", messages=HELLO, stream=True))


def test_headers_tell_who_served_and_for_how_much(client):
    raw = client.chat.completions.with_raw_response.create(model="fake-1", messages=HELLO)
    assert raw.headers["x-latenza-provider"] == "fake"
    assert raw.headers["x-latenza-model"] == "fake-1"
    assert float(raw.headers["x-latenza-cost-eur"]) == pytest.approx((7 * 1 + 5 * 2) * 0.5 / 1e6)
    assert len(raw.headers["x-request-id"]) == 32


def test_async_client_streams(gateway, provider):
    import asyncio

    async def go():
        async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key=gateway.key("async")) as client:
            stream = await client.chat.completions.create(model="fake-1", messages=HELLO, stream=True)
            return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

    provider.script(chunks=["a", "b", "c"])
    assert asyncio.run(go()) == "abc"
