"""Scripts in a gateway: guardrails and routers in Lua, reloaded, stopped, and beside each other.

SPDX-License-Identifier: MIT
"""

import concurrent.futures
import json

import pytest
from harness.gateway import Failed

REDACT = """
return { kind = "guardrail", name = "redact", on = { "request", "response" },
  options = { word = { type = "string", default = "kestrel" }, block = { type = "boolean", default = false } },
  check = function(req, options)
    for _, part in ipairs(req.texts) do
      local n = part:replace(options.word, function(found) req.slot.n = (req.slot.n or 0) + 1 return "[W" .. req.slot.n .. "]" end)
      if n > 0 and options.block then return latenza.block("word", "a word") end
    end
    latenza.count("seen")
    return latenza.pass()
  end }
"""
CANARY = """
return { kind = "router", name = "canary", options = { first = { type = "string" } },
  pick = function(req, targets, options)
    req.tags.canary = "yes"
    return { targets:of(options.first), targets[1] }
  end }
"""


def guard(**options):
    return {"guardrails": {"g": {"use": "lua:redact", "default_on": True} | options}}


def stream_text(raw):
    lines = [line.removeprefix("data: ") for line in raw.decode().split("\n\n") if line.startswith("data: {")]
    return "".join(c["delta"].get("content") or "" for line in lines for c in json.loads(line).get("choices", []))


def test_a_guardrail_in_lua_masks_prompt_answer_and_stream(scripted, provider):
    gateway, key, _ = scripted({"redact.lua": REDACT}, guard())
    status, head, _ = gateway.chat(key, text="a kestrel and a kestrel")
    assert status == 200
    assert provider.last()["body"]["messages"][0]["content"] == "a [W1] and a [W2]"
    trace = gateway.trace(head["x-request-id"])
    assert trace["guardrails"][0]["verdict"] == "mask" and "kestrel" not in json.dumps(trace)
    for pieces in (["a ke", "str", "el and a kestrel."], list("a kestrel and a kestrel."), ["a kestrel and a kestrel."]):
        provider.script(times=1, chunks=pieces)
        body = {"model": "fake-1", "stream": True, "messages": [{"role": "user", "content": "kestrel"}]}
        status, _, raw = gateway.request("POST", "/v1/chat/completions", body, key)
        # The prompt's was the first: the slot is the request's.
        assert status == 200 and stream_text(raw) == "a [W2] and a [W3]."
    raw = gateway.get("/metrics", port=gateway.admin_port)[2].decode()
    assert "latenza_plugin_lua_redact_seen_total" in raw


def test_a_guardrail_in_lua_blocks(scripted):
    gateway, key, _ = scripted({"redact.lua": REDACT}, guard(block=True))
    status, _, body = gateway.chat(key, text="a kestrel")
    assert status == 400 and "a word" in json.dumps(body)


def test_a_router_in_lua_chooses_and_tags(scripted, provider):
    gateway, key, _ = scripted({"canary.lua": CANARY},
                               {"routers": {"c": {"use": "lua:canary", "first": "fake-1"}}, "routing": {"default": "c"}})
    status, head, _ = gateway.chat(key)
    assert status == 200
    assert gateway.trace(head["x-request-id"])["metadata"]["canary"] == "yes"


EDIT = """return { kind = "guardrail", name = "ed", on = { "request" }, check = function(req)
  req.body.user = "seen"
  req.body.messages[1].content = "short"
  return latenza.pass()
end }
"""


@pytest.mark.parametrize("size", [1000, 70000, 3000000])
def test_a_script_edits_a_body_of_any_size(scripted, provider, size):
    """Of more than 64 KiB its tree is built in the pool, because the source mentions the body."""
    gateway, key, _ = scripted({"ed.lua": EDIT}, {"guardrails": {"ed": {"use": "lua:ed", "default_on": True}}})
    assert gateway.chat(key, text="a" * size)[0] == 200
    sent = provider.last()["body"]
    assert (sent["user"], sent["messages"][0]["content"]) == ("seen", "short")


