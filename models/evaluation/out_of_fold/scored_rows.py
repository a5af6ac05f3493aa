"""Rows of a predict run as numbers: ids, labels and the model's log-odds, before anything is matched or calibrated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import DataInvalid
from models.evaluation.metrics import Floats
from models.evaluation.records import SplitRecords

EXPECTED = (
    'expected {"id", "group", "label" (0 or 1), "probability", "logits" (two numbers)}, as the predict job writes'
)
TOLERANCE = 1e-5
"""How far the probability of a row may lie from that of its logits."""


@dataclass(frozen=True)
class ScoredRows:
    """The rows of one file of predictions, in its order.

    Args:
        path: The file.
        ids: ``N`` record ids, no two alike.
        groups: ``N`` groups as the row tells them.
        labels: ``(N,)`` int8, 0 or 1.
        log_odds: ``(N,)`` logit of label 1 less that of label 0, finite.
        folds: ``N`` folds as the rows tell them; ``None`` where a row tells none.
    """

    path: Path
    ids: list[str]
    groups: list[str]
    labels: npt.NDArray[np.int8]
    log_odds: Floats
    folds: list[Any]

    def __len__(self) -> int:
        return len(self.ids)


def read_scored_rows(path: Path) -> ScoredRows:
    """The rows of ``predictions_<split>.jsonl``.

    Log-odds are taken from the logits: a probability of 1.0 has lost them.

    Raises:
        DataInvalid: The file is missing or empty, a line is no such row, a record comes twice, or probability and
            logits of a row do not belong together. Not retried.
    """
    import orjson

    if not path.is_file():
        raise DataInvalid(path, "no such file; predict this split with the model first")
    entries = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                entries.append(_parse(orjson.loads(line)))
            except (ValueError, KeyError, TypeError) as error:  # orjson's own error is a ValueError
                raise DataInvalid(path, EXPECTED, line=number) from error
    if not entries:
        raise DataInvalid(path, "no rows; predict this split with the model again")
    ids, groups, labels, probabilities, log_odds, folds = (list(column) for column in zip(*entries, strict=True))
    _refuse_twice(path, ids)
    rows = ScoredRows(path, ids, groups, np.array(labels, dtype=np.int8), np.array(log_odds, dtype=np.float64), folds)
    _refuse_other_probabilities(rows, np.array(probabilities, dtype=np.float64))
    return rows


def log_odds_of(path: Path, records: SplitRecords) -> Floats:
    """``(N,)`` log-odds of predictions of exactly these records, in the order of ``records``.

    Raises:
        DataInvalid: The rows are not of these records and labels. Not retried.
    """
    rows = read_scored_rows(path)
    row_of = {record_id: row for row, record_id in enumerate(rows.ids)}
    missing = [record_id for record_id in records.ids if record_id not in row_of]
    if missing or len(rows) != len(records):
        found = f"{len(missing)} of them are missing, such as {missing[0]!r}" if missing else f"{len(rows)} rows"
        raise DataInvalid(path, f"expected one row for each of {len(records)} records of {records.path}, found {found}")
    order = np.array([row_of[record_id] for record_id in records.ids])
    different = np.flatnonzero(rows.labels[order] != records.labels)
    if len(different):
        first = int(different[0])
        raise DataInvalid(
            path,
            f"record {records.ids[first]!r} has label {rows.labels[order[first]]} here and {records.labels[first]} in "
            f"{records.path}; predict again from these records",
        )
    return np.asarray(rows.log_odds[order])


def _parse(row: dict[str, Any]) -> tuple[str, str, int, float, float, Any]:
    negative, positive = row["logits"]
    values = (row["probability"], negative, positive)
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        raise ValueError(values)
    if isinstance(row["label"], bool) or row["label"] not in (0, 1):
        raise ValueError(row["label"])
    if not isinstance(row["id"], str):
        raise TypeError(row["id"])
    return row["id"], str(row["group"]), row["label"], float(row["probability"]), positive - negative, row.get("fold")


def _refuse_twice(path: Path, ids: list[str]) -> None:
    seen: set[str] = set()
    for number, record_id in enumerate(ids, start=1):
        if record_id in seen:
            raise DataInvalid(path, f"record {record_id!r} is scored twice", line=number)
        seen.add(record_id)


def _refuse_other_probabilities(rows: ScoredRows, probabilities: Floats) -> None:
    apart = np.flatnonzero(np.abs(sigmoid(rows.log_odds) - probabilities) > TOLERANCE)
    if len(apart):
        row = int(apart[0])
        raise DataInvalid(
            rows.path,
            f"probability {probabilities[row]:g} of record {rows.ids[row]!r} is not that of its logits",
            line=row + 1,
        )


def sigmoid(log_odds: npt.ArrayLike) -> Floats:
    """Probabilities of log-odds, without overflow."""
    # exp(-log(1 + exp(-z))): each part is finite for every finite z.
    return np.asarray(np.exp(-np.logaddexp(0.0, -np.asarray(log_odds, dtype=np.float64))))


def log_losses(labels: npt.ArrayLike, log_odds: npt.ArrayLike) -> Floats:
    """``(N,)`` negative log-likelihoods of labels [nats]; their mean is the log loss."""
    signs = 2.0 * (np.asarray(labels) == 1) - 1.0
    return np.asarray(np.logaddexp(0.0, -signs * np.asarray(log_odds, dtype=np.float64)))
