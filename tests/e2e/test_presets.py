"""Presets: vendors that speak OpenAI's dialect, by a name; and the members that a preset is made of, written out.

SPDX-License-Identifier: MIT
"""

import json
import pathlib

import pytest

from harness.gateway import PRICES

TABLE = json.loads((pathlib.Path(__file__).resolve().parents[2] / "core/config/presets.json").read_text())
BODY = {"messages": [{"role": "user", "content": "Hello"}], "user": "u", "logprobs": True, "logit_bias": {"1": 2}, "max_tokens": 5}


def behind(provider, **more):
    """A provider's object whose address is the scripted provider's."""
    return {"base_url": f"http://127.0.0.1:{provider.port}", "api_keys": ["env:FAKE_KEY"], "models": [{"id": "m/1-ä", **PRICES}], **more}


def ask(gateway, body=None, path="/v1/chat/completions"):
    status, head, raw = gateway.request("POST", path, {"model": "x/m/1-ä", **(body or BODY)}, gateway.key("app"))
    return status, head, json.loads(raw)


def test_azure_has_its_deployments_path_version_and_header(make_gateway, provider):
    gateway = make_gateway(config={"providers": {"x": behind(provider, preset="azure")}})
    status, head, body = ask(gateway)
    assert status == 200, body
    seen = provider.last()
    assert seen["path"] == "/openai/deployments/m%2F1-%C3%A4/chat/completions?api-version=2024-10-21"
    assert seen["headers"]["api-key"] == gateway.env["FAKE_KEY"] and "authorization" not in seen["headers"]
    provider.embedding_models.append("m/1-ä")
    gateway.change_config(providers={"x": behind(provider, preset="azure", url_query={"api-version": "2025 x&y"}, models=[
        {"id": "m/1-ä", "mode": "embedding", "context_window": 100, "price_input_per_mtok": 1}])})
    gateway.run("reload")
    status, _, body = gateway.request("POST", "/v1/embeddings", {"model": "x/m/1-ä", "input": "a"}, gateway.key("e"))
    assert provider.last()["path"] == "/openai/deployments/m%2F1-%C3%A4/embeddings?api-version=2025%20x%26y"


@pytest.mark.parametrize("model, upstream, facts, newer", [
    ("house", "prod-5", {"base_model": "gpt-5"}, True), ("house", "prod-5", {"capabilities": ["reasoning"]}, True),
    ("gpt-5", "prod-5", {}, True), ("o3-mini", "prod-5", {}, True), ("house", "gpt-5-eu", {}, True),
    ("house", "prod-4", {"base_model": "gpt-4o"}, False), ("gpt-4o", "prod-4", {}, False), ("gpt-5", "gpt-4.1-eu", {}, False)])
