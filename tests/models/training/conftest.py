"""Trainers and jobs that run in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.jobs.execution import Execution, execute
from models.jobs.registry import parse_job
from models.settings.train import TrainSettings
from models.training.gnn import GraphObjective
from models.training.job import assemble, resume
from models.training.process import open_process
from models.training.trainer import Trainer


@pytest.fixture(autouse=True)
def _torch_left_as_found(torch_left_as_found: None) -> None:
    """Whatever runs here."""


@pytest.fixture
def trainer_of(train_document: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., Trainer]:
    """A trainer before its first step; arguments as for ``train_document``."""

    def made(model: dict[str, Any] | None = None, *, folder: str = "run", **changes: Any) -> Trainer:
        settings = TrainSettings.model_validate(train_document(model, **changes))
        run_path = tmp_path / folder
        run_path.mkdir(exist_ok=True)
        attempt = len(list(run_path.glob("attempt-*"))) + 1
        (run_path / f"attempt-{attempt}").touch()
        context = JobContext(run_path, tmp_path, EventStream(run_path / "progress.jsonl"), attempt=attempt)
        trainer = assemble(settings, context, open_process(settings.compute, context), GraphObjective)
        resume(trainer, started=0.0)
        return trainer

    return made


@pytest.fixture
def run_job(tmp_path: Path) -> Callable[..., int]:
    """Runs a job from its document in a folder of ``tmp_path``; its exit code."""

    def run(document: dict[str, Any], folder: str, **options: Any) -> int:
        return execute(Execution(parse_job(json.dumps(document)), tmp_path / folder, tmp_path, **options))

    return run


@pytest.fixture(scope="session")
def undisturbed(train_document: Callable[..., dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of ``train_document()`` after nothing happened to it."""
    run_path = tmp_path_factory.mktemp("undisturbed")
    assert execute(Execution(parse_job(json.dumps(train_document())), run_path, run_path)) == 0
    return run_path
