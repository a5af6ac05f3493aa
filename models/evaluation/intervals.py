"""How precise a score is: bootstrap over groups of records, many resamples at once.

Records of one commit or file share label and fate, so these are drawn, not records, which would be too narrow (the
cluster bootstrap of Field and Welsh 2007). A resample is a row of counts, how often each group was drawn; a metric of a
confusion matrix is then counts times a matrix of sums per group, and a ranking metric a running sum with the counts
as weights. The same counts serve every system, so that differences are paired (``comparisons``).

Intervals are percentile intervals: quantiles of the resampled values, interpolated linearly. Resamples in which a
metric is not defined (one label only) are left out and counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.evaluation.metrics import (
    METRICS_OF_ANSWERS,
    METRICS_OF_SCORES,
    Confusion,
    Floats,
    Integers,
    Ranking,
    Steps,
    confusion_indicators,
    predictions_at,
    ranking_of,
    squared_errors,
    steps_of,
)

METHOD = "percentile interval of a cluster bootstrap over groups"
METRICS = (*METRICS_OF_ANSWERS, *METRICS_OF_SCORES, "brier")
"""Names of ``metrics.metrics_at``."""
CHUNK_ENTRIES = 200_000
"""Entries of a temporary array, few enough to stay in a core's cache; how resamples are cut changes no value."""


@dataclass(frozen=True)
class Resamples:
    """Bootstrap resamples of ``G`` groups that hold ``N`` records.

    Args:
        counts: ``(B, G)`` how often each group was drawn; each row sums to ``G``.
        group_of: ``(N,)`` the group of each record.
    """

    counts: npt.NDArray[np.uint16]
    group_of: Integers

    @property
    def num_groups(self) -> int:
        """Groups drawn from."""
        return int(self.counts.shape[1])


@dataclass(frozen=True)
class Interval:
    """A percentile interval.

    Args:
        low: Lower end; NaN when no resample has a value.
        high: Upper end.
        num_undefined: Resamples without a value, left out.
    """

    low: float
    high: float
    num_undefined: int


def draw_resamples(groups: Sequence[str], *, num_resamples: int, seed: int) -> Resamples:
    """Draw groups with replacement; the same for equal groups and seed on every machine.

    Args:
        groups: ``(N,)`` group of each record.
        num_resamples: ``B``.
        seed: Seed of a PCG64 generator.
    """
    names, group_of = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    random = np.random.Generator(np.random.PCG64(seed))
    counts = np.zeros((num_resamples, len(names)), dtype=np.uint16)
    resamples = Resamples(counts, group_of.astype(np.int64))
    if not len(names):
        return resamples
    for chunk in _chunks(resamples, width=len(names)):  # views: filling them fills ``counts``
        drawn = random.integers(0, len(names), size=chunk.shape)
        cells = drawn + len(names) * np.arange(len(chunk))[:, None]
        chunk[:] = np.bincount(cells.ravel(), minlength=chunk.size).reshape(chunk.shape)
    return resamples


def resampled_metrics(
    resamples: Resamples,
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    threshold: float,
    names: Collection[str] = METRICS,
) -> dict[str, Floats]:
    """``(B,)`` values of metrics of ``metrics.metrics_at``, under the same names: of all, or of ``names`` only."""
    of_answers = {name: metric for name, metric in METRICS_OF_ANSWERS.items() if name in names}
    of_scores = {name: metric for name, metric in METRICS_OF_SCORES.items() if name in names}
    found: dict[str, Floats] = {}
    if of_answers:
        confusion = resampled_confusion(resamples, labels, predictions_at(probabilities, threshold))
        found |= {name: metric(confusion) for name, metric in of_answers.items()}
    if of_scores:
        found |= resampled_ranking_metrics(resamples, ranking_of(labels, probabilities), of_scores)
    if "brier" in names:
        found["brier"] = resampled_mean(resamples, squared_errors(labels, probabilities))
    return found


def resampled_confusion(resamples: Resamples, labels: npt.ArrayLike, predictions: npt.ArrayLike) -> Confusion:
    """Confusion counts of each resample: counts ``(B, G)`` times the groups' own confusion counts ``(G, 4)``."""
    sums = _resampled_sums(resamples, confusion_indicators(labels, predictions))
    return Confusion(*np.moveaxis(sums, -1, 0))


def resampled_mean(resamples: Resamples, values: Floats) -> Floats:
    """``(B,)`` means over the records of each resample of a value per record ``(N,)``."""
    totals, sizes = np.moveaxis(_resampled_sums(resamples, np.stack([values, np.ones_like(values)], axis=-1)), -1, 0)
    return np.asarray(np.divide(totals, sizes, out=np.full_like(totals, math.nan), where=sizes > 0))


def resampled_ranking_metrics(
    resamples: Resamples, ranking: Ranking, metrics: Mapping[str, Callable[[Steps], Floats]]
) -> dict[str, Floats]:
    """``(B,)`` values of metrics of the ranking, by name; a record weighs as often as its group was drawn."""
    groups = resamples.group_of[ranking.order]
    rows: dict[str, list[Floats]] = {name: [] for name in metrics}
    for counts in _chunks(resamples, width=len(groups)):
        steps = steps_of(ranking, counts[:, groups].astype(np.float64))
        for name, metric in metrics.items():
            rows[name].append(metric(steps))
    return {name: np.concatenate(values) for name, values in rows.items()}


def percentile_interval(values: Floats, confidence: float) -> Interval:
    """The central ``confidence`` of resampled values ``(B,)``."""
    defined = values[~np.isnan(values)]
    num_undefined = len(values) - len(defined)
    if not len(defined):
        return Interval(math.nan, math.nan, num_undefined)
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(defined, [tail, 1.0 - tail])
    return Interval(float(low), float(high), num_undefined)


def resampled_totals(resamples: Resamples, per_group: Floats) -> Floats:
    """``(B, C)`` totals of each resample of ``C`` values per group ``(G, C)``; exact where they are whole numbers."""
    return np.concatenate(
        [counts.astype(np.float64) @ per_group for counts in _chunks(resamples, width=resamples.num_groups)]
    )


def _resampled_sums(resamples: Resamples, values: Floats) -> Floats:
    """``(B, C)`` sums over each resample of ``C`` values per record ``(N, C)``."""
    per_group = np.stack(
        [
            np.bincount(resamples.group_of, weights=column, minlength=resamples.num_groups)
            for column in np.moveaxis(values, -1, 0)
        ],
        axis=-1,
    )
    return resampled_totals(resamples, per_group.astype(np.float64))


def _chunks(resamples: Resamples, *, width: int) -> Iterator[npt.NDArray[np.uint16]]:
    """Rows of counts, few enough at a time that an array ``(rows, width)`` stays small."""
    rows = max(1, CHUNK_ENTRIES // max(width, 1))
    for start in range(0, len(resamples.counts), rows):
        yield resamples.counts[start : start + rows]
