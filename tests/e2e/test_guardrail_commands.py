"""What operators see of guardrails: `guardrail list` and `test`, `check`, traces, dry runs.

The plugin is tests/harness/guard_plugin.c: one word, and whatever may be done about it.

SPDX-License-Identifier: MIT
"""

import json
import os
import pathlib
import subprocess
import time

import pytest
from harness.gateway import Failed

SOURCE = pathlib.Path(__file__).parents[1] / "harness/guard_plugin.c"
SDK = pathlib.Path(__file__).parents[2] / "sdk"
WORD = "kestrel"


@pytest.fixture(scope="session")
def plugin(tmp_path_factory):
    out = tmp_path_factory.mktemp("guards") / "guards.so"
    subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-fvisibility=hidden", f"-I{SDK}",
                    "-o", out, SOURCE], check=True)
    return out


@pytest.fixture
def guarded(make_gateway, provider, plugin):
    """A gateway with these guardrails, none of them on by itself."""
    def make(config=None, **guardrails):
        rows = {name.replace("_", "-"): {"use": "word", "word": WORD} | row for name, row in guardrails.items()}
        return make_gateway(provider=provider, config={"plugins": ["compatible", "echo", "balanced", "cheapest", str(plugin)],
                                                       "plugin_files": "warn", "guardrails": rows} | (config or {}))
    return make


def tried(gateway, *words, stdin=None):
    """The report, and whether the command said that it is fine."""
    done = gateway.run("guardrail", "test", *words, "-o", "json", check=False, stdin=stdin)
    assert done.stdout, done.stderr
    return json.loads(done.stdout), done.returncode


def refused(gateway, *words, stdin=None):
    done = gateway.run("guardrail", "test", *words, check=False, stdin=stdin)
    assert done.returncode in (1, 2) and not done.stdout, done.stdout
    return done.stderr


