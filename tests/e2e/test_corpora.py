"""The corpora that lie beside the repository, in full, through what serves: HTTP that two readers read differently, and
JSONTestSuite. LATENZA_CORPORA says where they are; without them these tests are skipped, and test_doors_http runs our own
copies of most of it.

SPDX-License-Identifier: MIT
"""

import collections
import re
import subprocess
import sys

import pytest
from harness.doors import CORPORA, Doors, check_error, handled, post, rows, unescape
from harness.provider import Provider

# What RFC 8259 takes and the gateway refuses (core/base/README.md).
POLICY = {"y_object_escaped_null_in_key.json"}


def corpus(*path):
    found = CORPORA.joinpath(*path)
    if not found.exists():
        pytest.skip(f"LATENZA_CORPORA holds no {'/'.join(path)}")
    return found


def smuggling():
    lines = corpus("http-smuggling", "cases.tsv").read_text().split("\n")[1:]
    return [line.split("\t") for line in lines if line]


@pytest.fixture(scope="module")
def doors(build, tmp_path_factory):
    with Provider(["fake-1", "m"]) as provider:
        g = Doors(build, tmp_path_factory.mktemp("corpora") / "g", provider).start()
        g.plain, g.few = g.key("plain", budget_monthly_eur=100), g.key("few", model_allowlist=["m"])
        yield g
        try:
            assert g.chat(g.plain)[0] == 200, "still serves"
            g.check_nothing_leaks()
        finally:
            g.close()


@pytest.fixture
def stub(build):
    """The real server with a trivial application behind it: its port."""
    done = subprocess.run(["make", "tests/tools/http_stub"], cwd=build, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("tests/tools/http_stub cannot be made here")
    with subprocess.Popen([build / "tests/tools/http_stub"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield int(process.stdout.readline())
        process.stdin.close()
        assert process.wait(10) == 0


def test_the_smuggling_corpus_by_its_own_runner(stub):
    """Rows of the layer `app` (keys, content-encoding) are not the stub's business."""
    runner = corpus("http-smuggling", "run.py")
    done = subprocess.run([sys.executable, runner, str(stub)], capture_output=True, text=True, timeout=120)
    ok = collections.Counter({(layer, expect): int(n) for layer, expect, n in re.findall(r"(?m)^(\w+) (\w+) ok (\d+)$", done.stdout)})
    wanted = collections.Counter((case[1], case[3]) for case in smuggling() if case[1] == "parser")
    assert {k: v for k, v in ok.items() if k[0] == "parser"} == dict(wanted), done.stdout
    assert wanted["parser", "reject"] >= 93 and wanted["parser", "accept"] >= 5


def test_the_smuggling_corpus_through_the_gateway(doors):
    wrong, count = [], collections.Counter()
    for name, _, _, expect, raw, _, _ in smuggling():
        got = handled(doors.port, doors.few, expect, unescape(raw))
        # Pipelined requests are served one after the other up to the limit, and then the connection ends.
        if name == "lim-pipeline":
            got = [] if len(got) < raw.count("GET ") else got
        fine = got == [200] if expect == "accept" else expect == "either" or got == []
        count[expect] += 1
        if not fine:
            wrong.append((name, expect, got))
    assert wrong == []
    assert count["reject"] >= 99 and count["accept"] >= 5, count


def test_json_test_suite_in_full_as_a_member_of_a_request(doors):
    """Every file, also those of 100,000 levels: n_ is refused, y_ is served but for what POLICY lists."""
    wrong, count = [], collections.Counter()
    for file in sorted(corpus("JSONTestSuite", "test_parsing").glob("*.json")):
        body = b'{"model":"fake-1","messages":[{"role":"user","content":"x"}],"x":' + file.read_bytes() + b"}"
        answer = doors.ask(post(doors.plain, body))
        kind, status = file.name[0], answer.status
        count[kind] += 1
        expected = {"n": [400], "y": [400] if file.name in POLICY else [200], "i": [200, 400]}[kind]
        if status not in expected:
            wrong.append((file.name, answer))
        if status == 400:
            check_error(answer)
    assert wrong == []
    assert count["n"] >= 188 and count["y"] >= 95 and count["i"] >= 35, count


def test_our_copies_are_what_the_corpora_hold():
    theirs = [line.split("\t") for line in corpus("json-policy", "cases.tsv").read_text().splitlines()]
    assert rows("json_policy.tsv") == theirs
    copied = {row[0]: row for row in rows("smuggling.tsv")[1:]}
    left_out = [case for case in smuggling() if copied.get(case[0]) != case]
    assert all(len(case[4]) > 10000 for case in left_out), [case[0] for case in left_out]
