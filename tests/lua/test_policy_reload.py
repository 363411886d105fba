"""Scripts that change while a gateway serves: compiled, checked, tested, swapped; the last good one stays, also over a restart.

SPDX-License-Identifier: MIT
"""

import concurrent.futures
import json
import shutil
import subprocess

import pytest

TEST = "local t = latenza.test\nt.case('says {what}', function() t.equal(t.guardrail('it', {{ text = 'a' }}).message, '{what}') end)\n"


def says(what, name="it"):
    """A guardrail that refuses everything with a word, by which its version is known."""
    return (f"return {{ kind = 'guardrail', name = '{name}', on = {{ 'request' }},\n"
            f"check = function(req) return latenza.block('it', '{what}') end }}\n")


BROKEN = {
    "no Lua": ("return 1 +", "it.lua:1:"),
    "the top level raises": ("\n\nerror('no')", "it.lua:3:"),
    "the top level never ends": ("while true do end", "takes too long"),
    "another kind": ("return { kind = 'sink', name = 'it' }", "kind"),
    "no check": ("return { kind = 'guardrail', name = 'it', on = { 'request' } }", "check"),
    "empty": ("", "it.lua"),
    "too large": ("--" + "x" * (300 << 10), "too large"),
    "another name": (says("two", name="other"), "lua:it"),
    "bytecode": ("\x1bLua\x54", "it.lua"),
}


@pytest.fixture
def served(scripted):
    """A gateway whose script `it` says "one"; what it says now."""
    gateway, key, folder = scripted({"it.lua": says("one")}, {"guardrails": {"g": {"use": "lua:it", "default_on": True}}})

    def now():
        status, _, body = gateway.chat(key)
        assert status == 400, body
        return body["error"]["message"].rsplit(": ", 1)[-1]
    assert now() == "one"
    return gateway, folder, now


def readyz(gateway):
    status, _, body = gateway.get("/readyz")
    assert status == 200
    return body if isinstance(body, dict) else json.loads(body)


def restart(gateway, kill=False):
    if kill:
        gateway.kill()
    else:
        assert gateway.stop() == 0
    gateway.start()


# ---- reload ----

@pytest.mark.parametrize("name", BROKEN)
def test_a_reload_with_a_broken_script_changes_nothing_and_says_so_everywhere(served, name):
    gateway, folder, now = served
    source, why = BROKEN[name]
    (folder / "it.lua").write_text(source)
    assert why in gateway.run("reload", check=False).stderr
    assert now() == "one"
    assert why in readyz(gateway)["config_refused"]
    if name != "another name":  # that is one only for who uses it
        assert [(e["last_good"]) for e in gateway.events("policy.rejected")] == ["serves"]
        assert why in gateway.events("policy.rejected")[0]["reason"]
    assert gateway.events("config.rejected")
    check = gateway.run("check", check=False)
    assert check.returncode == 78 and why in check.stdout + check.stderr
    (folder / "it.lua").write_text(says("two"))
    gateway.run("reload")
    assert now() == "two" and "config_refused" not in readyz(gateway)


def test_the_test_beside_a_script_decides(served):
    gateway, folder, now = served
    (folder / "it_test.lua").write_text(TEST.format(what="three"))
    (folder / "it.lua").write_text(says("two"))
    done = gateway.run("reload", check=False)
    assert done.returncode != 0 and 'its test "says three" fails: it_test.lua:2: got "two", wanted "three"' in done.stderr
    assert now() == "one" and "says three" in gateway.events("policy.rejected")[0]["reason"]
    (folder / "it.lua").write_text(says("three"))
    gateway.run("reload")
    assert now() == "three"


@pytest.mark.parametrize("test, why", [("", "has no case"), ("return +", "it_test.lua:1:"), ("while true do end", "takes too long"),
                                       ("latenza.test.case('c', function() while true do end end)", "takes too long")])
def test_a_test_that_is_broken_refuses_its_script(served, test, why):
    gateway, folder, now = served
    (folder / "it_test.lua").write_text(test)
    (folder / "it.lua").write_text(says("two"))
    assert why in gateway.run("reload", check=False).stderr
    assert now() == "one"


def test_a_script_that_did_not_change_is_not_tested_again(served):
    gateway, folder, now = served
    (folder / "it_test.lua").write_text("this is nothing")
    gateway.run("reload")
    assert now() == "one"


def test_visits_under_way_end_in_the_version_that_they_began_in(scripted, provider):
    slow = ("return { kind = 'guardrail', name = 'it', on = { 'request' }, options = { url = { type = 'string' } },\n"
            "check = function(req, options)\n  latenza.http.get(options.url)\n  return latenza.block('it', 'one')\nend }\n")
    url = f"http://127.0.0.1:{provider.port}/v1/models"
    gateway, key, folder = scripted({"it.lua": slow}, {"guardrails": {"g": {"use": "lua:it", "default_on": True, "deadline_ms": "60s", "url": url}}},
                                    http=[url], timeout_ms="10s")
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        for round in range(5):
            asked = [pool.submit(gateway.chat, key) for _ in range(20)]
            (folder / "it.lua").write_text(slow.replace("'one'", f"'v{round}'"))
            gateway.run("reload")
            told = {(status, answer["error"]["message"].rsplit(": ", 1)[-1]) for status, _, answer in (a.result() for a in asked)}
            assert told <= {(400, said) for said in ("one", *(f"v{i}" for i in range(round + 1)))}
            assert gateway.chat(key)[2]["error"]["message"].endswith(f"v{round}")


# ---- over a restart ----

