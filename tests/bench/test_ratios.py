"""Short runs beside HAProxy: every request must be answered; what it cost is printed and written to the build folder,
and decides nothing.

SPDX-License-Identifier: MIT
"""

import json
import os
import shutil
import subprocess

import pytest

import bench
from harness.wires import WIRES


@pytest.mark.parametrize("log_content", ["full", "off"])
def test_every_request_beside_haproxy_is_answered(build, tmp_path, full, log_content):
    if shutil.which("haproxy") is None and not os.path.exists("/usr/sbin/haproxy"):
        pytest.skip("haproxy is not installed")
    found = bench.ratios(build, tmp_path, log_content, *((4, 3) if full else (1, 1)))
    (build / "bench" / f"ratios-{log_content}.json").write_text(json.dumps(found, indent=1))
    for name, row in found.items():
        print(f"{name}: {row['ratio'][len(row['ratio']) // 2]:.2f}")
    assert set(found) == set(bench.CASES)


def test_thousands_of_keys_are_loaded_and_served(build, tmp_path, full):
    found = bench.with_keys(build, tmp_path, 100000 if full else 10000, seconds=1, rounds=1)
    print(found)
    assert found["rss_kb"] > 0


def test_what_is_translated_costs_little_beside_jansson(build):
    """The program fails when a wire is not translated."""
    made = subprocess.run(["make", "-s", "-C", build, "tests/bench/translate"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    run = subprocess.run([build / "tests/bench/translate", build / "plugins/.libs"], capture_output=True, text=True, timeout=120)
    print(run.stdout)
    (build / "bench").mkdir(exist_ok=True)
    (build / "bench" / "translate.txt").write_text(run.stdout)
    assert run.returncode == 0, run.stderr
    assert {line.partition(":")[0] for line in run.stdout.splitlines()} >= set(WIRES)
