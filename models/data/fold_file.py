"""The folds of training records as the ``folds`` job leaves them: ``folds.jsonl`` (a line a record) and ``folds.json``.

Whoever reads them (train, predict, weigh, fuse) reads them here, where a group that lies in two folds is refused: its
records would be scored by a model that has seen their like.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from models.errors import DataInvalid

FOLDS_FILE = "folds.jsonl"
SUMMARY_FILE = "folds.json"
NEVER = -1
"""The fold of records that are learnt from always and held out never."""
EXPECTED = 'expected {"id": …, "fold": number or null, "group": …}'


@dataclass(frozen=True)
class Folds:
    """Folds of some records, in the order in which they were asked for.

    Args:
        fold: ``(N,)`` int64, the fold of each record; ``NEVER`` for those that are never held out.
        groups: ``N`` names of what is kept together: commits and near copies, through each other too.
        num_folds: Folds there are.
        sha256: Of the file; two models left out the same only where it is equal.
    """

    fold: npt.NDArray[np.int64]
    groups: list[str]
    num_folds: int
    sha256: str


def read_folds(run_path: Path, ids: Sequence[str]) -> Folds:
    """The fold of each record, in the order of ``ids``; lines of other records are checked and passed over.

    Args:
        run_path: Directory of a finished folds run.
        ids: Records to find.

    Raises:
        DataInvalid: A file is missing, a line is no fold, a record has none or two, or a group lies in two folds. Not
            retried.
    """
    path = run_path / FOLDS_FILE
    if not path.is_file():
        raise DataInvalid(path, "no such file; give the directory of a finished folds run")
    content = path.read_bytes()
    num_folds = _num_folds(run_path / SUMMARY_FILE)
    row_of: dict[str, int] = {}
    folds: list[int] = []
    groups: list[str] = []
    for number, line in enumerate(content.splitlines(), start=1):
        record_id, fold, group = _parse(path, number, line, num_folds)
        if record_id in row_of:
            raise DataInvalid(path, f"a second fold for {record_id!r}", line=number)
        row_of[record_id] = len(folds)
        folds.append(fold)
        groups.append(group)
    refuse_group_in_two_folds(path, groups, folds)
    missing = [record_id for record_id in ids if record_id not in row_of]
    if missing:
        raise DataInvalid(
            path,
            f"{len(missing)} of {len(ids)} training records have no fold, such as {missing[0]!r}; cut these records "
            "into folds first (python -m models folds)",
        )
    rows = [row_of[record_id] for record_id in ids]
    found = np.array([folds[row] for row in rows], dtype=np.int64)
    return Folds(found, [groups[row] for row in rows], num_folds, hashlib.sha256(content).hexdigest())


def refuse_group_in_two_folds(path: Path, groups: Iterable[str], folds: Iterable[int]) -> None:
    """Refuse folds of which two share a group; ``NEVER`` counts as a fold of its own.

    Args:
        path: Where the folds come from, for the message.
        groups: Of each record, what must stay together.
        folds: Of each record.

    Raises:
        DataInvalid: A group lies in two folds. Not retried.
    """
    fold_of: dict[str, int] = {}
    for group, fold in zip(groups, folds, strict=True):
        if fold_of.setdefault(group, int(fold)) != fold:
            first, second = (_words_of(number) for number in sorted((fold_of[group], int(fold))))
            raise DataInvalid(
                path,
                f"group {group!r} is in {first} and in {second}: a model that leaves one out learns from the other. "
                "Make the folds again with the folds job",
            )


def _words_of(fold: int) -> str:
    return "what is always learnt from" if fold == NEVER else f"fold {fold}"


def _num_folds(path: Path) -> int:
    if not path.is_file():
        raise DataInvalid(path, "no such file; give the directory of a finished folds run")
    try:
        num_folds = orjson.loads(path.read_bytes())["num_folds"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise DataInvalid(path, "no summary of a folds run (num_folds is missing)") from error
    if isinstance(num_folds, bool) or not isinstance(num_folds, int) or num_folds < 2:
        raise DataInvalid(path, f"num_folds must be a whole number of at least 2, found {num_folds!r}")
    return num_folds


def _parse(path: Path, number: int, line: bytes, num_folds: int) -> tuple[str, int, str]:
    try:
        row: Any = orjson.loads(line)
        record_id, fold, group = row["id"], row["fold"], row["group"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise DataInvalid(path, EXPECTED, line=number) from error
    if not isinstance(record_id, str) or not isinstance(group, str):
        raise DataInvalid(path, EXPECTED, line=number)
    if fold is None:
        return record_id, NEVER, group
    if isinstance(fold, bool) or not isinstance(fold, int) or not 0 <= fold < num_folds:
        raise DataInvalid(path, f"fold {fold!r} of {record_id!r} is none of 0 to {num_folds - 1}", line=number)
    return record_id, fold, group
