"""What training learns from: a fold left out, records weighted or drawn. Two routes, one model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from models.errors import EXIT_DONE, EXIT_REFUSED
from models.settings.train import TrainSettings
from models.store.manifest import digest_file
from models.training.order import epoch_order
from models.training.trainer import Trainer

Document = Callable[..., dict[str, Any]]
RunJob = Callable[..., int]
KINDS = pytest.mark.parametrize("kind", ["gnn", "transformer"])
WEIGHTS_FILES = {"gnn": "best_model.safetensors", "transformer": "best_model/model.safetensors"}


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def document_of(train_document: Document, token_document: Document) -> Callable[..., dict[str, Any]]:
    return lambda kind, **changes: (train_document if kind == "gnn" else token_document)({"epochs": 1}, **changes)


def data_without(path: Path, folder: Path, is_kept: Callable[[int], bool]) -> Path:
    """A file of some of the records, with the tokenizer beside it where there is one."""
    folder.mkdir()
    lines = path.read_text().splitlines()
    (folder / "train.jsonl").write_text("".join(f"{line}\n" for n, line in enumerate(lines) if is_kept(n)))
    if (path.parent / "tokenizer").is_dir():
        shutil.copytree(path.parent / "tokenizer", folder / "tokenizer")
    return folder / "train.jsonl"


@KINDS
def test_a_fold_left_out_gives_the_model_of_a_file_without_it(
    kind: str,
    run_job: RunJob,
    document_of: Callable[..., dict[str, Any]],
    write_folds: Callable[..., Path],
    tmp_path: Path,
):
    document = document_of(kind)
    path = Path(document["train_data"])
    folds = write_folds(path)
    rows = lines_of(folds / "folds.jsonl")
    assert run_job(document | {"folds": str(folds), "left_out_fold": 1}, "left-out") == EXIT_DONE
    alone = data_without(path, tmp_path / "alone", lambda number: rows[number]["fold"] != 1)
    assert run_job(document | {"train_data": str(alone)}, "alone") == EXIT_DONE

    one, other = (tmp_path / name for name in ("left-out", "alone"))
    for name in (WEIGHTS_FILES[kind], "history.json", "predictions_valid.jsonl"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    numbers, plain = (read(folder / "result.json")["numbers"] for folder in (one, other))
    num_left_out = sum(row["fold"] == 1 for row in rows)
    assert numbers["left_out"] == {
        "fold": 1,
        "num_folds": 3,
        "folds_sha256": digest_file(folds / "folds.jsonl").sha256,
        "num_records": num_left_out,
        "records_sha256": digest_file(path).sha256,
    }
    assert plain["left_out"] is None
    assert numbers["num_train"] == plain["num_train"] == len(rows) - num_left_out
    assert {**numbers, "left_out": None} == plain


def test_records_that_are_never_held_out_are_learnt_from(
    trainer_of: Callable[..., Trainer], records_path: Path, write_folds: Callable[..., Path]
):
    def fold_of(_: int, commit: str) -> int | None:
        return None if commit.endswith("3") else int(commit.endswith("5"))

    folds = write_folds(records_path / "train.jsonl", num_folds=2, fold_of=fold_of)
    learnt = trainer_of(folds=str(folds), left_out_fold=0).train
    assert {group[-1] for group in learnt.groups} == {"3", "5"}
    assert len(learnt) == 3 * 4  # g3, g13, g5, g15


def test_a_quick_test_leaves_the_fold_out_of_its_first_records(
    run_job: RunJob, train_document: Document, records_path: Path, write_folds: Callable[..., Path], tmp_path: Path
):
    folds = write_folds(records_path / "train.jsonl")
    document = train_document(quick_test=True, folds=str(folds), left_out_fold=0)
    assert run_job(document, "run") == EXIT_DONE
    numbers = read(tmp_path / "run" / "result.json")["numbers"]
    assert (numbers["num_train"], numbers["left_out"]["num_records"], numbers["num_epochs"]) == (39, 21, 1)


def commit_in_two_folds(number: int, commit: str) -> int | None:
    return 1 if number == 0 else int(commit.split("g")[1]) % 2


def everything_in_the_first(*_: Any) -> int:
    return 0


@pytest.mark.parametrize(
    ("doctored", "left_out_fold", "error", "message"),
    [
        ({"fold_of": commit_in_two_folds}, 0, "DataInvalid", "group 'TRAIN-g0' is in fold 0 and in fold 1"),
        (
            {"fold_of": commit_in_two_folds, "own_groups": True},
            0,
            "DataInvalid",
            "group 'TRAIN-g0' is in fold 0 and in fold 1",
        ),
        ({}, 2, "SettingsInvalid", "there is no fold 2"),
        ({"fold_of": everything_in_the_first}, 0, "DataInvalid", "nothing is left to learn from"),
    ],
    ids=["commit in two folds", "under names of their own", "no such fold", "nothing left"],
)
def test_folds_that_would_leak_or_leave_nothing_are_refused(
    doctored: dict[str, Any],
    left_out_fold: int,
    error: str,
    message: str,
    run_job: RunJob,
    train_document: Document,
    records_path: Path,
    write_folds: Callable[..., Path],
    tmp_path: Path,
):
    folds = write_folds(records_path / "train.jsonl", num_folds=2, **doctored)
    assert run_job(train_document(folds=str(folds), left_out_fold=left_out_fold), "run") == EXIT_REFUSED
    outcome = read(tmp_path / "run" / "outcome.json")
    assert outcome["error"] == error
    assert message in outcome["message"]


@KINDS
def test_records_of_weight_zero_teach_nothing(
    kind: str,
    run_job: RunJob,
    document_of: Callable[..., dict[str, Any]],
    write_weights: Callable[..., Path],
    tmp_path: Path,
):
    """Most records weigh nothing: steps of such records only would have no loss."""
    document = document_of(kind)
    path = Path(document["train_data"])
    weights = str(write_weights(path, lambda number: 0.0 if number % 4 else 0.5 + number % 3))
    assert run_job(document | {"weights": weights}, "weighted") == EXIT_DONE
    alone = data_without(path, tmp_path / "alone", lambda number: number % 4 == 0)
    assert run_job(document | {"train_data": str(alone), "weights": weights}, "alone") == EXIT_DONE
    for name in (WEIGHTS_FILES[kind], "history.json"):
        assert (tmp_path / "weighted" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    numbers, plain = (read(tmp_path / name / "result.json")["numbers"] for name in ("weighted", "alone"))
    assert plain["num_weightless"] == 0
    assert numbers["num_weightless"] == len(path.read_bytes().splitlines()) - plain["num_train"]


@KINDS
def test_drawn_records_come_by_weight_and_weigh_the_same_in_the_loss(
    kind: str,
    document_of: Callable[..., dict[str, Any]],
    trainer_of: Callable[..., Trainer],
    token_trainer_of: Callable[..., Trainer],
    write_weights: Callable[..., Path],
):
    path = Path(document_of(kind)["train_data"])
    weights = write_weights(path, lambda number: float(number % 3))
    trainer = (trainer_of if kind == "gnn" else token_trainer_of)(weights=str(weights), weighting="sampling")
    assert trainer.train.weights.tolist() == [1.0] * len(trainer.train)
    assert trainer.told_of_records["num_weightless"] == -(-len(trainer.train) // 3)
    seen: list[np.ndarray] = []
    step = trainer.step
    trainer.step = lambda records: (seen.append(records), step(records))[1]  # type: ignore[method-assign]
    trainer.fit()
    expected = [
        epoch_order(len(trainer.train), seed=42, epoch=epoch, draw_weights=np.arange(len(trainer.train)) % 3.0)
        for epoch in range(trainer.settings.epochs)
    ]
    np.testing.assert_array_equal(np.concatenate(seen), np.concatenate(expected))
    assert not (np.concatenate(seen) % 3 == 0).any()


def test_weights_of_a_training_without_a_fold_are_those_of_the_other_records(
    trainer_of: Callable[..., Trainer],
    records_path: Path,
    write_folds: Callable[..., Path],
    write_weights: Callable[..., Path],
):
    path = records_path / "train.jsonl"
    folds, weights = write_folds(path), write_weights(path, lambda number: 1.0 + number)
    trainer = trainer_of(folds=str(folds), left_out_fold=1, weights=str(weights))
    found = dict(zip(trainer.train.ids, trainer.train.weights.tolist(), strict=True))
    assert found == {f"TRAIN-{number}": 1.0 + number for number in range(60) if number // 3 % 3 != 1}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda number: float("nan") if number == 5 else 1.0, "weights-0.jsonl:6: expected"),
        (lambda number: -1.0 if number == 5 else 1.0, "weights-0.jsonl:6: weight -1.0"),
        (lambda number: 0.0, "all weights are zero"),
    ],
)
@pytest.mark.parametrize("weighting", ["loss", "sampling"])
def test_weights_that_are_none_end_the_job_in_words(
    weighting: str,
    bad: Callable[[int], float],
    message: str,
    run_job: RunJob,
    train_document: Document,
    records_path: Path,
    write_weights: Callable[..., Path],
    tmp_path: Path,
):
    weights = write_weights(records_path / "train.jsonl", bad)
    assert run_job(train_document(weights=str(weights), weighting=weighting), "run") == EXIT_REFUSED
    outcome = read(tmp_path / "run" / "outcome.json")
    assert outcome["error"] == "DataInvalid"
    assert message in outcome["message"]


def test_weights_that_leave_one_label_end_the_job_in_words(
    run_job: RunJob,
    train_document: Document,
    records_path: Path,
    write_weights: Callable[..., Path],
    tmp_path: Path,
):
    path = records_path / "train.jsonl"
    labels = [json.loads(line)["label"] for line in path.read_bytes().splitlines()]
    weights = write_weights(path, lambda number: float(labels[number]))
    assert run_job(train_document(weights=str(weights)), "run") == EXIT_REFUSED
    assert (
        "no record of label 0 is left among those that have a weight above 0"
        in (read(tmp_path / "run" / "outcome.json")["message"])
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": "x"}, "folds and left_out_fold belong together"),
        ({"left_out_fold": 0}, "folds and left_out_fold belong together"),
        ({"weighting": "sampling"}, "sampling draws records by their weights"),
        ({"folds": "x", "left_out_fold": -1}, "greater than or equal to 0"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes: dict[str, Any], message: str, train_document: Document):
    with pytest.raises(ValidationError, match=message):
        TrainSettings.model_validate(train_document(**changes))
