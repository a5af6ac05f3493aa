"""A job that needs no learning library, and plans for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from models.jobs.build import Build
from models.jobs.layout import RunPlan
from tasks.launchers.local import LocalProcess

STUB = Path(__file__).parent / "stub_job.py"


@pytest.fixture
def stub_launcher(tmp_path: Path) -> Callable[..., LocalProcess]:
    """Launchers of ``stub_job.py`` with the behaviour that its arguments say."""

    def make(*arguments: str) -> LocalProcess:
        return LocalProcess(tmp_path / "runs", [sys.executable, str(STUB), *arguments])

    return make


@pytest.fixture
def plan(tmp_path: Path) -> RunPlan:
    """A run directory that does not exist yet."""
    build = Build(files={}, libraries={}, machine={})
    return RunPlan("stub", "stub", "0" * 64, "1" * 64, build, tmp_path / "runs/stub/stub-000000000000/11111111")
