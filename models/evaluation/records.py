"""What evaluation reads of the records: ids, labels, groups, texts and categories of one split; predictions on them.

Both are checked against each other here: a score that belongs to other records is refused, never aligned by luck.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import DataInvalid
from models.evaluation.metrics import Floats

CATEGORIES = ("project", "smell", "technology", "in_combined", "source", "origin")
"""Keys of a record's metadata by which records are sorted."""


@dataclass(frozen=True)
class SplitRecords:
    """The records of one split, in the order of their file.

    Args:
        path: The file.
        ids: ``N`` record ids.
        labels: ``(N,)`` int8, 0 or 1.
        groups: ``N`` commits of functions, or files of findings; the record's own id where none is known.
        codes: ``N`` raw texts.
        categories: What each record is sorted by, by name: ``N`` values, empty where none is known. Always ``project``;
            of findings also ``smell``, ``technology`` and ``in_combined`` (``true`` or ``false``). ``source`` and
            ``origin`` say where a record was collected; they are for reports, never features.
    """

    path: Path
    ids: Sequence[str]
    labels: npt.NDArray[np.int8]
    groups: Sequence[str]
    codes: Sequence[str]
    categories: Mapping[str, Sequence[str]]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def are_findings(self) -> bool:
        """Whether the records are findings of an analyser, which have a smell; else they are functions."""
        return "smell" in self.categories

    def only(self, rows: npt.NDArray[np.intp]) -> SplitRecords:
        """Some of the records, by their numbers."""
        picked = rows.tolist()
        return SplitRecords(
            self.path,
            [self.ids[row] for row in picked],
            self.labels[rows],
            [self.groups[row] for row in picked],
            [self.codes[row] for row in picked],
            {name: [values[row] for row in picked] for name, values in self.categories.items()},
        )


def read_split(path: Path) -> SplitRecords:
    """Records of a ``.jsonl`` of the preprocess or findings job.

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
    return SplitRecords(path, table.ids, labels, table.groups, codes, _categories(path))


def data_digest(train_path: Path, valid_path: Path) -> str:
    """Identity of the data behind two record files: equal for the records of every tokenizer.

    Returns:
        Hex sha256 over id, label, group and code of each record of validation and training, in their order.

    Raises:
        DataInvalid: A file is missing, or a line of it is no record. Not retried.
    """
    digest = hashlib.sha256()
    for split, path in (("valid", valid_path), ("train", train_path)):
        if not path.is_file():
            raise DataInvalid(path, "no such file; expected records of the findings or preprocess job")
        for number, entry in enumerate(_lines(path), start=1):
            try:
                told = [split, entry["id"], entry["label"], entry["metadata"]["group"], entry["code"]]
            except (KeyError, TypeError) as error:
                raise DataInvalid(path, f"not a record ({type(error).__name__}: {error})", line=number) from error
            digest.update(json.dumps(told, ensure_ascii=True).encode() + b"\n")
    return digest.hexdigest()


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


def _categories(path: Path) -> dict[str, list[str]]:
    """The columnar copy holds no metadata but the group, so the lines are read once more."""
    import orjson

    found: dict[str, list[str]] = {name: [] for name in CATEGORIES}
    known = {"project"}
    with path.open("rb") as lines:
        for line in lines:
            metadata = orjson.loads(line)["metadata"]
            known |= metadata.keys()
            for name, values in found.items():
                values.append(_category(metadata.get(name)))
    return {name: values for name, values in found.items() if name in known}


def _category(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
