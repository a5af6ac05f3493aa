"""What phase 2 trains and compares is fixed by its settings; the plan and the flow agree on it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from models.settings.fuse import FuseSettings
from models.settings.predict import PredictSettings
from models.settings.train import TrainSettings
from tasks.phase2_foreseen import foreseen_jobs
from tasks.phase2_jobs import (
    System,
    comparisons_of,
    fold_training_job,
    predict_job,
    probe_jobs,
    systems_of,
    training_job,
)
from tasks.phase2_settings import Phase2Settings


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    clean = tmp_path / "clean"
    clean.mkdir()
    noisy = tmp_path / "noisy.jsonl"
    noisy.write_text("{}\n")
    return {
        "collect": {
            "clean": str(clean),
            "sources": {"noisy": {"data": str(noisy)}},
            "pairs": {"fixes": {"data": str(noisy)}},
        },
        "runs": str(tmp_path / "runs"),
        "seeds": [1, 2, 3],
        "num_folds": 4,
    }


def test_each_model_is_trained_once_a_fold_and_each_system_once_a_seed(values: dict[str, Any]) -> None:
    values["fusion"] = {"across_projects": False}
    trainings = [job for job in foreseen_jobs(Phase2Settings(**values)) if isinstance(job, TrainSettings)]
    folds = Counter((job.model.kind, job.left_out_fold) for job in trainings if job.folds is not None)

    assert folds == {(kind, fold): 1 for kind in ("transformer", "gnn") for fold in range(4)}
    # Phase 1 and 2 of both models; no weights, pruned and random of the graph network.
    assert len(trainings) - len(folds) == (4 + 3) * 3


def test_the_gain_across_projects_costs_one_more_set_of_folds(values: dict[str, Any]) -> None:
    jobs = foreseen_jobs(Phase2Settings(**values))

    assert sum(isinstance(job, TrainSettings) and job.folds is not None for job in jobs) == 2 * 4 * 2
    assert sum(isinstance(job, FuseSettings) for job in jobs) == 3 + 1


def test_one_model_is_not_fused(values: dict[str, Any]) -> None:
    settings = Phase2Settings(**values, models=["gnn"])

    assert not any(isinstance(job, FuseSettings) for job in foreseen_jobs(settings))
    assert all("fusion" not in pair for pair in comparisons_of(settings))


def test_comparisons_are_fixed_by_the_settings(values: dict[str, Any]) -> None:
    settings = Phase2Settings(**values)
    names = {system.name for system in systems_of(settings)} | {"fusion"}
    pairs = comparisons_of(settings)

    assert {name for pair in pairs for name in pair} <= names
    assert len(set(pairs)) == len(pairs)
    assert ("phase2_gnn", "phase1_gnn") in pairs
    assert ("phase2_gnn", "phase2_gnn_none") in pairs
    assert ("phase2_gnn", "phase2_gnn_random") in pairs
    assert ("fusion", "phase2_transformer") in pairs


def test_trainings_that_leave_a_fold_out_have_no_weights(values: dict[str, Any], tmp_path: Path) -> None:
    """Weights come from their scores; a weighted one would have seen the fold through other folds' weights."""
    settings = Phase2Settings(**values, weighting="sampling")
    weights = tmp_path / "weights.jsonl"

    fold = fold_training_job(settings, "gnn", tmp_path, tmp_path / "folds", 2)
    seed = training_job(settings, System("phase2", "gnn", "confidence"), tmp_path, 1, weights)

    assert (fold.weights, fold.left_out_fold, fold.seed) == (None, 2, settings.fold_seed)
    assert (seed.weights, seed.weighting, seed.folds) == (weights, "sampling", None)
    assert seed.test_data is None


def test_a_sealed_test_split_is_not_asked_anything(values: dict[str, Any], tmp_path: Path) -> None:
    settings = Phase2Settings(**values, open_test="")

    assert probe_jobs(settings, tmp_path, tmp_path) == {}
    job = predict_job(settings, tmp_path, tmp_path, {"rename": tmp_path})
    assert (job.open_test, job.probes) == (None, {})
    assert not any(isinstance(job, PredictSettings) and job.open_test for job in foreseen_jobs(settings))


def test_pairs_are_asked_where_some_are_given(values: dict[str, Any], tmp_path: Path) -> None:
    assert "pairs" in probe_jobs(Phase2Settings(**values), tmp_path, tmp_path)
    values["collect"]["pairs"] = {}
    assert "pairs" not in probe_jobs(Phase2Settings(**values), tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seeds": [1, 1]}, "each is named once"),
        ({"models": ["gnn"], "compared_on": ["transformer"]}, "is not among models"),
        ({"treatments": ["confidence"]}, "prune"),
        ({"seeds": []}, "at least 1 item"),
    ],
)
def test_settings_that_do_not_fit_are_refused(values: dict[str, Any], wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Phase2Settings(**{**values, **wrong})
