"""What a sweep over a grid of thresholds tells: the chosen one, its curve, how far it wanders, and its alternatives.

The choice itself and its tie rule are in ``thresholds``. Everything here is counted on the scores that the threshold is
chosen on, so every F1 but the cross-validated ones is a little too good (``ThresholdSpread.f1_optimism`` says by how
much). The alternatives are reported and never applied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.evaluation.intervals import Resamples, resampled_totals
from models.evaluation.metrics import (
    Confusion,
    Floats,
    Integers,
    confusion_of,
    f1,
    false_positive_reduction,
    precision,
    predictions_at,
    recall,
)
from models.evaluation.thresholds import NEUTRAL, best_places, confusion_at

GRID_TIE_RULE = "of thresholds of the grid with the best F1 the one closest to 0.5, then the lower"
RECALL_RULE = (
    "of thresholds that keep the recall the one that drops most records of label 0; of those the one with the highest "
    "recall, then closest to 0.5, then the lower"
)
PER_TECHNOLOGY_RULE = (
    "each technology's own threshold by F1 on its records, the single one where it has no record of label 1; both ways "
    "are compared on folds of whole files: chosen on the other folds, applied to this one, F1 of the pooled answers"
)
NUM_FOLDS = 5


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and what it gives.

    Args:
        threshold: A record is called when its probability is at least this.
        f1: F1 of label 1.
        precision: Share of true ones among those called.
        recall: Share of label 1 that is called.
        false_positive_reduction: Share of label 0 that is dropped; NaN where there is none.
    """

    threshold: float
    f1: float
    precision: float
    recall: float
    false_positive_reduction: float


@dataclass(frozen=True)
class Sweep:
    """Every threshold of a grid, and the chosen one.

    Args:
        chosen: The threshold with the best F1; ties by ``GRID_TIE_RULE``.
        curve: Every threshold of the grid, rising.
    """

    chosen: OperatingPoint
    curve: tuple[OperatingPoint, ...]


@dataclass(frozen=True)
class ThresholdSpread:
    """Where the chosen threshold falls when files are drawn anew.

    Args:
        low: Lower end of the central ``confidence`` of the chosen thresholds; a threshold of the grid, as all three.
        median: The median.
        high: Upper end.
        num_undefined: Resamples without a record of label 1, left out.
        f1_optimism: Mean over resamples of the best F1 in the resample minus the F1 of the same threshold on the
            records themselves: by how much the chosen F1 is too good (Efron 1983, bootstrap estimate of optimism).
    """

    low: float
    median: float
    high: float
    num_undefined: int
    f1_optimism: float


@dataclass(frozen=True)
class PerTechnology:
    """One threshold per technology, against one for all; by ``PER_TECHNOLOGY_RULE``.

    Args:
        thresholds: Chosen on all records, by technology, sorted.
        f1_cross_validated: F1 of one threshold per technology on records that it was not chosen on.
        f1_single_threshold_cross_validated: The same of one threshold for all.
        num_folds: Folds; 0 and both F1 NaN where there are fewer than two files.
    """

    thresholds: dict[str, float]
    f1_cross_validated: float
    f1_single_threshold_cross_validated: float
    num_folds: int


def sweep(labels: npt.ArrayLike, scores: npt.ArrayLike, grid: npt.ArrayLike) -> Sweep:
    """The whole curve over a grid in one pass over the scores, and the threshold with the best F1.

    Args:
        labels: ``(N,)``, 0 or 1.
        scores: ``(N,)`` probabilities of label 1.
        grid: ``(T,)`` thresholds.

    Raises:
        ValueError: No label is 1, or the grid is empty.
    """
    tried = _rising(grid)
    confusion = confusion_at(labels, scores, tried)
    values = f1(confusion)
    if np.isnan(values).all():
        raise ValueError("a threshold needs at least one record of label 1")
    curve = _points(tried, confusion)
    return Sweep(curve[int(best_places(tried, values))], curve)


