from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.data.fold_file import NEVER, read_folds, refuse_group_in_two_folds
from models.errors import DataInvalid

ROWS = [
    {"id": "a", "fold": 0, "group": "g1"},
    {"id": "b", "fold": 1, "group": "g2"},
    {"id": "c", "fold": None, "group": "g3"},
    {"id": "d", "fold": 1, "group": "g2"},
]


@pytest.fixture
def folds_run(tmp_path: Path) -> Callable[..., Path]:
    def made(rows: list[Any] = ROWS, summary: Any = None) -> Path:
        lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
        (tmp_path / "folds.jsonl").write_text("".join(f"{line}\n" for line in lines))
        (tmp_path / "folds.json").write_text(json.dumps({"num_folds": 2} if summary is None else summary))
        return tmp_path

    return made


def test_folds_come_in_the_order_of_the_records_whatever_the_order_of_the_file(folds_run: Callable[..., Path]):
    path = folds_run()
    folds = read_folds(path, ["d", "c", "a"])
    assert folds.fold.tolist() == [1, NEVER, 0]
    assert folds.groups == ["g2", "g3", "g1"]
    assert folds.num_folds == 2
    assert folds.sha256 == hashlib.sha256((path / "folds.jsonl").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "x", "fold": 0, "group": "g2"}, r"group 'g2' is in fold 0 and in fold 1"),
        ({"id": "x", "fold": None, "group": "g2"}, r"group 'g2' is in what is always learnt from and in fold 1"),
        ({"id": "x", "fold": 1, "group": "g3"}, r"group 'g3' is in what is always learnt from and in fold 1"),
        ({"id": "a", "fold": 0, "group": "g1"}, r"jsonl:5: a second fold for 'a'"),
        ({"id": "x", "fold": 2, "group": "gx"}, r"jsonl:5: fold 2 of 'x' is none of 0 to 1"),
        ({"id": "x", "fold": -1, "group": "gx"}, r"jsonl:5: fold -1 of 'x'"),
        ({"id": "x", "fold": True, "group": "gx"}, r"jsonl:5: fold True of 'x'"),
        ({"id": "x", "fold": 0.0, "group": "gx"}, r"jsonl:5: fold 0.0 of 'x'"),
        ({"id": 7, "fold": 0, "group": "gx"}, r"jsonl:5: expected"),
        ({"id": "x", "group": "gx"}, r"jsonl:5: expected"),
        ("{", r"jsonl:5: expected"),
        ("[]", r"jsonl:5: expected"),
    ],
)
def test_what_is_no_fold_or_parts_a_group_is_refused(row: Any, message: str, folds_run: Callable[..., Path]):
    """A planted commit in two folds is caught by everyone who reads folds, asked for these records or not."""
    with pytest.raises(DataInvalid, match=message):
        read_folds(folds_run([*ROWS, row]), ["a", "b", "c", "d"])


def test_records_without_a_fold_are_named(folds_run: Callable[..., Path]):
    with pytest.raises(DataInvalid, match=r"2 of 3 training records have no fold, such as 'e'"):
        read_folds(folds_run(), ["a", "e", "f"])


@pytest.mark.parametrize("summary", [{}, [], {"num_folds": 1}, {"num_folds": True}, {"num_folds": "2"}])
def test_a_summary_without_a_number_of_folds_is_refused(summary: Any, folds_run: Callable[..., Path]):
    with pytest.raises(DataInvalid, match="num_folds"):
        read_folds(folds_run(summary=summary), [])


@pytest.mark.parametrize("name", ["folds.jsonl", "folds.json"])
def test_a_missing_file_says_what_was_expected(name: str, folds_run: Callable[..., Path]):
    path = folds_run()
    (path / name).unlink()
    with pytest.raises(DataInvalid, match="directory of a finished folds run"):
        read_folds(path, [])


def test_groups_that_stay_together_pass():
    refuse_group_in_two_folds(Path("x"), ["a", "b", "a"], [0, 1, 0])
