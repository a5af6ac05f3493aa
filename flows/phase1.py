"""Phase 1: preprocess functions, train transformer and graph network, score both beside honest baselines, report.

    python -m flows.phase1 --config configs/phase1/quick.yaml --gnn.epochs 2
    prefect deployment run phase1
    from flows.phase1 import Phase1Settings, phase1; phase1(Phase1Settings(preprocess={"data": "runs/demo-data"}))

The three are the same flow. A second run of the same settings finds every job finished, and trains nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from prefect import flow
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, field_validator

from models.jobs.layout import plan_run
from models.settings.audit import AuditSettings
from models.settings.command_line import parse_command
from models.settings.compare import ComparedSystem
from models.settings.evaluate import EvaluateSettings
from models.settings.fields import INCIDENTAL, Settings
from models.settings.gnn import GnnSettings
from models.settings.predict import PredictSettings
from models.settings.preprocess import PreprocessSettings
from models.settings.train import CheckpointSettings, ComputeSettings, TrainSettings
from models.settings.transformer import TransformerSettings
from tasks.finished_systems import FinishedSystems, remember_systems
from tasks.flow_jobs import FlowJobs, flow_jobs
from tasks.foreseen_jobs import UNKNOWN_KEY
from tasks.jobs import RunReference
from tasks.launchers.places import placed_by_environment
from tasks.planned_program import run_planned_program
from tasks.program import ProgramOptions, say_own_errors_in_a_line
from tasks.publication import publish_phase1
from tasks.run_settings import PLACE_ENVIRONMENT, SAGEMAKER_ALIASES, RunSettings
from tasks.slots import Chain, run_chains
from tasks.termination import noting_termination

ALIASES = {
    "data": "preprocess.data",
    "source": "preprocess.source",
    "tokenizer": "preprocess.tokenizer",
    "num-threads": "compute.num_threads",
    "device": "compute.device",
    **SAGEMAKER_ALIASES,
}
"""Flat flags of the program for the fields people set most; what both models have, such as epochs, is said by model."""

EXAMPLE = Path("configs/phase1/demo.yaml")
"""What a dry run shows that names no data; its data is made by python -m models.data.generated runs/demo-data."""
DATA_FLAGS = ("--config", "--data", "--preprocess.data")

ModelName = Literal["transformer", "gnn"]


class Phase1Settings(RunSettings):
    """Phase 1: preprocess functions, train transformer and graph network, score both beside baselines, report."""

    preprocess: PreprocessSettings
    """From raw functions to records; its data is the one thing that must be said."""
    models: Annotated[tuple[ModelName, ...], Field(min_length=1, json_schema_extra={"uniqueItems": True})] = (
        "transformer",
        "gnn",
    )
    """Models to train and compare, in the order of the tables."""
    transformer: TransformerSettings = TransformerSettings()
    """The transformer and how it is optimised; a pretrained one needs its own tokenizer in preprocess.tokenizer."""
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
    slots: Annotated[PositiveInt, INCIDENTAL] = 1
    """Models that are worked on at a time on this machine, each with compute.num_threads threads [jobs]."""

    @field_validator("models")
    @classmethod
    def _each_model_once(cls, models: tuple[ModelName, ...]) -> tuple[ModelName, ...]:
        if len(set(models)) < len(models):
            raise ValueError(f"each model is named once, got {', '.join(models)}")
        return models


class Phase1Result(BaseModel):
    """What phase 1 leaves: the runs of its jobs, a table for people and the report."""

    model_config = ConfigDict(frozen=True)

    preprocess: RunReference
    audit: RunReference
    """Checks of the data."""
    train: dict[str, RunReference]
    """By model, in the order of the settings."""
    predict: dict[str, RunReference]
    """By model, in the order of the settings."""
    evaluate: RunReference
    table: str
    """Models and baselines, one line each, as text."""
    report_path: Path
    """A self-contained HTML page."""
    systems_path: Path
    """What ``flows.comparison`` takes."""


@dataclass(frozen=True)
class ModelRuns:
    """The finished runs of one model."""

    train: RunReference
    predict: RunReference


@flow(name="phase1", flow_run_name="phase1 {settings.preprocess.source} seed {settings.seed}")
def phase1(settings: Phase1Settings) -> Phase1Result:
    """Preprocess functions, train transformer and graph network, score both beside honest baselines, report.

    Raises:
        CodewardenError: what the first job that failed said; ``retryable`` tells whether running again may help.
    """
    say_own_errors_in_a_line()
    with noting_termination():
        settings = placed_by_environment(settings)
        with flow_jobs(settings) as jobs:
            return _run(settings, jobs)


def _run(settings: Phase1Settings, jobs: FlowJobs) -> Phase1Result:
    preprocessed = jobs.run(preprocess_job(settings))
    audited = jobs.run(audit_job(settings, preprocessed.run_path))
    trainings = [train_job(settings, model, preprocessed.run_path) for model in settings.models]
    unmade = jobs.runs_path / "train"
    jobs.preflight(
        *trainings, *(predict_job(settings, unmade / model, preprocessed.run_path) for model in settings.models)
    )
    chains: dict[str, Chain[ModelRuns]] = {
        model: train_and_predict(settings, model, preprocessed.run_path) for model in settings.models
    }
    models = run_chains(chains, jobs.submit, num_slots=settings.slots).of_all()
    evaluated = jobs.run(
        evaluate_job(settings, {m: runs.predict.run_path for m, runs in models.items()}, preprocessed.run_path)
    )
    report = publish_phase1(
        jobs.runs_path,
        preprocess=preprocessed.run_path,
        audit=audited.run_path,
        train={model: runs.train.run_path for model, runs in models.items()},
        predict={model: runs.predict.run_path for model, runs in models.items()},
        evaluate=evaluated.run_path,
    )
    systems_path = remember_systems(jobs.runs_path, finished_systems(settings, preprocessed, models))
    return Phase1Result(
        preprocess=preprocessed,
        audit=audited,
        train={model: runs.train for model, runs in models.items()},
        predict={model: runs.predict for model, runs in models.items()},
        evaluate=evaluated,
        table=report.table,
        report_path=report.path,
        systems_path=systems_path,
    )


def finished_systems(
    settings: Phase1Settings, records: RunReference, models: Mapping[str, ModelRuns]
) -> FinishedSystems:
    """What ``flows.comparison`` takes: one seed of each model."""
    systems = {
        f"phase1_{model}": ComparedSystem(
            title=f"Phase 1 {model}",
            phase="phase1",
            model_kind=model,
            predictions={str(settings.seed): runs.predict.run_path},
        )
        for model, runs in models.items()
    }
    return FinishedSystems(flow="phase1", records=records.run_path, systems=systems)


def train_and_predict(settings: Phase1Settings, model: ModelName, records_path: Path) -> Chain[ModelRuns]:
    """The chain of one model: its training, and its prediction as soon as that has ended."""
    trained = yield train_job(settings, model, records_path)
    predicted = yield predict_job(settings, trained.run_path, records_path)
    return ModelRuns(trained, predicted)


def preprocess_job(settings: Phase1Settings) -> PreprocessSettings:
    """Raw functions to records."""
    quick_test = settings.quick_test or settings.preprocess.quick_test
    return settings.preprocess.model_copy(update={"quick_test": quick_test})


def audit_job(settings: Phase1Settings, records_path: Path) -> AuditSettings:
    """Records to checks of the data."""
    similarity = settings.preprocess.near_duplicate_similarity
    return AuditSettings(data=records_path, near_duplicate_similarity=similarity)  # once for all seeds: not a replicate


def train_job(settings: Phase1Settings, model: ModelName, records_path: Path) -> TrainSettings:
    """Records to weights; the test split stays sealed."""
    return TrainSettings(
        train_data=records_path / "train.jsonl",
        val_data=records_path / "valid.jsonl",
        model={"transformer": settings.transformer, "gnn": settings.gnn}[model],
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


def evaluate_job(
    settings: Phase1Settings, prediction_paths: Mapping[str, Path], records_path: Path
) -> EvaluateSettings:
    """Probabilities to metrics beside baselines."""
    return EvaluateSettings(
        data=records_path,
        predictions=dict(prediction_paths),
        num_resamples=settings.num_resamples,
        confidence=settings.confidence,
        seed=settings.seed,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The program: settings from flags and file, the flow, its table; gives the exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    example = _example(given)
    settings, options = parse_command(
        Phase1Settings,
        ProgramOptions,
        [*example, *given],
        prog="python -m flows.phase1",
        aliases=ALIASES,
        environment=PLACE_ENVIRONMENT,
    )
    return run_planned_program(
        settings,
        options,
        lambda: foreseen_jobs(settings),
        lambda: show(phase1(settings)),
        inputs_may_lack=bool(example),
    )


def _example(given: Sequence[str]) -> list[str]:
    """Something to look at for a dry run that names no data: the demo's settings, announced."""
    if "--dry-run" not in given or any(flag.startswith(DATA_FLAGS) for flag in given):
        return []
    sys.stderr.write(f"no data are named (--config, --data): this is the plan of {EXAMPLE}\n")
    return ["--config", str(EXAMPLE)]


def foreseen_jobs(settings: Phase1Settings) -> list[Settings]:
    """The jobs of the flow as far as they are known before it runs; what is not made yet is where it would lie."""
    first = preprocess_job(settings)
    runs_path = settings.runs.resolve()
    records_path = runs_path / "preprocess" / UNKNOWN_KEY
    if first.data.exists():
        records_path = plan_run(first, runs_path, reuse_build=settings.reuse_build).run_path
    models = {model: runs_path / "train" / model for model in settings.models}
    return [
        first,
        audit_job(settings, records_path),
        *(train_job(settings, model, records_path) for model in settings.models),
        *(predict_job(settings, path, records_path) for path in models.values()),
        evaluate_job(settings, {model: runs_path / "predict" / model for model in models}, records_path),
    ]


def show(result: Phase1Result) -> str:
    """What the program prints at its end."""
    return f"{result.table}\n\nreport: {result.report_path}\nfor comparisons: {result.systems_path}\n"


if __name__ == "__main__":
    sys.exit(main())
