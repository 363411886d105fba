"""An OpenAI-compatible server that none of us wrote (npm: @dwmkerr/mock-llm) behind `compatible`.

SPDX-License-Identifier: MIT
"""

import socket
import subprocess
import time

import pytest
from harness.gateway import free_port
from harness.sse import Stream, text_of


@pytest.fixture
def foreign(node_modules, tmp_path):
    program = node_modules("@dwmkerr/mock-llm") / ".bin/mock-llm"
    port = free_port()
    process = subprocess.Popen([program], cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "PORT": str(port), "HOST": "127.0.0.1"},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.1)
    yield f"http://127.0.0.1:{port}/v1"
    process.terminate()
    process.wait()


@pytest.fixture
def behind(make_gateway, foreign):
    return make_gateway(config={"providers": {"mock": {"plugin": "compatible", "base_url": foreign, "price": "free"}}})


def test_it_serves_a_chat(behind):
    status, head, body = behind.chat(behind.key(), model="mock/anything", text="Hello stranger")
    assert status == 200 and body["choices"][0]["message"]["content"] == "Hello stranger"
    assert head["x-latenza-provider"] == "mock"


def test_it_serves_a_stream(behind):
    stream = Stream(behind.port, behind.key(), {"model": "mock/anything", "messages": [{"role": "user", "content": "One two three"}]})
    events = stream.rest()
    assert text_of(events) == "One two three" and events[-1] == "[DONE]"


def test_its_free_answers_cost_nothing(behind):
    key = behind.key("free", budget_monthly_eur=1)
    _, head, _ = behind.chat(key, model="mock/anything")
    assert behind.trace(head["x-request-id"])["cost_nano_eur"] == 0
    assert behind.spent("free") == 0
