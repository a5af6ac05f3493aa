"""Curves and bins for people to look at, small enough for a report; nothing is chosen from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models.evaluation.metrics import Floats, Steps, ranking_of, steps_of

MAX_POINTS = 200
NUM_CALIBRATION_BINS = 10
NUM_HISTOGRAM_BINS = 20


def describe_scores(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> dict[str, Any]:
    """``roc``, ``pr``, ``calibration``, ``ece`` and ``histogram`` of scores, as arrays and numbers.

    Args:
        labels: ``(N,)``, 0 and 1, both present.
        probabilities: ``(N,)`` in [0, 1].
    """
    steps = steps_of(ranking_of(labels, probabilities))
    bins = calibration_bins(labels, probabilities)
    return {
        "roc": roc_points(steps),
        "pr": pr_points(steps),
        "calibration": bins,
        "ece": expected_calibration_error(bins),
        "histogram": score_histogram(labels, probabilities),
    }


def roc_points(steps: Steps) -> Floats:
    """``(P, 2)`` false and true positive rates from (0, 0) to (1, 1), at most 200 points; both labels are present."""
    rates = [np.cumsum(part) / part.sum() for part in (steps.negatives, steps.positives)]
    return thin(np.concatenate([np.zeros((1, 2)), np.stack(rates, axis=-1)]))


def pr_points(steps: Steps) -> Floats:
    """``(P, 2)`` recall and precision from the highest score down, at most 200 points; label 1 is present."""
    found, called = np.cumsum(steps.positives), np.cumsum(steps.positives + steps.negatives)
    return thin(np.stack([found / found[-1], found / called], axis=-1))


def thin(points: Floats, most: int = MAX_POINTS) -> Floats:
    """At most ``most`` of the rows, evenly spaced, first and last kept."""
    kept = np.unique(np.linspace(0, len(points) - 1, min(most, len(points))).round().astype(np.int64))
    return np.asarray(points[kept])


def calibration_bins(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> list[dict[str, float | int]]:
    """Up to ten bins of nearly equal size; equal scores share a bin, so there may be fewer."""
    scores, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(labels) == 1
    inner = np.quantile(scores, np.linspace(0.0, 1.0, NUM_CALIBRATION_BINS + 1)[1:-1])
    bin_of = np.searchsorted(np.unique(inner), scores, side="left")
    members = [np.flatnonzero(bin_of == number) for number in np.unique(bin_of)]
    return [
        {
            "num_records": len(rows),
            "mean_probability": float(scores[rows].mean()),
            "positive_share": float(truth[rows].mean()),
        }
        for rows in members
    ]


def expected_calibration_error(bins: list[dict[str, float | int]]) -> float:
    """Mean distance of probability and share of label 1 over the bins, by size (ECE with bins of equal mass)."""
    sizes = np.array([entry["num_records"] for entry in bins], dtype=np.float64)
    gaps = np.array([abs(entry["mean_probability"] - entry["positive_share"]) for entry in bins])
    return float((sizes * gaps).sum() / sizes.sum())


def score_histogram(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> dict[str, npt.NDArray[Any]]:
    """Records of either label in twenty equal bins of [0, 1]."""
    scores, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(labels) == 1
    edges = np.linspace(0.0, 1.0, NUM_HISTOGRAM_BINS + 1)
    return {
        "edges": edges,
        "label_0": np.histogram(scores[~truth], edges)[0],
        "label_1": np.histogram(scores[truth], edges)[0],
    }
