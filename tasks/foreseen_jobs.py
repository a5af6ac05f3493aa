"""The jobs of a flow as they would be run, before any is: named where their inputs are there, foreseen where not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.jobs.build import Build
from models.jobs.keys import missing_inputs
from models.jobs.labels import label_of
from models.jobs.layout import RunPlan, is_finished
from models.settings.fields import Settings
from models.settings.train import TrainSettings
from tasks.aws.prices import on_demand_rate
from tasks.aws.session import AwsPlace
from tasks.aws.settings import SageMakerSettings
from tasks.launchers.places import Places
from tasks.launchers.planning import plan_at
from tasks.ledger_file import Ledger
from tasks.measured_runs import model_name
from tasks.model_cost import relative_cost
from tasks.planned_jobs import PlannedJob, PlannedMachine
from tasks.run_settings import RunSettings

UNKNOWN_KEY = "RUNKEYTOCOME"
"""Stands for a run key that the content of inputs decides, which an earlier job of the flow makes."""
UNKNOWN_BUILD = "BUILDKEY"
QUICK_TEST_RECORDS = 100
"""As the training takes of each file (models.training.job)."""


@dataclass(frozen=True)
class ForeseenJob:
    """A job that a flow would run.

    Args:
        settings: Its settings, with device and precision of its place.
        plan: Where it would run.
        missing: Inputs that an earlier job makes, by field; its names are placeholders then.
        is_finished: Whether it was run before: it would be found, not run.
        is_away: Whether it would be sent away.
    """

    settings: Settings
    plan: RunPlan
    missing: dict[str, Path]
    is_finished: bool
    is_away: bool


def foresee(settings: RunSettings, jobs: list[Settings]) -> list[ForeseenJob]:
    """Plan each job, as far as its inputs are there; nothing is made, nobody is asked.

    Raises:
        SettingsInvalid: a job cannot be run as it is. Not retried.
        BuildDiffers: other code began it. Not retried.
    """
    runs_path = settings.runs.resolve()
    places = Places(settings, runs_path)
    foreseen = []
    for job in jobs:
        place = places.of(job)
        missing = missing_inputs(job)
        if missing:  # a training says by itself what it needs of a machine; other jobs ask the run they read
            resolved = place.resolved(job) if isinstance(job, TrainSettings) else job
            plan = _unnamed(resolved, runs_path)
        else:
            resolved, plan = plan_at(place, job, runs_path, reuse_build=settings.reuse_build)
        finished = not missing and is_finished(plan.run_path)
        foreseen.append(ForeseenJob(resolved, plan, missing, finished, place.machine is not None))
    return foreseen


def planned(job: ForeseenJob, settings: SageMakerSettings, place: AwsPlace, runs_path: Path) -> PlannedJob:
    """What an estimate needs to know of it."""
    training = job.settings if isinstance(job.settings, TrainSettings) else None
    return PlannedJob(
        kind=job.plan.kind,
        label=job.plan.label,
        is_cached=job.is_finished,
        machine=_machine(settings, place, runs_path, training) if job.is_away else None,
        model_kind=training.model.kind if training else "",
        model=model_name(training.model.model_dump()) if training else "",
        relative_cost=relative_cost(training.model) if training else 1.0,
        num_records=_num_records(training) if training else None,
        epochs=1 if training is None or training.quick_test else training.model.epochs,
    )


def remaining_usd(settings: SageMakerSettings, runs_path: Path) -> float | None:
    """What the budget leaves; ``None``: no limit."""
    return Ledger(runs_path).totals().remaining_usd(settings.budget)


def _machine(
    settings: SageMakerSettings, place: AwsPlace, runs_path: Path, training: TrainSettings | None
) -> PlannedMachine:
    from tasks.aws.instances import machine_of

    return PlannedMachine(
        instance_type=settings.instance_type,
        device_class=machine_of(settings.instance_type).device_class,
        num_instances=settings.num_instances,
        num_ranks=training.compute.num_ranks if training else 1,
        use_spot=settings.use_spot,
        max_run_seconds=settings.max_run_seconds,
        rate=on_demand_rate(settings.instance_type, place.region, runs_path=runs_path),
    )


def _unnamed(settings: Settings, runs_path: Path) -> RunPlan:
    kind = str(getattr(settings, "kind"))  # noqa: B009  every job has one; Settings itself does not
    run_path = runs_path / kind / f"{label_of(settings)}-{UNKNOWN_KEY}" / UNKNOWN_BUILD
    return RunPlan(kind, label_of(settings), UNKNOWN_KEY, UNKNOWN_BUILD, Build({}, {}, {}), run_path)


def _num_records(training: TrainSettings) -> int | None:
    if training.quick_test:
        return QUICK_TEST_RECORDS
    if not training.train_data.is_file():
        return None
    with training.train_data.open("rb") as file:
        return sum(1 for _ in file)
