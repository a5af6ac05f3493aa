"""What evaluation reads of the records: ids, labels, groups, texts and projects of one split; and predictions on them.

Both are checked against each other here: a score that belongs to other records is refused, never aligned by luck.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import DataInvalid
from models.evaluation.metrics import Floats


@dataclass(frozen=True)
class SplitRecords:
    """The records of one split, in the order of their file.

    Args:
        path: The file.
        ids: ``N`` record ids.
        labels: ``(N,)`` int8, 0 or 1.
        groups: ``N`` commit ids, or the record's own id where none is known.
        codes: ``N`` raw texts.
        projects: ``N`` project names; empty where none is known.
    """

    path: Path
    ids: Sequence[str]
    labels: npt.NDArray[np.int8]
    groups: Sequence[str]
    codes: Sequence[str]
    projects: Sequence[str]

    def __len__(self) -> int:
        return len(self.ids)


def read_split(path: Path) -> SplitRecords:
    """Records of a ``.jsonl`` of the preprocess job.

    Raises:
        DataInvalid: The file is missing, holds no record, or a label is not 0 or 1. Not retried.
    """
    from models.data.columnar import open_records  # pyarrow comes with it

    table = open_records(path)
    if not len(table):
        raise DataInvalid(path, "no records; nothing can be measured on it")
    labels = np.array(table.labels, dtype=np.int8)
    if not np.isin(labels, (0, 1)).all():
        raise DataInvalid(path, f"labels must be 0 or 1, found {sorted(set(labels.tolist()))}")
    codes = [table.code(row) for row in range(len(table))]
    return SplitRecords(path, table.ids, labels, table.groups, codes, _projects(path))


def read_probabilities(path: Path, records: SplitRecords) -> Floats:
    """``(N,)`` probabilities of label 1 in the order of ``records``.

    Raises:
        DataInvalid: The predictions are not of exactly these records and labels, or hold no probability. Not retried.
    """
    if not path.is_file():
        raise DataInvalid(path, "no such file; predict this split with the model first")
    row_of = {record_id: row for row, record_id in enumerate(records.ids)}
    found = np.full(len(records), math.nan)
    for number, entry in enumerate(_lines(path), start=1):
        row = row_of.get(str(entry.get("id")))
        if row is None:
            raise DataInvalid(path, f"record {entry.get('id')!r} is not in {records.path}", line=number)
        if not math.isnan(found[row]):
            raise DataInvalid(path, f"record {entry['id']!r} is predicted twice", line=number)
        if entry.get("label") != records.labels[row]:
            raise DataInvalid(
                path,
                f"record {entry['id']!r} has label {entry.get('label')!r} here and {records.labels[row]} in "
                f"{records.path}; predict again from these records",
                line=number,
            )
        found[row] = _probability(path, entry, number)
    missing = int(np.isnan(found).sum())
    if missing:
        first = records.ids[int(np.flatnonzero(np.isnan(found))[0])]
        raise DataInvalid(path, f"{missing} of {len(records)} records of {records.path} are missing, such as {first!r}")
    return found


def _probability(path: Path, entry: dict[str, Any], number: int) -> float:
    value = entry.get("probability")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
        raise DataInvalid(path, f"probability must be a number in [0, 1], found {value!r}", line=number)
    return float(value)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                entry = json.loads(line)
            except ValueError as error:
                raise DataInvalid(path, f"no JSON ({error})", line=number) from error
            if not isinstance(entry, dict):
                raise DataInvalid(path, "expected one JSON object a line", line=number)
            yield entry


def _projects(path: Path) -> list[str]:
    """The columnar copy holds no project, so the lines are read once more."""
    import orjson

    with path.open("rb") as lines:
        return [str(orjson.loads(line)["metadata"].get("project") or "") for line in lines]