@pytest.mark.parametrize("kill", [False, True], ids=["stop", "kill -9"])
def test_a_start_with_a_broken_script_serves_the_last_good_one_and_says_so(served, kill):
    gateway, folder, now = served
    (folder / "it.lua").write_text(says("two"))
    gateway.run("reload")
    (folder / "it.lua").write_text("return 1 +")
    restart(gateway, kill)
    assert now() == "two"
    assert "its last good version serves" in readyz(gateway)["config_refused"] and "it.lua:1:" in readyz(gateway)["config_refused"]
    assert gateway.events("policy.rejected")[-1]["last_good"] == "serves"
    assert gateway.run("check", check=False).returncode == 78
    assert gateway.run("reload", check=False).returncode != 0  # a broken file is no news, and no reason to forget
    restart(gateway, kill)
    assert now() == "two"
    (folder / "it.lua").write_text(says("three"))
    gateway.run("reload")
    assert now() == "three" and "config_refused" not in readyz(gateway)


def test_a_script_that_is_gone_or_fails_its_test_is_broken_too(served):
    gateway, folder, now = served
    (folder / "it.lua").unlink()
    restart(gateway)
    assert now() == "one"
    (folder / "it.lua").write_text(says("two"))
    (folder / "it_test.lua").write_text(TEST.format(what="three"))
    restart(gateway)
    assert now() == "one"


def test_modules_are_kept_with_their_script_and_bytes_as_they_were(scripted):
    text = "local words = require('libwords')\n" + says("two").replace("'two'", "words.one .. #words.two")
    gateway, key, folder = scripted({"libwords.lua": "return { one = 'module', two = '' }", "it.lua": text},
                                    {"guardrails": {"g": {"use": "lua:it", "default_on": True}}})
    (folder / "libwords.lua").write_bytes(b"return { one = 'module', two = '\xff\xfe' }")
    gateway.run("reload")
    (folder / "libwords.lua").write_text("return +")
    restart(gateway)
    assert gateway.chat(key)[2]["error"]["message"].endswith("module2")


def test_a_start_with_neither_says_what_is_wrong(served):
    gateway, folder, _ = served
    (folder / "it.lua").write_text("return 1 +")
    assert gateway.stop() == 0
    kept = gateway.data / "policies"
    assert len(list(kept.iterdir())) == 1
    for damage in ("", "{", "[]", "{}", '{"file":"it.lua","text":"!"}', '{"file":"it.lua","text":"cmV0dXJuIDErCg=="}', '{"file":1,"text":2,"modules":3}', "x" * (3 << 20)):
        next(kept.iterdir()).write_text(damage)
        done = subprocess.run([gateway.program, "serve", "-c", gateway.config_path], env=gateway.env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 78 and "it.lua:1:" in done.stderr
    shutil.rmtree(kept)
    done = subprocess.run([gateway.program, "serve", "-c", gateway.config_path], env=gateway.env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 78 and "it.lua:1:" in done.stderr
    (folder / "it.lua").write_text(says("one"))
    gateway.start()


def test_what_the_file_names_no_longer_is_forgotten(served):
    gateway, folder, _ = served
    kept = gateway.data / "policies"
    assert len(list(kept.iterdir())) == 1 and (kept.stat().st_mode & 0o777) == 0o700
    assert (next(kept.iterdir()).stat().st_mode & 0o777) == 0o600
    gateway.change_config(policies=[], guardrails={})
    gateway.run("reload")
    assert list(kept.iterdir()) == []


# ---- bombs beside others ----

BOMBS = {
    "an endless loop": "while true do end",
    "behind pcall": "while true do pcall(function() while true do end end) end",
    "a table that grows": "local t = {} for i = 1, 1e9 do t[i] = { i } end",
    "a string that doubles": "local s = 'x' for i = 1, 60 do s = s .. s end",
    "string.rep": "local s = ('x'):rep(1e9)",
    "a pattern": "local s = ('a'):rep(5000) for i = 1, 1e6 do s:find(('a*'):rep(20) .. 'b') end",
    "sorting without order": "local t = {} for i = 1, 2e5 do t[i] = i end table.sort(t, function() return true end)",
    "recursion": "local function f(n) return 1 + f(n + 1) end f(1)",
    "gsub that grows": "local s = 'x' for i = 1, 40 do s = s:gsub('x', 'xx') end",
    "concat": "local t = {} for i = 1, 1e6 do t[i] = ('x'):rep(1000) end table.concat(t)",
    "metamethods": "local t = setmetatable({}, { __index = function(t, k) return t[k + 1] end }) local x = t[1]",
    "closing": "local t <close> = setmetatable({}, { __close = function() while true do end end })",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_stopped_while_a_hundred_others_are_served(scripted, name):
    """Three of 104 requests meet it: each of them is refused, all others are served. Five would switch the script off."""
    bomb = ("return { kind = 'guardrail', name = 'it', on = { 'request' },\ncheck = function(req)\n"
            f"  if req.user == 'bomb' then\n    {BOMBS[name]}\n  end\n  return latenza.pass()\nend }}\n")
    gateway, key, _ = scripted({"it.lua": bomb}, {"guardrails": {"g": {"use": "lua:it", "default_on": True}}})

    def ask(i):
        body = {"model": "fake-1", "messages": [{"role": "user", "content": "a"}], **({"user": "bomb"} if i % 30 == 29 else {})}
        return i % 30 == 29, gateway.request("POST", "/v1/chat/completions", body, key)[0]
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        came = list(pool.map(ask, range(104)))
    assert [status for is_bomb, status in came if not is_bomb] == [200] * 101
    assert all(status == 500 for is_bomb, status in came if is_bomb)
