"""How well wrong labels are found that were planted on purpose; nothing learns from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import DataInvalid
from models.evaluation.audit.folds import auroc_within_folds
from models.evaluation.intervals import Resamples, draw_resamples
from models.evaluation.metrics import Floats, Integers, average_precision, ranking_of, steps_of
from models.evaluation.out_of_fold.label_trust import percentiles_within
from models.evaluation.out_of_fold.provenance import Provenance

NUM_RESAMPLES = 2000


@dataclass(frozen=True)
class Planted:
    """Known wrong labels among held-out records.

    Args:
        known: ``(N,)`` records of sources in which labels were planted: of these it is known which are.
        is_wrong: ``(N,)`` which of all records are.
        num_absent: Planted labels whose record is not in training (dropped as a copy, or rejected).
    """

    known: npt.NDArray[np.bool_]
    is_wrong: npt.NDArray[np.bool_]
    num_absent: int


def read_planted(path: Path, provenance: Provenance) -> Planted:
    """Match a ``.jsonl`` of ``source`` and ``idx`` with training records.

    Raises:
        DataInvalid: There is no such file, a line is no such row or comes twice, or no training record is meant. Not
            retried.
    """
    import orjson

    if not path.is_file():
        raise DataInvalid(path, 'no such file; expected one JSON line {"source": …, "idx": …} for each wrong label')
    meant: set[tuple[str, str]] = set()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = orjson.loads(line)
                key = (str(row["source"]), str(row["idx"]))
            except (ValueError, KeyError, TypeError) as error:
                raise DataInvalid(path, 'expected {"source": …, "idx": …}', line=number) from error
            if key in meant:
                raise DataInvalid(path, f"idx {key[1]!r} of {key[0]!r} comes twice", line=number)
            meant.add(key)
    keys = list(zip(provenance.sources, provenance.orig_ids, strict=True))
    is_wrong = np.array([key in meant for key in keys])
    if not is_wrong.any():
        raise DataInvalid(path, "no training record is meant by it; source and idx must be those of the training data")
    sources = {source for source, _ in meant}
    known = np.array([source in sources for source in provenance.sources])
    return Planted(known, is_wrong, len(meant) - len(meant & set(keys)))


def measure_planted(
    planted: Planted,
    labels: npt.NDArray[np.integer],
    trust: Floats,
    trust_by_model: Mapping[str, Floats],
    is_suspected: npt.NDArray[np.bool_],
    groups: Sequence[str],
    fold: Integers,
    *,
    seed: int,
) -> dict[str, Any]:
    """The ``planted`` section of ``weighing.json``: low trust as a score for a wrong label.

    Every AUROC is over pairs of one fold, and the least trusted are those by percentile within their fold: trust of two
    folds comes from two models.

    Args:
        planted: Which labels are wrong.
        labels: ``(N,)`` given labels.
        trust: ``(N,)``, NaN where a record was never held out; such records do not count.
        trust_by_model: The same of each model alone.
        is_suspected: ``(N,)`` labels taken for wrong.
        groups: ``N`` groups, for the interval.
        fold: ``(N,)`` folds.
        seed: Seed of its resampling.
    """
    rows = np.flatnonzero(planted.known & ~np.isnan(trust))
    wrong, own_fold = planted.is_wrong[rows], fold[rows]
    doubt = 1.0 - percentiles_within(own_fold, trust[rows])
    resamples = draw_resamples([groups[row] for row in rows.tolist()], num_resamples=NUM_RESAMPLES, seed=seed)
    of_all = auroc_within_folds(wrong.astype(np.int8), -trust[rows], own_fold, resamples)
    return {
        "num_planted": int(wrong.sum()),
        "num_known": len(rows),
        "num_absent": planted.num_absent,
        "auroc": of_all.as_json(),
        "auprc": float(average_precision(steps_of(ranking_of(wrong, doubt)))),
        "precision_at_planted": _precision_of_first(wrong, doubt, int(wrong.sum())),
        "by_model": {name: _auroc(wrong, -own[rows], own_fold) for name, own in trust_by_model.items()},
        "issues": _found(wrong, is_suspected[rows]),
        "by_label": {str(label): _of_label(label, wrong, -trust[rows], own_fold, labels[rows]) for label in (0, 1)},
    }


def _auroc(wrong: npt.NDArray[np.bool_], doubt: Floats, fold: Integers) -> float:
    """Within folds, without an interval."""
    alone = Resamples(np.ones((1, max(len(wrong), 1)), np.uint16), np.arange(len(wrong)))
    return auroc_within_folds(wrong.astype(np.int8), doubt, fold, alone).value


def _precision_of_first(wrong: npt.NDArray[np.bool_], doubt: Floats, num: int) -> float:
    """Share of wrong labels among the ``num`` least trusted, ties in the order of the file."""
    first: Integers = np.argsort(-doubt, kind="stable")[:num]
    return float(wrong[first].mean()) if num else math.nan


def _found(wrong: npt.NDArray[np.bool_], suspected: npt.NDArray[np.bool_]) -> dict[str, float]:
    right = int((wrong & suspected).sum())
    return {
        "precision": right / int(suspected.sum()) if suspected.any() else math.nan,
        "recall": right / int(wrong.sum()) if wrong.any() else math.nan,
    }


def _of_label(
    label: int, wrong: npt.NDArray[np.bool_], doubt: Floats, fold: Integers, labels: npt.NDArray[np.integer]
) -> dict[str, float]:
    of_label = labels == label
    return {
        "num_planted": int(wrong[of_label].sum()),
        "num_known": int(of_label.sum()),
        "auroc": _auroc(wrong[of_label], doubt[of_label], fold[of_label]),
    }
