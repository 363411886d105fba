"""The official OpenAI SDK for Node, unchanged; the cases stand in sdk.mjs.

SPDX-License-Identifier: MIT
"""

import json
import pathlib
import subprocess

import pytest

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


@pytest.fixture
def node(node_modules, gateway, tmp_path):
    modules = node_modules("openai")
    key = gateway.key("node")
    script = tmp_path / "sdk.mjs"
    script.write_text((pathlib.Path(__file__).parent / "sdk.mjs").read_text())
    (tmp_path / "node_modules").symlink_to(modules)

    def run(case):
        done = subprocess.run(["node", script, case, gateway.base_url, key], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_chat_answers_with_the_providers_text(node):
    assert node("chat") == {"text": "Hello there", "tokens": 12}


def test_a_stream_yields_every_chunk(node, provider):
    provider.script(chunks=["one ", "two"])
    seen = node("stream")
    assert (seen["text"], seen["finish"]) == ("one two", "stop")


def test_a_tool_call_comes_back_whole(node, provider):
    provider.script(tool_calls=[CALL])
    assert node("tools")["call"] == CALL


def test_models_are_listed(node):
    assert {"fake-1", "fake-2"} <= set(node("models")["ids"])


def test_a_wrong_key_is_an_authentication_error(node):
    assert node("wrong_key") == {"error": "AuthenticationError", "status": 401, "code": "invalid_api_key"}


def test_an_unknown_model_is_a_not_found_error(node):
    assert node("unknown_model") == {"error": "NotFoundError", "status": 404, "code": "model_not_found"}


def test_a_stream_that_breaks_off_is_an_error(node, provider):
    provider.script(chunks=["half "], end="cut")
    seen = node("cut")
    assert seen["text"] == "half " and seen["error"] is not None
