"""The steps of phase 2 on finished runs: what is trained, weighed, probed and fused, one function each.

What a job is told is in ``phase2_jobs``; the order of the steps is in ``flows.phase2``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prefect.logging import get_run_logger

from models.settings.weigh import Treatment
from tasks import phase2_jobs as jobs_of
from tasks.flow_jobs import FlowJobs
from tasks.jobs import RunReference
from tasks.phase2_jobs import System, fuses, systems_of
from tasks.phase2_settings import ModelName, Phase2Settings
from tasks.slots import Chain, run_chains

NO_PROJECT = "(none)"
"""As the preprocess job counts records without a project."""


@dataclass(frozen=True)
class Data:
    """The finished runs that everything is trained and measured on.

    Args:
        collected: The merged functions.
        records: Records of them.
        clean_records: Records of the clean part alone: Phase 1's.
    """

    collected: RunReference
    records: RunReference
    clean_records: RunReference

    def of(self, system: System) -> Path:
        """The records that a system learns from and is scored on."""
        return (self.clean_records if system.phase == "phase1" else self.records).run_path


@dataclass(frozen=True)
class SeedRuns:
    """The finished runs of one seed of a system."""

    train: RunReference
    predict: RunReference


def collect_and_preprocess(settings: Phase2Settings, jobs: FlowJobs) -> Data:
    """Records of clean and noisy data together, and of the clean data alone."""
    collected = jobs.run(settings.collect, title="collect clean and noisy")
    clean = jobs.run(jobs_of.clean_collect_job(settings), title="collect clean")
    return Data(
        collected=collected,
        records=jobs.run(jobs_of.preprocess_job(settings, collected.run_path), title="preprocess clean and noisy"),
        clean_records=jobs.run(jobs_of.preprocess_job(settings, clean.run_path), title="preprocess clean"),
    )


def train_folds(
    settings: Phase2Settings, jobs: FlowJobs, data: Data, folds: RunReference
) -> dict[str, list[RunReference]]:
    """Each model once a fold of ``folds``: trained without it, then asked about it; gives the predictions."""
    chains = {
        f"{model} without fold {fold} of {folds.label}": train_without(settings, model, data, folds, fold)
        for fold in range(int(folds.numbers["num_folds"]))
        for model in settings.models
    }
    runs = list(run_chains(chains, jobs.submit, num_slots=settings.slots).of_all().values())
    return {model: runs[at :: len(settings.models)] for at, model in enumerate(settings.models)}


def train_without(
    settings: Phase2Settings, model: ModelName, data: Data, folds: RunReference, fold: int
) -> Chain[RunReference]:
    """The chain of one fold of a model."""
    records_path = data.records.run_path
    trained = yield jobs_of.fold_training_job(settings, model, records_path, folds.run_path, fold)
    return (yield jobs_of.fold_predict_job(settings, trained.run_path, records_path, folds.run_path))


def weigh(
    settings: Phase2Settings,
    jobs: FlowJobs,
    data: Data,
    folds: RunReference,
    out_of_fold: Mapping[str, Sequence[RunReference]],
) -> dict[tuple[Treatment, int], RunReference]:
    """Weights by treatment and seed: confidence, and what it is compared with."""
    scores = _paths(out_of_fold)
    return {
        (treatment, seed): jobs.run(
            jobs_of.weigh_job(settings, treatment, data.records.run_path, folds.run_path, scores, seed),
            title=f"weigh: {jobs_of.TITLES[treatment]}, seed {seed}",
        )
        for treatment, seed in jobs_of.weighings_of(settings)
    }


def make_probes(settings: Phase2Settings, jobs: FlowJobs, data: Data, phase: str) -> dict[str, Path]:
    """What is asked beside the test split, in the records that the systems of a phase read."""
    records = data.clean_records if phase == "phase1" else data.records
    asked = jobs_of.probe_jobs(settings, records.run_path, data.collected.run_path)
    return {name: jobs.run(job, title=f"probe {name} for {phase}").run_path for name, job in asked.items()}


def train_systems(
    settings: Phase2Settings,
    jobs: FlowJobs,
    data: Data,
    weighed: Mapping[tuple[Treatment, int], RunReference],
    probes: Mapping[str, Mapping[str, Path]],
) -> dict[System, dict[int, SeedRuns]]:
    """Every system once a seed: trained on all training records, then scored."""
    systems = systems_of(settings)
    weights = {key: run.run_path for key, run in weighed.items()}
    chains = {
        f"{system.name} seed {seed}": train_and_predict(settings, system, seed, data, weights, probes[system.phase])
        for seed in settings.seeds
        for system in systems
    }
    runs = list(run_chains(chains, jobs.submit, num_slots=settings.slots).of_all().values())
    return {
        system: dict(zip(settings.seeds, runs[at :: len(systems)], strict=True)) for at, system in enumerate(systems)
    }


def train_and_predict(
    settings: Phase2Settings,
    system: System,
    seed: int,
    data: Data,
    weights: Mapping[tuple[Treatment, int], Path],
    probes: Mapping[str, Path],
) -> Chain[SeedRuns]:
    """The chain of one seed of a system."""
    weights_path = jobs_of.weights_of(settings, system, seed, weights)
    records_path = data.of(system)
    trained = yield jobs_of.training_job(settings, system, records_path, seed, weights_path)
    predicted = yield jobs_of.predict_job(settings, trained.run_path, records_path, probes)
    return SeedRuns(trained, predicted)


def fuse(
    settings: Phase2Settings,
    jobs: FlowJobs,
    data: Data,
    folds: RunReference,
    out_of_fold: Mapping[str, Sequence[RunReference]],
    trained: Mapping[System, Mapping[int, SeedRuns]],
) -> dict[int, RunReference]:
    """One fusion a seed: learned on the same out-of-fold scores, applied to that seed's models."""
    if not fuses(settings):
        return {}
    bases = {system.model: runs for system, runs in trained.items() if system.phase == "phase2" and system.is_main}
    return {
        seed: jobs.run(
            jobs_of.fuse_job(
                settings,
                data.records.run_path,
                folds.run_path,
                _paths(out_of_fold),
                {model: runs[seed].predict.run_path for model, runs in bases.items()},
            ),
            title=f"fuse seed {seed}",
        )
        for seed in settings.seeds
    }


def fuse_across_projects(settings: Phase2Settings, jobs: FlowJobs, data: Data) -> RunReference | None:
    """The gain of fusion on projects that no model saw; nothing where fewer than two projects are named."""
    if not (fuses(settings) and settings.fusion.across_projects):
        return None
    metadata = json.loads((data.records.run_path / "preprocessing_metadata.json").read_bytes())
    projects = set(metadata["splits"]["train"]["projects"]) - {NO_PROJECT}
    if len(projects) < 2:
        get_run_logger().warning("training names %d project(s): no gain across projects is measured", len(projects))
        return None
    folds = jobs.run(jobs_of.folds_job(settings, data.records.run_path, "project"), title="folds by project")
    out_of_fold = train_folds(settings, jobs, data, folds)
    job = jobs_of.fuse_job(settings, data.records.run_path, folds.run_path, _paths(out_of_fold), {})
    return jobs.run(job, title="fuse across projects")


def _paths(out_of_fold: Mapping[str, Sequence[RunReference]]) -> dict[str, list[Path]]:
    return {model: [run.run_path for run in runs] for model, runs in out_of_fold.items()}
