"""The real Prometheus reads our metrics.

SPDX-License-Identifier: MIT
"""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from harness.gateway import free_port


@pytest.fixture
def prometheus(gateway, tmp_path):
    """A Prometheus that scrapes the gateway every 200 ms; a function that asks it."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.fail("prometheus is not installed: ./tests/install test")
    port = free_port()
    config = tmp_path / "prometheus.yml"
    config.write_text(json.dumps({"scrape_configs": [
        {"job_name": "latenza", "scrape_interval": "200ms", "scrape_timeout": "200ms",
         "static_configs": [{"targets": [f"127.0.0.1:{gateway.admin_port}"]}]}]}))
    log = open(tmp_path / "prometheus.log", "wb")
    process = subprocess.Popen([program, f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                                f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)

    def ask(query):
        """The value of an instant query; None while there is none."""
        url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
        try:
            found = json.load(urllib.request.urlopen(url, timeout=5))["data"]["result"]
        except (urllib.error.URLError, ConnectionError):
            return None
        return float(found[0]["value"][1]) if found else None

    yield ask
    process.terminate()
    process.wait()
    log.close()


def wait_until(what, seconds=20):
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.1)
    assert what()


def test_every_line_of_the_metrics_is_sound_in_promtools_eyes(gateway):
    gateway.chat(gateway.key())
    text = gateway.get("/metrics", port=gateway.admin_port)[2]
    result = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_prometheus_scrapes_what_requests_did(gateway, prometheus):
    key = gateway.key()
    for _ in range(3):
        assert gateway.chat(key)[0] == 200
    wait_until(lambda: prometheus("up") == 1)
    wait_until(lambda: prometheus('latenza_requests_total{outcome="ok"}') == 3)
    wait_until(lambda: prometheus("histogram_quantile(0.5, latenza_request_duration_seconds_bucket)") is not None)
    assert prometheus("latenza_requests_in_flight") == 0