def recall_constrained(
    labels: npt.ArrayLike, scores: npt.ArrayLike, thresholds: npt.ArrayLike, min_recall: float
) -> OperatingPoint | None:
    """The threshold that drops most records of label 0 while recall is at least ``min_recall``, by ``RECALL_RULE``.

    Args:
        labels: ``(N,)``, 0 or 1.
        scores: ``(N,)`` probabilities of label 1.
        thresholds: ``(T,)`` a grid, or ``thresholds.distinct_thresholds`` for every way to cut.
        min_recall: In (0, 1].

    Returns:
        ``None`` where no threshold keeps that recall, or a label is missing.
    """
    tried = _rising(thresholds)
    confusion = confusion_at(labels, scores, tried)
    kept, dropped = recall(confusion), false_positive_reduction(confusion)
    allowed = kept >= min_recall  # NaN, where a label is missing, never is
    if not allowed.any() or np.isnan(dropped).any():
        return None
    allowed &= dropped == dropped[allowed].max()
    place = int(best_places(tried, np.where(allowed, kept, np.nan)))
    return _points(tried[place : place + 1], Confusion(*(count[place : place + 1] for count in confusion)))[0]


def resampled_f1_curves(
    labels: npt.ArrayLike, scores: npt.ArrayLike, grid: npt.ArrayLike, resamples: Resamples
) -> Floats:
    """``(B, T)`` F1 in each resample at each threshold of the rising grid; NaN where a resample has no label 1.

    The records are counted once per group and threshold; a resample is a sum of whole groups.
    """
    tried = _rising(grid)
    positives, called_true = _called_per_group(labels, scores, tried, resamples, label=1)
    _, called_false = _called_per_group(labels, scores, tried, resamples, label=0)
    doubled = 2.0 * resampled_totals(resamples, called_true)
    called_false_totals = resampled_totals(resamples, called_false)
    positive_totals = resampled_totals(resamples, positives[:, None])
    missed = positive_totals - 0.5 * doubled
    with np.errstate(invalid="ignore"):
        values = doubled / (doubled + called_false_totals + missed)
    return np.where(positive_totals > 0, values, np.nan)


def bootstrap_thresholds(
    labels: npt.ArrayLike, scores: npt.ArrayLike, grid: npt.ArrayLike, resamples: Resamples
) -> Floats:
    """``(B,)`` the threshold that each resample would choose, by the same tie rule; NaN where it has no label 1."""
    return _chosen_thresholds(_rising(grid), resampled_f1_curves(labels, scores, grid, resamples))


def threshold_spread(
    labels: npt.ArrayLike, scores: npt.ArrayLike, grid: npt.ArrayLike, resamples: Resamples, confidence: float
) -> ThresholdSpread:
    """Where the chosen threshold falls over resamples, and how much choosing flatters F1."""
    tried = _rising(grid)
    curves = resampled_f1_curves(labels, scores, tried, resamples)
    chosen = _chosen_thresholds(tried, curves)
    defined = ~np.isnan(chosen)
    num_undefined = int((~defined).sum())
    if not defined.any():
        return ThresholdSpread(math.nan, math.nan, math.nan, num_undefined, math.nan)
    tail = (1.0 - confidence) / 2.0
    low, median, high = np.quantile(chosen[defined], [tail, 0.5, 1.0 - tail], method="inverted_cdf")
    places = best_places(tried, curves[defined])
    in_resample = curves[defined].max(axis=-1)
    on_records = f1(confusion_at(labels, scores, tried))[places]
    optimism = float((in_resample - on_records).mean())
    return ThresholdSpread(float(low), float(median), float(high), num_undefined, optimism)


def per_technology(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    technologies: Sequence[str],
    groups: Sequence[str],
    grid: npt.ArrayLike,
    *,
    seed: int,
    num_folds: int = NUM_FOLDS,
) -> PerTechnology:
    """One threshold per technology, and whether that would have paid on records it was not chosen on.

    Args:
        labels: ``(N,)``, 0 or 1.
        scores: ``(N,)`` probabilities of label 1.
        technologies: ``(N,)`` category of each record.
        groups: ``(N,)`` file of each record; a fold holds whole files.
        grid: ``(T,)`` thresholds.
        seed: Seed of the folds.
        num_folds: Folds, at most as many as there are files.

    Raises:
        ValueError: No label is 1, or the grid is empty.
    """
    truth, values, kinds = np.asarray(labels), np.asarray(scores, dtype=np.float64), np.asarray(technologies, dtype=str)
    tried = _rising(grid)
    if not (truth == 1).any():
        raise ValueError("a threshold needs at least one record of label 1")
    everywhere = np.ones(len(truth), dtype=np.bool_)
    _, own = _both_ways(truth, values, kinds, tried, everywhere)
    fold_of = grouped_folds(groups, technologies, num_folds=num_folds, seed=seed)
    folds = np.unique(fold_of)
    if len(folds) < 2:
        return PerTechnology(own, math.nan, math.nan, 0)
    single_answers, own_answers = (np.zeros(len(truth), dtype=np.bool_) for _ in range(2))
    for fold in folds:
        inside = fold_of == fold
        single, by_technology = _both_ways(truth, values, kinds, tried, ~inside)
        single_answers[inside] = predictions_at(values[inside], single)
        cuts = np.array([by_technology[kind] for kind in kinds[inside].tolist()])
        own_answers[inside] = values[inside] >= cuts
    return PerTechnology(
        own, float(f1(confusion_of(truth, own_answers))), float(f1(confusion_of(truth, single_answers))), len(folds)
    )