def begun(gateway, *words):
    return subprocess.Popen([gateway.program, "guardrail", "test", *words, "-c", gateway.config_path], env=gateway.env, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def is_under_way(gateway):
    """Waits until a worker has a request of a command."""
    for _ in range(1000):
        if gateway.metrics()["latenza_requests_in_flight"] > 0:
            return True
        time.sleep(0.02)
    return False


def verdicts(report):
    return [(v["guardrail"], v["verdict"]) for v in report["verdicts"]]


# ---- guardrail test ----

def test_the_text_is_shown_as_the_provider_would_get_it(guarded, provider):
    gateway = guarded(mask={"with": "bird"}, flag={"word": "bird", "action": "flag"}, other={})
    report, code = tried(gateway, "mask", "flag", "--text", f"a {WORD} and a {WORD}")
    assert code == 0 and report["outcome"] == "masked" and report["text"] == "a bird and a bird"
    assert verdicts(report) == [("mask", "mask"), ("flag", "flag")], "each sees what the one before it left"
    mask = report["verdicts"][0]
    assert mask["edits"] == [{"was": WORD, "is": "bird"}] * 2 and mask["codes"] == ["test.word"]
    assert mask["reasons"] == [{"code": "test.word", "message": "bird"}] and mask["mode"] == "enforce" and mask["ms"] >= 0
    assert report["refused"] is None
    report, code = tried(gateway, "flag", "--text", "a bird")
    assert (report["outcome"], code) == ("flagged", 0)
    report, code = tried(gateway, "flag", "--text", "nothing")
    assert (report["outcome"], report["text"], code) == ("passed", "nothing", 0)
    shown = gateway.run("guardrail", "test", "mask", "--text", f"x\n{WORD}").stdout
    assert "kestrel -> bird" in shown and "The provider gets:\n  x\n  bird\n" in shown
    assert provider.calls() == 0 and gateway.traces() == []


def test_what_blocks_or_fails_is_exit_code_1(guarded):
    gateway = guarded(block={"action": "block", "with": "no birds"}, fail={"action": "fail"},
                      opened={"action": "fail", "on_error": "open"}, watch={"action": "block", "mode": "monitor"},
                      slow={"delay_ms": 30000, "deadline_ms": 50})
    report, code = tried(gateway, "watch", "block", "fail", "--text", WORD)
    assert code == 1 and report["outcome"] == "blocked" and "text" not in report
    assert verdicts(report) == [("watch", "block"), ("block", "block")], "who comes behind was not asked"
    assert report["refused"]["status"] == 400 and report["refused"]["code"] == "content_policy_violation"
    assert "no birds" in report["refused"]["message"]
    report, code = tried(gateway, "fail", "--text", WORD)
    assert code == 1 and report["outcome"] == "failed" and report["refused"]["code"] == "policy_error"
    report, code = tried(gateway, "opened", "--text", WORD)
    assert code == 1 and report["outcome"] == "passed" and report["text"] == WORD and verdicts(report) == [("opened", "error")]
    assert {"message": "failed"} in report["verdicts"][0]["reasons"]
    report, code = tried(gateway, "slow", "--text", WORD)
    assert code == 1 and "took too long" in report["refused"]["message"]
    report, code = tried(gateway, "watch", "--text", WORD)
    assert code == 0 and report["outcome"] == "passed" and report["verdicts"][0]["mode"] == "monitor"
    shown = gateway.run("guardrail", "test", "block", "--text", WORD, check=False)
    assert shown.returncode == 1 and "blocked: 400 content_policy_violation" in shown.stdout
    # What a command tries counts for nobody.
    assert not gateway.events("guardrail.blocked") and not gateway.events("guardrail.failed")
    assert not [m for m in gateway.metrics() if m.startswith("latenza_guardrail_verdicts_total")
                and gateway.metrics()[m]]


def test_other_commands_are_answered_meanwhile(guarded):
    """A slow guardrail holds up the command that tries it, and nothing else."""
    gateway = guarded(slow={"delay_ms": 50000, "deadline_ms": 60000})
    waits = begun(gateway, "slow", "--text", WORD)
    try:
        assert is_under_way(gateway) and gateway.json("guardrail", "list") and waits.poll() is None
    finally:
        waits.kill()
        waits.wait()


def test_the_key_says_who_is_asked(guarded):
    gateway = guarded({"organizations": {"acme": {"guardrails": ["organ"]}}}, every={"default_on": True, "word": "every", "with": "1"},
                      organ={"word": "organ", "with": "2"}, mine={"word": "mine", "with": "3"})
    gateway.key("k", organization="acme", guardrails=["mine"])
    gateway.key("other")
    text = "every organ mine"
    report, _ = tried(gateway, "--key", "k", "--text", text)
    assert report["text"] == "1 2 3" and [v["guardrail"] for v in report["verdicts"]] == ["every", "organ", "mine"]
    report, _ = tried(gateway, "--key", "k", "--phase", "response", "--text", text)
    assert report["text"] == "1 2 3" and [v["guardrail"] for v in report["verdicts"]] == ["mine", "organ", "every"]
    assert tried(gateway, "--key", "other", "--text", text)[0]["text"] == "1 organ mine"
    assert tried(gateway, "--text", text)[0]["text"] == "1 organ mine"
    assert tried(gateway, "mine", "--key", "other", "--text", text)[0]["text"] == "every organ 3", "who is named is asked alone"


def test_a_stream_comes_out_as_the_whole_text_does(guarded):
    gateway = guarded(mask={}, block={"word": "eagle", "action": "block"}, slow={"delay_ms": 2, "word": "two", "with": "2"})
    text = f"one {WORD} é😀 two kestr el {WORD}{WORD} kest"
    want = text.replace(WORD, "***").replace("two", "2")
    for every in (1, 2, 7, 1000):
        report, code = tried(gateway, "mask", "slow", "--stream-every", str(every), "--text", text)
        assert (report["phase"], report["outcome"], report["text"], code) == ("response", "masked", want, 0)
        by = {v["guardrail"]: v for v in report["verdicts"]}
        assert [e["was"] for e in by["mask"]["edits"]] == [WORD] * 3 and by["mask"]["reasons"] == [{"code": "test.word", "message": "***"}]
        assert report["pieces"] > 10 if every == 1 else report["pieces"] >= 1
    report, code = tried(gateway, "mask", "block", "--stream-every", "1", "--text", f"{WORD} and eagle and more")
    assert (report["outcome"], code) == ("blocked", 1) and report["text"] == "*** and "
    whole, code = tried(gateway, "mask", "block", "--phase", "response", "--text", f"{WORD} and eagle")
    assert (whole["outcome"], code) == ("blocked", 1) and "text" not in whole


def test_what_the_client_alone_sees_is_told_apart(guarded):
    gateway = guarded(see={"on": ["response"], "word": "[X]", "with": "hidden one", "action": "reveal"})
    for how in (["--phase", "response"], ["--stream-every", "1"]):
        report, code = tried(gateway, "see", *how, "--text", "it is [X] here")
        assert code == 0 and report["text"] == "it is hidden one here" and report["text_for_trace"] == "it is [X] here"
        assert report["verdicts"][0]["edits"] == [{"was": "[X]", "is": "hidden one", "for_client_alone": True}]
    assert "The trace has:" in gateway.run("guardrail", "test", "see", "--phase", "response", "--text", "[X]").stdout


def test_a_whole_request_or_answer_may_be_judged(guarded, tmp_path):
    gateway = guarded(mask={}, move={"action": "reroute", "with": "fake-2"}, again={"on": ["response"], "action": "again", "with": "once more"},
                      tree={"action": "tree", "with": "rewritten"})
    body = {"model": "fake-1", "messages": [{"role": "system", "content": WORD},
                                            {"role": "user", "content": [{"type": "text", "text": f"a {WORD}"}]}]}
    file = tmp_path / "body.json"
    file.write_text(json.dumps(body))
    report, code = tried(gateway, "mask", "--body", str(file))
    assert code == 0 and report["body"]["messages"][0]["content"] == "***" and "text" not in report
    assert report["body"]["messages"][1]["content"][0]["text"] == "a ***"
    report, code = tried(gateway, "move", "--body", "-", stdin=json.dumps(body))
    assert (report["outcome"], report["model"], code) == ("rerouted", "fake-2", 0)
    report, code = tried(gateway, "tree", "--text", "x")
    assert report["text"] == "rewritten" and report["verdicts"][0]["edits"] == [{"document": True}]
    file.write_text(json.dumps({"model": "e", "input": [WORD, "b"]}))
    assert tried(gateway, "mask", "--body", str(file))[0]["body"]["input"] == ["***", "b"]
    file.write_text(json.dumps({"model": "e", "input": [[1, 2]]}))
    report, code = tried(gateway, "mask", "--body", str(file))
    assert (report["outcome"], code) == ("refused", 1) and "token ids" in report["refused"]["message"]
    answer = {"id": "x", "object": "chat.completion", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
        "role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {
            "name": "f", "arguments": json.dumps({"q": WORD})}}]}}]}
    file.write_text(json.dumps(answer))
    report, code = tried(gateway, "mask", "--phase", "response", "--body", str(file))
    assert code == 0 and json.loads(report["body"]["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]) == {"q": "***"}
    report, code = tried(gateway, "again", "--phase", "response", "--text", WORD)
    assert (report["outcome"], code) == ("again", 1) and "text" not in report
    gateway.key("only", model_allowlist=["fake-1"])
    report, code = tried(gateway, "move", "--key", "only", "--text", WORD)
    assert (report["outcome"], report["refused"]["code"], code) == ("refused", "model_not_allowed", 1)


def test_without_a_gateway_one_is_started_for_it(guarded):
    gateway = guarded(mask={"default_on": True}, slow={"delay_ms": 5})
    gateway.key("made")
    gateway.stop()
    report, code = tried(gateway, "--text", WORD)
    assert (report["text"], code) == ("***", 0)
    assert gateway.run("guardrail", "test", "--text", WORD).stderr == "", "its gateway is not heard"
    assert tried(gateway, "slow", "--stream-every", "3", "--text", WORD)[0]["text"] == "***"
    said = refused(gateway, "--key", "made", "--text", WORD)
    assert "there is none" in said and "the keys of the file alone" in said


@pytest.mark.parametrize("words, said", [
    (["mask"], "say what is to be judged"),
    (["mask", "--text", "a", "--text-file", "b"], "say what is to be judged"),
    (["mask", "--text", "a", "--body", "b"], "say what is to be judged"),
    (["mask", "--text", ""], "text: is empty"),
    (["mask", "--text-file", "/nowhere/at/all"], "/nowhere/at/all"),
    (["mask", "--text-file", "/"], "/: "),
    (["mask", "--text", os.fsdecode(b"\xff\xfe")], "UTF-8"),
    (["mask", "--body", "-"], "-: "),
    (["masc", "--text", "a"], 'guardrail "masc": there is none'),
    (["", "--text", "a"], 'guardrail "": there is none'),
    (["mask", "--text", "a", "--phase", "both"], 'phase: "both" is not request or response'),
    (["asked", "--text", "a", "--phase", "response"], 'guardrail "asked": does not look at responses'),
    (["mask", "--text", "a", "--stream-every", "0"], "stream_every: must be 1 to 1048576 bytes"),
    (["mask", "--text", "a", "--stream-every", "-5"], "stream_every: must be 1 to 1048576 bytes"),
    (["mask", "--text", "a", "--stream-every", "x"], "--stream-every"),
    (["mask", "--text", "a", "--stream-every", "5", "--phase", "request"], "only a response is streamed"),
    (["mask", "--text", "a", "--key", "nobody"], 'key "nobody": there is none'),
    (["--text", "a"], "no guardrail is default_on"),
    (["--text", "a", "--key", "bare"], "no guardrail holds for the key 'bare'"),
    (["--text", "a", "--key", "asker", "--phase", "response"], "none of the guardrails that hold looks at answers"),
    (["mask", "--nonsense"], "--nonsense"),
])
def test_nonsense_is_answered_with_a_sentence(guarded, words, said):
    gateway = guarded(mask={}, asked={"on": ["request"]})
    gateway.key("bare")
    gateway.key("asker", guardrails=["asked"])
    assert said in refused(gateway, *words, stdin="")


@pytest.mark.parametrize("body, said", [
    ("[]", "is no JSON object"), ("{", "-: "), ("{}", "'model'"), ('{"model": 1, "messages": []}', "'model'"),
    ('{"model": "m", "messages": "x"}', "'messages'"), ('{"model": "m", "choices": []}', "'messages'")])
def test_a_body_that_is_none_is_refused_like_a_clients(guarded, body, said):
    gateway = guarded(mask={})
    assert said in refused(gateway, "mask", "--body", "-", stdin=body)
    assert '"choices"' in refused(gateway, "mask", "--body", "-", "--phase", "response", stdin='{"a": 1}')


def test_a_gateway_that_ends_lets_go_of_what_is_tried(guarded):
    gateway = guarded(slow={"delay_ms": 50000, "deadline_ms": 60000})
    waits = begun(gateway, "slow", "--text", WORD)
    try:
        assert is_under_way(gateway)
        gateway.stop()
        out, err = waits.communicate(timeout=60)
        assert waits.returncode == 1 and not out and "control socket" in err, err
    finally:
        waits.kill()


# ---- guardrail list ----

def test_the_list_says_what_each_does_and_for_whom(guarded):
    gateway = guarded({"organizations": {"acme": {"guardrails": ["organ"], "assistants": {"bot": {"guardrails": ["mine"]}}}}},
                      every={"default_on": True, "on_error": "open", "deadline_ms": "5s"}, organ={"mode": "monitor", "stream": "after"},
                      mine={"use": "whole", "on": ["response"]}, nobodys={"on": ["request"]})
    gateway.key("k", organization="acme", guardrails=["mine", "organ"])
    rows = {row["guardrail"]: row for row in gateway.json("guardrail", "list")}
    assert list(rows) == ["every", "organ", "mine", "nobodys"], "in the order in which they are asked"
    assert rows["every"] == {"guardrail": "every", "component": "word", "plugin": "test.guards", "on": ["request", "response"],
                             "on_error": "open", "mode": "enforce", "deadline_ms": 5000, "stream": "pieces", "default_on": True,
                             "organizations": [], "assistants": [], "keys": []}
    assert rows["organ"] | {"mode": "monitor", "stream": "after", "organizations": ["acme"], "keys": ["k"]} == rows["organ"]
    assert rows["mine"] | {"component": "whole", "stream": "hold", "assistants": ["acme/bot"], "keys": ["k"], "on": ["response"]} == rows["mine"]
    assert rows["nobodys"]["stream"] is None
    shown = gateway.run("guardrail", "list").stdout
    assert "everything" in shown and "organization acme, key k" in shown and "nobody" in shown
    gateway.run("org", "create", "other", "--guardrails", "every,nobodys")
    assert gateway.json("guardrail", "list")[3]["organizations"] == ["other"]
    gateway.run("org", "set", "other", "--unset", "guardrails")
    with pytest.raises(Failed, match="nonsense"):
        gateway.run("key", "create", "--name", "x", "--guardrails", "nonsense")
    gateway.stop()
    assert {row["guardrail"]: row for row in gateway.json("guardrail", "list")} == rows, "the same without a gateway"
    config = gateway.config["guardrails"]
    del config["organ"]
    gateway.change_config(guardrails=config, organizations={})
    gone = gateway.json("guardrail", "list")[-1]
    assert gone["guardrail"] == "organ" and gone["component"] is None and gone["keys"] == ["k"]
    assert "not configured" in gateway.run("guardrail", "list").stdout


def test_the_list_is_of_the_file_before_there_is_a_data_directory(build, tmp_path):
    config = {"data": str(tmp_path / "data"), "providers": {"echo": {"test": True}},
              "guardrails": {"all": {"use": "secrets", "default_on": True}, "some": {"use": "limits", "max_messages": 3}, "none": {"use": "pii"}},
              "organizations": {"acme": {"guardrails": ["some"], "assistants": {"bot": {"guardrails": ["some"]}}}},
              "keys": {"k": {"name": "k", "organization": "acme", "secret_sha256": "ab" * 32, "guardrails": ["some", "all"]}}}
    (tmp_path / "latenza.yaml").write_text(json.dumps(config))

    def listed(*words):
        return subprocess.run([build / "latenza", "guardrail", "list", "-c", tmp_path / "latenza.yaml", *words], text=True, capture_output=True, timeout=60)

    done = listed("-o", "json")
    assert done.returncode == 0 and not done.stderr, done.stderr
    rows = {row["guardrail"]: row for row in json.loads(done.stdout)}
    assert list(rows) == ["all", "some", "none"]
    assert rows["some"] | {"organizations": ["acme"], "assistants": ["acme/bot"], "keys": ["k"], "component": "limits"} == rows["some"]
    assert rows["all"] | {"default_on": True, "keys": ["k"], "organizations": []} == rows["all"]
    assert "organization acme, assistant acme/bot, key k" in listed().stdout
    assert not (tmp_path / "data").exists(), "nothing is made by looking"


# ---- dry runs and `route explain` ----

def dry_run(gateway, key, text=WORD, model="fake-1"):
    status, head, raw = gateway.request("POST", "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": text}]},
                                        key, {"x-latenza-dry-run": "route"})
    return status, head, json.loads(raw)


