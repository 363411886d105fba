"""Every call that can fail, fails: once, and from then on. What must hold stands in stage.c, what happens in scenes.c.

SPDX-License-Identifier: MIT
"""

import json
import os
import pathlib
import subprocess

import pytest

# Every n-th allocation in CI, and with --full; of all other calls, each. A scene that is not named: 4, and each.
STRIDES = {"refused": (1, 1), "garbage": (1, 1), "budget": (1, 1), "blocked": (1, 1), "patient": (2, 1), "moved": (1, 1), "again": (1, 1), "models": (2, 1), "metrics": (1, 1),
           "backup": (80, 1), "create": (30, 1), "show": (30, 1), "status": (8, 1), "traces": (40, 1),
           "reload": (97, 1), "start": (211, 1), "load": (499, 3), "end": (10, 1), "check": (41, 1),
           "errors": (41, 1), "keys": (60, 1)}
SCENES = ["plain", "fresh", "stream", "tools", "watched", "blocked", "patient", "moved", "again", "refused", "garbage", "failover", "budget", "large", "folded", "leave", "reset",
          "models", "metrics", "traces", "show", "status", "backup", "create", "reload", "start", "load", "end", "check",
          "errors", "keys"]


@pytest.fixture(scope="session")
def survive(build):
    made = subprocess.run(["make", "-s", "-C", build, "tests/faults/survive"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-4000:]
    return build / "tests/faults/survive"


def run(survive, folder, *words):
    env = {**os.environ, "LATENZA_PLUGIN_PATH": str(survive.parents[2] / "plugins/.libs"), "TMPDIR": "/tmp",
           "SURVIVE_LOG": str(folder / "survive.log")}
    return subprocess.run([survive, *words], env=env, cwd=folder, capture_output=True, text=True)


def test_the_scenes_are_these(survive, tmp_path):
    assert run(survive, tmp_path, "--list").stdout.split() == SCENES


@pytest.mark.parametrize("scene", SCENES)
def test_nothing_breaks_whatever_fails(survive, tmp_path, full, scene):
    stride = STRIDES.get(scene, (4, 1))[full]
    ended = run(survive, tmp_path, "--scene", scene, "--stride", str(stride))
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    wrong = [row for row in rows if row["wrong"]]
    log = pathlib.Path(tmp_path / "survive.log").read_text(errors="replace")
    assert not wrong, json.dumps(wrong[0], indent=1) + "\n" + log[-4000:]
    assert ended.returncode == 0, ended.stderr[-2000:]
    print(f"{scene}: {sum(row['runs'] for row in rows):,} runs in which something failed, every {stride}. allocation")
    assert sum(row["runs"] for row in rows if row["call"] == "memory") > 2, "no allocation failed"