def test_what_is_wrong_with_a_script_is_said_with_its_place(scripted, tmp_path):
    path = tmp_path / "bad.lua"
    path.write_text("return {\n  kind = 'router'\n  name = 'x' }\n")
    gateway, _, _ = scripted({"redact.lua": REDACT}, guard())
    gateway.change_config(policies=[{"file": str(path)}, {"file": str(tmp_path / "none.lua")}, {"fiel": "x"}],
                          routers={"r": {"use": "lua:x"}})
    with pytest.raises(Failed) as said:
        gateway.run("check")
    text = str(said.value)
    assert "bad.lua:3: '}' expected" in text and "none.lua" in text and 'did you mean "file"?' in text
    assert "among the scripts" not in text  # that follows
    gateway.change_config(policies=[], guardrails={}, routers={"r": {"use": "lua:x"}})
    with pytest.raises(Failed, match='there is no router "lua:x" among the scripts'):
        gateway.run("check")


def test_a_script_that_takes_too_long_is_stopped_and_then_switched_off(scripted):
    bomb = REDACT.replace("for _, part", "if req.model == 'fake-1' then while true do end end for _, part")
    gateway, key, _ = scripted({"redact.lua": bomb}, guard())
    for _ in range(6):
        status, _, body = gateway.chat(key)
        assert status == 500 and body["error"]["code"] == "policy_error"
    log = gateway.logs()
    assert "takes too long" in log and "policy.disabled" in log


def test_a_reload_brings_a_changed_script_and_keeps_one_that_is_not(scripted, provider):
    gateway, key, folder = scripted({"redact.lua": REDACT}, guard())
    gateway.chat(key, text="a kestrel")
    (folder / "redact.lua").write_text(REDACT.replace('"[W"', '"[X"'))
    gateway.run("reload")
    gateway.chat(key, text="a kestrel")
    assert provider.last()["body"]["messages"][0]["content"] == "a [X1]"
    (folder / "redact.lua").write_text("return {")
    with pytest.raises(Failed) as said:
        gateway.run("reload")
    assert "redact.lua:1" in str(said.value)
    gateway.chat(key, text="a kestrel")
    assert provider.last()["body"]["messages"][0]["content"] == "a [X1]"


def test_neighbours_are_served_while_a_script_computes(scripted):
    """The script takes several slices; a hundred requests beside it do not wait for its end."""
    busy = REDACT.replace("for _, part", "if req.headers['x-busy'] then for i = 1, 4500000 do end end for _, part")
    gateway, key, _ = scripted({"redact.lua": busy}, guard(deadline_ms="60s") | {"workers": 1}, cpu_ms="200ms")
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        slow = [pool.submit(gateway.chat, key, headers={"x-busy": "1"}) for _ in range(4)]
        quick = [pool.submit(gateway.chat, key) for _ in range(100)]
        assert all(one.result()[0] == 200 for one in quick + slow)


def test_a_module_beside_the_script_is_part_of_it(scripted, provider):
    text = 'local words = require("libwords")\n' + REDACT.replace("options.word,", "words.first,")
    gateway, key, folder = scripted({"libwords.lua": "return { first = 'heron' }", "redact.lua": text}, guard())
    gateway.chat(key, text="a heron")
    assert provider.last()["body"]["messages"][0]["content"] == "a [W1]"
    (folder / "libwords.lua").write_text("return { first = 'crane' }")
    gateway.run("reload")
    gateway.chat(key, text="a heron, a crane")
    assert provider.last()["body"]["messages"][0]["content"] == "a heron, a [W1]"


def test_a_script_asks_a_server_that_is_granted(scripted, provider):
    text = """
return { kind = "guardrail", name = "redact", on = { "request" }, options = { url = { type = "string", format = "uri" } },
  check = function(req, options)
    local reply, err = latenza.http.get(options.url .. "/v1/models")
    return latenza.block("asked", reply and tostring(reply.status) or err)
  end }
"""
    url = f"http://127.0.0.1:{provider.port}"
    gateway, key, _ = scripted({"redact.lua": text}, guard(url=url), http=[url + "/v1"])
    status, _, body = gateway.chat(key)
    assert status == 400 and body["error"]["message"].endswith(": 200")
    ungranted, key, _ = scripted({"redact.lua": text}, guard(url=url), http=[url + "/v2"])
    status, _, body = ungranted.chat(key)
    assert status == 500 and "is not granted to this script" in ungranted.logs()
