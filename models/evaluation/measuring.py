"""One split measured: every system with intervals, curves and confusion matrix, and the comparisons between them.

A system is a model or a baseline; both go through the same code with a threshold that was frozen before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

from models.evaluation.comparisons import Difference, holm, paired_difference, smallest_p
from models.evaluation.curves import describe_scores
from models.evaluation.intervals import Resamples, draw_resamples, percentile_interval, resampled_metrics
from models.evaluation.metrics import METRICS_OF_ANSWERS, Floats, confusion_of, metrics_at, predictions_at
from models.evaluation.records import SplitRecords
from models.evaluation.thresholds import NEUTRAL

COMPARED = ("f1", "mcc", "auroc")
"""Metrics on which systems are compared; each one counts in the correction."""
MAX_MODELS_COMPARED = 4
"""Of more models than these none is compared with another: the correction would leave nothing that can be shown."""


@dataclass(frozen=True)
class ScoredSystem:
    """A system's scores on one split.

    Args:
        name: Key in tables.
        is_model: Whether it is a model (else a baseline).
        probabilities: ``(N,)`` of label 1.
        threshold: Frozen before this split was looked at, unless the split is validation.
    """

    name: str
    is_model: bool
    probabilities: Floats
    threshold: float


@dataclass(frozen=True)
class Measuring:
    """How precision is measured: resamples, coverage, seed."""

    num_resamples: int
    confidence: float
    seed: int


def measure_split(records: SplitRecords, systems: Sequence[ScoredSystem], how: Measuring) -> dict[str, Any]:
    """``systems`` by name, and ``comparisons``; values are raw floats, NaN where a metric is not defined."""
    resamples = draw_resamples(records.groups, num_resamples=how.num_resamples, seed=how.seed)
    points = {system.name: metrics_at(records.labels, system.probabilities, system.threshold) for system in systems}
    resampled = {
        system.name: resampled_metrics(resamples, records.labels, system.probabilities, system.threshold)
        for system in systems
    }
    return {
        "systems": {
            system.name: _measure_system(records, system, points[system.name], resampled[system.name], resamples, how)
            for system in systems
        },
        "comparisons": compare(systems, points, resampled, how),
    }


def compare(
    systems: Sequence[ScoredSystem],
    points: dict[str, dict[str, float]],
    resampled: dict[str, dict[str, Floats]],
    how: Measuring,
) -> list[dict[str, Any]]:
    """The differences of ``pairs_of``, on ``COMPARED``, corrected for their number."""
    found: list[tuple[str, str, str, Difference]] = []
    for first, second in pairs_of(systems):
        for metric in COMPARED:
            both = resampled[first.name][metric], resampled[second.name][metric]
            difference = paired_difference(
                points[first.name][metric], points[second.name][metric], both, how.confidence
            )
            found.append((first.name, second.name, metric, difference))
    corrected = holm([difference.p_value for *_, difference in found])
    return [
        {
            "model": first,
            "against": second,
            "metric": metric,
            "difference": difference.value,
            "low": difference.interval.low,
            "high": difference.interval.high,
            "p_value": difference.p_value,
            "p_corrected": p_corrected,
            "shown": p_corrected < 1.0 - how.confidence,  # false for NaN
        }
        for (first, second, metric, difference), p_corrected in zip(found, corrected, strict=True)
    ]


def pairs_of(systems: Sequence[ScoredSystem]) -> list[tuple[ScoredSystem, ScoredSystem]]:
    """Every model with every baseline, and, where there are few, every two models."""
    models = [system for system in systems if system.is_model]
    among = combinations(models, 2) if len(models) <= MAX_MODELS_COMPARED else ()
    baselines = [system for system in systems if not system.is_model]
    order = {system.name: at for at, system in enumerate([*models, *baselines])}
    pairs = [*among, *product(models, baselines)]
    return sorted(pairs, key=lambda pair: (order[pair[0].name], order[pair[1].name]))


def compared_text(num_models: int) -> str:
    """What is compared with what, for the record."""
    every = f"every model with every baseline on {', '.join(COMPARED)}"
    if num_models <= MAX_MODELS_COMPARED:
        return f"{every}; every two models likewise"
    return f"{every}; the models not with each other, as they are {num_models}, more than {MAX_MODELS_COMPARED}"


def resamples_to_show(num_comparisons: int, how: Measuring) -> int:
    """The fewest resamples by which a difference can be shown after the correction."""
    return math.floor(2.0 * num_comparisons / (1.0 - how.confidence))


def can_show(num_comparisons: int, how: Measuring) -> bool:
    """Whether so few resamples can show any difference at all, after the correction."""
    return smallest_p(how.num_resamples) * num_comparisons < 1.0 - how.confidence


def _measure_system(
    records: SplitRecords,
    system: ScoredSystem,
    point: dict[str, float],
    resampled: dict[str, Floats],
    resamples: Resamples,
    how: Measuring,
) -> dict[str, Any]:
    confusion = confusion_of(records.labels, predictions_at(system.probabilities, system.threshold))
    at_half = resampled_metrics(resamples, records.labels, system.probabilities, NEUTRAL)
    point_at_half = metrics_at(records.labels, system.probabilities, NEUTRAL)
    return {
        "metrics": {name: _with_interval(value, resampled[name], how) for name, value in point.items()},
        "metrics_at_half": {
            name: _with_interval(point_at_half[name], at_half[name], how) for name in METRICS_OF_ANSWERS
        },
        "confusion": {name: int(count) for name, count in confusion._asdict().items()},
        **describe_scores(records.labels, system.probabilities),
    }


def _with_interval(value: float, resampled: Floats, how: Measuring) -> dict[str, Any]:
    interval = percentile_interval(resampled, how.confidence)
    undefined = {"undefined_resamples": interval.num_undefined} if interval.num_undefined else {}
    return {"value": value, "low": interval.low, "high": interval.high, **undefined}
