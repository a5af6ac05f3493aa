"""Metrics of a binary classifier from labels and probabilities; numpy only, label 1 is the class to find.

Every formula takes weights with leading axes, so that a score (all weights 1) and its ten thousand bootstrap resamples
(weights = how often a record was drawn) are the same code; ``intervals`` relies on it. What is chosen from scores is in
``thresholds``.

A metric that is not defined is NaN here and null in JSON (``as_json``):

- no records: every metric;
- no positive label: recall, F1 (nothing to find) and AUPRC; no negative one: false-positive reduction; only one label
  present: balanced accuracy and AUROC.

Otherwise 0/0 is 0, as in scikit-learn: precision where nothing was called vulnerable, MCC where an answer is constant.
A record is called vulnerable when its probability is at least the threshold; equal scores are one step of every curve.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
DECIMALS = 6


class Confusion(NamedTuple):
    """Counts of a confusion matrix: each a float array, all of one shape ``(...)``."""

    true_negatives: Floats
    false_positives: Floats
    false_negatives: Floats
    true_positives: Floats

    @property
    def positives(self) -> Floats:
        """Records of label 1."""
        return self.true_positives + self.false_negatives

    @property
    def negatives(self) -> Floats:
        """Records of label 0."""
        return self.true_negatives + self.false_positives


def confusion_of(labels: npt.ArrayLike, predictions: npt.ArrayLike) -> Confusion:
    """Counts of labels ``(N,)`` against predictions ``(N,)``, both 0 or 1; arrays of shape ``()``."""
    sums = confusion_indicators(labels, predictions).sum(axis=0)
    return Confusion(*(np.asarray(count) for count in sums))


def confusion_indicators(labels: npt.ArrayLike, predictions: npt.ArrayLike) -> Floats:
    """``(N, 4)``: in which cell of the confusion matrix each record is, in the order of ``Confusion``."""
    truth, answer = np.asarray(labels) == 1, np.asarray(predictions) == 1
    cells = (~truth & ~answer, ~truth & answer, truth & ~answer, truth & answer)
    return np.stack(cells, axis=-1).astype(np.float64)


def predictions_at(probabilities: npt.ArrayLike, threshold: float) -> npt.NDArray[np.bool_]:
    """Which records are called vulnerable: those whose probability is at least the threshold."""
    return np.asarray(probabilities) >= threshold


def accuracy(confusion: Confusion) -> Floats:
    """Share of right answers."""
    return _ratio(
        confusion.true_positives + confusion.true_negatives, confusion.positives + confusion.negatives, empty=math.nan
    )


def precision(confusion: Confusion) -> Floats:
    """Share of true ones among records called vulnerable; 0 where none was called so."""
    called = confusion.true_positives + confusion.false_positives
    value = _ratio(confusion.true_positives, called, empty=0.0)
    return np.where(confusion.positives + confusion.negatives > 0, value, np.nan)


def recall(confusion: Confusion) -> Floats:
    """Share of vulnerable records that were found."""
    return _ratio(confusion.true_positives, confusion.positives, empty=math.nan)


def f1(confusion: Confusion) -> Floats:
    """Harmonic mean of precision and recall of label 1: ``2 tp / (2 tp + fp + fn)``."""
    doubled = 2.0 * confusion.true_positives
    value = _ratio(doubled, doubled + confusion.false_positives + confusion.false_negatives, empty=math.nan)
    return np.where(confusion.positives > 0, value, np.nan)


def balanced_accuracy(confusion: Confusion) -> Floats:
    """Mean of the shares of right answers on either label."""
    return 0.5 * (recall(confusion) + false_positive_reduction(confusion))


def matthews(confusion: Confusion) -> Floats:
    """Matthews' correlation of labels and answers, in [-1, 1]; 0 where either is constant."""
    tn, fp, fn, tp = confusion
    # Two square roots: the product of all four margins leaves the exact integers early.
    scale = np.sqrt((tp + fp) * (tp + fn)) * np.sqrt((tn + fp) * (tn + fn))
    value = _ratio(tp * tn - fp * fn, scale, empty=0.0)
    return np.where(confusion.positives + confusion.negatives > 0, value, np.nan)


def false_positive_reduction(confusion: Confusion) -> Floats:
    """Share of records of label 0 that are not called: of false alarms, those that are dropped (specificity)."""
    return _ratio(confusion.true_negatives, confusion.negatives, empty=math.nan)


METRICS_OF_ANSWERS: dict[str, Callable[[Confusion], Floats]] = {
    "f1": f1,
    "precision": precision,
    "recall": recall,
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "mcc": matthews,
    "false_positive_reduction": false_positive_reduction,
}
"""Metrics of answers, which need a threshold."""


