"""Marked secrets: every gateway of every test is searched for them when it ends (harness/gateway.py); this is about what
is left to show.

SPDX-License-Identifier: MIT
"""

import base64
import os
import resource
import signal
import subprocess

import pytest

from harness.gateway import PROVIDER_KEY, Gateway


def aborted(argv, folder, before=lambda process: None, **more):
    """Whether the process left a core when it was told to, with nothing outside that forbids one."""
    def allow():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    process = subprocess.Popen(argv, cwd=folder, preexec_fn=allow, stdin=subprocess.DEVNULL, **more)
    before(process)
    os.kill(process.pid, signal.SIGABRT)
    return os.WCOREDUMP(os.waitpid(process.pid, 0)[1])


def test_a_gateway_that_crashes_leaves_no_core(build, provider, tmp_path):
    try:
        dumps = aborted(["sleep", "60"], tmp_path)
    except (OSError, ValueError):
        dumps = False
    if not dumps:
        pytest.skip("this machine makes no cores")
    g = Gateway(build, tmp_path / "gateway", provider=provider, must_end_well=False)

    def use(process):
        g.process = process
        g.wait_ready()
        assert g.chat(g.key())[0] == 200

    with open(g.log_path, "ab") as log:
        assert not aborted([g.program, "serve", "-c", g.config_path], g.folder, use, env=g.env, stdout=log, stderr=log)
    g.look_for_secrets()


@pytest.mark.parametrize("written", [
    PROVIDER_KEY, "a Bearer " + PROVIDER_KEY.replace("/", "\\/"), PROVIDER_KEY.encode().hex(),
    base64.b64encode(b"x" + PROVIDER_KEY.encode()).decode(), base64.b64encode(b"Bearer " + PROVIDER_KEY.encode()).decode()])
def test_the_search_finds_a_secret_however_it_is_written(build, tmp_path, written):
    g = Gateway(build, tmp_path / "gateway")
    (g.folder / "deeper").mkdir()
    (g.folder / "deeper" / "file").write_text(f"{{{written}}}")
    with pytest.raises(AssertionError, match="a secret stands in .*file"):
        g.look_for_secrets()


def test_the_commands_that_show_a_gateway_show_no_secret(gateway):
    gateway.chat(gateway.key("one", budget_monthly_eur=1))
    for words in (["config", "show"], ["doctor"], ["provider", "test", "fake"], ["key", "list"], ["key", "show", "one"],
                  ["traces", "export", "--content"], ["plugin", "list"], ["status"]):
        gateway.run(*words, check=False)
    assert gateway.said == []