def explained(gateway, text=WORD, model="fake-1"):
    return gateway.json("route", "explain", "--key", "k", "--model", model, "--text", text)


@pytest.mark.parametrize("delay_ms", [0, 20])
def test_a_dry_run_tells_what_guardrails_did(guarded, provider, delay_ms):
    gateway = guarded(move={"action": "reroute", "with": "fake-2", "delay_ms": delay_ms}, watch={"action": "block", "mode": "monitor"})
    key = gateway.key("k", guardrails=["move", "watch"])
    status, head, table = dry_run(gateway, key)
    for one in (table, explained(gateway)):
        assert (one["model"], one["model_asked"], one["refused"]) == ("fake-2", "fake-1", None)
        assert [c["model"] for c in one["candidates"]] == ["fake-2"]
        assert [(v["guardrail"], v["phase"], v["verdict"], v["mode"]) for v in one["guardrails"]] == [
            ("move", "request", "reroute", "enforce"), ("watch", "request", "block", "monitor")]
    assert status == 200
    shown = gateway.run("route", "explain", "--key", "k", "--model", "fake-1", "--text", WORD).stdout
    assert "fake-2 instead of fake-1" in shown and "What guardrails said" in shown and "reroute" in shown and "(monitor)" in shown
    quiet = explained(gateway, "nothing")
    assert "model_asked" not in quiet and [v["verdict"] for v in quiet["guardrails"]] == ["pass", "pass"]
    assert provider.calls() == 0
    assert not gateway.events("guardrail.flagged") and len(gateway.events("guardrail.blocked")) == 1, "the command's counts for nobody"


