"""Frameworks as their users have them: LangChain, OpenAI Agents, Vercel's AI SDK; each only told the gateway's address.

SPDX-License-Identifier: MIT
"""

import asyncio
import json
import pathlib
import subprocess

import pytest

from harness.provider import vector_of

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ghent"}'}}
TOOL_RESULT = "12 °C in Ghent"


def with_a_tool(provider):
    """The model calls the tool, then says what it heard."""
    provider.script(chunks=["It is ", "12 °C."])
    provider.script(tool_calls=[CALL], chunks=[], times=1)


def tool_messages(provider):
    return [(m.get("tool_call_id"), m["content"]) for m in provider.last()["body"]["messages"] if m["role"] == "tool"]


# ---- LangChain ----

@pytest.fixture
def langchain(gateway):
    return pytest.importorskip("langchain_openai", reason="PyPI could not be reached: no langchain-openai package")


@pytest.fixture
def chat(langchain, gateway):
    return langchain.ChatOpenAI(model="fake-1", base_url=gateway.base_url, api_key=gateway.key("lang"), max_retries=0)


def test_langchain_chats(chat):
    answer = chat.invoke("Hello there")
    assert answer.content == "Hello there"
    assert (answer.usage_metadata["input_tokens"], answer.usage_metadata["output_tokens"]) == (7, 5)
    assert answer.response_metadata["finish_reason"] == "stop"


def test_langchain_streams_with_usage(chat, provider):
    provider.script(chunks=["one ", "two"])
    whole = None
    for chunk in chat.stream("Hello there", stream_usage=True):
        whole = chunk if whole is None else whole + chunk
    assert (whole.content, whole.usage_metadata["total_tokens"]) == ("one two", 12)


@pytest.mark.parametrize("streams", [False, True])
def test_langchain_calls_a_tool(chat, provider, streams):
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool

    @tool
    def weather(city: str) -> str:
        """The weather."""
        return f"12 °C in {city}"

    with_a_tool(provider)
    bound, messages = chat.bind_tools([weather]), [HumanMessage("Hello there")]
    if streams:
        answer = None
        for chunk in bound.stream(messages):
            answer = chunk if answer is None else answer + chunk
    else:
        answer = bound.invoke(messages)
    assert [(c["name"], c["args"], c["id"]) for c in answer.tool_calls] == [("weather", {"city": "Ghent"}, "call_1")]
    messages += [answer, *(ToolMessage(weather.invoke(c["args"]), tool_call_id=c["id"]) for c in answer.tool_calls)]
    assert bound.invoke(messages).content == "It is 12 °C."
    assert tool_messages(provider) == [("call_1", TOOL_RESULT)]


def test_langchain_gets_structured_output(chat, provider):
    import pydantic
    weather = pydantic.create_model("Weather", city=(str, ...), celsius=(float, ...))
    provider.script(chunks=['{"city":"Ghent",', '"celsius":12}'])
    answer = chat.with_structured_output(weather, method="json_schema").invoke("Hello there")
    assert answer.model_dump() == {"city": "Ghent", "celsius": 12.0}
    assert provider.last()["body"]["response_format"]["json_schema"]["strict"] is True


def test_langchain_raises_and_retries_what_may_pass(langchain, gateway, provider):
    import openai
    key = gateway.key("lang")
    provider.script(status=503, times=3)  # as often as the gateway tries itself
    patient = langchain.ChatOpenAI(model="fake-1", base_url=gateway.base_url, api_key=key, max_retries=2)
    assert patient.invoke("Hello there").content == "Hello there"
    assert sorted(t["status"] for t in gateway.traces()) == [200, 502]
    with pytest.raises(openai.NotFoundError) as error:
        langchain.ChatOpenAI(model="no-such", base_url=gateway.base_url, api_key=key, max_retries=2).invoke("Hello")
    assert error.value.code == "model_not_found" and len(gateway.traces()) == 3


@pytest.mark.parametrize("given", ["base64", "float"])
def test_langchain_embeds(langchain, gateway, provider, given):
    """Texts as strings: counting tokens beforehand would fetch its table from the network."""
    provider.script(vectors=given)
    embeddings = langchain.OpenAIEmbeddings(model="fake-embed", base_url=gateway.base_url, api_key=gateway.key("lang"),
                                            dimensions=4, check_embedding_ctx_length=False)
    assert embeddings.embed_documents(["one", "two"]) == [pytest.approx(vector_of(t, 4), abs=1e-7) for t in ("one", "two")]
    assert embeddings.embed_query("one") == pytest.approx(vector_of("one", 4), abs=1e-7)


# ---- OpenAI Agents, in its mode for chat completions ----

@pytest.fixture
def agents(gateway):
    agents = pytest.importorskip("agents", reason="PyPI could not be reached: no openai-agents package")
    import openai
    agents.set_tracing_disabled(True)  # it would tell api.openai.com

    def make(**more):
        client = openai.AsyncOpenAI(base_url=gateway.base_url, api_key=gateway.key("agents"), max_retries=0)
        return agents.Agent(name="Agent", instructions="Be brief.",
                            model=agents.OpenAIChatCompletionsModel(model="fake-1", openai_client=client), **more)

    agents.make = make
    return agents