def test_a_deployment_of_any_name_gets_the_limit_that_its_model_takes(make_gateway, provider, model, upstream, facts, newer):
    gateway = make_gateway(config={"providers": {"x": behind(provider, preset="azure", models=[
        {"id": model, "upstream_model": upstream, **PRICES, **facts}])}})
    status, _, body = gateway.request("POST", "/v1/chat/completions", {
        "model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5}, gateway.key())
    sent = provider.last()["body"]
    assert status == 200 and (sent.get("max_completion_tokens"), sent.get("max_tokens")) == ((5, None) if newer else (None, 5)), body


def test_a_deployment_that_is_not_there_is_not_the_callers_fault(make_gateway, provider):
    provider.script(status=404, times=1, body={"error": {"code": "DeploymentNotFound", "message": "The API deployment does not exist."}})
    facts = [{"id": "same", **PRICES}]
    gateway = make_gateway(config={"providers": {"a": behind(provider, preset="azure", models=facts),
                                                 "b": behind(provider, preset="azure", models=facts)}})
    status, head, _ = gateway.chat(gateway.key(), model="same")
    assert (status, head["x-latenza-attempts"]) == (200, "2")


@pytest.mark.parametrize("name", TABLE)
def test_every_preset_serves_a_request_with_what_it_takes(make_gateway, provider, name):
    preset = TABLE[name]
    if preset.get("plugin", "compatible") not in ("openai", "compatible"):
        pytest.skip("a wire of its own: test_wires.py")
    gateway = make_gateway(config={"providers": {"x": behind(provider, preset=name)}})
    status, head, body = ask(gateway)
    assert status == 200, body
    sent, dropped = provider.last()["body"], preset.get("drop", [])
    assert not set(sent) & set(dropped)
    assert set(filter(None, head.get("x-latenza-dropped", "").split(","))) == set(BODY) & set(dropped)
    assert {m: sent[m] for m in BODY if m in sent and not m.startswith("max_")} == \
        {m: v for m, v in BODY.items() if m not in dropped and not m.startswith("max_")}
    if "max_tokens_field" in preset:
        assert sent[preset["max_tokens_field"]] == 5


def test_what_the_file_says_goes_before_what_the_preset_says(make_gateway, provider):
    gateway = make_gateway(config={"providers": {"x": behind(provider, preset="groq", drop=["user"], url_path="/v9", auth_header="x-key",
                                                             max_tokens_field="max_tokens")}})
    status, head, body = ask(gateway)
    seen = provider.last()
    assert status == 200 and head["x-latenza-dropped"] == "user" and seen["path"] == "/v9/chat/completions"
    assert "user" not in seen["body"] and seen["body"]["logprobs"] is True and seen["headers"]["x-key"]
    shown = gateway.json("config", "show")["providers"]["x"]
    assert shown["preset"] == "groq" and shown["drop"] == ["user"] and shown["plugin"] == "compatible"


def test_a_stream_of_a_provider_without_stream_options_is_settled_all_the_same(make_gateway, provider):
    gateway = make_gateway(config={"providers": {"x": behind(provider, preset="vllm", drop=["stream_options"], price="listed")}})
    status, head, raw = gateway.request("POST", "/v1/chat/completions", {"model": "x/m/1-ä", **BODY, "stream": True}, gateway.key("s"))
    assert status == 200 and b"[DONE]" in raw and "stream_options" not in provider.last()["body"]
    assert gateway.trace(head["x-request-id"])["attempts"][0]["state"] == "estimated"


def test_a_key_of_the_environment_goes_to_the_vendor_only(make_gateway, provider):
    """A preset's own address gets its usual variable; an address of the file's does not."""
    env = {"GROQ_API_KEY": "sk-groq-secret"}
    gateway = make_gateway(env=env, config={"providers": {"x": {"preset": "groq"}, "y": behind(provider, preset="groq")}})
    known = {p["provider"]: p for p in gateway.json("provider", "list")["providers"]}
    assert known["x"]["keys"] == 1 and known["x"]["base_url"] == TABLE["groq"]["base_url"]
    mine = behind(provider, preset="groq")
    del mine["api_keys"]
    gateway.change_config(providers={"y": mine})
    gateway.run("reload")
    assert gateway.json("provider", "list")["providers"][0]["keys"] == 0


def test_init_finds_every_vendors_key(build, tmp_path):
    import os
    import subprocess
    env = {p["env"]: "sk-x" for p in TABLE.values() if "env" in p} | {"AZURE_OPENAI_ENDPOINT": "https://acme.invalid/"}
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LATENZA_")}
    subprocess.run([build / "latenza", "init", tmp_path / "x"], env=clean | env, check=True, capture_output=True)
    text = (tmp_path / "x/latenza.yaml").read_text()
    assert all(f"env:{p['env']}]" in text for p in TABLE.values() if "env" in p) and "sk-x" not in text
    assert "base_url: env:AZURE_OPENAI_ENDPOINT" in text
    checked = subprocess.run([build / "latenza", "check", tmp_path / "x/latenza.yaml"], env=clean | env, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
