"""A flow of the one task, with the stub for a job: what the tests of cancelling and killing deploy.

As a program: ``python tests/tasks/stub_flow.py FOLDER NUM_SUBMITTED ARGUMENTS...``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from prefect import flow

from models.settings.train import TrainSettings
from tasks.jobs import RunReference, finished_run, run_job
from tasks.launchers.local import LocalProcess
from tasks.slots import Chain, run_chains
from tasks.supervision import SupervisionSettings
from tasks.termination import noting_termination

STUB = Path(__file__).parent / "stub_job.py"
PATIENCE = SupervisionSettings(train_silence_seconds=5.0, grace_seconds=5.0)


@flow(name="stub-training")
def stub_training(folder: str, arguments: list[str], num_submitted: int = 0) -> None:
    """Train nothing in ``folder``; ``num_submitted`` submits that many trainings at once instead of calling one."""
    data_path = Path(folder) / "data.jsonl"
    data_path.touch()
    runs_path = Path(folder) / "runs"
    options = {
        "launcher": LocalProcess(runs_path, [sys.executable, str(STUB), *arguments]),
        "patience": PATIENCE,
    }

    def training(seed: int) -> Chain[RunReference]:
        return (yield TrainSettings(train_data=data_path, val_data=data_path, seed=seed))

    with noting_termination():
        if num_submitted:
            chains = {str(seed): training(seed) for seed in range(num_submitted)}
            run_chains(chains, lambda job, _: run_job.submit(job, runs_path, **options), num_slots=num_submitted)
        else:
            finished_run(run_job(TrainSettings(train_data=data_path, val_data=data_path), runs_path, **options))


if __name__ == "__main__":
    stub_training(sys.argv[1], sys.argv[3:], int(sys.argv[2]))
