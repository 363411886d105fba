"""What every suite of pytest shares: the switch --full and the fixtures of tests/harness.

SPDX-License-Identifier: MIT
"""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness.gateway import Gateway  # noqa: E402
from harness.provider import Provider  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="the long versions")


def pytest_configure(config):
    config.addinivalue_line("markers", "timeout(seconds): see pytest-timeout, which may not be there")


@pytest.fixture
def full(request):
    return request.config.getoption("--full")


def pytest_make_parametrize_id(config, val, argname):
    """Garbage may be long; its name need not be."""
    return repr(val[:30]) + f"+{len(val) - 30}" if isinstance(val, (str, bytes)) and len(val) > 60 else None


@pytest.fixture(scope="session")
def build():
    folder = os.environ.get("LATENZA_BUILD")
    if folder is None or not (pathlib.Path(folder) / "latenza").exists():
        pytest.fail("no built gateway: run ./tests/run, or set LATENZA_BUILD to a build folder")
    return pathlib.Path(folder)


@pytest.fixture(scope="session")
def instruments(build):
    """The flags that have the build's programs watched (sanitizers) or counted (coverage). None: []."""
    told = subprocess.run(["./config.status", "--file=-:-"], input="@INSTRUMENT@", cwd=build, capture_output=True, text=True, check=True)
    return told.stdout.split()


@pytest.fixture(scope="session")
def sanitizers(instruments):
    """Those of sanitizers; a program that is linked with the build's libraries needs the same."""
    return [flag for flag in instruments if flag.startswith("-fsanitize")]


@pytest.fixture(scope="session")
def node_modules(build):
    """The folder of what npm installed, asked for by the packages that a test wants; without them it is skipped. A build with
    other flags (sanitize, coverage, threads) has none of its own: LATENZA_TOOLS says where the first one is."""
    modules = pathlib.Path(os.environ.get("LATENZA_TOOLS", build)) / "node/node_modules"

    def node_modules(*wanted):
        missing = [name for name in wanted if not (modules / name).exists()]
        if shutil.which("node") is None or missing:
            pytest.skip(f"npm could not be reached: no {' or '.join(missing) or 'node'}")
        return modules
    return node_modules


@pytest.fixture
def is_passed(instruments):
    """Whether `plugin check`, asked by itself or by make, found nothing; what is counted or watched is slow, and it says so.
    What counts is gcc's libgcov, which exports a function of its own."""
    instruments_do = ("held its thread", "more than latenza_plugin_v0: mangle_path;")

    def is_passed(done):
        warned = [line for line in done.stdout.splitlines() if line.strip().startswith("warn")]
        has_warned = done.returncode == 3 or (done.returncode == 2 and "] Error 3" in done.stderr)
        return done.returncode == 0 or (bool(instruments) and has_warned and all(any(what in line for what in instruments_do) for line in warned))
    return is_passed


@pytest.fixture
def provider():
    """A scripted OpenAI-compatible server."""
    with Provider() as p:
        yield p


@pytest.fixture
def make_gateway(build, tmp_path):
    """Starts gateways; each must end in order, and with an exit code of 0, when the test does."""
    made = []

    def make(**options):
        gateway = Gateway(build, tmp_path / f"gateway{len(made)}", **options)
        made.append(gateway)
        return gateway.start()

    yield make
    for gateway in made:
        gateway.close()


@pytest.fixture
def gateway(make_gateway, provider):
    """A gateway in front of `provider`, with the echo beside it."""
    return make_gateway(provider=provider)


@pytest.fixture
def scripted(make_gateway, provider, tmp_path):
    """A gateway with these scripts; its key and the folder they lie in."""
    folder = tmp_path / "policies"
    folder.mkdir()

    def make(scripts, config=None, key=None, **more):
        for name, text in scripts.items():
            (folder / name).write_text(text)
        files = [{"file": str(folder / name)} | more for name in scripts if not name.startswith("lib")]
        gateway = make_gateway(provider=provider, config={"policies": files} | (config or {}))
        return gateway, gateway.key("k", **(key or {})), folder
    return make