class Ranking(NamedTuple):
    """Records by falling score.

    Args:
        order: ``(N,)`` record numbers, highest score first.
        starts: ``(K,)`` place in ``order`` of the first record of each distinct score.
        is_positive: ``(N,)`` labels in that order, as 0.0 and 1.0.
        scores: ``(K,)`` the distinct scores, falling.
    """

    order: Integers
    starts: Integers
    is_positive: Floats
    scores: Floats


class Steps(NamedTuple):
    """Weight of the records of either label at each distinct score, highest first: two arrays ``(..., K)``."""

    positives: Floats
    negatives: Floats


def ranking_of(labels: npt.ArrayLike, scores: npt.ArrayLike) -> Ranking:
    """Sort once; everything that looks at all thresholds is a running sum over it."""
    values = np.asarray(scores, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    falling = values[order]
    starts = np.flatnonzero(np.append(True, np.diff(falling) != 0)) if len(falling) else np.zeros(0, dtype=np.int64)
    is_positive = (np.asarray(labels)[order] == 1).astype(np.float64)
    return Ranking(order, starts, is_positive, falling[starts])


def steps_of(ranking: Ranking, weights: Floats | None = None) -> Steps:
    """Records at each distinct score; equal scores are one step.

    Args:
        ranking: ``N`` records with ``K`` distinct scores.
        weights: ``(..., N)`` weight of each record *in the ranking's order*; ``None`` is all ones.
    """
    every = np.ones(len(ranking.order)) if weights is None else weights
    positives = every * ranking.is_positive
    negatives = every - positives
    if len(ranking.starts) == len(ranking.order):  # no two scores are equal
        return Steps(positives, negatives)
    return Steps(*(np.add.reduceat(part, ranking.starts, axis=-1) for part in (positives, negatives)))


def auroc(steps: Steps) -> Floats:
    """Area under the ROC curve: the share of pairs of either label that are ranked rightly, a tie counting half.

    Returns:
        ``(...)``, NaN where only one label has weight.
    """
    found = np.cumsum(steps.positives, axis=-1)
    right = np.einsum("...k,...k->...", steps.negatives, found)
    tied = np.einsum("...k,...k->...", steps.negatives, steps.positives)
    pairs = steps.positives.sum(axis=-1) * steps.negatives.sum(axis=-1)
    return _ratio(right - 0.5 * tied, pairs, empty=math.nan)


def average_precision(steps: Steps) -> Floats:
    """Area under the precision-recall steps (AUPRC): the mean of precision weighted by the gain in recall.

    Returns:
        ``(...)``, NaN where no label 1 has weight.
    """
    found = np.cumsum(steps.positives, axis=-1)
    precisions = _ratio(found, found + np.cumsum(steps.negatives, axis=-1), empty=0.0)
    gained = np.einsum("...k,...k->...", steps.positives, precisions)
    return _ratio(gained, steps.positives.sum(axis=-1), empty=math.nan)


METRICS_OF_SCORES: dict[str, Callable[[Steps], Floats]] = {
    "auroc": auroc,
    "auprc": average_precision,
}
"""Metrics of the ranking, which need no threshold."""


def squared_errors(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> Floats:
    """``(N,)`` squared distance of probability and label; their mean is the Brier score."""
    truth = (np.asarray(labels) == 1).astype(np.float64)
    return np.asarray(np.square(np.asarray(probabilities, dtype=np.float64) - truth))


def brier(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Mean squared distance of probability and label; lower is better."""
    errors = squared_errors(labels, probabilities)
    return float(errors.mean()) if len(errors) else math.nan


def metrics_at(labels: npt.ArrayLike, probabilities: npt.ArrayLike, threshold: float) -> dict[str, float]:
    """Every metric by name: those of the answers at ``threshold``, then ``auroc``, ``auprc`` and ``brier``."""
    confusion = confusion_of(labels, predictions_at(probabilities, threshold))
    steps = steps_of(ranking_of(labels, probabilities))
    return {
        **{name: float(metric(confusion)) for name, metric in METRICS_OF_ANSWERS.items()},
        **{name: float(metric(steps)) for name, metric in METRICS_OF_SCORES.items()},
        "brier": brier(labels, probabilities),
    }


def as_json(value: Any) -> Any:
    """``value`` with arrays as lists, floats rounded to 6 decimals and NaN as null; thresholds must not pass here."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [as_json(item) for item in value]
    if isinstance(value, float | np.floating):
        return round(float(value), DECIMALS) + 0.0 if math.isfinite(value) else None  # + 0.0: no minus zero
    return value.item() if isinstance(value, np.generic) else value


def _ratio(numerator: Floats, denominator: Floats, *, empty: float) -> Floats:
    """Their quotient, and ``empty`` where the denominator is 0."""
    numerator, denominator = np.asarray(numerator), np.asarray(denominator)
    result = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), empty, dtype=np.float64)
    return np.asarray(np.divide(numerator, denominator, out=result, where=denominator != 0))