@pytest.mark.parametrize("delay_ms", [0, 20])
def test_a_dry_run_tells_who_refused(guarded, provider, delay_ms):
    gateway = guarded(no={"action": "block", "with": "no birds", "delay_ms": delay_ms}, fail={"action": "fail", "word": "eagle"})
    key = gateway.key("k", guardrails=["no", "fail"])
    status, head, table = dry_run(gateway, key)
    real = gateway.chat(key, text=WORD)[2]["error"]
    for one in (table, explained(gateway)):
        assert one["candidates"] == [] and [v["verdict"] for v in one["guardrails"]] == ["block"]
        assert one["refused"] == {"status": 400, "code": "content_policy_violation", "guardrail": "no", "message": real["message"]}
    assert status == 200 and head["x-latenza-guardrails"] == "no=block"
    trace = gateway.trace(head["x-request-id"])
    assert "dry_run" in trace["flags"] and WORD not in json.dumps(trace), "what was refused is nobody's to keep"
    shown = gateway.run("route", "explain", "--key", "k", "--model", "fake-1", "--text", WORD).stdout
    assert "Refused: 400 content_policy_violation" in shown and "no birds" in shown
    assert explained(gateway, "eagle")["refused"]["code"] == "policy_error"
    assert provider.calls() == 0


