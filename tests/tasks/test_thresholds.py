"""Thresholds on their way to stage 4: pointers that stage 3 moves, and every way in which they could mislead."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger

from models.errors import SettingsInvalid
from models.settings.transformer import TransformerSettings
from models.store.objects import ObjectStore
from models.store.pointers import PointerTarget, final_sweep_pointer, move_pointer, read_pointer
from models.store.run_identity import identity_of
from tasks.aws.settings import SageMakerSettings
from tasks.jobs import RunReference
from tasks.pointer_store import pointers_of
from tasks.stages import StageResult
from tasks.sweep_settings import Candidate, Grid, SweepSettings
from tasks.thresholds import frozen_ranking, point_to_thresholds

MODEL = "codet5p_220m"
TEMPLATE = "{model}_final_sweep_latest"


@pytest.fixture(params=["disk", "s3"])
def store(request) -> str | None:
    """Where pointers are kept: under the run root, or in a bucket that several machines share."""
    if request.param == "disk":
        return None
    aws = request.getfixturevalue("aws")
    return f"s3://{aws.bucket}/{uuid.uuid4().hex}"


def pointers(stages, store: str | None) -> ObjectStore:
    return pointers_of(stages.runs_path, SageMakerSettings(store=store))


def point(stages, ranking: Path, store: str | None) -> None:
    reference = RunReference(
        kind="rank", label="", run_key="", run_path=ranking, manifest_sha256="", numbers={}, cached=True
    )
    result = StageResult(stage="stage3", records={}, trials={}, failures={}, ranking=reference, table="")
    with disable_run_logger():
        point_to_thresholds(pointers(stages, store), result)


def sweep(stages, store: str | None, selection: Path | None = None) -> SweepSettings:
    candidate = Candidate(family="codet5p", settings=TransformerSettings(pretrained="off"))
    return SweepSettings(
        findings={"data": "nowhere"},
        models={MODEL: candidate},
        grid=Grid(epochs=[2]),
        runs=stages.runs_path,
        selection=selection,
        sagemaker={"store": store},
    )


def test_stage_3_points_to_its_ranking_and_stage_4_finds_it(stages, store):
    point(stages, stages.stage3, store)
    assert frozen_ranking(sweep(stages, store), TEMPLATE, [MODEL]) == stages.stage3
    assert frozen_ranking(sweep(stages, store), f"{MODEL}_final_sweep_latest", [MODEL, MODEL]) == stages.stage3
    best = json.loads((stages.stage3 / "ranking.json").read_text())["configurations"][0]
    facts = read_pointer(pointers(stages, store), final_sweep_pointer(MODEL)).facts
    assert facts == {"configuration": best["configuration"], "threshold": stages.THRESHOLD}


def test_pointing_again_changes_no_byte(stages, store):
    point(stages, stages.stage3, store)
    kept = pointers(stages, store)
    before = kept.get(f"{MODEL}_final_sweep_latest.json")
    point(stages, stages.stage3, store)
    assert kept.get(f"{MODEL}_final_sweep_latest.json") == before


def test_without_a_sweep_the_error_says_which_stage_to_run(stages, store):
    with pytest.raises(SettingsInvalid, match=r"codet5p_220m_final_sweep_latest.*stage 3"):
        frozen_ranking(sweep(stages, store), TEMPLATE, [MODEL])


def test_thresholds_of_two_sweeps_are_not_mixed(stages, store):
    point(stages, stages.stage3, store)
    target = PointerTarget(identity_of(stages.stage4))
    move_pointer(pointers(stages, store), final_sweep_pointer("other"), target)
    with pytest.raises(SettingsInvalid, match="several sweeps"):
        frozen_ranking(sweep(stages, store), TEMPLATE, [MODEL, "other"])


def test_a_selection_of_the_sweep_is_taken_as_file_or_folder(stages, store):
    point(stages, stages.stage3, store)
    for selection in (stages.stage3, stages.stage3 / "selection.json"):
        assert frozen_ranking(sweep(stages, store, selection), TEMPLATE, [MODEL]) == stages.stage3


def test_a_selection_of_another_sweep_is_refused(stages, store, tmp_path):
    point(stages, stages.stage3, store)
    other = tmp_path / "selection.json"
    other.write_text('{"stage": "stage3"}')
    with pytest.raises(SettingsInvalid, match="another stage 3 was run since"):
        frozen_ranking(sweep(stages, store, other), TEMPLATE, [MODEL])