def grouped_folds(groups: Sequence[str], categories: Sequence[str], *, num_folds: int, seed: int) -> Integers:
    """``(N,)`` fold of each record: whole groups, dealt in turn within each category after a shuffle.

    Args:
        groups: ``(N,)``.
        categories: ``(N,)``; a group goes by its first record's.
        num_folds: At most this many, fewer where there are fewer groups.
        seed: Seed of a PCG64 generator.
    """
    names, first, group_of = np.unique(np.asarray(groups, dtype=str), return_index=True, return_inverse=True)
    shuffled = np.random.Generator(np.random.PCG64(seed)).permutation(len(names))
    category_of_group = np.asarray(categories, dtype=str)[first]
    dealt = shuffled[np.argsort(category_of_group[shuffled], kind="stable")]
    fold_of_group = np.empty(len(names), dtype=np.int64)
    fold_of_group[dealt] = np.arange(len(names)) % max(num_folds, 1)
    return np.asarray(fold_of_group[group_of])


def _both_ways(
    labels: npt.NDArray[np.generic],
    scores: Floats,
    kinds: npt.NDArray[np.str_],
    tried: Floats,
    rows: npt.NDArray[np.bool_],
) -> tuple[float, dict[str, float]]:
    """The single threshold and each technology's, chosen on some rows; 0.5 where these hold no label 1 at all."""
    single = _best_or(labels[rows], scores[rows], tried, NEUTRAL)
    return single, {
        str(kind): _best_or(labels[rows & (kinds == kind)], scores[rows & (kinds == kind)], tried, single)
        for kind in np.unique(kinds)
    }


def _best_or(labels: npt.NDArray[np.generic], scores: Floats, tried: Floats, otherwise: float) -> float:
    values = f1(confusion_at(labels, scores, tried))
    return otherwise if np.isnan(values).all() else float(tried[best_places(tried, values)])


def _chosen_thresholds(tried: Floats, curves: Floats) -> Floats:
    return np.where(np.isnan(curves).all(axis=-1), np.nan, tried[best_places(tried, curves)])


def _called_per_group(
    labels: npt.ArrayLike, scores: npt.ArrayLike, tried: Floats, resamples: Resamples, *, label: int
) -> tuple[Floats, Floats]:
    """Of the records of one label in each group: how many there are ``(G,)``, and are called ``(G, T)``."""
    chosen = np.asarray(labels) == label
    # A record is called by exactly the first so many thresholds; what reaches at least k is a sum from the right.
    reached = np.searchsorted(tried, np.asarray(scores, dtype=np.float64)[chosen], side="right")
    width = len(tried) + 1
    cells = np.bincount(resamples.group_of[chosen] * width + reached, minlength=resamples.num_groups * width)
    at_least = cells.reshape(-1, width)[:, ::-1].cumsum(axis=1)[:, ::-1].astype(np.float64)
    return at_least[:, 0], at_least[:, 1:]


def _points(tried: Floats, confusion: Confusion) -> tuple[OperatingPoint, ...]:
    columns = (tried, f1(confusion), precision(confusion), recall(confusion), false_positive_reduction(confusion))
    return tuple(OperatingPoint(*values) for values in zip(*(column.tolist() for column in columns), strict=True))


def _rising(thresholds: npt.ArrayLike) -> Floats:
    """Raises ValueError where there is none."""
    tried = np.unique(np.asarray(thresholds, dtype=np.float64))
    if not len(tried):
        raise ValueError("a threshold is chosen among at least one, got none")
    return tried