def test_a_reroute_out_of_the_allowlist_is_told(guarded, provider):
    gateway = guarded(move={"action": "reroute", "with": "fake-2"})
    key = gateway.key("k", guardrails=["move"], model_allowlist=["fake-1"])
    for one in (dry_run(gateway, key)[2], explained(gateway)):
        assert one["model"] == "fake-2" and one["refused"]["code"] == "model_not_allowed"
        assert [c["excluded"] for c in one["candidates"]] == ["model_not_allowed"]
    assert gateway.chat(key, text=WORD)[0] == 403


def test_a_slow_guardrail_holds_up_nobody_else_who_explains(guarded):
    gateway = guarded(slow={"delay_ms": 50000, "deadline_ms": 60000})
    gateway.key("k", guardrails=["slow"])
    waits = subprocess.Popen([gateway.program, "route", "explain", "--key", "k", "--model", "fake-1", "--text", WORD, "-o", "json",
                              "-c", gateway.config_path], env=gateway.env, text=True, stdout=subprocess.PIPE)
    try:
        assert is_under_way(gateway) and gateway.json("key", "list") and waits.poll() is None
    finally:
        waits.kill()
        waits.wait()


# ---- check ----

def test_check_says_what_each_guardrail_does(guarded):
    gateway = guarded({"organizations": {"acme": {"guardrails": ["organ"], "assistants": {"bot": {"guardrails": ["mine"]}}}},
                       "keys": {"k": {"secret_sha256": "0" * 64, "guardrails": ["mine"]}}},
                      every={"default_on": True}, organ={"mode": "monitor", "stream": "after"},
                      mine={"use": "whole", "deadline_ms": "50ms", "on_error": "open", "action": "block"}, nobodys={"on": ["request"]})
    done = gateway.run("check")
    lines = [line for line in done.stdout.splitlines() if line.startswith("guardrail ")]
    assert lines == [
        "guardrail every: word, on request and response; when it fails or waits over 2.00 s: refuses; streams: piece by piece; for: everything",
        "guardrail organ: word, on request and response; when it fails or waits over 2.00 s: goes on; streams: checked when they are out; "
        "monitors only: nothing comes of what it says; for: organization acme",
        "guardrail mine: whole, on request and response; when it fails or waits over 50.0 ms: goes on; streams: held back until it was checked; "
        "for: assistant acme/bot, key k",
        "guardrail nobodys: word, on request; when it fails or waits over 2.00 s: refuses; for: nobody"]
    warnings = [line for line in done.stderr.splitlines() if "guardrails." in line]
    assert len(warnings) == 3
    assert "guardrails.organ: mode: monitor, and organization acme names it" in warnings[0]
    assert "guardrails.mine: on_error: open, and action: block" in warnings[1]
    assert "guardrails.nobodys: nobody in this file names it" in warnings[2]
    report = gateway.json("check", "--offline")
    assert [(g["guardrail"], g["organizations"], g["assistants"], g["keys"]) for g in report["guardrails"]] == [
        ("every", [], [], []), ("organ", ["acme"], [], []), ("mine", [], ["acme/bot"], ["k"]), ("nobodys", [], [], [])]
    assert len([w for w in report["warnings"] if "guardrails." in w]) == 3
    assert gateway.run("check", "--strict", check=False).returncode == 3
    gateway.change_config(guardrails={"every": gateway.config["guardrails"]["every"]}, organizations={}, keys={})
    assert not [w for w in gateway.json("check")["warnings"] if "guardrails." in w]
    gateway.change_config(guardrails={"every": {"use": "nothing-of-ours"}})
    report = json.loads(gateway.run("check", "-o", "json", check=False).stdout)
    assert report["errors"] and report["guardrails"] == []


