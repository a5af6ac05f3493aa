"""A flow of the one task, with the stub for a job: what the tests of cancelling and killing deploy."""

from __future__ import annotations

import sys
from pathlib import Path

from prefect import flow

from models.settings.train import TrainSettings
from tasks.jobs import RunReference, finished_run, run_job
from tasks.launchers.local import LocalProcess
from tasks.supervision import SupervisionSettings
from tasks.termination import noting_termination

STUB = Path(__file__).parent / "stub_job.py"
PATIENCE = SupervisionSettings(train_silence_seconds=5.0, grace_seconds=5.0)


@flow(name="stub-training")
def stub_training(folder: str, arguments: list[str], in_thread: bool = False) -> RunReference:
    """Train nothing in ``folder``; ``in_thread`` submits the task instead of calling it."""
    data_path = Path(folder) / "data.jsonl"
    data_path.touch()
    job = TrainSettings(train_data=data_path, val_data=data_path)
    runs_path = Path(folder) / "runs"
    options = {
        "launcher": LocalProcess(runs_path, [sys.executable, str(STUB), *arguments]),
        "patience": PATIENCE,
    }
    with noting_termination():
        if in_thread:
            return finished_run(run_job.submit(job, runs_path, **options).result())
        return finished_run(run_job(job, runs_path, **options))
