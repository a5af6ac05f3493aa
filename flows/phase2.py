"""Phase 2: noisy data beside clean, labels weighed, models retrained and fused, and an honest comparison over seeds.

    python -m flows.phase2 --config configs/phase2/sample.yaml
    prefect deployment run phase2 -p config=configs/phase2/full.yaml
    from flows.phase2 import phase2
    from tasks.phase2_settings import Phase2Settings

What is trained: each model once a fold (leaving it out, for weights and fusion), and each system once a seed. A second
run of the same settings finds every job finished, and trains nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed
from pydantic import BaseModel, ConfigDict

from models.settings.command_line import parse_command
from models.settings.documents import load_settings
from models.settings.train import TrainSettings
from tasks import phase2_jobs as jobs_of
from tasks import phase2_steps as steps
from tasks.comparison_publication import publish_comparison
from tasks.finished_systems import FinishedSystems, remember_systems
from tasks.flow_jobs import FlowJobs, flow_jobs
from tasks.jobs import RunReference
from tasks.launchers.places import placed_by_environment
from tasks.phase2_foreseen import foreseen_jobs
from tasks.phase2_jobs import Measured
from tasks.phase2_settings import Phase2Settings
from tasks.phase2_steps import Data
from tasks.planned_program import run_planned_program
from tasks.pointer_store import pointers_of
from tasks.program import ProgramOptions, say_own_errors_in_a_line
from tasks.run_settings import PLACE_ENVIRONMENT, SAGEMAKER_ALIASES
from tasks.termination import noting_termination
from tasks.unchanged_data import SETTINGS, data_digests, last_finished, remember, unchanged

ALIASES = {
    "clean": "collect.clean",
    "tokenizer": "records.tokenizer",
    "num-threads": "compute.num_threads",
    "device": "compute.device",
    **SAGEMAKER_ALIASES,
}
"""Flat flags of the program for the fields people set most."""
CONFIG = Path("configs/phase2/sample.yaml")


class Phase2Options(ProgramOptions):
    """What the program does beside its flow."""

    skip_unchanged: bool = False
    """Do nothing where data and settings are those of the last finished run, as the weekly schedule does."""


class Phase2Result(BaseModel):
    """What phase 2 leaves: the runs of its jobs, tables for people and the report."""

    model_config = ConfigDict(frozen=True)

    preprocess: RunReference
    audit: RunReference
    out_of_fold: dict[str, list[RunReference]]
    """By model, the predictions of what each of its fold models left out."""
    weigh: dict[str, RunReference]
    """By treatment and seed."""
    train: dict[str, dict[int, RunReference]]
    """By system, then seed."""
    fuse: dict[int, RunReference]
    """By seed; empty where nothing is fused."""
    fuse_across_projects: RunReference | None
    """The gain with whole projects left out; none where there are not two projects."""
    compare: RunReference
    systems_path: Path
    """What ``flows.comparison`` takes."""
    table: str
    """All systems and what was shown, as text."""
    report_path: Path
    """A self-contained HTML page."""


def name_flow_run() -> str:
    """What people see: which data, not which file they came from."""
    parameters = flow_run.parameters
    settings: Phase2Settings | None = parameters.get("settings")
    if settings is None:
        return f"phase2 of {Path(parameters['config']).stem}"
    return f"phase2 {settings.collect.clean_name} with {', '.join(settings.collect.sources)}"


@flow(name="phase2", flow_run_name=name_flow_run)
def phase2(
    settings: Phase2Settings | None = None, config: Path = CONFIG, skip_unchanged: bool = False
) -> Phase2Result | State[Any]:
    """Collect noisy data, weigh labels, retrain, fuse, and compare with Phase 1 over seeds.

    Args:
        settings: All settings; empty: those of config.
        config: YAML file of the settings, read where settings is None.
        skip_unchanged: Do nothing where data and settings are those of the last finished run.

    Returns:
        The result; or, with ``skip_unchanged`` where data and settings are those of the last finished run, a state
        named ``Skipped``.

    Raises:
        CodewardenError: what the first job that failed said; ``retryable`` tells whether running again may help.
    """
    say_own_errors_in_a_line()
    with noting_termination():
        settings = placed_by_environment(settings or load_settings(Phase2Settings, config))
        known = data_digests(settings)
        pointers = pointers_of(settings.runs.resolve(), settings.sagemaker)
        pointer = f"phase2_{known[SETTINGS][:12]}_latest"  # one for each settings: a look at a sample moves no other's
        if skip_unchanged and (sentence := unchanged(known, last_finished(pointers, pointer))) is not None:
            get_run_logger().info(sentence)
            return Completed(name="Skipped", message=sentence)
        with flow_jobs(settings) as jobs:
            result = _run(settings, jobs)
        remember(pointers, pointer, known, result.compare.run_path)
        return result


def _run(settings: Phase2Settings, jobs: FlowJobs) -> Phase2Result:
    data = steps.collect_and_preprocess(settings, jobs)
    audited = jobs.run(jobs_of.audit_job(settings, data.records.run_path))
    folds = jobs.run(jobs_of.folds_job(settings, data.records.run_path, "group"))
    jobs.preflight(*_trainings_without_weights(settings, data, folds))
    out_of_fold = steps.train_folds(settings, jobs, data, folds)
    weighed = steps.weigh(settings, jobs, data, folds, out_of_fold)
    probes = {phase: steps.make_probes(settings, jobs, data, phase) for phase in ("phase1", "phase2")}
    trained = steps.train_systems(settings, jobs, data, weighed, probes)
    fused = steps.fuse(settings, jobs, data, folds, out_of_fold, trained)
    across = steps.fuse_across_projects(settings, jobs, data)
    predictions = {s: {seed: run.predict.run_path for seed, run in runs.items()} for s, runs in trained.items()}
    measured = Measured(predictions, {seed: run.run_path for seed, run in fused.items()})
    compared = jobs.run(
        jobs_of.compare_job(settings, data.records.run_path, data.clean_records.run_path, measured, probes["phase2"])
    )
    report = publish_comparison(
        jobs.runs_path,
        compare=compared.run_path,
        records=data.records.run_path,
        title="Phase 2: noisy data, weights and fusion, beside Phase 1",
        collect=data.collected.run_path,
        weigh=weighed[jobs_of.CONFIDENCE, settings.fold_seed].run_path,
        fuse=next((run.run_path for run in fused.values()), None),
        fuse_across=None if across is None else across.run_path,
        audit=audited.run_path,
    )
    systems_path = remember_systems(
        jobs.runs_path,
        FinishedSystems(
            flow="phase2",
            records=data.records.run_path,
            other_records=(data.clean_records.run_path,),
            systems=measured.compared(),
            probes=probes["phase2"],
        ),
    )
    return Phase2Result(
        preprocess=data.records,
        audit=audited,
        out_of_fold=out_of_fold,
        weigh={f"{treatment} seed {seed}": run for (treatment, seed), run in weighed.items()},
        train={system.name: {seed: run.train for seed, run in runs.items()} for system, runs in trained.items()},
        fuse=fused,
        fuse_across_projects=across,
        compare=compared,
        systems_path=systems_path,
        table=report.table,
        report_path=report.path,
    )


def _trainings_without_weights(settings: Phase2Settings, data: Data, folds: RunReference) -> list[TrainSettings]:
    """Enough of the trainings to look at what could forbid a launch."""
    return [
        jobs_of.fold_training_job(settings, model, data.records.run_path, folds.run_path, 0)
        for model in settings.models
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """The program: settings from flags and file, the flow, its table; gives the exit code."""
    settings, options = parse_command(
        Phase2Settings,
        Phase2Options,
        list(sys.argv[1:] if argv is None else argv),
        prog="python -m flows.phase2",
        aliases=ALIASES,
        environment=PLACE_ENVIRONMENT,
    )
    return run_planned_program(
        settings,
        options,
        lambda: foreseen_jobs(settings),
        lambda: show(phase2(settings, skip_unchanged=options.skip_unchanged)),
    )


def show(result: Phase2Result | State[Any]) -> str:
    """What the program prints at its end."""
    if isinstance(result, State):
        return f"{result.message}\n"
    return (
        f"{result.table}\n\nreport: {result.report_path}\n"
        f"to compare it with another run: python -m flows.comparison --second {result.systems_path}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