# ---- traces ----

def test_traces_are_found_by_what_guardrails_said(guarded, provider):
    gateway = guarded(mask={"word": "mask"}, no={"action": "block"}, watch={"action": "block", "mode": "monitor", "word": "watch"})
    key = gateway.key("k", guardrails=["mask", "no", "watch"])
    other = gateway.key("other")
    ids = {text: gateway.chat(key, text=text)[1]["x-request-id"] for text in ("fine", "mask", WORD, "watch")}
    gateway.chat(other)

    def found(*words):
        return {t["id"] for t in gateway.traces(*words)}
    assert found("--guardrail", "mask") == set(ids.values()) and len(found()) == 5
    assert found("--verdict", "block") == {ids[WORD], ids["watch"]}
    assert found("--guardrail", "no", "--verdict", "block") == {ids[WORD]}
    assert found("--guardrail", "mask", "--verdict", "mask") == {ids["mask"]}
    assert found("--guardrail", "nobody") == set() and found("--guardrail", "' OR 1 --") == set()
    exported = gateway.run("traces", "export", "--verdict", "mask").stdout.splitlines()
    assert [json.loads(line)["id"] for line in exported] == [ids["mask"]]
    for nonsense in ("blocked", "", "BLOCK"):
        done = gateway.run("traces", "list", "--verdict", nonsense, check=False)
        assert done.returncode == 1 and "verdict: must be pass, flag, mask, block, reroute, again or error" in done.stderr
    shown = gateway.run("traces", "show", ids[WORD]).stdout
    assert "What guardrails said" in shown and "test.word" in shown and "block" in shown
    lines = [line.split() for line in gateway.run("traces", "show", ids["watch"]).stdout.splitlines() if line.startswith("  watch ")]
    assert [line[:3] for line in lines] == [["watch", "request", "block"], ["watch", "response", "block"]] and "(monitor)" in lines[0]
    assert "What guardrails said" not in gateway.run("traces", "show", gateway.traces("--key", "other")[0]["id"]).stdout
    tail = subprocess.Popen([gateway.program, "traces", "tail", "--since", "1h", "-c", gateway.config_path], env=gateway.env, text=True,
                            stdout=subprocess.PIPE)
    try:
        lines = [tail.stdout.readline() for _ in range(5)]
    finally:
        tail.kill()
        tail.wait()
    by = {text: next(line.rstrip() for line in lines if id in line) for text, id in ids.items()}
    assert by["fine"].endswith("ms") and by["mask"].endswith(" mask=mask")
    assert by[WORD].endswith("content_policy_violation no=block") and " watch=block(monitor)" in by["watch"]