def weather_tool(agents):
    @agents.function_tool
    def weather(city: str) -> str:
        """The weather."""
        return f"12 °C in {city}"
    return weather


def test_agents_chat(agents, gateway):
    done = asyncio.run(agents.Runner.run(agents.make(), "Hello there"))
    assert done.final_output == "Hello there"
    assert (done.context_wrapper.usage.input_tokens, done.context_wrapper.usage.output_tokens) == (7, 5)
    assert [t["status"] for t in gateway.traces()] == [200]


def test_agents_call_a_tool_and_go_on(agents, provider):
    with_a_tool(provider)
    done = asyncio.run(agents.Runner.run(agents.make(tools=[weather_tool(agents)]), "Hello there"))
    assert done.final_output == "It is 12 °C."
    assert tool_messages(provider) == [("call_1", TOOL_RESULT)]


def test_agents_stream_with_a_tool(agents, provider):
    async def go():
        run = agents.Runner.run_streamed(agents.make(tools=[weather_tool(agents)]), "Hello there")
        pieces = [e.data.delta async for e in run.stream_events()
                  if e.type == "raw_response_event" and e.data.type == "response.output_text.delta"]
        return pieces, run.final_output

    with_a_tool(provider)
    assert asyncio.run(go()) == (["It is ", "12 °C."], "It is 12 °C.")
    assert tool_messages(provider) == [("call_1", TOOL_RESULT)]


def test_agents_get_structured_output(agents, provider):
    import pydantic
    weather = pydantic.create_model("Weather", city=(str, ...), celsius=(float, ...))
    provider.script(chunks=['{"city":"Ghent","celsius":12}'])
    done = asyncio.run(agents.Runner.run(agents.make(output_type=weather), "Hello there"))
    assert done.final_output.model_dump() == {"city": "Ghent", "celsius": 12.0}


def test_agents_raise_the_sdks_errors(agents, provider):
    import openai
    provider.script(status=400)
    with pytest.raises(openai.BadRequestError) as error:
        asyncio.run(agents.Runner.run(agents.make(), "Hello there"))
    assert error.value.code == "scripted_400"


# ---- Vercel's AI SDK ----

@pytest.fixture(scope="module")
def node(node_modules, tmp_path_factory):
    modules, folder = node_modules("ai", "@ai-sdk/openai-compatible"), tmp_path_factory.mktemp("node")
    (folder / "frameworks.mjs").write_text((pathlib.Path(__file__).parent / "frameworks.mjs").read_text())
    (folder / "node_modules").symlink_to(modules)
    process = subprocess.Popen(["node", folder / "frameworks.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process
    process.stdin.close()
    assert process.wait(30) == 0


@pytest.fixture(params=["openai", "compatible"])
def ai(request, node, gateway):
    key = gateway.key("ai")

    def run(case):
        asked = {"case": case, "kind": request.param, "baseURL": gateway.base_url, "apiKey": key}
        node.stdin.write(json.dumps(asked) + "\n")
        node.stdin.flush()
        answer = json.loads(node.stdout.readline())
        assert "uncaught" not in answer, answer["uncaught"]
        return answer

    return run


def test_ai_sdk_chats(ai):
    assert ai("text") == {"text": "Hello there", "finish": "stop", "input": 7, "output": 5}


def test_ai_sdk_streams_with_usage(ai, provider):
    provider.script(chunks=["one ", "two"])
    assert ai("stream") == {"text": "one two", "finish": "stop", "input": 7, "output": 5}


@pytest.mark.parametrize("case", ["tools", "stream_tools"])
def test_ai_sdk_calls_a_tool_and_goes_on(ai, provider, case):
    with_a_tool(provider)
    assert ai(case) == {"text": "It is 12 °C.", "results": [["call_1", TOOL_RESULT]]}
    assert [id for id, _ in tool_messages(provider)] == ["call_1"]


def test_ai_sdk_gets_an_object(ai, provider):
    provider.script(chunks=['{"city":"Ghent","celsius":12}'])
    assert ai("object") == {"city": "Ghent", "celsius": 12}
    assert provider.last()["body"]["response_format"]["type"] == "json_schema"


def test_ai_sdk_shows_an_error_inside_a_stream(ai, provider):
    provider.script(chunks=["half "], end="error")
    seen = ai("stream")
    assert seen["text"] == "half " and "scripted end" in seen["error"]


def test_ai_sdk_raises_with_the_status(ai, provider):
    provider.script(status=400)
    told = ai("error")
    assert (told["error"], told["status"], told["message"]) == ("AI_APICallError", 400, "scripted 400")


def test_ai_sdk_retries_what_may_pass(ai, gateway, provider):
    provider.script(status=503, times=3)
    assert ai("retries") == {"text": "Hello there"}
    assert sorted(t["status"] for t in gateway.traces()) == [200, 502]


def test_ai_sdk_does_not_retry_what_cannot_pass(ai, gateway, provider):
    provider.script(status=400)
    assert ai("retries")["status"] == 400 and len(gateway.traces()) == 1


@pytest.mark.parametrize("given", ["base64", "float"])
def test_ai_sdk_embeds(ai, provider, given):
    provider.script(vectors=given)
    seen = ai("embeddings")
    assert seen["vectors"] == [pytest.approx(vector_of(t, 3), abs=1e-7) for t in ("one", "two")] and seen["tokens"] == 7
