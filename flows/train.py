"""One training, here or on SageMaker: the run that a sweep or a phase would make, alone.

    python -m flows.train --model.kind transformer --train-data TRAIN --val-data VALID --epochs 5
    python -m flows.train --where sagemaker --train-data-s3 s3://BUCKET/train.jsonl --val-data-s3 s3://BUCKET/valid.jsonl
    prefect deployment run train
    from flows.train import TrainingSettings, train

Records are those of the preprocess job; ``python -m models train`` runs the same job without Prefect.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from prefect import flow
from pydantic import NonNegativeInt, model_validator

from models.settings.command_line import parse_command
from models.settings.fields import INCIDENTAL
from models.settings.train import CheckpointSettings, ComputeSettings, ModelSettings, TrainSettings
from models.settings.transformer import TransformerSettings
from tasks.aws.settings import S3Location
from tasks.flow_jobs import flow_jobs
from tasks.jobs import RunReference
from tasks.launchers.places import placed_by_environment
from tasks.planned_program import run_planned_program
from tasks.program import ProgramOptions, say_own_errors_in_a_line
from tasks.remote_inputs import INPUTS_FOLDER, at_hand
from tasks.run_settings import PLACE_ENVIRONMENT, SAGEMAKER_ALIASES, RunSettings
from tasks.termination import noting_termination

ALIASES = {
    "epochs": "model.epochs",
    "batch-size": "model.batch_size",
    "lr": "model.learning_rate",
    "mixed-precision": "compute.precision=auto",
    "num-ranks": "compute.num_ranks",
    "num-threads": "compute.num_threads",
    **SAGEMAKER_ALIASES,
}
"""Flat flags of the program, as the launch scripts of the system this grew from called them."""
INPUTS = ("train_data", "val_data", "test_data", "tokenizer")


class TrainingSettings(RunSettings):
    """Train one model with one seed, here or on SageMaker."""

    train_data: Path | None = None
    """Records to learn from: a .jsonl of the preprocess job; or train_data_s3."""
    val_data: Path | None = None
    """Records for early stopping, learning rate and threshold; or val_data_s3."""
    test_data: Path | None = None
    """Sealed test records, opened once (and logged) after training has ended; empty: not opened."""
    tokenizer: Path | None = None
    """Folder of the tokenizer that made the records, for models that read tokens; empty: the one beside train_data."""
    train_data_s3: S3Location | None = None
    """The same as train_data, in S3; fetched once, to name the run by its content."""
    val_data_s3: S3Location | None = None
    """The same as val_data, in S3."""
    test_data_s3: S3Location | None = None
    """The same as test_data, in S3."""
    tokenizer_s3: S3Location | None = None
    """The same as tokenizer, in S3: a prefix with its files."""
    model: ModelSettings = TransformerSettings()
    """Kind of model, its architecture and its optimisation."""
    seed: NonNegativeInt = 42
    """Base seed; initialisation, data order and dropout derive their own from it."""
    quick_test: bool = False
    """First 100 records of each file and 1 epoch (recorded)."""
    compute: ComputeSettings = ComputeSettings()
    """Device, precision, ranks and threads."""
    checkpoints: Annotated[CheckpointSettings, INCIDENTAL] = CheckpointSettings()
    """When training progress is saved."""

    @model_validator(mode="after")
    def _each_input_once(self) -> TrainingSettings:
        for name in INPUTS:
            here, there = getattr(self, name), getattr(self, f"{name}_s3")
            if here is not None and there is not None:
                raise ValueError(f"{name} and {name}_s3 are the same input; give one of them")
            if here is None and there is None and name in ("train_data", "val_data"):
                raise ValueError(f"{name} or {name}_s3 must be given")
        return self


@flow(name="train", flow_run_name="train {settings.model.kind} seed {settings.seed}")
def train(settings: TrainingSettings) -> RunReference:
    """Train one model with one seed, here or on SageMaker.

    Raises:
        CodewardenError: what the job said; ``retryable`` tells whether running again may help.
    """
    say_own_errors_in_a_line()
    with noting_termination():
        settings = placed_by_environment(settings)
        job = train_job(settings)
        with flow_jobs(settings) as jobs:
            jobs.preflight(job)
            return jobs.run(job)


def train_job(settings: TrainingSettings) -> TrainSettings:
    """The job; inputs in S3 are fetched once, so that it can be named by their content."""
    return _job(settings, {name: at_hand(here, there, settings) for name, (here, there) in _inputs(settings).items()})


def foreseen_job(settings: TrainingSettings) -> TrainSettings:
    """The job as far as it is known without asking S3."""
    inputs = _inputs(settings)
    fetched_path = settings.runs.resolve() / INPUTS_FOLDER
    return _job(
        settings, {name: here or fetched_path / str(there).rpartition("/")[2] for name, (here, there) in inputs.items()}
    )


def _inputs(settings: TrainingSettings) -> dict[str, tuple[Path | None, str | None]]:
    """The inputs that are given: here, or in S3."""
    given = {name: (getattr(settings, name), getattr(settings, f"{name}_s3")) for name in INPUTS}
    return {name: places for name, places in given.items() if any(places)}


def _job(settings: TrainingSettings, inputs: dict[str, Path]) -> TrainSettings:
    return TrainSettings(
        **inputs,
        model=settings.model,
        seed=settings.seed,
        quick_test=settings.quick_test,
        compute=settings.compute,
        checkpoints=settings.checkpoints,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The program: settings from flags and file, the flow, its numbers; gives the exit code."""
    settings, options = parse_command(
        TrainingSettings,
        ProgramOptions,
        sys.argv[1:] if argv is None else argv,
        prog="python -m flows.train",
        aliases=ALIASES,
        environment=PLACE_ENVIRONMENT,
    )
    return run_planned_program(settings, options, lambda: [foreseen_job(settings)], lambda: show(train(settings)))


def show(run: RunReference) -> str:
    """What the program prints at its end."""
    return f"{json.dumps(run.numbers, indent=1)}\nrun directory: {run.run_path}\n"


if __name__ == "__main__":
    sys.exit(main())
