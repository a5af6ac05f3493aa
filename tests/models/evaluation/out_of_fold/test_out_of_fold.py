"""Planted leaks: every way in which a score could be by a model that learnt from its record is refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from models.data.fold_file import NEVER
from models.errors import DataInvalid, FusionLeak, SettingsInvalid
from models.evaluation.out_of_fold.calibrated_scores import read_calibrated

HELD_OUT = "predictions_held_out.jsonl"


@pytest.fixture
def runs(fold_runs, scorer):
    return fold_runs.fold_models("gnn", scorer(1.0, 1))


def read(fold_runs, runs):
    return read_calibrated(fold_runs.data, fold_runs.folds, {"gnn": runs})


def retell(fold_runs, run, **changes):
    """Change what a run says it left out, and seal it."""
    path = run / "result.json"
    result = json.loads(path.read_text())
    result["numbers"]["held_out"] = None if "none" in changes else result["numbers"]["held_out"] | changes
    path.write_text(json.dumps(result))
    fold_runs.seal(run, "predict")


def test_each_record_has_the_score_of_the_model_that_left_it_out(fold_runs, scorer, runs):
    log_odds = scorer(1.0, 1)
    found = read(fold_runs, runs[::-1])  # in any order
    assert found.models["gnn"].log_odds == pytest.approx([log_odds(entry) for entry in fold_runs.records["train"]])
    assert found.models["gnn"].model_kind == "gnn"
    assert found.doubts == []
    temperatures, biases = (
        np.array([getattr(each, name) for each in found.temperatures["gnn"]]) for name in ("value", "bias")
    )
    raw = found.models["gnn"].log_odds
    assert found.log_odds[:, 0] == pytest.approx(raw / temperatures[found.folds.fold] + biases[found.folds.fold])


def test_the_temperature_of_a_fold_is_that_of_its_own_model(fold_runs, scorer, runs):
    before = read(fold_runs, runs)
    fold_runs.change(
        runs[1],
        "predictions_valid.jsonl",
        lambda rows: [
            {
                **row,
                "logits": [3 * v for v in row["logits"]],
                "probability": 1 / (1 + np.exp(3 * (row["logits"][0] - row["logits"][1]))),
            }
            for row in rows
        ],
    )
    after = read(fold_runs, runs)
    ratios = [b.value / a.value for a, b in zip(before.temperatures["gnn"], after.temperatures["gnn"], strict=True)]
    assert ratios == pytest.approx([1.0, 3.0, 1.0], rel=1e-4)


def test_records_that_are_never_held_out_have_no_score(fold_runs, scorer):
    fold_runs.write_folds([None if row < 8 else row // 4 % 3 for row in range(180)])
    found = read(fold_runs, fold_runs.fold_models("gnn", scorer(1.0, 1)))
    assert np.isnan(found.models["gnn"].log_odds).nonzero()[0].tolist() == list(range(8))
    assert (found.folds.fold[:8] == NEVER).all()
    assert found.rows.tolist() == list(range(8, 180))


def moved(rows, fold_runs, fold):
    """The rows, and one of a record of another fold: its model has learnt from that record."""
    foreign = next(
        entry for entry, own in zip(fold_runs.records["train"], fold_runs.fold_of, strict=True) if own != fold
    )
    row = {"id": foreign["id"], "group": foreign["metadata"]["group"], "label": foreign["label"]}
    return [*rows, row | {"probability": 0.5, "logits": [0.0, 0.0], "fold": fold}]


def first_with(**changes):
    """Changes the first row; a key of value ``None`` is taken away."""
    return lambda rows, *_: [{k: v for k, v in (rows[0] | changes).items() if v is not None}, *rows[1:]]


ROW_LEAKS = {
    "a row of a record that the model learnt from": (moved, r"is of another fold .* of fold 0, the record of fold 1"),
    "a row that another fold's model made": (first_with(fold=1), "carries another fold"),
    "a row without a fold": (first_with(fold=None), "carries another fold"),
    "a record scored twice": (lambda rows, *_: [*rows, rows[0]], r"'CLEAN-TRAIN-0' is scored twice .run of fold 0"),
    "a record not scored": (lambda rows, *_: rows[1:], "1 of 60 records of fold 0 have no score, such as 'CLEAN-"),
    "a record of other data": (first_with(id="OTHER-1"), "'OTHER-1' is not in"),
    "another label": (first_with(label=1), "'CLEAN-TRAIN-0' has another label"),
    "another group": (first_with(group="x"), "'CLEAN-TRAIN-0' has another group"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), ROW_LEAKS.values(), ids=ROW_LEAKS)
def test_a_row_whose_model_may_have_seen_its_record_is_refused(fold_runs, runs, change, message):
    fold_runs.change(runs[0], HELD_OUT, lambda rows: change(rows, fold_runs, 0))
    with pytest.raises(FusionLeak, match=message) as caught:
        read(fold_runs, runs)
    assert "gnn-fold0" in str(caught.value)
    assert (caught.value.exit_code, caught.value.retryable) == (2, False)


def test_a_record_never_held_out_that_is_scored_is_refused(fold_runs, runs):
    rows = fold_runs.fold_of
    fold_runs.write_folds([None, None, None, None, *rows[4:]])
    for run in runs:
        retell(fold_runs, run, folds_sha256=fold_runs.folds_sha256())
    with pytest.raises(
        FusionLeak, match=r"'CLEAN-TRAIN-0' is of another fold.*the record of what is always learnt from"
    ):
        read(fold_runs, runs)


RUN_LEAKS = {
    "a model that left nothing out": ({"none": True}, "left no fold out, so it learnt from every record"),
    "a model of other folds": ({"folds_sha256": "0" * 64}, "left out fold 0 of other folds"),
    "a model of more folds": ({"num_folds": 4}, "left out fold 0 of other folds"),
    "a model that left another fold out": ({"fold": 1}, "fold 1 of 'gnn' is scored twice"),
    "a fold that is none": ({"fold": 3}, "left out fold 3, which is none of 0 to 2"),
    "a fold that is no number": ({"fold": "0"}, "left out fold '0', which is none of 0 to 2"),
}


@pytest.mark.parametrize(("changes", "message"), RUN_LEAKS.values(), ids=RUN_LEAKS)
def test_a_run_that_left_out_something_else_is_refused(fold_runs, runs, changes, message):
    retell(fold_runs, runs[0], **changes)
    with pytest.raises(FusionLeak, match=message):
        read(fold_runs, runs)


def test_runs_that_exchange_their_folds_are_refused(fold_runs, runs):
    """Each says truly which rows it wrote, and falsely what its model left out."""
    retell(fold_runs, runs[0], fold=1)
    retell(fold_runs, runs[1], fold=0)
    with pytest.raises(FusionLeak, match=r"is of another fold by folds\.jsonl"):
        read(fold_runs, runs)


def test_a_fold_without_a_run_and_a_run_named_twice_are_refused(fold_runs, runs):
    with pytest.raises(FusionLeak, match="no run of 'gnn' left out fold 2 of 3"):
        read(fold_runs, runs[:2])
    with pytest.raises(FusionLeak, match="fold 0 of 'gnn' is scored twice, here and by"):
        read(fold_runs, [*runs, runs[0]])


def test_other_folds_than_those_of_the_models_are_refused(fold_runs, runs):
    fold_runs.write_folds([(row // 4 + 1) % 3 for row in range(180)])
    with pytest.raises(FusionLeak, match="of other folds"):
        read(fold_runs, runs)


def test_a_run_that_is_not_as_it_was_written_is_refused(fold_runs, runs):
    path = runs[1] / HELD_OUT
    whole = path.read_text()
    path.write_text(whole.replace("0.", "1.", 1))
    with pytest.raises(FusionLeak, match="no finished predict run as it was written"):
        read(fold_runs, runs)
    path.write_text(whole)
    (runs[1] / "manifest.json").unlink()
    with pytest.raises(FusionLeak, match="no finished predict run as it was written"):
        read(fold_runs, runs)
    fold_runs.seal(runs[1], "train")
    with pytest.raises(FusionLeak, match="is a train run; expected a predict run"):
        read(fold_runs, runs)


def test_a_file_that_the_manifest_does_not_list_is_not_believed(fold_runs, runs, tmp_path):
    kept = runs[0] / HELD_OUT
    aside = tmp_path / "aside"
    shutil.move(kept, aside)
    fold_runs.seal(runs[0], "predict")
    shutil.move(aside, kept)
    with pytest.raises(FusionLeak, match=r"lists no predictions_held_out\.jsonl"):
        read(fold_runs, runs)


def test_folds_that_are_not_as_they_were_written_are_refused(fold_runs, runs):
    path = fold_runs.folds / "folds.jsonl"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(FusionLeak, match="no finished folds run as it was written"):
        read(fold_runs, runs)


def test_a_fold_with_one_label_is_refused(fold_runs, scorer):
    for row, entry in enumerate(fold_runs.records["train"]):
        if row // 4 % 3 == 1:
            entry["label"] = 0
    fold_runs.write_data()
    runs = fold_runs.fold_models("gnn", scorer(1.0, 1))
    with pytest.raises(DataInvalid, match="fold 1 of 3 has only label 0"):
        read(fold_runs, runs)


def test_validation_records_in_training_are_refused(fold_runs, runs):
    train = fold_runs.data / "train.jsonl"
    train.write_text(train.read_text() + json.dumps(fold_runs.records["valid"][3]) + "\n")
    with pytest.raises(DataInvalid, match=r"1 records are also in .*valid\.jsonl, such as 'CLEAN-VALID-3'"):
        read(fold_runs, runs)


def test_runs_of_several_kinds_of_model_are_refused(fold_runs, scorer, runs):
    other = fold_runs.fold_models("transformer", scorer(1.0, 1))
    with pytest.raises(SettingsInvalid, match="several kinds of model"):
        read(fold_runs, [runs[0], other[1], runs[2]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[1:], "1 of them are missing, such as 'CLEAN-VALID-0'"),
        (lambda rows: [*rows, rows[0] | {"id": "X"}], "expected one row for each of 60 records .* found 61 rows"),
        (lambda rows: [rows[0] | {"label": 1}, *rows[1:]], "'CLEAN-VALID-0' has label 1 here and 0"),
        (lambda rows: [rows[0] | {"probability": 0.123}, *rows[1:]], "is not that of its logits"),
        (lambda rows: [rows[0] | {"logits": [0.0]}, *rows[1:]], ":1: expected"),
        (lambda rows: [rows[0] | {"logits": [0.0, float("nan")]}, *rows[1:]], ":1: expected"),
        (lambda rows: [rows[0] | {"label": True}, *rows[1:]], ":1: expected"),
        (lambda rows: [], "no rows"),
    ],
)  # fmt: skip
def test_validation_that_is_not_scored_as_it_is_is_refused(fold_runs, runs, change, message):
    fold_runs.change(runs[2], "predictions_valid.jsonl", change)
    with pytest.raises(DataInvalid, match=message):
        read(fold_runs, runs)


def test_a_commit_in_two_folds_is_refused(fold_runs, runs):
    fold_runs.records["train"][4]["metadata"]["group"] = "train-commit-0"
    fold_runs.write_data()
    with pytest.raises(DataInvalid, match=r"group 'train-commit-0' is in fold 0 and in fold 1"):
        read(fold_runs, runs)
