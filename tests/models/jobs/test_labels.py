"""A label says of a run what people tell it apart by."""

from __future__ import annotations

from pathlib import Path

from models.jobs.labels import label_of
from models.settings.reranking import PatchRankerSettings
from models.settings.retrieval import BoostSettings, ScoreSettings
from models.settings.train import TrainSettings


def test_runs_of_patch_ranking_name_the_project_that_was_left_out() -> None:
    folder = Path("runs/candidates/run/projects/Lang")
    lists = {"train_data": folder / "train.jsonl", "val_data": folder / "valid.jsonl"}
    trained = TrainSettings(**lists, texts=Path("texts.jsonl"), model=PatchRankerSettings())
    assert label_of(trained).endswith("_s42_without_Lang")
    held_out = folder / "held_out.jsonl"
    scored = ScoreSettings(model_run=Path("m"), lists=held_out, texts=Path("t"), purpose="p")
    boosted = BoostSettings(train_lists=lists["train_data"], valid_lists=lists["val_data"], held_out_lists=held_out)
    assert label_of(scored) == label_of(boosted) == "left_out_Lang"


def test_other_trainings_leave_no_project_out() -> None:
    lists = Path("runs/mine/run/train_lists.jsonl")
    assert "without" not in label_of(TrainSettings(train_data=lists, val_data=lists, model=PatchRankerSettings()))
