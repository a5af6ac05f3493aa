"""The one table that every check of the audit reads, whatever the data came as; see ``audit_reading`` for that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.evaluation.metrics import Integers

SPLITS = ("train", "valid", "test")
SEALED = "test"
CATEGORIES = ("project", "source", "origin", "technology", "smell")
"""What records are sorted by and a model may take for the label."""


@dataclass(frozen=True)
class AuditRows:
    """Labelled texts in the order of their files, one file after the other.

    Args:
        path: Where they were read.
        shape: What they were read as, for people.
        kind: ``functions`` or ``findings``.
        ids: ``N`` unique ids.
        splits: ``N`` names of splits.
        labels: ``(N,)`` int8, 0 or 1.
        codes: ``N`` texts.
        groups: ``N`` commits or files; empty where none is known.
        grouped_by: What a group is (commit, file, pair), empty where no record has one.
        categories: By name ``N`` values, empty where none is known; only those that some record has.
        numbers: ``N`` numbers by which the data's makers ordered them (``idx``); ``None`` where a record has none.
        in_pairs: Records come as before/after pairs, so that their order is the reader's.
        num_rejected: Rows that could not be used.
    """

    path: Path
    shape: str
    kind: str
    ids: Sequence[str]
    splits: Sequence[str]
    labels: npt.NDArray[np.int8]
    codes: Sequence[str]
    groups: Sequence[str]
    grouped_by: str
    categories: Mapping[str, Sequence[str]]
    numbers: Sequence[int | None]
    in_pairs: bool = False
    num_rejected: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def word(self) -> str:
        """What one record is called."""
        return "finding" if self.kind == "findings" else "function"

    @cached_property
    def split_names(self) -> list[str]:
        """Splits that hold records, in their usual order."""
        return [split for split in SPLITS if split in set(self.splits)]

    @cached_property
    def learnable(self) -> AuditRows:
        """All records but those of the sealed split: the only ones that anything is fitted or scored on."""
        return self.only(np.flatnonzero(np.array(self.splits) != SEALED))

    def only(self, rows: npt.NDArray[np.intp]) -> AuditRows:
        """Some of the records, by their places."""
        picked = rows.tolist()

        def some(values: Sequence[Any]) -> list[Any]:
            return [values[row] for row in picked]

        return AuditRows(
            self.path,
            self.shape,
            self.kind,
            some(self.ids),
            some(self.splits),
            self.labels[rows],
            some(self.codes),
            some(self.groups),
            self.grouped_by,
            {name: some(values) for name, values in self.categories.items()},
            some(self.numbers),
            self.in_pairs,
            self.num_rejected,
        )


def split_counts(rows: AuditRows) -> dict[str, dict[str, Any]]:
    """Per split: records, distinct groups, labels, and records by source and by project."""
    splits = np.array(rows.splits)
    return {split: _counts(rows, np.flatnonzero(splits == split)) for split in rows.split_names}


def _counts(rows: AuditRows, places: npt.NDArray[np.intp]) -> dict[str, Any]:
    labels = rows.labels[places]
    picked = places.tolist()

    def by(category: str) -> dict[str, int]:
        values = rows.categories.get(category)
        return dict(sorted(Counter(values[row] for row in picked).items())) if values is not None else {}

    return {
        "records": len(picked),
        "groups": len({rows.groups[row] for row in picked} - {""}),
        "labels": {"0": int((labels == 0).sum()), "1": int((labels == 1).sum())},
        "sources": by("source"),
        "projects": by("project"),
    }


def codes_of(values: Sequence[str]) -> tuple[list[str], Integers]:
    """Distinct values, sorted, and ``(N,)`` the place of each record's value among them."""
    names, places = np.unique(np.array(values, dtype=object).astype(str), return_inverse=True)
    return names.tolist(), places.astype(np.int64)
