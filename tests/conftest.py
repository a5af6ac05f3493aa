"""What tests share that is costly to start: one Prefect server and worker, one AWS double for each test process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from benchmarks.local_aws import LocalAws, TwinOptions

# These machines are shared: how long an example takes says nothing about the code.
hypothesis.settings.register_profile("shared", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("shared")

ROOT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With ``-n N --dist loadgroup`` one process runs all tests of a module that starts servers.

    So what such a module makes once is made once, and no process starts a second server for what another one has.
    """
    for item in items:
        if item.get_closest_marker("server") or {"local_aws", "aws"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Versions of pytest and xdist that do not fit each other run every test on its own, without a word."""
    if not getattr(session.config.option, "loadgroup", False):
        return
    for item in session.items:
        group = item.get_closest_marker("xdist_group")
        if group is not None and not item.nodeid.endswith(f"@{group.args[0]}"):
            raise pytest.UsageError(f"{item.nodeid} is not in its group: this pytest-xdist needs another pytest")


@pytest.fixture(scope="session")
def asked_to_train() -> None:
    """Skips what trains in the seed's four test files, unless its variable asks for it; ``make test-long`` does."""
    if os.environ.get("RUN_DL_TRAIN_TESTS") != "1":
        pytest.skip("trains: set RUN_DL_TRAIN_TESTS=1, or run make test-long")


@dataclass(frozen=True)
class ServerUnderTest:
    """A server, worker and deployments as ``python -m deployments.server up`` makes them."""

    api_url: str
    port: int
    home_path: Path
    up_output: str

    @property
    def environment(self) -> dict[str, str]:
        """For commands that talk to it."""
        return {**os.environ, "PREFECT_API_URL": self.api_url, "PREFECT_HOME": str(self.home_path)}

    def command(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run ``python -m …`` in the checkout, talking to this server."""
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerUnderTest]:
    """Started once; state in a folder of its own, on a free port, gone at the end."""
    home_path = tmp_path_factory.mktemp("prefect")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = ServerUnderTest(f"http://127.0.0.1:{port}/api", port, home_path, "")
    try:
        up = made.command("deployments.server", "up", "--port", str(port), timeout=200)
        assert up.returncode == 0, up.stdout + up.stderr
        yield ServerUnderTest(made.api_url, port, home_path, up.stderr)
    finally:
        made.command("deployments.server", "stop", "--port", str(port))


@pytest.fixture
def prefect_client(server: ServerUnderTest) -> Iterator[Any]:
    """A client of the server; flows called in this process report to it too."""
    from prefect.client.orchestration import get_client
    from prefect.events.worker import EventsWorker
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: server.api_url}), get_client(sync_client=True) as client:
        yield client
        # Its connection pings with numbers of the global random state, which later tests of this process compare.
        EventsWorker.drain_all(timeout=10)


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """Moto and the twin; a job that is stopped gets a second."""
    with LocalAws(tmp_path_factory.mktemp("aws"), options=TwinOptions(stop_seconds=1.0)) as aws:
        yield aws


@pytest.fixture
def aws(local_aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAws]:
    """The servers as the only AWS that this process finds; nothing goes wrong but what the test plans."""
    for name, value in local_aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    yield local_aws
    local_aws.clear_faults()
