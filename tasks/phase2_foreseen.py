"""The jobs of phase 2 before it runs, for the plan and the estimate."""

from __future__ import annotations

from pathlib import Path

from models.settings.fields import Settings
from tasks import phase2_jobs as jobs_of
from tasks.foreseen_runs import ForeseenRuns
from tasks.phase2_jobs import Measured, System, fuses, systems_of
from tasks.phase2_settings import Phase2Settings


def foreseen_jobs(settings: Phase2Settings) -> list[Settings]:
    """Every job of the flow in order. Of folds by project as many are foreseen as by group; there may be fewer."""
    foreseen = ForeseenRuns(settings)
    collected, clean = foreseen.add(settings.collect), foreseen.add(jobs_of.clean_collect_job(settings))
    records = foreseen.add(jobs_of.preprocess_job(settings, collected))
    clean_records = foreseen.add(jobs_of.preprocess_job(settings, clean))
    foreseen.add(jobs_of.audit_job(settings, records))
    folds = foreseen.add(jobs_of.folds_job(settings, records, "group"))
    out_of_fold = _fold_trainings(settings, foreseen, records, folds)
    weighed = {
        (treatment, seed): foreseen.add(jobs_of.weigh_job(settings, treatment, records, folds, out_of_fold, seed))
        for treatment, seed in jobs_of.weighings_of(settings)
    }
    probes: dict[str, dict[str, Path]] = {
        phase: {name: foreseen.add(job) for name, job in jobs_of.probe_jobs(settings, path, collected).items()}
        for phase, path in (("phase1", clean_records), ("phase2", records))
    }
    measured: dict[System, dict[int, Path]] = {}
    for system in systems_of(settings):
        own = clean_records if system.phase == "phase1" else records
        trained = {
            seed: foreseen.add(
                jobs_of.training_job(settings, system, own, seed, jobs_of.weights_of(settings, system, seed, weighed))
            )
            for seed in settings.seeds
        }
        measured[system] = {
            seed: foreseen.add(jobs_of.predict_job(settings, path, own, probes[system.phase]))
            for seed, path in trained.items()
        }
    fused: dict[int, Path] = {}
    if fuses(settings):
        main = {s.model: runs for s, runs in measured.items() if s.phase == "phase2" and s.is_main}
        for seed in settings.seeds:
            bases: dict[str, Path] = {model: runs[seed] for model, runs in main.items()}
            fused[seed] = foreseen.add(jobs_of.fuse_job(settings, records, folds, out_of_fold, bases))
        if settings.fusion.across_projects:
            by_project = foreseen.add(jobs_of.folds_job(settings, records, "project"))
            across = _fold_trainings(settings, foreseen, records, by_project)
            foreseen.add(jobs_of.fuse_job(settings, records, by_project, across, {}))
    done = Measured(measured, fused)
    foreseen.add(jobs_of.compare_job(settings, records, clean_records, done, probes["phase2"]))
    return foreseen.jobs


def _fold_trainings(
    settings: Phase2Settings, foreseen: ForeseenRuns, records: Path, folds: Path
) -> dict[str, list[Path]]:
    return {
        model: [
            foreseen.add(jobs_of.fold_predict_job(settings, trained, records, folds))
            for trained in [
                foreseen.add(jobs_of.fold_training_job(settings, model, records, folds, fold))
                for fold in range(settings.num_folds)
            ]
        ]
        for model in settings.models
    }
