"""Phase 1: preprocess functions, train the graph network, score it beside honest baselines, report.

    python -m flows.phase1 --config configs/phase1/quick.yaml --gnn.epochs 2
    prefect deployment run phase1
    from flows.phase1 import Phase1Settings, phase1; phase1(Phase1Settings(preprocess={"data": "runs/demo-data"}))

The three are the same flow. A second run of the same settings finds every job finished, and trains nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from prefect import flow
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

from models.settings.command_line import parse_settings
from models.settings.evaluate import EvaluateSettings
from models.settings.fields import INCIDENTAL, Settings
from models.settings.gnn import GnnSettings
from models.settings.predict import PredictSettings
from models.settings.preprocess import PreprocessSettings
from models.settings.train import CheckpointSettings, ComputeSettings, TrainSettings
from tasks.jobs import RunReference, finished_run, run_job
from tasks.launchers.contract import Launcher
from tasks.launchers.local import LocalProcess
from tasks.program import run_program
from tasks.publication import publish_phase1
from tasks.supervision import SupervisionSettings
from tasks.termination import noting_termination

ALIASES = {
    "data": "preprocess.data",
    "source": "preprocess.source",
    "epochs": "gnn.epochs",
    "batch-size": "gnn.batch_size",
    "lr": "gnn.learning_rate",
    "num-threads": "compute.num_threads",
    "device": "compute.device",
}
"""Flat flags of the program for the fields people set most."""

ENVIRONMENT = {"CODEWARDEN_RUNS": "runs"}
"""The only variables that are read."""


class Phase1Settings(Settings):
    """Phase 1: preprocess functions, train the graph network, score it beside honest baselines, report."""

    preprocess: PreprocessSettings
    """From raw functions to records; its data is the one thing that must be said."""
    gnn: GnnSettings = GnnSettings()
    """The graph network and how it is optimised."""
    seed: NonNegativeInt = 42
    """Base seed of training, resampling and baselines."""
    quick_test: bool = False
    """First 100 usable records of each split and 1 epoch (recorded); the numbers then mean nothing."""
    open_test: str | None = "phase 1: final measurement"
    """Purpose of opening the sealed test split, written into openings.jsonl; empty: it stays sealed."""
    num_resamples: PositiveInt = 2000
    """Bootstrap resamples over commits."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    """Coverage of the intervals."""
    compute: ComputeSettings = ComputeSettings()
    """Device, precision, ranks and threads of training; prediction takes all but the ranks."""
    checkpoints: CheckpointSettings = CheckpointSettings()
    """When training progress is saved."""
    patience: SupervisionSettings = SupervisionSettings()
    """How long a job may be silent, and how long it gets to save when it is stopped."""
    runs: Annotated[Path, INCIDENTAL] = Path("runs")
    """The run root: everything that is written lies under it."""
    reuse_build: Annotated[bool, INCIDENTAL] = False
    """Go on with an unfinished run that other code began, instead of refusing (recorded)."""
    where: Annotated[Literal["local"], INCIDENTAL] = "local"
    """Where jobs run; local: as child processes of the flow."""


class Phase1Result(BaseModel):
    """What phase 1 leaves: the runs of its jobs, a table for people and the report."""

    model_config = ConfigDict(frozen=True)

    preprocess: RunReference
    train: RunReference
    predict: RunReference
    evaluate: RunReference
    table: str
    """Model and baselines, one line each, as text."""
    report_path: Path
    """A self-contained HTML page."""


@flow(name="phase1", flow_run_name="phase1 {settings.preprocess.source} seed {settings.seed}")
def phase1(settings: Phase1Settings) -> Phase1Result:
    """Preprocess functions, train the graph network, score it beside honest baselines, report.

    Raises:
        CodewardenError: what the first job that failed said; ``retryable`` tells whether running again may help.
    """
    runs_path = settings.runs.resolve()
    launcher = launcher_for(settings.where, runs_path)

    def run(job: Settings) -> RunReference:
        answer = run_job(
            job, runs_path, launcher=launcher, patience=settings.patience, reuse_build=settings.reuse_build
        )
        return finished_run(answer)

    with noting_termination():
        preprocessed = run(preprocess_job(settings))
        trained = run(train_job(settings, preprocessed.run_path))
        predicted = run(predict_job(settings, trained.run_path, preprocessed.run_path))
        evaluated = run(evaluate_job(settings, predicted.run_path, preprocessed.run_path))
        report = publish_phase1(
            runs_path,
            model=settings.gnn.kind,
            preprocess=preprocessed.run_path,
            train=trained.run_path,
            predict=predicted.run_path,
            evaluate=evaluated.run_path,
        )
    return Phase1Result(
        preprocess=preprocessed,
        train=trained,
        predict=predicted,
        evaluate=evaluated,
        table=report.table,
        report_path=report.path,
    )


def launcher_for(where: Literal["local"], runs_path: Path) -> Launcher:
    """The place that ``where`` names."""
    return {"local": LocalProcess}[where](runs_path)


def preprocess_job(settings: Phase1Settings) -> PreprocessSettings:
    """Raw functions to records."""
    quick_test = settings.quick_test or settings.preprocess.quick_test
    return settings.preprocess.model_copy(update={"quick_test": quick_test})


def train_job(settings: Phase1Settings, records_path: Path) -> TrainSettings:
    """Records to weights; the test split stays sealed."""
    return TrainSettings(
        train_data=records_path / "train.jsonl",
        val_data=records_path / "valid.jsonl",
        model=settings.gnn,
        seed=settings.seed,
        quick_test=settings.quick_test,
        compute=settings.compute,
        checkpoints=settings.checkpoints,
    )


def predict_job(settings: Phase1Settings, model_path: Path, records_path: Path) -> PredictSettings:
    """Weights to probabilities: validation for the threshold, then the sealed test, opened once."""
    return PredictSettings(
        model_run=model_path,
        data=records_path,
        open_test=settings.open_test or None,
        compute=settings.compute.model_copy(update={"num_ranks": 1}),
    )


def evaluate_job(settings: Phase1Settings, predictions_path: Path, records_path: Path) -> EvaluateSettings:
    """Probabilities to metrics beside baselines."""
    return EvaluateSettings(
        data=records_path,
        predictions={settings.gnn.kind: predictions_path},
        num_resamples=settings.num_resamples,
        confidence=settings.confidence,
        seed=settings.seed,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The program: settings from flags and file, the flow, its table; gives the exit code."""
    settings = parse_settings(
        Phase1Settings,
        sys.argv[1:] if argv is None else argv,
        prog="python -m flows.phase1",
        aliases=ALIASES,
        environment=ENVIRONMENT,
    )
    return run_program(lambda: show(phase1(settings)))


def show(result: Phase1Result) -> str:
    """What the program prints at its end."""
    return f"{result.table}\n\nreport: {result.report_path}\n"


if __name__ == "__main__":
    sys.exit(main())
