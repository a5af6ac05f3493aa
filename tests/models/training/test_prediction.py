"""What a finished model may score: what it left out, and sealed records on request."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from models.errors import EXIT_DONE, EXIT_REFUSED
from models.settings.predict import PredictSettings
from models.store.manifest import digest_file, write_manifest
from models.store.openings import read_openings

Document = Callable[..., dict[str, Any]]
RunJob = Callable[..., int]


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def refusal(run_path: Path) -> tuple[str, str]:
    outcome = read(run_path / "outcome.json")
    return outcome["error"], outcome["message"]


@pytest.fixture
def folds(write_folds: Callable[..., Path], records_path: Path) -> Path:
    return write_folds(records_path / "train.jsonl")


@pytest.fixture
def model_without(
    run_job: RunJob, train_document: Document, folds: Path, records_path: Path, tmp_path: Path
) -> dict[str, Any]:
    """The document that predicts what a model left out."""
    document = train_document({"epochs": 1}, folds=str(folds), left_out_fold=2)
    assert run_job(document, "trained") == EXIT_DONE
    return {
        "kind": "predict",
        "model_run": str(tmp_path / "trained"),
        "data": str(records_path),
        "splits": ["held_out"],
        "folds": str(folds),
    }


def test_the_fold_that_was_left_out_is_scored_and_nothing_else(
    model_without: dict[str, Any], run_job: RunJob, folds: Path, tmp_path: Path
):
    assert run_job(model_without, "held-out") == EXIT_DONE
    rows = lines_of(tmp_path / "held-out" / "predictions_held_out.jsonl")
    of_fold = [row["id"] for row in lines_of(folds / "folds.jsonl") if row["fold"] == 2]
    assert [row["id"] for row in rows] == of_fold
    assert {row["fold"] for row in rows} == {2}
    numbers = read(tmp_path / "held-out" / "result.json")["numbers"]
    assert numbers["held_out"] == {
        "fold": 2,
        "num_folds": 3,
        "folds_sha256": digest_file(folds / "folds.jsonl").sha256,
        "num_records": len(of_fold),
    }
    assert numbers["num_records"] == {"held_out": len(of_fold)}

    everything = {**model_without, "splits": ["train"], "folds": None}
    assert run_job(everything, "everything") == EXIT_DONE
    scored = {row["id"]: row for row in lines_of(tmp_path / "everything" / "predictions_train.jsonl")}
    for row in rows:
        same = scored[row["id"]]
        assert row["probability"] == pytest.approx(same["probability"], abs=1e-6)
        assert (row["label"], row["group"]) == (same["label"], same["group"])
    assert read(tmp_path / "everything" / "result.json")["numbers"]["held_out"] is None


def test_a_transformer_scores_what_it_left_out(
    run_job: RunJob, token_document: Document, token_records: Path, write_folds: Callable[..., Path], tmp_path: Path
):
    folds = write_folds(token_records / "train.jsonl")
    document = token_document({"epochs": 1}, folds=str(folds), left_out_fold=0)
    assert run_job(document, "trained") == EXIT_DONE
    predict = {"kind": "predict", "model_run": str(tmp_path / "trained"), "data": str(token_records)}
    assert run_job({**predict, "splits": ["held_out", "valid"], "folds": str(folds)}, "predicted") == EXIT_DONE
    rows = lines_of(tmp_path / "predicted" / "predictions_held_out.jsonl")
    assert [row["id"] for row in rows] == [row["id"] for row in lines_of(folds / "folds.jsonl") if row["fold"] == 0]
    valid = (tmp_path / "predicted" / "predictions_valid.jsonl").read_bytes()
    assert valid == (tmp_path / "trained" / "predictions_valid.jsonl").read_bytes()


def test_a_model_that_left_nothing_out_is_refused(
    run_job: RunJob, undisturbed: Path, folds: Path, records_path: Path, tmp_path: Path
):
    predict = {"kind": "predict", "model_run": str(undisturbed), "data": str(records_path)}
    assert run_job({**predict, "splits": ["held_out"], "folds": str(folds)}, "predicted") == EXIT_REFUSED
    error, message = refusal(tmp_path / "predicted")
    assert error == "SettingsInvalid"
    assert "learnt from all training records, so none is held out" in message


def test_a_row_seen_in_training_cannot_be_planted_among_those_held_out(
    model_without: dict[str, Any], run_job: RunJob, folds: Path, records_path: Path, tmp_path: Path
):
    """By folds that call a learnt row held out, by a row swapped under its id, or by a result that says otherwise."""
    planted = tmp_path / "planted"
    shutil.copytree(folds, planted)
    rows = lines_of(planted / "folds.jsonl")
    learnt = next(row for row in rows if row["fold"] == 0)
    for row in rows:
        row["fold"] = 2 if row["group"] == learnt["group"] else row["fold"]
    (planted / "folds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run_job(model_without | {"folds": str(planted)}, "by-folds") == EXIT_REFUSED
    error, message = refusal(tmp_path / "by-folds")
    assert (error, "left out a fold of other folds" in message) == ("SettingsInvalid", True)

    swapped = tmp_path / "swapped"
    swapped.mkdir()
    records = lines_of(records_path / "train.jsonl")
    held_out = next(number for number, row in enumerate(lines_of(folds / "folds.jsonl")) if row["fold"] == 2)
    records[0]["id"], records[held_out]["id"] = records[held_out]["id"], records[0]["id"]
    (swapped / "train.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    assert run_job(model_without | {"data": str(swapped)}, "by-data") == EXIT_REFUSED
    error, message = refusal(tmp_path / "by-data")
    assert (error, "is not the file that" in message) == ("SettingsInvalid", True)

    result = tmp_path / "trained" / "result.json"
    result.write_text(result.read_text().replace('"fold": 2', '"fold": 1'))
    assert run_job(model_without, "by-result") == 1
    assert refusal(tmp_path / "by-result")[0] == "ObjectCorrupt"


@pytest.fixture
def probes(records_path: Path, tmp_path: Path) -> dict[str, str]:
    """Two finished probe runs."""
    found = {}
    for name, num_records in (("rename", 7), ("pairs", 4)):
        path = tmp_path / f"probe-{name}"
        path.mkdir()
        lines = (records_path / "test.jsonl").read_text().splitlines()[:num_records]
        (path / "test.jsonl").write_text("\n".join(lines) + "\n")
        write_manifest(path, ["test.jsonl"], kind="probe", run_key="0" * 64, build_key="1" * 64)
        found[name] = str(path)
    return found


def test_probes_are_scored_with_the_test_split_and_each_opening_is_logged(
    probes: dict[str, str], run_job: RunJob, undisturbed: Path, records_path: Path, tmp_path: Path
):
    predict = {"kind": "predict", "model_run": str(undisturbed), "data": str(records_path), "splits": []}
    assert run_job({**predict, "open_test": "a report", "probes": probes}, "predicted") == EXIT_DONE
    scored = {
        name: lines_of(tmp_path / "predicted" / f"predictions_{name}.jsonl") for name in ("test", "rename", "pairs")
    }
    assert {name: len(rows) for name, rows in scored.items()} == {"test": 24, "rename": 7, "pairs": 4}
    for row, same in zip(scored["rename"], scored["test"], strict=False):  # the probe holds the same records here
        assert (row["id"], row["label"]) == (same["id"], same["label"])
        assert row["probability"] == pytest.approx(same["probability"], abs=1e-6)
    openings = read_openings(tmp_path)
    assert [(opening.split, opening.purpose) for opening in openings] == [
        ("test", "a report"),
        ("rename", "a report"),
        ("pairs", "a report"),
    ]
    assert openings[1].data_sha256 == digest_file(Path(probes["rename"]) / "test.jsonl").sha256
    manifest = read(tmp_path / "predicted" / "manifest.json")["files"]
    assert {"predictions_rename.jsonl", "predictions_pairs.jsonl"} <= manifest.keys()
    assert read(tmp_path / "predicted" / "result.json")["numbers"]["num_records"]["rename"] == 7


def test_a_probe_that_is_not_finished_stays_closed(
    probes: dict[str, str], run_job: RunJob, undisturbed: Path, records_path: Path, tmp_path: Path
):
    (Path(probes["rename"]) / "manifest.json").unlink()
    predict = {"kind": "predict", "model_run": str(undisturbed), "data": str(records_path), "splits": []}
    document = {**predict, "open_test": "a report", "probes": {"rename": probes["rename"]}}
    assert run_job(document, "predicted") == EXIT_REFUSED
    assert "probes.rename" in refusal(tmp_path / "predicted")[1]
    assert read_openings(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"splits": ["held_out"]}, "held_out and folds belong together"),
        ({"folds": "x"}, "held_out and folds belong together"),
        ({"probes": {"rename": "x"}}, "give open_test"),
        ({"probes": {"rename": "x"}, "open_test": ""}, "give open_test"),
        ({"probes": {"Rename": "x"}, "open_test": "why"}, "should match pattern"),
        ({"probes": {"../x": "x"}, "open_test": "why"}, "should match pattern"),
        *(
            ({"probes": {name: "x"}, "open_test": "why"}, f"'{name}' is the name of a split")
            for name in ("train", "valid", "test", "held_out")
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes: dict[str, Any], message: str):
    with pytest.raises(ValidationError, match=message):
        PredictSettings.model_validate({"model_run": "m", "data": "d", **changes})
