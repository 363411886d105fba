"""What a request costs in work that is counted, not timed: these alone may fail the build, 10 % above what is written
down in counted.json.

SPDX-License-Identifier: MIT
"""

import json
import pathlib
import shutil

import pytest

import bench

ALLOWED = 1.10
# The storage thread's part depends on how many requests share a transaction, and so on how busy the machine is.
ALLOWED_WITH_STORAGE = 1.25
WRITTEN = json.loads((pathlib.Path(__file__).parent / "counted.json").read_text())


def needs(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def check(name, got, allowed=ALLOWED):
    print(f"{name}: {got:.2f}, written down {WRITTEN[name]}")
    assert got <= WRITTEN[name] * allowed, f"{name}: {got:.2f}, more than {allowed - 1:.0%} above {WRITTEN[name]}"


@pytest.mark.parametrize("log_content", ["full", "off"])
def test_a_request_of_1_kb_takes_the_instructions_it_took(build, tmp_path, log_content):
    needs("valgrind")
    worker, everything = bench.instructions(build, tmp_path, log_content=log_content)
    check(f"worker_instructions_{log_content}", worker)
    check(f"instructions_{log_content}", everything, ALLOWED_WITH_STORAGE)


@pytest.mark.parametrize(("language", "count"), [("c", 120), ("lua", 30)])
def test_a_guardrail_that_looks_at_nothing_costs_what_it_cost(build, tmp_path, language, count):
    """So many of them, on the request and on the answer, beside none: what one visit takes, its verdict in the trace counted in.
    What a request takes without them differs by 2,000 from run to run: that is 8 instructions a visit of 120 guardrails."""
    needs("valgrind")
    few, many = (bench.instructions(build, tmp_path / str(n), log_content="off", more=bench.noop_guardrails(tmp_path, n, language))[0]
                 for n in (0, count))
    check(f"guardrail_visit_{language}", (many - few) / (2 * count))


@pytest.mark.parametrize("language", ["c", "lua"])
def test_masking_4_kb_costs_what_it_cost(build, tmp_path, language):
    """About twelve values in a request of 4 KB, beside the same request without a guardrail."""
    needs("valgrind")
    none, masked = (bench.instructions(build, tmp_path / use, count=500, request=bench.PERSONAL_4K, log_content="off", more=bench.redaction(use))[0]
                    for use in ("none", language))
    check(f"redaction_4k_{language}", masked - none)


def test_a_thousand_dead_candidates_cost_a_living_one_next_to_nothing(build, tmp_path):
    """Whatever a request takes: with them it takes a tenth more at most."""
    needs("valgrind")
    alone, with_them = (bench.with_dead(build, tmp_path / str(dead), dead) for dead in (0, 1000))
    print(f"worker's instructions alone {alone:.0f}, beside 1,000 dead candidates {with_them:.0f}: "
          f"{with_them / alone:.3f} times")
    assert with_them <= alone * ALLOWED


def test_a_request_of_1_kb_takes_the_system_calls_it_took(build, tmp_path):
    needs("strace")
    check("system_calls", bench.system_calls(build, tmp_path)["all"])


def test_an_idle_stream_keeps_the_memory_it_kept(build, tmp_path):
    """Resident, of a thousand: what a request needs only at its beginning is given back, or was never its own."""
    check("idle_stream_kb", bench.idle_streams(build, tmp_path))
