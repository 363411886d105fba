"""`latenza policy`: scripts made, checked, tested, tried and measured, without a gateway.

SPDX-License-Identifier: MIT
"""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

SCRIPTS = pathlib.Path(__file__).parents[2] / "scripts"
LUA = sorted(SCRIPTS.glob("*/*.lua"))
POLICIES = [p for p in LUA if not p.stem.endswith("_test")]


@pytest.fixture
def policy(build, tmp_path):
    """Runs `latenza policy ...` in an empty folder, and looks at its exit code."""
    def run(*words, code=0, stdin=None):
        done = subprocess.run([build / "latenza", "policy", *map(str, words)], cwd=tmp_path, text=True, input=stdin, capture_output=True,
                              timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code in (0, 3) else done.stdout + done.stderr
    return run


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def guardrail(body, more=""):
    return f"return {{ kind = 'guardrail', name = 'it', summary = 's', on = {{ 'request', 'response' }}, {more}\ncheck = function(req, options)\n{body}\nend }}\n"


# ---- what we ship ----

def test_the_scripts_that_we_ship_pass_their_tests(policy):
    told = json.loads(policy("test", SCRIPTS, "-o", "json"))
    assert told["failed"] == 0 and told["passed"] >= 38
    assert {pathlib.Path(c["file"]).name for c in told["cases"]} == {p.name for p in LUA if p not in POLICIES}


@pytest.mark.parametrize("path", POLICIES, ids=lambda p: p.stem)
def test_a_script_that_we_ship_has_nothing_to_be_looked_at(policy, path):
    assert policy("check", path).startswith("ok ")


# ---- test ----

def test_a_case_that_fails_says_where_and_what(policy, tmp_path):
    write(tmp_path, "it.lua", guardrail("return latenza.pass()"))
    write(tmp_path, "it_test.lua", "local t = latenza.test\nt.case('fine', function() t.equal(1, 1) end)\n"
          "t.case('not fine', function()\n  t.equal(t.guardrail('it', { text = 'a' }).texts, { 'b' })\nend)\n")
    told = policy("test", code=1)
    assert "ok   it_test.lua: fine\n" in told and "FAIL it_test.lua: not fine\n" in told
    assert 'it_test.lua:4: got ["a"], wanted ["b"]' in told and "1 of 2 cases passed" in told
    rows = json.loads(policy("test", "-o", "json", code=1))
    assert [c["ok"] for c in rows["cases"]] == [True, False] and (rows["passed"], rows["failed"]) == (1, 1)


def test_files_and_folders_are_named_in_any_way_and_each_runs_once(policy, tmp_path):
    (tmp_path / "in/deep").mkdir(parents=True)
    write(tmp_path, "in/deep/it.lua", guardrail("return latenza.pass()"))
    write(tmp_path, "in/deep/it_test.lua", "latenza.test.case('c', function() end)")
    for words in (["in"], ["in/deep/it.lua"], ["in/deep/it_test.lua"], ["in", "in/deep/it.lua", "in/deep/it_test.lua"], []):
        assert "1 of 1 cases passed" in policy("test", *words)


@pytest.mark.parametrize("test, said", [
    ("", "has no case"),
    ("latenza.test.case('c')", "function expected"),
    ("latenza.test.case('c', function() while true do end end)", "takes too long"),
    ("latenza.test.case('c', function() local s = {} for i = 1, 1e9 do s[i] = {} end end)", "too"),
    ("latenza.test.case('c', function() latenza.test.guardrail('other') end)", "there is no guardrail 'other'"),
    ("latenza.test.case('c', function() latenza.test.router('it') end)", "there is no router 'it'"),
    ("latenza.test.case('c', function() latenza.test.guardrail('it', { txt = 'a' }) end)", "did you mean 'text'"),
    ("latenza.test.case('c', function() latenza.test.guardrail('it', { options = { nope = 1 } }) end)", "nope"),
    ("latenza.test.case('c', function() latenza.http.get('https://a.example') end)", "a test calls nobody"),
    ("latenza.test.case('c', function() io.open('/etc/passwd') end)", "io"),
    ("this is no Lua", "it_test.lua:1:"),
    ("for i = 1, 1e9 do end latenza.test.case('c', function() end)", "takes too long"),
])
def test_a_test_that_is_nonsense_fails_with_a_reason(policy, tmp_path, test, said):
    write(tmp_path, "it.lua", guardrail("return latenza.pass()"))
    write(tmp_path, "it_test.lua", test)
    assert said in policy("test", code=1)


def test_the_visits_of_a_case_count_in_what_it_may_cost(policy, tmp_path):
    """Otherwise a test could run for minutes: each visit has a budget of its own."""
    write(tmp_path, "it.lua", guardrail("for i = 1, 500000 do end\nreturn latenza.pass()"))
    write(tmp_path, "it_test.lua", "latenza.test.case('c', function() for i = 1, 1e5 do latenza.test.guardrail('it', { text = 'a' }) end end)")
    assert "takes too long" in policy("test", code=1)


def test_a_script_that_does_not_load_is_one_failure(policy, tmp_path):
    write(tmp_path, "it.lua", "return 1 +")
    write(tmp_path, "it_test.lua", "latenza.test.case('c', function() end)")
    assert "its script loads\n     it.lua:1:" in policy("test", code=1)


@pytest.mark.parametrize("words, said", [
    (["nowhere"], "nowhere: No such file"),
    (["alone.lua"], "there is no test beside it"),
    (["text.txt"], "is no folder, no NAME.lua and no NAME_test.lua"),
    (["empty"], "there is no NAME_test.lua in empty"),
    ([], "there is no NAME_test.lua in this folder"),
])
def test_where_there_is_nothing_to_test_that_is_said(policy, tmp_path, words, said):
    write(tmp_path, "alone.lua", guardrail("return latenza.pass()"))
    write(tmp_path, "text.txt", "")
    (tmp_path / "empty").mkdir()
    assert said in policy("test", *words, code=1)


# ---- check ----

def test_check_tells_what_is_to_be_looked_at(policy, tmp_path):
    write(tmp_path, "it.lua", "return { kind = 'guardrail', name = 'it', on = { 'request' },\n"
          "options = { a = { type = 'string', default = '' } }, check = function() return latenza.pass() end }")
    told = policy("check", "it.lua", code=3)
    assert "option 'a' has no help" in told and "no test beside it" in told and "use: lua:it" in told


@pytest.mark.parametrize("source, said", [
    ("return 1 +", "bad.lua:1:"),
    ("\n\nlocal a = b.c", "bad.lua:3:"),
    ("return {}", "bad.lua"),
    ("return { kind = 'sink', name = 'a' }", "kind"),
    ("while true do end", "takes too long"),
    ("return require('nothing')", "bad.lua:1:"),
    ("\x1bLua", "bad.lua"),
])
def test_check_says_file_and_line(policy, tmp_path, source, said):
    write(tmp_path, "bad.lua", source)
    told = policy("check", "bad.lua", code=1)
    assert told.startswith("FAIL bad.lua: ") and said in told


def errors(policy, *files):
    told = json.loads(policy("check", *files, "-o", "json", code=1))
    return [row["what"] for row in told if not row["ok"]]


def test_check_says_all_that_is_wrong_at_once_each_with_its_line(policy, tmp_path):
    write(tmp_path, "bad.lua", """local helper = 1
return {
  kind = 'guardrail',
  name = 'Not A Name',
  summary = 'two\\nlines',
  on = { 'request', 'answer' },
  overlap = -1,
  chekc = 1,
  pick = 2,
  options = {
    many = { type = 'integer', default = 'x' },
    fine = { type = 'boolean', default = true },
    kind = { type = 'strin' },
    ['Up'] = { type = 'string' },
    none = 5,
  },
  check = function(req)
    print(hepler)
    return latenza.pas(), latenza.blokc()
  end,
}
""")
    assert sorted(errors(policy, "bad.lua"), key=lambda e: (int(e.split(":")[1]), e)) == [
        'bad.lua:4: name is "Not A Name"; a-z, 0-9, - and _ make one, of at most 60',
        "bad.lua:5: summary is one line of at most 200 bytes",
        'bad.lua:6: on has an entry that is no phase; write on = { "request" }, { "response" } or both',
        "bad.lua:7: overlap is a number of bytes, from 0 to 65536",
        "bad.lua:8: the table that it returns has 'chekc'; did you mean 'check'?",
        "bad.lua:9: the table that it returns has 'pick', which a guardrail does not have",
        "bad.lua:11: option many: default is a string; write a whole number",
        'bad.lua:13: option kind: type is "strin"; it must be boolean, integer, number, string, array or object',
        "bad.lua:14: options has an entry whose name is not made of a-z, 0-9 and _, beginning with a letter",
        "bad.lua:15: option none: is a number; write { type = ..., default = ... }",
        "bad.lua:18: 'hepler' is not declared; did you mean helper?",
        "bad.lua:18: 'print' is not declared; write latenza.log.info(...)",
        "bad.lua:19: latenza has no 'blokc'; did you mean latenza.block?",
        "bad.lua:19: latenza has no 'pas'; did you mean latenza.pass?",
    ]


def test_check_says_the_syntax_of_every_file_of_a_script_first(policy, tmp_path):
    write(tmp_path, "bad.lua", "local a, b = require('one'), require('two')\nreturn {} {}")
    write(tmp_path, "one.lua", "return 1 +")
    write(tmp_path, "two.lua", "return xyzzy")
    told = errors(policy, "bad.lua")
    assert [e.split(" ")[0] for e in told] == ["bad.lua:2:", "one.lua:1:"]


def test_check_does_not_tell_what_follows_from_what_it_told(policy, tmp_path):
    """The top level stops at the name that is not there; what stands below is not read."""
    write(tmp_path, "bad.lua", "local a = xyzzy.b\nlocal c = a()\nreturn { kind = 'sink' }")
    assert errors(policy, "bad.lua") == ["bad.lua:1: 'xyzzy' is not declared; write: local xyzzy"]
    write(tmp_path, "twice.lua", "return { kind = 'sink', chekc = xyzzy, name = 'x', on = xyzzy }")
    assert errors(policy, "twice.lua") == ["twice.lua:1: 'xyzzy' is not declared; write: local xyzzy"]
    write(tmp_path, "kind.lua", "return { kind = 'sink', name = 'A', pick = 1, check = 2 }")
    assert [e.split()[1] for e in errors(policy, "kind.lua")] == ["kind", "name"]


def test_check_goes_on_with_the_next_file(policy, tmp_path):
    write(tmp_path, "one.lua", "return {}")
    write(tmp_path, "two.lua", "return 5")
    assert errors(policy, "one.lua", "two.lua") == [
        'one.lua:1: kind is missing; write kind = "..." into the table that the script returns',
        'one.lua:1: name is missing; write name = "..." into the table that the script returns',
        "two.lua:1: the script returns a number; end it with return { kind = ..., name = ..., ... }"]


def test_the_check_of_a_configuration_tells_a_broken_script_once(build, tmp_path):
    """Not also that nobody is called as the script would have been, nor that its instances are missing."""
    def checked(**more):
        config = {"data": str(tmp_path / "data"), "providers": {"echo": {"test": True}}, "policies": [{"file": "it.lua"}],
                  "guardrails": {"g": {"use": "lua:it", "default_on": True}}, "routers": {"r": {"use": "lua:turn"}}, "routing": {"default": "r"}, **more}
        write(tmp_path, "latenza.yaml", json.dumps(config))
        done = subprocess.run([build / "latenza", "check", "-c", tmp_path / "latenza.yaml", "-o", "json"], text=True, capture_output=True, timeout=60)
        return json.loads(done.stdout)["errors"]

    write(tmp_path, "it.lua", "return { kind = 'guardrail', name = 'it', on = {}, check = function() return lantenza.pass() end }")
    told = checked()
    assert len(told) == 2 and all("policies[0].file: it.lua:1: " in e for e in told)
    assert "'lantenza' is not declared" in told[0] and "on is empty" in told[1]
    write(tmp_path, "it.lua", guardrail("return latenza.pass()"))
    told = checked()
    assert len(told) == 1 and 'there is no router "lua:turn" among the scripts' in told[0]


def test_check_of_a_file_that_is_not_there_or_too_large(policy, tmp_path):
    assert "No such file" in policy("check", "nothing.lua", code=1)
    write(tmp_path, "big.lua", "--" + "x" * (300 << 10))
    assert "too large" in policy("check", "big.lua", code=1)
    os.mkfifo(tmp_path / "pipe.lua")
    (tmp_path / "folder.lua").mkdir()
    for verb in ("check", "run", "bench"):
        more = () if verb == "check" else ("--text", "a")
        assert "pipe.lua: nothing came through this pipe" in policy(verb, "pipe.lua", *more, code=1)
        assert "folder.lua: cannot be read: Is a directory" in policy(verb, "folder.lua", *more, code=1)
    assert "something is missing" in policy("check", code=2)


# ---- new and init ----

@pytest.mark.parametrize("kind", ["guardrail", "router"])
def test_what_is_new_passes_its_check_and_its_tests(policy, tmp_path, kind):
    policy("new", "mine", "--kind", kind, "made/here" if kind == "router" else ".", code=1 if kind == "router" else 0)
    folder = "."
    if kind == "router":  # one folder is made, not a way to it
        folder = "made"
        policy("new", "mine", "--kind", kind, folder)
    assert policy("check", f"{folder}/mine.lua").startswith("ok ")
    assert "passed" in policy("test", folder)
    assert "mine" in (tmp_path / folder / "mine_test.lua").read_text() and "@" not in (tmp_path / folder / "mine.lua").read_text()


def test_what_is_there_is_left_alone(policy, tmp_path):
    write(tmp_path, "mine_test.lua", "-- mine")
    assert "is there already" in policy("new", "mine", "--kind", "router", code=1)
    assert [p.name for p in tmp_path.iterdir()] == ["mine_test.lua"] and (tmp_path / "mine_test.lua").read_text() == "-- mine"


def test_luacheck_finds_nothing_in_the_scripts_that_we_ship(build):
    subprocess.run(["luacheck", "-q", "--config", SCRIPTS.parent / "sdk/lua/luacheckrc", SCRIPTS], check=True)


@pytest.mark.parametrize("words, said", [
    (["Mine", "--kind", "router"], "is no name for a policy"),
    (["a/b", "--kind", "router"], "is no name for a policy"),
    (["x_test", "--kind", "router"], "is no name for a policy"),
    (["a" * 41, "--kind", "router"], "is no name for a policy"),
    (["", "--kind", "router"], "is no name for a policy"),
    (["a"], "--kind: is missing"),
    (["a", "--kind", "sink"], '--kind: "sink" is not guardrail or router'),
    ([], "something is missing"),
])
def test_new_refuses_nonsense(policy, tmp_path, words, said):
    assert said in policy("new", *words, code=2)
    assert list(tmp_path.iterdir()) == []


def test_init_begins_a_folder_that_editors_and_luacheck_know(policy, tmp_path):
    policy("init", "policies")
    made = tmp_path / "policies"
    assert {p.name for p in made.iterdir()} == {".luarc.json", ".luacheckrc", "latenza.d.lua", "example.lua", "example_test.lua"}
    assert "latenza.d.lua" in json.loads((made / ".luarc.json").read_text())["workspace.library"]
    assert (made / "latenza.d.lua").read_bytes() == (SCRIPTS.parent / "sdk/lua/latenza.d.lua").read_bytes()
    assert "4 of 4 cases passed" in policy("test", "policies")
    assert "is there already" in policy("init", "policies", code=1)
    subprocess.run(["luacheck", "-q", "."], cwd=made, check=True)
    (made / "example.lua").write_text("return { name = latenza.blokc, check = function(req) hepler(req) end }")
    told = subprocess.run(["luacheck", "-q", "--formatter", "plain", "example.lua"], cwd=made, text=True, capture_output=True)
    assert told.returncode == 1 and "'hepler'" in told.stdout and "blokc" in told.stdout, told.stdout


# ---- run and bench ----

def test_run_shows_verdict_edits_text_and_cost(policy):
    told = json.loads(policy("run", SCRIPTS / "guardrails/pii.lua", "--text", "é a@x.org", "-o", "json"))
    assert told["verdict"] == "pass" and told["text"] == "é [EMAIL_1]"
    assert told["edits"] == [{"text": 0, "from": 3, "to": 10, "with": "[EMAIL_1]"}]
    assert 0 < told["steps"] < 10000 and told["time_us"] > 0 and 0 < told["peak_bytes"] < 1 << 20
    shown = policy("run", SCRIPTS / "guardrails/pii.lua", "--text", "-", stdin="to a@x.org")
    assert "guardrail pii: pass" in shown and "bytes 3 to 10: [EMAIL_1]" in shown and "steps" in shown


def test_run_blocks_with_its_reason(policy):
    told = policy("run", SCRIPTS / "guardrails/pii.lua", "--text", "a@x.org", "-O", "block=true")
    assert "guardrail pii: block" in told and "pii.found" in told


@pytest.mark.parametrize("every", [1, 2, 7, 100])
def test_run_cuts_a_stream(policy, every):
    told = json.loads(policy("run", SCRIPTS / "guardrails/pii.lua", "--text", "Schreib an jörg.m@exämple.org oder a@x.org!", "--stream-every", every,
                             "-o", "json"))
    assert told["text"].endswith("oder [EMAIL_2]!") or told["text"].endswith("oder [EMAIL_1]!")
    assert "a@x.org" not in told["text"]


def test_run_finds_the_texts_of_a_body(policy, tmp_path):
    body = {"model": "m", "max_tokens": 9, "messages": [
        {"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "to a@x.org"}]},
        {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"to":"b@y.org"}'}}]}]}
    write(tmp_path, "q.json", json.dumps(body))
    told = json.loads(policy("run", SCRIPTS / "guardrails/pii.lua", "--body", "q.json", "-o", "json"))
    assert "to [EMAIL_1]" in told["texts"] and "[EMAIL_2]" in told["texts"]
    write(tmp_path, "a.json", json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": "it is c@z.org"}}]}))
    told = json.loads(policy("run", SCRIPTS / "guardrails/pii.lua", "--body", "a.json", "--phase", "response", "-o", "json"))
    assert "it is [EMAIL_1]" in told["texts"]


def test_run_orders_targets(policy, tmp_path):
    write(tmp_path, "t.json", json.dumps([{"provider": "a", "model": "m", "region": "us"}, {"provider": "b", "model": "m", "region": "eu"}]))
    policy("new", "near", "--kind", "router")
    assert json.loads(policy("run", "near.lua", "--targets", "t.json", "-o", "json"))["order"] == ["b/m", "a/m"]
    assert json.loads(policy("run", "near.lua", "--targets", "t.json", "--option", "region=us", "-o", "json"))["order"] == ["a/m", "b/m"]


def test_a_policy_that_fails_is_a_failure_with_its_line(policy, tmp_path):
    write(tmp_path, "it.lua", guardrail("local a = nil\nreturn a.b"))
    told = policy("run", "it.lua", "--text", "a", code=1)
    assert "error" in told and "it.lua:4:" in told
    assert "it.lua:4:" in policy("bench", "it.lua", "--text", "a", code=1)


def test_nothing_is_reached(policy, tmp_path):
    write(tmp_path, "it.lua", guardrail("local r, why = latenza.http.get('http://127.0.0.1:1/x')\nreturn latenza.flag('f', why)"))
    told = json.loads(policy("run", "it.lua", "--text", "a", "-o", "json"))
    assert told["verdict"] == "flag" and told["calls"][0]["url"] == "http://127.0.0.1:1/x"


# ---- under whose limits ----

USUAL = {"from": None, "steps": 2_000_000, "timeout_ms": 1000, "memory_bytes": 8 << 20, "calls": 4}
SPINS = "for i = 1, tonumber(req.texts[1].text) do end\nreturn latenza.pass()"
LIMITED = """
providers: { wrong: at all }
policies:
  - { file: policies/other.lua, memory: 16MiB }
  - { file: policies/spins.lua, cpu_ms: 1, timeout_ms: 50, memory: 2MiB, calls: 1 }
"""
ALLOWED_MORE = LIMITED.replace("cpu_ms: 1, timeout_ms: 50,", "cpu_ms: 200, timeout_ms: 10s,")


@pytest.fixture
def limited(tmp_path):
    (tmp_path / "policies").mkdir()
    write(tmp_path, "latenza.yaml", LIMITED)
    write(tmp_path, "policies/other.lua", guardrail("return latenza.pass()").replace("'it'", "'other'"))
    write(tmp_path, "policies/spins.lua", guardrail(SPINS).replace("'it'", "'by-name'"))
    return tmp_path


@pytest.mark.parametrize("what", ["policies/spins.lua", "./policies/../policies/spins.lua", "again.lua", "by-name", "lua:by-name"])
def test_a_script_has_the_limits_that_the_configuration_gives_it(policy, limited, what):
    (limited / "again.lua").symlink_to("policies/spins.lua")
    own = {"from": "./latenza.yaml:5", "steps": 100_000, "timeout_ms": 50, "memory_bytes": 2 << 20, "calls": 1}
    told = json.loads(policy("run", what, "--text", "10", "-o", "json"))
    assert told["verdict"] == "pass" and told["limits"] == own
    assert json.loads(policy("bench", what, "--text", "10", "--visits", "3", "-o", "json"))["limits"] == own
    assert "limits   100000 steps, 50 ms, 2048 KiB, calls: 1; ./latenza.yaml:5" in policy("run", what, "--text", "10")
    assert "limits: 100000 steps" in policy("bench", what, "--text", "10", "--visits", "3")
    # What the usual limits would let pass is stopped, as it would be in the gateway.
    assert "its budget of steps is spent" in policy("run", what, "--text", "100000", code=1)
    assert "its budget of steps is spent" in policy("bench", what, "--text", "100000", code=1)


def test_a_script_that_no_configuration_names_has_the_usual_limits(policy, limited):
    shutil.copy(limited / "policies/spins.lua", limited / "policies/copy.lua")
    for path in ("policies/copy.lua", "policies/other.lua"):
        told = json.loads(policy("run", path, "--text", "100000", "-o", "json"))["limits"]
        assert told == (USUAL if "copy" in path else USUAL | {"from": "./latenza.yaml:4", "memory_bytes": 16 << 20})
    assert "the usual ones, no `policies` names it" in policy("run", "policies/copy.lua", "--text", "1")
    (limited / "latenza.yaml").rename(limited / "mine.yaml")
    assert json.loads(policy("run", "policies/spins.lua", "--text", "100000", "-o", "json"))["limits"] == USUAL
    told = json.loads(policy("run", "policies/spins.lua", "-c", "mine.yaml", "--text", "10", "-o", "json"))
    assert told["limits"]["from"] == "mine.yaml:5"


def test_a_script_that_is_allowed_more_has_more_in_its_test_too(policy, limited):
    write(limited, "policies/spins_test.lua", "local t = latenza.test\nt.case('long', function()\n"
          "t.equal(t.guardrail('by-name', { text = '3000000' }).verdict, 'pass')\nend)\n")
    assert "FAIL policies/spins_test.lua: long" in policy("test", "policies/spins.lua", code=1)
    write(limited, "latenza.yaml", ALLOWED_MORE)
    policy("test", "policies/spins.lua")
    write(limited, "policies/spins.lua", "local big = {}\nfor i = 1, 1 << 17 do big[i] = i end\n" + guardrail(SPINS).replace("'it'", "'by-name'"))
    assert "too much memory" in policy("check", "policies/spins.lua", code=1)
    write(limited, "latenza.yaml", ALLOWED_MORE.replace("memory: 2MiB", "memory: 64MiB"))
    assert "ok   policies/spins.lua" in policy("check", "policies/spins.lua")


@pytest.mark.parametrize("http, reached", [("[]", False), ("[http://127.0.0.1:1/x]", True)])
def test_a_script_asks_only_for_what_the_configuration_grants_it(policy, limited, http, reached):
    write(limited, "policies/spins.lua", guardrail("local r, why = latenza.http.get('http://127.0.0.1:1/x')\nreturn latenza.flag('f', why)"))
    write(limited, "latenza.yaml", LIMITED.replace("calls: 1", f"calls: 1, http: {http}"))
    told = json.loads(policy("run", "it", "--text", "a", "-o", "json", code=0 if reached else 1))
    assert [c["url"] for c in told["calls"]] == (["http://127.0.0.1:1/x"] if reached else [])
    if not reached:
        assert "http" in told["error"]


def test_where_it_is_not_clear_which_limits_hold_nothing_is_run(policy, limited):
    assert "none: there is no file of that name, and no script under `policies` of ./latenza.yaml" in policy("run", "none", "--text", "a", code=1)
    write(limited, "policies/other.lua", "return { kind = 'router', name = 'by-name', pick = function(req, targets) return targets end }")
    told = policy("run", "by-name", "--text", "a", code=1)
    assert "policies/other.lua and in " in told and "name the file" in told
    write(limited, "latenza.yaml", LIMITED.replace("cpu_ms: 1", "cpu_ms: soon"))
    for verb in ("run", "bench"):
        told = policy(verb, "policies/spins.lua", "--text", "a", code=78)
        assert 'latenza.yaml:5: policies[1].cpu_ms: "soon" is not a duration' in told
    assert "none.yaml: cannot be opened" in policy("run", "policies/spins.lua", "-c", "none.yaml", "--text", "a", code=78)


# ---- nonsense ----

@pytest.mark.parametrize("words, said", [
    (["it.lua"], "--text TEXT or --body FILE"),
    (["it.lua", "--text", "a", "--body", "q.json"], "give one of them"),
    (["it.lua", "--text", "a", "--phase", "later"], '"later" is not request or response'),
    (["it.lua", "--text", "a", "--phase", "request", "--stream-every", "1"], "only an answer is streamed"),
    (["it.lua", "--text", "a", "--stream-every", "0"], "1 or more bytes"),
    (["it.lua", "--text", "a", "--stream-every", "x"], "is not an integer"),
    (["it.lua", "--body", "q.json", "--stream-every", "1"], "cuts a --text"),
    (["it.lua", "--body", "none.json"], "none.json"),
    (["it.lua", "--body", "list.json"], "is no JSON object"),
    (["it.lua", "--body", "it.lua"], "--body: it.lua"),
    (["it.lua", "--text", "a", "--targets", "list.json"], "are for routers"),
    (["it.lua", "--text", "a", "--option", "nope=1"], "nope"),
    (["it.lua", "--text", "a", "--option", "n=many"], "n: "),
    (["it.lua", "--text", "a", "--option", "n"], "is not NAME=VALUE"),
    (["it.lua", "--text", "a", "--option", "n=2", "--option", "n=3"], '--option: "n" is given twice'),
    (["it.lua", "--text", "a", "--nope"], "there is no option"),
    (["none.lua", "--text", "a"], "none.lua"),
    (["router.lua"], "--targets: is missing"),
    (["router.lua", "--targets", "q.json"], "is no list"),
    (["router.lua", "--targets", "it.lua"], "--targets: it.lua"),
    (["router.lua", "--targets", "none.json"], "none.json"),
    (["router.lua", "--targets", "list.json", "--phase", "response"], "a router sees requests only"),
    (["it.lua", "--trace", "x", "--text", "a"], "leave --text"),
    (["router.lua", "--trace", "x", "--phase", "response"], "a router sees requests only"),
    ([], "something is missing"),
])
@pytest.mark.parametrize("verb", ["run", "bench"])
def test_run_and_bench_refuse_nonsense(policy, tmp_path, verb, words, said):
    write(tmp_path, "it.lua", guardrail("return latenza.pass()", "options = { n = { type = 'integer', default = 1 } },"))
    write(tmp_path, "router.lua", "return { kind = 'router', name = 'r', pick = function(req, targets) return targets end }")
    write(tmp_path, "q.json", '{"messages":[]}')
    write(tmp_path, "list.json", "[]")
    done = policy(verb, *words, code=1 if any(w in str(words) for w in ("none", "nope=", "n=many")) else 2)
    assert said in done


def test_text_that_is_not_utf_8_is_refused(build, tmp_path):
    write(tmp_path, "it.lua", guardrail("return latenza.pass()"))
    done = subprocess.run([build / "latenza", "policy", "run", "it.lua", "--text", "-"], cwd=tmp_path, input=b"\xff\xfe", capture_output=True)
    assert done.returncode == 2 and b"not UTF-8" in done.stderr


def test_bench_counts_the_same_steps_every_time(policy):
    def bench():
        return json.loads(policy("bench", SCRIPTS / "guardrails/pii.lua", "--text", "mail a@x.org", "--visits", "700", "-o", "json"))
    one, two = bench(), bench()
    # Lua hashes texts with a seed of its own in each process: now and then a table grows at another visit.
    assert abs(one["steps"] - two["steps"]) <= one["steps"] / 100 and one["steps"] > 0 and one["visits"] == 700 and 0 < one["median_us"] <= one["p99_us"] and one["peak_bytes"] > 0
    for visits in ("0", "-1", "9999999"):
        assert "--visits" in policy("bench", SCRIPTS / "guardrails/pii.lua", "--text", "a", "--visits", visits, code=2)
