"""Files that are no plugin, or none for this gateway: `latenza check` says of each what is wrong, in words of its own, and a gateway
that is told to reload with one keeps what it has. What the sentences say: test_hostile.c.

SPDX-License-Identifier: MIT
"""

import json
import os
import pathlib
import subprocess

import pytest
from harness.gateway import Failed

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
COMPILED = ["WRONG_MINOR", "WRONG_MAGIC", "WRONG_SIZE", "NO_SYMBOL", "WRONG_SYMBOL", "CRASHING_CONSTRUCTOR", "LOOPING_ENTRY"]
MADE = {
    "not an ELF": lambda path, good: path.write_bytes(b"#!/bin/sh\n" + b"x" * 100),
    "32-bit ELF": lambda path, good: path.write_bytes(good[:4] + b"\1" + good[5:]),
    "truncated ELF": lambda path, good: path.write_bytes(good[:len(good) // 2]),
    "directory": lambda path, good: path.mkdir(),
    "FIFO": lambda path, good: os.mkfifo(path),
    "symbolic link": lambda path, good: path.symlink_to("/etc/hostname"),
    "absent": lambda path, good: None,
}


def compiled(case, path):
    subprocess.run([*os.environ.get("CC", "cc").split(), "-std=c11", "-D_DEFAULT_SOURCE", "-w", f"-DCASE={case}", "-fPIC", "-shared",
                    "-fvisibility=hidden", f"-I{TOP / 'sdk'}", "-o", path, TOP / "tests/abi/hostile.c"], check=True)
    return path


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """name -> file"""
    folder = tmp_path_factory.mktemp("bad")
    good = compiled("GOOD", folder / "good.so").read_bytes()
    files = {case: compiled(case, folder / f"{case.lower()}.so") for case in COMPILED}
    for number, (name, make) in enumerate(MADE.items()):
        files[name] = folder / f"made{number}.so"
        make(files[name], good)
    return files


def test_each_is_refused_in_its_own_words_and_the_gateway_keeps_its_configuration(gateway, bad):
    key, before, said = gateway.key("k"), gateway.config, {}
    for name, path in bad.items():
        gateway.change_config(plugins=["compatible", "echo", "balanced", "cheapest", str(path)], plugin_files="warn",
                              limits={"body_bytes": "1KiB"})
        checked = gateway.run("check", check=False)
        assert checked.returncode == 78 and path.name in checked.stderr, (name, checked)
        said[name] = checked.stderr.replace(str(path), "FILE")
        with pytest.raises(Failed, match=path.name):
            gateway.run("reload")
        status, _, raw = gateway.get("/readyz")
        assert status == 200 and path.name in json.loads(raw)["config_refused"]
        assert gateway.chat(key, text="x" * 2000)[0] == 200, f"{name}: what serves is what was there"
    assert len(set(said.values())) == len(said), said
    gateway.write_config(before)
    gateway.run("reload")
    assert "config_refused" not in json.loads(gateway.get("/readyz")[2])
