"""A plan says each step once, and what it hangs on; inputs that nobody makes are refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from models.errors import SettingsInvalid
from models.settings.audit import AuditSettings
from models.settings.collect import CollectSettings
from tasks.first_inputs import refuse_missing_inputs
from tasks.foreseen_jobs import foresee
from tasks.phase2_foreseen import foreseen_jobs
from tasks.phase2_settings import Phase2Settings
from tasks.planned_steps import plan_text
from tasks.step_labels import joined, shape_of


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["gnn_lr0.001_s42"], "gnn_lr0.001_s42"),
        (["gnn_s1_weighted", "gnn_s2_weighted", "gnn_s3_weighted_20260101"], "gnn_weighted, seeds 1–3"),
        (["gnn_s1", "gnn_s7"], "gnn, seeds 1, 7"),
        (["gnn_s42_without_fold0", "gnn_s42_without_fold1"], "gnn_s42, folds 0–1 left out"),
        (["5_by_group_s42", "5_by_group_s42"], "5_by_group_s42"),
    ],
)
def test_labels_that_differ_by_seed_or_fold_are_said_as_one(labels: list[str], said: str) -> None:
    assert joined(labels) == said
    assert len({shape_of(label) for label in labels}) == 1


def test_another_treatment_is_another_step() -> None:
    assert shape_of("gnn_s1_weighted") != shape_of("gnn_s1")


def test_each_step_of_phase_2_is_a_line_and_no_job_is_lost(tmp_path: Path) -> None:
    (tmp_path / "clean").mkdir()
    (tmp_path / "noisy.jsonl").write_text("{}\n")
    collect = {"clean": str(tmp_path / "clean"), "sources": {"noisy": str(tmp_path / "noisy.jsonl")}}
    settings = Phase2Settings.model_validate({"collect": collect, "runs": str(tmp_path / "runs")})
    jobs = foreseen_jobs(settings)

    lines, _, totals = plan_text(foresee(settings, jobs), tmp_path / "runs").partition("\n\n")
    counts = [int(found[1]) if (found := re.search(r": (\d+) jobs", line)) else 1 for line in lines.splitlines()]
    assert sum(counts) == len(jobs)
    assert len(counts) < len(jobs) / 3
    assert totals.split()[-1] == str(len(jobs))
    weighted = next(line for line in lines.splitlines() if "_weighted, seeds 1–5: 5 jobs" in line)
    assert weighted.endswith("wait for weigh confidence")  # which waits for all the rest


def test_an_input_that_no_job_makes_is_refused(tmp_path: Path) -> None:
    runs, gone = tmp_path / "runs", tmp_path / "gone"
    (tmp_path / "clean").mkdir()
    collect = CollectSettings.model_validate({"clean": tmp_path / "clean", "sources": {"my-own": gone}})
    with pytest.raises(SettingsInvalid, match=r"^sources\.my-own\.data: no file or folder at .*gone; give the path"):
        refuse_missing_inputs([collect], runs)

    made, typo = runs / "collect" / "KEY", runs / "demo-data"
    whole = collect.model_copy(update={"sources": {}})
    refuse_missing_inputs([whole, AuditSettings(data=made)], runs)
    for jobs in ([AuditSettings(data=made)], [whole, AuditSettings(data=typo)]):
        with pytest.raises(SettingsInvalid, match=r"^data: no file or folder"):
            refuse_missing_inputs(jobs, runs)
